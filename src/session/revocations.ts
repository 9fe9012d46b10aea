/** What was ended before its time: sign-ins by any identifier they had, and people by name (README.md, "Revocations"). */
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { foldName } from '../trac/user-names.js'
import { formatRevocation, parseRevocation } from './revocation-log.js'
import type { Revocation, RevocationLog } from './revocation-log.js'
import { kindOf } from './token-identifiers.js'
import type { SessionIdentifiers, TokenIdentifiers } from './token-identifiers.js'

/**
 * Revocations kept. A list full of what still matters takes no more: to forget the oldest would bring back what others
 * were told is over, and whoever can sign in and out could do that to them. Only a sign-out or an operator adds any, and
 * each lift belongs to one.
 */
const maxRevocations = 1_000_000
/** So much beyond it, as a part of it, is for an operator, and for what other processes wrote. */
const reserve = 0.01
/** A full list is looked through so often, not at every sign-out. */
const lookEvery: Milliseconds = 1000
const pruneEvery: Milliseconds = 60_000

/** Identifiers that a new sign-in can have again, since the provider's own session lived on. */
const liftableKinds: ReadonlySet<string> = new Set(['sid', 'auth_time'])
/** Identifiers that tell two sign-ins of one person in one second apart. */
const tellingKinds: ReadonlySet<string> = new Set(['origin_jti', 'sid'])

/** Length first, so that no issuer and identifier can read as another pair. */
function keyOf(issuer: string, id: string): string {
  return `${issuer.length} ${issuer} ${id}`
}

/** A name stands for every spelling of it by case: rather one person too many signs in anew. */
function userKey(user: string): string {
  return `user ${foldName(user)}`
}

/** The key of a line; release 0.1 folded names in a way of its own. */
function currentKey(key: string): string {
  return key.startsWith('user ') ? userKey(key.slice('user '.length)) : key
}

/** A key of its own, so that release 0.1, which knows no lifts, goes on refusing. */
function liftKey(key: string): string {
  return `lift ${key}`
}

/** The bound of the list, and who hears that it was reached. */
export interface RevocationBounds {
  readonly max?: number
  /** So many had no place: what they should end may go on. */
  readonly onDropped?: (count: number) => void
  /** There is place again. */
  readonly onPlace?: () => void
}

/** Whether something could not be ended, since there is no place for it. */
export function isListFull(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'ERR_REVOCATIONS_FULL'
}

/** Waits for an end that adds nothing where something else has ended the same: a full list is no fault there. */
export async function evenIfFull(ending: Promise<void>): Promise<void> {
  await ending.catch((error: unknown) => {
    if (!isListFull(error)) throw error
  })
}

/** The revocations known to this process. */
export class Revocations {
  /** Whether a revocation is kept over a restart. */
  readonly durable: boolean
  readonly #now: Now
  readonly #life: Milliseconds
  readonly #log: RevocationLog | undefined
  readonly #bounds: RevocationBounds
  readonly #known = new Map<string, Revocation>()
  #generation = 0
  #isFull = false
  #prunedAt: Milliseconds
  #lookedAt = Number.NEGATIVE_INFINITY
  #lastBegun: Milliseconds = 0
  #lastEnded: Milliseconds = 0

