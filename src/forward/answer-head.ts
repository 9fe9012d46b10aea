/**
 * Reads the head of an answer from its text. It takes what is well-formed by RFC 9112 §4 to §6 and nothing else: less than
 * Node's own parser and undici's each take, so that nobody behind or before us reads another message than we do.
 */
import type { Milliseconds } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'

/** The head of one answer. */
export interface AnswerHead {
  readonly status: number
  /** Names and values in turns, as they came, without blanks at the ends of values. */
  readonly headers: string[]
  /** Bytes of its body; or {@link chunked}, or {@link untilClose}. */
  readonly body: number
  /** How long the connection may rest afterwards; 0 if it ends with this answer. */
  readonly rest: Milliseconds
  /** Whether it is of a server whose answers are late on a kept connection. */
  readonly isLateWhenKept: boolean
}

/** The body comes in chunks (RFC 9112 §7.1). */
export const chunked = -1
/** The body ends with the connection (RFC 9112 §6.3, rule 8). */
export const untilClose = -2

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const content = '[\\t\\x20-\\x7e\\x80-\\xff]*'

/** RFC 9112 §4 and §5, without line folding. A status line may lack its last blank, as Node's servers write it. */
const headForm = new RegExp(
  `^HTTP/1\\.[01] [1-9][0-9][0-9](?: ${content})?\\r\\n(?:${token}:${content}\\r\\n)*\\r\\n$`,
)
/** A field line by itself. */
const fieldForm = new RegExp(`^${token}:${content}\\r\\n$`)
/** A count of bytes that is a safe integer. */
const lengthForm = /^[0-9]{1,15}$/

const statusAt = 'HTTP/1.1 '.length
const statusEnd = statusAt + 3
const minorAt = 'HTTP/1.'.length

/** A fault of an answer, with what was wrong for the log. */
export function badAnswer(what: string): GatewayError {
  return new GatewayError('ERR_UPSTREAM_ANSWER', { cause: new Error(what) })
}

/** Names that say where a message ends: in a trailer section they would come too late (RFC 9110 §6.5.1). */
const framing: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding'])

/** Verifies one line of a trailer section, whose fields are dropped. @throws GatewayError ERR_UPSTREAM_ANSWER */
export function checkTrailer(line: string): void {
  if (!fieldForm.test(line)) throw badAnswer('a trailer line is no field (RFC 9112 §7.1.2)')
  const name = line.slice(0, line.indexOf(':')).toLowerCase()
  if (framing.has(name)) throw badAnswer('a trailer speaks of framing (RFC 9110 §6.5.1)')
}

/** A field line, taken apart. */
interface FieldLine {
  /** The whole line, with its end. */
  readonly text: string
  readonly name: string
  /** The name in lower case. */
  readonly lower: string
  readonly value: string
  /** The value with the blanks at its ends. */
  readonly raw: string
}

/** What the fields of a head say of its framing and its connection, gathered as they are read. */
interface Gathered {
  length: number | undefined
  isChunked: boolean
  closes: boolean
  /** Seconds that the server keeps an idle connection. */
  timeout: number | undefined
  isLateWhenKept: boolean
}

/**
 * Trac's own server. It writes an answer in several pieces and leaves the algorithm of Nagle on (RFC 9293 §3.7.4): on a kept
 * connection each answer waits 40 ms for our system's delayed acknowledgement, on a fresh one it does not.
 */
const lateWhenKept = 'tracd/'

/** Node's parser and undici's differ in tabs beside a value, and these decide where the message ends. */
function refuseTab(raw: string): void {
  if (raw.includes('\t')) throw badAnswer('a tab beside a length or a coding')
}

function readLength(value: string, gathered: Gathered): void {
  if (gathered.length !== undefined) throw badAnswer('a second Content-Length (RFC 9112 §6.3)')
  if (!lengthForm.test(value)) throw badAnswer('a Content-Length that is no number (RFC 9112 §6.3)')
  gathered.length = Number(value)
}

function readCoding(value: string, gathered: Gathered): void {
  if (gathered.isChunked || value.toLowerCase() !== 'chunked') {
    throw badAnswer('a Transfer-Encoding that is not chunked alone (RFC 9112 §6.1)')
  }
  gathered.isChunked = true
}

