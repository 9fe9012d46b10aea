/** The query as Trac reads it: a table, and made-up queries read by both real Tracs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { judgeQuery, readQuery, withoutParameter } from '../../src/trac/query.js'
import { GatewayError } from '../../src/core/errors.js'
import { askPython, pythonOf } from '../fixtures/tracs.js'

const cases: readonly (readonly [query: string, values: Readonly<Record<string, string>>])[] = [
  ['', {}],
  ['a=b', { a: 'b' }],
  ['a=b&a=c', { a: 'b' }],
  ['a=&a=c', { a: '' }],
  ['a', { a: '' }],
  ['a=b=c', { a: 'b=c' }],
  ['=b', { '': 'b' }],
  ['&&a=b&', { a: 'b' }],
  ['a=b;c=d', { a: 'b;c=d' }],
  ['%61ction=edit', { action: 'edit' }],
  ['action=%65dit', { action: 'edit' }],
  ['a+b=c+d', { 'a b': 'c d' }],
  ['a%2Bb=%2B', { 'a+b': '+' }],
  ['a=%zz%4', { a: '%zz%4' }],
  ['a=%25zz', { a: '%zz' }],
  ['a=%C3%A9', { a: 'é' }],
  ['a[]=1', { 'a[]': '1' }],
  ['__proto__=1&constructor=2', JSON.parse('{"__proto__":"1","constructor":"2"}')],
  ['a%3Db=c', { 'a=b': 'c' }],
  ['a%26b=c', { 'a&b': 'c' }],
]

for (const [query, values] of cases) {
  await t.test(`reads ${JSON.stringify(query)} as ${JSON.stringify(values)}`, async (t) => {
    t.strictSame([...readQuery(query)], Object.entries(values))
  })
}

await t.test(
  'with both separators, as Pythons before 2021 read it, a semicolon separates',
  async (t) => {
    t.strictSame(
      [...readQuery('a=b;c=d&e', '&;')],
      [
        ['a', 'b'],
        ['c', 'd'],
        ['e', ''],
      ],
    )
  },
)

/** Queries of which the two readings lead to different answers to "is there a page, and which?", or to the same. */
const twoWays: readonly (readonly [query: string, answer: string])[] = [
  ['x;page=A', 'ambiguous'],
  ['page=A;B', 'ambiguous'],
  ['page=A;page=B', 'ambiguous'],
  ['x=1;y=2', 'none'],
  ['page=A&x=1;page=B', 'A'],
  ['page=A%3BB', 'A;B'],
  ['x;page', 'ambiguous'],
]

for (const [query, answer] of twoWays) {
  await t.test(
    `asked for a page, ${query} says ${answer}, whichever way it is split`,
    async (t) => {
      const ask = () =>
        judgeQuery(
          query,
          (values) => values().get('page') ?? 'none',
          (one, other) => one === other,
        )
      if (answer === 'ambiguous') t.throws(ask, { code: 'ERR_QUERY_AMBIGUOUS' })
      else t.equal(ask(), answer)
    },
  )
}

await t.test(
  'a parameter is taken out however it is written, and the rest stays as it came',
  async (t) => {
    t.equal(withoutParameter('page=A&x=%2f&%70age=B&&y', 'page'), 'x=%2f&&y')
    t.equal(withoutParameter('page=A', 'page'), '')
  },
)

for (const query of ['a=%ff', '%ff=a', 'a=%C0%AF', 'a=%ED%A0%80', 'a=b&c=%E9']) {
  await t.test(`refuses ${query}, as Trac does`, async (t) => {
    t.throws(() => readQuery(query), { code: 'ERR_QUERY_ENCODING' })
  })
}

const piece = fc.constantFrom(
  ..."a b action edit edit_comment = = = & & & ; + %20 %2B %26 %3B %3D %25 %C3%A9 %E6%97%A5 %61 %65 %zz % %4 ? / [ ] : @ ! ' ( ) * , ~ - . _".split(
    ' ',
  ),
)
const broken = fc.constantFrom('%ff', '%C0%AF', '%E9', '%ED%A0%80')
const query = fc.oneof(
  { weight: 20, arbitrary: fc.array(piece, { maxLength: 12 }).map((list) => list.join('')) },
  {
    weight: 1,
    arbitrary: fc.array(fc.oneof(piece, broken), { maxLength: 8 }).map((list) => list.join('')),
  },
)

/** Reads each query with Trac's own request, for GET; null where Trac answers 400. */
const program = `
import io, json, sys
from trac.web.api import Request, HTTPBadRequest
answers = []
for query in json.load(open(sys.argv[1], 'rb')):
    environ = {'REQUEST_METHOD': 'GET', 'QUERY_STRING': str(query), 'wsgi.input': io.BytesIO(b''),
               'wsgi.url_scheme': 'http', 'SERVER_NAME': 'x', 'SERVER_PORT': '80', 'PATH_INFO': '/',
               'SCRIPT_NAME': '', 'HTTP_HOST': 'x', 'wsgi.errors': sys.stderr}
    try:
        request = Request(environ, lambda *a: None)
        seen = {}
        for name, value in request.arg_list:
            seen.setdefault(name, value)
        answers.append(sorted(seen.items()))
    except HTTPBadRequest:
        answers.append(None)
print(json.dumps(answers))
`

type Reading = readonly (readonly [string, string])[] | null

function ours(text: string, separators: '&' | '&;'): Reading {
  try {
    return [...readQuery(text, separators)]
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'ERR_QUERY_ENCODING') return null
    throw error
  }
}

const sorted = (reading: Reading) => reading?.toSorted(([a], [b]) => (a < b ? -1 : 1)) ?? null

for (const version of ['1.6', '1.4'] as const) {
  await t.test(`agrees with Trac ${version} on 4,000 made-up queries`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    // Python 2.7 also takes halves of surrogate pairs; ours, the stricter reading, refuses them.
    const queries = fc
      .sample(query, { numRuns: 4000, seed: 11 })
      .filter((text) => version === '1.6' || !text.includes('%ED%A0%80'))
    await writeFile(join(folder, 'queries.json'), JSON.stringify(queries))
    const python = await pythonOf(version)
    const theirs = (await askPython(python, program, join(folder, 'queries.json'))) as Reading[]
    t.equal(theirs.length, queries.length)
    const differ = queries.flatMap((text, i) => {
      const reading = sorted(ours(text, '&'))
      const wanted = sorted(theirs[i] ?? null)
      return JSON.stringify(reading) === JSON.stringify(wanted) ? [] : [{ text, reading, wanted }]
    })
    t.strictSame(differ.slice(0, 5), [])
    t.ok(
      theirs.some((reading) => reading === null),
      'some were refused',
    )
  })
}
