/** The built-in table: what each address of Trac asks of whom, and that nothing else of Trac is let through. */
import t from 'tap'
import { compileRoutes, unmatchedRoute } from '../../src/authorize/compile-routes.js'
import { decide } from '../../src/authorize/decide.js'
import { createRouter } from '../../src/authorize/router.js'
import { tracRoutes } from '../../src/trac/routes.js'
import { expandActions, tracActions } from '../../src/trac/permissions.js'
import type { Identity } from '../../src/core/identity.js'

const defaults = { mode: 'enforce', bodyLimit: 1 } as const
const router = createRouter(compileRoutes([], true, defaults))

/** Somebody signed in with these actions and what they carry. */
function holder(actions: readonly string[]): Identity {
  const principal = {
    kind: 'person' as const,
    user: 'sam',
    nameKey: undefined,
    email: undefined,
    name: undefined,
    issuer: '',
    subject: '',
    clientId: '',
    groups: new Set<string>(),
    scopes: new Set<string>(),
    permissions: expandActions(actions),
    grants: [],
    leftOut: [],
    identityHeaders: { user: '', perms: '', email: '', name: '' },
  }
  return { principal, via: 'session', expiresAt: 0, accessToken: undefined }
}

/** `allow`, the missing actions, or the status of no match. */
function judged(asked: string, actions: readonly string[]): string {
  const [method = '', target = ''] = asked.split(' ')
  const [path = '', query = ''] = target.split('?')
  const { route, ...other } = router(method, path, query)
  if (route === undefined) return 'allow' in other && other.allow.length > 0 ? '405' : '404'
  const decision = decide(route, holder(actions))
  return decision.allow ? 'allow' : decision.missing.join(' ')
}

const admins =
  'TRAC_ADMIN TICKET_ADMIN MILESTONE_ADMIN PERMISSION_GRANT PERMISSION_REVOKE VERSIONCONTROL_ADMIN'

