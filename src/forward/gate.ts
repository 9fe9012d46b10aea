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
  readonly begin: () => void
  readonly refuse: (error: unknown) => void
  readonly timer: Timer
  readonly leave: () => void
}

/** Requests that may wait at one gate; beyond it they are refused at once. */
const maxWaiting = 1000
const share = 4

/** Owners of requests that were looked at: each release looks at all who run and all who wait. */
const known = new WeakMap<RequestContext, readonly string[]>()

/** Who is counted for a request: its client's address and, if known, who asks. */
function ownersOf(context: RequestContext): readonly string[] {
  const before = known.get(context)
  if (before !== undefined) return before
  const { address, identity } = context
  const owners = [`address ${addressKey(address)}`]
  if (identity.via !== undefined) owners.push(`principal ${principalKey(identity.principal)}`)
  known.set(context, owners)
  return owners
}

/** Gives places to requests, in the order in which they came; who has a quarter of them already is passed over. */
export class Gate {
  readonly #limits: GateLimits
  readonly #share: number
  readonly #timers: Timers
  readonly #onWaiting: (change: 1 | -1) => void
  readonly #inside = new Set<RequestContext>()
  readonly #waiting = new Set<Waiter>()

  /** @param onWaiting one more waits, or one less */
  constructor(limits: GateLimits, timers: Timers, onWaiting: (change: 1 | -1) => void) {
    this.#limits = limits
    this.#share = Math.max(1, Math.floor(limits.max / share))
    this.#timers = timers
    this.#onWaiting = onWaiting
  }

  /** Takes a place if there is one. */
  take(context: RequestContext): boolean {
    const { size } = this.#inside
    // Nobody can have more than all together have: there is nothing to count as long as little runs.
    const isFree =
      size < this.#share ||
      (size < this.#limits.max && hasShare(context, this.#held(), this.#share))
    if (isFree) this.#inside.add(context)
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
    const waiter: Waiter = { context, begin, refuse, timer, leave }
    this.#waiting.add(waiter)
    this.#onWaiting(1)
    context.response.once('close', leave)
  }

  /** Gives a place back, and to who is next. Does nothing for who has none. */
  release(context: RequestContext): void {
    if (this.#inside.delete(context) && this.#waiting.size > 0) this.#admit()
  }

  /** The refusal of who finds no place. */
  #busy(): GatewayError {
    const retryAfter = Math.max(1, Math.ceil(this.#limits.queue / 1000))
    return new GatewayError('ERR_UPSTREAM_BUSY', { retryAfter })
  }

  /** @throws {@link GatewayError} ERR_UPSTREAM_BUSY — there is no place */
  takeOrRefuse(context: RequestContext): void {
    if (!this.take(context)) throw this.#busy()
  }

  /** Places by who has them. */
  #held(): ReadonlyMap<string, number> {
    const held = new Map<string, number>()
    for (const context of this.#inside) {
      for (const owner of ownersOf(context)) held.set(owner, (held.get(owner) ?? 0) + 1)
    }
    return held
  }

  /** Lets in whoever may have a place now: who leaves gives back a share of an address and one of a person. */
  #admit(): void {
    let held = this.#held()
    for (const waiter of this.#waiting) {
      if (this.#inside.size >= this.#limits.max) return
      if (!hasShare(waiter.context, held, this.#share)) continue
      this.#remove(waiter)
      this.#inside.add(waiter.context)
      try {
        waiter.begin()
      } catch (error) {
        this.#inside.delete(waiter.context)
        waiter.refuse(error)
      }
      // Its begin may have given places back, or let others in.
      held = this.#held()
    }
  }

  #remove(waiter: Waiter): void {
    if (!this.#waiting.delete(waiter)) return
    this.#timers.clearTimeout(waiter.timer)
    waiter.context.response.off('close', waiter.leave)
    this.#onWaiting(-1)
  }
}

/** Whether every owner of a request has less than the share. */
function hasShare(
  context: RequestContext,
  held: ReadonlyMap<string, number>,
  most: number,
): boolean {
  return ownersOf(context).every((owner) => (held.get(owner) ?? 0) < most)
}
