/** Files that are kept in memory: what is asked of their upstream, for how long they serve, and what browsers are told. */
import { createHash } from 'node:crypto'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { t } from '../fixtures/tap.js'
import { FileStore, formOf } from '../../src/cache/store.js'
import { fieldsOf, termsOf } from '../../src/cache/terms.js'
import { createClock } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { Wire, answerText, answering, ask, requestText } from '../fixtures/wire.js'
import type { Arrived } from '../fixtures/wire.js'

const second = 1000
const minute = 60 * second
const css = 'Content-Type: text/css'
const modified = 'Wed, 01 Jan 2025 10:00:00 GMT'
const lastModified = `Last-Modified: ${modified}`

/** What the upstream has, by target; and the heads of what it was asked. */
const files = new Map<string, (head: string, arrived: Arrived) => string>()
const heads: string[] = []
const targetOf = (head: string) => head.split(' ')[1]!
const asked = (target: string) => heads.filter((head) => targetOf(head) === target).length
const serve = answering((head, arrived) => {
  heads.push(head)
  const missing = () => answerText('no', ['Content-Type: text/html'], '404 Not Found')
  return (files.get(targetOf(head)) ?? missing)(head, arrived)
})

const clock = createClock()
clock.stop()
const opened = { access: 'optional', upstream: 'api', cache: 'shared' } as const
const routes = [
  { name: 'shared', path: '/shared/**', ...opened },
  {
    name: 'members',
    path: '/members/**',
    ...opened,
    access: 'authenticated',
    require: { anyGroup: ['students'] },
  },
  { name: 'signed-in', path: '/signed-in/**', ...opened, access: 'authenticated' },
  { name: 'plain', path: '/plain/**', upstream: 'api', access: 'public' },
]
const s = await stage(t, {
  provider: 'cognito',
  upstream: 'raw',
  api: true,
  answer: serve,
  clock,
  overlay: { routes },
})
const { gateway, bearerOf, cookieOf, sam, ivan } = s

let number = 0
/** A new target below `/chrome`, which the upstream answers so. */
function put(answer: (head: string) => string, folder = 'chrome'): string {
  const target = `/trac/${folder}/file-${++number}`
  files.set(target, answer)
  return target
}
const putText = (body: string, headers: readonly string[] = [css, lastModified]) =>
  put(() => answerText(body, headers))
const get = (target: string, headers: readonly string[] = []) =>
  ask(gateway, `GET ${target}`, headers)

await t.test('a file is asked for once, by the gateway itself, whoever wants it', async (t) => {
  const target = putText('body {}', [css, lastModified, 'Set-Cookie: trac_session=abc; Path=/'])
  const clients = [[], [await bearerOf(sam)], [await cookieOf(ivan)], ['Cookie: trac_session=x']]
  for (const headers of clients) {
    const answer = await get(target, headers)
    t.match(answer, { status: 200, body: 'body {}' })
    t.equal(answer.header('set-cookie'), '')
    t.equal(answer.header('cache-control'), 'public, max-age=3600')
    t.equal(answer.header('last-modified'), modified)
    t.equal(answer.header('x-content-type-options'), 'nosniff')
    t.match(answer.header('x-request-id'), /^[0-9a-f]{32}$/)
    const tag = createHash('sha256').update('body {}').digest('base64url')
    t.equal(answer.header('etag'), `"${tag}"`)
  }
  const head = await ask(gateway, `HEAD ${target}`)
  t.match(head, { status: 200, body: '' })
  t.equal(head.header('content-length'), '7')
  t.equal(asked(target), 1)
  const [line, ...all] = heads.at(-1)!.split('\r\n')
  const fields = all.filter((field) => !/^connection:/i.test(field))
  t.equal(line, `GET ${target} HTTP/1.1`)
  t.strictSame(fields.map((field) => field.split(':')[0]!.toLowerCase()).toSorted(), [
    ...['accept', 'accept-encoding', 'host', 'via', 'x-forwarded-host'],
    ...['x-forwarded-proto', 'x-request-id', 'x-trac-perms', 'x-trac-signature', 'x-trac-user'],
  ])
  t.ok(fields.some((field) => /^x-trac-user: ?$/i.test(field)))
})