/** What is asked, with which actions, and what is missing. */
const cases: readonly (readonly [asked: string, actions: string, result: string])[] = [
  ['GET /', '', 'WIKI_VIEW'],
  ['GET /', 'WIKI_VIEW', 'allow'],
  ['POST /', 'TRAC_ADMIN', '405'],
  ['GET /?page=Secret', 'TRAC_ADMIN', '404'],
  ['GET /?id=5', 'TRAC_ADMIN', '404'],
  ['GET /?action=edit', 'TRAC_ADMIN', '404'],
  ['GET /?%70age=Secret', 'TRAC_ADMIN', '404'],
  ['GET /chrome/common/css/trac.css', '', 'allow'],
  ['POST /chrome/common/css/trac.css', 'TRAC_ADMIN', '405'],
  ['GET /pygments/trac.css', '', 'allow'],
  ['GET /pygments/trac.css/x', '', '404'],
  ['GET /about', '', 'allow'],
  ['GET /about_trac', '', 'allow'],
  ['GET /admin', 'WIKI_ADMIN', admins],
  ['GET /admin', 'TICKET_ADMIN', 'allow'],
  ['GET /admin/', 'WIKI_ADMIN', admins],
  ['GET /admin/ticket/components', 'TICKET_ADMIN', 'allow'],
  ['GET /admin/general/perm', 'PERMISSION_GRANT', 'allow'],
  ['GET /admin/general/perm', 'WIKI_VIEW', admins],
  ['POST /admin/general/perm', 'WIKI_VIEW', admins],
  ['GET /admin/general/plugin', 'TICKET_ADMIN', 'TRAC_ADMIN'],
  ['POST /admin/general/plugin', 'PERMISSION_GRANT', 'TRAC_ADMIN'],
  ['POST /admin/general/plugin/x', 'PERMISSION_GRANT', 'TRAC_ADMIN'],
  ['POST /admin/general/plugin/', 'PERMISSION_GRANT', 'TRAC_ADMIN'],
  ['GET /admin/general/logging', 'VERSIONCONTROL_ADMIN', 'TRAC_ADMIN'],
  ['GET /admin/general/basics', 'TRAC_ADMIN', 'allow'],
  ['PUT /admin', 'TRAC_ADMIN', '405'],
  ['GET /newticket', 'TICKET_VIEW', 'TICKET_CREATE'],
  ['POST /newticket', 'TICKET_VIEW', 'TICKET_CREATE'],
  ['POST /newticket', 'TICKET_CREATE', 'allow'],
  ['GET /newticket/', 'TRAC_ADMIN', '404'],
  ['GET /ticket/1', '', 'TICKET_VIEW'],
  ['GET /ticket/1', 'TICKET_VIEW', 'allow'],
  ['POST /ticket/1', 'TICKET_CREATE', 'TICKET_VIEW'],
  ['POST /ticket/1', 'TICKET_VIEW', 'allow'],
  ['GET /ticket/1/2', 'TRAC_ADMIN', '404'],
  ['POST /batchmodify', 'TICKET_MODIFY', 'TICKET_BATCH_MODIFY'],
  ['GET /batchmodify', 'TRAC_ADMIN', '405'],
  ['GET /query?status=new', '', 'TICKET_VIEW'],
  ['GET /report', '', 'REPORT_VIEW'],
  ['GET /report/1', 'REPORT_VIEW', 'allow'],
  ['GET /report?action=new', 'REPORT_VIEW', 'REPORT_CREATE'],
  ['GET /report/1?action=edit', 'REPORT_VIEW', 'REPORT_MODIFY'],
  ['GET /report/1?action=copy', 'REPORT_VIEW', 'REPORT_MODIFY'],
  ['GET /report/1?action=delete', 'REPORT_VIEW REPORT_MODIFY', 'REPORT_DELETE'],
  ['POST /report/1', 'REPORT_VIEW', 'allow'],
  ['GET /milestone/m1', '', 'MILESTONE_VIEW'],
  ['GET /milestone/m1?action=edit', 'MILESTONE_VIEW', 'MILESTONE_MODIFY MILESTONE_CREATE'],
  ['GET /milestone/m1?action=delete', 'MILESTONE_VIEW', 'MILESTONE_DELETE'],
  ['GET /milestone?action=new', 'MILESTONE_VIEW', 'MILESTONE_CREATE'],
  ['POST /milestone/m1', 'MILESTONE_VIEW', 'MILESTONE_CREATE MILESTONE_MODIFY MILESTONE_DELETE'],
  ['POST /milestone/m1', 'MILESTONE_MODIFY', 'MILESTONE_VIEW'],
  ['GET /roadmap', '', 'ROADMAP_VIEW'],
  ['GET /timeline', '', 'TIMELINE_VIEW'],
  ['GET /search', '', 'SEARCH_VIEW'],
  ['GET /search/opensearch', 'SEARCH_VIEW', 'allow'],
  ['GET /browser/trunk', '', 'BROWSER_VIEW FILE_VIEW'],
  ['GET /export/1/x', 'FILE_VIEW', 'allow'],
  ['GET /file/x', 'BROWSER_VIEW', 'allow'],
  ['GET /changeset/1', '', 'CHANGESET_VIEW'],
  ['GET /log/trunk', '', 'LOG_VIEW'],
  ['GET /diff', '', 'BROWSER_VIEW CHANGESET_VIEW'],
  ['GET /wiki', '', 'WIKI_VIEW'],
  ['GET /wiki/a/b/c', 'WIKI_VIEW', 'allow'],
  ['GET /wiki/X?action=edit', 'WIKI_VIEW', 'WIKI_CREATE WIKI_MODIFY'],
  ['GET /wiki/X?%61ction=edit', 'WIKI_VIEW', 'WIKI_CREATE WIKI_MODIFY'],
  ['GET /wiki/X?action=delete', 'WIKI_VIEW WIKI_MODIFY', 'WIKI_DELETE'],
  ['GET /wiki/X?action=rename', 'WIKI_VIEW', 'WIKI_RENAME'],
  ['GET /wiki/X?action=edit_comment', 'WIKI_VIEW WIKI_MODIFY', 'WIKI_ADMIN'],
  ['GET /wiki/X?action=diff', 'WIKI_VIEW', 'allow'],
  ['POST /wiki/X', 'WIKI_VIEW', 'allow'],
  ['POST /wiki/X', '', 'WIKI_VIEW'],
  ['DELETE /wiki/X', 'TRAC_ADMIN', '405'],
  ['GET /attachment/wiki/X/f', '', 'WIKI_VIEW'],
  ['GET /raw-attachment/ticket/1/f', 'WIKI_VIEW', 'TICKET_VIEW'],
  ['POST /attachment/ticket/1/', 'TICKET_VIEW', 'allow'],
  ['GET /zip-attachment/milestone/m/', '', 'MILESTONE_VIEW'],
  ['GET /attachment/other/x', '', 'allow'],
  ['POST /wiki_render', '', 'allow'],
  ['POST /prefs', '', 'allow'],
  ['GET /prefs/userdata', '', 'allow'],
  ['GET /intertrac/x', '', 'allow'],
  ['POST /rpc', 'WIKI_ADMIN', 'XML_RPC'],
  ['POST /login/xmlrpc', 'XML_RPC', 'allow'],
  ['POST /login/jsonrpc', 'TRAC_ADMIN', 'allow'],
  ['GET /login/other', 'TRAC_ADMIN', '404'],
  ['GET /register', 'TRAC_ADMIN', '404'],
  ['GET /reset_password', 'TRAC_ADMIN', '404'],
  ['GET /robots.txt', 'TRAC_ADMIN', '404'],
  ['GET /metrics', 'TRAC_ADMIN', '404'],
  ['GET /debug/pprof', 'TRAC_ADMIN', '404'],
  ['GET /Admin', 'TRAC_ADMIN', '404'],
  ['GET /admin;x=1', 'TRAC_ADMIN', '404'],
  ['GET /administrator', 'TRAC_ADMIN', '404'],
  ['OPTIONS /wiki', 'TRAC_ADMIN', '405'],
  ['TRACE /wiki', 'TRAC_ADMIN', '405'],
  ['FOO /wiki', 'TRAC_ADMIN', '405'],
]

