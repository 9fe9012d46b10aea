/** The public socket: what is bounded and refused before there is a request, and to whom requests are handed. */
import { ServerResponse, createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { Server as HttpsServer, createServer as createHttpsServer } from 'node:https'
import { Server as NetServer } from 'node:net'
import type { Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { Duplex } from 'node:stream'
import type { Config } from '../config/schema.js'
import { wait } from '../core/clock.js'
import type { Milliseconds, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { FlowLimits } from '../core/flow-meter.js'
import type { CertificatePair } from './certificate.js'
import { ConnectionWatch, lookEvery } from './connection-watch.js'
import { endSoon } from './last-word.js'
import { answerOf, inOrder } from './pipelining.js'
import type { RequestHandler } from './pipelining.js'
import { readUnparsed } from './unparsed.js'
import { asksForWebSocket } from './upgrade.js'
import type { ParserError } from './unparsed.js'

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
  /** From now on, connections come from another process: this one listens nowhere. */
  feed(): Feed
  /** From now on, new TLS connections get this certificate; those that are open keep theirs. */
  present(pair: CertificatePair): void
  /** From now on, clients must read what waits for them within the limits of this configuration. */
  limitReading(config: Config): void
  /**
   * From now on every answer ends its connection. New connections are taken for `drain`; then it waits for what runs, and
   * cuts it `shutdown` after the call.
   */
  stop(limits: StopLimits): Promise<void>
}

/** Connections that another process has accepted. */
export interface Feed {
  /** Serves one. */
  take(socket: Socket): void
  /** None comes any more: {@link Listener.stop} waits for that, instead of for its `drain`. */
  end(): void
}

/** How long stopping may take. */
export interface StopLimits {
  readonly drain: Milliseconds
  readonly shutdown: Milliseconds
}

/**
 * How long a kept connection has been without a request when it is ended: before then, the next one may be on its way.
 * Once nobody new comes, what is on its way is what was sent before its client read the last answer.
 */
const quietWhileDraining: Milliseconds = 1000
const quietAtEnd: Milliseconds = 100

/** An answer without words, after which the connection ends. */
const bare = (status: string) =>
  `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`

/**
 * Takes a connection over from Node's server, which has taken its listeners off: an error would end the process.
 * @returns whether an answer can be written: none is owed to an earlier request, and none has ended the connection
 */
function takeOver(socket: Socket): boolean {
  socket.on('error', () => socket.destroy())
  const free = socket.writable && answerOf(socket) === undefined
  if (!free) socket.destroy()
  return free
}

/** Makes the answer for a connection that Node's server does not answer by itself; the connection ends with it. */
function answerOn(socket: Socket, request: IncomingMessage, timers: Timers): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.once('finish', () => endSoon(socket, timers))
  return response
}

/** What Node's parser refuses never becomes a request: it is answered by itself, and the connection ends. */
function createParserErrorHandler(headerLimit: number, refuse: RefuseUnparsed, timers: Timers) {
  /** Whatever else comes on such a connection is refused by the parser again. */
  const refused = new WeakSet<Socket>()
  return (error: ParserError, socket: Socket): void => {
    // Bytes behind `Connection: close`: nobody reads them, and the connection ends with the answer, which is still owed.
    if (error.code === 'HPE_CLOSED_CONNECTION' || refused.has(socket)) return
    // What is written now would stand in the middle of an answer that is under way.
    const isFree = socket.writable && answerOf(socket) === undefined
    const unparsed = isFree ? readUnparsed(error, socket, headerLimit) : undefined
    if (unparsed === undefined) {
      socket.destroy()
      return
    }
    refused.add(socket)
    // Browsers open connections ahead of need: one without a byte is no request.
    if (socket.bytesRead === 0) endSoon(socket, timers, bare('408 Request Timeout'))
    else refuse(unparsed.request, answerOn(socket, unparsed.request, timers), unparsed.error)
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
  timers: Timers,
): void {
  const response = answerOn(request.socket, request, timers)
  // Read on, so that a client that leaves is noticed; RFC 6455 §4.1 has it wait for the answer, so nothing is lost.
  // A tunnel has no answer any more.
  const isWaiting = () => response.socket !== null
  socket.on('end', () => isWaiting() && socket.destroy()).resume()
  let isWebSocket: boolean
  try {
    isWebSocket = asksForWebSocket(request)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    refuse(request, response, error)
    return
  }
  hand(request, response, isWebSocket ? socket : undefined)
}

class FedConnections implements Feed {
  readonly #server: Server
  readonly #open = new Set<Socket>()
  #end: () => void = () => undefined
  #onEmpty: () => void = () => undefined
  readonly #ended = new Promise<void>((resolve) => (this.#end = resolve))

  constructor(server: Server) {
    this.#server = server
    // Node looks at the time that headers take once a server listens.
    server.emit('listening')
  }

  take(socket: Socket): void {
    this.#open.add(socket)
    socket.once('close', () => {
      this.#open.delete(socket)
      if (this.#open.size === 0) this.#onEmpty()
    })
    this.#server.emit('connection', socket)
  }

  end(): void {
    this.#end()
  }

  /** The answer settles when none is left; it is given when none comes any more. */
  async stopAccepting(): Promise<{ readonly closed: Promise<void> }> {
    await this.#ended
    const closed = new Promise<void>((resolve) => (this.#onEmpty = resolve))
    if (this.#open.size === 0) this.#onEmpty()
    return { closed }
  }
}

/** Creates the listener; until {@link Listener.handTo} it serves nobody. */
export function createListener(config: Config, timers: Timers): Listener {
  const server = createServer(config)
  let handler: RequestHandler = (_request, response) => response.destroy()
  let refuser: RefuseUnparsed = (_request, response) => response.destroy()
  const refuse: RefuseUnparsed = (request, response, error) => refuser(request, response, error)
  let isStopping = false
  let fed: FedConnections | undefined
  const hand: RequestHandler = (request, response, upgradeSocket) => {
    // It crossed our end of the connection: nobody could be answered, so nothing is begun.
    if (request.socket.writableEnded) {
      request.resume()
      return
    }
    if (isStopping) response.shouldKeepAlive = false
    handler(request, response, upgradeSocket)
  }
  const { keepAlive, headers } = config.server.timeouts
  let reading = readingLimits(config)
  const watch = new ConnectionWatch(
    server,
    // Node's own limits, which look at each connection once a second, come first.
    { idle: keepAlive + headers + 3 * lookEvery, reading: () => reading },
    timers,
  )
  takeRequests(server, hand, timers)
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    if (!takeOver(socket)) return
    watch.keepTunnel(socket)
    handUpgrade(hand, refuse, request, socket, timers)
  })
  server.on('clientError', createParserErrorHandler(config.server.limits.header, refuse, timers))
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    if (!takeOver(socket)) return
    const error = new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: [] })
    refuse(request, answerOn(socket, request, timers), error)
  })
  return {
    server,
    handTo(next, refuseNext) {
      handler = next
      refuser = refuseNext
    },
    feed: () => (fed = new FedConnections(server)),
    present(pair) {
      if (server instanceof HttpsServer) server.setSecureContext(secureContextOf(pair))
    },
    limitReading(next) {
      reading = readingLimits(next)
    },
    async stop({ drain, shutdown }) {
      isStopping = true
      watch.endQuiet(quietWhileDraining)
      const cutting = timers.setTimeout(() => watch.destroyAll(), Math.max(drain, shutdown))
      const { closed } = await (fed?.stopAccepting() ?? stopAfter(server, drain, timers))
      watch.endTunnels()
      watch.endQuiet(quietAtEnd)
      await closed
      timers.clearTimeout(cutting)
    },
  }
}

