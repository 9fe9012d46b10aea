/**
 * The built-in table: what each address of Trac asks of whom, why each row is right for a closed site, and that the row
 * for plugins opens nothing that another row refuses.
 */
import { t } from '../fixtures/tap.js'
import { compileRoutes, unmatchedRoute } from '../../src/authorize/compile-routes.js'
import { decide } from '../../src/authorize/decide.js'
import { createRouter } from '../../src/authorize/router.js'
import { pluginsRow, tracRoutes } from '../../src/trac/routes.js'
import { anyView, expandActions, tracActions } from '../../src/trac/permissions.js'
import { loadText, minimal } from '../fixtures/config.js'
import type { GatewayError } from '../../src/core/errors.js'
import type { Identity } from '../../src/core/identity.js'

const defaults = { mode: 'enforce', bodyLimit: 1 } as const
const router = createRouter(compileRoutes([], true, defaults))
const strict = createRouter(compileRoutes([], 'strict', defaults))

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
    claimed: [],
    leftOut: [],
    identityHeaders: { user: '', perms: '', email: '', name: '' },
  }
  return { principal, via: 'session', expiresAt: 0, accessToken: undefined }
}

/** `allow`, the missing actions or the code, or the status of no match. */
function judged(asked: string, actions: readonly string[], table = router): string {
  try {
    return judgedBy(table, asked, holder(actions))
  } catch (error) {
    return (error as GatewayError).code
  }
}

function judgedBy(table: typeof router, asked: string, identity: Identity): string {
  const [method = '', target = ''] = asked.split(' ')
  const [path = '', query = ''] = target.split('?')
  const { route, ...other } = table(method, path, query)
  if (route === undefined) return 'allow' in other && other.allow.length > 0 ? '405' : '404'
  const decision = decide(route, identity)
  return decision.allow ? 'allow' : decision.missing.join(' ') || decision.code
}

const admins =
  'TRAC_ADMIN TICKET_ADMIN MILESTONE_ADMIN PERMISSION_GRANT PERMISSION_REVOKE VERSIONCONTROL_ADMIN'