/** Takes note of a field that is about the message itself or its server. */
function gather({ lower, value, raw }: FieldLine, gathered: Gathered): void {
  if (lower === 'content-length') {
    refuseTab(raw)
    readLength(value, gathered)
  } else if (lower === 'transfer-encoding') {
    refuseTab(raw)
    readCoding(value, gathered)
  } else if (lower === 'connection') {
    if (value === 'keep-alive') return
    const options = value.toLowerCase().split(',')
    gathered.closes ||= options.some((option) => option.trim() === 'close')
  } else if (lower === 'keep-alive') {
    const seconds = /timeout=([0-9]{1,9})/.exec(value)?.[1]
    if (seconds !== undefined) gathered.timeout = Number(seconds)
  } else if (lower === 'server') gathered.isLateWhenKept ||= value.startsWith(lateWhenKept)
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09

/** The first lines of the last head, by their place: most of them are in the next one, too. Each may keep a head in memory. */
const lastLines: FieldLine[] = []
const maxLines = 50

/** Takes the line apart that begins there. */
function readLine(text: string, at: number): FieldLine {
  const colon = text.indexOf(':', at)
  const lineEnd = text.indexOf('\r\n', colon)
  let from = colon + 1
  let to = lineEnd
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  const name = text.slice(at, colon)
  return {
    text: text.slice(at, lineEnd + 2),
    name,
    lower: name.toLowerCase(),
    value: text.slice(from, to),
    raw: text.slice(colon + 1, lineEnd),
  }
}

/** Reads the field lines; `text` has the form of a head. */
function readFields(text: string, gathered: Gathered): string[] {
  const headers: string[] = []
  const end = text.length - 2
  let place = 0
  for (let at = text.indexOf('\r\n') + 2; at < end; place++) {
    let line = lastLines[place]
    if (line === undefined || !text.startsWith(line.text, at)) {
      line = readLine(text, at)
      if (place < maxLines) lastLines[place] = line
    }
    const { name, value } = line
    const { length } = name
    // Those that are noted have names of these lengths.
    if (length === 6 || length === 10 || length === 14 || length === 17) gather(line, gathered)
    headers.push(name, value)
    at += line.text.length
  }
  return headers
}

/** Answers that have no body whatever their fields say (RFC 9112 §6.3, rule 1). */
const isBodiless = (status: number): boolean => status < 200 || status === 204 || status === 304

function bodyOf(status: number, { isChunked, length }: Gathered): number {
  if (isBodiless(status)) return 0
  return isChunked ? chunked : (length ?? untilClose)
}

/** How long before the server would close an idle connection we do: what is sent just then would be lost. */
const margin: Milliseconds = 2000

/**
 * Reads the head of an answer to a GET.
 * @param text in latin1, with the empty line at its end
 * @param kept how long a connection is kept where the server says nothing of it
 * @throws GatewayError ERR_UPSTREAM_ANSWER
 */
export function readHead(text: string, kept: Milliseconds): AnswerHead {
  if (!headForm.test(text)) throw badAnswer('a head that is not well-formed (RFC 9112 §4, §5)')
  const status = Number(text.slice(statusAt, statusEnd))
  const isOld = text[minorAt] === '0'
  const gathered: Gathered = {
    length: undefined,
    isChunked: false,
    closes: isOld,
    timeout: undefined,
    isLateWhenKept: false,
  }
  const headers = readFields(text, gathered)
  const { isChunked, length, closes, timeout, isLateWhenKept } = gathered
  if (isChunked && (isOld || length !== undefined)) {
    throw badAnswer('chunks beside a Content-Length, or in HTTP/1.0 (RFC 9112 §6.1)')
  }
  if (status < 200 && (isChunked || length !== undefined)) {
    throw badAnswer('an interim answer with a body (RFC 9110 §15.2)')
  }
  // By HTTP/1.0 too: it has none (RFC 9110 §15.2), and Node takes nothing behind it.
  if (status < 200 && closes) throw badAnswer('an interim answer that ends its connection')
  const body = bodyOf(status, gathered)
  const most = timeout === undefined ? kept : Math.min(timeout * 1000 - margin, kept)
  const rest = closes || body === untilClose ? 0 : Math.max(most, 0)
  return { status, headers, body, rest, isLateWhenKept }
}
