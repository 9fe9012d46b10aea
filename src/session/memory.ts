/** What a process knows of sessions whatever configuration serves: it outlives a reload, so that no exchange happens twice. */
import { LRUCache } from 'lru-cache'
import type { Now } from '../core/clock.js'
import { SingleFlight } from '../core/single-flight.js'
import { createSuperseded } from './superseded.js'
import type { Superseded } from './superseded.js'
import type { OpenSession } from './session-cache.js'

/** Sessions whose newest version is remembered: about 4 KB each. */
const maxNewest = 10_000

/** The memory of one process. */
export interface SessionMemory {
  /** By id: the newest version that this process wrote, for siblings with an older one. */
  readonly newest: LRUCache<string, OpenSession>
  /** By id: the change that runs; bounded by the requests that wait for it. */
  readonly running: SingleFlight<OpenSession>
  readonly superseded: Superseded
}

/** Creates an empty memory. */
export function createSessionMemory(now: Now): SessionMemory {
  return {
    newest: new LRUCache({ max: maxNewest }),
    running: new SingleFlight(),
    superseded: createSuperseded(now),
  }
}
