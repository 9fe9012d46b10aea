/** `Authorization: Bearer`: a token verified once, found by its hash from then on (RFC 6750 §2.1). */
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../core/errors.js'
import { fingerprint } from '../core/fingerprint.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { Identity, Principal } from '../core/identity.js'
import { SingleFlight } from '../core/single-flight.js'
import { tokenPrefix } from '../tokens/token-form.js'
import type { BadTokens } from './bad-tokens.js'
import { withOwnName } from './own-name.js'
import type { SettleName } from './own-name.js'

/** A token that was verified and whose bearer has a name. */
export interface KnownToken<T> {
  readonly identity: Identity
  readonly identifiers: T
  readonly user: string
  /** The generation of the keys that it was verified with. */
  readonly verifiedAt: number
  /** Revocations were last checked at this generation. */
  checkedAt: number
}

/** What the look-up is built with. `T` are the identifiers by which a token is found revoked. */
export interface BearerParts<T> {
  /** Verifies and names; @throws {@link GatewayError} ERR_TOKEN_…, ERR_NAME_…, ERR_PROVIDER_… */
  readonly admit: (
    token: string,
  ) => Promise<{ principal: Principal; identifiers: T; expiresAt: Milliseconds }>
  /** Asked on every use. */
  readonly settle: SettleName
  readonly isRevoked: (identifiers: T, user: string) => boolean
  /** Grows with each revocation. */
  readonly revocationGeneration: () => number
  /** Grows with each change of any key set. */
  readonly keyGeneration: () => number
  readonly now: Now
  readonly onVerified: (result: string) => void
  readonly badTokens: BadTokens
}

/** Verified tokens kept: about 1.9 KB each (test/flow/token-memory.test.ts). Beyond it the least used must be verified again. */
const maxTokens = 10_000

/** RFC 6750 §2.1; the scheme in any case (RFC 9110 §11.1). */
const bearer = /^bearer(?: +([A-Za-z0-9\-._~+/]+=*) *)?$/i
const anyScheme = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?: |$)/

/** A token as it was presented, and its hash: it is made once where a connection brings the same token again. */
export interface PresentedToken {
  readonly token: string
  readonly hash: string
}

/** A token with its hash. */
export function presented(token: string): PresentedToken {
  return { token, hash: fingerprint(token) }
}

/** The same fault, so that the challenge says that a token came (RFC 6750 §3.1). */
export function asBearerFault(error: unknown): unknown {
  if (!(error instanceof GatewayError)) return error
  return new GatewayError(error.code, { ...error.details, bearer: true })
}

/** Whether it is meant as a personal token: no token of a provider begins so. */
export const isPersonal = ({ token }: PresentedToken): boolean => token.startsWith(tokenPrefix)

/**
 * Reads an Authorization header: the token, or the scheme that is no credential here.
 * @throws {@link GatewayError} ERR_CREDENTIAL_MALFORMED — `Bearer` with nothing or more than one token
 */
export function readAuthorization(header: string): PresentedToken | { readonly scheme: string } {
  const scheme = anyScheme.exec(header)?.[1]?.toLowerCase()
  if (scheme === undefined) throw new GatewayError('ERR_CREDENTIAL_MALFORMED')
  if (scheme !== 'bearer') return { scheme }
  const token = bearer.exec(header)?.[1]
  if (token === undefined) throw new GatewayError('ERR_CREDENTIAL_MALFORMED')
  return presented(token)
}

/**
 * Says who bears a token that an address brings: without a promise if it is known.
 * @throws {@link GatewayError} ERR_RATE_LIMITED — it is not known, and the address brought too many bad ones
 */
export type BearerLookup<T> = (
  presented: PresentedToken,
  address: string,
) => {
  readonly known: KnownToken<T> | Promise<KnownToken<T>>
  readonly hit: boolean
}

/** Builds the look-up. Invalid tokens are counted and never kept; revocation is asked on every use. */
export function createBearer<T>(parts: BearerParts<T>): BearerLookup<T> {
  const tokens = new LRUCache<string, KnownToken<T>>({ max: maxTokens })
  const verifying = new SingleFlight<KnownToken<T>>()

  const named = (known: KnownToken<T>): KnownToken<T> | Promise<KnownToken<T>> => {
    const identity = withOwnName(known.identity, parts.settle)
    if (identity === known.identity) return known
    if (!(identity instanceof Promise)) return { ...known, identity }
    return identity.then((own) => ({ ...known, identity: own }))
  }
  const guarded = (known: KnownToken<T>): KnownToken<T> | Promise<KnownToken<T>> => {
    const generation = parts.revocationGeneration()
    if (known.checkedAt === generation) return named(known)
    if (parts.isRevoked(known.identifiers, known.user)) throw new GatewayError('ERR_TOKEN_REVOKED')
    known.checkedAt = generation
    return named(known)
  }
  const verify = async (
    { token, hash }: PresentedToken,
    verifiedAt: number,
  ): Promise<KnownToken<T>> => {
    try {
      const { principal: claimed, identifiers, expiresAt } = await parts.admit(token)
      const principal = await parts.settle(claimed)
      // The request that brought the token has it: to keep it here would double what a known token takes.
      const identity: Identity = { principal, via: 'bearer', expiresAt, accessToken: undefined }
      const known = { identity, identifiers, user: principal.user, verifiedAt, checkedAt: -1 }
      tokens.set(hash, known)
      parts.onVerified('ok')
      return known
    } catch (error) {
      parts.onVerified(error instanceof GatewayError ? error.code : 'ERR_INTERNAL')
      throw error
    }
  }

  const badFrom = (address: string) => (error: unknown) => {
    parts.badTokens.count(address, error)
    throw error
  }

  return (token, address) => {
    // The whole token and the state of the keys it was verified with: nothing else may find it.
    const generation = parts.keyGeneration()
    const { hash } = token
    const known = tokens.get(hash)
    if (known !== undefined) {
      const counts = known.verifiedAt === generation && parts.now() < known.identity.expiresAt
      if (counts) return { known: guarded(known), hit: true }
      tokens.delete(hash)
    }
    parts.badTokens.check(address)
    const verified = verifying.run(`${generation} ${hash}`, () => verify(token, generation))
    return { known: verified.then(guarded, badFrom(address)), hit: false }
  }
}
