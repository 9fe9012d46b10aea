/** A coarse clock for the time limits of many connections: one interval for all of them, and none of their own. */
import type { Milliseconds, Timer, Timers } from '../core/clock.js'

/** A moment on the coarse clock; `never` is no moment. */
export type Tick = number

/** The moment that never comes. */
export const never: Tick = Number.POSITIVE_INFINITY

/** How long a tick is: a limit is reached by so much late, and never early. */
const period: Milliseconds = 250

/** Counts ticks while it runs. A process that stood still counts one of them, so that nobody is blamed for its pause. */
export class Ticks {
  readonly #timers: Timers
  readonly #onTick: (now: Tick) => void
  #timer: Timer | undefined
  #now: Tick = 0

  constructor(timers: Timers, onTick: (now: Tick) => void) {
    this.#timers = timers
    this.#onTick = onTick
  }

  /** The first tick by which a span that begins now has passed. */
  after(span: Milliseconds): Tick {
    return this.#now + Math.ceil(span / period) + 1
  }

  start(): void {
    this.#timer ??= this.#timers.setInterval(() => this.#onTick(++this.#now), period)
    this.#timer.unref()
  }

  stop(): void {
    this.#timers.clearInterval(this.#timer)
    this.#timer = undefined
  }
}
