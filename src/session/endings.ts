/** Ends everything of a person at once, for an operator: sessions, tokens, and the refresh tokens at the provider. */
import type { Milliseconds, Now } from '../core/clock.js'
import { foldName } from '../trac/user-names.js'
import type { OpenSession } from './open-session.js'
import { evenIfFull } from './revocations.js'
import type { Revocations } from './revocations.js'
import { isSameSubject } from './seen-people.js'
import type { SeenPeople, Subject } from './seen-people.js'
import type { Sessions } from './sessions.js'

/** What endings need. */
export interface EndingParts {
  readonly revocations: Revocations
  readonly sessions: Sessions
  readonly seen: SeenPeople
  /** The main issuer: sessions are of its people. */
  readonly issuer: string
  /** Whether sessions are shared by all replicas, so that none is overlooked. */
  readonly shared: boolean
  /** `identity.clockTolerance`: a provider's clock may be ahead of ours by that. */
  readonly tolerance: Milliseconds
  readonly now: Now
  /** Revokes a refresh token at the provider; false if the provider can't. Rejects if it can't be asked. */
  readonly revokeToken: (refreshToken: string) => Promise<boolean>
  /** Ends the personal tokens of these people, and of whoever is known under that name; answers how many there were. */
  readonly endTokens: (subjects: readonly Subject[], user: string | undefined) => Promise<number>
  readonly onFault: (cause: unknown) => void
}

/** What was ended. */
export interface Ending {
  /** Whether it outlives a restart. */
  readonly durable: boolean
  /** Sessions that were found open. */
  readonly sessions: number
  /** Where they were looked for: `memory` is that of one process, and others end when their cookie comes. */
  readonly foundIn: 'redis' | 'memory'
  /** Refresh tokens of these sessions that the provider revoked, and those that it did not. */
  readonly refreshTokens: { readonly revoked: number; readonly failed: number }
  /** Personal tokens that are gone. */
  readonly personalTokens: number
  /** The people behind it. None: nobody was seen under that name. */
  readonly subjects: readonly Subject[]
  /** Tokens issued until then are refused, by the provider's clock. */
  readonly before: Milliseconds
}

/** Requests to the provider at the same time. */
const maxParallel = 8

/** Ends people. All of it is about what was: a sign-in whose attempt begins afterwards is none of it. */
export class Endings {
  readonly #parts: EndingParts

  constructor(parts: EndingParts) {
    this.#parts = parts
  }

  /**
   * Ends everything of a user, by the name as Trac knows it, and of everybody who was seen under it.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — it counts in this process, and is kept nowhere
   */
  async endUser(user: string, known: readonly Subject[] = []): Promise<Ending> {
    const { revocations, seen } = this.#parts
    const before = this.#before()
    await revocations.endUser(user, before)
    const folded = foldName(user)
    const isTheirs = ({ identity }: OpenSession) => foldName(identity.principal.user) === folded
    const subjects = [...seen.subjectsOf(user)]
    for (const one of known)
      if (!subjects.some((other) => isSameSubject(one, other))) subjects.push(one)
    return this.#end(isTheirs, subjects, before, user)
  }

  /**
   * Ends everything of one subject at a provider, whatever name it has: every session begun until now, every token issued
   * until now, and its sessions' refresh tokens at the provider. A sign-in that begins afterwards works.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — it counts in this process, and is kept nowhere
   */
  endSubject(subject: Subject): Promise<Ending> {
    return this.#end(() => false, [subject], this.#before())
  }

  #before(): Milliseconds {
    return this.#parts.now() + this.#parts.tolerance
  }

  async #end(
    isTheirs: (session: OpenSession) => boolean,
    known: readonly Subject[],
    before: Milliseconds,
    user?: string,
  ): Promise<Ending> {
    const { revocations, sessions, issuer, shared } = this.#parts
    const subjects: Subject[] = []
    const endSubject = async (one: Subject): Promise<void> => {
      subjects.push(one)
      await revocations.endPerson(one.issuer, one.subject, before)
    }
    for (const one of known) await endSubject(one)
    const found = new Map<string, OpenSession>()
    // A session under the name can show a subject that has more sessions under another one.
    for (let more = true; more;) {
      more = false
      for await (const session of sessions.open()) {
        const { id, profile } = session.record
        const subject = { issuer, subject: profile.subject }
        const isKnown = subjects.some((one) => isSameSubject(one, subject))
        if (found.has(id) || !(isKnown || isTheirs(session))) continue
        found.set(id, session)
        if (isKnown) continue
        await endSubject(subject)
        more = true
      }
    }
    return {
      durable: revocations.durable,
      sessions: found.size,
      foundIn: shared ? 'redis' : 'memory',
      refreshTokens: await this.#endAll([...found.values()]),
      personalTokens: await this.#parts.endTokens(subjects, user),
      subjects,
      before,
    }
  }

  async #endAll(found: readonly OpenSession[]): Promise<Ending['refreshTokens']> {
    let revoked = 0
    let failed = 0
    const waiting = [...found]
    const work = async (): Promise<void> => {
      for (let session = waiting.pop(); session !== undefined; session = waiting.pop()) {
        // What ended the person has ended the session, too.
        await evenIfFull(this.#parts.sessions.remove(session))
        const { refreshToken } = session.record
        if (refreshToken === undefined) continue
        if (await this.#revoke(refreshToken)) revoked++
        else failed++
      }
    }
    await Promise.all(Array.from({ length: maxParallel }, work))
    return { revoked, failed }
  }

  async #revoke(refreshToken: string): Promise<boolean> {
    try {
      return await this.#parts.revokeToken(refreshToken)
    } catch (cause) {
      this.#parts.onFault(cause)
      return false
    }
  }
}
