/** A session as requests use it: its record, opened, with what this process knows of it besides. */
import type { Milliseconds } from '../core/clock.js'
import type { Identity } from '../core/identity.js'
import type { SessionRecord } from './session-record.js'
import type { SessionIdentifiers } from './token-identifiers.js'

/** A session that opened. */
export interface OpenSession {
  readonly record: SessionRecord
  /** The cookie's value. */
  readonly value: string
  readonly identity: Identity
  readonly identifiers: SessionIdentifiers
  /** The generation of revocations that it was last checked against. */
  checkedGeneration: number
  /** The provider's last word was no: it serves until its tokens end. */
  final: boolean
  /** No attempt to renew before; then it is asked for again whether there may be one. */
  retryAt: Milliseconds
  /** When there may be the next attempt, as far as is known. */
  waitsUntil: Milliseconds
  /** When the store was last asked for it. */
  readAt: Milliseconds
  /** Stands for the cache that opened it: under another configuration the same record may have another identity. */
  readonly openedBy: object
}
