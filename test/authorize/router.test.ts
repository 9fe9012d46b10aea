/** Which row a request leads to: first match, methods, query conditions, and what is said when none fits. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import type { GatewayError } from '../../src/core/errors.js'
import { compilePattern } from '../../src/authorize/pattern.js'
import { createRouter } from '../../src/authorize/router.js'
import { noRoute } from '../../src/request/route.js'
import type { QueryCondition, Route } from '../../src/request/route.js'

interface Row {
  readonly path: string
  readonly methods?: readonly string[]
  readonly query?: Readonly<Record<string, boolean | readonly string[]>>
}

function routeOf({ path, methods, query }: Row, name: string): Route {
  const conditions = Object.entries(query ?? {}).map(([key, wanted]): [string, QueryCondition] => [
    key,
    typeof wanted === 'boolean' ? wanted : new Set(wanted),
  ])
  return {
    ...noRoute,
    name,
    path,
    methods: methods === undefined ? undefined : new Set(methods),
    query: query === undefined ? undefined : new Map(conditions),
    upstream: 'trac',
    credentials: new Set(['bearer', 'session']),
    access: 'optional',
  }
}

function routerOf(rows: Readonly<Record<string, Row>>) {
  return createRouter(Object.entries(rows).map(([name, row]) => routeOf(row, name)))
}

/** The row's name, or the methods of a 405, or 404. */
function found(router: ReturnType<typeof createRouter>, asked: string): string {
  const [method = '', target = ''] = asked.split(' ')
  const [path = '', query = ''] = target.split('?')
  let match
  try {
    match = router(method, path, query)
  } catch (error) {
    return (error as GatewayError).code
  }
  if (match.route !== undefined) return match.route.name
  return match.allow.length === 0 ? '404' : `405 ${match.allow.join(' ')}`
}

const rows: Readonly<Record<string, Row>> = {
  edit: { path: '/wiki/**', query: { action: ['edit', 'delete'] } },
  old: { path: '/wiki/**', methods: ['GET'], query: { version: true, format: false } },
  page: { path: '/wiki/*', methods: ['GET', 'POST'] },
  head: { path: '/head', methods: ['HEAD'] },
  post: { path: '/post', methods: ['POST'] },
  put: { path: '/post', methods: ['PUT', 'DELETE'] },
  asked: { path: '/asked', query: { a: ['1'] } },
  any: { path: '/any/**' },
  suffix: { path: '/*.css', methods: ['GET'] },
  root: { path: '/', methods: ['GET'] },
}

const cases: readonly (readonly [asked: string, result: string])[] = [
  ['GET /wiki/X', 'page'],
  ['HEAD /wiki/X', 'page'],
  ['POST /wiki/X', 'page'],
  ['PUT /wiki/X', '405 GET HEAD POST'],
  ['GET /wiki/X?action=edit', 'edit'],
  ['HEAD /wiki/X?action=delete', 'edit'],
  ['GET /wiki/X?action=view', 'page'],
  ['GET /wiki/X?action=edit&action=view', 'edit'],
  ['GET /wiki/X?action=view&action=edit', 'page'],
  ['GET /wiki/X?%61ction=%65dit', 'edit'],
  ['GET /wiki/X?action=edit;x', 'ERR_QUERY_AMBIGUOUS'],
  ['GET /wiki/X?x;action=edit', 'ERR_QUERY_AMBIGUOUS'],
  ['GET /wiki/X?x;version', 'ERR_QUERY_AMBIGUOUS'],
  ['GET /wiki/X?action=edit&x;y', 'edit'],
  ['GET /wiki/X?x;y', 'page'],
  ['POST /wiki/X?x;action=edit', 'page'],
  ['GET /wiki/X?Action=edit', 'page'],
  ['POST /wiki/X?action=edit', 'page'],
  ['GET /wiki/X?version=1', 'old'],
  ['GET /wiki/X?version', 'old'],
  ['GET /wiki/X?version=1&format=txt', 'page'],
  ['GET /wiki/a/b', '404'],
  ['GET /wiki/a/b?action=edit', 'edit'],
  ['POST /wiki/a/b', '405 GET HEAD'],
  ['GET /head', '405 HEAD'],
  ['HEAD /head', 'head'],
  ['POST /post', 'post'],
  ['DELETE /post', 'put'],
  ['GET /post', '405 POST PUT DELETE'],
  ['GET /asked', '404'],
  ['GET /asked?a=1', 'asked'],
  ['POST /asked?a=1', '405 GET HEAD'],
  ['GET /any', 'any'],
  ['PROPFIND /any/thing', 'any'],
  ['GET /x.css', 'suffix'],
  ['GET /any.css', 'suffix'],
  ['GET /', 'root'],
  ['GET ', 'root'],
  ['POST /', '405 GET HEAD'],
  ['get /wiki/X', '405 GET HEAD POST'],
  ['GET /WIKI/X', '404'],
  ['GET /constructor', '404'],
  ['GET /__proto__', '404'],
]

