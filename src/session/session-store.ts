/** Where the records of sessions are: what every store can do. */
import type { Milliseconds } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { SessionRecord } from './session-record.js'

/** Nobody is kept waiting for the exchange of somebody else any longer: it may be done soon, and who asks can ask again. */
export const maxWaiting: Milliseconds = 5000

/** What is said to who has waited for so long. */
export function busy(): GatewayError {
  return new GatewayError('ERR_SESSION_BUSY', { retryAfter: 2 })
}

/** A record as the store found it. */
export interface StoredSession {
  readonly record: SessionRecord
  /** Whether it should be written again, since it was sealed with an old secret. */
  readonly stale: boolean
}

/** What became of a record that was to be removed: a store that forgets nothing `kept` it. */
export type Removal = 'removed' | 'newer' | 'kept'

/** Keeps records. Everything that asks beyond this process throws ERR_STORE_UNAVAILABLE if that can't be reached. */
export interface SessionStore {
  /** Whether every replica sees what is written, so that what is in memory is a copy only. */
  readonly shared: boolean
  /** For how long a copy in memory counts without a look into the store. */
  readonly copyLife: Milliseconds
  /** A session's id: as hard to guess as the store needs it. */
  createId(): string
  /**
   * Undefined if `value` leads to no record.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — the store can't be reached, which says nothing of the session
   */
  read(value: string): Promise<StoredSession | undefined>
  /**
   * Writes a record.
   * @param retries whether to try for a while, since what is written cannot be had again
   * @returns the cookie's value; undefined if a newer version is there or the session was removed
   */
  write(record: SessionRecord, retries: boolean): Promise<string | undefined>
  /** Every record; none where nobody but browsers has them. One that changes meanwhile may come twice or not. */
  all(): AsyncIterable<SessionRecord>
  /** Removes a session, whatever its version. */
  remove(record: SessionRecord): Promise<void>
  /** Removes a session that can't be renewed, unless a newer version is there. */
  removeUnlessNewer(record: SessionRecord): Promise<Removal>
  /**
   * Does `work` while no other replica changes the session.
   * @param waits whether to wait while another replica is at it
   * @returns `changed`: another replica just changed or removed it. `busy`: one is at it, and nobody waited.
   */
  withLock<T>(
    record: SessionRecord,
    waits: boolean,
    work: () => Promise<T>,
  ): Promise<T | 'changed' | 'busy'>
  /** Begins a session once for all replicas: within a minute, the same name gets the value that the first one got. */
  beginOnce(name: string, begin: () => Promise<string>): Promise<string>
}
