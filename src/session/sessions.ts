/** The sessions of a gateway: begun at sign-in, found by the cookie's value, renewed when due, ended (README.md). */
import type { Milliseconds } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { fingerprint } from '../core/fingerprint.js'
import type { Profile } from '../core/identity.js'
import type { OpenSession } from './open-session.js'
import { Renewal, isEnded } from './renewal.js'
import type { RenewalOptions } from './renewal.js'
import { SessionCache } from './session-cache.js'
import type { SessionCacheOptions } from './session-cache.js'
import { wholeSecond } from './session-record.js'
import { SessionStates, isRenewable } from './session-state.js'
import type { SessionState, StateOptions } from './session-state.js'
import type { StoredSession } from './session-store.js'
import { kindOf } from './token-identifiers.js'
import type { TokenIdentifiers } from './token-identifiers.js'

/** What a fresh sign-in brings. */
export interface SignIn {
  readonly profile: Profile
  readonly identifiers: TokenIdentifiers
  /** When its attempt began ({@link Revocations.beginAttempt}). */
  readonly begunAt: Milliseconds
  readonly refreshToken: string | undefined
  readonly accessToken: string | undefined
  readonly expiresAt: Milliseconds
}

/** What sessions are built with. */
export interface SessionOptions extends SessionCacheOptions, RenewalOptions, StateOptions {}

/** What a cookie turned out to be. `fresh` says that the browser should get `session.value`. */
export type FoundSession =
  | { readonly session: OpenSession; readonly fresh: boolean }
  | { readonly session: undefined; readonly reason: 'unknown' | 'ended' | 'final' }

function sharesId({ record }: OpenSession, id: string): boolean {
  return record.tokenIds.includes(id)
}

/** Waits for all of it, whatever fails of it, and then fails as the first that did. */
async function allDone(...work: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(work)
  await Promise.all(work)
}

/** What {@link Sessions.find} would answer, had it done nothing. */
export interface LookedAt {
  readonly found: FoundSession
  /** What it would do besides: write down that the session is used, seal it anew, or have new tokens for it. */
  readonly would: 'nothing' | 'mark' | 'reseal' | 'renew'
  /** Whether the answer depends on what the provider says to that. */
  readonly isOpen: boolean
}

/** What the state of a session leads to: an answer, or something to be done first. */
type Verdict = FoundSession | { readonly todo: 'mark' | 'renew' }

/** States in which a session is good as it is. */
const settled: ReadonlySet<SessionState> = new Set<SessionState>(['live', 'waiting', 'final'])

/** The sessions of one configuration. */
export class Sessions {
  readonly #options: SessionOptions
  readonly #cache: SessionCache
  readonly #states: SessionStates
  readonly #renewal: Renewal

  constructor(options: SessionOptions) {
    this.#options = options
    this.#cache = new SessionCache(options)
    this.#states = new SessionStates(options)
    this.#renewal = new Renewal(this.#cache, options)
  }

  /** How many sessions are in memory. */
  get size(): number {
    return this.#cache.size
  }

