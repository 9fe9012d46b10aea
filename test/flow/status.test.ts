/** `GET /` of the admin listener: how it stands, without the name of anybody unless the token of the listener comes along. */
import { t } from '../fixtures/tap.js'
import { secretOf } from '../fixtures/config.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'
import type { StatusReport } from '../../src/app/status/report.js'

const adminToken = secretOf('a')
const api = { name: 'api', path: '/api/**', upstream: 'api' }
const tried = {
  ...api,
  name: 'tried',
  path: '/tried/**',
  mode: 'shadow',
  require: { anyGroup: ['admins'] },
}
const listener = { token: { fromEnv: 'ADMIN' }, hosts: ['Gateway.internal'] }
const s = await stage(t, {
  provider: 'scripted',
  upstream: true,
  api: { url: 'http://127.0.0.1:9' },
  env: { ADMIN: adminToken },
  overlay: {
    admin: listener,
    routes: [api, tried],
  },
})
const { gateway, provider, url, clock } = s
const admin = { port: Number(new URL(gateway.adminUrl).port) }
const asOperator = `Authorization: Bearer ${adminToken}`
const report = async (...headers: readonly string[]) => {
  const answer = await ask(admin, 'GET /', ['Accept: application/json', ...headers])
  return JSON.parse(answer.body) as StatusReport
}
const page = (...headers: readonly string[]) =>
  ask(admin, 'GET /', ['Accept: text/html', ...headers])

await until(async () => (await report()).readiness.ready, 'it is ready')

await t.test(
  'it tells the version, the configuration and where keys and upstreams stand',
  async (t) => {
    const found = await report()
    t.match(found, {
      version: /^\d+\.\d+\.\d+/,
      node: process.version,
      readiness: { ready: true, degraded: [] },
      configuration: { generation: 1 },
      providers: [
        { issuer: provider.issuer, main: true, keys: { known: true, ageSeconds: Number } },
      ],
      sessions: { store: 'cookie', inMemory: 0 },
      revocations: { kept: 0, max: 1_000_000, in: 'memory' },
      upstreams: [
        { name: 'trac', url: s.upstream.url, state: 'reached' },
        { name: 'api', state: 'not asked yet', requests: { taken: 0, max: 64, waiting: 0 } },
      ],
      refusals: [],
      shadow: [{ route: 'tried', allowed: 0, refused: {} }],
    })
    t.equal(found.configuration.lastRefusal, undefined)
  },
)

await t.test('it tells the latest refusal of each code, with a request to look for', async (t) => {
  const visitor = await s.signIn({ username: 'mary', groups: ['students'] })
  const get = (path: string, id: string) =>
    visitor.fetch(url + path, { headers: { 'x-request-id': id } })
  for (const id of ['first', 'second']) await get('/admin/general/basics', id)
  await get('/api/x', 'third')
  await get('/wiki', 'fourth')
  await get('/tried/x', 'fifth')
  const found = await report()
  t.match(found.refusals, [
    { code: 'ERR_UPSTREAM_UNREACHABLE', count: 2, status: 502, requestId: 'fifth', route: 'tried' },
    { code: 'ERR_PERMISSION_REQUIRED', count: 2, status: 403, requestId: 'second' },
  ])
  t.equal(found.sessions.inMemory, 1)
  const [trac, other] = found.upstreams
  t.match(trac, { state: 'answers', latency: { answers: 2, half: Number, of99: Number } })
  t.match(other, { state: 'fails', lastFault: { code: 'ERR_UPSTREAM_UNREACHABLE' } })
  t.strictSame(found.shadow, [{ route: 'tried', allowed: 0, refused: { ERR_GROUP_REQUIRED: 1 } }])
})

await t.test('names of people need the token', async (t) => {
  for (const text of [JSON.stringify(await report()), (await page()).body]) t.notMatch(text, 'mary')
  const named = await report(asOperator)
  t.match(named.refusals, [{ user: 'mary' }, { user: 'mary' }])
  t.match((await page(asOperator)).body, 'user mary')
  const wrong = await page('Authorization: Bearer another')
  t.equal(wrong.status, 401)
  t.match(wrong.header('www-authenticate'), 'Bearer')
})