for (const [asked, actions, result] of cases) {
  await t.test(`${asked} with ${actions || 'nothing'}: ${result}`, async (t) => {
    t.equal(judged(asked, actions.split(' ').filter(Boolean)), result)
  })
}

await t.test('every row names actions that Trac has, and XML_RPC', async (t) => {
  const named = tracRoutes.flatMap((row) => [
    ...(row.anyPermission ?? []),
    ...(row.allPermissions ?? []),
  ])
  const unknown = named.filter((name) => !Object.hasOwn(tracActions, name))
  t.strictSame([...new Set(unknown)], ['XML_RPC'])
})

await t.test('row names are unique and all begin with trac:', async (t) => {
  const names = tracRoutes.map((row) => row.name)
  t.equal(new Set(names).size, names.length)
  t.ok(names.every((name) => name.startsWith('trac:')))
})

await t.test(
  'no row can be reached only by nobody: an admin has every GET of the table',
  async (t) => {
    for (const row of tracRoutes) {
      if (!row.methods.includes('GET')) continue
      const path = row.path.replaceAll('**', 'x').replaceAll('*', '1')
      const pairs = Object.entries(row.query ?? {}).flatMap(([name, wanted]) =>
        wanted === false ? [] : [`${name}=${wanted === true ? '1' : [wanted].flat()[0]}`],
      )
      t.equal(judged(`GET ${path}?${pairs.join('&')}`, ['TRAC_ADMIN']), 'allow', row.name)
    }
  },
)

await t.test(
  'what no row matched is judged, in shadow mode, as one that asks for nothing',
  async (t) => {
    const route = unmatchedRoute({ mode: 'shadow', bodyLimit: 7 })
    t.equal(route.name, 'none')
    t.equal(route.upstream, 'trac')
    t.equal(route.bodyLimit, 7)
    t.strictSame(decide(route, holder([])), { allow: true })
  },
)
