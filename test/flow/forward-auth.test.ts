/** `/auth/verify` judges the original request for a trusted proxy, in one dialect, and says in whose name it may pass. */
import t from 'tap'
import { request } from 'node:http'
import { startProvider } from '../../src/demo/provider.js'
import { startTestGateway } from '../fixtures/gateway.js'
import type { TestGateway } from '../fixtures/gateway.js'

const provider = await startProvider()
t.teardown(() => provider.stop())
const token = await provider.mint({}, { use: 'id', person: provider.people[1]! })

/** A gateway that answers one dialect; `peers` are its trusted proxies. */
async function start(dialect: string, peers = ['127.0.0.0/8']): Promise<TestGateway> {
  return startTestGateway({
    provider,
    overlay: {
      server: { forwardAuth: dialect, trustedProxies: peers },
      identity: { username: { emailLocalPart: 'example.edu' } },
    },
  })
}

/** Asks as a proxy does: its own Host, the original in headers. */
async function ask(
  gateway: TestGateway,
  headers: Record<string, string>,
  path = '/trac/auth/verify',
  method = 'GET',
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port: gateway.port, host: '127.0.0.1', path, method, headers },
      (answer) => {
        let body = ''
        answer.on('data', (chunk: Buffer) => (body += chunk.toString()))
        answer.on('end', () => {
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body })
        })
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}

/** The headers of the original request, by X-Forwarded-*. */
function original(gateway: TestGateway, uri: string, method = 'GET', more = {}) {
  return {
    'X-Forwarded-Method': method,
    'X-Forwarded-Uri': uri,
    'X-Forwarded-Host': `localhost:${gateway.port}`,
    'X-Forwarded-Proto': 'http',
    ...more,
  }
}

await t.test('the original request is judged and signed for', async (t) => {
  const gateway = await start('nginx')
  t.teardown(() => gateway.close())
  const authorization = `Bearer ${token}`
  const answer = await ask(gateway, original(gateway, '/trac/wiki?a=1', 'GET', { authorization }))
  t.equal(answer.status, 200)
  t.match(answer.headers, {
    'x-trac-user': 'ivan',
    'x-trac-perms': /WIKI_MODIFY/,
    'x-trac-email': 'ivan@example.edu',
    'x-trac-signature': /^v1;t=\d+;e=\d+;n=[\w-]+;kid=k1;sig=/,
  })
  const visitor = await ask(gateway, original(gateway, '/trac/wiki'))
  t.match(visitor, { status: 200, headers: { 'x-trac-user': '', 'x-trac-perms': /WIKI_VIEW/ } })
})

await t.test('what it may not do is 401 or 403', async (t) => {
  const gateway = await start('nginx')
  t.teardown(() => gateway.close())
  const authorization = `Bearer ${token}`
  const host = 'X-Forwarded-Host'
  const cases: [string, Record<string, string>, number][] = [
    ['anonymous', original(gateway, '/trac/newticket'), 401],
    ['a bad token', original(gateway, '/trac/wiki', 'GET', { authorization: 'Bearer x' }), 401],
    ['a missing permission', original(gateway, '/trac/admin', 'GET', { authorization }), 403],
    ['an unknown path', original(gateway, '/trac/nothing', 'GET', { authorization }), 403],
    ['a path that two could read', original(gateway, '/trac/wiki/../admin'), 403],
    ['a path outside', original(gateway, '/other'), 403],
    ['another host', original(gateway, '/trac/wiki', 'GET', { [host]: 'evil.example' }), 403],
    ['a doubled host', original(gateway, '/trac/wiki', 'GET', { [host]: 'a, b' }), 403],
    ['no target', { 'X-Forwarded-Method': 'GET' }, 403],
    ['a write on GET', original(gateway, '/trac/ticket/1?edit_comment=1'), 403],
  ]
  for (const [name, headers, status] of cases) {
    const answer = await ask(gateway, headers)
    t.equal(answer.status, status, name)
    t.equal(answer.headers['x-trac-user'], undefined, name)
  }
})

await t.test('a navigation is sent to sign in where it is asked for', async (t) => {
  const gateway = await start('caddy')
  t.teardown(() => gateway.close())
  const browser = { accept: 'text/html', 'sec-fetch-mode': 'navigate' }
  const headers = original(gateway, '/trac/newticket', 'GET', browser)
  t.equal((await ask(gateway, headers)).status, 401)
  const answer = await ask(gateway, headers, '/trac/auth/verify?login=redirect')
  t.equal(answer.status, 302)
  t.match(answer.headers['location'], '/trac/auth/login?return_to=%2Ftrac%2Fnewticket')
})

await t.test('Envoy puts the original target behind the path, with its method', async (t) => {
  const gateway = await start('envoy')
  t.teardown(() => gateway.close())
  const authorization = `Bearer ${token}`
  const headers = { authorization, 'X-Forwarded-Proto': 'http' }
  const path = '/trac/auth/verify/trac/wiki/A%20B?x=1'
  t.match(await ask(gateway, headers, path, 'POST'), {
    status: 200,
    headers: { 'x-trac-user': 'ivan' },
  })
  t.equal((await ask(gateway, headers, '/trac/auth/verify/trac/admin')).status, 403)
  t.equal((await ask(gateway, original(gateway, '/trac/wiki', 'GET', headers))).status, 403)
})

await t.test('nobody else finds it', async (t) => {
  const stranger = await start('nginx', ['10.0.0.0/8'])
  const off = await startTestGateway({ provider })
  t.teardown(() => Promise.all([stranger.close(), off.close()]))
  const host = { Host: `localhost:${stranger.port}` }
  t.equal((await ask(stranger, { ...original(stranger, '/trac/wiki'), ...host })).status, 404)
  t.equal(
    (await ask(off, { ...original(off, '/trac/wiki'), Host: `localhost:${off.port}` })).status,
    404,
  )
})
