/** One object of Trac, one address: what a query names that a path names, too (deploy/docs/trac.md#addresses). */
import { isRead } from '../core/methods.js'
import { withoutParameter } from './query.js'
import type { Query } from './query.js'

/** What stands in a request besides its path. */
export type Naming =
  /** The object that the path names, and no other one. */
  | { readonly kind: 'plain' }
  /** An object with an address of its own: a decoded path below the base path, and the query parameter that named it. */
  | { readonly kind: 'moved'; readonly path: string; readonly parameter: string | undefined }
  /** A second object, at this path, which the page shows a part of. */
  | { readonly kind: 'shows'; readonly path: string }
  /** An object without the path that names it, in a way that no page of Trac uses. */
  | { readonly kind: 'hidden' }

const plain: Naming = { kind: 'plain' }
const hidden: Naming = { kind: 'hidden' }

/** Where a query parameter names what stands at a path of its own, and what that path begins with. */
const byParameter: readonly (readonly [
  at: RegExp,
  parameter: string,
  address: (match: RegExpExecArray) => string,
])[] = [
  [/^\/wiki\/?$/, 'page', () => '/wiki'],
  [/^\/milestone\/?$/, 'id', () => '/milestone'],
  // `-1` is the list of reports, for which Trac reads the query, too.
  [/^\/report(?:\/-1)?\/?$/, 'id', () => '/report'],
  [/^(\/(?:raw-|zip-)?attachment\/[^/]+)\/?$/, 'path', ([, address = '']) => address],
]

/**
 * Addresses at which Trac takes the object of a POST from the body, though each has an address of its own. At `/report`,
 * `/report/-1` and `/milestone` it does so, too, but there its own forms make new ones.
 */
const bodyNames = /^\/(?:wiki|(?:raw-|zip-)?attachment\/[^/]+)?\/?$/

/** Trac reads `/ticket/007` as ticket 7. */
const zeros = /^(\/(?:ticket|report)\/)0+([0-9]+)$/

/** At `/` a person's own default handler reads the query; these are the names by which any of them finds an object. */
const objectNames: readonly string[] = [
  ...['action', 'page', 'id', 'report', 'q'],
  ...['path', 'rev', 'reponame', 'new', 'new_path', 'old', 'old_path'],
  ...['cat_id', 'panel_id', 'path_info'],
]

/**
 * What a request names, by one reading of its query.
 * @param path decoded, below the base path; the empty path is `/`
 * @param hasQuery whether there is one at all; most requests have none, and are done sooner
 */
export function namingOf(
  method: string,
  path: string,
  hasQuery: boolean,
  values: () => Query,
): Naming {
  const [, start, number] = zeros.exec(path) ?? []
  if (start !== undefined) {
    return isRead(method)
      ? { kind: 'moved', path: `${start}${number}`, parameter: undefined }
      : hidden
  }
  if (!isRead(method)) return bodyNames.test(path || '/') ? hidden : plain
  if (!hasQuery) return plain
  if (path === '' || path === '/') return namedAtHome(values()) ? hidden : plain
  return moved(path, values) ?? attachmentFormat(path, values) ?? shown(path, values) ?? plain
}

function namedAtHome(values: Query): boolean {
  return objectNames.some((name) => values.has(name))
}

function moved(path: string, values: () => Query): Naming | undefined {
  for (const [at, parameter, address] of byParameter) {
    const match = at.exec(path)
    const value = match === null ? undefined : values().get(parameter)
    if (match === null || value === undefined) continue
    const name = value.replace(/^\/+/, '')
    const bare = address(match)
    return { kind: 'moved', path: name === '' ? bare : `${bare}/${name}`, parameter }
  }
  return undefined
}

/** `format=raw` and `format=zip` are what `/raw-attachment` and `/zip-attachment` stand for. */
function attachmentFormat(path: string, values: () => Query): Naming | undefined {
  if (!path.startsWith('/attachment/')) return undefined
  const format = values().get('format')
  if (format !== 'raw' && format !== 'zip') return undefined
  return { kind: 'moved', path: `/${format}-${path.slice(1)}`, parameter: 'format' }
}

/** A page's form that begins with the text of another one, and a query that shows the title of its report. */
function shown(path: string, values: () => Query): Naming | undefined {
  if (path === '/wiki' || path.startsWith('/wiki/')) {
    const template = values().get('template')
    if (template === undefined || template === '') return undefined
    const page = template.startsWith('/') ? template.slice(1) : `PageTemplates/${template}`
    return { kind: 'shows', path: `/wiki/${page}` }
  }
  if (path !== '/query' && path !== '/query/') return undefined
  const report = values().get('report')
  if (report === undefined || report === '') return undefined
  return /^[1-9][0-9]*$/.test(report) ? { kind: 'shows', path: `/report/${report}` } : hidden
}

/** Whether two readings of a query name the same. */
export function isSameNaming(one: Naming, other: Naming): boolean {
  const path = (naming: Naming) => ('path' in naming ? naming.path : '')
  return one.kind === other.kind && path(one) === path(other)
}

/** The query that goes on to an object's own address. */
export function queryAt(naming: { readonly parameter: string | undefined }, query: string): string {
  return naming.parameter === undefined ? query : withoutParameter(query, naming.parameter)
}
