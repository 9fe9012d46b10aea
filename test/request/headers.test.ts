/** One pass over the raw headers: what is read, what may come once, what is two readings of one message. */
import type { IncomingMessage } from 'node:http'
import { t } from '../fixtures/tap.js'
import { scanHeaders } from '../../src/request/headers.js'

function scan(lines: readonly string[], httpVersionMinor = 1) {
  const rawHeaders = lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return scanHeaders({ rawHeaders, httpVersionMinor } as IncomingMessage)
}

const read: readonly (readonly [
  lines: readonly string[],
  wanted: Readonly<Record<string, unknown>>,
])[] = [
  [[], { host: '', contentLength: -1, chunked: false, requestedWith: false }],
  [['HOST: a', 'host-x: b'], { host: 'a' }],
  [['Cookie: a=1', 'cookie: b=2'], { cookie: 'a=1; b=2' }],
  [['Accept: text/html', 'Accept: */*'], { accept: 'text/html, */*' }],
  [['X-Forwarded-For: 1', 'X-Forwarded-For: 2'], { forwardedFor: '1, 2' }],
  [['Content-Length: 0'], { contentLength: 0 }],
  [['Content-Length: 007'], { contentLength: 7 }],
  [['Transfer-Encoding: CHUNKED'], { chunked: true }],
  [['Expect: 100-Continue'], { expectContinue: true }],
  [['X-Requested-With:'], { requestedWith: true }],
  [['Constructor: x', '__proto__: y', 'toString: z'], { host: '' }],
]
for (const [lines, wanted] of read) {
  await t.test(`reads ${lines.join(' | ') || 'nothing'}`, async (t) => {
    t.match(scan(lines), wanted)
  })
}

const refused: readonly (readonly [code: string, ...lines: string[]])[] = [
  ['ERR_HEADER_REPEATED', 'Authorization: Bearer a', 'authorization: Bearer b'],
  ['ERR_HEADER_REPEATED', 'Authorization:', 'Authorization: Bearer b'],
  ['ERR_HEADER_REPEATED', 'Authorization:', 'Authorization:'],
  ['ERR_HEADER_REPEATED', 'Host: a', 'Host: a'],
  ['ERR_HEADER_REPEATED', 'Host:', 'Host: a'],
  ['ERR_HEADER_REPEATED', 'Origin:', 'Origin: a'],
  ['ERR_HEADER_REPEATED', 'Origin: a', 'Origin:'],
  ['ERR_HEADER_REPEATED', 'Upgrade: a', 'Upgrade: b'],
  ['ERR_FRAMING_AMBIGUOUS', 'Content-Length: 1', 'Content-Length: 1'],
  ['ERR_FRAMING_AMBIGUOUS', 'Content-Length: 1', 'Transfer-Encoding: chunked'],
  ['ERR_FRAMING_AMBIGUOUS', 'Transfer-Encoding: chunked', 'Content-Length: 0'],
  ['ERR_FRAMING_AMBIGUOUS', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
  ['ERR_FRAMING_AMBIGUOUS', 'Transfer-Encoding: gzip, chunked'],
  ['ERR_FRAMING_AMBIGUOUS', 'Transfer-Encoding:'],
  ['ERR_FRAMING_AMBIGUOUS', 'Content-Length:'],
  ['ERR_FRAMING_AMBIGUOUS', 'Content-Length: +1'],
  ['ERR_FRAMING_AMBIGUOUS', 'Content-Length: 1e3'],
  ['ERR_FRAMING_AMBIGUOUS', 'Content-Length: 9999999999999999'],
  ['ERR_HEADER_INVALID', 'Expect: 100-continue', 'Expect: 100-continue'],
  ['ERR_HEADER_INVALID', 'Expect: everything'],
]
for (const [code, ...lines] of refused) {
  await t.test(`refuses ${lines.join(' | ')}`, async (t) => {
    t.throws(() => scan(lines), { code })
  })
}

await t.test('an expectation of HTTP/1.0 is passed over (RFC 9110 §10.1.1)', async (t) => {
  t.equal(scan(['Expect: 100-continue'], 0).expectContinue, false)
})
