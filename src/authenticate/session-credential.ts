/** The session cookie as a credential: what it leads to, and which Set-Cookie the answer owes for it. */
import type { Now } from '../core/clock.js'
import { deleteSession, readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { FoundSession, Sessions } from '../session/sessions.js'
import type { SessionCookies } from '../session/session-cookies.js'
import type { CookieOutcome } from './authenticate.js'

const nothing: readonly string[] = []

/** Reads the session of a Cookie header; undefined if there is no session cookie at all. */
export function createSessionCredential(
  sessions: Sessions,
  names: CookieNames,
  setCookies: SessionCookies,
  now: Now,
) {
  return (header: string): CookieOutcome | Promise<CookieOutcome> | undefined => {
    const cookies = readCookies(header, names)
    if (cookies.sessionNames.length === 0) return undefined
    const since = now()
    const outcomeOf = (resolved: FoundSession, warm: boolean): CookieOutcome => {
      if (resolved.session !== undefined) {
        const { session, fresh } = resolved
        return {
          identity: session.identity,
          setCookies: fresh ? () => setCookies.current(session, cookies) : nothing,
          signInCookies: nothing,
          warm,
        }
      }
      // A cookie that lost the race for a renewal must not delete the winner's.
      const leaves = resolved.reason === 'final'
      return {
        identity: undefined,
        setCookies: leaves ? nothing : () => setCookies.gone(cookies, since),
        signInCookies: leaves ? deleteSession(names, cookies.sessionNames) : nothing,
        warm,
      }
    }
    const resolved = sessions.find(cookies.session)
    return resolved instanceof Promise
      ? resolved.then((late) => outcomeOf(late, false))
      : outcomeOf(resolved, true)
  }
}
