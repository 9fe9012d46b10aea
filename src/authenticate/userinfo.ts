/** Asks the provider for what an access token does not say: within bounds, and never for a token that is known (OpenID Connect Core §5.3). */
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../core/errors.js'
import type { Now } from '../core/clock.js'

/** Asks the provider who an access token is about. */
export type AskUserinfo = (
  accessToken: string,
  scopes: ReadonlySet<string>,
) => Promise<Readonly<Record<string, unknown>>>

/** Questions a minute for one person, who may hold many tokens. */
const perMinute = 10
/** Questions at the same time, for everybody. */
const maxInFlight = 20
/** People whose questions are counted; beyond it the least recent start afresh. */
const maxPeople = 10_000

/**
 * Bounds the questions.
 * @throws {@link GatewayError} ERR_RATE_LIMITED — over the bounds
 * @throws {@link GatewayError} ERR_TOKEN_SUBJECT — the answer is about somebody else (OpenID Connect Core §5.3.2)
 */
export function createUserinfo(ask: AskUserinfo, now: Now) {
  const people = new LRUCache<string, { since: number; count: number }>({ max: maxPeople })
  let inFlight = 0

  const count = (person: string): void => {
    let seen = people.get(person)
    if (seen === undefined || now() - seen.since > 60_000) {
      seen = { since: now(), count: 0 }
      people.set(person, seen)
    }
    if (++seen.count > perMinute || inFlight >= maxInFlight) {
      throw new GatewayError('ERR_RATE_LIMITED', {
        retryAfter: 60,
        found: { limit: 'userinfo', requests: seen.count, in_flight: inFlight },
        wanted: { limit: 'userinfo', requests: perMinute, seconds: 60, in_flight: maxInFlight },
      })
    }
  }
  return async (token: string, subject: string, scopes: ReadonlySet<string>) => {
    count(subject)
    inFlight++
    try {
      const claims = await ask(token, scopes)
      if (claims['sub'] !== subject) {
        const found = { sub: claims['sub'], from: 'userinfo' }
        throw new GatewayError('ERR_TOKEN_SUBJECT', { found, wanted: { sub: subject } })
      }
      return claims
    } finally {
      inFlight--
    }
  }
}
