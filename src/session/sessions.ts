/** Sessions: opened once, found by hash from then on, renewed once for all who ask at the same time (design §7). */
import { createHash, hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../errors.js'
import type { Identity, Milliseconds, Now, Principal, Profile } from '../identity.js'
import { longestSession } from './cookies.js'
import type { Revocations, Traces } from './revocations.js'
import type { SessionRecord, SessionStore, StoredSession } from './store.js'

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
  /** When the store was last asked for it. */
  readAt: Milliseconds
}

/** What a cookie turned out to be. `fresh` says that the browser should get `session.value`. */
export type Resolved =
  | { readonly session: OpenSession; readonly fresh: boolean }
  | { readonly session: undefined; readonly reason: 'unknown' | 'ended' | 'final' }

/** Open sessions kept in memory: about 4 KB each. Beyond it the least used must be opened again. */
const mostOpen = 10_000
/** A failed renewal is tried again after this, with jitter. */
const retryAfter: Milliseconds = 10_000
/** While another replica renews a session whose tokens still live, this one looks again after this. */
const lookAgainAfter: Milliseconds = 1000
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
  const reading = new Map<string, Promise<StoredSession | undefined>>()
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
      readAt: now(),
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

  const remember = (session: OpenSession): void => {
    const known = newest.get(session.record.id)
    if (known === undefined || known.record.v < session.record.v) {
      newest.set(session.record.id, session)
    }
  }

  /** Writes the next version; undefined if another replica's came first, or the session was ended meanwhile. */
  const keep = async (record: SessionRecord, insist = false): Promise<OpenSession | undefined> => {
    const value = await store.write(record, insist).catch((error: unknown) => {
      // What can't be had again is remembered at least here, and written at the next chance. (Only a store
      // behind handles can fail, and the id is the handle.)
      if (insist) remember(admit(record, record.id))
      throw error
    })
    if (value === undefined) return undefined
    if (value.length > longestSession) throw new GatewayError('ERR_SESSION_TOO_LARGE')
    const session = admit(record, value)
    remember(session)
    return session
  }

  const forget = ({ record, value }: OpenSession): void => {
    byValue.delete(fingerprint(value))
    newest.delete(record.id)
  }

  /** One look into the store at a time for each value. */
  const read = (value: string): Promise<StoredSession | undefined> => {
    const key = fingerprint(value)
    let look = reading.get(key)
    if (look === undefined) {
      look = store.open(value).finally(() => reading.delete(key))
      reading.set(key, look)
    }
    return look
  }

  /** The session as the store has it now; undefined if it has none. */
  const load = async (value: string): Promise<OpenSession | undefined> =>
    take(value, await read(value))

  const take = async (
    value: string,
    stored: StoredSession | undefined,
  ): Promise<OpenSession | undefined> => {
    const known = byValue.get(fingerprint(value))
    if (stored === undefined) {
      if (known !== undefined && store.shared) forget(known)
      return undefined
    }
    // Those who came at the same time share what they learn of it.
    if (known === undefined || known.record.v < stored.record.v) {
      return tryAdmit(stored.record, value)
    }
    // The store lost what was written here last (a failover does that).
    if (known.record.v > stored.record.v && store.shared) await store.write(known.record, false)
    known.readAt = now()
    return known
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

  /** A change that no other replica makes at the same time; one that was made elsewhere is taken over. */
  const changeAlone = async (
    session: OpenSession,
    work: (current: OpenSession) => Promise<OpenSession | undefined>,
    waits: boolean,
  ): Promise<OpenSession> => {
    const changed = await store.alone(session.record, waits, () => work(session))
    if (changed === 'busy') {
      session.retryAt = now() + lookAgainAfter
      return session
    }
    if (changed !== 'changed' && changed !== undefined) return changed
    const loaded = await load(session.value)
    if (loaded === undefined) throw new GatewayError('ERR_SESSION_ENDED')
    return loaded
  }

  /** One change of a session at a time; those who come meanwhile get its result. */
  const advance = (
    session: OpenSession,
    work: (current: OpenSession) => Promise<OpenSession | undefined>,
    waits: boolean,
  ): Promise<OpenSession> => {
    const { id } = session.record
    let change = running.get(id)
    if (change === undefined) {
      change = changeAlone(newestOf(session), work, waits).finally(() => running.delete(id))
      running.set(id, change)
    }
    return change
  }

  const newestOf = (session: OpenSession): OpenSession => {
    const known = newest.get(session.record.id)
    return known !== undefined && known.record.v > session.record.v ? known : session
  }

  /** The provider's last word: the session ends where a store can end it, and serves its tokens' life out elsewhere. */
  const giveUp = async (session: OpenSession): Promise<'removed' | 'changed' | 'kept'> => {
    const { record } = session
    const outcome = await store.withdraw(record)
    if (outcome === 'removed') {
      forget(session)
      await revocations.endId(record.id, record.start * 1000 + options.maxAge)
    }
    return outcome
  }

  const exchange = async (session: OpenSession): Promise<OpenSession | undefined> => {
    const { record } = session
    try {
      const renewed = await options.renew(record.refresh ?? '', record.profile.subject)
      const { refresh: oldRefresh, access: _, ...rest } = record
      const refresh = renewed.refreshToken ?? oldRefresh
      const next = await keep(
        {
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
        },
        true,
      )
      options.onRenewal('ok')
      return next
    } catch (error) {
      const final = error instanceof GatewayError && isFinal(error)
      options.onRenewal(final ? 'refused' : 'failed', error)
      session.final = final
      session.retryAt = now() + retryAfter * (1 + options.random())
      const outcome = final ? await giveUp(session) : 'kept'
      if (outcome === 'changed') return undefined
      throw outcome === 'removed' ? new GatewayError('ERR_SESSION_ENDED', { cause: error }) : error
    }
  }

  const touch = (session: OpenSession): Promise<OpenSession | undefined> =>
    keep({ ...session.record, v: session.record.v + 1, seen: seconds() })

  const canRenew = (session: OpenSession): boolean =>
    session.record.refresh !== undefined && !session.final

  /**
   * Renews if it must; a temporary fault leaves the session as it is while its tokens last. Undefined: no more to be had.
   * @throws {@link GatewayError} ERR_SESSION_ENDED, ERR_STORE_UNAVAILABLE, ERR_PROVIDER_UNAVAILABLE
   */
  const renewIfDue = async (session: OpenSession): Promise<OpenSession | undefined> => {
    const live = () => now() < session.record.exp * 1000
    if (!canRenew(session)) return live() ? session : undefined
    if (live() && now() < session.retryAt) return session
    try {
      // Who has tokens that live need not wait for another replica.
      const next = await advance(session, exchange, !live())
      // What another replica changed need not have been the tokens.
      const isStillDue = next.record.v > session.record.v && now() >= next.record.exp * 1000
      return isStillDue ? await renewIfDue(next) : next
    } catch (error) {
      if (isOurs(error)) throw error
      if (live()) return session
      if (error instanceof GatewayError && isFinal(error)) return undefined
      throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause: error, retryAfter: 10 })
    }
  }

  const judge = async (presented: OpenSession): Promise<Resolved> => {
    const session = newestOf(presented)
    if (hasEnded(session)) return { session: undefined, reason: 'ended' }
    if (now() >= session.record.renew * 1000) {
      const renewed = await renewIfDue(session)
      if (renewed === undefined) return { session: undefined, reason: 'final' }
      return { session: renewed, fresh: renewed !== presented }
    }
    if (now() - session.record.seen * 1000 > options.idleTimeout / 10) {
      const touched = await advance(session, touch, false)
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
      newestOf(session) === session &&
      !isRevoked(session)
    )
  }

  const open = async (value: string): Promise<Resolved> => {
    const stored = await read(value)
    const session = await take(value, stored)
    if (stored === undefined) return { session: undefined, reason: 'unknown' }
    if (session === undefined) return { session: undefined, reason: 'ended' }
    if (stored.stale && !hasEnded(session) && newestOf(session) === session) {
      await advance(session, touch, false)
    }
    return settle(session)
  }

  const find = (value: string): Resolved | Promise<Resolved> => {
    const known = byValue.get(fingerprint(value))
    if (known === undefined || now() >= known.readAt + store.copyLife) return open(value)
    return isSettled(known) ? { session: known, fresh: false } : settle(known)
  }

  /** Begins a session under a fresh id. */
  const begin = async (signIn: SignIn): Promise<OpenSession> => {
    const session = await keep({
      id: store.createId(),
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

    /** The session of a cookie's value as it is, nothing judged or renewed: for whoever wants to end it. */
    async peek(value: string): Promise<OpenSession | undefined> {
      const known = byValue.get(fingerprint(value))
      const session = known === undefined || store.shared ? await load(value) : known
      return session === undefined ? undefined : newestOf(session)
    },

    /** Whether a session that was found before is still good, without touching it. */
    isAlive(value: string): boolean {
      const known = byValue.get(fingerprint(value))
      if (known === undefined) return false
      const session = newestOf(known)
      return !hasEnded(session) && (canRenew(session) || now() < session.record.exp * 1000)
    },

    begin,

    /** Begins one out of what `prove` brings, once for each name: who comes again gets the same session. */
    async beginOnce(name: string, prove: () => Promise<SignIn>): Promise<OpenSession> {
      const value = await store.once(name, async () => (await begin(await prove())).value)
      const session = byValue.get(fingerprint(value)) ?? (await load(value))
      if (session === undefined) throw new GatewayError('ERR_SESSION_ENDED')
      return session
    },

    /** Renews now, for whoever asks; those who ask at the same time share one exchange. */
    async renewNow(session: OpenSession): Promise<OpenSession> {
      if (!canRenew(session)) throw new GatewayError('ERR_SESSION_FINAL')
      try {
        return await advance(session, exchange, true)
      } catch (error) {
        if (isOurs(error)) throw error
        if (error instanceof GatewayError && isFinal(error)) {
          throw new GatewayError('ERR_SESSION_FINAL', { cause: error })
        }
        throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause: error, retryAfter: 10 })
      }
    },

    /** Ends a session and every token of its sign-in; `life` is how long tokens can live. */
    async end(session: OpenSession, life: Milliseconds): Promise<void> {
      const { record } = session
      const ended = [
        revocations.endId(record.id, record.start * 1000 + options.maxAge),
        revocations.endSignIn(session.traces, now() + life),
      ]
      forget(session)
      await store.remove(record)
      await Promise.all(ended)
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

function isEnded(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'ERR_SESSION_ENDED'
}

/** A fault or an end that has nothing to do with the provider. */
function isOurs(error: unknown): boolean {
  return isEnded(error) || (error instanceof GatewayError && error.code === 'ERR_STORE_UNAVAILABLE')
}

/** The provider's final word, a new token that names somebody else, or one too large: never worth another try. */
function isFinal(error: GatewayError): boolean {
  return error.status === 401 || error.code === 'ERR_SESSION_TOO_LARGE'
}
