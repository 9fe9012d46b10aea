/** Renewals: a session's refresh token is exchanged for new tokens, and a failure is told apart from a refusal. */
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { Profile } from '../core/identity.js'
import type { OpenSession } from './open-session.js'
import { evenIfFull } from './revocations.js'
import type { Revocations } from './revocations.js'
import type { SessionCache } from './session-cache.js'
import { SessionChanges } from './session-changes.js'
import type { ChangeOptions } from './session-changes.js'
import { wholeSecond } from './session-record.js'
import type { SessionRecord } from './session-record.js'
import { isRenewable } from './session-state.js'
import type { Removal } from './session-store.js'
import { joinIds } from './token-identifiers.js'
import { minWait } from './renewal-gate.js'
import type { Setback } from './renewal-gate.js'

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

/** What an exchange gave that can't be verified yet, since a key or the like is not to be had. */
export interface Unverified {
  readonly awaits: unknown
  /** Counts all the same: a provider that rotates takes no other one from now on. */
  readonly refreshToken: string | undefined
}

/** Makes a new set of tokens out of a refresh token; rejects with a GatewayError. */
export type Renew = (refreshToken: string, subject: string) => Promise<Renewed | Unverified>

/** What renewals are built with. */
export interface RenewalOptions extends ChangeOptions {
  readonly revocations: Revocations
  readonly renew: Renew
  readonly now: Now
  readonly random: () => number
  readonly maxAge: Milliseconds
  /** The part of the tokens' life after which they are renewed. */
  readonly renewAt: number
  readonly keepAccessToken: boolean
  readonly onRenewal: (result: string, cause?: unknown) => void
}

/** A session that has to wait asks so often whether it still must: somebody else may have been answered. */
const maxUnasked: Milliseconds = 1000
/** Renewals are spread over this part of the tokens' life, so that a class does not renew in one second. */
const jitter = 0.05

/** The renewals of the sessions in a cache. */
export class Renewal {
  readonly #cache: SessionCache
  readonly #options: RenewalOptions
  readonly #changes: SessionChanges

  constructor(cache: SessionCache, options: RenewalOptions) {
    this.#cache = cache
    this.#options = options
    this.#changes = new SessionChanges(cache, options)
  }

  /** When tokens with this end should be renewed. */
  renewAtOf(expiresAt: Milliseconds): Milliseconds {
    const { now, renewAt, random } = this.#options
    const part = renewAt + (random() - 0.5) * jitter
    return wholeSecond(now() + (expiresAt - now()) * part)
  }

  /** Writes down that a session is used; if another replica is at it, that does as well. */
  mark(session: OpenSession): Promise<OpenSession> {
    return this.#changes.make(session, (current) => this.#writeMark(current), false)
  }

  /**
   * Renews a session that is due. A temporary fault leaves it as it is while its tokens live.
   * @returns undefined if its tokens ended and there are no more to be had
   * @throws {@link GatewayError} ERR_SESSION_ENDED, ERR_STORE_UNAVAILABLE, ERR_PROVIDER_UNAVAILABLE
   */
  async renewDue(session: OpenSession): Promise<OpenSession | undefined> {
    const tokensLive = () => this.#options.now() < session.record.expiresAt
    try {
      // Nobody needs to wait for another replica while the tokens live.
      const next = await this.#exchangeOnce(session, !tokensLive())
      return this.#isStillDue(session, next) ? await this.#renewAgain(next) : next
    } catch (error) {
      if (isOurs(error)) throw error
      // A new refresh token may have been kept, though nothing else is new.
      if (tokensLive()) return this.#cache.newestOf(session)
      if (isFinal(error)) return undefined
      throw error
    }
  }

  /**
   * Renews a session now, for whoever asks; those who ask at the same time share one exchange.
   * @throws {@link GatewayError} ERR_SESSION_FINAL, and as {@link renewDue}
   */
  async renewNow(session: OpenSession): Promise<OpenSession> {
    if (!isRenewable(session)) throw new GatewayError('ERR_SESSION_FINAL')
    try {
      return await this.#exchangeOnce(session, true)
    } catch (error) {
      if (isOurs(error) || !isFinal(error)) throw error
      throw new GatewayError('ERR_SESSION_FINAL', { cause: error })
    }
  }

