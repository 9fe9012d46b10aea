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

/**
 * The first value of each name.
 * @param separators characters between pairs: `&`, or `&;` as Pythons before 2021 read it
 * @throws {@link GatewayError} ERR_QUERY_ENCODING — when bytes are not UTF-8, which Trac refuses too
 */
export function readQuery(
  query: string,
  separators: '&' | '&;' = '&',
): ReadonlyMap<string, string> {
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