function readingLimits({ server: { timeouts } }: Config): FlowLimits {
  return { idle: timeouts.clientRead, minimumRate: timeouts.bodyMinimumRate }
}

/** Turns after which it is closed in any case. */
const maxTurns = 10_000

/**
 * Waits for a turn of the event loop in which no connection came: the kernel resets those that wait when the listener is
 * closed, and requests may have been sent on them. Node takes one of them a turn.
 */
export async function takeWaiting(server: NetServer): Promise<void> {
  let came = 0
  const count = () => came++
  server.on('connection', count)
  // The turn that runs may be past the point where connections are taken.
  await nextTurn()
  for (let turn = 0, before = -1; turn < maxTurns && came !== before; turn++) {
    before = came
    await nextTurn()
  }
  server.off('connection', count)
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

/** Takes new connections for `drain`; the answer settles when none is left. */
async function stopAfter(
  server: Server,
  drain: Milliseconds,
  timers: Timers,
): Promise<{ readonly closed: Promise<void> }> {
  if (drain > 0) await wait(timers, drain)
  await takeWaiting(server)
  return { closed: stopAccepting(server) }
}

/** Node's own way for a server of HTTP would also end each connection that has no request at this moment. */
function stopAccepting(server: Server): Promise<void> {
  return new Promise((resolve) => {
    NetServer.prototype.close.call(server, () => resolve())
  })
}

/** Hands requests on, one after the other on each connection. */
function takeRequests(server: Server, hand: RequestHandler, timers: Timers): void {
  const queue = inOrder(hand)
  // A client that is still sending must have time to read why it was refused (RFC 9112 §9.6).
  for (const event of ['connection', 'secureConnection']) {
    server.on(event, (socket: Socket) => {
      socket.destroySoon = () => endSoon(socket, timers)
    })
  }
  server.on('request', queue)
  // `100 Continue` is sent when a request has passed, not when it arrives.
  server.on('checkContinue', queue)
  // Another expectation is refused like any other header.
  server.on('checkExpectation', queue)
}
