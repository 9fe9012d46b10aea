/** The session cookie as a credential: what it leads to, and which Set-Cookie the answer owes for it. */
import { deleteSession, readCookies, writeSession } from '../session/cookies.js'
import type { CookieNames, Cookies } from '../session/cookies.js'
import type { Resolved, Sessions } from '../session/sessions.js'
import type { CookieOutcome } from './identify.js'

const nothing: readonly string[] = []

/** Reads the session of a Cookie header; undefined if there is no session cookie at all. */
export function createSessionCredential(sessions: Sessions, names: CookieNames) {
  const outcomeOf = (resolved: Resolved, cookies: Cookies, warm: boolean): CookieOutcome => {
    if (resolved.session !== undefined) {
      const { session } = resolved
      const setCookies = resolved.fresh
        ? () => {
            const latest = sessions.latest(session)
            if (latest === undefined) return nothing
            return writeSession(
              names,
              latest.value,
              sessions.cookieAge(latest),
              cookies.sessionNames,
            )
          }
        : nothing
      return { identity: session.identity, setCookies, leaveCookies: nothing, warm }
    }
    const gone = deleteSession(names, cookies.sessionNames)
    // A cookie that lost the race for a renewal must not delete the winner's.
    return resolved.reason === 'final'
      ? { identity: undefined, setCookies: nothing, leaveCookies: gone, warm }
      : { identity: undefined, setCookies: gone, leaveCookies: nothing, warm }
  }
  return (header: string): CookieOutcome | Promise<CookieOutcome> | undefined => {
    const cookies = readCookies(header, names)
    if (cookies.sessionNames.length === 0) return undefined
    const resolved = sessions.resolve(cookies.session)
    return resolved instanceof Promise
      ? resolved.then((late) => outcomeOf(late, cookies, false))
      : outcomeOf(resolved, cookies, true)
  }
}
