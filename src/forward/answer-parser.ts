/**
 * Divides the bytes of one connection into the answer to one GET without a body (RFC 9112 §6, §7): its head, the pieces of
 * its body, its end. What it does not understand it refuses, and the connection is over then.
 */
import type { Milliseconds } from '../core/clock.js'
import { badAnswer, checkTrailer, chunked, readHead, untilClose } from './answer-head.js'
import type { AnswerHead } from './answer-head.js'
import { maxHeadBytes } from './connection.js'

/** What the parser tells of an answer as it reads. */
export interface AnswerSink {
  /** A head; behind an interim one (1xx) another one follows. */
  onAnswer(head: AnswerHead): void
  /** A piece of the body: a view of the bytes that were given to the parser. */
  onPiece(bytes: Buffer): void
}

/** What is expected next. */
const expects = {
  nothing: 0,
  head: 1,
  body: 2,
  bodyUntilClose: 3,
  chunkSize: 4,
  chunkData: 5,
  chunkEnd: 6,
  trailer: 7,
} as const
type Expects = (typeof expects)[keyof typeof expects]

const lineEnd = Buffer.from('\r\n')
const headEnd = Buffer.from('\r\n\r\n')
/** What every head begins with. */
const opening = 'HTTP/1.'
const carriageReturn = 0x0d
const lineFeed = 0x0a

/** Bytes of a line with the size of a chunk. */
const maxSizeLine = 1024
const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
/** RFC 9112 §7.1.1, without blanks; quoted text without backslashes. */
const extension = `;${token}(?:=(?:${token}|"[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]*"))?`
const sizeForm = new RegExp(`^([0-9A-Fa-f]{1,8})(?:${extension})*\\r\\n$`)
const hexDigit = /^[0-9A-Fa-f]/

/** Reads one answer after the other, each asked for by {@link AnswerParser.begin}. */
export class AnswerParser {
  readonly #sink: AnswerSink
  /** How long a connection is kept where the server says nothing of it. */
  readonly #kept: Milliseconds
  #expects: Expects = expects.nothing
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0
  /** Where it stands in the bytes that it reads. */
  #at = 0
  /** The beginning of a head or line whose end has not come, in a buffer that is larger than that. */
  #held: Buffer | undefined
  #heldBytes = 0
  #trailerBytes = 0

  constructor(sink: AnswerSink, kept: Milliseconds) {
    this.#sink = sink
    this.#kept = kept
  }

  /** Whether an answer is expected, or under way. */
  get isReading(): boolean {
    return this.#expects !== expects.nothing
  }

  /** Expects an answer. */
  begin(): void {
    this.#expects = expects.head
  }

  /** Expects nothing any more; what it was reading is forgotten. */
  stop(): void {
    this.#expects = expects.nothing
    this.#held = undefined
  }

  /**
   * Reads bytes as they came.
   * @returns how many belong to the answer: whatever comes behind it is no part of any message
   * @throws GatewayError ERR_UPSTREAM_ANSWER
   */
  read(bytes: Buffer): number {
    this.#at = 0
    while (this.#at < bytes.length && this.isReading) this.#step(bytes)
    return this.#at
  }

  /** The connection has ended. @returns whether the answer is complete by that */
  finish(): boolean {
    const isEnd = this.#expects === expects.bodyUntilClose
    this.stop()
    return isEnd
  }

  #step(bytes: Buffer): void {
    switch (this.#expects) {
      case expects.head:
        this.#readHead(bytes)
        break
      case expects.body:
        this.#readPiece(bytes, expects.nothing)
        break
      case expects.bodyUntilClose:
        this.#sink.onPiece(bytes.subarray(this.#at))
        this.#at = bytes.length
        break
      case expects.chunkSize:
        this.#readSize(bytes)
        break
      case expects.chunkData:
        this.#readPiece(bytes, expects.chunkEnd)
        break
      case expects.chunkEnd:
        this.#readChunkEnd(bytes)
        break
      default:
        this.#readTrailer(bytes)
    }
  }

