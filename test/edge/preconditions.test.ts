/** Who may come in by which Host and scheme. */
import { t } from '../fixtures/tap.js'
import { startTestGateway, startUpstream } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { ask, codeOf } from '../fixtures/wire.js'

const upstream = await startUpstream()
const port = await freePort()
const gateway = await startTestGateway({
  port,
  tracUrl: upstream.url,
  overlay: {
    server: {
      publicUrl: 'https://trac.example.edu/trac',
      trustedProxies: ['127.0.0.1'],
    },
    identity: { issuer: 'http://127.0.0.1:9', clientId: 'trac' },
  },
})
const untrusting = await startTestGateway({
  tracUrl: upstream.url,
  overlay: {
    server: { publicUrl: 'https://trac.example.edu/trac', trustedProxies: ['10.0.0.0/8'] },
    identity: { issuer: 'http://127.0.0.1:9', clientId: 'trac' },
  },
})
t.teardown(async () => {
  await gateway.close()
  await untrusting.close()
  await upstream.close()
})

const host = 'Host: trac.example.edu'
const https = 'X-Forwarded-Proto: https'
const plain = 'X-Forwarded-Proto: http'
const cases: readonly (readonly [
  line: string,
  headers: readonly string[],
  status: number,
  code: string,
])[] = [
  ['GET /trac/wiki', [host, https], 200, ''],
  ['GET /trac/wiki', ['Host: TRAC.Example.EDU', https], 200, ''],
  ['GET /trac/wiki', ['Host: trac.example.edu:443', https], 200, ''],
  ['GET /trac/wiki', ['Host: trac.example.edu:8443', https], 421, 'ERR_HOST_UNKNOWN'],
  ['GET /trac/wiki', ['Host: trac.example.edu:', https], 200, ''],
  ['GET /trac/wiki', ['Host: trac.example.edu:80', https], 421, 'ERR_HOST_UNKNOWN'],
  ['GET /trac/wiki', ['Host: trac.example.edu:80', 'X-Forwarded-Proto: http'], 308, ''],
  ['GET /trac/wiki', ['Host: trac.example.edu:443:443', https], 421, 'ERR_HOST_UNKNOWN'],
  ['GET /trac/wiki', ['Host: trac.example.edu.', https], 421, 'ERR_HOST_UNKNOWN'],
  ['GET /trac/wiki', ['Host: evil.example', https], 421, 'ERR_HOST_UNKNOWN'],
  [
    'GET /trac/wiki',
    ['Host: evil.example', https, 'X-Forwarded-Host: trac.example.edu'],
    421,
    'ERR_HOST_UNKNOWN',
  ],
  ['GET /trac/wiki', ['Host: trac.example.edu@evil.example', https], 421, 'ERR_HOST_UNKNOWN'],
  ['GET /trac/wiki?a=b', [host, plain], 308, ''],
  ['HEAD /trac/wiki', [host, plain], 308, ''],
  ['POST /trac/wiki', [host, plain], 403, 'ERR_HTTPS_REQUIRED'],
  ['GET /trac/wiki', [host, plain, 'Authorization: Bearer x'], 308, ''],
  ['GET /trac/wiki', [host, 'X-Forwarded-Proto: ws'], 308, ''],
  ['GET /trac/wiki', [host, 'X-Forwarded-Proto: wss'], 200, ''],
  ['GET /trac/wiki', [host, 'X-Forwarded-Proto: https,http'], 200, ''],
  ['GET /trac/wiki', [host, https, 'X-Forwarded-Proto: http'], 200, ''],
  ['GET /trac/wiki', [host, 'X-Forwarded-Proto: http,https'], 308, ''],
  ['GET /trac/wiki', [host, 'Forwarded: for=1.1.1.1;proto=https'], 200, ''],
  ['GET /trac/wiki', [host, 'X-Forwarded-Proto: on'], 421, 'ERR_SCHEME_UNKNOWN'],
  ['GET /trac/wiki', [host], 421, 'ERR_SCHEME_UNKNOWN'],
  ['POST /trac/wiki', [host], 421, 'ERR_SCHEME_UNKNOWN'],
  ['GET /trac/auth/healthz', ['Host: whatever'], 200, ''],
  ['POST /trac/auth/healthz', ['Host: whatever'], 405, 'ERR_METHOD_NOT_ALLOWED'],
  ['GET /trac/auth/healthz/', [host, https], 404, 'ERR_ROUTE_UNKNOWN'],
]
for (const [line, headers, status, code] of cases) {
  await t.test(`${line} with ${headers.join(' | ')} is ${status}`, async (t) => {
    const answer = await ask(gateway, line, headers)
    t.equal(answer.status, status)
    if (code !== '') t.equal(codeOf(answer), code)
    t.match(answer.header('strict-transport-security'), /^max-age=\d+/)
  })
}

