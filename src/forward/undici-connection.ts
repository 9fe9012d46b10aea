/** A connection of undici's: for TLS, bodies, all methods; whatever connections of our own are not for. */
import { Client, buildConnector } from 'undici'
import type { Socket } from 'node:net'
import type { Milliseconds, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import { keptFor, maxHeadBytes } from './connection.js'
import type { AnswerReader, Connection, UpstreamRequest } from './connection.js'
import { dropInterim, outliveWriteFaults } from './upstream-socket.js'
import type { AwaitsHead } from './upstream-socket.js'

/** What all connections to one address have in common, made once. */
export interface UndiciOrigin {
  readonly origin: URL
  readonly connect: buildConnector.connector
}

/** What a connection of undici's is made with. */
export interface UndiciConnectionParts extends UndiciOrigin {
  readonly connectTimeout: Milliseconds
  readonly timers: Timers
  /** The interim answers that are dropped, by the beginning of their bytes. */
  readonly interim: RegExp
  readonly reusable: boolean
  /** Its socket is closed. */
  readonly onClosed: (connection: UndiciConnection) => void
}

/** Builds what opens sockets to an address. TLS is verified by Node's own rules, and its sessions are taken up again. */
export function undiciOrigin(address: UpstreamAddress): UndiciOrigin {
  const at = address.kind === 'unix' ? { socketPath: address.path } : {}
  // By itself undici would ask for, and check, the name in `Host`, which is the gateway's.
  const servername = address.kind === 'unix' ? '' : address.serverName
  // Undici's own limit keeps what it has of each connection for half a second after that is over.
  const connect = buildConnector({ timeout: 0, ...at })
  return {
    origin: new URL(address.kind === 'unix' ? 'http://localhost' : address.url),
    connect: (target, callback) => connect({ ...target, servername }, callback),
  }
}

/** Why a client is destroyed whose answer is complete or given up: nobody is told. */
const noLongerNeeded = new Error('the connection is no longer needed')

/** One client of undici's, which is one socket. It is also the handler of what is under way: undici's raw form is used. */
export class UndiciConnection implements Connection, AwaitsHead {
  awaitsHead = true
  isOpen = true
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
    const { origin, reusable, interim } = parts
    this.reusable = reusable
    this.#client = new Client(origin, {
      pipelining: 1,
      keepAliveTimeout: keptFor,
      maxHeaderSize: maxHeadBytes,
      connect: (target, callback) =>
        this.#connect(parts, target, (error, socket) => {
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
    void this.#client.destroy(noLongerNeeded)
  }

  /** Opens the socket, and gives up when that takes too long. */
  #connect(
    { connect, connectTimeout, timers }: UndiciConnectionParts,
    target: buildConnector.Options,
    callback: buildConnector.Callback,
  ): void {
    const timer = timers.setTimeout(() => {
      const cause = new Error('it waited too long to connect')
      settle(new GatewayError('ERR_UPSTREAM_TIMEOUT', { cause }), null)
      socket?.destroy()
    }, connectTimeout)
    let isSettled = false
    const settle: buildConnector.Callback = (...result) => {
      if (isSettled) return
      isSettled = true
      timers.clearTimeout(timer)
      callback(...result)
    }
    const socket = connect(target, settle) as Socket | undefined
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
