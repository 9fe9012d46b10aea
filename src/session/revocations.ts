/** What was ended before its time: sign-ins by any identifier they had, and people by name. */
import type { Milliseconds, Now } from '../core/clock.js'
import { formatRevocation, parseRevocation } from './revocation-log.js'
import type { Revocation, RevocationLog } from './revocation-log.js'
import type { TokenIdentifiers } from './token-identifiers.js'

/** Revocations kept; beyond it the oldest go. Only a sign-out or an operator adds any. */
const maxRevocations = 1_000_000
const pruneEvery: Milliseconds = 60_000

/** Length first, so that no issuer and identifier can read as another pair. */
function keyOf(issuer: string, id: string): string {
  return `${issuer.length} ${issuer} ${id}`
}

/** A name stands for every spelling of it by case: rather one person too many signs in anew. */
function userKey(user: string): string {
  return `user ${user.toLowerCase()}`
}

/** The revocations known to this process. */
export class Revocations {
  /** Whether a revocation is kept over a restart. */
  readonly durable: boolean
  readonly #now: Now
  readonly #life: Milliseconds
  readonly #log: RevocationLog | undefined
  readonly #known = new Map<string, Revocation>()
  #generation = 0
  #prunedAt: Milliseconds

  /** Loads what the log kept. `life` is how long a revocation can matter. */
  constructor(now: Now, life: Milliseconds, log: RevocationLog | undefined) {
    this.#now = now
    this.#life = life
    this.#log = log
    this.#prunedAt = now()
    this.durable = log !== undefined
    log?.start((line) => this.#learn(line))
  }

  /** Grows with every revocation: what was checked against this number need not be checked again. */
  get generation(): number {
    return this.#generation
  }

  /** As {@link RevocationLog.catchUp}. */
  catchUp(): Promise<void> | undefined {
    return this.#log?.catchUp()
  }

  /** Ends a sign-in: all with one of its identifiers, and up to now the person's tokens that name no sign-in. */
  endSignIn({ issuer, ids, subject }: TokenIdentifiers, until: Milliseconds): Promise<void> {
    return this.#add(...ids.map((id) => ({ key: keyOf(issuer, id), before: undefined, until })), {
      key: keyOf(issuer, `sub ${subject}`),
      before: this.#now(),
      until,
    })
  }

  /** Ends everything of a person at the provider up to now. */
  endPerson(issuer: string, subject: string, until: Milliseconds): Promise<void> {
    return this.#add({ key: keyOf(issuer, `person ${subject}`), before: this.#now(), until })
  }

  /** Ends all with one identifier of a sign-in, such as `sid 08a5…`. */
  endIdentifier(issuer: string, id: string, until: Milliseconds): Promise<void> {
    return this.#add({ key: keyOf(issuer, id), before: undefined, until })
  }

  /** Ends everything of a user up to now; the name as Trac knows it. */
  endUser(user: string): Promise<void> {
    const now = this.#now()
    return this.#add({ key: userKey(user), before: now, until: now + this.#life })
  }

  /** Ends a session by its id. */
  endId(id: string, until: Milliseconds): Promise<void> {
    return this.#add({ key: `id ${id}`, before: undefined, until })
  }

  /** Whether a token or session was ended, by its own identifiers or as a person's. */
  isRevoked(identifiers: TokenIdentifiers, user: string): boolean {
    if (this.#known.size === 0) return false
    const { issuer, ids, subject, since } = identifiers
    return (
      ids.some((id) => this.#covers(keyOf(issuer, id), 0)) ||
      (!identifiers.namesSignIn && this.#covers(keyOf(issuer, `sub ${subject}`), since)) ||
      this.#covers(keyOf(issuer, `person ${subject}`), since) ||
      this.#covers(userKey(user), since)
    )
  }

  /** Whether a session was ended by its id. */
  isIdRevoked(id: string): boolean {
    return this.#covers(`id ${id}`, 0)
  }

  #covers(key: string, since: Milliseconds): boolean {
    const known = this.#known.get(key)
    if (known === undefined || known.until < this.#now()) return false
    return known.before === undefined || since <= known.before
  }

  async #add(...more: readonly Revocation[]): Promise<void> {
    // In memory first: a disk that is full must not keep alive here what somebody ended.
    for (const one of more) this.#merge(one)
    this.#prune()
    if (this.#log === undefined) return
    for (const one of more) await this.#log.append(formatRevocation(one))
  }

  #learn(line: string): void {
    const one = parseRevocation(line)
    if (one.until < this.#now()) return
    this.#merge(one)
    this.#prune()
  }

  /** A revocation never shrinks: what ended stays ended for the longer of the two. */
  #merge(one: Revocation): void {
    const old = this.#known.get(one.key)
    const merged = {
      key: one.key,
      before: Math.max(one.before ?? 0, old?.before ?? 0) || undefined,
      until: Math.max(one.until, old?.until ?? 0),
    }
    if (merged.until === old?.until && merged.before === old.before) return
    this.#known.delete(one.key)
    this.#known.set(one.key, merged)
    this.#generation++
  }

  #prune(): void {
    const now = this.#now()
    if (now - this.#prunedAt > pruneEvery) {
      this.#prunedAt = now
      for (const [key, { until }] of this.#known) if (until < now) this.#known.delete(key)
    }
    for (const key of this.#known.keys()) {
      if (this.#known.size <= maxRevocations) break
      this.#known.delete(key)
    }
  }
}
