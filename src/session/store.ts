/** Where a session's record is: sealed in the cookie itself, or behind a handle somewhere else. */
import { randomBytes } from 'node:crypto'
import type { Milliseconds } from '../core/clock.js'
import type { Profile } from '../core/identity.js'
import type { Sealer } from './seal.js'

/** A session as it is kept. Short names, since all of it travels in a cookie; instants in seconds. */
export interface SessionRecord {
  /** Fixed from sign-in to sign-out. */
  readonly id: string
  /** Grows with every change; of two copies the higher one counts. */
  readonly v: number
  /** What the ID token said of the person. */
  readonly profile: Profile
  /** Identifiers of the sign-in and its tokens, for sign-out. */
  readonly ids: readonly string[]
  /** When the person proved who they are (`auth_time`, else `iat`). */
  readonly auth: number
  /** When the session began. */
  readonly start: number
  /** When it was last known to be used. */
  readonly seen: number
  /** When the shorter-lived of its tokens ends. */
  readonly exp: number
  /** When to renew. */
  readonly renew: number
  readonly refresh?: string
  /** Kept only if an upstream wants it. */
  readonly access?: string
}

/** A record as the store found it. */
export interface StoredSession {
  readonly record: SessionRecord
  /** Whether it should be written again (sealed with an old secret). */
  readonly stale: boolean
}

/** Keeps records. Everything that asks beyond this process throws ERR_STORE_UNAVAILABLE if that can't be reached. */
export interface SessionStore {
  /** Whether what is written is seen by every replica, so that what is in memory is a copy only. */
  readonly shared: boolean
  /** For how long a copy in memory counts without a look into the store. */
  readonly copyLife: Milliseconds
  /** A session's id: as hard to guess as the store needs it. */
  createId(): string
  /**
   * Undefined if `value` opens nothing.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — the store can't be reached, which says nothing of the session
   */
  open(value: string): Promise<StoredSession | undefined>
  /**
   * Writes a record; answers the cookie's value, or undefined if a newer version is there or the session was removed.
   * With `insist` it tries for a while: what is written cannot be had again.
   */
  write(record: SessionRecord, insist: boolean): Promise<string | undefined>
  /** Forgets a session. */
  remove(record: SessionRecord): Promise<void>
  /** Forgets a session that can't be renewed, unless a newer version is there; `kept` by a store that forgets nothing. */
  withdraw(record: SessionRecord): Promise<'removed' | 'changed' | 'kept'>
  /**
   * Does `work` while no other replica changes the session. `changed`: one just did, or the session is gone.
   * `busy`: one is at it; who `waits` gets `changed` by and by instead.
   */
  alone<T>(
    record: SessionRecord,
    waits: boolean,
    work: () => Promise<T>,
  ): Promise<T | 'changed' | 'busy'>
  /** Begins a session once for all replicas: who comes with the same name within a minute gets the value that the first one got. */
  once(name: string, begin: () => Promise<string>): Promise<string>
}

/** Sessions that are their own cookie. Only what we sealed ourselves opens, so the shape needs no second proof. */
export function createCookieStore(sealer: Sealer): SessionStore {
  return {
    shared: false,
    copyLife: Number.POSITIVE_INFINITY,
    createId: () => randomBytes(16).toString('base64url'),
    async open(value) {
      const opened = await sealer.open(value)
      if (opened === undefined) return undefined
      return { record: opened.value as SessionRecord, stale: opened.stale }
    },
    write: (record) => sealer.seal(record),
    remove: () => Promise.resolve(),
    withdraw: () => Promise.resolve('kept'),
    alone: (_record, _waits, work) => work(),
    once: (_name, begin) => begin(),
  }
}
