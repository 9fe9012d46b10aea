/** The route policy as one matcher over the canonical path: first match wins, nothing matched is refused. */
import type { EnvironmentAt } from '../request/environment.js'
import { takesMethod } from '../request/route.js'
import type { Route } from '../request/route.js'
import { compilePattern, literalSegments, segmentsOf } from './pattern.js'
import type { LiteralSegment, Matcher } from './pattern.js'
import { judgeQuery, readQuery } from '../trac/query.js'
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
  /** Its place among all rows. */
  readonly order: number
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

/** What a row takes. */
function matcherOf(route: Route, environmentAt: EnvironmentAt | undefined): Matcher {
  const fits = pathMatcherOf(route)
  // What Trac gets lies in one of its environments, whatever the row's path would take.
  if (environmentAt === undefined || route.upstream !== 'trac') return fits
  return (asked, segments) => fits(asked, segments) && environmentAt(asked) !== undefined
}

/** What the row's path fits, with its exceptions. */
function pathMatcherOf({ path, except, trailingSlash }: Route): Matcher {
  const fits = compilePattern(path)
  const excluded = except.map(compilePattern)
  const admits: Matcher =
    excluded.length === 0
      ? fits
      : (asked, segments) => fits(asked, segments) && !excluded.some((one) => one(asked, segments))
  if (!trailingSlash) return admits
  return (asked, segments) =>
    admits(asked, segments) ||
    (asked.length > 1 && asked.endsWith('/') && admits(asked.slice(0, -1)))
}

/** As many rows may share a first segment before another one is looked for that tells them apart. */
const fewRows = 16

const keyOf = ({ at, text }: LiteralSegment): string => `${at} ${text}`

/**
 * The segment by which a row is found: the first one, or the one that it shares with the fewest other rows. A row that
 * takes one more slash has it at the end, where its other segments are not told by their distance from there.
 */
function chooseKeys(rows: readonly Row[]): readonly (LiteralSegment | undefined)[] {
  const literals = rows.map(({ route: { path, trailingSlash } }) =>
    literalSegments(path).filter(({ at }) => at >= 0 || !trailingSlash),
  )
  const shared = new Map<string, number>()
  for (const one of literals.flat()) shared.set(keyOf(one), (shared.get(keyOf(one)) ?? 0) + 1)
  const sharing = (one: LiteralSegment): number => shared.get(keyOf(one))!
  return literals.map((list) => {
    const first = list.find(({ at }) => at === 0)
    if (first !== undefined && sharing(first) <= fewRows) return first
    return list.toSorted((one, other) => sharing(one) - sharing(other))[0]
  })
}

/** Rows by a literal segment of their path, each list still in the order of the file. */
function index(all: readonly Row[]): (segments: readonly string[]) => readonly Row[] {
  const keys = chooseKeys(all)
  const anywhere = all.filter((_, i) => keys[i] === undefined)
  /** With those that may be anywhere: most requests need no other list. */
  const byFirst = new Map<string, Row[]>()
  const elsewhere = new Map<number, Map<string, Row[]>>()
  for (const [i, row] of all.entries()) {
    const key = keys[i]
    if (key === undefined) {
      for (const list of byFirst.values()) list.push(row)
    } else if (key.at === 0) {
      const list = byFirst.get(key.text) ?? anywhere.filter(({ order }) => order < row.order)
      byFirst.set(key.text, [...list, row])
    } else {
      const byText = elsewhere.get(key.at) ?? new Map<string, Row[]>()
      byText.set(key.text, [...(byText.get(key.text) ?? []), row])
      elsewhere.set(key.at, byText)
    }
  }
  const places = [...elsewhere]
  return (segments) => {
    const rows = byFirst.get(segments[0]!) ?? anywhere
    let more: Row[] | undefined
    for (const [at, byText] of places) {
      const found = byText.get(segments[at < 0 ? segments.length + at : at] ?? noSegment)
      if (found !== undefined) more = [...(more ?? rows), ...found]
    }
    return more === undefined ? rows : more.toSorted((one, other) => one.order - other.order)
  }
}

/** No segment is this one: a slash stands between two. */
const noSegment = '/'

function allowOf(route: Route): readonly string[] {
  if (route.query !== undefined) return ['GET', 'HEAD']
  const methods = [...(route.methods ?? [])]
  return methods.includes('GET') ? [...methods, 'HEAD'] : methods
}

/** How a row takes a request, or why it does not. */
export type RowVerdict = 'taken' | 'path' | 'known path' | 'method' | 'query'

/** Judges one row; `isKnown`: a row before it had the path. */
function judgeRow(
  { route, matches }: Row,
  isKnown: boolean,
  method: string,
  path: string,
  segments: readonly string[],
  values: () => Query,
): RowVerdict {
  if (!matches(path, segments)) return 'path'
  if (isKnown && route.unknownOnly) return 'known path'
  if (!takesMethod(route, method)) return 'method'
  return route.query === undefined || queryFits(route, values()) ? 'taken' : 'query'
}

/** The first row that fits. */
function find(
  rows: readonly Row[],
  method: string,
  path: string,
  segments: readonly string[],
  values: () => Query,
): RouteMatch {
  let isKnown = false
  let allow: Set<string> | undefined
  for (const row of rows) {
    const { route } = row
    const verdict = judgeRow(row, isKnown, method, path, segments, values)
    if (verdict === 'taken') return { route }
    if (verdict === 'path' || verdict === 'known path') continue
    isKnown = true
    if (verdict === 'query') continue
    allow ??= new Set()
    for (const name of allowOf(route)) allow.add(name)
  }
  return { route: undefined, allow: allow === undefined ? [] : [...allow] }
}

/** What each row says to a request, up to the one that takes it. */
export type TraceRows = (
  method: string,
  path: string,
  query: string,
) => readonly { readonly route: Route; readonly verdict: RowVerdict }[]

/** Compiles the rows for whoever wants to know why: all are asked, and the query is read in the way of today's Tracs. */
export function createTrace(routes: readonly Route[], environmentAt?: EnvironmentAt): TraceRows {
  const rows = toRows(routes, environmentAt)
  return (method, path, query) => {
    const judged = path === '' ? '/' : path
    const segments = segmentsOf(judged)
    const values = () => readQuery(query)
    const told: { readonly route: Route; readonly verdict: RowVerdict }[] = []
    let isKnown = false
    for (const row of rows) {
      const verdict = judgeRow(row, isKnown, method, judged, segments, values)
      told.push({ route: row.route, verdict })
      if (verdict === 'taken') break
      isKnown ||= verdict === 'method' || verdict === 'query'
    }
    return told
  }
}

function toRows(routes: readonly Route[], environmentAt?: EnvironmentAt): readonly Row[] {
  return routes.map((route, order) => ({ route, matches: matcherOf(route, environmentAt), order }))
}

/**
 * Compiles the rows, in the order in which they are tried.
 * @param environmentAt where there are several environments
 */
export function createRouter(routes: readonly Route[], environmentAt?: EnvironmentAt): Router {
  const rowsFor = index(toRows(routes, environmentAt))
  return (method, path, query) => {
    const judged = path === '' ? '/' : path
    const segments = segmentsOf(judged)
    const rows = rowsFor(segments)
    return judgeQuery(
      query,
      (values) => find(rows, method, judged, segments, values),
      (one, other) => one.route === other.route,
    )
  }
}
