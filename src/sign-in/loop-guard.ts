/** Notices a browser that signs in again and again, and stops it with a page that names the likely cause. */
import type { Milliseconds } from '../core/clock.js'
import { formatCookie } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'

/** Sign-ins that may follow each other within half a minute; the next one is a loop. */
const most = 2
/** How long a browser remembers its last sign-ins. */
const memory: Milliseconds = 30_000

/** Counts finished sign-ins in a short cookie: a browser that keeps it but not the session is in a loop. */
export function createLoopGuard(names: CookieNames) {
  const name = `${names.attempt}again`
  const countOf = (present: readonly (readonly [string, string])[]): number => {
    const value = present.find(([cookie]) => cookie === name)?.[1] ?? ''
    return /^[0-9]$/.test(value) ? Number(value) : 0
  }
  return {
    /** Login attempts without the counter. */
    others: (present: readonly (readonly [string, string])[]) =>
      present.filter(([cookie]) => cookie !== name),
    isLoop: (present: readonly (readonly [string, string])[]): boolean => countOf(present) >= most,
    /** To be set when a sign-in succeeds. */
    count: (present: readonly (readonly [string, string])[]): string =>
      formatCookie(names, name, String(Math.min(countOf(present) + 1, 9)), memory),
    /** To be set when the loop was shown, or somebody signed out. */
    forget: (present: readonly (readonly [string, string])[]): readonly string[] =>
      present.some(([cookie]) => cookie === name) ? [formatCookie(names, name, '', 0)] : [],
  }
}

/** The loop breaker of one gateway. */
export type LoopGuard = ReturnType<typeof createLoopGuard>
