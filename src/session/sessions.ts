/** Sessions: found by the cookie's value, judged, renewed when due, ended (deploy/docs/sessions.md). */
import { GatewayError } from '../core/errors.js'
import { fingerprint } from '../core/fingerprint.js'
import type { Milliseconds } from '../core/clock.js'
import type { Profile } from '../core/identity.js'
import { createRenewal, isEnded } from './renewal.js'
import type { RenewalOptions } from './renewal.js'
import type { TokenIdentifiers } from './revocations.js'
import { createSessionCache } from './session-cache.js'
import type { OpenSession, SessionCacheOptions } from './session-cache.js'

/** What a fresh sign-in brings. */
export interface SignIn {
  readonly profile: Profile
  readonly identifiers: TokenIdentifiers
  readonly refreshToken: string | undefined
  readonly accessToken: string | undefined
  readonly expiresAt: Milliseconds
}

/** What sessions are built with; spans in milliseconds. */
export interface SessionOptions extends SessionCacheOptions, RenewalOptions {
  readonly idleTimeout: Milliseconds
}

/** What a cookie turned out to be. `fresh` says that the browser should get `session.value`. */
export type Resolved =
  | { readonly session: OpenSession; readonly fresh: boolean }
  | { readonly session: undefined; readonly reason: 'unknown' | 'ended' | 'final' }

/** The sessions of one gateway. */
export type Sessions = ReturnType<typeof createSessions>

