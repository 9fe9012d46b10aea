/** The Set-Cookie values that an answer owes for the session cookie of its request. */
import type { Milliseconds } from '../core/clock.js'
import { deleteSession, writeSession } from './cookies.js'
import type { CookieNames, Cookies } from './cookies.js'
import type { OpenSession } from './open-session.js'
import type { Sessions } from './sessions.js'

/** What of the sessions says which cookies are owed. */
export type CookieFacts = Pick<Sessions, 'latest' | 'remainingLife' | 'claimDeletion'>

/** Everything here is asked when the answer begins: what was right at its request may not be by then. */
export class SessionCookies {
  readonly #sessions: CookieFacts
  readonly #names: CookieNames

  constructor(sessions: CookieFacts, names: CookieNames) {
    this.#sessions = sessions
    this.#names = names
  }

  /** For a session that has just begun. */
  begun(session: OpenSession, { sessionNames }: Cookies): readonly string[] {
    const life = this.#sessions.remainingLife(session)
    return writeSession(this.#names, session.value, life, sessionNames)
  }

  /** For one that was found: its newest version, or nothing if the browser has that or a newer sign-in. */
  current(session: OpenSession, cookies: Cookies): readonly string[] {
    const latest = this.#sessions.latest(session, cookies.session)
    return latest === undefined ? [] : this.begun(latest, cookies)
  }

  /** For one that leads nowhere, in the answer to a request that came at `since`. */
  gone({ session, sessionNames }: Cookies, since: Milliseconds): readonly string[] {
    const mayDelete = this.#sessions.claimDeletion(session, since)
    return mayDelete ? deleteSession(this.#names, sessionNames) : []
  }
}