await t.test('the log and the metrics say what came from memory', async (t) => {
  const target = putText('x')
  const requests = () => gateway.metric('trac_gateway_file_requests_total')
  const before = await requests()
  for (let i = 0; i < 2; i++) await get(target)
  await get(put(() => answerText('', [], '500 No')))
  t.equal((await requests()) - before, 3)
  const scrape = await gateway.metrics()
  for (const answer of ['hit', 'fill', 'pass']) {
    t.match(scrape, `trac_gateway_file_requests_total{answer="${answer}"}`)
  }
  for (const answer of ['new', 'refused']) {
    t.match(scrape, `trac_gateway_file_fills_total{answer="${answer}"}`)
  }
  t.ok((await gateway.metric('trac_gateway_file_bytes')) > 4096)
  const lines = () => gateway.lines.filter(({ path, msg }) => path === target && msg === 'request')
  await until(() => lines().length === 2, 'two lines')
  t.match(lines(), [
    { status: 200, route: 'trac:chrome', cache: 'fill' },
    { status: 200, route: 'trac:chrome', cache: 'hit' },
  ])
})

/** What an answer says, and whether it is kept. */
const answers: readonly (readonly [what: string, isKept: boolean, headers: readonly string[]])[] = [
  ['nothing at all', true, []],
  ['a time to live', true, ['Cache-Control: public, max-age=100']],
  ['that it is checked when stale', true, ['Cache-Control: must-revalidate']],
  ['Vary: Accept-Encoding', true, ['Vary: accept-encoding']],
  ['a date of its end', true, [`Expires: ${new Date(clock() + minute).toUTCString()}`]],
  ['private', false, ['Cache-Control: max-age=100, private']],
  ['private for one field', false, ['Cache-Control: private="x"']],
  ['no-store', false, ['Cache-Control: NO-STORE']],
  ['no-store in a line of its own', false, ['Cache-Control: max-age=9', 'Cache-Control: no-store']],
  ['no-cache', false, ['Cache-Control: no-cache']],
  ['no time to live', false, ['Cache-Control: max-age=0']],
  ['two times to live, one of them none', false, ['Cache-Control: max-age=9, max-age=0']],
  ['a time to live that is none', false, ['Cache-Control: max-age=soon']],
  ['an end that is past', false, ['Expires: Fri, 01 Jan 1999 00:00:00 GMT']],
  ['an end that is no date', false, ['Expires: 0']],
  ['Vary: Cookie', false, ['Vary: Accept-Encoding, Cookie']],
  ['Vary: *', false, ['Vary: *']],
  ['a cookie', false, ['Set-Cookie: other=1']],
  ['a cookie beside the visitor’s', false, ['Set-Cookie: trac_session=1', 'Set-Cookie: a=1']],
  ['a coding', false, ['Content-Encoding: gzip']],
]
const statuses = ['201 Created', '203 X', '206 Partial', '301 Moved', '403 No', '404 No', '503 No']

await t.test('only a 200 that says nothing against it is kept', async (t) => {
  const rows = [
    ...answers.map(([what, isKept, headers]) => [what, isKept, headers, '200 OK'] as const),
    ...statuses.map((status) => [status, false, [], status] as const),
  ]
  for (const [what, isKept, headers, status] of rows) {
    const target = put(() => answerText('text', [css, ...headers], status))
    for (let i = 0; i < 2; i++) {
      const answer = await get(target)
      t.equal(answer.status, Number(status.slice(0, 3)), what)
      t.equal(answer.body, 'text', what)
    }
    // What can't be kept was asked for once to find out, and then forwarded twice.
    t.equal(asked(target), isKept ? 1 : 3, what)
  }
})

