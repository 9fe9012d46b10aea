/** The Set-Cookie values that an answer owes for the session cookie of its request (deploy/docs/sessions.md#cookies). */
import type { Milliseconds } from '../core/clock.js'
import { deleteSession, writeSession } from './cookies.js'
import type { CookieNames, Cookies } from './cookies.js'
import type { Sessions } from './sessions.js'
import type { OpenSession } from './session-cache.js'

/** What writes them. */
export type SessionCookies = ReturnType<typeof createSessionCookies>

/** Everything here is asked when the answer begins: what was right at its request may not be by then. */
export function createSessionCookies(sessions: Sessions, names: CookieNames) {
  const write = (session: OpenSession, { sessionNames }: Cookies): readonly string[] =>
    writeSession(names, session.value, sessions.cookieAge(session), sessionNames)
  return {
    /** For a session that has just begun. */
    begun: write,

    /** For one that was found: its newest version, or nothing if the browser has that or a newer sign-in. */
    current(session: OpenSession, cookies: Cookies): readonly string[] {
      const latest = sessions.latest(session, cookies.session)
      return latest === undefined ? [] : write(latest, cookies)
    },

    /** For one that leads nowhere, in the answer to a request that came at `since`. */
    gone: (cookies: Cookies, since: Milliseconds): readonly string[] =>
      sessions.mayDelete(cookies.session, since) ? deleteSession(names, cookies.sessionNames) : [],
  }
}
