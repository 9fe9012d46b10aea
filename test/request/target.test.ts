/** The canonical target: a table of what is sent for what came, of what is refused, and laws over 10^5 made-up targets. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { belowBase, parseTarget } from '../../src/request/target.js'
import { scaled } from '../fixtures/scale.js'

const limit = 4000

/** What came, what is judged, what is sent if that is not what came. */
const accepted: readonly (readonly [raw: string, path: string, sent?: string])[] = [
  ['/', '/'],
  ['/wiki', '/wiki'],
  ['/wiki/', '/wiki/'],
  ['/%61dmin', '/admin', '/admin'],
  ['/%7euser', '/~user', '/~user'],
  ['/a%2db%5fc%2Ed', '/a-b_c.d', '/a-b_c.d'],
  ['/wiki/caf%c3%a9', '/wiki/café', '/wiki/caf%C3%A9'],
  ['/wiki/%E6%97%A5%E6%9C%AC', '/wiki/日本'],
  ['/wiki/a%20b', '/wiki/a b'],
  ['/wiki/a+b', '/wiki/a+b'],
  ['/wiki/a%2bb', '/wiki/a+b', '/wiki/a%2Bb'],
  ['/wiki/a%3Fb', '/wiki/a?b'],
  ['/wiki/a%23b', '/wiki/a#b'],
  ['/wiki/a%25b', '/wiki/a%b'],
  ['/wiki/a%2541', '/wiki/a%41'],
  ['/%2561dmin', '/%61dmin'],
  ['/%252e%252e/admin', '/%2e%2e/admin'],
  ['/wiki/%252f', '/wiki/%2f'],
  ['/wiki/a../b', '/wiki/a../b'],
  ['/wiki/..a', '/wiki/..a'],
  ['/wiki/...', '/wiki/...'],
  ['/wiki/.hidden', '/wiki/.hidden'],
  ['/admin;x=1', '/admin;x=1'],
  ["/a!$&'()*,:@~b", "/a!$&'()*,:@~b"],
  ['/wiki/a"b<c>d', '/wiki/a"b<c>d', '/wiki/a%22b%3Cc%3Ed'],
  ['/wiki/{a}|^`b', '/wiki/{a}|^`b', '/wiki/%7Ba%7D%7C%5E%60b'],
  ['/wiki/[a]', '/wiki/[a]', '/wiki/%5Ba%5D'],
  ['/wiki/%EF%BB%BFa', '/wiki/\u{FEFF}a'],
  ['/Admin', '/Admin'],
  ['/trac%20', '/trac '],
  ['/milestone/TCP%5CIP', '/milestone/TCP\\IP'],
  ['/attachment/wiki/a%5cb/', '/attachment/wiki/a\\b/', '/attachment/wiki/a%5Cb/'],
  ['/milestone/ends%5C', '/milestone/ends\\'],
]

for (const [raw, path, sent = raw] of accepted) {
  await t.test(`judges ${raw} as ${path} and sends ${sent}`, async (t) => {
    t.strictSame(parseTarget(raw, limit), { path, query: '', sent })
  })
}

/** The query goes on byte for byte; only the path has rules. */
const queries: readonly (readonly [raw: string, path: string, query: string, sent?: string])[] = [
  ['/a?', '/a', '', '/a'],
  ['/a??', '/a', '?'],
  ['/a?b?c', '/a', 'b?c'],
  ['/a?x=%2e%2E/..//%2F%5c', '/a', 'x=%2e%2E/..//%2F%5c'],
  ['/a?x=%zz&%', '/a', 'x=%zz&%'],
  ['/a?x=%ff%00', '/a', 'x=%ff%00'],
  ['/a?x="<>\\^`{|}', '/a', 'x="<>\\^`{|}'],
  ['/a?%61=b', '/a', '%61=b'],
  ['/%61?%61', '/a', '%61', '/a?%61'],
  ['/?//', '/', '//'],
]

for (const [raw, path, query, sent = raw] of queries) {
  await t.test(`sends ${sent} for ${raw}`, async (t) => {
    t.strictSame(parseTarget(raw, limit), { path, query, sent })
  })
}

