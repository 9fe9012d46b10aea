/** `GET /auth/client.js`: the browser's token manager, read once, told apart by its hash. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'

/** Whether a browser has it already; a proxy that compresses makes the tag a weak one (RFC 9110 §13.1.2). */
function isKnown(ifNoneMatch: string, etag: string): boolean {
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}

/**
 * Builds the endpoint. A page names the script without its version, so that the plugin in Trac need not know it: the
 * browser keeps it, asks each time whether it changed, and is mostly told in a few bytes that it did not.
 */
export function createClientScript(reply: Reply) {
  const script = readFileSync(new URL('../browser/client.js', import.meta.url), 'utf8')
  const etag = `"${createHash('sha256').update(script).digest('base64url').slice(0, 22)}"`
  return (context: RequestContext): Promise<void> => {
    const headers = [
      'Content-Type',
      'text/javascript; charset=utf-8',
      'ETag',
      etag,
      'X-Content-Type-Options',
      'nosniff',
    ]
    const known = isKnown(context.request.headers['if-none-match'] ?? '', etag)
    reply.send(context, known ? 304 : 200, headers, known ? '' : script, 'no-cache')
    return Promise.resolve()
  }
}
