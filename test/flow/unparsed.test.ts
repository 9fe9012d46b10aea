/** What Node's parser refuses is refused like anything else: a page or JSON with an id, a line, a metric and its true cause. */
import { connect } from 'node:net'
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { sendBytes, splitAnswers, Wire } from '../fixtures/wire.js'
import { until } from '../fixtures/until.js'

const { gateway, port } = await stage(t, {
  upstream: true,
  overlay: { server: { timeouts: { headers: '1s' } } },
})

const host = `Host: localhost:${port}`
const browser = 'Accept: text/html,application/xhtml+xml,*/*;q=0.8'
const request = (line: string, ...headers: string[]) =>
  `${line}\r\n${[host, ...headers].map((header) => `${header}\r\n`).join('')}\r\n`
const cookies = (bytes: number) => `Cookie: a=${'b'.repeat(bytes)}`

/** The line of the last request, once the connection is closed. */
async function line(id: string) {
  const find = () => gateway.lines.find((one) => one['request_id'] === id)
  await until(() => find() !== undefined)
  return find()
}

/** What the parser refuses; a code; the facts in the log. */
const rows: readonly (readonly [
  what: string,
  bytes: string,
  status: number,
  code: string,
  facts?: object,
])[] = [
  [
    'a raw blank in the target',
    request('GET /trac/wiki/a b HTTP/1.1'),
    400,
    'ERR_TARGET_CHARACTER',
    { path: '/trac/wiki/a b', found: { target: 'with a blank' } },
  ],
  ['a tab in the target', request('GET /trac/a\tb HTTP/1.1'), 400, 'ERR_TARGET_CHARACTER'],
  ['a letter beyond ASCII', request('GET /trac/\u00e4 HTTP/1.1'), 400, 'ERR_TARGET_CHARACTER'],
  ['a target without a slash', request('GET wiki HTTP/1.1'), 400, 'ERR_TARGET_FORM'],
  [
    '40 kB of cookies',
    request('GET /trac/wiki HTTP/1.1', cookies(40_000), 'Accept: */*'),
    431,
    'ERR_HEADER_TOO_LARGE',
    { path: '/trac/wiki', found: { largest: 'Cookie' }, wanted: { bytes: 32_768 } },
  ],
  [
    'a header with a blank in its name',
    request('GET / HTTP/1.1', 'X y: 1'),
    400,
    'ERR_HEADER_INVALID',
  ],
  [
    'a length that is none',
    request('POST / HTTP/1.1', 'Content-Length: x'),
    400,
    'ERR_FRAMING_AMBIGUOUS',
  ],
  [
    'a length beside chunks',
    request('POST / HTTP/1.1', 'Content-Length: 1', 'Transfer-Encoding: chunked'),
    400,
    'ERR_FRAMING_AMBIGUOUS',
  ],
  ['an unknown method', request('FROB / HTTP/1.1'), 400, 'ERR_REQUEST_MALFORMED'],
  ['an unknown version', request('GET / HTTP/1.2'), 400, 'ERR_REQUEST_MALFORMED'],
  [
    'TLS at a plain port',
    '\u0016\u0003\u0001\u0002\u0000\u0001\u0000',
    400,
    'ERR_REQUEST_MALFORMED',
    { found: { protocol: 'TLS' }, wanted: { protocol: 'plain HTTP, or server.tls' } },
  ],
  [
    'HTTP/2 in the clear',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    400,
    'ERR_REQUEST_MALFORMED',
    { found: { protocol: 'HTTP/2' } },
  ],
  ['CONNECT', request('CONNECT a:443 HTTP/1.1'), 405, 'ERR_METHOD_NOT_ALLOWED'],
  [
    'a WebSocket with a body',
    request('GET / HTTP/1.1', 'Connection: upgrade', 'Upgrade: websocket', 'Content-Length: 1'),
    400,
    'ERR_FRAMING_AMBIGUOUS',
  ],
]
for (const [what, bytes, status, code, facts = {}] of rows) {
  await t.test(
    `${what} is ${status} ${code} as JSON with an id, and a line in the log`,
    async (t) => {
      const [answer] = await sendBytes(port, bytes)
      t.equal(answer?.status, status)
      const told = JSON.parse(answer?.body ?? '') as Record<string, string>
      t.equal(told['code'], code)
      t.match(told['request_id'], /^[0-9a-f]{32}$/)
      t.equal(answer?.header('x-request-id'), told['request_id'])
      t.equal(answer?.header('connection')?.toLowerCase(), 'close')
      t.match(await line(told['request_id']!), { status, code, client: '127.0.0.1', ...facts })
    },
  )
}

await t.test('a browser with too many cookies gets a page that says what to do', async (t) => {
  const [answer] = await sendBytes(
    port,
    request('GET /trac/wiki HTTP/1.1', browser, cookies(40_000)),
  )
  t.equal(answer?.status, 431)
  t.match(answer?.header('content-type'), 'text/html')
  t.match(answer?.body, /cookies of this host: deleting them helps/)
  t.match(answer?.body, /<dt>Request<\/dt><dd>[0-9a-f]{32}<\/dd>/)
  t.notMatch(answer?.body, '<a href', 'no button that leads to the same refusal')
})

await t.test('so does one whose headers come in many packets', async (t) => {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => undefined)
  const bytes = request('GET /trac/wiki HTTP/1.1', browser, cookies(40_000))
  for (let at = 0; at < bytes.length; at += 1400) {
    socket.write(bytes.slice(at, at + 1400))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => text.includes('</html>'))
  socket.destroy()
  t.equal(splitAnswers(text)[0]?.status, 431)
})

await t.test('a browser with a raw blank in the address gets a page', async (t) => {
  const [answer] = await sendBytes(port, request('GET /trac/wiki/a b HTTP/1.1', browser))
  t.match(answer?.body, /The address has a blank in it: it must be written %20/)
})

await t.test('the id of the request is kept, and its query is not logged', async (t) => {
  await sendBytes(
    port,
    request('GET /trac/auth/callback?code=s3cret x HTTP/1.1', 'X-Request-Id: mine'),
  )
  t.match(await line('mine'), {
    path: '/trac/auth/callback',
    code: 'ERR_TARGET_CHARACTER',
  })
  t.notMatch(gateway.log(), 's3cret')
})

await t.test('headers that never end are 408 with an id and a line', async (t) => {
  const wire = new Wire(port)
  wire.send('GET /trac/wiki HTTP/1.1\r\nHost: x\r\n')
  const answer = await wire.answer('GET')
  wire.destroy()
  t.equal(answer?.status, 408)
  const { code, request_id: id } = JSON.parse(answer?.body ?? '') as Record<string, string>
  t.equal(code, 'ERR_CLIENT_TIMEOUT')
  t.match(await line(id!), { status: 408, code })
})

await t.test('what was refused is counted beside all other requests', async (t) => {
  const metrics = await gateway.metrics()
  t.match(metrics, /request_duration_seconds_count\{route="none",method="GET",status="431"\} 2\n/)
  t.match(metrics, /request_duration_seconds_count\{route="none",method="other",status="400"\} \d/)
})