const refused: readonly (readonly [raw: string, code: string])[] = [
  ['', 'ERR_TARGET_FORM'],
  ['*', 'ERR_TARGET_FORM'],
  ['admin', 'ERR_TARGET_FORM'],
  ['http://other/admin', 'ERR_TARGET_FORM'],
  ['localhost:443', 'ERR_TARGET_FORM'],
  ['?x', 'ERR_TARGET_FORM'],
  ['\\admin', 'ERR_TARGET_FORM'],
  ['/a b', 'ERR_TARGET_CHARACTER'],
  ['/a\tb', 'ERR_TARGET_CHARACTER'],
  ['/a\u{0}b', 'ERR_TARGET_CHARACTER'],
  ['/a\u{7f}b', 'ERR_TARGET_CHARACTER'],
  ['/a\u{e9}', 'ERR_TARGET_CHARACTER'],
  ['/a?b\u{e9}', 'ERR_TARGET_CHARACTER'],
  ['/a?b c', 'ERR_TARGET_CHARACTER'],
  ['/wiki#/admin', 'ERR_TARGET_CHARACTER'],
  ['/wiki?a#b', 'ERR_TARGET_CHARACTER'],
  ['/public#/../admin', 'ERR_TARGET_CHARACTER'],
  ['/admin%0A', 'ERR_TARGET_CHARACTER'],
  ['/admin%00', 'ERR_TARGET_CHARACTER'],
  ['/admin%0d', 'ERR_TARGET_CHARACTER'],
  ['/admin%7f', 'ERR_TARGET_CHARACTER'],
  ['/admin%09', 'ERR_TARGET_CHARACTER'],
  ['/admin%C2%85', 'ERR_TARGET_CHARACTER'],
  ['/%', 'ERR_TARGET_ENCODING'],
  ['/%6', 'ERR_TARGET_ENCODING'],
  ['/%zz', 'ERR_TARGET_ENCODING'],
  ['/%6g', 'ERR_TARGET_ENCODING'],
  ['/%g6', 'ERR_TARGET_ENCODING'],
  ['/%-1', 'ERR_TARGET_ENCODING'],
  ['/%ff', 'ERR_TARGET_ENCODING'],
  ['/%E9', 'ERR_TARGET_ENCODING'],
  ['/%C0%AF', 'ERR_TARGET_ENCODING'],
  ['/%c0%ae%c0%ae/admin', 'ERR_TARGET_ENCODING'],
  ['/%ED%A0%80', 'ERR_TARGET_ENCODING'],
  ['/%F4%90%80%80', 'ERR_TARGET_ENCODING'],
  ['/%u0061', 'ERR_TARGET_ENCODING'],
  ['/%?a', 'ERR_TARGET_ENCODING'],
  ['/wiki\\..\\admin', 'ERR_TARGET_SLASH'],
  ['/wiki/%5c..%5cadmin', 'ERR_TARGET_SLASH'],
  ['/%5Cevil.example', 'ERR_TARGET_SLASH'],
  ['/wiki/a%5C%5Cb', 'ERR_TARGET_SLASH'],
  ['/wiki/a%5C/', 'ERR_TARGET_SLASH'],
  ['/wiki/a%5C..', 'ERR_TARGET_DOTS'],
  ['/wiki/a%5C%2e%5Cb', 'ERR_TARGET_DOTS'],
  ['/wiki/..%5Cadmin', 'ERR_TARGET_DOTS'],
  ['/wiki/a\\b', 'ERR_TARGET_SLASH'],
  ['/wiki%2f..%2fadmin', 'ERR_TARGET_SLASH'],
  ['/admin%2Fgeneral%2Fperm', 'ERR_TARGET_SLASH'],
  ['//admin', 'ERR_TARGET_SLASH'],
  ['///admin', 'ERR_TARGET_SLASH'],
  ['/wiki//x', 'ERR_TARGET_SLASH'],
  ['/wiki//', 'ERR_TARGET_SLASH'],
  ['/\\admin', 'ERR_TARGET_SLASH'],
  ['/.', 'ERR_TARGET_DOTS'],
  ['/..', 'ERR_TARGET_DOTS'],
  ['/./admin', 'ERR_TARGET_DOTS'],
  ['/wiki/../admin', 'ERR_TARGET_DOTS'],
  ['/wiki/%2e%2e/admin', 'ERR_TARGET_DOTS'],
  ['/wiki/.%2E/admin', 'ERR_TARGET_DOTS'],
  ['/wiki/%2e', 'ERR_TARGET_DOTS'],
  ['/wiki/..', 'ERR_TARGET_DOTS'],
  ['/wiki/..?x', 'ERR_TARGET_DOTS'],
  [`/${'a'.repeat(4000)}`, 'ERR_TARGET_TOO_LONG'],
  [`/?${'a'.repeat(3999)}`, 'ERR_TARGET_TOO_LONG'],
  [`/${'"'.repeat(1400)}`, 'ERR_TARGET_TOO_LONG'],
]

for (const [raw, code] of refused) {
  await t.test(`refuses ${JSON.stringify(raw.slice(0, 40))} with ${code}`, async (t) => {
    t.strictSame(parseTarget(raw, limit), { code })
  })
}

await t.test('measures the target as it is sent, the limit itself included', async (t) => {
  t.hasProp(parseTarget(`/${'%61'.repeat(3999)}`, limit), 'sent')
  t.strictSame(parseTarget(`/${'%61'.repeat(4000)}`, limit), { code: 'ERR_TARGET_TOO_LONG' })
})

