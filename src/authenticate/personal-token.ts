/** Personal tokens as a credential: found by id, proven by hash, and good as long as their owner is known to be (deploy/docs/guides/personal-tokens.md). */
import { LRUCache } from 'lru-cache'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError, withFacts } from '../core/errors.js'
import type { Identity, Principal, Profile } from '../core/identity.js'
import { isSameText } from '../core/same-text.js'
import { SingleFlight } from '../core/single-flight.js'
import { readToken } from '../tokens/token-form.js'
import { hourOf } from '../tokens/token-store.js'
import type { KeptToken, TokenStore } from '../tokens/token-store.js'
import type { BadTokens } from './bad-tokens.js'
import type { PresentedToken } from './bearer.js'
import { withOwnName } from './own-name.js'
import type { SettleName } from './own-name.js'
import { limitedPrincipal } from './principals.js'

/** What the look-up is built with. */
export interface PersonalTokenParts {
  readonly store: Pick<TokenStore, 'known' | 'find' | 'noteUse'>
  /** @throws {@link GatewayError} ERR_NAME_… — the configuration no longer lets that person in */
  readonly toPrincipal: (profile: Profile) => Principal
  readonly settle: SettleName
  /** Whether a token was ended, here or at another replica: by its id. */
  readonly isEnded: (id: string) => boolean
  /** Learns what other replicas ended, where that is not certain; @throws {@link GatewayError} ERR_STORE_UNAVAILABLE */
  readonly catchUp: () => Promise<void> | undefined
  /** `tokens.maxAge` and `tokens.ownerSeen`. */
  readonly maxAge: Milliseconds
  readonly ownerSeen: Milliseconds | 'never'
  readonly now: Now
  readonly badTokens: BadTokens
}

/** A token that was found good. */
interface Known {
  readonly kept: KeptToken
  readonly identity: Identity
  /** The hour of its last use that the store was told of. */
  usedIn: number
}

/** Tokens kept as requests use them: about 1.5 KB each. Beyond it the least used must be found again. */
const maxKnown = 10_000

/**
 * Says whose a token is that an address brings: without a promise if that is known.
 * @throws {@link GatewayError} (throws or rejects) ERR_TOKEN_UNKNOWN, ERR_TOKEN_EXPIRED, ERR_TOKEN_OWNER, ERR_NAME_…,
 *   ERR_STORE_UNAVAILABLE; ERR_RATE_LIMITED — it is not known, and the address brought too many bad ones
 */
export type PersonalLookup = (
  presented: PresentedToken,
  address: string,
  /** Refuses the bearer by what came besides; that counts as a bad token. */
  judge: (identity: Identity) => void,
) => {
  readonly known: { readonly identity: Identity } | Promise<{ readonly identity: Identity }>
  readonly hit: boolean
}

/** When a token ends, and which of its limits that is. */
function endOf(
  { token, owner }: KeptToken,
  { maxAge, ownerSeen }: Pick<PersonalTokenParts, 'maxAge' | 'ownerSeen'>,
): { readonly at: Milliseconds; readonly isOwners: boolean } {
  const own = Math.min(token.expiresAt, token.createdAt + maxAge)
  if (ownerSeen === 'never' || own <= owner.provenAt + ownerSeen)
    return { at: own, isOwners: false }
  return { at: owner.provenAt + ownerSeen, isOwners: true }
}

const toDate = (at: Milliseconds): string => new Date(at).toISOString()

/** No such token, as far as whoever asks is told; the log says why. */
export const unknownToken = (why: string): GatewayError =>
  new GatewayError('ERR_TOKEN_UNKNOWN', {
    found: { token: why },
    wanted: { token: 'one that stands at /auth/tokens' },
  })

/** The facts of a token for the log, once it is proven whose it is. */
const factsOf = ({ token, owner }: KeptToken) => ({
  token: token.name,
  sub: owner.subject,
  user: owner.user,
})

/** Builds the look-up. Texts that are no token are counted and never kept. */
export function createPersonalTokens(parts: PersonalTokenParts): PersonalLookup {
  /** Keyed by the hash of a whole token that was good. */
  const tokens = new LRUCache<string, Known>({ max: maxKnown })
  const finding = new SingleFlight<Known>()

  const refuseEnded = (kept: KeptToken): never => {
    const { at, isOwners } = endOf(kept, parts)
    const now = parts.now()
    if (!isOwners) {
      const found = { ...factsOf(kept), exp: toDate(at) }
      throw new GatewayError('ERR_TOKEN_EXPIRED', { found, wanted: { exp: toDate(now) } })
    }
    const found = { ...factsOf(kept), seen: toDate(kept.owner.provenAt) }
    const wanted = { seen: toDate(now - Number(parts.ownerSeen)), key: 'tokens.ownerSeen' }
    throw new GatewayError('ERR_TOKEN_OWNER', { found, wanted })
  }

  const identityOf = (kept: KeptToken): Identity => {
    const { id, name, routes, permissions } = kept.token
    const owner = parts.toPrincipal(kept.owner.profile)
    return {
      principal: limitedPrincipal(owner, permissions),
      via: 'token',
      expiresAt: endOf(kept, parts).at,
      accessToken: undefined,
      token: { id, name, routes: routes === undefined ? undefined : new Set(routes) },
    }
  }

  /** What is asked on every use. */
  const guarded = (known: Known): Known | Promise<Known> => {
    const { kept, identity } = known
    const { id } = kept.token
    if (parts.isEnded(id)) throw unknownToken('one that was revoked just now')
    const now = parts.now()
    if (now >= identity.expiresAt) refuseEnded(kept)
    const hour = hourOf(now)
    if (known.usedIn !== hour) {
      known.usedIn = hour
      parts.store.noteUse(id, hour)
    }
    const own = withOwnName(identity, parts.settle)
    if (own === identity) return known
    if (!(own instanceof Promise)) return { ...known, identity: own }
    return own.then((late) => ({ ...known, identity: late }))
  }

  const find = async ({ token, hash }: PresentedToken): Promise<Known> => {
    const proof = readToken(token)
    if (proof === undefined) throw unknownToken('a text that is no whole token')
    const kept = await parts.store.find(proof.id)
    if (kept === undefined) throw unknownToken('one that is not kept here')
    if (!isSameText(proof.hash, kept.token.hash))
      throw unknownToken('the id of one, with another secret')
    const before = tokens.get(hash)
    if (before?.kept === kept) return before
    try {
      const known = { kept, identity: identityOf(kept), usedIn: 0 }
      tokens.set(hash, known)
      return known
    } catch (error) {
      throw withFacts(error, factsOf(kept))
    }
  }

  const badFrom = (address: string) => (error: unknown) => {
    parts.badTokens.count(address, error)
    throw error
  }

  return (presented, address, judge) => {
    const judged = (known: Known): Known => {
      judge(known.identity)
      return known
    }
    const known = tokens.get(presented.hash)
    // As long as the store answers the same two, neither the token nor its owner has changed.
    const isCurrent = known !== undefined && parts.store.known(known.kept.token.id) === known.kept
    if (isCurrent) {
      const caughtUp = parts.catchUp()
      const guardedOne =
        caughtUp === undefined ? guarded(known) : caughtUp.then(() => guarded(known))
      const found = guardedOne instanceof Promise ? guardedOne.then(judged) : judged(guardedOne)
      return { known: found, hit: true }
    }
    if (known === undefined) parts.badTokens.check(address)
    const found = finding.run(presented.hash, async () => {
      await parts.catchUp()
      return find(presented)
    })
    return { known: found.then(guarded).then(judged).catch(badFrom(address)), hit: false }
  }
}
