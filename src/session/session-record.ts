/** A session as it is kept, and the one place where its short written form is read and made. */
import type { Milliseconds } from '../core/clock.js'
import type { Profile } from '../core/identity.js'

/** A session as it is kept. Its instants are whole seconds unless they say otherwise, since it is written so. */
export interface SessionRecord {
  /** Fixed from sign-in to sign-out. */
  readonly id: string
  /** Grows with every change; of two copies the higher one counts. */
  readonly version: number
  /** What the ID token said of the person. */
  readonly profile: Profile
  /** Identifiers of the sign-in and its tokens, for sign-out. */
  readonly tokenIds: readonly string[]
  /** When the person proved who they are (`auth_time`, else `iat`): release 0.1 judges a session by it. */
  readonly authenticatedAt: Milliseconds
  /** `iat` of the first ID token, by the provider's clock. */
  readonly issuedAt: Milliseconds
  /** When the sign-in attempt began, to the millisecond. */
  readonly begunAt: Milliseconds
  readonly startedAt: Milliseconds
  /** When it was last known to be used. */
  readonly usedAt: Milliseconds
  /** When the shorter-lived of its tokens ends. */
  readonly expiresAt: Milliseconds
  /** When to renew. */
  readonly renewAt: Milliseconds
  readonly refreshToken: string | undefined
  /** Kept only if an upstream wants it. */
  readonly accessToken: string | undefined
}

/**
 * The form in cookies and in Redis: short names, since all of it travels in a cookie, and seconds.
 * Earlier releases wrote the same, and a process of theirs may run beside this one: no name here may change its meaning.
 */
interface WrittenRecord {
  readonly id: string
  readonly v: number
  readonly profile: Profile
  readonly ids: readonly string[]
  readonly auth: number
  readonly start: number
  readonly seen: number
  readonly exp: number
  readonly renew: number
  readonly refresh?: string
  readonly access?: string
  /** How long before `start` the attempt began, in milliseconds. Release 0.1 leaves it out: then it counts as 0. */
  readonly ago?: number
  /** Seconds from `start` to `iat` of the first ID token. Absent, as in release 0.1: it is taken to be `auth`. */
  readonly iat?: number
}

/** The instant without its fraction of a second, which no record can hold. */
export function wholeSecond(at: Milliseconds): Milliseconds {
  return Math.floor(at / 1000) * 1000
}

function toSeconds(at: Milliseconds): number {
  return Math.floor(at / 1000)
}

/** The written form of a record. */
export function writeRecord(record: SessionRecord): unknown {
  const { refreshToken, accessToken, begunAt, startedAt, issuedAt, authenticatedAt } = record
  const written: WrittenRecord = {
    id: record.id,
    v: record.version,
    profile: record.profile,
    ids: record.tokenIds,
    auth: toSeconds(record.authenticatedAt),
    start: toSeconds(record.startedAt),
    seen: toSeconds(record.usedAt),
    exp: toSeconds(record.expiresAt),
    renew: toSeconds(record.renewAt),
    ...(refreshToken === undefined ? {} : { refresh: refreshToken }),
    ...(accessToken === undefined ? {} : { access: accessToken }),
    ...(begunAt === startedAt ? {} : { ago: startedAt - begunAt }),
    ...(issuedAt === authenticatedAt ? {} : { iat: toSeconds(issuedAt) - toSeconds(startedAt) }),
  }
  return written
}

/** The record of a written form. Only what we sealed ourselves comes here, so its shape needs no second proof. */
export function readRecord(value: unknown): SessionRecord {
  const written = value as WrittenRecord
  const { ago = 0, iat } = written
  return {
    id: written.id,
    version: written.v,
    profile: written.profile,
    tokenIds: written.ids,
    authenticatedAt: written.auth * 1000,
    issuedAt: (iat === undefined ? written.auth : written.start + iat) * 1000,
    begunAt: written.start * 1000 - ago,
    startedAt: written.start * 1000,
    usedAt: written.seen * 1000,
    expiresAt: written.exp * 1000,
    renewAt: written.renew * 1000,
    refreshToken: written.refresh,
    accessToken: written.access,
  }
}
