/** CORS: a preflight is judged as what it asks for; no other origin reads what a cookie opened. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask, codeOf } from '../fixtures/wire.js'

const allowing = {
  'Access-Control-Allow-Origin': 'https://app.example',
  'Access-Control-Allow-Credentials': 'true',
  'access-control-allow-methods': 'PUT',
}
const { sam, upstream, api, gateway, bearerOf, cookieOf } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: 'own',
  apiAnswer: (_request, response) => void response.writeHead(200, allowing).end('{}'),
  overlay: {
    routes: [
      { name: 'shut', path: '/api/shut', upstream: 'api', access: 'deny' },
      { name: 'put', path: '/api/put', upstream: 'api', methods: ['PUT'] },
      { name: 'api', path: '/api/**', upstream: 'api', methods: ['GET', 'POST'] },
      { name: 'page', path: '/page', access: 'public' },
    ],
  },
})
const cookie = await cookieOf(sam)
const token = await bearerOf(sam)
const from = 'Origin: https://app.example'
const asks = (method: string) => [from, `Access-Control-Request-Method: ${method}`]

await t.test(
  'a preflight to another upstream goes there without credentials or identity',
  async (t) => {
    const answer = await ask(gateway, 'OPTIONS /trac/api/put', [...asks('PUT'), cookie, token])
    t.equal(answer.status, 200)
    t.equal(answer.header('access-control-allow-origin'), 'https://app.example')
    const { method } = api.received.at(-1)!
    const headers = api.lastHeaders()
    t.equal(method, 'OPTIONS')
    t.equal(headers['x-trac-user'], '')
    t.equal(headers['authorization'], undefined)
    t.equal(headers['cookie'], undefined)
    t.equal(headers['access-control-request-method'], 'PUT')
  },
)

await t.test('a preflight is matched as the method it asks for', async (t) => {
  const before = api.received.length
  t.equal((await ask(gateway, 'OPTIONS /trac/api/x', asks('DELETE'))).status, 405)
  t.equal(
    (await ask(gateway, 'OPTIONS /trac/api/put', asks('POST'))).status,
    200,
    'by the row behind it',
  )
  t.equal((await ask(gateway, 'OPTIONS /trac/api/shut', asks('GET'))).status, 403)
  t.equal((await ask(gateway, 'OPTIONS /trac/auth/nowhere', asks('GET'))).status, 404)
  t.equal(api.received.length, before + 1)
})

await t.test('a preflight needs no credential, not even a good one', async (t) => {
  t.equal((await ask(gateway, 'OPTIONS /trac/api/put', asks('PUT'))).status, 200)
  const bad = await ask(gateway, 'OPTIONS /trac/api/put', [
    ...asks('PUT'),
    'Authorization: Bearer x',
  ])
  t.equal(bad.status, 200)
})

await t.test('OPTIONS that is no preflight is a method like any other', async (t) => {
  t.equal((await ask(gateway, 'OPTIONS /trac/api/put')).status, 405)
  t.equal((await ask(gateway, 'OPTIONS /trac/api/put', [from])).status, 405)
  const half = ['Access-Control-Request-Method: PUT']
  t.equal((await ask(gateway, 'OPTIONS /trac/api/put', half)).status, 405)
})

for (const path of ['/wiki', '/ticket/1', '/page', '/auth/session', '/auth/refresh', '/login']) {
  await t.test(`a preflight to ${path} is 204 without CORS headers and goes nowhere`, async (t) => {
    const before = upstream.received.length
    const answer = await ask(gateway, `OPTIONS /trac${path}`, [...asks('GET'), cookie])
    t.equal(answer.status, 204)
    t.notOk(answer.headers.some(([name]) => name.startsWith('access-control-')))
    t.equal(answer.header('set-cookie'), '')
    t.equal(upstream.received.length, before)
  })
}

await t.test('OPTIONS never reaches Trac, by no route', async (t) => {
  const before = upstream.received.length
  t.equal((await ask(gateway, 'OPTIONS /trac/page')).status, 204)
  t.equal((await ask(gateway, 'OPTIONS /trac/wiki')).status, 405)
  t.equal((await ask(gateway, 'OPTIONS *')).status, 400)
  t.equal(upstream.received.length, before)
})

await t.test(
  'Access-Control headers are dropped on what a cookie opened, kept for a token',
  async (t) => {
    const byCookie = await ask(gateway, 'GET /trac/api/x', [cookie, from])
    t.equal(byCookie.status, 200)
    t.notOk(byCookie.headers.some(([name]) => name.startsWith('access-control-')))
    const byToken = await ask(gateway, 'GET /trac/api/x', [token, from])
    t.equal(byToken.header('access-control-allow-origin'), 'https://app.example')
    t.equal(byToken.header('access-control-allow-methods'), 'PUT')
  },
)

await t.test('a refusal has no CORS headers', async (t) => {
  const answer = await ask(gateway, 'GET /trac/api/x', [from])
  t.equal(codeOf(answer), 'ERR_LOGIN_REQUIRED')
  t.notOk(answer.headers.some(([name]) => name.startsWith('access-control-')))
})
