/** The public socket: what is bounded and refused before there is a request, and to whom requests are handed. */
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Config } from './config/schema.js'
import type { Milliseconds } from './identity.js'

/** Takes one request. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/** The public listener. */
export interface Listener {
  readonly server: Server
  /** From now on, requests go there. */
  handTo(handler: RequestHandler): void
  /** Stops accepting and waits for what runs, at most `patience`. */
  close(patience: Milliseconds): Promise<void>
}

/** How often finished connections are looked for while closing. */
const sweepEvery: Milliseconds = 100

/** What Node's parser refuses never becomes a request: it is answered on the socket, and the connection ends. */
function answerParserError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, code] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'ERR_HEADER_TOO_LARGE']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'ERR_CLIENT_TIMEOUT']
        : ['400 Bad Request', 'ERR_FRAMING_AMBIGUOUS']
  const body = `${JSON.stringify({ error: 'bad_request', code })}\n`
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
  )
}

/** Options of Node's server: limits on what arrives before there is a request. */
function serverOptions({ server }: Config) {
  const common = {
    insecureHTTPParser: false,
    maxHeaderSize: server.limits.header,
    headersTimeout: server.timeouts.headers,
    keepAliveTimeout: server.timeouts.keepAlive,
    // A long upload is cut by its own rules, never by its total time.
    requestTimeout: 0,
    connectionsCheckingInterval: 1000,
    // We answer a missing Host ourselves, with our own words.
    requireHostHeader: false,
    noDelay: true,
  }
  return common
}

function createServer(config: Config): Server {
  const { tls } = config.server
  if (tls === undefined) return createHttpServer(serverOptions(config))
  return createHttpsServer({
    ...serverOptions(config),
    cert: tls.certificate.value,
    key: tls.key.value,
    minVersion: 'TLSv1.2',
  })
}

/** Creates the listener; until {@link Listener.handTo} it serves nobody. */
export function createListener(config: Config): Listener {
  const server = createServer(config)
  let handler: RequestHandler = (_request, response) => response.destroy()
  const hand: RequestHandler = (request, response) => handler(request, response)
  server.on('request', hand)
  // `100 Continue` is sent when a request has passed, not when it arrives.
  server.on('checkContinue', hand)
  server.on('clientError', answerParserError)
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    socket.end('HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
  return {
    server,
    handTo(next) {
      handler = next
    },
    close: (patience) =>
      new Promise((resolve) => {
        const sweep = setInterval(() => server.closeIdleConnections(), sweepEvery)
        const deadline = setTimeout(() => server.closeAllConnections(), patience)
        server.close(() => {
          clearInterval(sweep)
          clearTimeout(deadline)
          resolve()
        })
      }),
  }
}
