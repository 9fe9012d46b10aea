/** Which state a session is in; README.md draws how one follows another. */
import type { Milliseconds, Now } from '../core/clock.js'
import type { OpenSession } from './open-session.js'
import type { Revocations } from './revocations.js'

/** The state of a session. */
export type SessionState =
  /** Nothing is to be done. */
  | 'live'
  /** It is used, and that is to be written down. */
  | 'unmarked'
  /** Its tokens are to be renewed. */
  | 'due'
  /** Its tokens are to be renewed, but not before the next try; they live until then. */
  | 'waiting'
  /** The same, and they have ended. */
  | 'held'
  /** Its tokens can't be renewed, and still live. */
  | 'final'
  /** Its tokens can't be renewed, and have ended. */
  | 'spent'
  /** It was revoked, left idle or has reached its greatest age. */
  | 'ended'

/** What the state depends on besides the session. */
export interface StateOptions {
  readonly revocations: Revocations
  readonly now: Now
  readonly idleTimeout: Milliseconds
  readonly maxAge: Milliseconds
}

/** Use is written down in steps of this part of the idle time, so that not every request writes. */
const markedPart = 0.1

/** Whether the tokens of a session can be had anew. */
export function isRenewable({ record, final }: OpenSession): boolean {
  return record.refreshToken !== undefined && !final
}

/** Tells the state of sessions. */
export class SessionStates {
  readonly #options: StateOptions

  constructor(options: StateOptions) {
    this.#options = options
  }

  /** The state of a session now. */
  of(session: OpenSession): SessionState {
    if (this.hasEnded(session)) return 'ended'
    const { record } = session
    const at = this.#options.now()
    if (at < record.renewAt) {
      return at - record.usedAt > this.#options.idleTimeout * markedPart ? 'unmarked' : 'live'
    }
    const tokensLive = at < record.expiresAt
    if (!isRenewable(session)) return tokensLive ? 'final' : 'spent'
    if (at >= session.retryAt) return 'due'
    return tokensLive ? 'waiting' : 'held'
  }

  /** Whether nothing brings the session back. */
  hasEnded(session: OpenSession): boolean {
    return this.#isRevoked(session) || this.isOver(session)
  }

  /** Whether it was left idle or has reached its greatest age. */
  isOver(session: OpenSession): boolean {
    const { now, maxAge, idleTimeout } = this.#options
    const at = now()
    const { startedAt, usedAt } = session.record
    return at >= startedAt + maxAge || at >= usedAt + idleTimeout
  }

  #isRevoked(session: OpenSession): boolean {
    const { revocations } = this.#options
    if (session.checkedGeneration === revocations.generation) return false
    const { user } = session.identity.principal
    if (
      revocations.isIdRevoked(session.record.id) ||
      revocations.hasEnded(session.identifiers, user)
    ) {
      return true
    }
    session.checkedGeneration = revocations.generation
    return false
  }
}
