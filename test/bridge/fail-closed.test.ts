/** Without a valid signature nothing of Trac is served, wherever it lies and whatever comes with the request. */
import { t } from '../fixtures/tap.js'
import { isLarge } from '../fixtures/scale.js'
import { admin, identityHeaders, nobody, send, sendRaw, sendUnsigned } from '../fixtures/signed.js'
import type { Call } from '../fixtures/signed.js'
import { askPython, both, setIni, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

const form = { headers: [['Cookie', 'trac_form_token=abc; trac_session=visitor1']] } as const

const calls: readonly Call[] = [
  { target: '/' },
  { target: '' },
  { target: '/wiki' },
  { target: '/wiki/WikiStart?format=txt' },
  { target: '/ticket/1?format=csv' },
  { target: '/newticket' },
  { target: '/report/1?format=rss' },
  { target: '/query?format=csv' },
  { target: '/timeline?ticket=on&format=rss' },
  { target: '/roadmap?format=ics' },
  { target: '/search?q=a' },
  { target: '/search/opensearch' },
  { target: '/about' },
  { target: '/admin' },
  { target: '/admin/general/plugin' },
  { target: '/prefs' },
  { target: '/prefs/userinterface' },
  { target: '/login' },
  { target: '/login?referer=/wiki' },
  { target: '/logout' },
  { target: '/attachment/ticket/1/' },
  { target: '/chrome/common/css/trac.css' },
  { target: '/chrome/common/js/jquery.js' },
  { target: '/chrome/site/none.txt' },
  { target: '/pygments/trac.css' },
  { target: '/no/such/page' },
  { target: '/no/such/page/' },
  { target: '/robots.txt' },
  { target: '/favicon.ico' },
  { target: '/rpc' },
  { target: '/login/rpc' },
  { target: '/diff' },
  { target: '/intertrac/ticket:1' },
  { target: '/wiki/WikiStart', method: 'HEAD' },
  { target: '/chrome/common/css/trac.css', method: 'HEAD' },
  { target: '/wiki/WikiStart', method: 'DELETE', body: '' },
  { target: '/wiki/WikiStart', method: 'OPTIONS', body: '' },
  { target: '/prefs', method: 'POST', body: 'name=Mallory&__FORM_TOKEN=abc&action=save', ...form },
  {
    target: '/wiki_render',
    method: 'POST',
    body: 'id=WikiStart&text=secret&__FORM_TOKEN=abc',
    ...form,
  },
  {
    target: '/newticket',
    method: 'POST',
    body: 'field_summary=x&submit=1&__FORM_TOKEN=abc',
    ...form,
  },
  { target: '/logout', method: 'POST', body: '__FORM_TOKEN=abc', ...form },
  { target: '/no/such/page', method: 'POST', body: '__FORM_TOKEN=abc', ...form },
  { target: '/rpc', method: 'POST', body: '{}', contentType: 'application/json' },
]

/** What every client could send to the port of Trac. */
const pretences: readonly (readonly [name: string, headers: Call['headers']])[] = [
  ['nothing', []],
  [
    'an identity without a signature',
    [
      ['X-Trac-User', 'ada'],
      ['X-Trac-Perms', 'TRAC_ADMIN'],
    ],
  ],
  ['an empty signature', [['X-Trac-Signature', '']]],
  ['a trac_auth cookie', [['Cookie', 'trac_auth=0123456789abcdef0123456789abcdef']]],
  ['a Remote-User', [['Remote-User', 'ada']]],
  ['Basic credentials', [['Authorization', 'Basic YWRhOmFkYQ==']]],
]

async function storedVisitors(fixture: Fixture): Promise<unknown> {
  return askPython(
    fixture.python,
    `import json, sys
from trac.env import Environment
env = Environment(sys.argv[1])
print(json.dumps([list(row) for row in env.db_query(
    "SELECT sid, name, value FROM session_attribute WHERE value = 'Mallory'")]))`,
    fixture.environment,
  )
}

for (const server of both) {
  const fixture = await startFixture(t, server, { basePath: '/trac' })
  await t.test(`${server} answers 403 to everything without a signature`, async (t) => {
    for (const [which, [name, headers]] of pretences.entries()) {
      const answered: string[] = []
      // With nothing, all of them; each of the others with every sixth, another sixth each: all in the long run.
      for (const call of calls.filter((_, n) => isLarge || which === 0 || n % 6 === which)) {
        const target = `/trac${call.target}`
        const answer = await sendUnsigned(fixture, {
          ...call,
          target,
          headers: [...(call.headers ?? []), ...(headers ?? [])],
        })
        if (answer.status !== 403 || !answer.body.includes('The request has no X-Trac-Signature')) {
          if (answer.status !== 403 || call.method !== 'HEAD') {
            answered.push(`${call.method ?? 'GET'} ${target}: ${answer.status}`)
          }
        }
      }
      t.strictSame(answered, [], `with ${name}`)
    }
    t.strictSame(await storedVisitors(fixture), [], 'and stores nothing')
  })

  await t.test(`${server} is left to say who it is only if it is set up for that`, async (t) => {
    const call = { target: '/trac/wiki', from: nobody, kind: 'legacy' } as const
    const refused = await send(fixture, call)
    t.equal(refused.status, 403)
    t.match(refused.body, 'legacy is not true in trac.ini. Set both, or neither.')
    const named = await send(fixture, { ...call, from: admin })
    t.match(named.body, 'X-Trac-Kind is legacy, and the gateway names somebody')
    await setIni(fixture.environment, 'trac_gateway', 'legacy', 'true')
    const misplaced = await send(fixture, call)
    t.equal(misplaced.status, 403)
    t.match(
      misplaced.body,
      'permission_policies must end with LegacyAttachmentPolicy, TracGatewayPolicy, DefaultPermissionPolicy',
    )
    await setIni(fixture.environment, 'trac_gateway', 'legacy', undefined)
  })

  await t.test(`${server} answers the same requests when they are signed`, async (t) => {
    const refused: string[] = []
    for (const call of calls) {
      const answer = await send(fixture, { ...call, from: admin, target: `/trac${call.target}` })
      // Deleting over HTTP, logging out and the like are nothing to Trac, but not the bridge's 403.
      if (answer.status === 403) refused.push(`${call.method ?? 'GET'} ${call.target}`)
    }
    t.strictSame(refused, [])
  })

  await t.test(
    `${server} knows no user and no right when the signature is of another request`,
    async (t) => {
      const call = {
        target: '/trac',
        from: admin,
        headers: [['Cookie', 'trac_session=visitor1']],
      } as const
      const headers = identityHeaders(fixture, { ...call, signed: { path: '/trac/about' } })
      const answer = await sendRaw(fixture, call, headers)
      t.equal(answer.status, 403)
      t.notMatch(answer.body, /trac-author|id="logout"|href="\/trac\/(?:admin|timeline|newticket)"/)
      t.match(answer.body, 'href="/trac/login"', 'but shows the way to sign in')
    },
  )
}
