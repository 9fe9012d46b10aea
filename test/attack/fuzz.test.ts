/** 2,000 structured odd requests by raw socket: no crash, no fault of our own, nothing left behind (the long form is in test/long). */
import * as fc from 'fast-check'
import t from 'tap'
import { startProvider } from '../../src/demo/provider.js'
import { startTestGateway, startUpstream } from '../fixtures/gateway.js'
import { Wire, ask, sessionCookie, splitAnswers } from '../fixtures/wire.js'

const provider = await startProvider()
const sam = provider.people[2]!
const upstream = await startUpstream()
const gateway = await startTestGateway({
  provider,
  tracUrl: upstream.url,
  apiUrl: upstream.url,
  overlay: {
    identity: { username: { emailLocalPart: 'example.edu' } },
    rateLimit: { auth: { max: 1_000_000 }, failures: { max: 1_000_000 } },
    routes: [
      { name: 'open', path: '/open/**', access: 'public', upstream: 'api' },
      { name: 'api', path: '/api/**', upstream: 'api' },
    ],
  },
})
t.teardown(async () => {
  await gateway.close()
  await upstream.close()
  await provider.stop()
})

const cookie = await sessionCookie(gateway, sam)
const token = await provider.mint({}, { person: sam })
const words = (text: string) => fc.constantFrom(...text.split(' '))
const noise = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)),
  maxLength: 20,
})

const method = fc.oneof(
  {
    weight: 20,
    arbitrary: words('GET GET GET HEAD POST PUT DELETE OPTIONS PATCH TRACE PROPFIND M-SEARCH'),
  },
  { weight: 1, arbitrary: words('CONNECT get FOO G\tET PRI') },
)
const path = fc.oneof(
  { weight: 5, arbitrary: words('/trac /trac/wiki /trac/open/x /trac/api/x /trac/ticket/1') },
  words(
    '/trac /trac/ /trac/wiki /trac/open/x /trac/api/x /trac/admin /trac/ticket/1 / * /x /trac/newticket',
  ),
  words(
    '/trac/auth/login /trac/auth/callback?state=x&code=y /trac/auth/callback /trac/auth/refresh /trac/auth/logout /trac/auth/session /trac/auth/client.js /trac/auth/healthz /trac/auth/backchannel-logout /trac/login /trac/logout/ /trac/auth/verify /trac/auth/signed-out',
  ),
  noise.map((text) => `/trac/${text}`),
  fc.webQueryParameters().map((text) => `/trac/auth/callback?${text}`),
  fc.webQueryParameters().map((text) => `/trac/auth/login?return_to=${text}`),
)
const name = fc.oneof(
  { weight: 1, arbitrary: noise },
  {
    weight: 30,
    arbitrary: words(
      'Authorization Cookie Origin Referer Accept Content-Type Content-Length Transfer-Encoding Expect Upgrade Connection Host X-Forwarded-For Forwarded X-Forwarded-Proto X-Request-Id Traceparent Sec-Fetch-Site Sec-Fetch-Mode X-Requested-With Access-Control-Request-Method Range If-None-Match TE Constructor X_Trac_User X-Trac-User Sec-WebSocket-Key Sec-WebSocket-Version HTTP2-Settings Trailer',
    ),
  },
)
const value = fc.oneof(
  words(
    '0 5 5,5 chunked gzip 100-continue websocket h2c close keep-alive text/html application/json */* null same-origin cross-site navigate GET PUT Bearer Basic bytes=0-1 _ x',
  ),
  fc.constantFrom(
    `Bearer ${token}`,
    `bearer ${token}x`,
    cookie,
    `${cookie}x`,
    `${cookie.slice(0, 60)}; ${cookie}`,
    'a'.repeat(9000),
    '',
  ),
  { weight: 1, arbitrary: noise },
)
const header = fc.tuple(name, value).map(([key, text]) => `${key}: ${text}`)
const body = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  fc.constantFrom(
    'hello',
    '5\r\nhello\r\n0\r\n\r\n',
    '{"refresh_token":"x"}',
    '{',
    'logout_token=a.b.c',
    'zz\r\n',
  ),
  noise,
)
const request = fc.record({
  method,
  path,
  version: fc.oneof(
    { weight: 30, arbitrary: fc.constant('HTTP/1.1') },
    { weight: 1, arbitrary: words('HTTP/1.0 HTTP/0.9 HTTP/2.0 HTTP/9.9 HTTP http/1.1') },
  ),
  host: fc.oneof(
    { weight: 10, arbitrary: fc.constant('ours') },
    { weight: 1, arbitrary: words('evil.example none') },
  ),
  headers: fc.array(header, { maxLength: 2 }),
  body,
  sized: fc.integer({ min: 0, max: 7 }).map((n) => n > 0),
})