  /** Loads what the log kept. `life` is how long a revocation can matter. */
  constructor(
    now: Now,
    life: Milliseconds,
    log: RevocationLog | undefined,
    bounds: RevocationBounds = {},
  ) {
    this.#bounds = bounds
    this.#now = now
    this.#life = life
    this.#log = log
    this.#prunedAt = now()
    this.durable = log !== undefined
    log?.start((line, at) => this.#learn(line, at))
  }

  /** Grows with every revocation and lift: what was checked against this number need not be checked again. */
  get generation(): number {
    return this.#generation
  }

  /** How many are kept, lifts among them, and how many can be. */
  get size(): { readonly kept: number; readonly max: number } {
    return { kept: this.#known.size, max: this.#max }
  }

  /** As {@link RevocationLog.catchUp}. */
  catchUp(): Promise<void> | undefined {
    return this.#log?.catchUp()
  }

  /** As {@link RevocationLog.readNow}. */
  async readNow(): Promise<void> {
    await this.#log?.readNow()
  }

  /**
   * The instant of a sign-in attempt that begins now. It is later than every sign-out that is known here, also within one
   * millisecond or after a clock was set back, and never later than one that comes.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE
   */
  async beginAttempt(): Promise<Milliseconds> {
    const time = this.#log === undefined ? this.#now() : await this.#log.time()
    // Rounded away from a sign-out in the same millisecond, which may have been at another replica.
    const at = Math.max(Math.ceil(time), this.#lastEnded + 1)
    this.#lastBegun = Math.max(this.#lastBegun, at)
    return at
  }

  /** The instant of a sign-out that happens now. A log that does not tell its time will not keep the sign-out either. */
  async endingNow(): Promise<Milliseconds> {
    const time = await (this.#log?.time() ?? Promise.resolve(this.#now())).catch(() => this.#now())
    return Math.max(Math.floor(time), this.#lastBegun)
  }

  /**
   * Ends a sign-in: all with one of its identifiers, and up to now the person's tokens that name no sign-in.
   * @param at as {@link Revocations.endingNow}, for what belongs to a sign-out that happened before
   * @throws {@link GatewayError} (rejects) ERR_REVOCATIONS_FULL — it is not ended at all; ERR_STORE_UNAVAILABLE — it is
   *   ended in this process, and kept nowhere. The same of all that end something.
   */
  async endSignIn(
    { issuer, ids, subject }: Pick<TokenIdentifiers, 'issuer' | 'ids' | 'subject'>,
    at?: Milliseconds,
  ): Promise<void> {
    const endedAt = at ?? (await this.endingNow())
    const until = this.#now() + this.#life
    const told = ids.map(kindOf).filter((kind) => tellingKinds.has(kind))
    const entryOf = (id: string): Revocation => ({
      key: keyOf(issuer, id),
      before: undefined,
      until,
      at: endedAt,
      ...(kindOf(id) === 'auth_time' ? { told } : {}),
    })
    const before = this.#now()
    const rest = { key: keyOf(issuer, `sub ${subject}`), before, until, at: endedAt }
    await this.#add([...ids.map(entryOf), rest])
  }

  /** Ends single tokens by their `jti`, and nothing else of their sign-in. */
  async endTokens(issuer: string, ids: readonly string[]): Promise<void> {
    const at = await this.endingNow()
    const until = this.#now() + this.#life
    const tokenIds = ids.filter((id) => kindOf(id) === 'jti')
    await this.#add(
      tokenIds.map((id) => ({ key: keyOf(issuer, id), before: undefined, until, at })),
    )
  }

  /**
   * Ends everything of a person at a provider: every session begun until now, and every token whose `iat` or `auth_time`,
   * the earlier of the two, is not later than `before`.
   */
  async endPerson(issuer: string, subject: string, before: Milliseconds): Promise<void> {
    const key = keyOf(issuer, `person ${subject}`)
    const until = Math.max(this.#now(), before) + this.#life
    await this.#add([{ key, before, until, at: await this.endingNow() }], 'operator')
  }

  /** The same of a user; the name as Trac knows it. */
  async endUser(user: string, before: Milliseconds): Promise<void> {
    const until = Math.max(this.#now(), before) + this.#life
    const ended = { before, until, at: await this.endingNow() }
    await this.#add([{ key: userKey(user), ...ended }], 'operator')
    const earlierKey = `user ${user.toLowerCase()}`
    if (earlierKey !== userKey(user)) await this.#write([{ key: earlierKey, ...ended }])
  }

  /**
   * Ends what the provider says that it ended at `issuedBy`, by its own clock: one sign-in by its `sid`, or a person. Its
   * word may come late, so sessions that began after are not meant.
   */
  async endByProvider(
    issuer: string,
    what: { readonly sid: string } | { readonly subject: string },
    issuedBy: Milliseconds,
  ): Promise<void> {
    const at = await this.endingNow()
    const until = this.#now() + this.#life
    const id = 'sid' in what ? `sid ${what.sid}` : `person ${what.subject}`
    await this.#add([{ key: keyOf(issuer, id), before: issuedBy, until, at, issuedBy }])
  }

  /** Notes that a logout token was obeyed, by its `jti`, so that all who know the revocations refuse it until then. */
  noteLogoutToken(id: string, until: Milliseconds): Promise<void> {
    return this.#add([{ key: `logout-token ${id}`, before: undefined, until, at: 0 }])
  }

  /** Whether a logout token was obeyed. */
  wasObeyed(id: string): boolean {
    return this.#find(`logout-token ${id}`) !== undefined
  }

  /** Ends a session by its id, whenever it began. */
  endId(id: string, until: Milliseconds): Promise<void> {
    return this.#add([{ key: `id ${id}`, before: undefined, until, at: 0 }])
  }

  /**
   * Lets the tokens of a finished sign-in count again that share a `sid` or `auth_time`, a person or a name with what was
   * ended before its attempt began: those whose `iat` is not earlier than that of its ID token. Where there is no place
   * for that, they stay refused.
   */
  async lift(session: SessionIdentifiers, user: string): Promise<void> {
    const { begunAt, issuedAt } = session
    const lifts: Revocation[] = []
    for (const key of this.#liftableKeys(session, user)) {
      const ended = this.#find(key)
      if (ended === undefined || ended.at >= begunAt || this.#liftOf(ended)) continue
      lifts.push({ key: liftKey(key), before: issuedAt, until: ended.until, at: begunAt })
    }
    if (this.#hasPlace(lifts, this.#max)) await this.#add(lifts)
  }

  /** Whether a token was ended, by its own identifiers or as a person's. */
  isRevoked(token: TokenIdentifiers, user: string): boolean {
    if (this.#known.size === 0) return false
    const { issuer, ids, subject, issuedAt, authenticatedAt, namesSignIn } = token
    const since = Math.min(issuedAt, authenticatedAt ?? Number.POSITIVE_INFINITY)
    const wasBefore = (key: string): Revocation | undefined => {
      const ended = this.#find(key)
      return ended !== undefined && since <= (ended.before ?? since) ? ended : undefined
    }
    const isEnded = (ended: Revocation | undefined): boolean =>
      ended !== undefined && issuedAt < (this.#liftOf(ended)?.before ?? Number.POSITIVE_INFINITY)
    return (
      ids.some((id) => this.#isEndedBy(id, token)) ||
      (!namesSignIn && wasBefore(keyOf(issuer, `sub ${subject}`)) !== undefined) ||
      isEnded(wasBefore(keyOf(issuer, `person ${subject}`))) ||
      isEnded(wasBefore(userKey(user)))
    )
  }

  /** Whether a session was ended as part of a sign-in, or as a person's. What began after stays, whatever it shares. */
  hasEnded(session: SessionIdentifiers, user: string): boolean {
    return (
      this.hasSignInEnded(session) ||
      this.#ends(keyOf(session.issuer, `person ${session.subject}`), session) ||
      this.#ends(userKey(user), session)
    )
  }

  /** Whether a session was ended as part of a sign-in. By `auth_time` two sessions of one second can't be told apart. */
  hasSignInEnded(session: SessionIdentifiers): boolean {
    if (this.#known.size === 0) return false
    const { issuer, ids } = session
    return ids.some((id) => kindOf(id) !== 'auth_time' && this.#ends(keyOf(issuer, id), session))
  }

  /** Whether a session was ended by its id. */
  isIdRevoked(id: string): boolean {
    return this.#find(`id ${id}`) !== undefined
  }

  #ends(key: string, { begunAt, issuedAt }: SessionIdentifiers): boolean {
    const ended = this.#find(key)
    return ended !== undefined && begunAt <= ended.at && issuedAt <= (ended.issuedBy ?? issuedAt)
  }

  #isEndedBy(id: string, { issuer, ids, issuedAt, authenticatedAt = 0 }: TokenIdentifiers) {
    const ended = this.#find(keyOf(issuer, id))
    if (ended === undefined) return false
    const kind = kindOf(id)
    if (!liftableKinds.has(kind)) return true
    // The password was typed again within the same session of the provider.
    if (kind === 'sid' && authenticatedAt > (ended.issuedBy ?? ended.at)) return false
    if (kind === 'auth_time' && ids.some((one) => ended.told?.includes(kindOf(one)))) return false
    return issuedAt < (this.#liftOf(ended)?.before ?? Number.POSITIVE_INFINITY)
  }

  #liftableKeys({ issuer, ids, subject }: SessionIdentifiers, user: string): readonly string[] {
    const liftable = ids.filter((id) => liftableKinds.has(kindOf(id)))
    return [...[...liftable, `person ${subject}`].map((id) => keyOf(issuer, id)), userKey(user)]
  }

  #find(key: string): Revocation | undefined {
    const known = this.#known.get(key)
    return known === undefined || known.until < this.#now() ? undefined : known
  }

  /** The lift of a revocation; one that began before it is none any more. */
  #liftOf({ key, at }: Revocation): Revocation | undefined {
    const lift = this.#known.get(liftKey(key))
    return lift !== undefined && lift.at > at ? lift : undefined
  }

  /** All of it, or nothing if there is no place. */
  async #add(more: readonly Revocation[], by: 'anybody' | 'operator' = 'anybody'): Promise<void> {
    this.#pruneNowAndThen()
    if (!this.#hasPlace(more, by === 'operator' ? this.#hardMax : this.#max)) {
      this.#tellFull(more.length)
      throw new GatewayError('ERR_REVOCATIONS_FULL', {
        cause: new Error(`${this.#known.size} revocations are kept, and all of them still matter`),
      })
    }
    this.#tellPlace()
    // In memory first: a disk that is full must not keep alive here what somebody ended.
    for (const one of more) this.#merge(one)
    await this.#write(more)
  }

  async #write(more: readonly Revocation[]): Promise<void> {
    for (const one of more) await this.#log?.append(formatRevocation(one))
  }

  #learn(line: string, writtenAt: Milliseconds): void {
    const one = parseRevocation(line, writtenAt)
    if (one.until < this.#now()) return
    this.#merge({ ...one, key: currentKey(one.key) })
    this.#pruneNowAndThen()
    this.#dropOldest()
  }

  get #max(): number {
    return this.#bounds.max ?? maxRevocations
  }

  get #hardMax(): number {
    return Math.ceil(this.#max * (1 + reserve))
  }

  /** Whether they fit, when what has run out has made way. */
  #hasPlace(more: readonly Revocation[], max: number): boolean {
    const fits = (): boolean => {
      const fresh = more.filter(({ key }) => !this.#known.has(key))
      return fresh.length === 0 || this.#known.size + fresh.length <= max
    }
    if (fits()) return true
    this.#dropEndedAtTimes()
    return fits()
  }

  #merge(one: Revocation): void {
    const old = this.#known.get(one.key)
    const merged = one.key.startsWith('lift ') ? this.#mergeLift(one, old) : mergeEndings(one, old)
    if (merged === old) return
    this.#known.delete(one.key)
    this.#known.set(one.key, merged)
    this.#generation++
    if (!one.key.startsWith('lift ')) this.#lastEnded = Math.max(this.#lastEnded, merged.at)
  }

  /** Of two lifts of one revocation the first sets from when on tokens count. */
  #mergeLift(one: Revocation, old: Revocation | undefined): Revocation {
    if (old === undefined) return one
    const endedAt = this.#known.get(one.key.slice('lift '.length))?.at ?? 0
    if (old.at <= endedAt) return one.at <= old.at ? old : one
    if (one.at <= endedAt) return old
    const merged = {
      ...old,
      before: Math.min(one.before ?? 0, old.before ?? 0),
      until: Math.max(one.until, old.until),
      at: Math.max(one.at, old.at),
    }
    return isSame(merged, old) ? old : merged
  }

  #pruneNowAndThen(): void {
    const now = this.#now()
    if (now - this.#prunedAt <= pruneEvery) return
    this.#prunedAt = now
    this.#dropEnded(now)
    this.#log?.compact?.(this.#known.size, () => [...this.#known.values()].map(formatRevocation))
  }

  /** Others wrote more than all of us should: the memory of this process is bounded all the same. */
  #dropOldest(): void {
    if (this.#known.size <= this.#hardMax) return
    this.#dropEndedAtTimes()
    let dropped = 0
    for (const key of this.#known.keys()) {
      if (this.#known.size <= this.#hardMax) break
      this.#known.delete(key)
      dropped++
    }
    if (dropped > 0) this.#tellFull(dropped)
  }

  #tellFull(count: number): void {
    this.#isFull = true
    this.#bounds.onDropped?.(count)
  }

  #tellPlace(): void {
    if (this.#isFull) this.#bounds.onPlace?.()
    this.#isFull = false
  }

  #dropEndedAtTimes(): void {
    const now = this.#now()
    if (now - this.#lookedAt < lookEvery) return
    this.#lookedAt = now
    this.#dropEnded(now)
  }

  #dropEnded(now: Milliseconds): void {
    for (const [key, { until }] of this.#known) if (until < now) this.#known.delete(key)
  }
}

function isSame(one: Revocation, other: Revocation): boolean {
  return formatRevocation(one) === formatRevocation(other)
}

/** A revocation never shrinks: what ended stays ended for the longer, later and wider of the two. */
function mergeEndings(one: Revocation, old: Revocation | undefined): Revocation {
  if (old === undefined) return one
  const bounded = one.issuedBy !== undefined && old.issuedBy !== undefined
  const told = one.told?.filter((kind) => old.told?.includes(kind)) ?? []
  const merged: Revocation = {
    key: one.key,
    before: Math.max(one.before ?? 0, old.before ?? 0) || undefined,
    until: Math.max(one.until, old.until),
    at: Math.max(one.at, old.at),
    ...(bounded ? { issuedBy: Math.max(one.issuedBy, old.issuedBy) } : {}),
    ...(told.length === 0 ? {} : { told }),
  }
  return isSame(merged, old) ? old : merged
}
