/** Reads the raw header list once; a header that two parsers could read differently is refused (RFC 9112 §6.3). */
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'

/** The headers that stages ask for, read from the wire in one pass; empty text if absent. */
export interface RequestHeaders {
  readonly host: string
  readonly authorization: string
  /** All `Cookie` fields, joined as RFC 6265bis allows. */
  readonly cookie: string
  readonly origin: string
  readonly referer: string
  readonly accept: string
  readonly acceptEncoding: string
  readonly fetchSite: string
  readonly fetchMode: string
  readonly requestedWith: boolean
  readonly contentType: string
  /** Bytes; -1 if the header is absent. */
  readonly contentLength: number
  readonly chunked: boolean
  readonly expectContinue: boolean
  readonly upgrade: string
  readonly preflightMethod: string
  readonly requestId: string
  readonly traceparent: string
  readonly forwarded: string
  readonly forwardedFor: string
  readonly forwardedProto: string
  readonly forwardedHost: string
  readonly forwardedMethod: string
  readonly forwardedUri: string
}

/** Whether a body comes, or may come, after the headers. */
export function hasBody({ chunked, contentLength }: RequestHeaders): boolean {
  return chunked || contentLength > 0
}

type Draft = { -readonly [K in keyof RequestHeaders]: RequestHeaders[K] }

type TextKey = {
  [K in keyof RequestHeaders]: RequestHeaders[K] extends string ? K : never
}[keyof RequestHeaders]

/** A look-up by names that clients choose: `constructor` is in none. */
function tableOf<T>(entries: Readonly<Record<string, T>>): ReadonlyMap<string, T> {
  return new Map(Object.entries(entries))
}

/** Headers that decide something here: a second copy would leave open which one counts. */
const once = tableOf<TextKey>({
  host: 'host',
  authorization: 'authorization',
  origin: 'origin',
  referer: 'referer',
  'sec-fetch-site': 'fetchSite',
  'sec-fetch-mode': 'fetchMode',
  'content-type': 'contentType',
  'access-control-request-method': 'preflightMethod',
  'x-request-id': 'requestId',
  traceparent: 'traceparent',
  upgrade: 'upgrade',
})

/** Headers of which the copies are read together, in order. */
const joined = tableOf<{ readonly key: TextKey; readonly by: string }>({
  cookie: { key: 'cookie', by: '; ' },
  accept: { key: 'accept', by: ', ' },
  'accept-encoding': { key: 'acceptEncoding', by: ', ' },
  forwarded: { key: 'forwarded', by: ', ' },
  'x-forwarded-for': { key: 'forwardedFor', by: ', ' },
  'x-forwarded-proto': { key: 'forwardedProto', by: ', ' },
  'x-forwarded-host': { key: 'forwardedHost', by: ', ' },
  'x-forwarded-method': { key: 'forwardedMethod', by: ', ' },
  'x-forwarded-uri': { key: 'forwardedUri', by: ', ' },
})

const length = /^[0-9]{1,15}$/

function emptyHeaders(): Draft {
  return {
    host: '',
    authorization: '',
    cookie: '',
    origin: '',
    referer: '',
    accept: '',
    acceptEncoding: '',
    fetchSite: '',
    fetchMode: '',
    requestedWith: false,
    contentType: '',
    contentLength: -1,
    chunked: false,
    expectContinue: false,
    upgrade: '',
    preflightMethod: '',
    requestId: '',
    traceparent: '',
    forwarded: '',
    forwardedFor: '',
    forwardedProto: '',
    forwardedHost: '',
    forwardedMethod: '',
    forwardedUri: '',
  }
}

/** Characters of a header's value that the log shows. */
const shown = 60

function refused(code: ErrorCode, header: string, value: string): GatewayError {
  return new GatewayError(code, { found: { header, value: value.slice(0, shown) } })
}

function readFraming(headers: Draft, name: string, value: string): void {
  if (name === 'content-length') {
    if (headers.contentLength >= 0) throw refused('ERR_FRAMING_AMBIGUOUS', name, 'twice')
    if (!length.test(value)) throw refused('ERR_FRAMING_AMBIGUOUS', name, value)
    headers.contentLength = Number(value)
  } else if (name === 'transfer-encoding') {
    if (headers.chunked || value.toLowerCase() !== 'chunked') {
      throw refused('ERR_FRAMING_AMBIGUOUS', name, headers.chunked ? 'twice' : value)
    }
    headers.chunked = true
  } else if (name === 'expect') {
    if (headers.expectContinue || value.toLowerCase() !== '100-continue') {
      throw refused('ERR_HEADER_INVALID', name, headers.expectContinue ? 'twice' : value)
    }
    headers.expectContinue = true
  } else if (name === 'x-requested-with') {
    headers.requestedWith = true
  }
}

/** Stands for headers that were refused. */
export const noHeaders: RequestHeaders = Object.freeze(emptyHeaders())

/** The values of all fields of this name, in lower case, in a raw list: for the rare header that {@link scanHeaders} leaves out. */
export function rawValues(raw: readonly string[], name: string): readonly string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]!.toLowerCase() === name)
}

/**
 * Scans `rawHeaders` as Node's strict parser left them.
 * @throws {@link GatewayError} ERR_HEADER_REPEATED — a header that decides something came twice
 * @throws {@link GatewayError} ERR_FRAMING_AMBIGUOUS — two lengths, a length beside chunks, an odd coding
 * @see RFC 9112 §6.3
 */
export function scanHeaders(request: IncomingMessage): RequestHeaders {
  const raw = request.rawHeaders
  const headers = emptyHeaders()
  // A header without a value still counts as one that came.
  let empty: string[] | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    const value = raw[i + 1]!
    const key = once.get(name)
    if (key !== undefined) {
      if (headers[key] !== '' || empty?.includes(name) === true) {
        throw new GatewayError('ERR_HEADER_REPEATED', {
          detail: `The header ${name} came twice.`,
          found: { header: name, times: 2 },
          wanted: { header: name, times: 1 },
        })
      }
      if (value === '') (empty ??= []).push(name)
      headers[key] = value
      continue
    }
    const list = joined.get(name)
    if (list === undefined) {
      readFraming(headers, name, value)
      continue
    }
    headers[list.key] = headers[list.key] === '' ? value : headers[list.key] + list.by + value
  }
  if (headers.chunked && headers.contentLength >= 0) throw new GatewayError('ERR_FRAMING_AMBIGUOUS')
  // RFC 9110 §10.1.1: an HTTP/1.0 client knows no interim answers.
  if (request.httpVersionMinor === 0) headers.expectContinue = false
  return headers
}
