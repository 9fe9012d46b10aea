/** The small JSON API of the demo: stands for the service beside Trac, and shows what reached it. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { close, listen } from './local-server.js'

/** How to start the API; everything has a default. */
export interface ApiOptions {
  /** Default `127.0.0.1`. */
  host?: string
  /** Default 0: any free port. */
  port?: number
}

/** A running API. */
export interface DemoApi {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  /** Closes the port and every connection. */
  stop(): Promise<void>
}

/** What the API answers on every path: the request as it arrived, its secrets left out. */
export interface ApiAnswer {
  method: string
  path: string
  /** Undecoded, without the `?`. */
  query: string
  /** `X-Trac-User`, decoded; empty for an anonymous visitor. */
  user: string
  /** `X-Trac-Perms` as a list. */
  permissions: string[]
  authorization: 'present' | 'absent'
  cookie: 'present' | 'absent'
  signature: 'present' | 'absent'
  /** Bytes of the body. */
  bodyLength: number
}

/**
 * Starts the API.
 *
 * @throws The server's own error, `EADDRINUSE` for one, if the port can't be had.
 */
export async function startApi(options: ApiOptions = {}): Promise<DemoApi> {
  const { host = '127.0.0.1', port = 0 } = options
  const server = createServer((req, res) => {
    answer(req, res).catch(() => res.destroy())
  })
  const url = await listen(server, host, port)
  return { url, stop: () => close(server) }
}

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = JSON.stringify(describe(req, await countBody(req)))
  res.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  })
  res.end(req.method === 'HEAD' ? undefined : body)
}

function describe(req: IncomingMessage, bodyLength: number): ApiAnswer {
  const [path = '/', ...query] = (req.url ?? '/').split('?')
  const header = (name: string): string => String(req.headers[name] ?? '')
  const presence = (name: string): 'present' | 'absent' =>
    req.headers[name] === undefined ? 'absent' : 'present'
  return {
    method: req.method ?? 'GET',
    path,
    query: query.join('?'),
    user: decodeURIComponent(header('x-trac-user')),
    permissions: header('x-trac-perms').split(',').filter(Boolean),
    authorization: presence('authorization'),
    cookie: presence('cookie'),
    signature: presence('x-trac-signature'),
    bodyLength,
  }
}

async function countBody(req: IncomingMessage): Promise<number> {
  let length = 0
  for await (const chunk of req) length += Buffer.byteLength(chunk)
  return length
}
