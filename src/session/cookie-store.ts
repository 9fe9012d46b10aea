/** Sessions that are their own cookie: nothing is kept here, so nothing can be locked, removed or lost here. */
import { randomBytes } from 'node:crypto'
import type { Sealer } from './sealer.js'
import { readRecord, writeRecord } from './session-record.js'
import type { SessionRecord } from './session-record.js'
import type { Removal, SessionStore, StoredSession } from './session-store.js'

/** The store of one process without Redis. */
export class CookieStore implements SessionStore {
  readonly shared = false
  readonly copyLife = Number.POSITIVE_INFINITY
  readonly #sealer: Sealer

  constructor(sealer: Sealer) {
    this.#sealer = sealer
  }

  createId(): string {
    return randomBytes(16).toString('base64url')
  }

  async read(value: string): Promise<StoredSession | undefined> {
    const opened = await this.#sealer.open(value)
    if (opened === undefined) return undefined
    return { record: readRecord(opened.value), stale: opened.stale }
  }

  write(record: SessionRecord): Promise<string> {
    return this.#sealer.seal(writeRecord(record))
  }

  async *all(): AsyncGenerator<never> {
    // They are in browsers only.
  }

  remove(): Promise<void> {
    return Promise.resolve()
  }

  removeUnlessNewer(): Promise<Removal> {
    return Promise.resolve('kept')
  }

  withLock<T>(_record: SessionRecord, _waits: boolean, work: () => Promise<T>): Promise<T> {
    return work()
  }

  beginOnce(_name: string, begin: () => Promise<string>): Promise<string> {
    return begin()
  }
}
