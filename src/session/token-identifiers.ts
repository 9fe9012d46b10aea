/** How a token or a session can be recognised when its sign-in has ended. */
import type { Milliseconds } from '../core/clock.js'

/** What a token and a session can be recognised by. */
interface Identifiers {
  readonly issuer: string
  /** Identifiers of the sign-in and of its tokens, such as `sid 08a5…`; unique within the issuer. */
  readonly ids: readonly string[]
  /** `sub` of the person. */
  readonly subject: string
  /** `iat` of the token, for a session that of its first ID token; by the provider's clock, 0 if it is not known. */
  readonly issuedAt: Milliseconds
}

/** How one token can be recognised. */
export interface TokenIdentifiers extends Identifiers {
  /** Whether `ids` name the sign-in; without, a later sign-out of the person counts. */
  readonly namesSignIn: boolean
  /** `auth_time`, by the provider's clock. */
  readonly authenticatedAt: Milliseconds | undefined
}

/** How one session can be recognised. */
export interface SessionIdentifiers extends Identifiers {
  /** When its sign-in attempt began; never by the provider's clock. */
  readonly begunAt: Milliseconds
}

/** The kind of an identifier: `sid` of `sid 08a5…`. */
export function kindOf(id: string): string {
  return id.slice(0, id.indexOf(' '))
}

function toMilliseconds(seconds: unknown): Milliseconds | undefined {
  return typeof seconds === 'number' && Number.isFinite(seconds) ? seconds * 1000 : undefined
}

/** Reads the identifiers out of a token's claims. */
export function identifiersOf(
  issuer: string,
  claims: Readonly<Record<string, unknown>>,
): TokenIdentifiers {
  const ids: string[] = []
  // Joined, and not added to one another: V8 would keep each piece for as long as the token is known.
  const add = (kind: string, value: unknown) => {
    if (typeof value === 'string' && value !== '') ids.push([kind, value].join(' '))
  }
  add('origin_jti', claims['origin_jti'])
  add('sid', claims['sid'])
  const authTime = claims['auth_time']
  if (typeof authTime === 'number') {
    add('auth_time', [String(claims['sub']), authTime].join(' '))
  }
  const namesSignIn = ids.length > 0
  add('jti', claims['jti'])
  return {
    issuer,
    // A list that grew has place for a dozen more.
    ids: [...ids],
    subject: String(claims['sub']),
    namesSignIn,
    issuedAt: toMilliseconds(claims['iat']) ?? 0,
    authenticatedAt: toMilliseconds(authTime),
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
  const tokenIds = all.filter((id) => kindOf(id) === 'jti')
  const signInIds = all.filter((id) => kindOf(id) !== 'jti')
  return [...signInIds.slice(-maxSignInIds), ...tokenIds.slice(-maxTokenIds)]
}
