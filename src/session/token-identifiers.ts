/** How a token or a session can be recognised when its sign-in has ended. */
import type { Milliseconds } from '../core/clock.js'

/** How one token or session can be recognised. */
export interface TokenIdentifiers {
  readonly issuer: string
  /** Identifiers of the sign-in and of the token, such as `sid 08a5…`; unique within the issuer. */
  readonly ids: readonly string[]
  /** `sub` of the person. */
  readonly subject: string
  /** Whether `ids` name the sign-in; without, a later sign-out of the person counts. */
  readonly namesSignIn: boolean
  /** `auth_time`, else `iat`. */
  readonly since: Milliseconds
}

/** Reads the identifiers out of a token's claims. */
export function identifiersOf(
  issuer: string,
  claims: Readonly<Record<string, unknown>>,
): TokenIdentifiers {
  const ids: string[] = []
  const add = (kind: string, value: unknown) => {
    if (typeof value === 'string' && value !== '') ids.push(`${kind} ${value}`)
  }
  add('origin_jti', claims['origin_jti'])
  add('sid', claims['sid'])
  const authTime = claims['auth_time']
  if (typeof authTime === 'number') add('auth_time', `${String(claims['sub'])} ${authTime}`)
  const namesSignIn = ids.length > 0
  add('jti', claims['jti'])
  const since = typeof authTime === 'number' ? authTime : Number(claims['iat'])
  return {
    issuer,
    ids,
    subject: String(claims['sub']),
    namesSignIn,
    since: Number.isFinite(since) ? since * 1000 : 0,
  }
}

/** Identifiers of single tokens that a session remembers. */
const maxTokenIds = 4
/** Identifiers of the sign-in itself that a session remembers; usually there are two, and they stay. */
const maxSignInIds = 8

/**
 * The identifiers of a session after a renewal: the last few of the sign-in and the last few of its tokens (`jti`), since
 * a provider may change both each time.
 */
export function joinIds(old: readonly string[], fresh: readonly string[]): readonly string[] {
  // A set keeps the place of what it has, and what came now should count as the latest.
  const all = [...new Set([...old.filter((id) => !fresh.includes(id)), ...fresh])]
  const tokenIds = all.filter((id) => id.startsWith('jti '))
  const signInIds = all.filter((id) => !id.startsWith('jti '))
  return [...signInIds.slice(-maxSignInIds), ...tokenIds.slice(-maxTokenIds)]
}
