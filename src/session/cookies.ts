/**
 * Our cookies: their names and attributes, how a large value is split, and how they are told from all others.
 * By hand: a cookie library reads values that browsers never send, joins no chunks, and can't tell what Python's parser
 * in Trac will make of what is passed on (deploy/docs/trac.md#headers-and-bodies).
 */
import type { Milliseconds } from '../core/clock.js'
import { fingerprint } from '../core/fingerprint.js'

/** The names and attributes of one gateway's cookies. */
export interface CookieNames {
  /** What tells this gateway from others, in cookies and in Redis alike. */
  readonly stem: string
  /** What the name of each of its cookies begins with. */
  readonly prefix: string
  /** The session; chunks add 1, 2, 3. */
  readonly session: string
  /** What every login attempt begins with. */
  readonly attempt: string
  /** The mark of a sign-out. */
  readonly signOut: string
  readonly secure: boolean
}

/** A browser takes 4,096 bytes of name, value and attributes (RFC 6265bis §5.6); attributes take under 100. */
const maxCookieLength = 3900
/** Chunks that a session may have. */
export const maxChunks = 3
/** Bytes that a sealed session may have: more would not pass the header limits of usual front proxies. */
export const maxSessionLength = 8 * 1024

/**
 * Names the cookies of a gateway, so that two gateways on one host don't meet.
 * `__Host-` binds them to this host, HTTPS and `Path=/` (RFC 6265bis §4.1.3); plain HTTP exists on loopback only.
 */
export function nameCookies(publicUrl: string, issuer: string, clientId: string): CookieNames {
  const identity = `${publicUrl}\n${issuer}\n${clientId}`
  const stem = `tg-${fingerprint(identity, 'hex').slice(0, 8)}`
  const secure = publicUrl.startsWith('https:')
  const prefix = `${secure ? '__Host-' : ''}${stem}-`
  return {
    stem,
    prefix,
    session: `${prefix}s`,
    attempt: `${prefix}l-`,
    signOut: `${prefix}o`,
    secure,
  }
}

/** Writes a Set-Cookie value; `maxAge` 0 deletes it, with the very attributes that it was set with. */
export function formatCookie(
  names: CookieNames,
  name: string,
  value: string,
  maxAge: Milliseconds,
): string {
  const seconds = Math.floor(maxAge / 1000)
  const secure = names.secure ? '; Secure' : ''
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`
}

/** Cookies as name and value, in the order in which they came. */
export type CookiePairs = readonly (readonly [string, string])[]

/** Our cookies of a request. */
export interface Cookies {
  /** The session's value, chunks joined; empty text without one. */
  readonly session: string
  /** Names of session cookies that came, for deletion. */
  readonly sessionNames: readonly string[]
  /** Login attempts. */
  readonly attempts: CookiePairs
  /** The mark of a sign-out; empty text without one. */
  readonly signOut: string
}

const none: Cookies = { session: '', sessionNames: [], attempts: [], signOut: '' }

/** Calls `each` with every pair; a piece that is no pair comes without a name (RFC 6265bis §5.7). */
function eachCookie(header: string, each: (name: string, value: string, piece: string) => void) {
  let start = 0
  while (start < header.length) {
    let end = header.indexOf(';', start)
    if (end < 0) end = header.length
    const piece = header.slice(start, end).trim()
    const equals = piece.indexOf('=')
    if (equals > 0) each(piece.slice(0, equals), piece.slice(equals + 1), piece)
    else if (piece !== '') each('', '', piece)
    start = end + 1
  }
}

/** The session's own name or that of a chunk; any other suffix was never set here. */
function isSessionName(name: string, { session }: CookieNames): boolean {
  return name.startsWith(session) && /^[1-9]?$/.test(name.slice(session.length))
}

/** Finds our cookies in a Cookie header. Of a name that comes twice the first counts. */
export function readCookies(header: string, names: CookieNames): Cookies {
  if (header === '' || !header.includes(names.prefix)) return none
  const parts = new Map<string, string>()
  const attempts: [string, string][] = []
  let signOut = ''
  eachCookie(header, (name, value) => {
    if (name.startsWith(names.attempt)) attempts.push([name, value])
    else if (name === names.signOut) signOut ||= value
    else if (isSessionName(name, names) && !parts.has(name)) parts.set(name, value)
  })
  const sessionNames = [...parts.keys()]
  const whole = parts.get(names.session)
  if (whole !== undefined) return { session: whole, sessionNames, attempts, signOut }
  let session = ''
  for (let i = 1; i <= maxChunks; i++) {
    const chunk = parts.get(`${names.session}${i}`)
    if (chunk === undefined) break
    session += chunk
  }
  return { session, sessionNames, attempts, signOut }
}

/** The cookie of Trac's own login. */
export const tracCookie = 'trac_auth'

/** Whether the words of a piece have one that `isMeant`: Python's cookie parser, which Trac uses, also splits at white space. */
function someWord(piece: string, isMeant: (word: string) => boolean): boolean {
  return piece.split(/\s+/).some(isMeant)
}

/** Also with white space before the `=`. */
const isTracs = (word: string): boolean => word === tracCookie || word.startsWith(`${tracCookie}=`)

/**
 * Everything but our cookies and `trac_auth`, with which Trac would have a second session of its own.
 * @param keepsTracs leaves `trac_auth` in
 */
export function foreignCookies(header: string, names: CookieNames, keepsTracs = false): string {
  const { prefix } = names
  if (!header.includes(prefix) && !header.includes(tracCookie)) return header
  const kept: string[] = []
  const isOurs = (word: string) => word.startsWith(prefix) || (!keepsTracs && isTracs(word))
  eachCookie(header, (_name, _value, piece) => {
    if (!someWord(piece, isOurs)) kept.push(piece)
  })
  return kept.join('; ')
}

/** Whether Trac's own cookie is among them. */
export function bringsTracCookie(header: string): boolean {
  if (!header.includes(tracCookie)) return false
  let found = false
  eachCookie(header, (name, value) => (found ||= name === tracCookie && value !== ''))
  return found
}

/** The Set-Cookie values that put a session in place of whatever session cookies `present` names. */
export function writeSession(
  names: CookieNames,
  value: string,
  maxAge: Milliseconds,
  present: readonly string[],
): readonly string[] {
  const parts = new Map<string, string>()
  const capacity = maxCookieLength - names.session.length - 1
  if (value.length <= capacity) {
    parts.set(names.session, value)
  } else {
    for (let i = 0; i * capacity < value.length; i++) {
      parts.set(`${names.session}${i + 1}`, value.slice(i * capacity, (i + 1) * capacity))
    }
  }
  const gone = present.filter((name) => !parts.has(name))
  return [
    ...[...parts].map(([name, part]) => formatCookie(names, name, part, maxAge)),
    ...gone.map((name) => formatCookie(names, name, '', 0)),
  ]
}

/** The Set-Cookie values that delete a session, chunks included. */
export function deleteSession(names: CookieNames, present: readonly string[]): readonly string[] {
  return present.map((name) => formatCookie(names, name, '', 0))
}
