/** A connection of undici's: for TLS, bodies, all methods; whatever connections of our own are not for. */
import { Client, buildConnector } from 'undici'
import type { Socket } from 'node:net'
import type { Milliseconds } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import { keptFor, maxHeadBytes } from './connection.js'
import type { AnswerReader, Connection, UpstreamRequest } from './connection.js'
import { dropInterim, outliveWriteFaults } from './upstream-socket.js'
import type { AwaitsHead } from './upstream-socket.js'

/** What a connection of undici's is made with. */
export interface UndiciConnectionParts {
  readonly address: UpstreamAddress
  readonly connectTimeout: Milliseconds
  /** The interim answers that are dropped, by the beginning of their bytes. */
  readonly interim: RegExp
  readonly reusable: boolean
  /** Its socket is closed. */
  readonly onClosed: (connection: UndiciConnection) => void
}

/** Builds what opens its socket. TLS is verified by Node's own rules. */
function connectorOf({ address, connectTimeout }: UndiciConnectionParts): buildConnector.connector {
  const at = address.kind === 'unix' ? { socketPath: address.path } : {}
  // By itself undici would ask for, and check, the name in `Host`, which is the gateway's.
  const servername = address.kind === 'unix' ? '' : address.serverName
  const connect = buildConnector({ timeout: connectTimeout, ...at })
  return (target, callback) => connect({ ...target, servername }, callback)
}

/** One client of undici's, which is one socket. It is also the handler of what is under way: undici's raw form is used. */
export class UndiciConnection implements Connection, AwaitsHead {
  awaitsHead = true
  readonly reusable: boolean
  readonly lendsBytes = false
  readonly isLateWhenKept = false
  readonly #client: Client
  #socket: Socket | undefined
  #reader: AnswerReader | undefined
  #wasKept = false
  #bytesBefore = 0
  #abort: ((reason: Error) => void) | undefined
  #resume: (() => void) | undefined

  constructor(parts: UndiciConnectionParts) {
    const { address, reusable, interim } = parts
    this.reusable = reusable
    const connect = connectorOf(parts)
    this.#client = new Client(address.kind === 'unix' ? 'http://localhost' : address.url, {
      pipelining: 1,
      keepAliveTimeout: keptFor,
      maxHeaderSize: maxHeadBytes,
      connect: (target, callback) =>
        connect(target, (error, socket) => {
          if (error !== null) {
            callback(error, null)
            return
          }
          this.#socket = socket
          dropInterim(socket, this, interim)
          if (!reusable) outliveWriteFaults(socket)
          callback(null, socket)
        }),
    })
    // The client would quietly connect again: a connection here is one socket, and then it is over.
    this.#client.on('disconnect', () => parts.onClosed(this))
  }

  get isAlive(): boolean {
    return this.#socket !== undefined && !this.#socket.destroyed
  }

  get isUntouched(): boolean {
    return this.#wasKept && (this.#socket?.bytesRead ?? 0) === this.#bytesBefore
  }

  send({ path, method, headers, body, firstByte, idle }: UpstreamRequest, reader: AnswerReader) {
    this.awaitsHead = true
    this.#reader = reader
    this.#abort = undefined
    this.#wasKept = this.#socket !== undefined
    this.#bytesBefore = this.#socket?.bytesRead ?? 0
    this.#client.dispatch(
      {
        path,
        method,
        headers,
        body,
        headersTimeout: firstByte,
        bodyTimeout: idle,
        // Never `false`: it would keep a connection that undici itself knows to be unsafe.
        ...(this.reusable ? {} : { reset: true }),
      },
      this,
    )
  }

  abort(reason: Error): void {
    if (this.#abort === undefined) this.onError(reason)
    else this.#abort(reason)
  }

  resume(): void {
    this.#resume?.()
  }

  destroy(): void {
    void this.#client.destroy()
  }

  onConnect(abort: (reason?: Error) => void): void {
    if (this.#reader === undefined) abort()
    this.#abort = abort
  }

  onHeaders(status: number, raw: readonly Buffer[], resume: () => void): boolean {
    const reader = this.#reader
    if (reader === undefined) return false
    // An interim answer that is not dropped before it gets here (upstream-socket.ts).
    if (status < 200) throw new GatewayError('ERR_UPSTREAM_ANSWER')
    this.#resume = resume
    reader.onHead(
      status,
      raw.map((bytes) => bytes.toString('latin1')),
    )
    process.nextTick(() => reader.onLull())
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#reader?.onData(chunk) ?? true
  }

  onComplete(): void {
    const reader = this.#reader
    this.#reader = undefined
    reader?.onEnd()
  }

  onError(error: Error): void {
    const reader = this.#reader
    this.#reader = undefined
    reader?.onFault(error)
  }

  onUpgrade(): void {
    // Never asked for: the bytes after an unexpected 101 belong to no message.
    throw new GatewayError('ERR_UPSTREAM_ANSWER')
  }
}
