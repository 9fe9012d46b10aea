/** Cookies that browsers gave up: an answer that comes late must not touch what its browser has by then. */
import { LRUCache } from 'lru-cache'
import type { Milliseconds, Now } from '../core/clock.js'

/** Beyond it the longest unused is forgotten, and only the time limit on deletions is left. */
const maxRemembered = 10_000

/** An answer that took longer deletes nothing: the next one can do it as well. */
const maxDeletionDelay: Milliseconds = 1000

/** The cookies and sessions that browsers of this process gave up. Keys are hashes and ids, never a secret as it came. */
export class SupersededCookies {
  readonly #now: Now
  /** Infinity: a sign-in took its place. */
  readonly #givenUpAt = new LRUCache<string, Milliseconds>({ max: maxRemembered })

  constructor(now: Now) {
    this.#now = now
  }

  /** Notes that a sign-in took its place. */
  add(key: string): void {
    this.#givenUpAt.set(key, Number.POSITIVE_INFINITY)
  }

  /** Whether a sign-in took its place. */
  has(key: string): boolean {
    return this.#givenUpAt.get(key) === Number.POSITIVE_INFINITY
  }

  /**
   * Claims the deletion of a cookie for the answer to a request that came at `since`. It may not delete a cookie that a
   * sign-in took the place of, nor one that another answer deleted meanwhile: a browser without it may have signed in unseen.
   */
  claimDeletion(key: string, since: Milliseconds): boolean {
    if (!this.mayDelete(key, since)) return false
    this.#givenUpAt.set(key, this.#now())
    return true
  }

  /** Whether {@link claimDeletion} would give it; nothing is claimed. */
  mayDelete(key: string, since: Milliseconds): boolean {
    const givenUpAt = this.#givenUpAt.peek(key) ?? Number.NEGATIVE_INFINITY
    return givenUpAt < since && this.#now() - since <= maxDeletionDelay
  }
}
