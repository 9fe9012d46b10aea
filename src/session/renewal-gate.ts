/** When a session may ask the token endpoint again after that failed, and who asks while the endpoint is down. */
import { LRUCache } from 'lru-cache'
import { backOff } from '../core/back-off.js'
import type { Milliseconds, Now } from '../core/clock.js'

/** How an exchange failed that may work the next time. */
export interface Setback {
  /**
   * `down`: nothing answered for the token endpoint. `busy`: it asked to be left alone. `odd`: any other fault of its.
   * `unverified`: it works, but what it gave can't be verified yet.
   */
  readonly kind: 'down' | 'busy' | 'odd' | 'unverified'
  /** What it asked for when it was busy; else the wait doubles from failure to failure. */
  readonly asked: Milliseconds | undefined
  /** From 0 to 1: so that sessions that failed together don't come back together. */
  readonly jitter: number
}

/** Who may exchange a refresh token now. Sessions are told apart by their ids. */
export interface RenewalGate {
  /** Asks for an exchange: 0 if it may begin, and then one of the other two must follow. Else how long to wait. */
  enter(id: string): Promise<Milliseconds>
  /** The exchange failed for now; the answer is how long this session waits. */
  failed(id: string, setback: Setback): Promise<Milliseconds>
  /** The token endpoint gave tokens, or its last word: it is not down, and the session has nothing to wait for. */
  answered(id: string): Promise<void>
}

/** The first wait of a session; it doubles up to {@link maxWait}, as {@link backOff} says. */
export const minWait: Milliseconds = 1000
export const maxWait: Milliseconds = 60_000
/** So many sessions that found nobody within {@link downWithin} say that the token endpoint is down. */
export const downAfter = 3
export const downWithin: Milliseconds = 10_000
/** Between the end of one probe and the next one: less than the wait of who made it, so that the next is another's. */
export const probePause: Milliseconds = 500
/** A probe of which nothing was heard for so long is over: longer than the provider may take for one answer. */
export const probeLife: Milliseconds = 12_000

/** What a session waits for. */
interface Wait {
  readonly failures: number
  readonly at: Milliseconds
  readonly until: Milliseconds
  readonly isDown: boolean
}

/** Sessions whose waits are remembered: about 200 bytes each. The least recent may try again at once. */
const maxWaits = 10_000

/** The gate of one process. It outlives a reload. */
export class MemoryRenewalGate implements RenewalGate {
  readonly #now: Now
  readonly #waits = new LRUCache<string, Wait>({ max: maxWaits })
  /** The sessions that found nobody lately, each once; {@link downAfter} at most. */
  #missed: readonly { readonly id: string; readonly at: Milliseconds }[] = []
  #isDown = false
  #probe: { readonly id: string; readonly until: Milliseconds } | undefined
  #nextProbeAt: Milliseconds = 0
  #answeredAt = Number.NEGATIVE_INFINITY

  constructor(now: Now) {
    this.#now = now
  }

  enter(id: string): Promise<Milliseconds> {
    const now = this.#now()
    const wait = this.#endOf(this.#waits.get(id)) - now
    if (wait > 0) return Promise.resolve(wait)
    if (!this.#isDown) return Promise.resolve(0)
    const isFreeAt = Math.max(this.#probe?.until ?? 0, this.#nextProbeAt)
    if (now < isFreeAt) return Promise.resolve(Math.min(isFreeAt - now, minWait))
    this.#probe = { id, until: now + probeLife }
    return Promise.resolve(0)
  }

  failed(id: string, { kind, asked, jitter }: Setback): Promise<Milliseconds> {
    const now = this.#now()
    const failures = (this.#waits.get(id)?.failures ?? 0) + 1
    const wait = asked ?? backOff(failures, minWait, maxWait, jitter)
    this.#waits.set(id, { failures, at: now, until: now + wait, isDown: kind === 'down' })
    if (kind === 'down') this.#miss(id, now)
    if (kind === 'unverified') this.#isUp(now)
    if (this.#probe?.id === id) this.#probe = undefined
    this.#nextProbeAt = now + probePause
    return Promise.resolve(wait)
  }

  answered(id: string): Promise<void> {
    this.#waits.delete(id)
    this.#isUp(this.#now())
    return Promise.resolve()
  }

  /** Who found nobody need not wait any longer than a moment once somebody was answered. */
  #endOf(wait: Wait | undefined): Milliseconds {
    if (wait === undefined) return 0
    const isOver = wait.isDown && this.#answeredAt >= wait.at
    return isOver ? Math.min(wait.until, wait.at + minWait) : wait.until
  }

  #miss(id: string, at: Milliseconds): void {
    const others = this.#missed.filter((one) => one.id !== id && at - one.at < downWithin)
    this.#missed = [{ id, at }, ...others].slice(0, downAfter)
    if (this.#missed.length === downAfter) this.#isDown = true
  }

  #isUp(at: Milliseconds): void {
    this.#isDown = false
    this.#probe = undefined
    this.#missed = []
    this.#answeredAt = at
  }
}
