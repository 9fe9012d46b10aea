/** Where a session's record is: sealed in the cookie itself, or behind a handle somewhere else. */
import type { Profile } from '../identity.js'
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

/** Keeps records. */
export interface SessionStore {
  /**
   * Undefined if `value` opens nothing.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — the store can't be reached, which says nothing of the session
   */
  open(value: string): Promise<StoredSession | undefined>
  /** Writes a record; answers the cookie's value. */
  write(record: SessionRecord): Promise<string>
  /** Forgets a session. */
  remove(record: SessionRecord): Promise<void>
}

/** Only what we sealed ourselves opens, so the shape needs no second proof. */
export function createCookieStore(sealer: Sealer): SessionStore {
  return {
    async open(value) {
      const opened = await sealer.open(value)
      if (opened === undefined) return undefined
      return { record: opened.value as SessionRecord, stale: opened.stale }
    },
    write: (record) => sealer.seal(record),
    remove: () => Promise.resolve(),
  }
}