  #exchangeOnce(session: OpenSession, waits: boolean): Promise<OpenSession> {
    return this.#changes.make(session, (current) => this.#exchange(current), waits)
  }

  /** What another replica changed need not have been the tokens. */
  #isStillDue(session: OpenSession, next: OpenSession): boolean {
    const isNewer = next.record.version > session.record.version
    return isNewer && this.#options.now() >= next.record.expiresAt
  }

  #renewAgain(session: OpenSession): Promise<OpenSession | undefined> {
    return isRenewable(session) ? this.renewDue(session) : Promise.resolve(undefined)
  }

  #writeMark({ record }: OpenSession): Promise<OpenSession | undefined> {
    const usedAt = wholeSecond(this.#options.now())
    return this.#cache.save({ ...record, version: record.version + 1, usedAt }, false)
  }

  async #exchange(session: OpenSession): Promise<OpenSession | undefined> {
    const { renew, state } = this.#options
    const { id, refreshToken, profile } = session.record
    const wait = await state.gate.enter(id)
    if (wait > 0) throw this.#hold(session, wait, new Error('it is not tried again yet'))
    let renewed: Renewed | Unverified
    try {
      renewed = await renew(refreshToken ?? '', profile.subject)
    } catch (error) {
      return await this.#fail(session, error)
    }
    if ('awaits' in renewed) return await this.#await(session, renewed)
    await this.#answered(id)
    return await this.#finish(session, renewed)
  }

  async #finish(session: OpenSession, renewed: Renewed): Promise<OpenSession | undefined> {
    try {
      // A rotated refresh token that is not written is lost, and the session with it: so the write is retried.
      const next = await this.#cache.save(this.#nextRecord(session.record, renewed), true)
      this.#options.onRenewal('ok')
      return next
    } catch (error) {
      if (isFinal(error)) return await this.#refuse(session, error)
      this.#options.onRenewal('failed', error)
      throw error
    }
  }

  /** Keeps the new refresh token of an answer that can't be verified yet; all else stays as it was. */
  async #await(session: OpenSession, unverified: Unverified): Promise<undefined> {
    const { record } = session
    const refreshToken = unverified.refreshToken ?? record.refreshToken
    const isNew = refreshToken !== record.refreshToken
    const kept = isNew
      ? await this.#cache.save({ ...record, version: record.version + 1, refreshToken }, true)
      : session
    if (kept === undefined) {
      // Another replica has written a newer version, or ended the session.
      await this.#answered(record.id)
      return undefined
    }
    throw await this.#setBack(kept, unverified.awaits, 'unverified')
  }

  /** Whoever can't be told will find out by an exchange of their own. */
  async #answered(id: string): Promise<void> {
    await this.#options.state.gate.answered(id).catch(() => undefined)
  }

  #nextRecord(record: SessionRecord, renewed: Renewed): SessionRecord {
    const { now, keepAccessToken } = this.#options
    return {
      ...record,
      version: record.version + 1,
      profile: renewed.profile ?? record.profile,
      tokenIds: joinIds(record.tokenIds, renewed.ids),
      usedAt: wholeSecond(now()),
      expiresAt: wholeSecond(renewed.expiresAt),
      renewAt: this.renewAtOf(renewed.expiresAt),
      refreshToken: renewed.refreshToken ?? record.refreshToken,
      accessToken: keepAccessToken ? renewed.accessToken : undefined,
    }
  }

  async #fail(session: OpenSession, error: unknown): Promise<undefined> {
    if (!isFinal(error)) throw await this.#setBack(session, error, kindOf(error))
    await this.#answered(session.record.id)
    return await this.#refuse(session, error)
  }

  /** Makes a session wait for its next try; the error says for how long. */
  async #setBack(session: OpenSession, error: unknown, kind: Setback['kind']) {
    const { state, random, onRenewal } = this.#options
    onRenewal('failed', error)
    const asked = kind === 'busy' ? askedBy(error) : undefined
    const setback = { kind, asked, jitter: random() }
    const wait = await state.gate.failed(session.record.id, setback).catch(() => minWait)
    return this.#hold(session, wait, error)
  }

  /** The error for who can't be served until the next try. */
  heldUp(session: OpenSession): GatewayError {
    return unavailable(new Error('its renewal waits'), session.waitsUntil - this.#options.now())
  }

  #hold(session: OpenSession, wait: Milliseconds, cause: unknown): GatewayError {
    const at = this.#options.now()
    session.waitsUntil = at + wait
    session.retryAt = at + Math.min(wait, maxUnasked)
    return unavailable(cause, wait)
  }

  async #refuse(session: OpenSession, error: unknown): Promise<undefined> {
    this.#options.onRenewal('refused', error)
    session.final = true
    const removal = await this.#giveUp(session)
    if (removal === 'newer') return undefined
    throw removal === 'removed' ? new GatewayError('ERR_SESSION_ENDED', { cause: error }) : error
  }

  /** The provider's last word ends the session where the store can end it; elsewhere it serves until its tokens end. */
  async #giveUp(session: OpenSession): Promise<Removal> {
    const { store, revocations, maxAge } = this.#options
    const { record } = session
    const removal = await store.removeUnlessNewer(record)
    if (removal === 'removed') {
      this.#cache.forget(session)
      // The store has forgotten it already.
      await evenIfFull(revocations.endId(record.id, record.startedAt + maxAge))
    }
    return removal
  }
}

/** Whether the session is over, whoever ended it. */
export function isEnded(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'ERR_SESSION_ENDED'
}

/** Ends and faults that have nothing to do with the provider. */
const ours: ReadonlySet<string> = new Set([
  'ERR_SESSION_ENDED',
  'ERR_SESSION_BUSY',
  'ERR_STORE_UNAVAILABLE',
])

function isOurs(error: unknown): boolean {
  return error instanceof GatewayError && ours.has(error.code)
}

/** The provider's final word, a new token that names somebody else, or one too large: never worth another try. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return false
  return error.status === 401 || error.code === 'ERR_SESSION_TOO_LARGE'
}

function kindOf(error: unknown): Setback['kind'] {
  return (error instanceof GatewayError ? error.details.provider : undefined) ?? 'odd'
}

function askedBy(error: unknown): Milliseconds | undefined {
  const seconds = error instanceof GatewayError ? error.details.retryAfter : undefined
  return seconds === undefined ? undefined : seconds * 1000
}

function unavailable(cause: unknown, wait: Milliseconds): GatewayError {
  const retryAfter = Math.max(1, Math.ceil(wait / 1000))
  return new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause, retryAfter })
}
