/** How often somebody may ask, counted within bounded memory. */
import { GatewayError } from '../core/errors.js'
import type { Milliseconds } from '../core/clock.js'

/** A limit: `max` requests in `per`, for each key. */
export interface RateLimit {
  /** Tells it from the others where all count in one place. */
  readonly name: string
  readonly max: number
  readonly per: Milliseconds
}

/** What a count came to. */
export interface RateCount {
  /** Whether this request is beyond the limit, if it was counted. */
  readonly isExceeded: boolean
  /** How many more are allowed. */
  readonly remaining: number
  readonly ttlInSeconds: number
}

/** Counts a key, or looks at its count; undefined while it can't count, and then everybody passes. */
export type CountRequests = (key: string, increment: boolean) => Promise<RateCount | undefined>

/** Makes the counting of one limit. */
export type CreateCount = (limit: RateLimit) => CountRequests

/** Keys that are counted at the same time; beyond it the least recent start afresh. About 100 bytes each. */
export const maxCountedKeys = 50_000

function refuseFor(ttlInSeconds: number, { name, max, per }: RateLimit): never {
  throw new GatewayError('ERR_RATE_LIMITED', {
    retryAfter: Math.max(1, ttlInSeconds),
    found: { limit: name, requests: `more than ${max}` },
    wanted: { limit: name, requests: max, seconds: per / 1000 },
  })
}

/** One limit. */
export interface Counter {
  /** @throws {@link GatewayError} ERR_RATE_LIMITED — it was counted too often lately */
  check(key: string): Promise<void>
  count(key: string): Promise<void>
  /** Counts, then checks. */
  hit(key: string): Promise<void>
}

/** The limits that are not a route's. */
export interface Counters {
  readonly byAddress: Counter
  readonly byPrincipal: Counter
  /** What fails again and again with one token or session. */
  readonly failures: Counter
}

/** Builds the counter of a limit over what counts it. */
export function createCounter(count: CountRequests, limit: RateLimit): Counter {
  return {
    async check(key) {
      const state = await count(key, false)
      if (state?.remaining === 0) refuseFor(state.ttlInSeconds, limit)
    },
    async count(key) {
      await count(key, true)
    },
    async hit(key) {
      const state = await count(key, true)
      if (state?.isExceeded === true) refuseFor(state.ttlInSeconds, limit)
    },
  }
}
