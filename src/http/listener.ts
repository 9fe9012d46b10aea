/** The public socket: what is bounded and refused before there is a request, and to whom requests are handed. */
import { ServerResponse, createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { Server as HttpsServer, createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { Duplex } from 'node:stream'
import type { Config } from '../config/schema.js'
import { GatewayError } from '../core/errors.js'
import type { CertificatePair } from './certificate.js'
import { lookEvery, watchIdleConnections } from './idle-connections.js'
import { inOrder, isAnswering } from './pipelining.js'
import type { RequestHandler } from './pipelining.js'
import { readUnparsed } from './unparsed.js'
import type { ParserError } from './unparsed.js'
import type { Milliseconds, Timers } from '../core/clock.js'

/** Answers a request that was refused before it was one. */
export type RefuseUnparsed = (
  request: IncomingMessage,
  response: ServerResponse,
  error: GatewayError,
) => void

/** The public listener. */
export interface Listener {
  readonly server: Server
  /** From now on, requests go there, and `refuse` answers what is refused before there is a request. */
  handTo(handler: RequestHandler, refuse: RefuseUnparsed): void
  /** From now on, new TLS connections get this certificate; those that are open keep theirs. */
  present(pair: CertificatePair): void
  /** Stops accepting and waits for what runs, at most `timeout`. */
  close(timeout: Milliseconds): Promise<void>
}

/** How often finished connections are looked for while closing. */
const sweepEvery: Milliseconds = 100
/** How long a connection that we have ended may stay half open, for its client to read the last word. */
const lingerFor: Milliseconds = 1000

/** An answer without words, after which the connection ends. */
const bare = (status: string) =>
  `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`

/** Says a last word. Node's server would keep the other half open for as long as the client does. */
function endSoon(socket: Duplex, lastWord = ''): void {
  socket.end(lastWord)
  const timer = setTimeout(() => socket.destroy(), lingerFor)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}

/**
 * Takes a connection over from Node's server, which has taken its listeners off: an error would end the process.
 * @returns whether an answer can be written: none is owed to an earlier request, and none has ended the connection
 */
function takeOver(socket: Socket): boolean {
  socket.on('error', () => socket.destroy())
  const free = socket.writable && !isAnswering(socket)
  if (!free) socket.destroy()
  return free
}

/** Makes the answer for a connection that Node's server does not answer by itself; the connection ends with it. */
function answerOn(socket: Socket, request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.once('finish', () => endSoon(socket))
  return response
}

/** What Node's parser refuses never becomes a request: it is answered by itself, and the connection ends. */
function createParserErrorHandler(headerLimit: number, refuse: RefuseUnparsed) {
  /** Whatever else comes on such a connection is refused by the parser again. */
  const refused = new WeakSet<Socket>()
  return (error: ParserError, socket: Socket): void => {
    // Bytes behind `Connection: close`: nobody reads them, and the connection ends with the answer, which is still owed.
    if (error.code === 'HPE_CLOSED_CONNECTION' || refused.has(socket)) return
    // What is written now would stand in the middle of an answer that is under way.
    const unparsed =
      socket.writable && !isAnswering(socket) ? readUnparsed(error, socket, headerLimit) : undefined
    if (unparsed === undefined) {
      socket.destroy()
      return
    }
    refused.add(socket)
    // Browsers open connections ahead of need: one without a byte is no request.
    if (socket.bytesRead === 0) endSoon(socket, bare('408 Request Timeout'))
    else refuse(unparsed.request, answerOn(socket, unparsed.request), unparsed.error)
  }
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
    connectionsCheckingInterval: lookEvery,
    // We answer a missing Host ourselves, with our own words.
    requireHostHeader: false,
    noDelay: true,
  }
  return common
}

/** Forward secrecy and authenticated encryption alone; those of TLS 1.3 are all such (RFC 9325 §4.2). */
const ciphers = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':')

