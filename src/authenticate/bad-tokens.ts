/**
 * How many bad Bearer tokens an address brought lately. It is counted in this process alone: to ask Redis would cost more
 * than to verify a token.
 */
import { LRUCache } from 'lru-cache'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { addressKey } from '../core/network.js'

/** Addresses that are counted at the same time; beyond it the least recent start afresh. About 100 bytes each. */
const maxAddresses = 50_000

/** Counts refused tokens, and refuses to look at more. */
export interface BadTokens {
  /** @throws {@link GatewayError} ERR_RATE_LIMITED — the address brought too many */
  check(address: string): void
  /** Counts a refusal; an expired token is none, since its client has to be told. */
  count(address: string, error: unknown): void
}

/** A limit: `max` bad tokens in `per`. */
export interface BadTokenLimit {
  readonly max: number
  readonly per: Milliseconds
}

/** Builds the count. */
export function createBadTokens({ max, per }: BadTokenLimit, now: Now): BadTokens {
  // Made when it is first needed: the places for all these addresses take a megabyte, and nothing is counted on most days.
  let counts: LRUCache<string, { count: number; endsAt: Milliseconds }> | undefined
  const current = (address: string) => {
    const known = counts?.get(address)
    return known === undefined || known.endsAt <= now() ? undefined : known
  }
  return {
    check(address) {
      if (counts === undefined) return
      const known = current(addressKey(address))
      if (known === undefined || known.count < max) return
      throw new GatewayError('ERR_RATE_LIMITED', {
        retryAfter: Math.max(1, Math.ceil((known.endsAt - now()) / 1000)),
        found: { limit: 'badTokens', refused: known.count },
        wanted: {
          limit: 'badTokens',
          refused: max,
          seconds: per / 1000,
          key: 'rateLimit.badTokens',
        },
      })
    },
    count(address, error) {
      if (!(error instanceof GatewayError) || error.status !== 401) return
      if (error.code === 'ERR_TOKEN_EXPIRED') return
      const key = addressKey(address)
      const known = current(key)
      if (known !== undefined) {
        known.count++
        return
      }
      counts ??= new LRUCache({ max: maxAddresses })
      counts.set(key, { count: 1, endsAt: now() + per })
    },
  }
}