await t.test('what is too large is not kept', async (t) => {
  const body = 'x'.repeat(4 * 1024 * 1024 + 1)
  const target = putText(body)
  const answer = await get(target)
  t.equal(answer.body.length, body.length)
  await get(target)
  t.equal(asked(target), 3)
  const small = putText(body.slice(1))
  for (let i = 0; i < 2; i++) t.equal((await get(small)).body.length, body.length - 1)
  t.equal(asked(small), 1)
})

await t.test(
  'a file serves as long as it is fresh, then once more, while it is checked',
  async (t) => {
    let text = 'one'
    const target = put((head) =>
      new RegExp(`^if-modified-since: ${modified}\r?$`, 'im').test(head) && text === 'one'
        ? answerText('', [], '304 Not Modified').replace('Content-Length: 0\r\n', '')
        : answerText(text, [css, text === 'one' ? lastModified : 'ETag: "two"']),
    )
    const see = async (body: string, age: string, times: number) => {
      const answer = await get(target)
      t.equal(answer.body, body)
      t.equal(answer.header('age'), age)
      await until(() => asked(target) === times, `${times} requests upstream`)
      // The answer to our own request has been taken, too.
      await until(async () => (await get(target)).body === text)
    }
    await see('one', '0', 1)
    clock.advance(59 * second)
    await see('one', '59', 1)
    clock.advance(second)
    await see('one', '60', 2)
    t.equal((await get(target)).header('age'), '0', 'a 304 makes it new')
    clock.advance(minute)
    text = 'two'
    await see('one', '60', 3)
    t.equal((await get(target)).body, 'two')
    clock.advance(minute)
    await get(target)
    await until(() => asked(target) === 4)
    t.match(heads.at(-1), /^if-none-match: "two"\r?$/im)
  },
)

await t.test('nothing is older than ten minutes, whatever it says', async (t) => {
  const rows: readonly (readonly [what: string, header: string, after: number, isOld: boolean])[] =
    [
      ['nothing', lastModified, 600, false],
      ['nothing', lastModified, 601, true],
      ['a day', 'Cache-Control: max-age=86400', 599, false],
      ['a day', 'Cache-Control: max-age=86400', 601, true],
      ['that it must be checked', 'Cache-Control: must-revalidate', 60, true],
      ['that shared caches check it', 'Cache-Control: s-maxage=5', 5, true],
      ['that it is old already', 'Age: 590', 11, true],
    ]
  for (const [what, header, after, isOld] of rows) {
    let text = 'old'
    const target = put(() => answerText(text, [css, header]))
    await get(target)
    text = 'new'
    clock.advance(after * second)
    t.equal((await get(target)).body, isOld ? 'new' : 'old', `${what}, after ${after} s`)
  }
  const target = putText('x')
  await get(target)
  clock.advance(-minute)
  await get(target)
  t.equal(asked(target), 2, 'nor anything from a time that has not come yet')
  clock.advance(minute)
})

await t.test(
  'a file whose upstream fails is gone, and the request is told the usual way',
  async (t) => {
    let isUp = true
    const target = put((_head) => (isUp ? answerText('x', [css]) : ''))
    files.set(target, (_head, arrived) => {
      if (isUp) return answerText('x', [css])
      arrived.socket.destroy()
      return ''
    })
    await get(target)
    clock.advance(minute)
    isUp = false
    t.equal((await get(target)).body, 'x', 'once more')
    await until(async () => (await get(target)).status === 502, 'the fault')
    isUp = true
    t.match(await get(target), { status: 200, body: 'x' })
  },
)

await t.test('those who want a file at once wait for one request, and for no other', async (t) => {
  const waiting: (() => void)[] = []
  const target = put(() => '')
  files.set(target, (_head, { socket }) => {
    waiting.push(() => socket.write(answerText('once', [css])))
    return ''
  })
  const wires = Array.from({ length: 20 }, () => new Wire(gateway.port))
  for (const wire of wires) wire.send(requestText(gateway, `GET ${target}`, []))
  await until(() => waiting.length > 0)
  // The first one leaves: what it began goes on.
  wires.shift()!.destroy()
  await get(putText('another'))
  waiting[0]!()
  for (const wire of wires) t.match(await wire.answer(), { status: 200, body: 'once' })
  for (const wire of wires) wire.destroy()
  t.equal(asked(target), 1)
})