function textOf(it: typeof request extends fc.Arbitrary<infer R> ? R : never): string {
  const host =
    it.host === 'ours'
      ? [`Host: localhost:${gateway.port}`]
      : it.host === 'none'
        ? []
        : [`Host: ${it.host}`]
  const sized = it.sized && it.body !== '' ? [`Content-Length: ${it.body.length}`] : []
  const lines = [...host, 'Connection: close', ...it.headers, ...sized]
    .map((line) => `${line}\r\n`)
    .join('')
  return `${it.method} ${it.path} ${it.version}\r\n${lines}\r\n${it.body}`
}

/** How long a request may stay unfinished before its client gives up. */
const patience = 100

/** Sends bytes and reads what comes until the gateway closes, or until nothing more will come. */
async function converse(bytes: string): Promise<string> {
  const wire = new Wire(gateway.port)
  wire.send(bytes)
  const timer = setTimeout(() => wire.socket.end(), patience)
  const text = await wire.end()
  clearTimeout(timer)
  return text
}

await t.test(
  'no request makes the gateway fail, and what it forwards is well-formed',
  async (t) => {
    const faults: string[] = []
    const statuses = new Map<number, number>()
    const samples = fc.sample(request, { numRuns: 2000, seed: 2000 })
    for (let i = 0; i < samples.length; i += 20) {
      await Promise.all(
        samples.slice(i, i + 20).map(async (sample) => {
          const bytes = textOf(sample)
          for (const { status } of splitAnswers(await converse(bytes), [sample.method])) {
            statuses.set(status, (statuses.get(status) ?? 0) + 1)
            if (status >= 500) faults.push(`${status} ${JSON.stringify(bytes)}`)
          }
        }),
      )
    }
    t.strictSame(faults.slice(0, 3), [])
    t.ok((statuses.get(200) ?? 0) > 100, JSON.stringify([...statuses]))
    t.ok((statuses.get(400) ?? 0) > 100)
    t.notOk(
      gateway.lines.some((line) => line['code'] === 'ERR_INTERNAL'),
      'no fault of our own in the log',
    )
    t.notOk(
      /[^\x20-\x7e\n]/.test(gateway.log().replaceAll(/[\u{80}-\u{10ffff}]/gu, '')),
      'no control character in the log',
    )
    for (const { rawHeaders } of upstream.received) {
      const names = rawHeaders.filter((_, i) => i % 2 === 0).map((it) => it.toLowerCase())
      for (const once of ['host', 'x-trac-user', 'x-trac-perms']) {
        if (names.filter((it) => it === once).length !== 1) faults.push(names.join())
      }
      if (names.some((it) => it.includes('_'))) faults.push(names.join())
    }
    t.strictSame(faults, [])
    // It still serves, as itself.
    const answer = await ask(gateway, 'GET /trac/api/x', [`Authorization: Bearer ${token}`])
    t.equal(answer.status, 200)
    t.equal(upstream.lastHeaders()['x-trac-user'], 'sam')
  },
)

await t.test(
  '1,000 odd callbacks: no fault and no session (mod_auth_openidc CVE-2021-20718)',
  async (t) => {
    const wire = new Wire(gateway.port)
    let faults = 0
    const query = fc.oneof(
      fc.webQueryParameters(),
      fc
        .array(
          words(
            'state= code= iss= error= & &&& state=x code=y error_description=<img> = %00 %ff ;',
          ),
          { maxLength: 6 },
        )
        .map((list) => list.join('&')),
    )
    for (const text of fc.sample(query, { numRuns: 1000, seed: 20_718 })) {
      const bytes = `GET /trac/auth/callback?${text} HTTP/1.1\r\nHost: localhost:${gateway.port}\r\n\r\n`
      wire.send(bytes)
      const answer = await wire.answer()
      if (answer === undefined || answer.status !== 400) faults++
      if (/tg-[0-9a-f]{8}-s/.test(answer?.header('set-cookie') ?? '')) faults++
    }
    t.equal(faults, 0)
    wire.destroy()
  },
)
