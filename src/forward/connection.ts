/** One connection to an upstream as the relay and the pool see it, whichever client reads its answers. */
import type { Readable } from 'node:stream'
import type { Milliseconds } from '../core/clock.js'

/** One request as it goes out. */
export interface UpstreamRequest {
  readonly method: string
  /** The target in origin-form (RFC 9112 §3.2.1). */
  readonly path: string
  /** Names and values in turns. */
  readonly headers: string[]
  readonly body: Buffer | Readable | null
  /** From the request to the whole head of its answer. */
  readonly firstByte: Milliseconds
  /** Between two pieces of the answer's body. */
  readonly idle: Milliseconds
}

/** Takes one answer: its head, pieces of its body, its end. A fault may come in place of each, and is the last call. */
export interface AnswerReader {
  /**
   * The final answer's head; interim ones are not told.
   * @param headers names and values in turns, as they came, without blanks at the ends of values
   * @throws if the answer can't go on: the connection ends by what is thrown
   */
  onHead(status: number, headers: readonly string[]): void
  /**
   * A piece of the body, which a connection that lends its bytes takes back when this returns.
   * @returns false to get no more before {@link Connection.resume}
   */
  onData(bytes: Buffer): boolean
  /** Nothing more of the answer is there yet. */
  onLull(): void
  onEnd(): void
  onFault(error: Error): void
}

/** One connection: one socket, one request at a time, and then it is kept or over. */
export interface Connection {
  /** Whether it may be kept when its answer is complete. */
  readonly reusable: boolean
  /** Whether the bytes of an answer are lent: who keeps them copies them. */
  readonly lendsBytes: boolean
  /** Whether it is among those of its upstream; theirs to change. */
  isOpen: boolean
  /** Whether another request can go out on it. */
  readonly isAlive: boolean
  /** Whether it was kept from an earlier answer, and not a byte has come since: it may have ended before it got the request. */
  readonly isUntouched: boolean
  /** Whether its server's answers are late on kept connections. */
  readonly isLateWhenKept: boolean
  send(request: UpstreamRequest, reader: AnswerReader): void
  /** Ends the answer under way by a fault of this reason. */
  abort(reason: Error): void
  /** Lets more of the body come. */
  resume(): void
  /** Closes it. Whose answer is under way is told of a fault. */
  destroy(): void
}

/** Bytes of the head of an answer, and of a trailer section. */
export const maxHeadBytes = 64 * 1024
/** An idle connection is closed after this; servers that close sooner are noticed by the retry of a GET. */
export const keptFor: Milliseconds = 10_000
