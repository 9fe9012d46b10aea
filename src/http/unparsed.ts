/** What Node's parser refused: why, in our words, and as much of the request as its bytes show. */
import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../core/errors.js'
import type { ErrorCode, ErrorDetails } from '../core/errors.js'
import { encodeByte } from '../request/target.js'

/** An error of Node's parser. `rawPacket` are the bytes that it read last. */
export interface ParserError extends Error {
  readonly code?: string
  readonly reason?: string
  readonly rawPacket?: Buffer
}

/** A request that was refused before it was one. */
export interface Unparsed {
  readonly request: IncomingMessage
  readonly error: GatewayError
}

/** Causes by the code of the parser (llhttp); whatever else it says is ERR_REQUEST_MALFORMED. */
const codes: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'ERR_HEADER_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'ERR_CLIENT_TIMEOUT',
  HPE_INVALID_URL: 'ERR_TARGET_CHARACTER',
  HPE_INVALID_HEADER_TOKEN: 'ERR_HEADER_INVALID',
  HPE_LF_EXPECTED: 'ERR_HEADER_INVALID',
  HPE_CR_EXPECTED: 'ERR_HEADER_INVALID',
  HPE_INVALID_CONTENT_LENGTH: 'ERR_FRAMING_AMBIGUOUS',
  HPE_UNEXPECTED_CONTENT_LENGTH: 'ERR_FRAMING_AMBIGUOUS',
  HPE_INVALID_TRANSFER_ENCODING: 'ERR_FRAMING_AMBIGUOUS',
  HPE_INVALID_CHUNK_SIZE: 'ERR_FRAMING_AMBIGUOUS',
}

const requestLine = /^([A-Z]{3,20}) (.*) HTTP\/\d\.\d$/
/** The record that begins a TLS connection (RFC 8446 §5.1). */
const handshakeRecord = 0x16

/** What the last bytes show. Those of a head that came in several packets may begin in its middle. */
interface Shown {
  readonly method: string
  readonly target: string
  /** Names and values of whole lines. */
  readonly headers: readonly string[]
  readonly isStart: boolean
}

function show(packet: Buffer): Shown {
  const [first = '', ...lines] = packet.toString('latin1').split('\r\n\r\n', 1)[0]!.split('\r\n')
  const [, method, target = ''] = requestLine.exec(first) ?? []
  if (method === undefined) return { method: '', target: '', headers: [], isStart: false }
  // A last line may be cut in the middle.
  const whole = packet.includes('\r\n\r\n') ? lines : lines.slice(0, -1)
  const headers = whole.flatMap((line) => {
    const colon = line.indexOf(':')
    return colon < 1 ? [] : [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return { method, target, headers, isStart: true }
}

/** The name of the largest header. */
function largest(headers: readonly string[]): string | undefined {
  const sizes = headers.flatMap((name, index) =>
    index % 2 === 0 ? [{ name, size: headers[index + 1]!.length }] : [],
  )
  return sizes.toSorted((a, b) => b.size - a.size)[0]?.name
}

function tooLarge(
  headers: readonly string[],
  headerLimit: number,
  found: Readonly<Record<string, string>>,
): ErrorDetails {
  const detail = { text: 'detail.headers_too_large', values: { bytes: `${headerLimit}` } } as const
  const wanted = { bytes: headerLimit, key: 'server.limits.header' }
  return { detail, found: { ...found, largest: largest(headers) }, wanted }
}

/** What Node's parser says of a head before it is sent: it counts target, names and values, and nothing between them. */
export function foreseeOverflow(
  { url = '', rawHeaders }: Pick<IncomingMessage, 'url' | 'rawHeaders'>,
  headerLimit: number,
): GatewayError | undefined {
  const bytes = [url, ...rawHeaders].reduce((sum, text) => sum + text.length, 0)
  if (bytes < headerLimit) return undefined
  const found = { parser: `Header overflow: ${bytes} bytes` }
  return new GatewayError('ERR_HEADER_TOO_LARGE', tooLarge(rawHeaders, headerLimit, found))
}

function explain(
  { code = '', reason, rawPacket }: ParserError,
  { target, headers, isStart }: Shown,
  headerLimit: number,
): [ErrorCode, ErrorDetails] {
  const known = codes[code] ?? 'ERR_REQUEST_MALFORMED'
  const found = { parser: reason ?? code }
  if (known === 'ERR_HEADER_TOO_LARGE') {
    return [known, tooLarge(headers, headerLimit, found)]
  }
  if (isStart && target.includes(' ')) {
    const detail = { text: 'detail.blank' } as const
    return ['ERR_TARGET_CHARACTER', { detail, found: { ...found, target: 'with a blank' } }]
  }
  if (known === 'ERR_TARGET_CHARACTER' && isStart && !target.startsWith('/')) {
    return ['ERR_TARGET_FORM', { found }]
  }
  if (known === 'ERR_HEADER_INVALID') return [known, { detail: `${reason}.`, found }]
  if (rawPacket?.[0] === handshakeRecord) {
    return [
      known,
      { found: { protocol: 'TLS' }, wanted: { protocol: 'plain HTTP, or server.tls' } },
    ]
  }
  if (code === 'HPE_PAUSED_H2_UPGRADE') {
    return [known, { found: { protocol: 'HTTP/2' }, wanted: { protocol: 'HTTP/1.1' } }]
  }
  return [known, { found }]
}

/** Makes a request of what the parser refused; undefined for an error that is not the parser's. */
export function readUnparsed(
  error: ParserError,
  socket: Socket,
  headerLimit: number,
): Unparsed | undefined {
  const { code = '', rawPacket = Buffer.alloc(0) } = error
  if (!code.startsWith('HPE_') && code !== 'ERR_HTTP_REQUEST_TIMEOUT') return undefined
  const shown = show(rawPacket)
  const [ours, details] = explain(error, shown, headerLimit)
  const request = new IncomingMessage(socket)
  request.method = shown.method
  request.url = shown.target.replaceAll(/[^\x21-\x7e]/g, (one) => encodeByte(one.charCodeAt(0)))
  request.httpVersion = '1.0'
  // A head this large comes in many packets from a browser with many cookies; what it accepts has gone by.
  const unseen = !shown.isStart && ours === 'ERR_HEADER_TOO_LARGE'
  request.rawHeaders = unseen ? ['Accept', 'text/html'] : [...shown.headers]
  request.complete = true
  return { request, error: new GatewayError(ours, { ...details, cause: error }) }
}
