/** A bar for work that takes long: drawn on a terminal only, on standard error, and gone when the work is over. */
import type { Output } from './command.js'

/** How far some work is. */
export interface Progress {
  /** So much more is done. */
  add(amount: number): void
  /** Takes the bar away; whatever is said next begins on a clean line. */
  end(): void
}

/** Milliseconds between two drawings. */
const drawEvery = 200
const width = 30

/**
 * Begins a bar.
 * @param total how much there is to do; undefined or 0 where that is not known, and only the words are shown
 * @param tell says in words how much is done
 */
export function createProgress(
  { progress: draw }: Pick<Output, 'progress'>,
  total: number | undefined,
  tell: (done: number) => string,
  now: () => number = () => performance.now(),
): Progress {
  let done = 0
  let drawnAt = Number.NEGATIVE_INFINITY
  const bar = (): string => {
    if (total === undefined || total === 0) return tell(done)
    const part = Math.min(1, done / total)
    const filled = Math.round(width * part)
    return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${(100 * part).toFixed(1)} %, ${tell(done)}`
  }
  return {
    add(amount) {
      done += amount
      if (draw === undefined || now() - drawnAt < drawEvery) return
      drawnAt = now()
      draw(`\r${bar()}\u001b[K`)
    },
    end() {
      if (drawnAt !== Number.NEGATIVE_INFINITY) draw?.('\r\u001b[K')
    },
  }
}

/** Words for work that is counted: `12 of 300`. */
export const ofTotal =
  (total: number) =>
  (done: number): string =>
    `${done} of ${total}`
