/** Sessions in Redis or Valkey, behind a handle of 256 bits that only the browser has. */
import { randomBytes } from 'node:crypto'
import { wait } from '../core/clock.js'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import { fingerprint } from '../core/fingerprint.js'
import type { RedisLink } from './redis-link.js'
import { acquireLock } from './redis-lock.js'
import type { Sealer } from './sealer.js'
import { readRecord, writeRecord } from './session-record.js'
import type { SessionRecord } from './session-record.js'
import { busy, maxWaiting } from './session-store.js'
import type { Removal, SessionStore, StoredSession } from './session-store.js'

/** What the store is built with. */
export interface RedisStoreOptions {
  readonly link: RedisLink
  readonly sealer: Sealer
  readonly idleTimeout: Milliseconds
  readonly maxAge: Milliseconds
  readonly now: Now
  readonly timers: Timers
}

/** What a key holds. */
type KeyKind = 'session' | 'lock' | 'begun' | 'beginning'

/** How often one who waits for another replica looks, at first and at last. */
const minPollDelay: Milliseconds = 40
const maxPollDelay: Milliseconds = 400
/** For so long a callback that is sent again gets the same session. */
const beginningLife: Milliseconds = 60_000
/** For so long a write is retried that can't be had again; its lock is kept alive meanwhile. */
const maxRetrying: Milliseconds = 20_000
const retryDelay: Milliseconds = 250

const handleForm = /^[A-Za-z0-9_-]{43}$/

/**
 * The store of replicas. A value is sealed as in a cookie and names its own handle: whoever can read Redis, or swap its
 * values, gets no session by it.
 */
export class RedisStore implements SessionStore {
  readonly shared = true
  readonly copyLife: Milliseconds = 5000
  readonly #options: RedisStoreOptions

  constructor(options: RedisStoreOptions) {
    this.#options = options
  }

  createId(): string {
    return randomBytes(32).toString('base64url')
  }

  async read(handle: string): Promise<StoredSession | undefined> {
    if (!handleForm.test(handle)) return undefined
    const { link, sealer } = this.#options
    const sealed = await link.ask((client) => client.hget(this.#key('session', handle), 'd'))
    const opened = sealed === null ? undefined : await sealer.open(sealed)
    if (opened === undefined) return undefined
    const record = readRecord(opened.value)
    return record.id === handle ? { record, stale: opened.stale } : undefined
  }

  async write(record: SessionRecord, retries: boolean): Promise<string | undefined> {
    const { timers } = this.#options
    const until = timers.monotonic() + (retries ? maxRetrying : 0)
    for (;;) {
      try {
        return (await this.#writeOnce(record)) ? record.id : undefined
      } catch (error) {
        if (timers.monotonic() >= until) throw error
        await wait(timers, retryDelay)
      }
    }
  }

  async *all(): AsyncGenerator<SessionRecord> {
    const { link, sealer } = this.#options
    for await (const key of link.keys(`${link.prefix}session:`)) {
      const sealed = await link.ask((client) => client.hget(key, 'd'))
      const opened = sealed === null ? undefined : await sealer.open(sealed)
      if (opened !== undefined) yield readRecord(opened.value)
    }
  }

  async remove(record: SessionRecord): Promise<void> {
    await this.#options.link.ask((client) => client.del(this.#key('session', record.id)))
  }

  async removeUnlessNewer({ id, version }: SessionRecord): Promise<Removal> {
    const removed = await this.#options.link.ask((client) =>
      client.removeSession(this.#key('session', id), version),
    )
    return removed === 1 ? 'removed' : 'newer'
  }

  async withLock<T>(
    { id, version }: SessionRecord,
    waits: boolean,
    work: () => Promise<T>,
  ): Promise<T | 'changed' | 'busy'> {
    const { link, timers } = this.#options
    const until = timers.monotonic() + maxWaiting
    let delay = minPollDelay
    for (;;) {
      const release = await acquireLock(link, timers, this.#key('lock', id))
      if (release !== undefined) {
        try {
          // Another replica may have finished between our look and our lock.
          return (await this.#versionOf(id)) === version ? await work() : 'changed'
        } finally {
          await release()
        }
      }
      if (!waits) return 'busy'
      if (timers.monotonic() > until) throw busy()
      await wait(timers, delay)
      if ((await this.#versionOf(id)) !== version) return 'changed'
      delay = Math.min(delay * 2, maxPollDelay)
    }
  }

  async beginOnce(name: string, begin: () => Promise<string>): Promise<string> {
    const { link, timers } = this.#options
    const until = timers.monotonic() + maxWaiting
    for (;;) {
      const earlier = await this.#begunAs(name)
      if (earlier !== undefined) return earlier
      const release = await acquireLock(link, timers, this.#key('beginning', name))
      if (release !== undefined) {
        try {
          return (await this.#begunAs(name)) ?? (await this.#beginAs(name, begin))
        } finally {
          await release()
        }
      }
      if (timers.monotonic() > until) throw busy()
      await wait(timers, minPollDelay)
    }
  }

  /** The handle itself is never stored: whoever reads the keys has no cookie. */
  #key(kind: KeyKind, handle: string): string {
    return `${this.#options.link.prefix}${kind}:${fingerprint(handle, 'base64url')}`
  }

  async #writeOnce(record: SessionRecord): Promise<boolean> {
    const { link, sealer } = this.#options
    const value = await sealer.seal(writeRecord(record))
    const { id, version } = record
    const command = version === 1 ? 'createSession' : 'replaceSession'
    const key = this.#key('session', id)
    const written = await link.ask((client) =>
      client[command](key, version, value, this.#lifeOf(record)),
    )
    return written === 1
  }

  /** Until whichever limit comes first. */
  #lifeOf({ startedAt, usedAt }: SessionRecord): Milliseconds {
    const { maxAge, idleTimeout, now } = this.#options
    const end = Math.min(startedAt + maxAge, usedAt + idleTimeout)
    return Math.max(1000, end - now())
  }

  async #versionOf(handle: string): Promise<number | undefined> {
    const { link } = this.#options
    const text = await link.ask((client) => client.hget(this.#key('session', handle), 'v'))
    return text === null ? undefined : Number(text)
  }

  /** The handle of the session that was begun under a name. */
  async #begunAs(name: string): Promise<string | undefined> {
    const { link, sealer } = this.#options
    const sealed = await link.ask((client) => client.get(this.#key('begun', name)))
    const opened = sealed === null ? undefined : await sealer.open(sealed)
    return (opened?.value as { handle: string } | undefined)?.handle
  }

  async #beginAs(name: string, begin: () => Promise<string>): Promise<string> {
    const { link, sealer } = this.#options
    const handle = await begin()
    const sealed = await sealer.seal({ handle })
    const key = this.#key('begun', name)
    await link.ask((client) => client.set(key, sealed, 'PX', beginningLife))
    return handle
  }
}
