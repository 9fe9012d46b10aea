/** mod_auth_openidc 2026: a preflight passes without a credential, and is scrubbed like everything else that passes. */
import { t } from '../fixtures/tap.js'
import { startAttacked } from '../fixtures/attacked.js'
import { ask } from '../fixtures/wire.js'

const said = [
  ...['X-Trac-User: admin', 'X_Trac_User: admin', 'x-trac_user: admin', 'X-Trac-Perms: TRAC_ADMIN'],
  ...[
    'X_TRAC_PERMS: TRAC_ADMIN',
    'X-Trac-Signature: v1;t=1',
    'Remote-User: admin',
    'REMOTE_USER: admin',
  ],
  ...['X-Forwarded-User: admin', 'X-Amzn-Oidc-Data: admin', 'X-Original-URL: /admin'],
]

await t.test('identity headers of a preflight are not told to the upstream', async (t) => {
  const { gateway, upstream, alice, bearerOf, cookieOf } = await startAttacked(t, {
    routes: [{ name: 'put', path: '/api/**', methods: ['PUT'], upstream: 'api' }],
  })
  const asks = ['Origin: https://app.example', 'Access-Control-Request-Method: PUT']
  const credentials = [[], [await bearerOf(alice)], [await cookieOf(alice)]]
  for (const credential of credentials) {
    for (const extra of [said, [...said, 'Connection: close, X-Trac-User, X-Trac-Perms']]) {
      const before = upstream.received.length
      const answer = await ask(gateway, 'OPTIONS /trac/api/x', [...asks, ...credential, ...extra])
      t.equal(answer.status, 200)
      t.equal(upstream.received.length, before + 1)
      const { rawHeaders, method } = upstream.received.at(-1)!
      t.equal(method, 'OPTIONS')
      const text = rawHeaders.join('\n')
      t.notMatch(text, /admin|v1;t=1$|authorization|cookie|remote.user/im)
      const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
      for (const name of ['x-trac-user', 'x-trac-perms']) {
        t.equal(names.filter((it) => it === name).length, 1, `${name} once`)
      }
      t.notOk(names.some((name) => name.includes('_')))
      t.equal(upstream.lastHeaders()['x-trac-user'], '')
    }
  }
})