/** What is asked, with which actions, and what is missing. */
const cases: readonly (readonly [asked: string, actions: string, result: string])[] = [
  ['GET /', '', 'WIKI_VIEW'],
  ['GET /', 'WIKI_VIEW', 'allow'],
  ['POST /', 'TRAC_ADMIN', '405'],
  ['GET /chrome/common/css/trac.css', '', 'allow'],
  ['POST /chrome/common/css/trac.css', 'TRAC_ADMIN', '405'],
  ['GET /pygments/trac.css', '', 'allow'],
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
  ['GET /newticket/', 'TICKET_VIEW', 'TICKET_CREATE'],
  ['GET /newticket/', 'TICKET_CREATE', 'allow'],
  ['GET /timeline/', '', 'TIMELINE_VIEW'],
  ['GET /roadmap/', 'ROADMAP_VIEW', 'allow'],
  ['GET /ticket/1/', 'TICKET_VIEW', 'allow'],
  ['POST /ticket/1/', '', 'TICKET_VIEW'],
  ['GET /about/', '', 'allow'],
  ['POST /login/rpc/', '', 'XML_RPC'],
  ['GET /ticket/1', '', 'TICKET_VIEW'],
  ['GET /ticket/1', 'TICKET_VIEW', 'allow'],
  ['POST /ticket/1', 'TICKET_CREATE', 'TICKET_VIEW'],
  ['POST /ticket/1', 'TICKET_VIEW', 'allow'],
  ['GET /ticket/1/2', '', '*_VIEW'],
  ['POST /batchmodify', 'TICKET_MODIFY', 'TICKET_BATCH_MODIFY'],
  ['GET /batchmodify', 'TRAC_ADMIN', '405'],
  ['GET /query?status=new', '', 'TICKET_VIEW'],
  ['GET /report', '', 'REPORT_VIEW'],
  ['GET /report/1', 'REPORT_VIEW', 'allow'],
  ['GET /report?action=new', 'REPORT_VIEW', 'REPORT_CREATE'],
  ['GET /report/1?action=edit', 'REPORT_VIEW', 'REPORT_MODIFY'],
  ['GET /report/1?action=copy', 'REPORT_VIEW', 'REPORT_MODIFY'],
  ['GET /report/1?action=new', 'REPORT_VIEW REPORT_CREATE', 'REPORT_MODIFY'],
  ['GET /report?action=edit', 'REPORT_VIEW', 'REPORT_CREATE'],
  ['GET /report/1?format=sql', 'REPORT_VIEW', 'REPORT_SQL_VIEW'],
  ['GET /report/1?format=csv', 'REPORT_VIEW', 'allow'],
  ['GET /report/1?action=delete', 'REPORT_VIEW REPORT_MODIFY', 'REPORT_DELETE'],
  ['POST /report/1', 'REPORT_VIEW', 'allow'],
  ['GET /milestone/m1', '', 'MILESTONE_VIEW'],
  ['GET /milestone/m1?action=edit', 'MILESTONE_VIEW', 'MILESTONE_MODIFY MILESTONE_CREATE'],
  ['GET /milestone/m1?action=delete', 'MILESTONE_VIEW', 'MILESTONE_DELETE'],
  ['GET /milestone?action=new', 'MILESTONE_VIEW', 'MILESTONE_CREATE'],
  ['GET /milestone?action=edit', 'MILESTONE_VIEW MILESTONE_MODIFY', 'MILESTONE_CREATE'],
  ['GET /milestone/m1?action=new', 'MILESTONE_VIEW MILESTONE_MODIFY', 'allow'],
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
  ['GET /wiki/X?x;action=delete', 'TRAC_ADMIN', 'ERR_QUERY_AMBIGUOUS'],
  ['GET /wiki/X?x;y=1', 'WIKI_VIEW', 'allow'],
  ['POST /wiki/X?x;action=delete', 'WIKI_VIEW', 'allow'],
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
  ['GET /attachment/ticket/1/?action=new', 'TICKET_VIEW', 'TICKET_APPEND ATTACHMENT_CREATE'],
  ['GET /attachment/wiki/X/?action=new', 'WIKI_VIEW ATTACHMENT_CREATE', 'allow'],
  ['GET /zip-attachment/milestone/m/', '', 'MILESTONE_VIEW'],
  ['GET /attachment/other/x', '', 'allow'],
  ['POST /wiki_render', '', 'allow'],
  ['POST /prefs', '', 'allow'],
  ['GET /prefs/userdata', '', 'allow'],
  ['GET /intertrac/x', '', 'allow'],
  ['GET /wiki_render', 'WIKI_VIEW', 'TRAC_ADMIN'],
  ['POST /rpc', 'WIKI_ADMIN', 'XML_RPC'],
  ['POST /login/xmlrpc', 'XML_RPC', 'allow'],
  ['POST /login/jsonrpc', 'TRAC_ADMIN', 'allow'],
  ['GET /login/other', 'TRAC_ADMIN', '404'],
  ['GET /register', 'TRAC_ADMIN', 'ERR_ROUTE_DENIED'],
  ['POST /register/x', 'TRAC_ADMIN', 'ERR_ROUTE_DENIED'],
  ['POST /reset_password', 'TRAC_ADMIN', 'ERR_ROUTE_DENIED'],
  ['GET /verify_email/', 'TRAC_ADMIN', 'ERR_ROUTE_DENIED'],
  ['GET /blog', '', '*_VIEW'],
  ['GET /blog', 'WIKI_CREATE', '*_VIEW'],
  ['GET /blog', 'TAGS_VIEW', 'allow'],
  ['POST /tags/x', 'WIKI_VIEW', 'allow'],
  ['GET /user/alice', 'TRAC_ADMIN', 'allow'],
  ['PUT /blog', 'TRAC_ADMIN', '405'],
  ['GET /auth', 'TRAC_ADMIN', '404'],
  ['GET /auth/nothing', 'TRAC_ADMIN', '404'],
  ['GET /logout/x', 'TRAC_ADMIN', '404'],
  ['GET /robots.txt', '', '*_VIEW'],
  ['GET /Admin', '', '*_VIEW'],
  ['GET /admin;x=1', '', '*_VIEW'],
  ['OPTIONS /wiki', 'TRAC_ADMIN', '405'],
  ['TRACE /wiki', 'TRAC_ADMIN', '405'],
  ['FOO /wiki', 'TRAC_ADMIN', '405'],
]

for (const [asked, actions, result] of cases) {
  await t.test(`${asked} with ${actions || 'nothing'}: ${result}`, async (t) => {
    t.equal(judged(asked, actions.split(' ').filter(Boolean)), result)
  })
}

await t.test('every row names actions that Trac has, and those of plugins', async (t) => {
  const named = tracRoutes.flatMap((row) => [
    ...(row.anyPermission ?? []),
    ...(row.allPermissions ?? []),
  ])
  const unknown = named.filter((name) => !Object.hasOwn(tracActions, name))
  t.strictSame([...new Set(unknown)], ['ATTACHMENT_CREATE', 'XML_RPC', anyView])
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
      if (!row.methods.includes('GET') || row.closed === true) continue
      const path = row.path.replaceAll('**', 'x').replaceAll('*', '1')
      const pairs = Object.entries(row.query ?? {}).flatMap(([name, wanted]) =>
        wanted === false ? [] : [`${name}=${wanted === true ? '1' : [wanted].flat()[0]}`],
      )
      t.equal(judged(`GET ${path}?${pairs.join('&')}`, ['TRAC_ADMIN']), 'allow', row.name)
    }
  },
)

