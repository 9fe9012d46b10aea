/** What browsers gave up: an answer that comes late must not touch what its browser has by then (deploy/docs/sessions.md#renewal). */
import { LRUCache } from 'lru-cache'
import type { Milliseconds, Now } from '../core/clock.js'

/** Beyond it the longest unused is forgotten, and only the time limit on deletions is left. */
const maxRemembered = 10_000

/** Nothing is deleted by an answer that took longer: another answer can do it as well. */
const maxDeletion: Milliseconds = 1000

/** The cookies and sessions that browsers of this process gave up. */
export type Superseded = ReturnType<typeof createSuperseded>

/** Creates an empty memory; keys are hashes of cookies and ids of sessions, never a secret as it came. */
export function createSuperseded(now: Now) {
  const givenUpAt = new LRUCache<string, Milliseconds>({ max: maxRemembered })
  return {
    /** Notes that a sign-in came in its place. */
    add: (key: string): void => void givenUpAt.set(key, Number.POSITIVE_INFINITY),

    has: (key: string): boolean => givenUpAt.get(key) === Number.POSITIVE_INFINITY,

    /**
     * Whether an answer to a request of `since` may still delete the cookie with this key. Not if a sign-in replaced
     * it, nor if another answer deleted it meanwhile: a browser without it may have signed in unseen.
     */
    delete(key: string, since: Milliseconds): boolean {
      const at = givenUpAt.get(key) ?? Number.NEGATIVE_INFINITY
      if (at >= since || now() - since > maxDeletion) return false
      givenUpAt.set(key, now())
      return true
    },
  }
}
