/** Which addresses of Trac are no pages: files, feeds and calls, which a browser saves or a program reads. */
import { judgeQuery } from './query.js'

/** Paths that answer with files or data, whatever is asked for there. */
const files =
  /^\/(?:chrome|pygments|raw-attachment|zip-attachment|export)(?:\/|$)|^\/search\/opensearch\/?$/

/** Where TracXMLRPC answers, by whichever method it is called. */
const calls = /^\/(?:login\/)?(?:rpc|xmlrpc|jsonrpc)\/?$/

/**
 * Whether an address is a page, to which somebody can come back after a sign-in. With a `format` in its query it is a feed
 * or a file instead, and so it is where Trac's Pythons read the query in two ways, or can't read it.
 * @param path decoded, below the base path
 */
export function isPage(path: string, query: string): boolean {
  if (files.test(path) || calls.test(path)) return false
  try {
    return judgeQuery(
      query,
      (values) => (values().get('format') ?? '') === '',
      (one, other) => one === other,
    )
  } catch {
    return false
  }
}
