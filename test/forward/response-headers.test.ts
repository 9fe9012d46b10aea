/** What a client hears of an upstream's headers: cookies, caching, CORS, hop-by-hop, by table. */
import { t } from '../fixtures/tap.js'
import { clientHeaders } from '../../src/forward/response-headers.js'
import type { ResponseFacts } from '../../src/forward/response-headers.js'

const stem = '__Host-tg-0123abcd-'

function heard(
  lines: readonly string[],
  facts: Partial<ResponseFacts> = {},
  secure = true,
): string[] {
  const raw = lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const list = clientHeaders(
    raw,
    { cookiePrefix: stem, hsts: secure ? 'max-age=31536000' : undefined },
    {
      requestId: 'id',
      personal: false,
      byCookie: false,
      byTrac: false,
      declaresTypes: false,
      setCookies: [],
      ...facts,
    },
  )
  const pairs = list.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${list[i + 1]}`] : []))
  const always = ['X-Request-Id: id', 'Strict-Transport-Security: max-age=31536000']
  return pairs.filter((pair) => !always.includes(pair))
}

const cases: readonly (readonly [
  lines: readonly string[],
  facts: Partial<ResponseFacts>,
  wanted: readonly string[],
])[] = [
  [['Content-Type: a/b', 'ETag: "x"'], {}, ['Content-Type: a/b', 'ETag: "x"']],
  [['X: caf\u{e9}'], {}, ['X: caf\u{e9}']],
  [['Connection: x-a, X-B', 'X-A: 1', 'x-b: 2', 'X-C: 3'], {}, ['X-C: 3']],
  [['Transfer-Encoding: chunked', 'Keep-Alive: 1', 'Upgrade: x', 'Trailer: y'], {}, []],
  [['Server: tracd', 'X-Powered-By: x', 'x-trac-user: y', 'X-Request-Id: z'], {}, []],
  [['Strict-Transport-Security: max-age=0'], {}, []],
  [[`Set-Cookie: ${stem}s=x`], {}, []],
  [[`Set-Cookie:  ${stem}l-1 = x`], {}, []],
  [[`Set-Cookie: =${stem}s=x`], {}, []],
  [[`Set-Cookie: ${stem}s`], {}, []],
  [
    ['Set-Cookie: trac_auth=x; Path=/', 'Set-Cookie: trac_session=y'],
    {},
    ['Set-Cookie: trac_session=y'],
  ],
  [['Set-Cookie: a=trac_auth'], {}, ['Set-Cookie: a=trac_auth']],
  [['Access-Control-Allow-Origin: *', 'access-control-expose-headers: x'], { byCookie: true }, []],
  [['Access-Control-Allow-Origin: *'], {}, ['Access-Control-Allow-Origin: *']],
  [
    ['Content-Type: a/b'],
    { declaresTypes: true },
    ['Content-Type: a/b', 'X-Content-Type-Options: nosniff'],
  ],
  [['x-content-type-options: own'], { declaresTypes: true }, ['x-content-type-options: own']],
  [['X-Content-Type-Options: own'], {}, ['X-Content-Type-Options: own']],
  [[], { personal: true }, ['Cache-Control: private']],
  [['Cache-Control: max-age=1'], { personal: true }, ['Cache-Control: private, max-age=1']],
  [
    ['Cache-Control: max-age=1, PRIVATE'],
    { personal: true },
    ['Cache-Control: max-age=1, PRIVATE'],
  ],
  [['Cache-Control: private="x, y"'], { personal: true }, ['Cache-Control: private']],
  [['Cache-Control: public'], { personal: true }, ['Cache-Control: private']],
  [
    ['Cache-Control: max-age=60, Public,s-maxage=600'],
    { personal: true },
    ['Cache-Control: private, max-age=60'],
  ],
  [['Cache-Control: private, s-maxage=9'], { personal: true }, ['Cache-Control: private']],
  [['Cache-Control: s-maxage="9", no-store'], { personal: true }, ['Cache-Control: no-store']],
  [
    ['Cache-Control: no-cache="a, public"'],
    { personal: true },
    ['Cache-Control: private, no-cache="a, public"'],
  ],
  [
    ['Cache-Control: public', 'Cache-Control: s-maxage=1'],
    { personal: true },
    ['Cache-Control: private', 'Cache-Control: private'],
  ],
  [['Cache-Control: public, s-maxage=9'], {}, ['Cache-Control: public, s-maxage=9']],
  [
    [
      'Surrogate-Control: max-age=9',
      'CDN-Cache-Control: public',
      'Cloudflare-CDN-Cache-Control: x',
    ],
    { personal: true },
    ['Cache-Control: private'],
  ],
  [['X-Accel-Expires: 600', 'Edge-Control: x'], { personal: true }, ['Cache-Control: private']],
  [['Surrogate-Control: max-age=9'], {}, ['Surrogate-Control: max-age=9']],
  [['Cache-Control: x-private'], { personal: true }, ['Cache-Control: private, x-private']],
  [
    ['Cache-Control: public'],
    { setCookies: ['a=b'] },
    ['Cache-Control: no-store', 'Set-Cookie: a=b'],
  ],
  [
    [],
    { setCookies: ['a=b', 'c=d'] },
    ['Cache-Control: no-store', 'Set-Cookie: a=b', 'Set-Cookie: c=d'],
  ],
]

for (const [lines, facts, wanted] of cases) {
  await t.test(`${lines.join(' | ') || 'nothing'} with ${JSON.stringify(facts)}`, async (t) => {
    t.strictSame(heard(lines, facts), wanted)
  })
}

await t.test('over plain HTTP, on loopback, HSTS is the upstream’s own affair', async (t) => {
  t.strictSame(heard(['Strict-Transport-Security: max-age=5'], {}, false), [
    'Strict-Transport-Security: max-age=5',
  ])
})