  /**
   * Finds the session of a cookie's value, renewed if that is due. The usual answer comes without a promise: the session
   * is in memory, and there is nothing to do.
   * @param hash the value's fingerprint, where that is known already
   */
  find(value: string, hash = fingerprint(value)): FoundSession | Promise<FoundSession> {
    const caughtUp = this.#options.revocations.catchUp()
    return caughtUp === undefined
      ? this.#findKnown(value, hash)
      : caughtUp.then(() => this.#findKnown(value, hash))
  }

  /** The session of a cookie's value as it is, nothing judged or renewed: for whoever wants to end it. */
  async peek(value: string): Promise<OpenSession | undefined> {
    const known = this.#cache.find(value)
    const { shared } = this.#options.store
    const session = known === undefined || shared ? await this.#cache.load(value) : known
    return session === undefined ? undefined : this.#cache.newestOf(session)
  }

  /**
   * What {@link find} would answer to a cookie's value. Nothing is kept, written, renewed or asked of the provider.
   * @param toPrincipal as {@link SessionCacheOptions.toPrincipal}, for a session that is not open here
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE, and what {@link find} would throw for a session that waits
   */
  async look(value: string, toPrincipal: SessionOptions['toPrincipal']): Promise<LookedAt> {
    await this.#options.revocations.catchUp()
    const { session, isStale } = await this.#cache.look(value, toPrincipal)
    if (session === undefined) {
      const reason = isStale === undefined ? 'unknown' : 'ended'
      return { found: { session, reason }, would: 'nothing', isOpen: false }
    }
    const verdict = this.#judge(session)
    if (!('todo' in verdict)) {
      const would = isStale === true && verdict.session !== undefined ? 'reseal' : 'nothing'
      return { found: verdict, would, isOpen: false }
    }
    const isOpen = verdict.todo === 'renew' && this.#options.now() >= session.record.expiresAt
    return { found: { session, fresh: false }, would: verdict.todo, isOpen }
  }

  /** Whether a session that was found before is still good; it is left as it is. */
  isAlive(value: string): boolean {
    const known = this.#cache.find(value)
    if (known === undefined) return false
    const session = this.#cache.newestOf(known)
    if (this.#states.hasEnded(session)) return false
    return isRenewable(session) || this.#options.now() < session.record.expiresAt
  }

  /** What a browser that has `value` should get; undefined if nothing, or if it signed in anew meanwhile. */
  latest(session: OpenSession, value: string): OpenSession | undefined {
    const newest = this.#cache.newestOf(session)
    // Behind a handle a renewed session has the cookie of the old one, and its end is the same.
    if (newest.value === value) return undefined
    if (this.#options.state.superseded.has(newest.record.id)) return undefined
    return this.#states.hasEnded(newest) ? undefined : newest
  }

  /** Begins a session under a fresh id, and lets tokens count again that an earlier sign-out of the same kind refused. */
  async begin(signIn: SignIn): Promise<OpenSession> {
    const { store, now, keepAccessToken, revocations } = this.#options
    const { issuedAt, authenticatedAt = issuedAt } = signIn.identifiers
    const session = await this.#cache.save(
      {
        id: store.createId(),
        version: 1,
        profile: signIn.profile,
        tokenIds: signIn.identifiers.ids,
        authenticatedAt: wholeSecond(authenticatedAt),
        issuedAt: wholeSecond(issuedAt),
        begunAt: signIn.begunAt,
        startedAt: wholeSecond(now()),
        usedAt: wholeSecond(now()),
        expiresAt: wholeSecond(signIn.expiresAt),
        renewAt: this.#renewal.renewAtOf(signIn.expiresAt),
        refreshToken: signIn.refreshToken,
        accessToken: keepAccessToken ? signIn.accessToken : undefined,
      },
      false,
    )
    if (session === undefined) throw new GatewayError('ERR_STORE_UNAVAILABLE')
    await revocations.lift(session.identifiers, session.identity.principal.user)
    return session
  }

  /** Begins a session with what `prove` brings, once for each name: whoever comes again gets the same session. */
  async beginOnce(name: string, prove: () => Promise<SignIn>): Promise<OpenSession> {
    const value = await this.#options.store.beginOnce(
      name,
      async () => (await this.begin(await prove())).value,
    )
    const session = this.#cache.find(value) ?? (await this.#cache.load(value))
    if (session === undefined) throw new GatewayError('ERR_SESSION_ENDED')
    return session
  }

  /** Renews a session now; those who ask at the same time share one exchange. @throws as {@link Renewal.renewNow} */
  renewNow(session: OpenSession): Promise<OpenSession> {
    return this.#renewal.renewNow(session)
  }

  /**
   * Ends a session and every token of its sign-in.
   * @param at when the sign-out happened ({@link Revocations.endingNow}); by default now
   * @throws {@link GatewayError} ERR_REVOCATIONS_FULL — only what needs no place was done; ERR_STORE_UNAVAILABLE
   */
  async end(session: OpenSession, at?: Milliseconds): Promise<void> {
    const { revocations } = this.#options
    await allDone(this.remove(session), revocations.endSignIn(session.identifiers, at))
  }

  /** Ends a session by its id alone. */
  async remove(session: OpenSession): Promise<void> {
    const { revocations, store, maxAge } = this.#options
    const { record } = session
    const ended = revocations.endId(record.id, record.startedAt + maxAge)
    this.#cache.forget(session)
    await allDone(ended, store.remove(record))
  }

  /**
   * Ends the session of a browser that signed in anew, as `session`: by its id and its tokens' own, since both can be of
   * one session at the provider.
   * @param value the cookie of before
   * @param tell hears of a fault, such as a full list: then a copy of the cookie may work until its tokens end
   * @returns its refresh token, if that is of another session at the provider and so of no more use
   */
  async replace(
    value: string,
    session: OpenSession,
    tell: (fault: unknown) => void,
  ): Promise<string | undefined> {
    const { state, revocations, issuer } = this.#options
    const old = await this.peek(value).catch(() => undefined)
    if (old?.record.id === session.record.id) return undefined
    state.superseded.add(fingerprint(value))
    if (old === undefined) return undefined
    const { id, tokenIds, refreshToken } = old.record
    state.superseded.add(id)
    await allDone(this.remove(old), revocations.endTokens(issuer, tokenIds)).catch(tell)
    const shared = tokenIds.some((one) => kindOf(one) === 'sid' && sharesId(session, one))
    return shared ? undefined : refreshToken
  }

  /**
   * The sessions known here that are good by themselves, whatever may have happened to their person: with a shared store
   * all there are, else those in memory.
   */
  async *open(): AsyncGenerator<OpenSession> {
    const { store } = this.#options
    for await (const session of store.shared ? this.#storedSessions() : this.#cache.newest()) {
      const { identifiers, record } = session
      const { revocations } = this.#options
      if (this.#states.isOver(session) || revocations.isIdRevoked(record.id)) continue
      if (!revocations.hasSignInEnded(identifiers)) yield session
    }
  }

  /** As {@link SupersededCookies.mayDelete}, for the cookie with this value. */
  mayDelete(value: string, since: Milliseconds): boolean {
    return this.#options.state.superseded.mayDelete(fingerprint(value), since)
  }

  /** As {@link SupersededCookies.claimDeletion}, for the cookie with this value. */
  claimDeletion(value: string, since: Milliseconds): boolean {
    return this.#options.state.superseded.claimDeletion(fingerprint(value), since)
  }

  /** How long the browser should keep the cookie: what is left of the greatest age. */
  remainingLife({ record }: OpenSession): Milliseconds {
    const { maxAge, now } = this.#options
    return Math.max(1000, record.startedAt + maxAge - now())
  }

  async *#storedSessions(): AsyncGenerator<OpenSession> {
    for await (const record of this.#options.store.all()) {
      const session = this.#cache.openUnkept(record)
      if (session !== undefined) yield session
    }
  }

  #findKnown(value: string, hash: string): FoundSession | Promise<FoundSession> {
    const known = this.#cache.find(value, hash)
    if (known === undefined || !this.#cache.isFresh(known)) return this.#findStored(value)
    const session = this.#cache.newestOf(known)
    const isSettled = session === known && settled.has(this.#states.of(session))
    return isSettled ? { session, fresh: false } : this.#advance(known)
  }

  async #findStored(value: string): Promise<FoundSession> {
    const stored = await this.#cache.read(value)
    if (stored === undefined) {
      await this.#cache.accept(value, undefined)
      return { session: undefined, reason: 'unknown' }
    }
    const session = await this.#cache.accept(value, stored)
    if (session === undefined) return { session: undefined, reason: 'ended' }
    await this.#reseal(session, stored)
    return this.#advance(session)
  }

  /** A value that was sealed with an old secret is sealed anew with the first. */
  async #reseal(session: OpenSession, { stale }: StoredSession): Promise<void> {
    if (!stale || this.#states.hasEnded(session)) return
    if (this.#cache.newestOf(session) === session) await this.#renewal.mark(session)
  }

  /** Does what the state of a session asks for. */
  async #advance(presented: OpenSession): Promise<FoundSession> {
    try {
      const session = this.#cache.newestOf(presented)
      const next = await this.#next(session)
      return typeof next === 'string'
        ? { session: undefined, reason: next }
        : { session: next, fresh: next !== presented }
    } catch (error) {
      if (isEnded(error)) return { session: undefined, reason: 'ended' }
      throw error
    }
  }

  async #next(session: OpenSession): Promise<OpenSession | 'ended' | 'final'> {
    const verdict = this.#judge(session)
    if (!('todo' in verdict))
      return verdict.session ?? (verdict.reason === 'ended' ? 'ended' : 'final')
    if (verdict.todo === 'mark') return this.#renewal.mark(session)
    return (await this.#renewal.renewDue(session)) ?? 'final'
  }

  /** What the state of a session leads to. */
  #judge(session: OpenSession): Verdict {
    const state = this.#states.of(session)
    if (settled.has(state)) return { session, fresh: false }
    if (state === 'unmarked') return { todo: 'mark' }
    if (state === 'due') return { todo: 'renew' }
    if (state === 'held') throw this.#renewal.heldUp(session)
    return { session: undefined, reason: state === 'ended' ? 'ended' : 'final' }
  }
}