/** Creates the sessions over a store. */
export function createSessions(options: SessionOptions) {
  const { store, revocations, now } = options
  const cache = createSessionCache(options)
  const renewal = createRenewal(cache, options)
  const { superseded } = options.memory
  const seconds = () => Math.floor(now() / 1000)

  const isRevoked = (session: OpenSession): boolean => {
    if (session.checkedAt === revocations.generation) return false
    const { user } = session.identity.principal
    if (
      revocations.isIdRevoked(session.record.id) ||
      revocations.isRevoked(session.identifiers, user)
    ) {
      return true
    }
    session.checkedAt = revocations.generation
    return false
  }

  const hasEnded = (session: OpenSession): boolean => {
    const { record } = session
    const at = now()
    if (isRevoked(session)) return true
    if (at >= record.start * 1000 + options.maxAge) return true
    return at >= record.seen * 1000 + options.idleTimeout
  }

  const judge = async (presented: OpenSession): Promise<Resolved> => {
    const session = cache.newestOf(presented)
    if (hasEnded(session)) return { session: undefined, reason: 'ended' }
    if (now() >= session.record.renew * 1000) {
      const renewed = await renewal.renewIfDue(session)
      if (renewed === undefined) return { session: undefined, reason: 'final' }
      return { session: renewed, fresh: renewed !== presented }
    }
    if (now() - session.record.seen * 1000 > options.idleTimeout / 10) {
      const touched = await renewal.touch(session)
      return { session: touched, fresh: touched !== presented }
    }
    return { session, fresh: session !== presented }
  }

  const settle = (presented: OpenSession): Promise<Resolved> =>
    judge(presented).catch((error: unknown) => {
      if (isEnded(error)) return { session: undefined, reason: 'ended' }
      throw error
    })

  /** Whether nothing at all is to be done about a session: the warm way, without a promise. */
  const isSettled = (session: OpenSession): boolean => {
    const { record } = session
    const at = now()
    return (
      (at < record.renew * 1000 || (at < session.retryAt && at < record.exp * 1000)) &&
      at - record.seen * 1000 <= options.idleTimeout / 10 &&
      at < record.start * 1000 + options.maxAge &&
      at < session.readAt + store.copyLife &&
      cache.newestOf(session) === session &&
      !isRevoked(session)
    )
  }

  const open = async (value: string): Promise<Resolved> => {
    const stored = await cache.read(value)
    const session = await cache.take(value, stored)
    if (stored === undefined) return { session: undefined, reason: 'unknown' }
    if (session === undefined) return { session: undefined, reason: 'ended' }
    if (stored.stale && !hasEnded(session) && cache.newestOf(session) === session) {
      await renewal.touch(session)
    }
    return settle(session)
  }

  const find = (value: string): Resolved | Promise<Resolved> => {
    const known = cache.find(value)
    if (known === undefined || now() >= known.readAt + store.copyLife) return open(value)
    return isSettled(known) ? { session: known, fresh: false } : settle(known)
  }

  /** The session of a cookie's value as it is, nothing judged or renewed: for whoever wants to end it. */
  const peek = async (value: string): Promise<OpenSession | undefined> => {
    const known = cache.find(value)
    const session = known === undefined || store.shared ? await cache.load(value) : known
    return session === undefined ? undefined : cache.newestOf(session)
  }

  /** Begins a session under a fresh id. */
  const begin = async (signIn: SignIn): Promise<OpenSession> => {
    const session = await cache.keep({
      id: store.createId(),
      v: 1,
      profile: signIn.profile,
      ids: signIn.identifiers.ids,
      auth: Math.floor(signIn.identifiers.since / 1000),
      start: seconds(),
      seen: seconds(),
      exp: Math.floor(signIn.expiresAt / 1000),
      renew: renewal.renewAtOf(signIn.expiresAt),
      ...(signIn.refreshToken === undefined ? {} : { refresh: signIn.refreshToken }),
      ...(options.keepAccessToken && signIn.accessToken !== undefined
        ? { access: signIn.accessToken }
        : {}),
    })
    if (session === undefined) throw new GatewayError('ERR_STORE_UNAVAILABLE')
    return session
  }

  return {
    /** Finds the session of a cookie's value: at once if it is known and nothing is due, else by and by. */
    resolve(value: string): Resolved | Promise<Resolved> {
      const late = revocations.catchUp()
      return late === undefined ? find(value) : late.then(() => find(value))
    },

    peek,

    /** Whether a session that was found before is still good, without touching it. */
    isAlive(value: string): boolean {
      const known = cache.find(value)
      if (known === undefined) return false
      const session = cache.newestOf(known)
      return !hasEnded(session) && (renewal.canRenew(session) || now() < session.record.exp * 1000)
    },

    /** What a browser should get that has `value`; undefined if nothing, or if it signed in anew meanwhile. */
    latest(session: OpenSession, value: string): OpenSession | undefined {
      const newest = cache.newestOf(session)
      // Behind a handle a renewed session has the cookie of the old one, and its end is the same.
      if (newest.value === value || superseded.has(newest.record.id)) return undefined
      return hasEnded(newest) ? undefined : newest
    },

    /** Whether the answer to a request of `since` may delete the cookie that brought no session. */
    mayDelete: (value: string, since: Milliseconds): boolean =>
      superseded.delete(fingerprint(value), since),

    /** Notes that the browser which has `value` signed in anew. */
    async replace(value: string, by: OpenSession): Promise<void> {
      const old = await peek(value).catch(() => undefined)
      if (old?.record.id === by.record.id) return
      superseded.add(fingerprint(value))
      if (old !== undefined) superseded.add(old.record.id)
    },

    begin,
    renewNow: renewal.renewNow,

    /** Begins one out of what `prove` brings, once for each name: who comes again gets the same session. */
    async beginOnce(name: string, prove: () => Promise<SignIn>): Promise<OpenSession> {
      const value = await store.once(name, async () => (await begin(await prove())).value)
      const session = cache.find(value) ?? (await cache.load(value))
      if (session === undefined) throw new GatewayError('ERR_SESSION_ENDED')
      return session
    },

    /** Ends a session and every token of its sign-in; `life` is how long tokens can live. */
    async end(session: OpenSession, life: Milliseconds): Promise<void> {
      const { record } = session
      const ended = [
        revocations.endId(record.id, record.start * 1000 + options.maxAge),
        revocations.endSignIn(session.identifiers, now() + life),
      ]
      cache.forget(session)
      await Promise.all([...ended, store.remove(record)])
    },

    /** Seconds for which the browser should keep the cookie: what is left of the absolute limit. */
    cookieAge: (session: OpenSession): number =>
      Math.max(1, Math.floor((session.record.start * 1000 + options.maxAge - now()) / 1000)),

    /** How many sessions are in memory. */
    get size() {
      return cache.size
    },
  }
}
