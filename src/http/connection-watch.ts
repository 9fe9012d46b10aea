/**
 * Looks at every open connection once a second, and ends those that are held for nothing: without a request for too long,
 * by a client that does not read what waits for it, or because the process stops.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Milliseconds, Timer, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { createFlowMeter } from '../core/flow-meter.js'
import type { FlowLimits, FlowMeter } from '../core/flow-meter.js'
import { endSoon } from './last-word.js'
import { answerOf } from './pipelining.js'

/** What is known of a connection from the last look. */
interface Seen {
  /** Bytes that it had been sent, and that had been read, when something was last asked or answered. */
  written: number
  read: number
  /** Since when nothing was asked or answered. */
  since: Milliseconds
  /** Bytes that it had been sent when none waited. */
  taken: number
  /** While bytes wait for the client. */
  reading: FlowMeter | undefined
  isTunnel: boolean
}

/** How often connections are looked at. */
export const lookEvery: Milliseconds = 1000
/** How often, while the process stops. */
const lookEveryAtEnd: Milliseconds = 100

/** When connections are ended. */
export interface ConnectionLimits {
  /** How long nothing may be asked. */
  readonly idle: Milliseconds
  /** How slowly a client may read. */
  readonly reading: () => FlowLimits
}

/** Watches the connections of one server. */
export class ConnectionWatch {
  readonly #limits: ConnectionLimits
  readonly #timers: Timers
  readonly #connections = new Map<Socket, Seen>()
  #timer: Timer
  /** How long a connection may be quiet while the process stops. */
  #quiet: Milliseconds = Number.POSITIVE_INFINITY

  /**
   * Node's keep-alive time starts afresh with every byte, also one that belongs to no request: a line end between two of
   * them, or the rest of a refused body. So there is a limit of ours.
   */
  constructor(server: Server, limits: ConnectionLimits, timers: Timers) {
    this.#limits = limits
    this.#timers = timers
    // Until TLS is agreed on there is no HTTP; that time has a limit of its own.
    server.on('key' in server ? 'secureConnection' : 'connection', (socket: Socket) =>
      this.#begin(socket),
    )
    this.#timer = this.#lookEvery(lookEvery)
    server.once('close', () => timers.clearInterval(this.#timer))
  }

  /** It has become a tunnel: nothing is asked there any more. */
  keepTunnel(socket: Socket): void {
    const seen = this.#connections.get(socket)
    if (seen !== undefined) seen.isTunnel = true
  }

  /**
   * From now on a connection between two requests is ended as soon as it has been quiet for that long: what its client
   * has just sent is still on its way. Every answer that has not begun is the last one of its connection.
   */
  endQuiet(quiet: Milliseconds): void {
    this.#quiet = quiet
    for (const socket of this.#connections.keys()) {
      const answer = answerOf(socket)
      if (answer?.headersSent === false) answer.shouldKeepAlive = false
    }
    this.#timers.clearInterval(this.#timer)
    this.#timer = this.#lookEvery(lookEveryAtEnd)
  }

  /** Ends the tunnels: they have no end of their own to wait for. */
  endTunnels(): void {
    for (const [socket, { isTunnel }] of this.#connections) if (isTunnel) socket.destroy()
  }

  /** Cuts them all. */
  destroyAll(): void {
    for (const socket of this.#connections.keys()) socket.destroy()
  }

  #begin(socket: Socket): void {
    this.#connections.set(socket, {
      written: socket.bytesWritten,
      read: socket.bytesRead,
      since: this.#timers.monotonic(),
      taken: socket.bytesWritten,
      reading: undefined,
      isTunnel: false,
    })
    socket.once('close', () => this.#connections.delete(socket))
  }

  #lookEvery(period: Milliseconds): Timer {
    // Timers come first in a turn of the event loop: what arrived while the process was held up is read after them.
    const timer = this.#timers.setInterval(() => setImmediate(() => this.#look()), period)
    timer.unref()
    return timer
  }

  #look(): void {
    const now = this.#timers.monotonic()
    for (const [socket, seen] of this.#connections) {
      if (this.#readsTooSlowly(socket, seen)) cut(socket)
      else if (!seen.isTunnel && !socket.writableEnded) this.#endIfIdle(socket, seen, now)
    }
  }

  #readsTooSlowly(socket: Socket, seen: Seen): boolean {
    const waiting = socket.writableLength
    if (waiting === 0) {
      seen.taken = socket.bytesWritten
      seen.reading = undefined
      return false
    }
    seen.reading ??= createFlowMeter(this.#limits.reading(), () => this.#timers.monotonic())
    return seen.reading.isTooSlow(socket.bytesWritten - waiting - seen.taken, false)
  }

  #endIfIdle(socket: Socket, seen: Seen, now: Milliseconds): void {
    // An answer may have come and gone since the last look.
    if (answerOf(socket) !== undefined || socket.bytesWritten !== seen.written) {
      seen.written = socket.bytesWritten
      seen.read = socket.bytesRead
      seen.since = now
      return
    }
    const quiet = now - seen.since
    if (quiet > this.#limits.idle) socket.destroy()
    // With more bytes than then, a request has begun to arrive.
    else if (quiet >= this.#quiet && socket.bytesRead === seen.read) endSoon(socket, this.#timers)
  }
}

/** Ends the connection of a client that does not read; the log of what it had asked says why. */
function cut(socket: Socket): void {
  const error = new GatewayError('ERR_CLIENT_TIMEOUT', { cause: 'the client does not read' })
  const answer = answerOf(socket)
  if (answer === undefined) socket.destroy()
  else answer.destroy(error)
}
