/** Time as it is handed in: an instant, a clock, and timers that a test can drive by hand. */

/** An instant in milliseconds since the start of 1970, or a span of milliseconds. */
export type Milliseconds = number

/** The injected clock. */
export type Now = () => Milliseconds

/** What a timer was set as; only its own {@link Timers} know more of it. */
export interface Timer {
  /** Lets the process end although the timer still runs. */
  unref(): unknown
}

/** The injected timers, so that a test moves time instead of waiting for it. */
export interface Timers {
  /** Time since some start, for measuring spans: unlike the clock of {@link Now}, nobody sets it. */
  monotonic(): Milliseconds
  setTimeout(callback: () => void, delay: Milliseconds): Timer
  clearTimeout(timer: Timer | undefined): void
  setInterval(callback: () => void, period: Milliseconds): Timer
  clearInterval(timer: Timer | undefined): void
}

/** The timers of the process: the default wherever timers are handed in. */
export const realTimers: Timers = {
  monotonic: () => performance.now(),
  setTimeout: (callback, delay) => setTimeout(callback, delay),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  setInterval: (callback, period) => setInterval(callback, period),
  clearInterval: (timer) => clearInterval(timer as NodeJS.Timeout | undefined),
}

/** What the work gives; undefined if it takes longer than `limit`, and then it goes on without whoever waited. */
export async function within<T extends object>(
  timers: Timers,
  work: Promise<T>,
  limit: Milliseconds,
): Promise<T | undefined> {
  let timer: Timer | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = timers.setTimeout(() => resolve(undefined), limit)
  })
  return Promise.race([work, late]).finally(() => timers.clearTimeout(timer))
}

/** Resolves after `delay`. */
export function wait(timers: Timers, delay: Milliseconds): Promise<void> {
  return new Promise((resolve) => {
    timers.setTimeout(resolve, delay)
  })
}
