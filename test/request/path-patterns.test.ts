/** What two patterns have in common, held against the matcher that judges requests. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { compilePattern } from '../../src/authorize/pattern.js'
import { createRouter } from '../../src/authorize/router.js'
import { patternCovers, patternsMeet } from '../../src/request/path-patterns.js'
import { noRoute } from '../../src/request/route.js'
import type { Route } from '../../src/request/route.js'
import { overlapsOf, reachOf } from '../../src/request/row-reach.js'
import { scaled } from '../fixtures/scale.js'

const numRuns = scaled(2000, 100_000)
const seed = 20_261_127

const segment = fc.constantFrom('a', 'b', 'ab', '*', 'a*', '*b', 'a*b', '*a*', '**', '')
const pattern = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((list) => `/${list.join('/')}`)
const path = fc
  .array(fc.constantFrom('a', 'b', 'ab', 'aab', 'ba', ''), { minLength: 1, maxLength: 4 })
  .map((list) => `/${list.join('/')}`)

const somePaths = fc.array(path, { minLength: 20, maxLength: 30 })

await t.test('a pattern that covers another one takes every path of it', async (t) => {
  let covered = 0
  fc.assert(
    fc.property(pattern, pattern, somePaths, (wide, narrow, paths) => {
      if (!patternCovers(wide, narrow)) return
      const [takes, hidden] = [compilePattern(wide), compilePattern(narrow)]
      for (const one of paths.filter((candidate) => hidden(candidate))) {
        covered++
        if (!takes(one)) throw new Error(`${wide} does not take ${one} of ${narrow}`)
      }
    }),
    { numRuns: numRuns * 4, seed },
  )
  t.ok(covered > numRuns / 10, `${covered} paths were told`)
})

await t.test('patterns that take one path are said to meet', async (t) => {
  let met = 0
  fc.assert(
    fc.property(pattern, pattern, somePaths, (one, other, paths) => {
      const [a, b] = [compilePattern(one), compilePattern(other)]
      if (!paths.some((candidate) => a(candidate) && b(candidate))) return
      met++
      if (!patternsMeet(one, other)) throw new Error(`${one} and ${other} meet`)
    }),
    { numRuns, seed },
  )
  t.ok(met > numRuns / 20, `${met} pairs were told`)
})

await t.test('the usual shapes are told both ways', async (t) => {
  for (const [wide, narrow] of [
    ['/**', '/wiki/**'],
    ['/api/**', '/api'],
    ['/api/**', '/api/*/x'],
    ['/*', '/a*b'],
    ['/a*', '/a*b'],
    ['/x/**/y', '/x/y'],
  ] as const) {
    t.ok(patternCovers(wide, narrow), `${wide} covers ${narrow}`)
    t.ok(patternsMeet(wide, narrow))
  }
  for (const [wide, narrow] of [
    ['/wiki/**', '/**'],
    ['/*', '/a/b'],
    ['/*', '/'],
    ['/a*b', '/a*'],
    ['/x/*', '/x/**'],
  ] as const) {
    t.notOk(patternCovers(wide, narrow), `${wide} does not cover ${narrow}`)
  }
  t.notOk(patternsMeet('/a/*', '/b/**'))
  t.notOk(patternsMeet('/*.css', '/*.js'))
})

const row = fc.record({
  path: pattern,
  methods: fc.option(fc.subarray(['GET', 'HEAD', 'POST', 'PUT'], { minLength: 1 }), {
    nil: undefined,
  }),
  query: fc.option(
    fc.dictionary(fc.constantFrom('q', 'r'), fc.constantFrom(true, false, ['1'], ['1', '2']), {
      minKeys: 1,
      maxKeys: 2,
    }),
    { nil: undefined },
  ),
  trailingSlash: fc.boolean(),
})
const rows = fc.array(row, { minLength: 2, maxLength: 5 }).map((list) =>
  list.map(({ methods, query, ...more }, i): Route => ({
    ...noRoute,
    ...more,
    name: `row${i}`,
    methods: methods && new Set(methods),
    query:
      query &&
      new Map(
        Object.entries(query).map(([key, value]) => [
          key,
          typeof value === 'boolean' ? value : new Set(value),
        ]),
      ),
  })),
)
const asked = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE'),
  path,
  query: fc.constantFrom('', 'q=1', 'q=2', 'r=1', 'q=1&r=2', 'q=3'),
})

await t.test(
  'no request comes to a row, or to a method of one, that is said to be hidden',
  async (t) => {
    let dead = 0
    fc.assert(
      fc.property(rows, fc.array(asked, { maxLength: 20 }), (table, requests) => {
        const reaches = reachOf(table)
        dead += reaches.filter(({ state }) => state === 'dead').length
        const router = createRouter(table)
        for (const request of requests) {
          const { route } = router(request.method, request.path, request.query)
          if (route === undefined) continue
          const { state, methods } = reaches[table.indexOf(route)]!
          if (state === 'dead' || methods.includes(request.method)) {
            throw new Error(`${JSON.stringify(request)} comes to ${route.name}`)
          }
        }
      }),
      { numRuns, seed },
    )
    t.ok(dead > numRuns / 20, `${dead} dead rows`)
  },
)

await t.test('rows overlap where each has requests for itself, and some in common', async (t) => {
  const routeOf = (path: string, more: Partial<Route> = {}): Route => ({
    ...noRoute,
    name: path,
    path,
    methods: undefined,
    ...more,
  })
  t.same(overlapsOf([routeOf('/a/*'), routeOf('/*/b')]), [[0, 1]])
  t.same(overlapsOf([routeOf('/a/b'), routeOf('/a/*')]), [], 'one is a case of the other')
  t.same(overlapsOf([routeOf('/a/**'), routeOf('/b/**')]), [])
  const read = { methods: new Set(['GET']) }
  const write = { methods: new Set(['POST']) }
  t.same(overlapsOf([routeOf('/a/*', read), routeOf('/*/b', write)]), [])
  const edit = { query: new Map([['action', new Set(['edit'])]]) }
  t.same(overlapsOf([routeOf('/wiki/**', edit), routeOf('/wiki/Secret')]), [[0, 1]])
})
