/** Notes in memory of when tokens were used, which a store writes down now and then: nobody waits for that. */
import type { Milliseconds, Timer, Timers } from '../core/clock.js'

/** They are written down so often at most. */
const flushEvery: Milliseconds = 60_000

/** A token by its id, and the hour of its last use. */
export type Use = readonly [id: string, hour: number]

/** The notes of one store. Bounded by the tokens that are used within {@link flushEvery}. */
export class UseNotes {
  readonly #timers: Timers
  readonly #write: (uses: readonly Use[]) => void | Promise<void>
  readonly #unwritten = new Map<string, number>()
  #timer: Timer | undefined

  constructor(timers: Timers, write: (uses: readonly Use[]) => void | Promise<void>) {
    this.#timers = timers
    this.#write = write
  }

  /** The hour of a use that is not written down yet. */
  of(id: string): number | undefined {
    return this.#unwritten.get(id)
  }

  note(id: string, hour: number): void {
    this.#unwritten.set(id, hour)
    this.#timer ??= this.#startTimer()
  }

  async flush(): Promise<void> {
    const uses = [...this.#unwritten]
    this.#unwritten.clear()
    if (uses.length > 0) await this.#write(uses)
  }

  close(): void {
    this.#timers.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #startTimer(): Timer {
    const timer = this.#timers.setTimeout(() => {
      this.#timer = undefined
      // When a token was last used is worth no more than a try.
      void this.flush().catch(() => undefined)
    }, flushEvery)
    timer.unref()
    return timer
  }
}
