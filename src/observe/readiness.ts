/** Whether to send people here. Once everything was reached it stays ready; later trouble is only told (deploy/docs/guides/operations.md#probes-and-metrics). */

/** What must have been reached once. */
export type Part = 'keys' | 'upstream' | 'store'

/** What `degraded` can be about, in one word each. */
export const degradedCauses = [
  'keys',
  'upstream',
  'store',
  'configuration',
  'certificate',
  'plugin',
  'revocations',
  'workers',
  'stopping',
] as const
/** One of them. */
export type DegradedCause = (typeof degradedCauses)[number]

/** The state that `/readyz` tells. */
export interface Readiness {
  /** A part was reached, or could not be: `name` says which it is, and `why` what stood in the way. */
  reached(part: Part): void
  missed(part: Part, name?: string, why?: string): void
  /** A part was not reached, but what is known of it is enough to go on. */
  serves(part: Part): void
  /** Other trouble, such as a refused reload; empty text ends it. */
  note(about: Exclude<DegradedCause, Part | 'stopping'>, text: string): void
  /** From now on it is not ready: the process stops. */
  drain(): void
  readonly draining: boolean
  /** What is degraded now, in the words of {@link degradedCauses}. */
  causes(): ReadonlySet<DegradedCause>
  report(): { readonly ready: boolean; readonly waiting: Part[]; readonly degraded: string[] }
}

/** Creates the state; `parts` are what this gateway needs. */
export function createReadiness(parts: readonly Part[]): Readiness {
  const waiting = new Set<Part>(parts)
  const trouble = new Map<DegradedCause, string>()
  let draining = false
  return {
    reached(part) {
      waiting.delete(part)
      trouble.delete(part)
    },
    missed(part, name = part, why) {
      trouble.set(part, `${name} can't be reached${why === undefined ? '' : `: ${why}`}`)
    },
    serves(part) {
      waiting.delete(part)
    },
    note(about, text) {
      if (text === '') trouble.delete(about)
      else trouble.set(about, text)
    },
    drain() {
      draining = true
    },
    get draining() {
      return draining
    },
    causes: () => new Set([...trouble.keys(), ...(draining ? (['stopping'] as const) : [])]),
    report: () => ({
      ready: waiting.size === 0 && !draining,
      waiting: [...waiting],
      degraded: [...trouble.values(), ...(draining ? ['shutting down'] : [])],
    }),
  }
}
