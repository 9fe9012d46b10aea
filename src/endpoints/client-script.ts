/** `GET /auth/client.js`: the browser's token manager, read once, told apart by its hash. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RequestContext } from '../request/context.js'

/** Where the built script is: beside the built rooms, or under dist when the sources run. */
const places = ['../browser/client.js', '../../dist/browser/client.js']

function readScript(): string {
  for (const place of places) {
    try {
      return readFileSync(new URL(place, import.meta.url), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  throw new Error('browser/client.js has not been built: run "npm run build"')
}

/** Builds the endpoint. The browser asks each time whether it changed, and is mostly told it did not. */
export function createClientScript(
  send: (context: RequestContext, status: number, headers: readonly string[], body: string) => void,
) {
  const script = readScript()
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
    const known = context.request.headers['if-none-match'] === etag
    send(context, known ? 304 : 200, headers, known ? '' : script)
    return Promise.resolve()
  }
}
