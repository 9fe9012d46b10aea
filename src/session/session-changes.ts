/** Changes of a session: one at a time, in this process and over all replicas, and everybody shares the result. */
import { within } from '../core/clock.js'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { OpenSession } from './open-session.js'
import type { ProcessState } from './process-state.js'
import type { SessionCache } from './session-cache.js'
import { busy, maxWaiting } from './session-store.js'
import type { SessionStore } from './session-store.js'

/** What changes are made with. */
export interface ChangeOptions {
  readonly store: SessionStore
  readonly state: ProcessState
  readonly now: Now
  readonly timers: Timers
}

/** Makes the next version of a session; undefined if another replica was first. */
export type Change = (current: OpenSession) => Promise<OpenSession | undefined>

/** While somebody else renews a session whose tokens still live, it is looked at again after this. */
const lookAgainAfter: Milliseconds = 1000

/** The changes of the sessions in a cache. */
export class SessionChanges {
  readonly #cache: SessionCache
  readonly #options: ChangeOptions

  constructor(cache: SessionCache, options: ChangeOptions) {
    this.#cache = cache
    this.#options = options
  }

  /**
   * Changes a session. Whoever comes while a change is in flight gets its result, also one from before a reload.
   * @param waits whether to wait while another replica is at it; else the session stays as it is for now
   * @throws {@link GatewayError} ERR_SESSION_ENDED — it is over, here or at another replica; ERR_SESSION_BUSY — somebody
   *   else has been at it for {@link maxWaiting}
   */
  async make(session: OpenSession, change: Change, waits: boolean): Promise<OpenSession> {
    const { changes } = this.#options.state
    const { id } = session.record
    const running = changes.current(id)
    const changed = await (running === undefined
      ? changes.run(id, () => this.#makeLocked(this.#cache.newestOf(session), change, waits))
      : this.#join(running, session, waits))
    const local = this.#cache.localize(changed)
    if (local === undefined) throw new GatewayError('ERR_SESSION_ENDED')
    return local
  }

  /** Waits for what a sibling has begun. */
  async #join(
    running: Promise<OpenSession>,
    session: OpenSession,
    waits: boolean,
  ): Promise<OpenSession> {
    const { timers, now } = this.#options
    const changed = await within(timers, running, maxWaiting)
    if (changed !== undefined) return changed
    if (waits || now() >= session.record.expiresAt) throw busy()
    return this.#leave(session)
  }

  /** It stays as it is for now. Once its tokens have ended it is worth waiting for. */
  #leave(session: OpenSession): OpenSession {
    session.retryAt = Math.min(this.#options.now() + lookAgainAfter, session.record.expiresAt)
    return session
  }

  /** What another replica changed is taken over. */
  async #makeLocked(session: OpenSession, change: Change, waits: boolean): Promise<OpenSession> {
    const { store } = this.#options
    const changed = await store.withLock(session.record, waits, () => change(session))
    if (changed === 'busy') return this.#leave(session)
    if (changed !== 'changed' && changed !== undefined) return changed
    const loaded = await this.#cache.load(session.value)
    if (loaded === undefined) throw new GatewayError('ERR_SESSION_ENDED')
    return loaded
  }
}
