/** Text is compressed on its way to browsers: which, for whom, and that nothing waits for it. */
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { constants, gunzipSync, gzipSync } from 'node:zlib'
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Wire, ask, requestText } from '../fixtures/wire.js'
import type { WireAnswer } from '../fixtures/wire.js'

const html = 'text/html; charset=utf-8'
const page = `<p>${'A page of Trac, with words that come again. '.repeat(100)}</p>`

/** What the upstream answers next. */
let next: {
  status?: number
  headers?: Readonly<Record<string, string | readonly string[]>>
  /** Pieces, written when the test says so. */
  pieces?: readonly (string | Buffer)[]
} = {}
let goOn: (() => void) | undefined
let current: ServerResponse | undefined
const routes = [
  { name: 'open', path: '/open/**', access: 'public' },
  { name: 'api', path: '/api/**', upstream: 'api', access: 'optional' },
]
const s = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
  overlay: { routes },
  answer(request, response) {
    const { status = 200, headers = { 'Content-Type': html }, pieces = [page] } = next
    current = response
    response.writeHead(status, headers as Record<string, string>)
    if (request.method === 'HEAD' || pieces.length === 1) {
      response.end(pieces[0])
      return
    }
    const rest = [...pieces]
    goOn = () => {
      const piece = rest.shift()
      if (piece === undefined) response.end()
      else response.write(piece)
    }
    goOn()
  },
})
const { gateway, upstream, bearerOf, cookieOf, sam } = s
const gzip = 'Accept-Encoding: gzip, deflate, br'

async function see(
  answer: typeof next,
  headers: readonly string[] = [gzip],
  line = 'GET /trac/wiki',
) {
  next = answer
  return ask(gateway, line, headers)
}
const coding = (answer: WireAnswer) => answer.header('content-encoding')
const bodyOf = (answer: WireAnswer) => String(gunzipSync(Buffer.from(answer.body, 'latin1')))

await t.test('a page comes compressed to who takes it, and plain to others', async (t) => {
  const answer = await see({
    headers: { 'Content-Type': html, 'Content-Length': String(page.length), ETag: '"x"' },
  })
  t.equal(answer.status, 200)
  t.equal(coding(answer), 'gzip')
  t.equal(answer.header('vary'), 'Accept-Encoding')
  t.equal(answer.header('etag'), 'W/"x"')
  t.equal(answer.header('content-length'), '')
  t.equal(answer.header('content-type'), html)
  t.ok(answer.complete && answer.body.length < page.length / 5)
  t.equal(bodyOf(answer), page)
  t.equal(
    upstream.lastHeaders()['accept-encoding'],
    'gzip, deflate, br',
    'an upstream may do it itself',
  )
  for (const accepts of ['Accept-Encoding: br', 'Accept-Encoding: gzip;q=0', 'Accept: */*']) {
    const plain = await see({ headers: { 'Content-Type': html, ETag: '"x"' } }, [accepts])
    t.equal(coding(plain), '', accepts)
    t.equal(plain.header('vary'), 'Accept-Encoding', 'a cache between must know')
    t.equal(plain.header('etag'), '"x"')
    t.equal(plain.body, page)
  }
})

/** Answers that go out as they came. */
const untouched: readonly (readonly [what: string, answer: typeof next, varies?: boolean])[] = [
  ['a picture', { headers: { 'Content-Type': 'image/png' } }],
  ['no type', { headers: {} }],
  ['an archive', { headers: { 'Content-Type': 'application/zip' } }],
  ['an event stream', { headers: { 'Content-Type': 'text/event-stream' } }],
  [
    'what must not be changed',
    { headers: { 'Content-Type': html, 'Cache-Control': 'private, No-Transform' } },
  ],
  [
    'what is tiny',
    { headers: { 'Content-Type': html, 'Content-Length': '9' }, pieces: ['123456789'] },
  ],
  ['a part', { status: 206, headers: { 'Content-Type': html, 'Content-Range': 'bytes 0-9/99' } }],
  ['a digest of its bytes', { headers: { 'Content-Type': html, 'Content-Digest': 'sha-256=:x:' } }],
  [
    'what is compressed',
    { headers: { 'Content-Type': html, 'Content-Encoding': 'gzip' }, pieces: [gzipSync(page)] },
  ],
]

await t.test('what is no text, or must stay as it is, stays as it is', async (t) => {
  for (const [what, answer] of untouched) {
    const got = await see(answer)
    const sent = Buffer.from(answer.pieces?.[0] ?? page)
    t.ok(Buffer.from(got.body, 'latin1').equals(sent), what)
    t.equal(got.header('vary'), '', what)
  }
  const head = await see({}, [gzip], 'HEAD /trac/wiki')
  t.equal(coding(head), '')
  t.equal(head.header('vary'), 'Accept-Encoding', 'HEAD says what GET would')
  const same = await see({ status: 304, headers: { ETag: '"x"' }, pieces: [''] })
  t.match(same, { status: 304, body: '' })
  t.equal(same.header('vary'), 'Accept-Encoding')
  const known = await see({ headers: { 'Content-Type': html, Vary: 'Cookie, accept-encoding' } })
  t.equal(known.header('vary'), 'Cookie, accept-encoding', 'said once')
  const old = new Wire(gateway.port)
  next = {}
  old.send(requestText(gateway, 'GET /trac/wiki', [gzip]).replace('HTTP/1.1', 'HTTP/1.0'))
  const answer = await old.answer()
  t.equal(coding(answer!), '', 'HTTP/1.0 could not tell where it ends')
  t.equal(answer!.body, page)
})

