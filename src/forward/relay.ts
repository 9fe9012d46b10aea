/** Passes one answer from an upstream's connection to the client's, byte for byte and never faster than it is read. */
import type { ServerResponse } from 'node:http'
import { GatewayError } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import { takeHead } from '../core/node-internals.js'
import type { AnswerReader, Connection } from './connection.js'

/** What the relay tells as it goes. */
export interface RelayEvents {
  /** Makes our headers of the upstream's. @throws if they can't be written */
  headers(status: number, raw: readonly string[]): string[]
  /** The answer is complete and the connection may be used again. */
  done(connection: Connection): void
  /** Nothing has been sent to the client yet, unless `started`. */
  failed(connection: Connection, error: GatewayError, started: boolean, untouched: boolean): void
}

const codes: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_HEADERS_TIMEOUT: 'ERR_UPSTREAM_TIMEOUT',
  UND_ERR_BODY_TIMEOUT: 'ERR_UPSTREAM_TIMEOUT',
  UND_ERR_SOCKET: 'ERR_UPSTREAM_RESET',
  ECONNRESET: 'ERR_UPSTREAM_RESET',
  EPIPE: 'ERR_UPSTREAM_RESET',
  UND_ERR_HEADERS_OVERFLOW: 'ERR_UPSTREAM_ANSWER',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'ERR_UPSTREAM_ANSWER',
}

/** Faults of a connection that never came to be. */
const unreachable =
  /^(?:ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EAI_|ENOENT|EACCES|CERT_|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/

/** The text of undici's error for a 101: its code is that of a reset. */
const unaskedUpgrade = 'bad upgrade'

/** The one place where errors of undici and of sockets become ours, by their codes. */
function fromConnection(cause: Error): GatewayError {
  if (cause instanceof GatewayError) return cause
  const { code = '' } = cause as NodeJS.ErrnoException
  if (code === 'UND_ERR_SOCKET' && cause.message === unaskedUpgrade) {
    return new GatewayError('ERR_UPSTREAM_ANSWER', { cause })
  }
  // A parser's error has no code in undici 7, only its class.
  if (cause.name === 'HTTPParserError') return new GatewayError('ERR_UPSTREAM_ANSWER', { cause })
  if (unreachable.test(code)) return new GatewayError('ERR_UPSTREAM_UNREACHABLE', { cause })
  return new GatewayError(codes[code] ?? 'ERR_UPSTREAM_RESET', { cause })
}

/** Bytes of a first piece that go out in one buffer with the head: a copy costs less than a second buffer. */
const maxJoined = 16 * 1024
/** Bytes of a head that do. */
const maxJoinedHead = 16 * 1024

/** Where they are put together, for one answer after the other. */
let joined = Buffer.allocUnsafeSlow(maxJoinedHead + maxJoined)

/**
 * Writes the head and a first piece of the body at once. By `write` Node would hold the head back until the end of the turn,
 * and then hand the system two buffers or join them in two more texts.
 * @returns whether it has: not where the answer has no socket of its own, or its head is too long
 */
function writeJoined(response: ServerResponse, piece: Buffer): boolean {
  const { socket } = response
  if (socket === null || piece.length > maxJoined) return false
  const head = takeHead(response, maxJoinedHead)
  if (head === undefined) return false
  const length = head.length + piece.length
  // With TLS Node keeps what it was given until a turn later.
  const bytes = 'encrypted' in socket ? Buffer.allocUnsafe(length) : joined.subarray(0, length)
  piece.copy(bytes, bytes.write(head, 0, 'latin1'))
  socket.write(bytes)
  // The system has not taken all: the rest stands there until it does.
  if (socket.writableLength > 0 && bytes.buffer === joined.buffer) {
    joined = Buffer.allocUnsafeSlow(joined.length)
  }
  return true
}

/** Reads one answer and writes it to the client. */
export class Relay implements AnswerReader {
  readonly #response: ServerResponse
  readonly #connection: Connection
  readonly #events: RelayEvents
  /** The answer to HEAD has no body, whatever bytes follow it. */
  readonly #bodiless: boolean
  #started = false
  /** Whether a byte of the body has come. */
  #flowing = false
  #over = false

  constructor(
    response: ServerResponse,
    connection: Connection,
    bodiless: boolean,
    events: RelayEvents,
  ) {
    this.#response = response
    this.#connection = connection
    this.#events = events
    this.#bodiless = bodiless
  }

  /** Ends it early: the client was too slow. */
  abort(reason: GatewayError): void {
    if (!this.#over) this.#connection.abort(reason)
  }

  /** The client's connection is closed, before the answer is complete or after it. */
  clientLeft(): void {
    if (!this.#over) this.#connection.abort(new GatewayError('ERR_CLIENT_GONE'))
  }

  onHead(status: number, raw: readonly string[]): void {
    const headers = this.#events.headers(status, raw)
    this.#started = true
    this.#response.writeHead(status, headers)
  }

  /** Node keeps headers back until the first byte of the body: an event stream may have none for minutes. */
  onLull(): void {
    if (!this.#over && !this.#flowing) this.#response.flushHeaders()
  }

  onData(chunk: Buffer): boolean {
    const isFirst = !this.#flowing
    this.#flowing = true
    if (this.#bodiless || this.#write(chunk, isFirst)) return true
    this.#response.once('drain', () => {
      if (!this.#over) this.#connection.resume()
    })
    return false
  }

  #write(chunk: Buffer, isFirst: boolean): boolean {
    const response = this.#response
    // So small a piece never fills what may wait for a client.
    if (isFirst && !response.chunkedEncoding && writeJoined(response, chunk)) return true
    return response.write(this.#connection.lendsBytes ? Buffer.from(chunk) : chunk)
  }

  onEnd(): void {
    if (this.#over) return
    this.#over = true
    this.#response.end()
    this.#events.done(this.#connection)
  }

  onFault(error: Error): void {
    if (this.#over) return
    this.#over = true
    const { isUntouched } = this.#connection
    this.#events.failed(this.#connection, fromConnection(error), this.#started, isUntouched)
  }
}
