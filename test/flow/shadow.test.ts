/** Shadow mode: what would have been refused is counted and let through, authentication is never weaker. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import type { Overlay } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { ask, codeOf } from '../fixtures/wire.js'

const { provider, sam, bearerOf } = await stage(t, { provider: 'cognito', gateway: false })
const token = await bearerOf(sam)

async function start(t: Test, overlay: Overlay) {
  const s = await stage(t, { provider, upstream: true, api: true, overlay })
  const decisions = () =>
    s.gateway.lines
      .filter((line) => line['msg'] === 'decision')
      .map((line) => `${String(line['route'])} ${String(line['result'])} ${String(line['mode'])}`)
  return { ...s, decisions }
}

const routes = [
  {
    name: 'api',
    path: '/api/**',
    upstream: 'api',
    mode: 'shadow',
    require: { anyGroup: ['admins'] },
  },
  { name: 'clients', path: '/clients', upstream: 'api', mode: 'shadow', credentials: ['bearer'] },
  { name: 'shut', path: '/shut', upstream: 'api', mode: 'shadow', access: 'deny' },
  { name: 'strict', path: '/strict', upstream: 'api' },
]

await t.test('a route in shadow mode lets through what it would have refused', async (t) => {
  const { gateway, upstream, decisions, cookieOf } = await start(t, { routes })
  const cookie = await cookieOf(sam)

  await t.test('the route lets an anonymous visitor through as anonymous', async (t) => {
    const answer = await ask(gateway, 'GET /trac/api/x')
    t.equal(answer.status, 200)
    t.equal(upstream.lastHeaders()['x-trac-user'], '')
    t.ok(decisions().includes('api ERR_LOGIN_REQUIRED shadow'))
  })
  await t.test('the route lets somebody without the group through as themselves', async (t) => {
    const answer = await ask(gateway, 'GET /trac/api/x', [token])
    t.equal(answer.status, 200)
    t.equal(upstream.lastHeaders()['x-trac-user'], 'sam')
    t.notMatch(upstream.lastHeaders()['x-trac-perms'], /TRAC_ADMIN/)
    t.ok(decisions().includes('api ERR_GROUP_REQUIRED shadow'))
  })
  await t.test('the route counts each decision in trac_gateway_decisions_total', async (t) => {
    const metrics = await gateway.metrics()
    t.match(
      metrics,
      /trac_gateway_decisions_total\{[^}]*route="api",result="ERR_GROUP_REQUIRED",mode="shadow"[^}]*\} 1/,
    )
  })
  await t.test('the request line says what the route let pass', async (t) => {
    const lines = gateway.lines.filter((line) => line['msg'] === 'request')
    t.ok(lines.some((line) => line['shadow'] === 'ERR_GROUP_REQUIRED' && line['status'] === 200))
  })
  await t.test('the route lets the wrong kind of credential through', async (t) => {
    t.equal((await ask(gateway, 'GET /trac/clients', [cookie])).status, 200)
    t.ok(decisions().includes('clients ERR_CREDENTIAL_NOT_ACCEPTED shadow'))
  })
  await t.test('the route lets a cross-site request through', async (t) => {
    const answer = await ask(gateway, 'POST /trac/api/x', [cookie, 'Origin: http://evil.example'])
    t.equal(answer.status, 200)
    t.ok(decisions().includes('api ERR_CROSS_SITE shadow'))
  })
  await t.test('the route still refuses a bad token', async (t) => {
    const answer = await ask(gateway, 'GET /trac/api/x', ['Authorization: Bearer x'])
    t.equal(answer.status, 401)
    t.equal(codeOf(answer), 'ERR_TOKEN_MALFORMED')
  })
  await t.test(
    'the gateway still refuses what is denied, what no row matches, and what is too large',
    async (t) => {
      t.equal((await ask(gateway, 'GET /trac/shut', [token])).status, 403)
      t.equal((await ask(gateway, 'GET /trac/auth/nowhere', [token])).status, 404)
      t.equal((await ask(gateway, 'PUT /trac/wiki', [token])).status, 405)
      t.equal(
        (await ask(gateway, 'POST /trac/api/x', [token, 'Content-Length: 999999999'])).status,
        413,
      )
      t.equal((await ask(gateway, 'GET /trac/api/../x', [token])).status, 400)
    },
  )
  await t.test('the other routes stay as they are', async (t) => {
    t.equal((await ask(gateway, 'GET /trac/strict')).status, 401)
    t.equal((await ask(gateway, 'GET /trac/admin', [token])).status, 403)
  })
})

await t.test('a gateway in shadow mode lets through what it would have refused', async (t) => {
  const { gateway, upstream, decisions, cookieOf } = await start(t, {
    mode: 'shadow',
    routes,
  })
  await t.test('the gateway lets denied and unmatched requests through to Trac', async (t) => {
    for (const line of [
      'GET /trac/shut',
      'GET /trac/auth/nowhere',
      'PUT /trac/wiki',
      'POST /trac/',
    ]) {
      t.equal((await ask(gateway, line, [token])).status, 200, line)
      t.equal(upstream.lastHeaders()['x-trac-user'], 'sam')
    }
    t.ok(decisions().includes('none ERR_ROUTE_UNKNOWN shadow'))
    t.ok(decisions().includes('none ERR_METHOD_NOT_ALLOWED shadow'))
    t.ok(decisions().includes('shut ERR_ROUTE_DENIED shadow'))
  })
  await t.test('a rule that says enforce is enforced', async (t) => {
    const before = upstream.received.length
    const enforced = { name: 'bites', path: '/bites/**', mode: 'enforce' }
    t.equal(await gateway.reload({ mode: 'shadow', routes: [enforced, ...routes] }), true)
    t.equal((await ask(gateway, 'GET /trac/bites')).status, 401)
    t.ok(decisions().includes('bites ERR_LOGIN_REQUIRED enforce'))
    const site = [await cookieOf(sam), 'Origin: http://evil.example', 'Content-Length: 0']
    t.equal((await ask(gateway, 'POST /trac/bites', site)).status, 403, 'another site’s form')
    t.equal(upstream.received.length, before)
    t.equal((await ask(gateway, 'GET /trac/shut', [token])).status, 200, 'the others are not')
  })
  await t.test('the gateway lets the GET that writes through and counts it', async (t) => {
    t.equal((await ask(gateway, 'GET /trac/ticket/1?edit_comment=1', [token])).status, 200)
    t.ok(decisions().includes('trac:ticket ERR_UNSAFE_GET shadow'))
  })
  await t.test('the gateway still refuses a bad token everywhere', async (t) => {
    for (const path of ['/wiki', '/auth/nowhere', '/shut', '/api/x', '/chrome/x']) {
      const answer = await ask(gateway, `GET /trac${path}`, ['Authorization: Bearer x'])
      t.equal(answer.status, 401, path)
    }
  })
  await t.test('the gateway never hands an identity to who has none', async (t) => {
    const before = upstream.received.length
    await ask(gateway, 'GET /trac/admin', ['X-Trac-User: alice', 'X-Trac-Perms: TRAC_ADMIN'])
    t.equal(upstream.received.length, before + 1)
    t.equal(upstream.lastHeaders()['x-trac-user'], '')
    t.notMatch(upstream.lastHeaders()['x-trac-perms'], /ADMIN/)
  })
  await t.test('the gateway never forwards OPTIONS to Trac', async (t) => {
    const before = upstream.received.length
    t.equal((await ask(gateway, 'OPTIONS /trac/wiki')).status, 204)
    t.equal(upstream.received.length, before)
  })
})
