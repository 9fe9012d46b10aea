/** `/auth/verify` judges the original request for a trusted proxy, in one dialect, and says in whose name it may pass. */
import { t } from '../fixtures/tap.js'
import { request } from 'node:http'
import type { Test } from 'tap'
import type { Overlay, TestGateway } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { sessionCookie } from '../fixtures/wire.js'

const { provider, ivan } = await stage(t, { provider: 'cognito', gateway: false })
const token = await provider.mint({}, { use: 'id', person: ivan })
/** What a browser sends to show a page. */
const browser = { accept: 'text/html', 'sec-fetch-mode': 'navigate' }

/** A gateway that answers one dialect; `peers` are its trusted proxies. */
async function start(
  t: Test,
  dialect: string,
  peers = ['127.0.0.0/8'],
  overlay: Overlay = {},
): Promise<TestGateway> {
  const server = { forwardAuth: dialect, trustedProxies: peers }
  const api = { url: 'http://127.0.0.1:9' }
  const { gateway } = await stage(t, { provider, api, overlay: { server, ...overlay } })
  return gateway
}

/** One that answers no proxy. */
async function startWithout(t: Test): Promise<TestGateway> {
  const { gateway } = await stage(t, { provider })
  return gateway
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

/** What Envoy hands on of the original: its own Host. */
const hostOf = ({ port }: TestGateway) => ({ host: `localhost:${port}` })

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
  const gateway = await start(t, 'nginx')
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

await t.test('what the original request may not do is 401 or 403', async (t) => {
  const gateway = await start(t, 'nginx')
  const authorization = `Bearer ${token}`
  const host = 'X-Forwarded-Host'
  const cases: [string, Record<string, string>, number][] = [
    ['anonymous', original(gateway, '/trac/newticket'), 401],
    ['a bad token', original(gateway, '/trac/wiki', 'GET', { authorization: 'Bearer x' }), 401],
    ['a missing permission', original(gateway, '/trac/admin', 'GET', { authorization }), 403],
    ['an unknown path', original(gateway, '/trac/auth/nothing', 'GET', { authorization }), 403],
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

await t.test('a navigation is sent to sign in where the proxy asks for it', async (t) => {
  const gateway = await start(t, 'caddy')
  const headers = original(gateway, '/trac/newticket', 'GET', browser)
  t.equal((await ask(gateway, headers)).status, 401)
  const answer = await ask(gateway, headers, '/trac/auth/verify?login=redirect')
  t.equal(answer.status, 302)
  t.match(answer.headers['location'], '/trac/auth/login?return_to=%2Ftrac%2Fnewticket')
  for (const path of ['/trac/newticket?format=rss', '/trac/xmlrpc', '/trac/login/rpc']) {
    const file = original(gateway, path, 'GET', browser)
    const refused = await ask(gateway, file, '/trac/auth/verify?login=redirect')
    t.equal(refused.status, 401, `${path} is no page`)
    t.equal(refused.headers['www-authenticate'], 'Bearer realm="Trac"')
  }
})

await t.test('Envoy puts the original target behind the path, with its method', async (t) => {
  const gateway = await start(t, 'envoy')
  const authorization = `Bearer ${token}`
  const headers = { authorization, 'X-Forwarded-Proto': 'http', ...hostOf(gateway) }
  const path = '/trac/auth/verify/trac/wiki/A%20B?x=1'
  t.match(await ask(gateway, headers, path, 'POST'), {
    status: 200,
    headers: { 'x-trac-user': 'ivan' },
  })
  t.equal((await ask(gateway, headers, '/trac/auth/verify/trac/admin')).status, 403)
  t.equal((await ask(gateway, original(gateway, '/trac/wiki', 'GET', headers))).status, 403)
})

await t.test('Envoy hands the answer to the browser, so a page is sent to sign in', async (t) => {
  const gateway = await start(t, 'envoy')
  const path = '/trac/auth/verify/trac/%6Eewticket?a=1&login=later'
  const answer = await ask(gateway, { ...browser, ...hostOf(gateway) }, path)
  t.equal(answer.status, 302)
  const login = '/trac/auth/login?return_to=%2Ftrac%2Fnewticket%3Fa%3D1%26login%3Dlater'
  t.equal(answer.headers['location'], login)
  const asked = '/trac/auth/verify/trac/newticket?login=redirect'
  t.equal((await ask(gateway, hostOf(gateway), asked)).status, 401, 'a client is told')
})

await t.test('a form that was sent is not redirected, whichever method asks', async (t) => {
  const gateway = await start(t, 'traefik')
  const headers = original(gateway, '/trac/newticket', 'POST', browser)
  const answer = await ask(gateway, headers, '/trac/auth/verify?login=redirect')
  t.equal(answer.status, 401)
  t.match(answer.headers['content-type'], /^text\/html/)
})

await t.test('where only tokens count, a page is not sent to sign in', async (t) => {
  const routes = [{ name: 'feed', path: '/feed', credentials: ['bearer'] }]
  const gateway = await start(t, 'caddy', ['127.0.0.0/8'], { routes })
  for (const cookie of ['', await sessionCookie(gateway, ivan)]) {
    const headers = original(gateway, '/trac/feed', 'GET', { ...browser, cookie })
    const answer = await ask(gateway, headers, '/trac/auth/verify?login=redirect')
    t.equal(answer.status, 401, cookie === '' ? 'anonymous' : 'signed in')
  }
})

await t.test('a refusal names what is missing, as a page where a person reads it', async (t) => {
  const gateway = await start(t, 'traefik')
  const cookie = await sessionCookie(gateway, ivan)
  const headers = original(gateway, '/trac/admin', 'GET', { ...browser, cookie })
  const page = await ask(gateway, headers, '/trac/auth/verify?login=redirect')
  t.equal(page.status, 403)
  t.match(page.headers['content-type'], /^text\/html/)
  t.match(page.body, /TRAC_ADMIN/)
  t.match(page.body, /ivan/)
  const plain = await ask(gateway, headers)
  t.match(JSON.parse(plain.body), { error: 'forbidden', request_id: /\w/ })
  const anonymous = await ask(gateway, original(gateway, '/trac/newticket'))
  t.match(JSON.parse(anonymous.body), { auth_url: `${gateway.url}/auth/login` })
  t.equal(anonymous.headers['www-authenticate'], 'Bearer realm="Trac"')
  const bad = original(gateway, '/trac/wiki', 'GET', { authorization: 'Bearer x' })
  t.match((await ask(gateway, bad)).headers['www-authenticate'], /error="invalid_token"/)
})

await t.test('the answer says which cookies are for Trac', async (t) => {
  const gateway = await start(t, 'traefik')
  const session = await sessionCookie(gateway, ivan)
  const cookie = `trac_auth=x; a=b; ${session}; trac_session=y; trac_auth =z`
  const answer = await ask(gateway, original(gateway, '/trac/wiki', 'GET', { cookie }))
  t.equal(answer.headers['x-trac-user'], 'ivan')
  t.equal(answer.headers['cookie'], 'a=b; trac_session=y')
  const none = await ask(gateway, original(gateway, '/trac/wiki', 'GET', { cookie: session }))
  t.equal(none.headers['cookie'], '', 'empty, so that it takes the place of what came')
})

await t.test('a session in chunks comes by headers that nginx and Caddy can read', async (t) => {
  for (const dialect of ['nginx', 'caddy', 'traefik']) {
    const gateway = await start(t, dialect)
    const name = gateway.gateway.services.names.session
    const cookie = `${name}1=gone; ${name}2=gone`
    const answer = await ask(gateway, original(gateway, '/trac/wiki', 'GET', { cookie }))
    t.equal(answer.status, 200)
    const cookies = answer.headers['set-cookie'] ?? []
    t.match(cookies, [new RegExp(`^${name}1=;.*Max-Age=0`), new RegExp(`^${name}2=;.*Max-Age=0`)])
    const numbered = [1, 2, 3].map((i) => answer.headers[`x-set-cookie-${i}`])
    const [first, second] = dialect === 'traefik' ? [] : cookies
    t.strictSame(numbered, [first, second, undefined])
  }
})

await t.test('a preflight is judged, not waved through', async (t) => {
  const gateway = await start(t, 'envoy')
  const asks = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
  const preflight = { ...asks, ...hostOf(gateway) }
  const verify = '/trac/auth/verify/trac'
  const toTrac = await ask(gateway, preflight, `${verify}/newticket`, 'OPTIONS')
  t.equal(toTrac.status, 403, 'Trac gets none')
  t.equal(toTrac.headers['access-control-allow-origin'], undefined)
  const headers = { ...preflight, authorization: `Bearer ${token}` }
  const toApi = await ask(gateway, headers, `${verify}/api/x`, 'OPTIONS')
  t.match(toApi, { status: 200, headers: { 'x-trac-user': '' } }, 'in nobody’s name')
  t.equal((await ask(gateway, preflight, `${verify}/auth/nothing`, 'OPTIONS')).status, 403)
  for (const dialect of ['nginx', 'traefik', 'caddy']) {
    const named = await start(t, dialect)
    const asked = (uri: string, method: string) =>
      original(named, uri, method, { ...asks, authorization: headers.authorization })
    const allowed = await ask(named, asked('/trac/api/x', 'OPTIONS'))
    t.match(allowed, { status: 200, headers: { 'x-trac-user': '' } }, dialect)
    t.equal((await ask(named, asked('/trac/newticket', 'OPTIONS'))).status, 403, dialect)
    t.equal((await ask(named, asked('/trac/auth/nothing', 'OPTIONS'))).status, 403, dialect)
    // Whatever method a proxy asks with, the original one is judged.
    const own = await ask(named, asked('/trac/newticket', 'POST'), undefined, 'OPTIONS')
    t.match(own, { status: 200, headers: { 'x-trac-user': 'ivan' } }, dialect)
    t.equal((await ask(named, asks, undefined, 'OPTIONS')).status, 403, 'no original')
  }
  const off = await startWithout(t)
  const host = { ...asks, ...hostOf(off) }
  t.equal((await ask(off, host, '/trac/auth/verify', 'OPTIONS')).status, 404)
})

await t.test('a route’s rate limit counts the original requests', async (t) => {
  const rateLimit = { max: 2, per: '1m', by: 'principal' }
  const routes = [{ name: 'few', path: '/few', rateLimit }]
  const headers = { authorization: `Bearer ${token}`, 'X-Forwarded-Proto': 'http' }
  const third = async (gateway: TestGateway, more: Record<string, string>, path: string) => {
    for (const time of [1, 2]) {
      t.equal((await ask(gateway, { ...headers, ...more }, path)).status, 200, `${time}`)
    }
    return ask(gateway, { ...headers, ...more }, path)
  }
  const envoy = await start(t, 'envoy', ['127.0.0.0/8'], { routes })
  const answer = await third(envoy, hostOf(envoy), '/trac/auth/verify/trac/few')
  t.match(answer, { status: 429, headers: { 'retry-after': /^\d+$/ } })
  const nginx = await start(t, 'nginx', ['127.0.0.0/8'], { routes })
  const refused = await third(nginx, original(nginx, '/trac/few'), '/trac/auth/verify')
  t.equal(refused.status, 403, 'nginx knows no other no')
})

await t.test('a handshake is one by Upgrade alone, and only our pages may make it', async (t) => {
  const routes = [{ name: 'live', path: '/live', websocket: true }]
  const gateway = await start(t, 'nginx', ['127.0.0.0/8'], { routes })
  const cookie = await sessionCookie(gateway, ivan)
  const status = async (uri: string, origin: string, more = {}) => {
    const headers = { cookie, origin, upgrade: 'websocket', ...more }
    return (await ask(gateway, original(gateway, uri, 'GET', headers))).status
  }
  const whole = { connection: 'Upgrade' }
  t.equal(await status('/trac/live', gateway.origin), 200)
  t.equal(await status('/trac/live', gateway.origin, whole), 200)
  t.equal(await status('/trac/live', 'https://evil.example'), 403)
  t.equal(await status('/trac/live', 'https://evil.example', whole), 403)
  t.equal(await status('/trac/wiki', gateway.origin), 403, 'a route that takes none')
})

/** The dialects, and how each asks about a target of a gateway at an address. */
const dialects = ['nginx', 'traefik', 'caddy', 'envoy'] as const

/** Asks about an original whose scheme is told in this text, or not told. */
async function askAbout(
  gateway: TestGateway,
  dialect: (typeof dialects)[number],
  target: string,
  { method = 'GET', host = 'trac.example.edu', proto = 'https' } = {},
) {
  const told = proto === '' ? {} : { 'X-Forwarded-Proto': proto }
  if (dialect === 'envoy') {
    const headers = { ...browser, ...told, host }
    return ask(gateway, headers, `/trac/auth/verify${target}`, method)
  }
  const headers = {
    ...browser,
    ...told,
    'X-Forwarded-Method': method,
    'X-Forwarded-Uri': target,
    'X-Forwarded-Host': host,
  }
  return ask(gateway, headers)
}

/** A gateway whose public address is https, behind a front proxy that speaks a dialect. */
async function startSecure(t: Test, forwardAuth: string): Promise<TestGateway> {
  const server = {
    publicUrl: 'https://trac.example.edu/trac',
    trustedProxies: ['127.0.0.0/8'],
    forwardAuth,
  }
  const routes = [{ name: 'shut', path: '/wiki/Syllabus', access: 'deny' }]
  return (await stage(t, { provider, overlay: { server, routes } })).gateway
}

for (const dialect of dialects) {
  await t.test(`${dialect}: the original’s host, scheme and address are judged`, async (t) => {
    const gateway = await startSecure(t, dialect)
    const about = (target: string, more = {}) => askAbout(gateway, dialect, target, more)
    t.equal((await about('/trac/wiki')).status, 200)
    for (const proto of ['HTTPS', 'wss']) {
      t.equal((await about('/trac/wiki', { proto })).status, 200, proto)
    }
    for (const proto of ['', 'https, http', 'https,https', 'spdy', 'on']) {
      const answer = await about('/trac/wiki', { proto })
      t.equal(answer.status, 403, proto)
      t.equal(answer.headers['location'], undefined)
    }
    for (const host of ['evil.example', 'trac.example.edu.', 'trac.example.edu:444']) {
      t.equal((await about('/trac/wiki', { host })).status, 403, host)
    }
    t.equal((await about('/trac/wiki', { host: 'TRAC.example.edu:443' })).status, 200)
    for (const proto of ['http', 'ws']) {
      const plain = await about('/trac/wiki?a=1', { proto })
      const [status, location] =
        dialect === 'nginx' ? [403, undefined] : [308, 'https://trac.example.edu/trac/wiki?a=1']
      t.equal(plain.status, status, proto)
      t.equal(plain.headers['location'], location, 'the original’s address')
      t.equal((await about('/trac/wiki', { proto, method: 'POST' })).status, 403)
    }
    const moved = await about('/trac/wiki?page=Syllabus')
    t.equal(moved.status, dialect === 'nginx' ? 403 : 302)
    t.equal(moved.headers['location'], dialect === 'nginx' ? undefined : '/trac/wiki/Syllabus')
    t.equal((await about('/trac/wiki/Syllabus')).status, 403)
    t.equal((await about('/trac/wiki?x;page=Syllabus')).status, 403)
    t.equal((await about('/trac/?page=Syllabus')).status, 403)
    t.equal((await about('/trac/milestone/a%5Cb', {})).status, dialect === 'envoy' ? 302 : 401)
    t.equal((await about('/trac/chrome/a%5Cb', {})).status, 403)
  })
}

await t.test('nginx gets no redirect, whatever it asks with', async (t) => {
  const gateway = await start(t, 'nginx')
  const headers = original(gateway, '/trac/newticket', 'GET', browser)
  t.equal((await ask(gateway, headers, '/trac/auth/verify?login=redirect')).status, 401)
})

await t.test('a WebSocket without Origin is for a token alone', async (t) => {
  const routes = [{ name: 'live', path: '/live', websocket: true, access: 'optional' }]
  const gateway = await start(t, 'nginx', ['127.0.0.0/8'], { routes })
  const status = async (more: Record<string, string>) => {
    const headers = { upgrade: 'websocket', ...more }
    return (await ask(gateway, original(gateway, '/trac/live', 'GET', headers))).status
  }
  t.equal(await status({}), 403, 'nobody')
  t.equal(await status({ cookie: await sessionCookie(gateway, ivan) }), 403, 'a session')
  t.equal(await status({ authorization: `Bearer ${token}` }), 200)
})

await t.test('nobody but a trusted proxy finds /auth/verify', async (t) => {
  const stranger = await start(t, 'nginx', ['10.0.0.0/8'])
  const off = await startWithout(t)
  const host = { Host: `localhost:${stranger.port}` }
  t.equal((await ask(stranger, { ...original(stranger, '/trac/wiki'), ...host })).status, 404)
  t.equal(
    (await ask(off, { ...original(off, '/trac/wiki'), Host: `localhost:${off.port}` })).status,
    404,
  )
})
