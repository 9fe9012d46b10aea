/** How many requests an upstream gets at once; the others wait for their turn (deploy/docs/requests.md#forwarding). */
import type { Milliseconds, Timer, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { Principal } from '../core/identity.js'
import { addressKey } from '../core/network.js'
import type { Place, RequestContext } from '../request/context.js'

/** The bounds of one gate. */
export interface GateLimits {
  /** Places in all. One address, and one person or machine, has at most a quarter of them. */
  readonly max: number
  /** How long a request may wait for a place. */
  readonly queue: Milliseconds
}

/** Who is counted for a request: its client's address and, if known, who asks. */
interface Owners {
  readonly address: string
  readonly person: Principal | undefined
}

/** One who has a place. */
interface Taken extends Place, Owners {
  readonly gate: Gate
}

/** One who waits. */
interface Waiter {
  readonly context: RequestContext
  readonly owners: Owners
  readonly begin: () => void
  readonly refuse: (error: unknown) => void
  readonly timer: Timer
  readonly leave: () => void
}

/** Requests that may wait at one gate; beyond it they are refused at once. */
const maxWaiting = 1000
const share = 4

function ownersOf({ address, identity }: RequestContext): Owners {
  const person = identity.via === undefined ? undefined : identity.principal
  return { address: addressKey(address), person }
}

/** Owners that may be known without a request, before they are looked through. */
const maxWithout = 1000

/**
 * How many requests of each owner are counted. Who has none is forgotten with all others like that, once in a while: a map
 * from which is deleted as often as is put in is made anew every few dozen requests.
 */
class Owned {
  #requests = new Map<string, number>()
  #most = maxWithout

  of(owner: string): number {
    return this.#requests.get(owner) ?? 0
  }

  add(owner: string, change: 1 | -1): void {
    this.#requests.set(owner, this.of(owner) + change)
    if (this.#requests.size > this.#most) this.#forget()
  }

  #forget(): void {
    this.#requests = new Map([...this.#requests].filter(([, requests]) => requests > 0))
    this.#most = 2 * this.#requests.size + maxWithout
  }
}

/** The same by addresses and by people. */
class Counts {
  readonly #addresses = new Owned()
  /** By issuer, then by subject: as many issuers as the configuration has. */
  readonly #people = new Map<string, Owned>()

  ofAddress(address: string): number {
    return this.#addresses.of(address)
  }

  ofPerson({ issuer, subject }: Principal): number {
    return this.#people.get(issuer)?.of(subject) ?? 0
  }

  add({ address, person }: Owners, change: 1 | -1): void {
    this.#addresses.add(address, change)
    if (person === undefined) return
    let people = this.#people.get(person.issuer)
    if (people === undefined) this.#people.set(person.issuer, (people = new Owned()))
    people.add(person.subject, change)
  }
}

/** Gives places to requests, in the order in which they came; who has a quarter of them already is passed over. */
export class Gate {
  readonly #limits: GateLimits
  readonly #share: number
  readonly #timers: Timers
  readonly #onWaiting: (change: 1 | -1) => void
  #taken = 0
  /** Who has places. */
  readonly #inside = new Counts()
  /** Who waits for one. */
  readonly #outside = new Counts()
  readonly #waiting = new Set<Waiter>()

  /** @param onWaiting one more waits, or one less */
  constructor(limits: GateLimits, timers: Timers, onWaiting: (change: 1 | -1) => void) {
    this.#limits = limits
    this.#share = Math.max(1, Math.floor(limits.max / share))
    this.#timers = timers
    this.#onWaiting = onWaiting
  }

  /** How many places are taken, of how many, and how many requests wait for one. */
  get load(): { readonly taken: number; readonly max: number; readonly waiting: number } {
    return { taken: this.#taken, max: this.#limits.max, waiting: this.#waiting.size }
  }

  /** Takes a place if there is one. */
  take(context: RequestContext): boolean {
    const owners = ownersOf(context)
    const isFree = this.#taken < this.#limits.max && this.#hasShare(owners)
    if (isFree) this.#enter(context, owners)
    return isFree
  }

  /**
   * Waits for a place. Who leaves waits no longer, and nobody hears of it.
   * @param begin called with the place taken
   * @param refuse called with ERR_UPSTREAM_BUSY
   */
  wait(context: RequestContext, begin: () => void, refuse: (error: unknown) => void): void {
    if (this.#waiting.size >= maxWaiting) {
      refuse(this.#busy())
      return
    }
    const leave = (): void => this.#remove(waiter)
    const timer = this.#timers.setTimeout(() => {
      leave()
      refuse(this.#busy())
    }, this.#limits.queue)
    const owners = ownersOf(context)
    const waiter: Waiter = { context, owners, begin, refuse, timer, leave }
    this.#waiting.add(waiter)
    this.#outside.add(owners, 1)
    this.#onWaiting(1)
    context.response.once('close', leave)
  }

  /** Gives a place back, and to who is next. Does nothing for who has none. */
  release(context: RequestContext): void {
    const wasFull = this.#taken >= this.#limits.max
    const owners = this.#leave(context)
    if (owners !== undefined && this.#waiting.size > 0) this.#admit(owners, wasFull)
  }

  /** The refusal of who finds no place. */
  #busy(): GatewayError {
    const retryAfter = Math.max(1, Math.ceil(this.#limits.queue / 1000))
    const { max, queue } = this.#limits
    return new GatewayError('ERR_UPSTREAM_BUSY', {
      retryAfter,
      found: { in_flight: this.#taken, waiting: this.#waiting.size },
      wanted: { in_flight: max, of_one: this.#share, waiting: maxWaiting, seconds: queue / 1000 },
    })
  }

  /** @throws {@link GatewayError} ERR_UPSTREAM_BUSY — there is no place */
  takeOrRefuse(context: RequestContext): void {
    if (!this.take(context)) throw this.#busy()
  }

  #enter(context: RequestContext, { address, person }: Owners): void {
    const taken: Taken = { gate: this, address, person }
    // Kept on the request itself: a map by request is made anew every few dozen of them, and each one that has grown old
    // keeps the next, with all requests in it, from being collected.
    context.places = context.places.length === 0 ? [taken] : [...context.places, taken]
    this.#count(taken, 1)
  }

  /** Its owners; undefined for who has no place. */
  #leave(context: RequestContext): Owners | undefined {
    const taken = context.places.find(({ gate }) => gate === this) as Taken | undefined
    if (taken === undefined) return undefined
    context.places = context.places.filter((place) => place !== taken)
    this.#count(taken, -1)
    return taken
  }

  #count(owners: Owners, change: 1 | -1): void {
    this.#taken += change
    this.#inside.add(owners, change)
  }

  #addressHasShare({ address }: Owners): boolean {
    return this.#inside.ofAddress(address) < this.#share
  }

  /** Nobody in particular has no share of a person's. */
  #personHasShare({ person }: Owners): boolean {
    return person !== undefined && this.#inside.ofPerson(person) < this.#share
  }

  /** Whether one of these owners has a share again, and a request that waits for it. */
  #isAwaited(freed: Owners): boolean {
    const { address, person } = freed
    if (this.#addressHasShare(freed) && this.#outside.ofAddress(address) > 0) return true
    return person !== undefined && this.#personHasShare(freed) && this.#outside.ofPerson(person) > 0
  }

  /** Whether every owner of a request has less than the share. */
  #hasShare(owners: Owners): boolean {
    return (
      this.#addressHasShare(owners) && (owners.person === undefined || this.#personHasShare(owners))
    )
  }

  /**
   * Lets in whoever may have a place now: who leaves gives back a share of an address and one of a person. While places
   * are free, everybody who waits lacks a share, so that nobody else can come in once these two are taken again.
   */
  #admit(freed: Owners, wasFull: boolean): void {
    for (const waiter of this.#waiting) {
      if (this.#taken >= this.#limits.max) return
      if (!wasFull && !this.#isAwaited(freed)) return
      if (!this.#hasShare(waiter.owners)) continue
      this.#remove(waiter)
      this.#enter(waiter.context, waiter.owners)
      try {
        waiter.begin()
      } catch (error) {
        this.#leave(waiter.context)
        waiter.refuse(error)
      }
    }
  }

  #remove(waiter: Waiter): void {
    if (!this.#waiting.delete(waiter)) return
    this.#outside.add(waiter.owners, -1)
    this.#timers.clearTimeout(waiter.timer)
    waiter.context.response.off('close', waiter.leave)
    this.#onWaiting(-1)
  }
}