await t.test('the policy is asked first, every time', async (t) => {
  const [member, guest] = [await bearerOf(sam), await bearerOf(ivan)]
  const target = put(() => answerText('secret', [css]), 'members')
  t.equal((await get(target)).status, 401)
  t.equal((await get(target, [guest])).status, 403)
  t.equal(asked(target), 0, 'and nothing was asked for')
  const answer = await get(target, [member])
  t.match(answer, { status: 200, body: 'secret' })
  t.equal(answer.header('cache-control'), 'private, no-cache')
  t.match(heads.at(-1), /^x-trac-user: ?\r?$/im, 'it is what nobody gets')
  t.equal((await get(target)).status, 401)
  t.equal((await get(target, [guest])).status, 403)
  t.equal((await get(target, [`If-None-Match: ${answer.header('etag')}`])).status, 401)
  t.equal(asked(target), 1)
  const open = put(() => answerText('x', [css]), 'signed-in')
  t.equal((await get(open, [guest])).header('cache-control'), 'private, no-cache')
})

await t.test('an answer that sets a cookie of ours is kept by nobody', async (t) => {
  const target = putText('x')
  await get(target)
  const answer = await get(target, [`Cookie: ${s.names.session}=broken`])
  t.match(answer, { status: 200, body: 'x' })
  t.match(answer.header('set-cookie'), /Max-Age=0/)
  t.equal(answer.header('cache-control'), 'no-store')
})

await t.test('whoever came by cookie is shown nothing of other origins', async (t) => {
  const target = putText('x', [css, 'Access-Control-Allow-Origin: *', 'X-Custom: 1'])
  const headers = async (list: readonly string[]) => {
    const answer = await get(target, list)
    return [answer.header('access-control-allow-origin'), answer.header('x-custom')]
  }
  t.strictSame(await headers([]), ['*', '1'])
  t.strictSame(await headers([await cookieOf(sam)]), ['', '1'])
  t.strictSame(await headers([await bearerOf(sam)]), ['*', '1'])
})

await t.test('conditions are judged by what is kept', async (t) => {
  const target = putText('0123456789')
  const etag = (await get(target)).header('etag')
  const later = new Date(Date.parse(modified) + second).toUTCString()
  const earlier = new Date(Date.parse(modified) - second).toUTCString()
  const rows: readonly (readonly [headers: readonly string[], status: number])[] = [
    [[`If-None-Match: ${etag}`], 304],
    [[`If-None-Match: W/${etag}`], 304],
    [[`If-None-Match: "x", ${etag}`], 304],
    [['If-None-Match: "x"', `If-None-Match: ${etag}`], 304],
    [['If-None-Match: *'], 304],
    [['If-None-Match: "x"'], 200],
    [['If-None-Match: "x"', `If-Modified-Since: ${modified}`], 200],
    [[`If-None-Match: ${etag.slice(1, -1)}`], 200],
    [[`If-Modified-Since: ${modified}`], 304],
    [[`If-Modified-Since: ${later}`], 304],
    [[`If-Modified-Since: ${earlier}`], 200],
    [['If-Modified-Since: yesterday'], 200],
    [[`If-None-Match: ${etag}`, 'Range: bytes=0-1'], 304],
  ]
  for (const [headers, status] of rows) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(gateway, `${method} ${target}`, headers)
      t.equal(answer.status, status, `${method} ${headers.join()}`)
      t.equal(answer.header('etag'), etag)
      t.equal(answer.header('cache-control'), 'public, max-age=3600')
      t.equal(answer.header('content-type'), status === 304 ? '' : 'text/css')
    }
  }
  t.equal(asked(target), 1)
})

