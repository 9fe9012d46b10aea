/** What a process knows of sessions whatever configuration serves: it outlives a reload, so that no exchange happens twice. */
import { LRUCache } from 'lru-cache'
import type { Now } from '../identity.js'
import { createReplaced } from './replaced.js'
import type { Replaced } from './replaced.js'
import type { OpenSession } from './shelf.js'

/** Sessions whose newest version is remembered: about 4 KB each. */
const mostNewest = 10_000

/** The memory of one process. */
export interface SessionMemory {
  /** By id: the newest version that this process wrote, for siblings with an older one. */
  readonly newest: LRUCache<string, OpenSession>
  /** By id: the change that runs; bounded by the requests that wait for it. */
  readonly running: Map<string, Promise<OpenSession>>
  readonly replaced: Replaced
}

/** Creates an empty memory. */
export function createSessionMemory(now: Now): SessionMemory {
  return {
    newest: new LRUCache({ max: mostNewest }),
    running: new Map(),
    replaced: createReplaced(now),
  }
}