const router = routerOf(rows)
for (const [asked, result] of cases) {
  await t.test(`${asked} leads to ${result}`, async (t) => {
    t.equal(found(router, asked), result)
  })
}

await t.test(
  'a query that is not UTF-8 is refused only where a row asks for the query',
  async (t) => {
    t.throws(() => router('GET', '/wiki/X', 'a=%ff'), { code: 'ERR_QUERY_ENCODING' })
    t.equal(found(router, 'GET /any?a=%ff'), 'any')
    t.equal(found(router, 'POST /wiki/X?a=%ff'), 'page')
  },
)

await t.test('the earlier of two rows that fit is taken', async (t) => {
  const both = { a: { path: '/x/**' }, b: { path: '/x/y' } }
  t.equal(found(routerOf(both), 'GET /x/y'), 'a')
  t.equal(found(routerOf({ b: both.b, a: both.a }), 'GET /x/y'), 'b')
  t.equal(found(routerOf({ all: { path: '/**' }, ...both }), 'GET /x/y'), 'all')
  t.equal(found(routerOf({ ...both, all: { path: '/**' } }), 'GET /z'), 'all')
})

await t.test('without any row nothing is found', async (t) => {
  t.equal(found(routerOf({}), 'GET /'), '404')
})

const segment = fc.constantFrom('a', 'b', 'ab', 'c', '*', 'a*', '**', '')
const pattern = fc.array(segment, { maxLength: 4 }).map((list) => `/${list.join('/')}`)
const methods = fc.option(fc.subarray(['GET', 'HEAD', 'POST', 'PUT'], { minLength: 1 }), {
  nil: undefined,
})
const condition = fc.option(fc.constantFrom<QueryCondition>(true, false, new Set(['1'])), {
  nil: undefined,
  freq: 3,
})
const anyRoute = fc
  .record({
    path: pattern,
    except: fc.array(pattern, { maxLength: 1 }),
    unknownOnly: fc.boolean(),
    trailingSlash: fc.boolean(),
    methods,
    condition,
  })
  .map((given): Omit<Route, 'name'> => ({
    ...noRoute,
    ...given,
    methods: given.methods === undefined ? undefined : new Set(given.methods),
    query: given.condition === undefined ? undefined : new Map([['q', given.condition]]),
  }))

/** Rows below one first segment. */
const crowd = fc
  .array(anyRoute, { minLength: 20, maxLength: 30 })
  .map((list) => list.map((it) => ({ ...it, path: `/a${it.path}` })))

/** Every row, one after the other, in the words of the documentation. */
function linear(list: readonly Route[], method: string, path: string, q: string | undefined) {
  const fits = (one: string) => (it: Route) =>
    compilePattern(it.path)(one) && !it.except.some((out) => compilePattern(out)(one))
  const has = (it: Route) =>
    fits(path)(it) ||
    (it.trailingSlash && path.length > 1 && path.endsWith('/') && fits(path.slice(0, -1))(it))
  const takes = ({ methods: taken, query }: Route) =>
    (query === undefined || ['GET', 'HEAD'].includes(method)) &&
    (taken === undefined || taken.has(method) || (method === 'HEAD' && taken.has('GET')))
  const asked = ({ query }: Route) => {
    const wanted = query?.get('q')
    if (wanted === undefined) return true
    return typeof wanted === 'boolean' ? wanted === (q !== undefined) : wanted.has(q ?? '')
  }
  const there = list.filter(has)
  const judged = there.filter((it, i) => i === 0 || !it.unknownOnly)
  const hit = judged.find((it) => takes(it) && asked(it))
  if (hit !== undefined) return hit.name
  return judged.some((it) => !takes(it)) ? '405' : '404'
}

await t.test('the index by literal segments changes nothing', async (t) => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(
      // Many rows share a segment now and then, so that another one tells them apart.
      fc.oneof({ arbitrary: fc.array(anyRoute, { maxLength: 8 }), weight: 4 }, crowd),
      fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE'),
      fc.array(fc.constantFrom('a', 'a', 'b', 'ab', 'c', ''), { maxLength: 4 }),
      fc.constantFrom(undefined, '1', '2'),
      (list, method, segments, q) => {
        const path = `/${segments.join('/')}`
        const routes = list.map((it, i) => ({ ...it, name: `row ${i}` }))
        const wanted = linear(routes, method, path, q)
        const match = createRouter(routes)(method, path, q === undefined ? '' : `q=${q}`)
        const got = 'allow' in match ? (match.allow.length === 0 ? '404' : '405') : match.route.name
        seen.add(wanted)
        if (got !== wanted) throw new Error(`${method} ${path}: ${got}, not ${wanted}`)
      },
    ),
    { numRuns: 4000, seed: 9 },
  )
  t.ok(['404', '405', 'row 0', 'row 3', 'row 9'].every((result) => seen.has(result)))
})
