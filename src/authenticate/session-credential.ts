/** The session cookie as a credential: what it leads to, and which Set-Cookie the answer owes for it. */
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { Identity } from '../core/identity.js'
import { fingerprint } from '../core/fingerprint.js'
import { rememberLast } from '../request/last-text.js'
import { deleteSession, readCookies } from '../session/cookies.js'
import type { CookieNames, Cookies } from '../session/cookies.js'
import type { FoundSession, Sessions } from '../session/sessions.js'
import type { SessionCookies } from '../session/session-cookies.js'
import type { CookieOutcome } from './authenticate.js'
import { withOwnName } from './own-name.js'
import type { SettleName } from './own-name.js'

const nothing: readonly string[] = []

/** The cookies of a request, and when they came. */
interface Brought {
  readonly cookies: Cookies
  readonly since: Milliseconds
}

type LivingSession = Extract<FoundSession, { readonly fresh: boolean }>

/** Reads the session of a Cookie header; undefined if there is no session cookie at all. */
export function createSessionCredential(
  sessions: Pick<Sessions, 'find'>,
  names: CookieNames,
  setCookies: SessionCookies,
  settle: SettleName,
  now: Now,
) {
  /** A cookie that lost the race for a renewal (`final`) must not delete the winner's. */
  const without = (
    { cookies, since }: Brought,
    warm: boolean,
    isFinal: boolean,
  ): CookieOutcome => ({
    identity: undefined,
    setCookies: isFinal ? nothing : () => setCookies.gone(cookies, since),
    signInCookies: isFinal ? deleteSession(names, cookies.sessionNames) : nothing,
    warm,
  })
  const within = (
    { cookies }: Brought,
    { session, fresh }: LivingSession,
    identity: Identity,
    warm: boolean,
  ): CookieOutcome => ({
    identity,
    setCookies: fresh ? () => setCookies.current(session, cookies) : nothing,
    signInCookies: nothing,
    warm,
  })
  /** Whose name went to somebody else meanwhile is as one whose session ended; sign-in says why. */
  const unnamed = (brought: Brought, error: unknown): CookieOutcome => {
    if (error instanceof GatewayError && error.status === 401) return without(brought, false, false)
    throw error
  }
  const outcomeOf = (
    brought: Brought,
    found: FoundSession,
    warm: boolean,
  ): CookieOutcome | Promise<CookieOutcome> => {
    if (found.session === undefined) return without(brought, warm, found.reason === 'final')
    try {
      const identity = withOwnName(found.session.identity, settle)
      if (!(identity instanceof Promise)) return within(brought, found, identity, warm)
      return identity.then(
        (late) => within(brought, found, late, false),
        (error: unknown) => unnamed(brought, error),
      )
    } catch (error) {
      return unnamed(brought, error)
    }
  }

  const read = rememberLast((header) => {
    const cookies = readCookies(header, names)
    return { cookies, hash: cookies.sessionNames.length === 0 ? '' : fingerprint(cookies.session) }
  })

  return (
    header: string,
    connection: object | undefined,
  ): CookieOutcome | Promise<CookieOutcome> | undefined => {
    const { cookies, hash } = read(header, connection)
    if (cookies.sessionNames.length === 0) return undefined
    const brought = { cookies, since: now() }
    const found = sessions.find(cookies.session, hash)
    return found instanceof Promise
      ? found.then((late) => outcomeOf(brought, late, false))
      : outcomeOf(brought, found, true)
  }
}