await t.test('308 leads to the same page over HTTPS, canonical', async (t) => {
  const answer = await ask(gateway, 'GET /trac/%77iki?a=%2f', [host, plain])
  t.equal(answer.header('location'), 'https://trac.example.edu/trac/wiki?a=%2f')
})

await t.test(
  'a proxy that is not trusted and says https is 421 with the key to set, never a loop',
  async (t) => {
    const words = [https, 'X-Forwarded-Proto: wss', 'X-Forwarded-Proto: https,http']
    for (const said of [...words, 'Forwarded: for=1.1.1.1;proto=https']) {
      const answer = await ask(untrusting, 'GET /trac/wiki', [host, said])
      t.equal(answer.status, 421)
      t.equal(codeOf(answer), 'ERR_PROXY_UNTRUSTED')
      t.match(answer.body, /server\.trustedProxies/)
    }
    // A browser's own proxy, such as Squid, adds the first of these to a request by plain HTTP.
    const others = ['X-Forwarded-For: 1.1.1.1', 'Forwarded: for=1.1.1.1', 'X-Forwarded-Proto: on']
    for (const said of [...others, plain, 'X-Nothing: 1']) {
      const answer = await ask(untrusting, 'GET /trac/wiki', [host, said])
      t.equal(answer.status, 308, said)
      t.equal((await ask(untrusting, 'POST /trac/wiki', [host, said])).status, 403, said)
    }
    const line = untrusting.lines.find(({ code }) => code === 'ERR_PROXY_UNTRUSTED')
    t.match(line, { level: 'warn', cause: /server\.trustedProxies/ })
  },
)

await t.test('a proxy that does not say how the visitor came is told which header', async (t) => {
  const silent = await ask(gateway, 'GET /trac/wiki', [host, 'Accept: text/html'])
  t.match(silent.body, /does not say how you came\. It must send X-Forwarded-Proto: https/)
  t.notMatch(silent.body, '<a ', 'no link leads to the same page')
  const odd = await ask(gateway, 'GET /trac/wiki', [host, 'X-Forwarded-Proto: <on>'])
  t.match(odd.body, /says .{1,2}<on>.{1,2} in X-Forwarded-Proto/)
  const line = gateway.lines.find(({ code }) => code === 'ERR_SCHEME_UNKNOWN')
  t.match(line, { level: 'warn', cause: /X-Forwarded-Proto: https/ })
})

await t.test('the page about a foreign host leads to the right one', async (t) => {
  for (const [name, target, link] of [
    ['trac.example.edu.', '/trac/wiki?a=b', 'https://trac.example.edu/trac/wiki?a=b'],
    ['trac.example.edu:80', '/trac/wiki', 'https://trac.example.edu/trac/wiki'],
    ['evil.example', '/elsewhere', 'https://trac.example.edu/trac/'],
  ] as const) {
    const headers = [`Host: ${name}`, https, 'Accept: text/html']
    const answer = await ask(gateway, `GET ${target}`, headers)
    t.equal(answer.status, 421)
    const links = [...answer.body.matchAll(/<a [^>]*href="([^"]*)"/g)].map(([, href]) => href)
    t.strictSame(links, [link])
  }
})

await t.test('a trusted proxy that never names its visitors is warned of once', async (t) => {
  const warnings = () => gateway.lines.filter(({ msg }) => /X-Forwarded-For/.test(String(msg)))
  t.equal(warnings().length, 1, 'by the requests above')
  t.match(warnings()[0], { level: 'warn', client: '127.0.0.1' })
  await ask(gateway, 'GET /trac/wiki', [host, https])
  t.equal(warnings().length, 1)
})

await t.test('the health answer tells nothing, reads nothing, sets nothing', async (t) => {
  const answer = await ask(gateway, 'GET /trac/auth/healthz', [
    'Host: x',
    'Authorization: Bearer x',
    'Cookie: a=b',
  ])
  t.equal(answer.body, 'ok\n')
  t.equal(answer.header('set-cookie'), '')
})