function secureContextOf({ certificate, key }: CertificatePair): SecureContextOptions {
  return { cert: certificate, key, minVersion: 'TLSv1.2', ciphers, honorCipherOrder: true }
}

function createServer(config: Config): Server {
  const { tls } = config.server
  if (tls === undefined) return createHttpServer(serverOptions(config))
  return createHttpsServer({
    ...serverOptions(config),
    ...secureContextOf({ certificate: tls.certificate.value, key: tls.key.value }),
    // Node's own is two minutes.
    handshakeTimeout: config.server.timeouts.headers,
  })
}

/**
 * Hands an upgrade request on like any other: what answers it is an ordinary answer, after which the connection ends,
 * or the tunnel that takes the socket over. Node has stopped parsing here, so a body could not be told from a tunnel.
 */
function handUpgrade(
  hand: RequestHandler,
  refuse: RefuseUnparsed,
  request: IncomingMessage,
  socket: Duplex,
): void {
  const response = answerOn(request.socket, request)
  // Read on, so that a client that leaves is noticed; RFC 6455 §4.1 has it wait for the answer, so nothing is lost.
  // A tunnel has no answer any more.
  const isWaiting = () => response.socket !== null
  socket.on('end', () => isWaiting() && socket.destroy()).resume()
  const { headers } = request
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
    const detail = 'A request for a WebSocket has no body.'
    refuse(request, response, new GatewayError('ERR_FRAMING_AMBIGUOUS', { detail }))
    return
  }
  const isWebSocket = headers.upgrade?.toLowerCase() === 'websocket'
  hand(request, response, isWebSocket ? socket : undefined)
}

/** Creates the listener; until {@link Listener.handTo} it serves nobody. */
export function createListener(config: Config, timers: Timers): Listener {
  const server = createServer(config)
  let handler: RequestHandler = (_request, response) => response.destroy()
  let refuser: RefuseUnparsed = (_request, response) => response.destroy()
  const refuse: RefuseUnparsed = (request, response, error) => refuser(request, response, error)
  const hand: RequestHandler = (request, response, upgradeSocket) =>
    handler(request, response, upgradeSocket)
  const { keepAlive, headers } = config.server.timeouts
  // Node's own limits, which look at each connection once a second, come first.
  const letGo = watchIdleConnections(server, keepAlive + headers + 3 * lookEvery, timers)
  const queue = inOrder(hand)
  // A client that is still sending must have time to read why it was refused (RFC 9112 §9.6).
  for (const event of ['connection', 'secureConnection']) {
    server.on(event, (socket: Socket) => {
      socket.destroySoon = () => endSoon(socket)
    })
  }
  server.on('request', queue)
  // `100 Continue` is sent when a request has passed, not when it arrives.
  server.on('checkContinue', queue)
  // Another expectation is refused like any other header.
  server.on('checkExpectation', queue)
  const upgraded = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    if (!takeOver(socket)) return
    letGo(socket)
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    handUpgrade(hand, refuse, request, socket)
  })
  server.on('clientError', createParserErrorHandler(config.server.limits.header, refuse))
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    if (!takeOver(socket)) return
    const error = new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: [] })
    refuse(request, answerOn(socket, request), error)
  })
  return {
    server,
    handTo(next, refuseNext) {
      handler = next
      refuser = refuseNext
    },
    present(pair) {
      if (server instanceof HttpsServer) server.setSecureContext(secureContextOf(pair))
    },
    close: (timeout) =>
      new Promise((resolve) => {
        const sweep = setInterval(() => server.closeIdleConnections(), sweepEvery)
        const deadline = setTimeout(() => server.closeAllConnections(), timeout)
        // A WebSocket has no end of its own to wait for.
        for (const socket of upgraded) socket.destroy()
        server.close(() => {
          clearInterval(sweep)
          clearTimeout(deadline)
          resolve()
        })
      }),
  }
}