/** Pieces that parsers are known to read differently, between letters of any kind. */
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...'abAZ09-._~/;:@+=&?$'.split('')) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ...'/ // /. /.. /./ /../ %2e %2E. .%2e %2f %2F %5c %25 %252e %252f %00 %0a %0A %c3%a9 %ff %C0%AF'.split(
        ' ',
      ),
      ...'%61 %41 %7e %7E %3b %3f %23 %20 %zz % # \\ admin wiki ticket " < > | ^ ` { } [ ]'.split(
        ' ',
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 0, max: 255 }).map((n) => `%${n.toString(16).padStart(2, '0')}`),
  },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)) },
)
const target = fc.array(piece, { maxLength: 14 }).map((pieces) => `/${pieces.join('')}`)
const runs = { numRuns: scaled(10_000, 100_000), seed: 20_261_125 }

/** What any WSGI server does to a path: split at the first `?`, undo each `%XX` once, read as UTF-8. */
function asServersRead(sent: string): { path: string; query: string } {
  const mark = sent.indexOf('?')
  const raw = mark < 0 ? sent : sent.slice(0, mark)
  const bytes = raw.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  const path = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
    Buffer.from(bytes, 'latin1'),
  )
  return { path, query: mark < 0 ? '' : sent.slice(mark + 1) }
}

await t.test('what is judged is what every server reads out of what is sent', async (t) => {
  let read = 0
  fc.assert(
    fc.property(target, (raw) => {
      const result = parseTarget(raw, limit)
      if ('code' in result) return
      read++
      const { path, query } = asServersRead(result.sent)
      if (path !== result.path) throw new Error(`judged ${result.path}, read ${path}`)
      if (query !== result.query) throw new Error(`judged ${result.query}, read ${query}`)
    }),
    runs,
  )
  t.ok(read > runs.numRuns / 5, `${read} targets were let through`)
})

await t.test('nothing is sent that a second parser could read otherwise', async (t) => {
  let read = 0
  fc.assert(
    fc.property(target, (raw) => {
      const result = parseTarget(raw, limit)
      if ('code' in result) return
      const { sent, path, query } = result
      const sentPath = sent.split('?', 1)[0]!
      // RFC 3986 §3.3: pchar and "/", hex in upper case, no unreserved character encoded.
      if (!/^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})*)+$/.test(sentPath)) {
        throw new Error(`sends ${sentPath}`)
      }
      if (/%(?:2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])/.test(sentPath)) {
        throw new Error(`encodes an unreserved character: ${sentPath}`)
      }
      if (/%2F|%0|%1|%7F|\/\/|\\/.test(sentPath)) throw new Error(`sends ${sentPath}`)
      // A `%5C` may be a slash to the other parser.
      const asSlashes = path.replaceAll('\\', '/')
      if (asSlashes.includes('//')) throw new Error(path)
      if (asSlashes.split('/').some((part) => part === '.' || part === '..')) throw new Error(path)
      // A WHATWG parser, as in browsers and proxies, leaves the path as it is.
      const url = new URL(`http://host${sent}`)
      if (url.pathname !== sentPath) throw new Error(`URL reads ${url.pathname}`)
      if (query !== '' && !raw.endsWith(`?${query}`)) throw new Error('the query has changed')
      if (/[^!-~]/.test(sent) || sent.includes('#')) throw new Error(`sends ${sent}`)
      read++
    }),
    runs,
  )
  t.ok(read > runs.numRuns / 5)
})

await t.test(
  'what is sent is canonical already: it is judged and sent the same again',
  async (t) => {
    let read = 0
    fc.assert(
      fc.property(target, (raw) => {
        const once = parseTarget(raw, limit)
        if ('code' in once) return
        read++
        const twice = parseTarget(once.sent, limit)
        if (JSON.stringify(twice) !== JSON.stringify(once)) {
          throw new Error(`${JSON.stringify(once)} became ${JSON.stringify(twice)}`)
        }
      }),
      runs,
    )
    t.ok(read > runs.numRuns / 5)
  },
)

await t.test('two targets that are sent alike are judged alike', async (t) => {
  const judged = new Map<string, string>()
  fc.assert(
    fc.property(target, (raw) => {
      const result = parseTarget(raw, limit)
      if ('code' in result) return
      const before = judged.get(result.sent)
      judged.set(result.sent, result.path)
      if (before !== undefined && before !== result.path) throw new Error(result.sent)
    }),
    runs,
  )
  t.ok(judged.size > runs.numRuns / 100)
})

const below: readonly (readonly [path: string, base: string, rest: string | undefined])[] = [
  ['/trac', '/trac', ''],
  ['/trac/', '/trac', '/'],
  ['/trac/wiki', '/trac', '/wiki'],
  ['/tracx', '/trac', undefined],
  ['/trac;x/wiki', '/trac', undefined],
  ['/TRAC/wiki', '/trac', undefined],
  ['/tr', '/trac', undefined],
  ['/aaaa/admin', '/trac', undefined],
  ['/', '', '/'],
  ['/wiki', '', '/wiki'],
]

for (const [path, base, rest] of below) {
  await t.test(`${path} is ${rest ?? 'not'} below "${base}"`, async (t) => {
    t.equal(belowBase(path, base), rest)
  })
}
