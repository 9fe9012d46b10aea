/** The route policy as one matcher over the canonical path: first match wins, nothing matched is refused. */
import { isRead } from '../core/methods.js'
import type { Route } from '../request/route.js'
import { compilePattern, firstSegment } from './pattern.js'
import type { Matcher } from './pattern.js'
import { judgeQuery } from '../trac/query.js'
import type { Query } from '../trac/query.js'

/** What a request's method, path and query lead to. */
export type RouteMatch =
  { readonly route: Route } | { readonly route: undefined; readonly allow: readonly string[] }

/**
 * Finds the route of a request. `path` is decoded and below the base path; the empty path is `/`.
 * Without a route, `allow` has the methods of rows that had the path (405), or is empty (404).
 * @throws {@link GatewayError} ERR_QUERY_ENCODING — a row asks for the query, which is not UTF-8
 * @throws {@link GatewayError} ERR_QUERY_AMBIGUOUS — the two ways in which Tracs read the query lead to different rows
 */
export type Router = (method: string, path: string, query: string) => RouteMatch

interface Row {
  readonly route: Route
  readonly matches: Matcher
}

function takesMethod(route: Route, method: string): boolean {
  if (route.query !== undefined && !isRead(method)) return false
  if (route.methods === undefined) return true
  return route.methods.has(method) || (method === 'HEAD' && route.methods.has('GET'))
}

function queryFits(route: Route, values: Query): boolean {
  for (const [name, condition] of route.query ?? []) {
    const value = values.get(name)
    const fits =
      typeof condition === 'boolean'
        ? condition === (value !== undefined)
        : value !== undefined && condition.has(value)
    if (!fits) return false
  }
  return true
}

/** What the row's path fits, with its exceptions. */
function matcherOf({ path, except, trailingSlash }: Route): Matcher {
  const fits = compilePattern(path)
  const excluded = except.map(compilePattern)
  const admits: Matcher =
    excluded.length === 0 ? fits : (asked) => fits(asked) && !excluded.some((one) => one(asked))
  if (!trailingSlash) return admits
  return (asked) =>
    admits(asked) || (asked.length > 1 && asked.endsWith('/') && admits(asked.slice(0, -1)))
}

/** Rows by the literal first segment of their path, each list still in the order of the file. */
function index(rows: readonly Row[]): (path: string) => readonly Row[] {
  const keyOf = (row: Row) => firstSegment(row.route.path)
  const anywhere = rows.filter((row) => keyOf(row) === undefined)
  const bySegment = new Map<string, Row[]>()
  for (const key of new Set(rows.map(keyOf))) {
    if (key === undefined) continue
    bySegment.set(
      key,
      rows.filter((row) => keyOf(row) === undefined || keyOf(row) === key),
    )
  }
  return (path) => {
    const end = path.indexOf('/', 1)
    return bySegment.get(end < 0 ? path.slice(1) : path.slice(1, end)) ?? anywhere
  }
}

function allowOf(route: Route): readonly string[] {
  if (route.query !== undefined) return ['GET', 'HEAD']
  const methods = [...(route.methods ?? [])]
  return methods.includes('GET') ? [...methods, 'HEAD'] : methods
}

/** The first row that fits. */
function find(rows: readonly Row[], method: string, path: string, values: () => Query): RouteMatch {
  let isKnown = false
  let allow: Set<string> | undefined
  for (const { route, matches } of rows) {
    if (!matches(path) || (isKnown && route.unknownOnly)) continue
    isKnown = true
    if (!takesMethod(route, method)) {
      allow ??= new Set()
      for (const name of allowOf(route)) allow.add(name)
    } else if (route.query === undefined || queryFits(route, values())) {
      return { route }
    }
  }
  return { route: undefined, allow: allow === undefined ? [] : [...allow] }
}

/** Compiles the rows, in the order in which they are tried. */
export function createRouter(routes: readonly Route[]): Router {
  const rowsFor = index(routes.map((route) => ({ route, matches: matcherOf(route) })))
  return (method, path, query) => {
    const judged = path === '' ? '/' : path
    const rows = rowsFor(judged)
    return judgeQuery(
      query,
      (values) => find(rows, method, judged, values),
      (one, other) => one.route === other.route,
    )
  }
}
