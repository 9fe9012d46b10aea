/** How many requests an upstream gets at once; the others wait for their turn (deploy/docs/requests.md#forwarding). */
import type { Milliseconds, Timer, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { principalKey } from '../core/identity.js'
import { addressKey } from '../core/network.js'
import type { RequestContext } from '../request/context.js'

/** The bounds of one gate. */
export interface GateLimits {
  /** Places in all. One address, and one person or machine, has at most a quarter of them. */
  readonly max: number
  /** How long a request may wait for a place. */
  readonly queue: Milliseconds
}

/** One who waits. */
interface Waiter {
  readonly context: RequestContext
  readonly owners: readonly string[]
  readonly begin: () => void
  readonly refuse: (error: unknown) => void
  readonly timer: Timer
  readonly leave: () => void
}

/** Requests that may wait at one gate; beyond it they are refused at once. */
const maxWaiting = 1000
const share = 4

/** Who is counted for a request: its client's address and, if known, who asks. */
function ownersOf({ address, identity }: RequestContext): readonly string[] {
  const owner = `address ${addressKey(address)}`
  return identity.via === undefined
    ? [owner]
    : [owner, `principal ${principalKey(identity.principal)}`]
}

/** Gives places to requests, in the order in which they came; who has a quarter of them already is passed over. */
export class Gate {
  readonly #limits: GateLimits
  readonly #share: number
  readonly #timers: Timers
  readonly #onWaiting: (change: 1 | -1) => void
  /** Who has a place, each with its owners; never more than there are places. */
  readonly #inside = new Map<RequestContext, readonly string[]>()
  /** Places by owner, counted as they are taken and given back. */
  readonly #held = new Map<string, number>()
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
    return { taken: this.#inside.size, max: this.#limits.max, waiting: this.#waiting.size }
  }

  /** Takes a place if there is one. */
  take(context: RequestContext): boolean {
    const owners = ownersOf(context)
    const isFree = this.#inside.size < this.#limits.max && this.#hasShare(owners)
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
    this.#onWaiting(1)
    context.response.once('close', leave)
  }

  /** Gives a place back, and to who is next. Does nothing for who has none. */
  release(context: RequestContext): void {
    const wasFull = this.#inside.size >= this.#limits.max
    const owners = this.#leave(context)
    if (owners !== undefined && this.#waiting.size > 0) this.#admit(owners, wasFull)
  }

  /** The refusal of who finds no place. */
  #busy(): GatewayError {
    const retryAfter = Math.max(1, Math.ceil(this.#limits.queue / 1000))
    const { max, queue } = this.#limits
    return new GatewayError('ERR_UPSTREAM_BUSY', {
      retryAfter,
      found: { in_flight: this.#inside.size, waiting: this.#waiting.size },
      wanted: { in_flight: max, of_one: this.#share, waiting: maxWaiting, seconds: queue / 1000 },
    })
  }

  /** @throws {@link GatewayError} ERR_UPSTREAM_BUSY — there is no place */
  takeOrRefuse(context: RequestContext): void {
    if (!this.take(context)) throw this.#busy()
  }

  #enter(context: RequestContext, owners: readonly string[]): void {
    this.#inside.set(context, owners)
    for (const owner of owners) this.#held.set(owner, (this.#held.get(owner) ?? 0) + 1)
  }

  /** Its owners; undefined for who has no place. */
  #leave(context: RequestContext): readonly string[] | undefined {
    const owners = this.#inside.get(context)
    if (owners === undefined) return undefined
    this.#inside.delete(context)
    for (const owner of owners) {
      const left = this.#held.get(owner)! - 1
      if (left === 0) this.#held.delete(owner)
      else this.#held.set(owner, left)
    }
    return owners
  }

  /** Whether every owner of a request has less than the share. */
  #hasShare(owners: readonly string[]): boolean {
    for (const owner of owners) if ((this.#held.get(owner) ?? 0) >= this.#share) return false
    return true
  }

  /**
   * Lets in whoever may have a place now: who leaves gives back a share of an address and one of a person. While places
   * are free, everybody who waits lacks a share, so that nobody else can come in once these two are taken again.
   */
  #admit(freed: readonly string[], wasFull: boolean): void {
    for (const waiter of this.#waiting) {
      if (this.#inside.size >= this.#limits.max) return
      if (!wasFull && !freed.some((owner) => (this.#held.get(owner) ?? 0) < this.#share)) return
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
    this.#timers.clearTimeout(waiter.timer)
    waiter.context.response.off('close', waiter.leave)
    this.#onWaiting(-1)
  }
}