/** What an anonymous visitor of a closed site (`anonymous: []`) gets at each row, and why that is right. */
const onClosedSite: readonly (readonly [
  rows: RegExp,
  verdict: 'allow' | 'sign in' | 'nobody',
  why: string,
])[] = [
  [
    /^(chrome|pygments)$/,
    'allow',
    'files of Trac and its plugins, the same for everybody; no work',
  ],
  [/^about(-trac)?$/, 'allow', 'a fixed page; what it tells of the site wants CONFIG_VIEW in Trac'],
  [/^admin/, 'sign in', 'wants an administrative right'],
  [/^(newticket|ticket|batchmodify|query)/, 'sign in', 'tickets want a right to them'],
  [/^report/, 'sign in', 'runs SQL'],
  [/^(milestone|roadmap|timeline|search)/, 'sign in', 'lists objects, so it wants their right'],
  [/^(browser|export|file|changeset|log|diff)$/, 'sign in', 'reads a repository'],
  [/^wiki-render/, 'sign in', 'runs macros, and Trac asks for no right'],
  [/^wiki/, 'sign in', 'pages want a right to them'],
  [/attachment-(wiki|ticket|milestone)/, 'sign in', 'wants the right to what it is attached to'],
  [
    /attachment$/,
    'sign in',
    'a plugin’s objects: Trac looks for the parent before it asks for a right',
  ],
  [/^prefs$/, 'sign in', 'makes and writes a session for whoever asks'],
  [/^intertrac$/, 'sign in', 'a redirect to wherever the request says'],
  [/^(login-)?(rpc|xmlrpc|jsonrpc)$/, 'sign in', 'wants XML_RPC'],
  [/^home$/, 'sign in', 'a wiki page'],
  [/^accounts/, 'nobody', 'the provider makes accounts'],
  [
    /^plugins$/,
    'sign in',
    'Trac judges its plugins’ pages, but not for somebody who may view nothing',
  ],
]

await t.test(
  'each row is justified for a site on which anonymous visitors may do nothing',
  async (t) => {
    const anonymous: Identity = { ...holder([]), via: undefined }
    for (const route of compileRoutes([], true, defaults)) {
      const reasons = onClosedSite.filter(([rows]) => rows.test(route.name.slice('trac:'.length)))
      const [, verdict, why] = reasons[0] ?? []
      const decision = decide(route, anonymous)
      const found = decision.allow ? 'allow' : decision.code
      const wanted = { allow: 'allow', 'sign in': 'ERR_LOGIN_REQUIRED', nobody: 'ERR_ROUTE_DENIED' }
      t.equal(found, verdict && wanted[verdict], `${route.name}: ${why}`)
    }
  },
)

await t.test(
  'whoever may view something, or has signed in, gets what Trac shows to everybody',
  async (t) => {
    const viewer: Identity = { ...holder(['TICKET_VIEW']), via: undefined }
    for (const asked of [
      'POST /wiki_render',
      'GET /prefs',
      'GET /intertrac/ticket:1',
      'GET /attachment/blog/1/',
    ]) {
      t.equal(judged(asked, []), 'allow', `${asked}, signed in`)
      t.equal(judgedBy(router, asked, viewer), 'allow', `${asked}, a viewer`)
    }
  },
)

/** A path of the row that no row before it has. */
function pathOf(path: string): string {
  return path === '/**' ? '/blog/x' : path.replaceAll('**', 'x').replaceAll('*', '1')
}

await t.test(
  'the row for plugins changes nothing at the address of any other row, whatever the method and the query',
  async (t) => {
    let compared = 0
    const queries = [
      '',
      'action=edit',
      'action=delete',
      'action=x',
      'page=A',
      'id=1',
      'x;action=new',
    ]
    for (const row of tracRoutes) {
      if (row.name === pluginsRow) continue
      const paths = [pathOf(row.path), `${pathOf(row.path)}/`, row.path.replace(/\/\*\*$/, '')]
      for (const path of paths.filter((one) => one !== '' && !one.includes('//'))) {
        for (const method of [
          'GET',
          'HEAD',
          'POST',
          'PUT',
          'DELETE',
          'OPTIONS',
          'PROPFIND',
          'FOO',
        ]) {
          for (const query of queries) {
            for (const actions of [[], ['WIKI_VIEW'], ['TRAC_ADMIN']]) {
              const asked = `${method} ${path}?${query}`
              const withIt = judged(asked, actions)
              const without = judged(asked, actions, strict)
              compared += 1
              if (withIt !== without) t.equal(withIt, without, `${row.name}: ${asked}`)
            }
          }
        }
      }
    }
    t.ok(compared > 10_000)
  },
)

await t.test('strict leaves out the row for plugins alone', async (t) => {
  const names = compileRoutes([], 'strict', defaults).map(({ name }) => name)
  const all = tracRoutes.map(({ name }) => name)
  t.strictSame(names, all.slice(0, -1))
  t.equal(all.at(-1), pluginsRow)
  t.equal(judged('GET /blog', ['TRAC_ADMIN'], strict), '404')
})

await t.test(
  'a path that a rule of the operator’s own has by any method is no plugin’s page',
  async (t) => {
    const rows =
      '{ name: put, path: /blog/**, methods: [PUT] }, { name: q, path: /tags, query: { a: b } }'
    const { config } = loadText(`${minimal}routes: [${rows}]\n`)
    const own = createRouter(compileRoutes(config.routes, true, defaults))
    t.equal(judged('GET /blog/x', ['TRAC_ADMIN'], own), '405')
    t.equal(judged('GET /tags', ['TRAC_ADMIN'], own), '404')
    t.equal(judged('GET /tags/x', ['TRAC_ADMIN'], own), 'allow')
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