await t.test('pages of our own are never compressed', async (t) => {
  // Pages have a language, and no coding.
  for (const [line, vary] of [
    ['GET /trac/auth/session', 'Accept-Language'],
    ['GET /trac/auth/client.js', ''],
    ['GET /trac/auth/nothing', 'Accept-Language'],
  ] as const) {
    const answer = await see({}, [gzip, 'Accept: text/html', 'Sec-Fetch-Mode: navigate'], line)
    t.equal(coding(answer), '', line)
    t.equal(answer.header('vary'), vary, line)
  }
})

await t.test('a person’s page is compressed only where no other site can have asked', async (t) => {
  const [cookie, bearer] = [await cookieOf(sam), await bearerOf(sam)]
  const json = 'application/json'
  const site = (value: string) => (value === '' ? [] : [`Sec-Fetch-Site: ${value}`])
  const rows: readonly (readonly [
    who: string,
    type: string,
    site: string,
    isCompressed: boolean,
  ])[] = [
    ...['same-origin', 'none'].flatMap((value) =>
      [html, json, 'text/css'].map((type) => [cookie, type, value, true] as const),
    ),
    ...['same-site', 'cross-site', 'SAME-ORIGIN', 'x', ''].flatMap((value) => [
      [cookie, html, value, false] as const,
      [cookie, json, value, false] as const,
      [cookie, 'application/xhtml+xml', value, false] as const,
      [cookie, 'text/css', value, true] as const,
      [bearer, html, value, false] as const,
      [bearer, json, value, true] as const,
      ['', html, value, true] as const,
    ]),
    [bearer, html, 'same-origin', true],
  ]
  for (const [who, type, value, isCompressed] of rows) {
    const headers = [gzip, ...site(value), ...(who === '' ? [] : [who])]
    const answer = await see({ headers: { 'Content-Type': type } }, headers)
    t.equal(answer.status, 200)
    t.equal(coding(answer), isCompressed ? 'gzip' : '', `${who.slice(0, 10)} ${type} ${value}`)
    t.equal(answer.header('vary'), 'Accept-Encoding')
  }
  const open = await see({}, [gzip, cookie, 'Sec-Fetch-Site: cross-site'], 'GET /trac/open/x')
  t.equal(coding(open), 'gzip', 'an answer that is nobody’s own')
})

await t.test('a slow page comes as it is made', async (t) => {
  const wire = new Wire(gateway.port)
  const pieces = ['<p>first</p>', '<p>second</p>', page]
  next = { pieces }
  wire.send(requestText(gateway, 'GET /trac/wiki', [gzip, 'Connection: keep-alive']))
  const seen = () => {
    const [, body = ''] = wire.text.split('\r\n\r\n')
    const chunks = body.split('\r\n').filter((_, i) => i % 2 === 1)
    const bytes = Buffer.from(chunks.join(''), 'latin1')
    return bytes.length === 0
      ? ''
      : String(gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }))
  }
  await until(() => seen() === pieces[0], 'the first piece')
  goOn!()
  await until(() => seen() === pieces[0]! + pieces[1]!, 'the second')
  goOn!()
  goOn!()
  const answer = await wire.answer()
  t.ok(answer?.complete)
  t.equal(bodyOf(answer!), pieces.join(''))
  wire.send(requestText(gateway, 'GET /trac/wiki', [gzip]))
  next = {}
  t.equal(bodyOf((await wire.answer())!), page, 'the connection goes on')
  wire.destroy()
})

await t.test('a large answer comes whole, and no faster than it is read', async (t) => {
  // Text that shrinks by a quarter, so that the client's reading is what holds it up.
  const block = Buffer.from(randomBytes(300_000).toString('base64'))
  const count = 40
  const wire = new Wire(gateway.port)
  next = { pieces: Array.from({ length: count }, () => block) }
  wire.socket.pause()
  wire.send(requestText(gateway, 'GET /trac/wiki', [gzip]))
  current = undefined
  await until(() => current !== undefined)
  for (let i = 0; i < count; i++) goOn!()
  let before = -1
  await until(() => {
    const isStill = current!.writableLength === before
    before = current!.writableLength
    return isStill
  }, 'the upstream is held up')
  t.ok(before > (count * block.length) / 3, 'most of it waits at the upstream')
  wire.socket.resume()
  await wire.until(() => false)
  const answer = await wire.answer()
  t.ok(answer?.complete)
  const whole = gunzipSync(Buffer.from(answer!.body, 'latin1'))
  t.equal(whole.length, count * block.length)
  t.ok(whole.subarray(0, block.length).equals(block))
  wire.destroy()
})

await t.test('an upstream that breaks off leaves an answer that is seen to be cut', async (t) => {
  const wire = new Wire(gateway.port)
  next = { headers: { 'Content-Type': html, 'Content-Length': '99999' }, pieces: [page, page] }
  wire.send(requestText(gateway, 'GET /trac/wiki', [gzip]))
  await until(() => wire.text.includes('gzip'))
  goOn!()
  current!.destroy()
  const answer = await wire.answer()
  t.notOk(answer?.complete)
})

await t.test('compression: off leaves everything as it is', async (t) => {
  const off = await stage(t, { upstream, overlay: { compression: 'off' } })
  next = { headers: { 'Content-Type': html, ETag: '"x"' } }
  const answer = await ask(off.gateway, 'GET /trac/wiki', [gzip])
  t.equal(coding(answer), '')
  t.equal(answer.header('vary'), '')
  t.equal(answer.header('etag'), '"x"')
  t.equal(answer.body, page)
})
