/** Step 7 and 10 of a request's way: how often, counted by @fastify/rate-limit within bounded memory. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { GatewayError } from '../core/errors.js'
import type { RequestContext } from '../request/context.js'
import type { Milliseconds } from '../core/clock.js'

/** Counts one request and refuses it if there were too many. */
export type Limiter = (context: RequestContext, request: FastifyRequest) => Promise<void>

/** A limit: `max` requests in `per`, for each key. */
export interface Limit {
  /** Tells it from the others where all count in one place. */
  readonly name: string
  readonly max: number
  readonly per: Milliseconds
  readonly keyOf: (context: RequestContext) => string
}

/** Keys that are counted at the same time; beyond it the least recent start afresh. About 100 bytes each. */
const maxKeys = 50_000

/** The address as it is counted: IPv6 by /64, since a household has that many (RFC 6177 §2). */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('%', 1)[0]!.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

/** Counts by a key that is known only in the middle of a request. */
export interface Counter {
  /** @throws {@link GatewayError} ERR_RATE_LIMITED — it was counted too often lately */
  check(key: string): Promise<void>
  count(key: string): Promise<void>
  /** Counts, then checks. */
  take(key: string): Promise<void>
}

function refuseFor(ttlInSeconds: number): never {
  throw new GatewayError('ERR_RATE_LIMITED', { retryAfter: Math.max(1, ttlInSeconds) })
}

/** Builds a counter; the plugin must have been registered. While it can't count, everybody passes. */
export function createCounter(
  app: FastifyInstance,
  limit: Omit<Limit, 'keyOf'>,
  canCount: () => boolean,
): Counter {
  const options = {
    max: limit.max,
    timeWindow: limit.per,
    keyGenerator: (request: FastifyRequest) => (request as unknown as { key: string }).key,
    cache: maxKeys,
  }
  const state = app.createRateLimit(options)
  // The plugin asks a request for its key and its route's settings, and for nothing else.
  const asked = (key: string) =>
    ({ key: `${limit.name} ${key}`, routeOptions: {} }) as unknown as FastifyRequest
  return {
    async check(key) {
      if (!canCount()) return
      const now = await state(asked(key), { increment: false })
      if (!now.isAllowed && now.remaining === 0) refuseFor(now.ttlInSeconds)
    },
    async count(key) {
      if (canCount()) await state(asked(key))
    },
    async take(key) {
      if (!canCount()) return
      const now = await state(asked(key))
      if (!now.isAllowed && now.isExceeded) refuseFor(now.ttlInSeconds)
    },
  }
}

/** Builds a limiter; the plugin must have been registered. While it can't count, everybody passes. */
export function createLimiter(
  app: FastifyInstance,
  exchangeOf: (request: FastifyRequest) => RequestContext,
  limit: Limit,
  canCount: () => boolean,
): Limiter {
  // The plugin takes `cache` for each limiter, though its types name it for the whole plugin only.
  const options = {
    max: limit.max,
    timeWindow: limit.per,
    keyGenerator: (request: FastifyRequest) => `${limit.name} ${limit.keyOf(exchangeOf(request))}`,
    cache: maxKeys,
  }
  const check = app.createRateLimit(options)
  return async (_exchange, request) => {
    if (!canCount()) return
    const state = await check(request)
    if (!state.isAllowed && state.isExceeded) refuseFor(state.ttlInSeconds)
  }
}