await t.test('a part of a file is sent as it is, if it is still the same', async (t) => {
  const target = putText('0123456789')
  const etag = (await get(target)).header('etag')
  const rows: readonly (readonly [
    headers: readonly string[],
    status: number,
    body: string,
    range: string,
  ])[] = [
    [['Range: bytes=0-0'], 206, '0', 'bytes 0-0/10'],
    [['Range: bytes=2-4'], 206, '234', 'bytes 2-4/10'],
    [['Range: bytes=8-'], 206, '89', 'bytes 8-9/10'],
    [['Range: bytes=8-99'], 206, '89', 'bytes 8-9/10'],
    [['Range: bytes=-3'], 206, '789', 'bytes 7-9/10'],
    [['Range: bytes=-99'], 206, '0123456789', 'bytes 0-9/10'],
    [['Range: BYTES=1-1'], 206, '1', 'bytes 1-1/10'],
    [['Range: bytes=10-'], 416, '', 'bytes */10'],
    [['Range: bytes=-0'], 416, '', 'bytes */10'],
    [['Range: bytes=4-2'], 200, '0123456789', ''],
    [['Range: bytes=0-1,3-4'], 200, '0123456789', ''],
    [['Range: lines=0-1'], 200, '0123456789', ''],
    [['Range: bytes=99999999999999999-'], 200, '0123456789', ''],
    [['Range: bytes=0-1', 'Range: bytes=2-3'], 200, '0123456789', ''],
    [['Range: bytes=0-1', `If-Range: ${etag}`], 206, '01', 'bytes 0-1/10'],
    [['Range: bytes=0-1', `If-Range: ${modified}`], 206, '01', 'bytes 0-1/10'],
    [['Range: bytes=0-1', `If-Range: W/${etag}`], 200, '0123456789', ''],
    [['Range: bytes=0-1', 'If-Range: "x"'], 200, '0123456789', ''],
    [['Range: bytes=10-', 'If-Range: "x"'], 200, '0123456789', ''],
  ]
  for (const [headers, status, body, range] of rows) {
    const answer = await get(target, headers)
    t.match(answer, { status, body }, headers.join())
    t.equal(answer.header('content-range'), range)
    t.equal(answer.header('content-length'), String(body.length))
  }
  const head = await ask(gateway, `HEAD ${target}`, ['Range: bytes=0-1'])
  t.equal(head.status, 200)
  t.equal(asked(target), 1)
})

await t.test('text is compressed once, each form with a tag of its own', async (t) => {
  const text = '.a { color: red }\n'.repeat(200)
  const target = putText(text)
  const plain = await get(target, ['Accept-Encoding: br'])
  t.equal(plain.header('content-encoding'), '', 'the first visitor does not wait for it')
  t.equal(plain.header('vary'), 'Accept-Encoding')
  await until(
    async () => (await get(target, ['Accept-Encoding: br'])).header('content-encoding') !== '',
  )
  const seen = new Map([[plain.header('etag'), '']])
  const open = { br: brotliDecompressSync, gzip: gunzipSync, '': (bytes: Buffer) => bytes }
  const rows: readonly (readonly [accepts: string, coding: keyof typeof open])[] = [
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, br;q=0', 'gzip'],
    ['gzip;q=1.0', 'gzip'],
    ['x-gzip', 'gzip'],
    ['*', 'br'],
    ['*;q=0', ''],
    ['identity', ''],
    ['br;q=0, gzip;q=0.000', ''],
    ['deflate', ''],
    ['br;gzip', ''],
    ['', ''],
  ]
  for (const [accepts, coding] of rows) {
    const answer = await get(target, [`Accept-Encoding: ${accepts}`])
    t.equal(answer.header('content-encoding'), coding, accepts)
    t.equal(answer.header('vary'), 'Accept-Encoding')
    t.equal(String(open[coding](Buffer.from(answer.body, 'latin1'))), text)
    const etag = answer.header('etag')
    t.equal(seen.get(etag) ?? coding, coding, 'a tag stands for one form')
    seen.set(etag, coding)
    const again = await get(target, [`Accept-Encoding: ${accepts}`, `If-None-Match: ${etag}`])
    t.equal(again.status, 304)
    t.equal(again.header('vary'), 'Accept-Encoding')
  }
  t.equal(seen.size, 3)
  const part = await get(target, ['Accept-Encoding: br', 'Range: bytes=0-1'])
  t.match(part, { status: 206, body: '.a' }, 'a part is one of the plain form')
  t.equal(part.header('content-encoding'), '')
  t.equal(part.header('etag'), plain.header('etag'))
  clock.advance(minute)
  await get(target)
  await until(() => asked(target) === 2)
  t.equal((await get(target, ['Accept-Encoding: br'])).header('content-encoding'), 'br', 'the same')
})

