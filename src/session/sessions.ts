/** Sessions: opened once, found by hash from then on, renewed once for all who ask at the same time (design §7). */
import { createHash, hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../errors.js'
import type { Identity, Milliseconds, Now, Principal, Profile } from '../identity.js'
import { longestSession } from './cookies.js'
import type { Revocations, Traces } from './revocations.js'
import type { SessionRecord, SessionStore } from './store.js'

/** What an exchange of a refresh token gave, verified. */
export interface Renewed {
  /** Undefined if no ID token came: the old one stays. */
  readonly profile: Profile | undefined
  readonly ids: readonly string[]
  readonly refreshToken: string | undefined
  readonly accessToken: string | undefined
  /** When the shorter-lived of the new tokens ends. */
  readonly expiresAt: Milliseconds
}

/** Makes a new set of tokens out of a refresh token; rejects with a GatewayError. */
export type Renew = (refreshToken: string, subject: string) => Promise<Renewed>

/** What a fresh sign-in brings. */
export interface SignIn {
  readonly profile: Profile
  readonly traces: Traces
  readonly refreshToken: string | undefined
  readonly accessToken: string | undefined
  readonly expiresAt: Milliseconds
}

/** What sessions are built with; spans in milliseconds. */
export interface SessionOptions {
  readonly store: SessionStore
  readonly revocations: Revocations
  /** @throws {@link GatewayError} ERR_NAME_… — the configuration no longer lets that person in */
  readonly toPrincipal: (profile: Profile) => Principal
  readonly renew: Renew
  readonly now: Now
  readonly random: () => number
  readonly issuer: string
  readonly idleTimeout: Milliseconds
  readonly maxAge: Milliseconds
  readonly renewAt: number
  readonly keepAccessToken: boolean
  readonly onRenewal: (result: string, cause?: unknown) => void
}

/** A session that opened. */
export interface OpenSession {
  readonly record: SessionRecord
  /** The cookie's value. */
  readonly value: string
  readonly identity: Identity
  readonly traces: Traces
  /** Revocations were last checked at this generation. */
  checkedAt: number
  /** The provider's last word was no: serves until its tokens end. */
  final: boolean
  /** No attempt to renew before. */
  retryAt: Milliseconds
}

/** What a cookie turned out to be. `fresh` says that the browser should get `session.value`. */
export type Resolved =
  | { readonly session: OpenSession; readonly fresh: boolean }
  | { readonly session: undefined; readonly reason: 'unknown' | 'ended' | 'final' }

/** Open sessions kept in memory: about 4 KB each. Beyond it the least used must be opened again. */
const mostOpen = 10_000
/** A failed renewal is tried again after this, with jitter. */
const retryAfter: Milliseconds = 10_000
/** Identifiers of single tokens that a session remembers. */
const mostTokenIds = 4
/** Identifiers of the sign-in itself that a session remembers; usually there are two, and they stay. */
const mostSignInIds = 8
/** The renewal is spread over this part of the tokens' life, so that a class does not renew in one second. */
const jitter = 0.05

/** The sessions of one gateway. */
export type Sessions = ReturnType<typeof createSessions>

function fingerprint(value: string): string {
  return typeof hash === 'function'
    ? hash('sha256', value, 'base64')
    : createHash('sha256').update(value).digest('base64')
}

/** Creates the sessions over a store. */
export function createSessions(options: SessionOptions) {
  const { store, revocations, now } = options
  // Keyed by the hash of a value that opened: nothing a client makes up gets in.
  const byValue = new LRUCache<string, OpenSession>({ max: mostOpen })
  // The newest copy of each session that this process wrote, for siblings with an older one.
  const newest = new LRUCache<string, OpenSession>({ max: mostOpen })
  const running = new Map<string, Promise<OpenSession>>()
  const seconds = () => Math.floor(now() / 1000)

  const tracesOfRecord = (record: SessionRecord): Traces => ({
    issuer: options.issuer,
    ids: record.ids,
    subject: record.profile.subject,
    namesSignIn: true,
    since: record.auth * 1000,
  })

  const admit = (record: SessionRecord, value: string): OpenSession => {
    const session: OpenSession = {
      record,
      value,
      identity: {
        principal: options.toPrincipal(record.profile),
        via: 'session',
        // What no renewal can move any more is an end, too: the browser warns before it.
        expiresAt: Math.min(record.exp * 1000, record.start * 1000 + options.maxAge),
        accessToken: record.access,
      },
      traces: tracesOfRecord(record),
      checkedAt: -1,
      final: false,
      retryAt: 0,
    }
    byValue.set(fingerprint(value), session)
    return session
  }

  /** A name that the configuration refuses by now ends the session. */
  const tryAdmit = (record: SessionRecord, value: string): OpenSession | undefined => {
    try {
      return admit(record, value)
    } catch (error) {
      if (error instanceof GatewayError && error.status === 401) return undefined
      throw error
    }
  }

  const keep = async (record: SessionRecord): Promise<OpenSession> => {
    const value = await store.write(record)
    if (value.length > longestSession) throw new GatewayError('ERR_SESSION_TOO_LARGE')
    const session = admit(record, value)
    const known = newest.get(record.id)
    if (known === undefined || known.record.v < record.v) newest.set(record.id, session)
    return session
  }

  const renewAtOf = (expiresAt: Milliseconds): number => {
    const part = options.renewAt + (options.random() - 0.5) * jitter
    return Math.floor((now() + (expiresAt - now()) * part) / 1000)
  }

  const isRevoked = (session: OpenSession): boolean => {
    if (session.checkedAt === revocations.generation) return false
    const { user } = session.identity.principal
    if (revocations.isIdRevoked(session.record.id) || revocations.isRevoked(session.traces, user)) {
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

  /** One change of a session at a time; those who come meanwhile get its result. */
  const advance = (
    session: OpenSession,
    work: (current: OpenSession) => Promise<OpenSession>,
  ): Promise<OpenSession> => {
    const { id } = session.record
    let change = running.get(id)
    if (change === undefined) {
      change = work(newestOf(session)).finally(() => running.delete(id))
      running.set(id, change)
    }
    return change
  }

  const newestOf = (session: OpenSession): OpenSession => {
    const known = newest.get(session.record.id)
    return known !== undefined && known.record.v > session.record.v ? known : session
  }

  const exchange = async (session: OpenSession): Promise<OpenSession> => {
    const { record } = session
    try {
      const renewed = await options.renew(record.refresh ?? '', record.profile.subject)
      const { refresh: oldRefresh, access: _, ...rest } = record
      const refresh = renewed.refreshToken ?? oldRefresh
      const next = await keep({
        ...rest,
        v: record.v + 1,
        profile: renewed.profile ?? record.profile,
        ids: joinIds(record.ids, renewed.ids),
        seen: seconds(),
        exp: Math.floor(renewed.expiresAt / 1000),
        renew: renewAtOf(renewed.expiresAt),
        ...(refresh === undefined ? {} : { refresh }),
        ...(options.keepAccessToken && renewed.accessToken !== undefined
          ? { access: renewed.accessToken }
          : {}),
      })
      options.onRenewal('ok')
      return next
    } catch (error) {
      const final = error instanceof GatewayError && isFinal(error)
      options.onRenewal(final ? 'refused' : 'failed', error)
      session.final = final
      session.retryAt = now() + retryAfter * (1 + options.random())
      throw error
    }
  }

  const touch = (session: OpenSession): Promise<OpenSession> =>
    keep({ ...session.record, v: session.record.v + 1, seen: seconds() })

  const canRenew = (session: OpenSession): boolean =>
    session.record.refresh !== undefined && !session.final

  /** Renews if it must; a temporary fault leaves the session as it is while its tokens last. */
  const renewIfDue = async (session: OpenSession): Promise<OpenSession | undefined> => {
    const live = () => now() < session.record.exp * 1000
    if (!canRenew(session)) return live() ? session : undefined
    if (live() && now() < session.retryAt) return session
    try {
      return await advance(session, exchange)
    } catch (error) {
      if (live()) return session
      if (error instanceof GatewayError && isFinal(error)) return undefined
      throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause: error, retryAfter: 10 })
    }
  }

  const settle = async (presented: OpenSession): Promise<Resolved> => {
    const session = newestOf(presented)
    if (hasEnded(session)) return { session: undefined, reason: 'ended' }
    if (now() >= session.record.renew * 1000) {
      const renewed = await renewIfDue(session)
      if (renewed === undefined) return { session: undefined, reason: 'final' }
      return { session: renewed, fresh: renewed !== presented }
    }
    if (now() - session.record.seen * 1000 > options.idleTimeout / 10) {
      const touched = await advance(session, touch)
      return { session: touched, fresh: true }
    }
    return { session, fresh: session !== presented }
  }

  /** Whether nothing at all is to be done about a session: the warm way, without a promise. */
  const isSettled = (session: OpenSession): boolean => {
    const { record } = session
    const at = now()
    return (
      (at < record.renew * 1000 || (at < session.retryAt && at < record.exp * 1000)) &&
      at - record.seen * 1000 <= options.idleTimeout / 10 &&
      at < record.start * 1000 + options.maxAge &&
      newestOf(session) === session &&
      !isRevoked(session)
    )
  }

  return {
    /** Finds the session of a cookie's value: at once if it is known and nothing is due, else by and by. */
    resolve(value: string): Resolved | Promise<Resolved> {
      const known = byValue.get(fingerprint(value))
      if (known === undefined) {
        return store.open(value).then((stored): Resolved | Promise<Resolved> => {
          if (stored === undefined) return { session: undefined, reason: 'unknown' }
          // Those who came at the same time share what they learn of it.
          const session = byValue.get(fingerprint(value)) ?? tryAdmit(stored.record, value)
          if (session === undefined) return { session: undefined, reason: 'ended' }
          if (stored.stale && !hasEnded(session) && newestOf(session) === session) {
            return advance(session, touch).then((next) => ({ session: next, fresh: true }))
          }
          return settle(session)
        })
      }
      return isSettled(known) ? { session: known, fresh: false } : settle(known)
    },

    /** The session of a cookie's value as it is, nothing judged or renewed: for whoever wants to end it. */
    async peek(value: string): Promise<OpenSession | undefined> {
      const known = byValue.get(fingerprint(value))
      if (known !== undefined) return newestOf(known)
      const stored = await store.open(value)
      const session = stored === undefined ? undefined : tryAdmit(stored.record, value)
      return session === undefined ? undefined : newestOf(session)
    },

    /** Whether a session that was found before is still good, without touching it. */
    isAlive(value: string): boolean {
      const known = byValue.get(fingerprint(value))
      if (known === undefined) return false
      const session = newestOf(known)
      return !hasEnded(session) && (canRenew(session) || now() < session.record.exp * 1000)
    },

    /** Begins a session under a fresh id. */
    begin: (signIn: SignIn): Promise<OpenSession> =>
      keep({
        id: randomBytes(16).toString('base64url'),
        v: 1,
        profile: signIn.profile,
        ids: signIn.traces.ids,
        auth: Math.floor(signIn.traces.since / 1000),
        start: seconds(),
        seen: seconds(),
        exp: Math.floor(signIn.expiresAt / 1000),
        renew: renewAtOf(signIn.expiresAt),
        ...(signIn.refreshToken === undefined ? {} : { refresh: signIn.refreshToken }),
        ...(options.keepAccessToken && signIn.accessToken !== undefined
          ? { access: signIn.accessToken }
          : {}),
      }),

    /** Renews now, for whoever asks; those who ask at the same time share one exchange. */
    async renewNow(session: OpenSession): Promise<OpenSession> {
      if (!canRenew(session)) throw new GatewayError('ERR_SESSION_FINAL')
      try {
        return await advance(session, exchange)
      } catch (error) {
        if (error instanceof GatewayError && isFinal(error)) {
          throw new GatewayError('ERR_SESSION_FINAL', { cause: error })
        }
        throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause: error, retryAfter: 10 })
      }
    },

    /** Ends a session and every token of its sign-in; `life` is how long tokens can live. */
    async end(session: OpenSession, life: Milliseconds): Promise<void> {
      const { record } = session
      revocations.endId(record.id, record.start * 1000 + options.maxAge)
      revocations.endSignIn(session.traces, now() + life)
      newest.delete(record.id)
      await store.remove(record)
    },

    /** Seconds for which the browser should keep the cookie: what is left of the absolute limit. */
    cookieAge: (session: OpenSession): number =>
      Math.max(1, Math.floor((session.record.start * 1000 + options.maxAge - now()) / 1000)),

    /** How many sessions are in memory. */
    get size() {
      return byValue.size
    },
  }
}

/** Those of the sign-in and of its tokens (`jti`), the last few of each: a provider may change both each time. */
function joinIds(old: readonly string[], fresh: readonly string[]): readonly string[] {
  // A set keeps the place of what it has, and what came now should count as the latest.
  const all = [...new Set([...old.filter((id) => !fresh.includes(id)), ...fresh])]
  const own = all.filter((id) => id.startsWith('jti '))
  const signIn = all.filter((id) => !id.startsWith('jti '))
  return [...signIn.slice(-mostSignInIds), ...own.slice(-mostTokenIds)]
}

/** The provider's final word, a new token that names somebody else, or one too large: never worth another try. */
function isFinal(error: GatewayError): boolean {
  return error.status === 401 || error.code === 'ERR_SESSION_TOO_LARGE'
}
