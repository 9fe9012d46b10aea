/** Changes of a session: one at a time, in this process and over all replicas, and everybody shares the result. */
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { OpenSession } from './open-session.js'
import type { ProcessState } from './process-state.js'
import type { SessionCache } from './session-cache.js'
import type { SessionStore } from './session-store.js'

/** What changes are made with. */
export interface ChangeOptions {
  readonly store: SessionStore
  readonly state: ProcessState
  readonly now: Now
}

/** Makes the next version of a session; undefined if another replica was first. */
export type Change = (current: OpenSession) => Promise<OpenSession | undefined>

/** While another replica renews a session whose tokens still live, this one looks again after this. */
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
   * @throws {@link GatewayError} ERR_SESSION_ENDED — it is over, here or at another replica
   */
  async make(session: OpenSession, change: Change, waits: boolean): Promise<OpenSession> {
    const changed = await this.#options.state.changes.run(session.record.id, () =>
      this.#makeLocked(this.#cache.newestOf(session), change, waits),
    )
    const local = this.#cache.localize(changed)
    if (local === undefined) throw new GatewayError('ERR_SESSION_ENDED')
    return local
  }

  /** What another replica changed is taken over. */
  async #makeLocked(session: OpenSession, change: Change, waits: boolean): Promise<OpenSession> {
    const { store, now } = this.#options
    const changed = await store.withLock(session.record, waits, () => change(session))
    if (changed === 'busy') {
      // Once its tokens have ended it is worth waiting for.
      session.retryAt = Math.min(now() + lookAgainAfter, session.record.expiresAt)
      return session
    }
    if (changed !== 'changed' && changed !== undefined) return changed
    const loaded = await this.#cache.load(session.value)
    if (loaded === undefined) throw new GatewayError('ERR_SESSION_ENDED')
    return loaded
  }
}