  #readHead(bytes: Buffer): void {
    const text = this.#upTo(headEnd, bytes, maxHeadBytes)
    if (text === undefined) {
      if (!isBeginning(this.#heldText(opening.length))) throw badAnswer('no HTTP/1 (RFC 9112 §2.3)')
      return
    }
    const head = readHead(text, this.#kept)
    if (head.status >= 200) this.#expectBody(head.body)
    this.#sink.onAnswer(head)
  }

  #expectBody(body: number): void {
    if (body === chunked) this.#expects = expects.chunkSize
    else if (body === untilClose) this.#expects = expects.bodyUntilClose
    else if (body === 0) this.#expects = expects.nothing
    else {
      this.#expects = expects.body
      this.#left = body
    }
  }

  #readPiece(bytes: Buffer, then: Expects): void {
    const end = Math.min(bytes.length, this.#at + this.#left)
    const piece = bytes.subarray(this.#at, end)
    this.#at = end
    this.#left -= piece.length
    if (this.#left === 0) this.#expects = then
    this.#sink.onPiece(piece)
  }

  #readSize(bytes: Buffer): void {
    const line = this.#upTo(lineEnd, bytes, maxSizeLine)
    if (line === undefined) {
      if (!hexDigit.test(this.#heldText(1))) throw badAnswer('a chunk without size (RFC 9112 §7.1)')
      return
    }
    const size = sizeForm.exec(line)?.[1]
    if (size === undefined) throw badAnswer('a chunk whose size is none (RFC 9112 §7.1)')
    this.#left = Number.parseInt(size, 16)
    this.#trailerBytes = 0
    this.#expects = this.#left === 0 ? expects.trailer : expects.chunkData
  }

  #readChunkEnd(bytes: Buffer): void {
    // One byte at a time: the line end may be cut in two. `left` counts what has been seen of it.
    if (bytes[this.#at] !== (this.#left === 0 ? carriageReturn : lineFeed)) {
      throw badAnswer('a chunk longer than its size (RFC 9112 §7.1)')
    }
    this.#at++
    if (this.#left === 0) this.#left = 1
    else this.#expects = expects.chunkSize
  }

  #readTrailer(bytes: Buffer): void {
    const line = this.#upTo(lineEnd, bytes, maxHeadBytes - this.#trailerBytes)
    if (line === undefined) return
    this.#trailerBytes += line.length
    if (line === '\r\n') this.#expects = expects.nothing
    else checkTrailer(line)
  }

  /** The text up to and with a mark; undefined if it has not come yet, and what there is of it is held. */
  #upTo(mark: Buffer, bytes: Buffer, limit: number): string | undefined {
    if (this.#held !== undefined) return this.#upToHeld(mark, bytes, limit)
    const start = this.#at
    const found = bytes.indexOf(mark, start)
    if (found < 0) {
      this.#held = Buffer.allocUnsafe(Math.max(1024, 2 * (bytes.length - start)))
      this.#heldBytes = 0
      return this.#upToHeld(mark, bytes, limit)
    }
    const end = found + mark.length
    if (end - start > limit) throw tooLong()
    this.#at = end
    return bytes.toString('latin1', start, end)
  }

  /** The same, where some of it is held already or will be. */
  #upToHeld(mark: Buffer, bytes: Buffer, limit: number): string | undefined {
    const before = this.#heldBytes
    const held = this.#hold(bytes)
    const found = held.indexOf(mark, Math.max(0, before - mark.length + 1))
    const end = found < 0 ? held.length : found + mark.length
    if (end > limit) throw tooLong()
    refuseBareLineFeeds(held, before, end)
    if (found < 0) {
      this.#at = bytes.length
      return undefined
    }
    this.#at += end - before
    this.#held = undefined
    return held.toString('latin1', 0, end)
  }

  /** Adds the bytes that are left to those that are held; the buffer doubles, so that small pieces cost no more than large ones. */
  #hold(bytes: Buffer): Buffer {
    const needed = this.#heldBytes + bytes.length - this.#at
    let buffer = this.#held!
    if (needed > buffer.length) {
      buffer = Buffer.allocUnsafe(2 * needed)
      this.#held!.copy(buffer, 0, 0, this.#heldBytes)
      this.#held = buffer
    }
    bytes.copy(buffer, this.#heldBytes, this.#at)
    this.#heldBytes = needed
    return buffer.subarray(0, needed)
  }

  #heldText(length: number): string {
    return this.#held!.toString('latin1', 0, Math.min(length, this.#heldBytes))
  }
}

const tooLong = () => badAnswer('a head, a trailer or a line that is too long')

/** Whether a head may go on like this. */
const isBeginning = (text: string): boolean => opening.startsWith(text)

/** Refuses at once what could only be waited for: a line that ends in LF alone never comes to a CR LF. */
function refuseBareLineFeeds(held: Buffer, from: number, end: number): void {
  for (
    let at = held.indexOf(lineFeed, from);
    at >= 0 && at < end;
    at = held.indexOf(lineFeed, at + 1)
  ) {
    if (held[at - 1] !== carriageReturn) throw badAnswer('a bare line feed (RFC 9112 §2.2)')
  }
}
