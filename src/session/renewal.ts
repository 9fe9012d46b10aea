/** Renewals: one exchange of a session at a time, here and over replicas, whose result everybody shares (deploy/docs/sessions.md#renewal). */
import { GatewayError } from '../core/errors.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { Profile } from '../core/identity.js'
import type { SessionMemory } from './memory.js'
import type { Revocations } from './revocations.js'
import type { OpenSession, SessionCache } from './session-cache.js'
import type { SessionStore } from './store.js'

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

/** What renewals are built with; spans in milliseconds. */
export interface RenewalOptions {
  readonly store: SessionStore
  readonly memory: SessionMemory
  readonly revocations: Revocations
  readonly renew: Renew
  readonly now: Now
  readonly random: () => number
  readonly maxAge: Milliseconds
  readonly renewAt: number
  readonly keepAccessToken: boolean
  readonly onRenewal: (result: string, cause?: unknown) => void
}

/** A failed renewal is tried again after this, with jitter. */
const retryAfter: Milliseconds = 10_000
/** While another replica renews a session whose tokens still live, this one looks again after this. */
const lookAgainAfter: Milliseconds = 1000
/** Identifiers of single tokens that a session remembers. */
const maxTokenIds = 4
/** Identifiers of the sign-in itself that a session remembers; usually there are two, and they stay. */
const maxSignInIds = 8
/** The renewal is spread over this part of the tokens' life, so that a class does not renew in one second. */
const jitter = 0.05

/** Creates the renewals of the sessions on a shelf. */
export function createRenewal(cache: SessionCache, options: RenewalOptions) {
  const { store, revocations, now } = options
  const { running } = options.memory
  const seconds = () => Math.floor(now() / 1000)

  /** When tokens that end then should be renewed, in seconds. */
  const renewAtOf = (expiresAt: Milliseconds): number => {
    const part = options.renewAt + (options.random() - 0.5) * jitter
    return Math.floor((now() + (expiresAt - now()) * part) / 1000)
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
    const loaded = await cache.load(session.value)
    if (loaded === undefined) throw new GatewayError('ERR_SESSION_ENDED')
    return loaded
  }

  /** One change of a session at a time; those who come meanwhile get its result, also from before a reload. */
  const advance = async (
    session: OpenSession,
    work: (current: OpenSession) => Promise<OpenSession | undefined>,
    waits: boolean,
  ): Promise<OpenSession> => {
    const change = running.run(session.record.id, () =>
      changeAlone(cache.newestOf(session), work, waits),
    )
    const changed = cache.own(await change)
    if (changed === undefined) throw new GatewayError('ERR_SESSION_ENDED')
    return changed
  }

  /** The provider's last word: the session ends where a store can end it, and serves its tokens' life out elsewhere. */
  const giveUp = async (session: OpenSession): Promise<'removed' | 'changed' | 'kept'> => {
    const { record } = session
    const outcome = await store.withdraw(record)
    if (outcome === 'removed') {
      cache.forget(session)
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
      const next = await cache.keep(
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
    cache.keep({ ...session.record, v: session.record.v + 1, seen: seconds() })

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

  /** Renews now, for whoever asks; those who ask at the same time share one exchange. */
  const renewNow = async (session: OpenSession): Promise<OpenSession> => {
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
  }

  return {
    renewAtOf,
    canRenew,
    renewIfDue,
    renewNow,
    /** Writes down that a session is used; another replica that is at it does as well. */
    touch: (session: OpenSession): Promise<OpenSession> => advance(session, touch, false),
  }
}

/** Those of the sign-in and of its tokens (`jti`), the last few of each: a provider may change both each time. */
function joinIds(old: readonly string[], fresh: readonly string[]): readonly string[] {
  // A set keeps the place of what it has, and what came now should count as the latest.
  const all = [...new Set([...old.filter((id) => !fresh.includes(id)), ...fresh])]
  const own = all.filter((id) => id.startsWith('jti '))
  const signIn = all.filter((id) => !id.startsWith('jti '))
  return [...signIn.slice(-maxSignInIds), ...own.slice(-maxTokenIds)]
}

/** Whether the session is over, whoever ended it. */
export function isEnded(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'ERR_SESSION_ENDED'
}

/** A fault or an end that has nothing to do with the provider. */
function isOurs(error: unknown): boolean {
  return isEnded(error) || (error instanceof GatewayError && error.code === 'ERR_STORE_UNAVAILABLE')
}

/** The provider's final word, a new token that names somebody else, or one too large: never worth another try. */
function isFinal(error: GatewayError): boolean {
  // A key may be so new that it is asked for only after the cool-down.
  if (error.code === 'ERR_TOKEN_KEY_UNKNOWN') return false
  return error.status === 401 || error.code === 'ERR_SESSION_TOO_LARGE'
}
