/** Which rows of a policy no request reaches, since rows before them take it, and which rows take the same requests. */
import { commonMethods, davMethods } from '../core/methods.js'
import { patternCovers, patternsMeet } from './path-patterns.js'
import { takesMethod } from './route.js'
import type { QueryCondition, Route } from './route.js'

/** What of a row says which requests it takes. */
export type ReachRow = Pick<Route, 'name' | 'path' | 'methods' | 'query'> &
  Partial<Pick<Route, 'except' | 'unknownOnly' | 'trailingSlash'>>

/** What rows before a row leave of it. */
export interface Reach {
  /** `dead`: nothing; `shadowed`: only some of its methods. */
  readonly state: 'reached' | 'shadowed' | 'dead'
  /** Rows that take what it would. */
  readonly by: readonly string[]
  /** The methods that never come to it. */
  readonly methods: readonly string[]
}

/** Stands for every method that a row without `methods` takes besides. */
const others = '(others)'
const allMethods: readonly string[] = [...commonMethods, ...davMethods, others]

/** A row with what is asked of it again and again. */
interface Prepared {
  readonly row: ReachRow
  readonly methods: readonly string[]
  /** Its paths as patterns: with the slash that it may have at the end. */
  readonly paths: readonly string[]
  /** The literal that each of its paths begins with; undefined if there is none. */
  readonly first: string | undefined
}

function prepare(row: ReachRow): Prepared {
  const { path, trailingSlash = false } = row
  const first = path.split('/', 2)[1] ?? ''
  return {
    row,
    methods: allMethods.filter((method) => takesMethod(row, method)),
    paths: trailingSlash && path !== '/' ? [path, `${path}/`] : [path],
    first: first.includes('*') ? undefined : first,
  }
}

/** Whether all that fulfils one condition fulfils the other. */
function implies(narrow: QueryCondition | undefined, wide: QueryCondition): boolean {
  if (narrow === undefined) return false
  if (typeof wide === 'boolean') return wide ? narrow !== false : narrow === false
  return typeof narrow !== 'boolean' && [...narrow].every((value) => wide.has(value))
}

/** Whether a row takes every path and query that another one takes, the methods left aside. */
function hides({ row, paths }: Prepared, hidden: Prepared): boolean {
  if ((row.except?.length ?? 0) > 0 || row.unknownOnly === true) return false
  const conditions = [...(row.query ?? [])]
  if (!conditions.every(([name, wide]) => implies(hidden.row.query?.get(name), wide))) return false
  return hidden.paths.every((path) => paths.some((wide) => patternCovers(wide, path)))
}

/** What a row has left, by the rows before it that may have to do with it. */
function judge(row: Prepared, before: readonly Prepared[]): Reach {
  const by: string[] = []
  const left = new Set(row.methods)
  for (const earlier of before) {
    const taken = earlier.methods.filter((method) => left.has(method))
    if (taken.length === 0 || !hides(earlier, row)) continue
    by.push(earlier.row.name)
    for (const method of taken) left.delete(method)
  }
  const methods = row.methods.filter((method) => !left.has(method) && method !== others)
  const state = left.size === 0 ? 'dead' : by.length > 0 ? 'shadowed' : 'reached'
  return { state, by, methods }
}

/** Judges each row, in the order in which rows are tried. */
export function reachOf(rows: readonly ReachRow[]): readonly Reach[] {
  /** Rows so far: those that begin with a literal, by it, so that only those are compared that may meet. */
  const byFirst = new Map<string, (readonly [number, Prepared])[]>()
  const wild: (readonly [number, Prepared])[] = []
  return rows.map((one, order) => {
    const row = prepare(one)
    const { first } = row
    const same = first === undefined ? [] : (byFirst.get(first) ?? [])
    const before = [...wild, ...same].toSorted(([a], [b]) => a - b)
    if (first === undefined) wild.push([order, row])
    else byFirst.set(first, [...same, [order, row]])
    return judge(
      row,
      before.map(([, earlier]) => earlier),
    )
  })
}

/** Whether some request is taken by both rows, were either alone. */
function meet(one: Prepared, other: Prepared): boolean {
  if (!one.methods.some((method) => other.methods.includes(method))) return false
  if (one.first !== undefined && other.first !== undefined && one.first !== other.first)
    return false
  for (const [name, condition] of one.row.query ?? []) {
    const wanted = other.row.query?.get(name)
    if (wanted !== undefined && excludes(condition, wanted)) return false
  }
  return one.paths.some((path) => other.paths.some((second) => patternsMeet(path, second)))
}

/** Whether no value fulfils both conditions. */
function excludes(one: QueryCondition, other: QueryCondition): boolean {
  if (one === false || other === false) return one !== other
  if (typeof one === 'boolean' || typeof other === 'boolean') return false
  return ![...one].some((value) => other.has(value))
}

/**
 * Pairs of rows, by place, that take some requests in common while each has others for itself: which of the two judges
 * these is a matter of their order alone.
 */
export function overlapsOf(rows: readonly ReachRow[]): readonly (readonly [number, number])[] {
  const prepared = rows.map(prepare)
  const pairs: (readonly [number, number])[] = []
  for (const [later, row] of prepared.entries()) {
    for (const [earlier, other] of prepared.slice(0, later).entries()) {
      if (meet(other, row) && !hides(other, row) && !hides(row, other)) pairs.push([earlier, later])
    }
  }
  return pairs
}
