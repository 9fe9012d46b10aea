/** Notices a browser that signs in again and again, and stops it with a page that names the likely cause. */
import type { Milliseconds } from '../core/clock.js'
import { formatCookie } from '../session/cookies.js'
import type { CookieNames, CookiePairs } from '../session/cookies.js'

/** Sign-ins that may follow each other within {@link memory}; the next one is a loop. */
const maxSignIns = 2
const memory: Milliseconds = 30_000

/** Counts finished sign-ins in a short cookie: a browser that keeps it but not the session is in a loop. */
export class LoopGuard {
  readonly #names: CookieNames
  readonly #name: string

  constructor(names: CookieNames) {
    this.#names = names
    this.#name = `${names.attempt}again`
  }

  /** Login attempts without the counter. */
  others(present: CookiePairs): CookiePairs {
    return present.filter(([cookie]) => cookie !== this.#name)
  }

  isLoop(present: CookiePairs): boolean {
    return this.#countOf(present) >= maxSignIns
  }

  /** The cookie to set when a sign-in succeeds. */
  count(present: CookiePairs): string {
    const count = Math.min(this.#countOf(present) + 1, 9)
    return formatCookie(this.#names, this.#name, String(count), memory)
  }

  /** The cookies to set when the loop was shown, or somebody signed out. */
  forget(present: CookiePairs): readonly string[] {
    const isCounted = present.some(([cookie]) => cookie === this.#name)
    return isCounted ? [formatCookie(this.#names, this.#name, '', 0)] : []
  }

  #countOf(present: CookiePairs): number {
    const value = present.find(([cookie]) => cookie === this.#name)?.[1] ?? ''
    return /^[0-9]$/.test(value) ? Number(value) : 0
  }
}
