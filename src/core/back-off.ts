/** How long to wait before what failed is tried again. */
import type { Milliseconds } from './clock.js'

/** The part of a wait that jitter adds at most. */
export const jitterPart = 0.25

/**
 * The wait after so many failures in a row: it doubles from `first` to `max`.
 * @param jitter from 0 to 1, so that those that failed together don't come back together
 */
export function backOff(
  failures: number,
  first: Milliseconds,
  max: Milliseconds,
  jitter: number,
): Milliseconds {
  return Math.min(Math.floor(first * 2 ** (failures - 1) * (1 + jitterPart * jitter)), max)
}
