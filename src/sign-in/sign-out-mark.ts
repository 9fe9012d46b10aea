/**
 * A cookie that a sign-out leaves in the browser, for a day: while it is there, the next sign-in asks for the password, so
 * that a session which lived on at the provider signs nobody else in on a shared machine.
 */
import { randomBytes } from 'node:crypto'
import type { Milliseconds } from '../core/clock.js'
import { formatCookie } from '../session/cookies.js'
import type { CookieNames, Cookies } from '../session/cookies.js'

const life: Milliseconds = 24 * 3_600_000

/** What the mark says of the way back: none, any that no person typed, or the one with this `state`. */
const stays = 'stays'
const byProvider = 'by-provider'

/** A `state` for the way back from the provider's log-out (OpenID Connect RP-Initiated Logout 1.0 §2). */
export function createReturnState(): string {
  return randomBytes(16).toString('base64url')
}

/**
 * The cookie of a sign-out.
 * @param way how the browser will come back from the provider: with a `state`; somehow; or not at all
 */
export function markSignOut(names: CookieNames, way: { state: string } | 'somehow' | 'never') {
  const value = typeof way === 'object' ? way.state : way === 'somehow' ? byProvider : stays
  return formatCookie(names, names.signOut, value, life)
}

/** Takes the mark away. */
export function forgetSignOut(names: CookieNames, { signOut }: Cookies): readonly string[] {
  return signOut === '' ? [] : [formatCookie(names, names.signOut, '', 0)]
}

/**
 * Whether a browser with this mark comes from the provider's log-out.
 * @param state of the query; empty text without one
 * @param fetchSite `Sec-Fetch-Site`: `none` is an address that somebody typed
 */
export function comesFromProvider(mark: string, state: string, fetchSite: string): boolean {
  if (mark === '' || mark === stays) return false
  return mark === byProvider ? fetchSite !== 'none' : mark === state
}
