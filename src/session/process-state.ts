/** What a process knows of sessions under every configuration: it outlives a reload, so that no token is exchanged twice. */
import { LRUCache } from 'lru-cache'
import type { Now } from '../core/clock.js'
import { SingleFlight } from '../core/single-flight.js'
import type { OpenSession } from './open-session.js'
import { MemoryRenewalGate } from './renewal-gate.js'
import type { RenewalGate } from './renewal-gate.js'
import { SeenPeople } from './seen-people.js'
import { SupersededCookies } from './superseded-cookies.js'

/** Sessions whose newest version is remembered: about 4 KB each. */
const maxNewest = 10_000

/** What one process knows. */
export interface ProcessState {
  /** By id: the newest version that this process wrote, for siblings with an older one. */
  readonly newest: LRUCache<string, OpenSession>
  /** By id: the change in flight. */
  readonly changes: SingleFlight<OpenSession>
  readonly superseded: SupersededCookies
  /** Whom a name meant. */
  readonly seen: SeenPeople
  /** Who may ask the token endpoint. */
  readonly gate: RenewalGate
}

/** Creates the state of a process that has just begun; its gate is its own unless replicas share one. */
export function createProcessState(
  now: Now,
  gate: RenewalGate = new MemoryRenewalGate(now),
): ProcessState {
  return {
    newest: new LRUCache({ max: maxNewest }),
    changes: new SingleFlight(),
    superseded: new SupersededCookies(now),
    seen: new SeenPeople(),
    gate,
  }
}
