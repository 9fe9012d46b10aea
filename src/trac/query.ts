/** Reads a query the way Trac reads it, so that a condition on it means what Trac will do (deploy/docs/trac.md#the-query). */
import { GatewayError } from '../core/errors.js'

/** Undoes `+` and `%XX` as Python's `unquote_plus` does: a malformed `%` stands for itself. */
function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced.replaceAll(/%(?![0-9a-fA-F]{2})/g, '%25'))
  } catch (cause) {
    throw new GatewayError('ERR_QUERY_ENCODING', { cause })
  }
}

/** What stands between pairs: `&`, or `;` too, as Python 2.7 and Python 3 before 3.9.2 read it. */
export type Separators = '&' | '&;'

/** The first value of each name. */
export type Query = ReadonlyMap<string, string>

/**
 * The first value of each name.
 * @throws {@link GatewayError} ERR_QUERY_ENCODING — when bytes are not UTF-8, which Trac refuses too
 */
export function readQuery(query: string, separators: Separators = '&'): Query {
  const values = new Map<string, string>()
  if (query === '') return values
  for (const pair of query.split(separators === '&' ? '&' : /[&;]/)) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (!values.has(name)) values.set(name, equals < 0 ? '' : decode(pair.slice(equals + 1)))
  }
  return values
}

/**
 * What follows from a query, whichever way Trac's Python reads it: a rule that looks at a query asks here.
 * @param judge what follows from one reading; it asks for the values only if it needs them
 * @param isSame whether two results are one
 * @throws {@link GatewayError} ERR_QUERY_AMBIGUOUS — when the two readings lead to different results
 */
export function judgeQuery<T>(
  query: string,
  judge: (values: () => Query) => T,
  isSame: (one: T, other: T) => boolean,
): T {
  const first = judge(reader(query, '&'))
  if (!query.includes(';')) return first
  if (!isSame(first, judge(reader(query, '&;')))) throw new GatewayError('ERR_QUERY_AMBIGUOUS')
  return first
}

/** Reads once, when it is asked for the first time. */
function reader(query: string, separators: Separators): () => Query {
  let values: Query | undefined
  return () => (values ??= readQuery(query, separators))
}

/** The query as it was received, without the pairs of one name. */
export function withoutParameter(query: string, name: string): string {
  const rest = query.split('&').filter((pair) => !readQuery(pair).has(name))
  return rest.join('&')
}
