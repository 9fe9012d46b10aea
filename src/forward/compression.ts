/**
 * Compresses text on its way from an upstream to a client, as it comes: nothing waits for the end of a page.
 *
 * The length of a compressed page tells how much of it repeats itself. Whoever can have a victim's browser ask for a page
 * that has a secret and a text of their choice, and sees lengths, finds the secret out byte by byte (BREACH). So what a
 * person gets is compressed only where `Sec-Fetch-Site` says that no other site asked.
 */
import type { ServerResponse } from 'node:http'
import { constants, createGzip } from 'node:zlib'
import type { Milliseconds, Timer, Timers } from '../core/clock.js'
import { isCode, isCompressible, isHtml, tiny } from '../core/media-types.js'
import { acceptedCodings } from '../request/accept-encoding.js'
import type { RequestContext } from '../request/context.js'
import { rememberNames } from './by-name.js'
import { isToldToUpstream } from './identity-proof.js'
import { directivesOf } from './response-headers.js'

/** Answers that are compressed at once: each takes 256 KiB while it runs. What comes beyond goes out as it is. */
const maxStreams = 64
/**
 * What came from upstream is on its way to the client after so long, however little it is. tracd sends a page at once and
 * its end 25 ms later, once it has collected its garbage: who waits for the end keeps the browser from its work.
 */
const flushAfter: Milliseconds = 2
/** A page of 30 KB takes 0.5 to 0.9 ms, one of 90 KB 1.9: zlib's usual level takes up to half as long again for 3 % fewer bytes. */
const level = 4

/** Answers without a body of their own, or with a part of one (RFC 9110 §15). */
const never: ReadonlySet<number> = new Set([204, 205, 206, 304])

/** Fields that tell of these bytes, and of no others. */
const ofTheseBytes: ReadonlySet<string> = new Set([
  ...['content-range', 'content-md5', 'digest', 'content-digest', 'repr-digest'],
])

/** Others that are looked at. */
const headFields: ReadonlySet<string> = new Set([
  ...['content-type', 'content-length', 'cache-control', 'vary'],
])

/** By which name a field is looked at, or `fixed`; empty text where it is not. */
const fieldOf = rememberNames((lower) => {
  if (lower === 'content-encoding' || ofTheseBytes.has(lower)) return 'fixed'
  return headFields.has(lower) ? lower : ''
})

/** What the head of an answer says. */
interface Head {
  type: string
  /** Bytes; -1 where it is not said. */
  length: number
  /** Whether these bytes must stay as they are. */
  isFixed: boolean
  variesByCoding: boolean
}

function readHead(headers: readonly string[]): Head {
  const head: Head = { type: '', length: -1, isFixed: false, variesByCoding: false }
  for (let i = 0; i < headers.length; i += 2) {
    const field = fieldOf(headers[i]!)
    if (field === '') continue
    const value = headers[i + 1]!
    if (field === 'content-type') head.type = value
    else if (field === 'content-length') head.length = Number(value)
    else if (field === 'fixed') head.isFixed = true
    else if (field === 'cache-control') head.isFixed ||= forbidsTransforming(value)
    else head.variesByCoding ||= /(?:^|[\s,])(?:\*|accept-encoding)/i.test(value)
  }
  return head
}

/** @see RFC 9111 §5.2.2.6 */
function forbidsTransforming(cacheControl: string): boolean {
  // Whatever has it has this, and hardly anything has.
  if (!/no-transform/i.test(cacheControl)) return false
  return directivesOf(cacheControl).some((one) => one.toLowerCase() === 'no-transform')
}

/** Whether an answer may be compressed for somebody; which codings they take is asked later. */
function couldBeCompressed({ type, length, isFixed }: Head, status: number): boolean {
  return !isFixed && !never.has(status) && isCompressible(type) && !(length >= 0 && length < tiny)
}

/** Whether the length may be seen: nobody's own answer, or one that no other site can have asked for. */
function mayTellLength(context: RequestContext, type: string): boolean {
  const { via } = context
  if (via === undefined || !isToldToUpstream(context) || isCode(type)) return true
  const { fetchSite } = context.headers
  if (fetchSite === 'same-origin' || fetchSite === 'none') return true
  // No browser sends a token by itself.
  return via === 'bearer' && !isHtml(type)
}

/** The head of the compressed answer. A strong tag would stand for other bytes (RFC 9110 §8.8.1). */
function changeHead(headers: string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    const name = headers[i]!.toLowerCase()
    if (name === 'content-length' || name === 'accept-ranges') headers.splice(i, 2)
    else if (name === 'etag' && !headers[i + 1]!.startsWith('W/')) {
      headers[i + 1] = `W/${headers[i + 1]!}`
    }
  }
  headers.push('Content-Encoding', 'gzip')
}

/** Compresses the answers of one gateway. */
export class Compression {
  readonly #timers: Timers
  #streams = 0

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /**
   * Has an answer compressed if it may be. Called before its head is written, which is changed then.
   * @param headers as the client would get them
   */
  apply(context: RequestContext, status: number, headers: string[]): void {
    const head = readHead(headers)
    // What a 304 stands for is not known here; it says what the whole answer would (RFC 9110 §15.4.5).
    const isCandidate = status === 304 || couldBeCompressed(head, status)
    if (!isCandidate) return
    if (!head.variesByCoding) headers.push('Vary', 'Accept-Encoding')
    const { method, request, response } = context
    if (status === 304 || method === 'HEAD' || request.httpVersionMinor === 0) return
    if (!acceptedCodings(context.headers.acceptEncoding).gzip) return
    if (!mayTellLength(context, head.type) || this.#streams >= maxStreams) return
    changeHead(headers)
    this.#streams++
    compressInto(response, this.#timers)
    response.once('close', () => this.#streams--)
  }
}

type Callback = (error?: Error | null) => void

/**
 * Puts gzip between whoever writes the body and the client. Both ends wait for each other as they would without it: a
 * writer that is told to wait waits for gzip, and gzip for the client.
 */
function compressInto(response: ServerResponse, timers: Timers): void {
  const gzip = createGzip({ level })
  const plain = {
    write: response.write.bind(response) as (chunk: Buffer) => boolean,
    end: response.end.bind(response),
    once: response.once.bind(response),
  }
  let flushing: Timer | undefined
  const stop = (): void => timers.clearTimeout(flushing)
  const flush = (): void => {
    flushing = undefined
    gzip.flush(constants.Z_SYNC_FLUSH)
  }
  gzip.on('data', (chunk: Buffer) => {
    if (plain.write(chunk)) return
    gzip.pause()
    plain.once('drain', () => gzip.resume())
  })
  gzip.once('end', () => plain.end())
  gzip.once('error', (error) => response.destroy(error))
  plain.once('close', () => {
    stop()
    gzip.destroy()
  })
  const write = (chunk: string | Uint8Array, encoding?: BufferEncoding | Callback): boolean => {
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8')
        : chunk
    flushing ??= timers.setTimeout(flush, flushAfter)
    return gzip.write(bytes)
  }
  Object.assign(response, {
    write,
    end(): ServerResponse {
      stop()
      gzip.end()
      return response
    },
    once(event: string, listener: (...parts: unknown[]) => void): ServerResponse {
      if (event === 'drain') gzip.once('drain', listener)
      else plain.once(event, listener)
      return response
    },
  })
}
