/** The session cookie as a credential: what it leads to, and which Set-Cookie the answer owes for it. */
import type { Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { Identity } from '../core/identity.js'
import { deleteSession, readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { FoundSession, Sessions } from '../session/sessions.js'
import type { SessionCookies } from '../session/session-cookies.js'
import type { CookieOutcome } from './authenticate.js'
import { withOwnName } from './own-name.js'
import type { SettleName } from './own-name.js'

const nothing: readonly string[] = []

/** Reads the session of a Cookie header; undefined if there is no session cookie at all. */
export function createSessionCredential(
  sessions: Sessions,
  names: CookieNames,
  setCookies: SessionCookies,
  settle: SettleName,
  now: Now,
) {
  return (header: string): CookieOutcome | Promise<CookieOutcome> | undefined => {
    const cookies = readCookies(header, names)
    if (cookies.sessionNames.length === 0) return undefined
    const since = now()
    /** A cookie that lost the race for a renewal (`final`) must not delete the winner's. */
    const without = (warm: boolean, isFinal: boolean): CookieOutcome => ({
      identity: undefined,
      setCookies: isFinal ? nothing : () => setCookies.gone(cookies, since),
      signInCookies: isFinal ? deleteSession(names, cookies.sessionNames) : nothing,
      warm,
    })
    /** Whose name went to somebody else meanwhile is as one whose session ended; sign-in says why. */
    const unnamed = (error: unknown): CookieOutcome => {
      if (error instanceof GatewayError && error.status === 401) return without(false, false)
      throw error
    }
    const outcomeOf = (
      resolved: FoundSession,
      warm: boolean,
    ): CookieOutcome | Promise<CookieOutcome> => {
      if (resolved.session === undefined) return without(warm, resolved.reason === 'final')
      const { session, fresh } = resolved
      const within = (identity: Identity): CookieOutcome => ({
        identity,
        setCookies: fresh ? () => setCookies.current(session, cookies) : nothing,
        signInCookies: nothing,
        warm,
      })
      try {
        const identity = withOwnName(session.identity, settle)
        return identity instanceof Promise ? identity.then(within, unnamed) : within(identity)
      } catch (error) {
        return unnamed(error)
      }
    }
    const resolved = sessions.find(cookies.session)
    return resolved instanceof Promise
      ? resolved.then((late) => outcomeOf(late, false))
      : outcomeOf(resolved, true)
  }
}
