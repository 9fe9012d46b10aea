/** What a compact JWS says, read before any key is asked for: one reading, or none (RFC 7515 §3.1, RFC 7519 §7.2). */
import type { JWTPayload, ProtectedHeaderParameters } from 'jose'
import { isCanonicalCompact } from '../core/base64url.js'

/** The two readable parts of a token whose signature nobody has looked at. */
export interface ReadJws {
  readonly header: ProtectedHeaderParameters
  readonly claims: JWTPayload
}

/** Characters that a token may have; a header can't carry more anyway. */
const maxTokenLength = 32 * 1024
const compactJws = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** A mark before the JSON stays where it is, so that JSON itself refuses it, as other readers would. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readPart(part: string): Record<string, unknown> {
  const value: unknown = JSON.parse(utf8.decode(Buffer.from(part, 'base64url')))
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { ...value }
  }
  throw new Error('a part of the token is no JSON object')
}

/** Headers that say the payload is not what it looks like: of a JWE, or unencoded (RFC 7797 §6, §7). */
function checkHeader({ zip, enc, b64, crit }: Readonly<Record<string, unknown>>): void {
  if (zip !== undefined || enc !== undefined) throw new Error('the token has a header of a JWE')
  if (b64 !== undefined && crit === undefined) throw new Error('the token has b64 without crit')
  if (b64 !== undefined && b64 !== true) throw new Error('the payload of the token is not encoded')
}

/** Reads a token. @throws Error — it is no compact JWS with JSON objects in it */
export function readJws(token: string): ReadJws {
  if (token.length > maxTokenLength || !compactJws.test(token) || !isCanonicalCompact(token)) {
    throw new Error('the token is no compact JWS')
  }
  const [header = '', payload = ''] = token.split('.')
  const read = { header: readPart(header), claims: readPart(payload) }
  checkHeader(read.header)
  return read
}
