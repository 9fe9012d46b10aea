/** Which configuration is served, since when, and which one was refused last and why. */
import { ConfigProblems, formatProblem } from '../../config/problems.js'
import type { Problem } from '../../config/problems.js'
import type { Milliseconds, Now } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import { FixedChangeError } from '../generation.js'

/** A configuration that was not taken. */
export interface ConfigurationRefusal {
  readonly at: Milliseconds
  /** Whether none was taken since. */
  readonly isOpen: boolean
  /** One line for each problem. */
  readonly why: readonly string[]
}

/** Problems that are told; a file can have any number. */
const maxProblems = 20

/** What the file says can name people: who has no token is told the places alone. */
const placeOf = ({ file, line, column }: Problem): string =>
  `${file}:${line}:${column}: the problem is told with admin.token, by the log and by trac-gateway check`

function whyOf(cause: unknown, withNames: boolean): readonly string[] {
  if (cause instanceof ConfigProblems) {
    const { problems } = cause
    const told = problems.slice(0, maxProblems).map(withNames ? formatProblem : placeOf)
    const more = problems.length - told.length
    return more === 0 ? told : [...told, `and ${more} more`]
  }
  // These two name keys and nothing else.
  const isPlain = cause instanceof FixedChangeError || cause instanceof GatewayError
  if (cause instanceof Error && (isPlain || withNames)) return [cause.message]
  return ['the log tells why']
}

/** Keeps the record; one entry each, which the next one replaces. */
export class ConfigurationRecord {
  readonly #now: Now
  #generation = 0
  #since: Milliseconds
  #refusal: { readonly at: Milliseconds; readonly cause: unknown } | undefined
  #isOpen = false

  constructor(now: Now) {
    this.#now = now
    this.#since = now()
  }

  /** A configuration is served from now on. */
  taken(): void {
    this.#generation++
    this.#since = this.#now()
    this.accepted()
  }

  /** The files are good again, whether or not they say anything new. */
  accepted(): void {
    this.#isOpen = false
  }

  refused(cause: unknown): void {
    this.#refusal = { at: this.#now(), cause }
    this.#isOpen = true
  }

  /** @param withNames whether names of people may be told */
  report(withNames: boolean): {
    readonly generation: number
    readonly since: Milliseconds
    readonly lastRefusal: ConfigurationRefusal | undefined
  } {
    const refusal = this.#refusal
    return {
      generation: this.#generation,
      since: this.#since,
      lastRefusal: refusal && {
        at: refusal.at,
        isOpen: this.#isOpen,
        why: whyOf(refusal.cause, withNames),
      },
    }
  }
}
