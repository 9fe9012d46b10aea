/** The canonical request target: what the policy judges is, byte for byte, what the upstream receives (deploy/docs/requests.md#canonical-target). */
import type { ErrorCode } from '../core/errors.js'

/** A target that only one reading is possible of. */
export interface Target {
  /** The path, percent-decoded exactly once; what the policy judges and the signature covers. */
  readonly path: string
  /** The bytes after the first `?`, as received; empty text if none. */
  readonly query: string
  /** Path and query as they are sent on. */
  readonly sent: string
}

/** A target that is refused, and why. */
export interface BadTarget {
  readonly code: ErrorCode
}

/** Stands for a target that was refused. */
export const noTarget: Target = Object.freeze({ path: '', query: '', sent: '' })

const slash = 0x2f
const percent = 0x25
const question = 0x3f

/** What a path byte may be: 1 stands as it is, 2 must be percent-encoded, 0 is refused. RFC 3986 §3.3. */
const pathBytes = new Uint8Array(128)
/** Unreserved characters (RFC 3986 §2.3): the only ones whose encoding is undone. */
const unreserved = new Uint8Array(128)
for (let byte = 0x21; byte <= 0x7e; byte++) {
  const character = String.fromCharCode(byte)
  unreserved[byte] = /[A-Za-z0-9\-._~]/.test(character) ? 1 : 0
  pathBytes[byte] = /[A-Za-z0-9\-._~!$&'()*+,;=:@/%]/.test(character) ? 1 : 2
}
pathBytes[0x23] = 0 // '#': gunicorn and waitress cut the target there
pathBytes[0x5c] = 0 // '\': a slash to WHATWG URL parsers

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A `.` or `..` segment in a path that has been decoded. */
const dotSegment = /\/\.\.?(?:\/|$)/
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** Decodes and re-encodes a path that has a `%` or a character that must be encoded. */
function normalise(raw: string): { path: string; sent: string } | BadTarget {
  const bytes = new Uint8Array(raw.length)
  let length = 0
  let sent = ''
  for (let i = 0; i < raw.length; i++) {
    let byte = raw.charCodeAt(i)
    if (byte === percent) {
      const value = hexValue(raw.charCodeAt(i + 1)) * 16 + hexValue(raw.charCodeAt(i + 2))
      if (!(value >= 0) || hexValue(raw.charCodeAt(i + 2)) < 0)
        return { code: 'ERR_TARGET_ENCODING' }
      if (value === slash) return { code: 'ERR_TARGET_SLASH' }
      sent += unreserved[value] === 1 ? String.fromCharCode(value) : encodeByte(value)
      byte = value
      i += 2
    } else {
      sent += pathBytes[byte] === 2 ? encodeByte(byte) : raw.charAt(i)
    }
    bytes[length++] = byte
  }
  try {
    return { path: utf8.decode(bytes.subarray(0, length)), sent }
  } catch {
    return { code: 'ERR_TARGET_ENCODING' }
  }
}

/**
 * A name in Trac may have a `\`, which comes as `%5C`. Some parsers take it for a slash, so the path must have no dot
 * or empty segment in their reading either. Whether a row takes such a name at all is judged with the row.
 */
function segmentFault(path: string): ErrorCode | undefined {
  const hasBackslash = path.includes('\\')
  const read = hasBackslash ? path.replaceAll('\\', '/') : path
  if (hasBackslash && read.includes('//')) return 'ERR_TARGET_SLASH'
  return dotSegment.test(read) ? 'ERR_TARGET_DOTS' : undefined
}

/** A byte as `%XX` (RFC 3986 §2.1). */
export function encodeByte(byte: number): string {
  return `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`
}

/**
 * Reads a request target once, for everyone.
 * @param raw the target as it stood on the wire
 * @param limit bytes that the target may have as sent
 * @see RFC 9112 §3.2.1, RFC 3986 §6.2.2
 */
export function parseTarget(raw: string, limit: number): Target | BadTarget {
  if (raw.charCodeAt(0) !== slash) return { code: 'ERR_TARGET_FORM' }
  let end = raw.length
  let plain = true
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i)
    if (code < 0x21 || code > 0x7e || code === 0x23) return { code: 'ERR_TARGET_CHARACTER' }
    if (end !== raw.length) continue
    if (code === question) {
      end = i
      continue
    }
    const kind = pathBytes[code]
    if (kind === 0) return { code: 'ERR_TARGET_SLASH' }
    if (code === slash && raw.charCodeAt(i + 1) === slash) return { code: 'ERR_TARGET_SLASH' }
    if (kind === 2 || code === percent) plain = false
  }
  const rawPath = end === raw.length ? raw : raw.slice(0, end)
  const read = plain ? { path: rawPath, sent: rawPath } : normalise(rawPath)
  if ('code' in read) return read
  const code = segmentFault(read.path)
  if (code !== undefined) return { code }
  if (!plain && controlCharacter.test(read.path)) return { code: 'ERR_TARGET_CHARACTER' }
  const query = raw.slice(end + 1)
  const sent = query === '' ? read.sent : `${read.sent}?${query}`
  if (sent.length > limit) return { code: 'ERR_TARGET_TOO_LONG' }
  return { path: read.path, query, sent }
}

/** The path below the base path, or undefined outside it; the base itself is the empty path. */
export function belowBase(path: string, base: string): string | undefined {
  if (!path.startsWith(base)) return undefined
  const rest = path.slice(base.length)
  return rest === '' || rest.startsWith('/') ? rest : undefined
}

/** A decoded path as it stands in an address: what a path may not hold is percent-encoded (RFC 3986 §3.3). */
export function encodePath(path: string): string {
  let encoded = ''
  for (const byte of Buffer.from(path)) {
    encoded +=
      byte < 128 && pathBytes[byte] === 1 && byte !== percent
        ? String.fromCharCode(byte)
        : encodeByte(byte)
  }
  return encoded
}