await t.test('what does not shrink, or may not be changed, is kept as it is', async (t) => {
  const long = 'x'.repeat(5000)
  for (const headers of [
    ['Content-Type: image/png'],
    [css, 'Cache-Control: no-transform'],
    ['Content-Type: text/event-stream'],
  ]) {
    const target = putText(long, headers)
    for (let i = 0; i < 3; i++) {
      const answer = await get(target, ['Accept-Encoding: br, gzip'])
      t.equal(answer.header('content-encoding'), '')
      t.equal(answer.header('vary'), '')
    }
  }
  t.equal((await get(putText('x'.repeat(1000)))).header('vary'), '', 'nor what is tiny')
})

await t.test(
  'a file that does not come in time is forwarded, and not asked for again at once',
  async (t) => {
    const timers = createTimers()
    const own = await stage(t, { upstream: s.upstream, clock, timers })
    const target = put(() => '')
    const answered = ask(own.gateway, `GET ${target}`)
    await until(() => asked(target) === 1, 'our own request')
    files.set(target, () => answerText('late', [css]))
    timers.advance(10_000)
    t.match(await answered, { status: 200, body: 'late' })
    t.equal(asked(target), 2)
    await ask(own.gateway, `GET ${target}`)
    t.equal(asked(target), 3, 'forwarded')
    clock.advance(30 * second)
    for (let i = 0; i < 2; i++) await ask(own.gateway, `GET ${target}`)
    t.equal(asked(target), 4, 'and kept from now on')
  },
)

await t.test('a reload empties it, with another configuration and with the same', async (t) => {
  const own = await stage(t, { upstream: s.upstream, clock, overlay: { routes: [] } })
  const target = putText('x')
  const see = async () => (await ask(own.gateway, `GET ${target}`)).header('cache-control')
  t.equal(await see(), 'public, max-age=3600')
  await see()
  t.equal(asked(target), 1)
  await own.gateway.reload({ routes: [] })
  await see()
  t.equal(asked(target), 2)
  await own.gateway.reload({ cache: { browser: '5m' } })
  t.equal(await see(), 'public, max-age=300')
  t.equal(asked(target), 3)
  await own.gateway.reload({ cache: { fresh: '5s' }, compression: 'off' })
  await see()
  clock.advance(5 * second)
  await see()
  await until(() => asked(target) === 5)
})

await t.test('what is kept has a bound, and what was used last stays', (t) => {
  const store = new FileStore(100_000)
  const terms = termsOf(fieldsOf([]), true, minute, 0)!
  const file = (size: number) => ({
    ...{ headers: [], headersByCookie: [], terms, checkedAt: 0, compressed: [] },
    identity: formOf('identity', Buffer.alloc(size)),
    isCompressible: true,
  })
  for (let i = 0; i < 10; i++) {
    store.set(`file ${i}`, file(20_000))
    store.get('file 0')
    t.ok(store.bytes <= 100_000)
  }
  const kept = Array.from({ length: 10 }, (_, i) => i).filter((i) => store.peek(`file ${i}`))
  t.strictSame(kept, [0, 7, 8, 9])
  const { identity } = store.peek('file 9')!
  store.addForms('file 9', identity, [formOf('br', Buffer.alloc(30_000))])
  t.ok(store.bytes <= 100_000, 'smaller forms count, too')
  store.addForms('file 9', formOf('identity', Buffer.alloc(1)), [])
  t.equal(store.peek('file 9')?.compressed.length, 1, 'and belong to their file alone')
  t.end()
})
