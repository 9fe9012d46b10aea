/** Whether the credential of a request that is long under way is still good: a tunnel ends with its session or token. */
import type { Now } from '../core/clock.js'
import type { RequestContext } from '../request/context.js'
import { readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { Sessions } from '../session/sessions.js'
import { presented } from './bearer.js'
import type { BearerLookup } from './bearer.js'

/** Builds the question. `isEnded`: whether a personal token was ended just now. */
export function createLiveness<T>(
  bearer: BearerLookup<T>,
  isEnded: (tokenId: string) => boolean,
  sessions: Sessions,
  names: CookieNames,
  now: Now,
) {
  return ({ identity, headers, address, bearerToken }: RequestContext): boolean => {
    if (identity.via === undefined) return true
    if (identity.via === 'session') {
      return sessions.isAlive(readCookies(headers.cookie, names).session)
    }
    if (now() >= identity.expiresAt) return false
    if (identity.via === 'token') return !isEnded(identity.token?.id ?? '')
    try {
      const { known } = bearer(presented(bearerToken ?? ''), address)
      // Forgotten here, so it is being verified: the next look will tell.
      if (known instanceof Promise) known.catch(() => undefined)
      return true
    } catch {
      return false
    }
  }
}
