/**
 * A connection of our own, for GETs without a body to a plain TCP or Unix socket: the head goes out as one text, and the
 * answer is read from a buffer that all connections share. It never sends a body, and nothing before its answer is complete.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Milliseconds } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import { badAnswer } from './answer-head.js'
import type { AnswerHead } from './answer-head.js'
import { AnswerParser } from './answer-parser.js'
import type { AnswerSink } from './answer-parser.js'
import { keptFor } from './connection.js'
import type { AnswerReader, Connection, UpstreamRequest } from './connection.js'
import { requestHead } from './request-head.js'
import { never } from './ticks.js'
import type { Tick, Ticks } from './ticks.js'
import { writeAtEndOfTurn } from './turn-writes.js'
import type { TurnWriter } from './turn-writes.js'

/** What a connection of our own is made with. */
export interface OwnConnectionParts {
  readonly address: UpstreamAddress
  readonly connectTimeout: Milliseconds
  /** Whether an interim answer of this status is dropped. */
  readonly dropsInterim: (status: number) => boolean
  readonly ticks: Ticks
  /** Its socket is closed. */
  readonly onClosed: (connection: OwnConnection) => void
}

/** As many bytes as one read takes. Node fills the buffer and tells of it in one turn, so one is enough for all sockets. */
const received = Buffer.allocUnsafeSlow(64 * 1024)

const keepAliveProbes = { keepAlive: true, keepAliveInitialDelay: 60_000, noDelay: true }

/** Opens a socket whose bytes go to `onBytes`, which says whether more may come. */
function open(address: UpstreamAddress, onBytes: (length: number) => boolean): Socket {
  const to =
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
  return connect({ ...to, ...keepAliveProbes, onread: { buffer: received, callback: onBytes } })
}

/** What `deadline` is about. */
type Waits = 'to connect' | 'for a head' | 'for more' | 'for a request'

/** One socket, read by a parser of our own. */
export class OwnConnection implements Connection, AnswerSink, TurnWriter {
  readonly reusable = true
  /** They stand in the buffer that the next read of any connection fills. */
  readonly lendsBytes = true
  isOpen = true
  isLateWhenKept = false
  readonly #parts: OwnConnectionParts
  readonly #socket: Socket
  readonly #parser = new AnswerParser(this, keptFor)
  #reader: AnswerReader | undefined
  #request: UpstreamRequest | undefined
  /** Of a request whose head is not written yet. */
  #head: string | undefined
  #waits: Waits = 'to connect'
  #deadline: Tick
  #answered = false
  #touched = false
  #flows = true
  /** Whether the bytes that are being read had the head, and nothing of the body so far. */
  #hasLull = false
  #rest: Milliseconds = 0

  constructor(parts: OwnConnectionParts) {
    this.#parts = parts
    this.#deadline = parts.ticks.after(parts.connectTimeout)
    this.#socket = open(parts.address, (length) => this.#read(length))
    this.#socket.once('connect', () => this.#connected())
    this.#socket.once('end', () => this.#ended())
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.once('close', () => this.#closed())
  }

  get isAlive(): boolean {
    return !this.#socket.destroyed && this.#reader === undefined
  }

  get isUntouched(): boolean {
    return this.#answered && !this.#touched
  }

  send(request: UpstreamRequest, reader: AnswerReader): void {
    this.#request = request
    this.#reader = reader
    this.#touched = false
    this.#parser.begin()
    if (this.#waits !== 'to connect') this.#wait('for a head', request.firstByte)
    try {
      this.#head = requestHead(request)
      writeAtEndOfTurn(this)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  writeNow(): void {
    const head = this.#head
    this.#head = undefined
    if (head !== undefined) this.#socket.write(head, 'latin1')
  }

  abort(reason: Error): void {
    this.#fail(reason)
  }

  resume(): void {
    if (this.#flows) return
    this.#flows = true
    this.#wait('for more', this.#request!.idle)
    this.#socket.resume()
  }

  destroy(): void {
    this.#fail(new GatewayError('ERR_UPSTREAM_RESET'))
  }

  /** Ends what waits longer than it may. */
  tick(now: Tick): void {
    if (now < this.#deadline) return
    if (this.#waits === 'for a request') this.#socket.destroy()
    else {
      const cause = new Error(`it waited too long ${this.#waits}`)
      this.#fail(new GatewayError('ERR_UPSTREAM_TIMEOUT', { cause }))
    }
  }

  onAnswer(head: AnswerHead): void {
    if (head.status < 200) {
      if (this.#parts.dropsInterim(head.status)) return
      throw badAnswer(`an interim answer ${head.status} that nobody asked for`)
    }
    this.#rest = head.rest
    this.isLateWhenKept = head.isLateWhenKept
    this.#waits = 'for more'
    this.#hasLull = true
    this.#reader!.onHead(head.status, head.headers)
  }

  onPiece(bytes: Buffer): void {
    this.#hasLull = false
    if (!this.#reader!.onData(bytes)) this.#flows = false
  }

  #connected(): void {
    const request = this.#request
    if (request !== undefined) this.#wait('for a head', request.firstByte)
  }

  #wait(waits: Waits, span: Milliseconds): void {
    this.#waits = waits
    this.#deadline = this.#parts.ticks.after(span)
  }

  #read(length: number): boolean {
    const reader = this.#reader
    // Bytes that nobody asked for: the next answer could not be told from them (RFC 9112 §9.2). A request that has the
    // connection already, but not written its head, can go out on another one.
    if (reader === undefined || this.#head !== undefined) {
      this.#fail(
        new GatewayError('ERR_UPSTREAM_RESET', { cause: new Error('bytes nobody asked for') }),
      )
      return false
    }
    this.#touched = true
    let used: number
    try {
      used = this.#parser.read(received.subarray(0, length))
    } catch (error) {
      this.#parser.stop()
      // A turn later, so that what came before the fault reaches the client.
      process.nextTick(() => this.#fail(error as Error))
      return false
    }
    // It was aborted by whoever reads it.
    if (this.#reader === undefined) return false
    if (!this.#parser.isReading) {
      this.#complete(reader, used < length ? 0 : this.#rest)
      return true
    }
    if (this.#hasLull) {
      this.#hasLull = false
      reader.onLull()
    }
    return this.#goOn()
  }

  /** Waits for more, unless the client has not read what there is. */
  #goOn(): boolean {
    if (!this.#flows) this.#deadline = never
    else if (this.#waits === 'for more') this.#wait('for more', this.#request!.idle)
    return this.#flows
  }

  /** The answer is complete: the connection rests, or ends. */
  #complete(reader: AnswerReader, rest: Milliseconds): void {
    this.#reader = undefined
    this.#request = undefined
    this.#answered = true
    this.#flows = true
    if (rest === 0) this.#socket.destroy()
    else this.#wait('for a request', rest)
    // Last of all: the next request may go out on it at once.
    reader.onEnd()
  }

  #ended(): void {
    const reader = this.#reader
    if (reader !== undefined && this.#parser.finish()) this.#complete(reader, 0)
    else
      this.#fail(new GatewayError('ERR_UPSTREAM_RESET', { cause: new Error('it ended too soon') }))
  }

  #closed(): void {
    this.#fail(new GatewayError('ERR_UPSTREAM_RESET'))
    this.#parts.onClosed(this)
  }

  /** Closes it, and tells the reader of an answer under way. */
  #fail(error: Error): void {
    const reader = this.#reader
    this.#reader = undefined
    this.#request = undefined
    this.#head = undefined
    this.#parser.stop()
    this.#socket.destroy()
    reader?.onFault(error)
  }
}