await t.test('it tells of a configuration that was refused, when and why', async (t) => {
  const aliases = { 'mary@idp': 'mary@example.edu,x' }
  const reload = async () =>
    await gateway.reload({ admin: listener, identity: { username: { aliases } } })
  const refused = await reload().catch((error: unknown) => error)
  gateway.gateway.refuseReload(refused)
  clock.advance(60_000)
  const { configuration, readiness } = await report()
  t.equal(readiness.ready, true)
  t.ok(readiness.degraded.includes('the new configuration is refused'))
  t.match(configuration, {
    generation: 1,
    lastRefusal: { isOpen: true, why: [/\.yaml:\d+:\d+: /] },
  })
  t.notMatch((await page()).body, /mary/)
  const told = await page(asOperator)
  t.match(told.body, /identity\.username\.aliases/)
  t.match(told.body, 'a comma')
  t.match(told.body, '1 min ago')

  await gateway.reload({
    admin: listener,
    routes: [api, tried, { ...api, name: 'more', path: '/more' }],
  })
  t.match((await report()).configuration, { generation: 2, lastRefusal: { isOpen: false } })
})

await t.test('it is never kept, and runs nothing', async (t) => {
  const answer = await page()
  t.equal(answer.status, 200)
  t.equal(answer.header('cache-control'), 'no-store')
  t.equal(answer.header('content-type'), 'text/html; charset=utf-8')
  t.equal(answer.header('x-content-type-options'), 'nosniff')
  t.match(
    answer.header('content-security-policy'),
    /^default-src 'none'; .*form-action 'self'; frame-ancestors 'none'/,
  )
  const data = await ask(admin, 'GET /', ['Accept: application/json'])
  t.equal(data.header('cache-control'), 'no-store')
  t.equal(data.header('vary'), 'Accept')
})

await t.test('the listener is asked by address, localhost or a name of its own', async (t) => {
  const ports = `:${admin.port}`
  for (const host of [
    '127.0.0.1',
    `127.0.0.1${ports}`,
    '[::1]:1',
    'LOCALHOST',
    'gateway.internal:9',
  ]) {
    t.equal((await ask(admin, 'GET /healthz', [`Host: ${host}`])).status, 200, host)
  }
  const foreign = [
    'evil.example',
    `evil.example${ports}`,
    'localhost.evil.example',
    '1.2.3.4.evil.example',
    '',
  ]
  for (const host of foreign) {
    for (const line of ['GET /', 'GET /metrics', 'GET /healthz', 'POST /revoke']) {
      const answer = await ask(admin, line, [`Host: ${host}`, asOperator, 'Content-Length: 0'])
      t.equal(answer.status, 421, `${line} by “${host}”`)
      t.match(answer.body, 'admin.hosts')
    }
  }
})

await t.test('before anything was reached it says what is not, and why', async (t) => {
  const issuer = `http://127.0.0.1:${await freePort()}`
  const { gateway: alone } = await stage(t, { issuer })
  const place = { port: Number(new URL(alone.adminUrl).port) }
  const found = async () =>
    JSON.parse((await ask(place, 'GET /', ['Accept: application/json'])).body) as StatusReport
  await until(async () => (await found()).readiness.degraded.length === 2, 'both were tried')
  t.match(await found(), {
    readiness: { ready: false, waiting: ['keys', 'upstream'] },
    providers: [{ keys: { known: false, lastFault: 'nothing listens there' } }],
    upstreams: [{ name: 'trac', state: 'not reached yet', connections: 0 }],
  })
  const { body } = await ask(place, 'GET /', ['Accept: text/html'])
  t.match(body, 'Not ready: these were not reached yet: keys, upstream.')
  t.match(body, 'keys are not known yet')
  t.match(body, 'the latest fetch failed: nothing listens there')
})
