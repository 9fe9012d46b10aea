/** What went wrong lately, for the status page: the latest refusal of each code, and the latest fault of each upstream. */
import type { Milliseconds, Now } from '../core/clock.js'
import type { ErrorCode } from '../core/errors.js'

/** The latest refusal of a code. */
export interface RecentRefusal {
  readonly code: ErrorCode
  /** How many there were since the start. */
  readonly count: number
  readonly at: Milliseconds
  readonly status: number
  /** The `request_id` of its log line. */
  readonly requestId: string
  readonly route: string
  /** Empty for nobody. */
  readonly user: string
}

/** The latest fault of an upstream. */
export interface UpstreamFault {
  readonly code: ErrorCode
  readonly at: Milliseconds
  /** Whether nothing was answered since. */
  readonly isOpen: boolean
}

/**
 * Remembers it. Both maps are bounded by their keys, which no client chooses: codes of `core/errors.ts`, and upstreams of
 * a configuration, where a reload drops those that it took away. An entry is overwritten by the next of its key.
 */
export class RecentTrouble {
  readonly #now: Now
  readonly #refusals = new Map<ErrorCode, RecentRefusal>()
  readonly #faults = new Map<string, { code: ErrorCode; at: Milliseconds }>()
  readonly #open = new Set<string>()

  constructor(now: Now) {
    this.#now = now
  }

  /** Notes a refusal; nothing else of a request comes here. */
  refused(code: ErrorCode, request: Omit<RecentRefusal, 'code' | 'count' | 'at'>): void {
    const count = (this.#refusals.get(code)?.count ?? 0) + 1
    // The latest one comes last.
    this.#refusals.delete(code)
    this.#refusals.set(code, { code, count, at: this.#now(), ...request })
  }

  /** Notes a fault of an upstream. */
  failed(upstream: string, code: ErrorCode): void {
    this.#faults.set(upstream, { code, at: this.#now() })
    this.#open.add(upstream)
  }

  /** Notes an answer of an upstream: every request passes here. */
  answered(upstream: string): void {
    if (this.#open.size > 0) this.#open.delete(upstream)
  }

  /** Forgets upstreams that are not configured any more. */
  keepOnly(upstreams: ReadonlySet<string>): void {
    for (const name of this.#faults.keys()) {
      if (upstreams.has(name)) continue
      this.#faults.delete(name)
      this.#open.delete(name)
    }
  }

  /** The latest refusal of each code, the latest one first. */
  get refusals(): readonly RecentRefusal[] {
    return [...this.#refusals.values()].toReversed()
  }

  /** The latest fault of an upstream, if there was one. */
  faultOf(upstream: string): UpstreamFault | undefined {
    const fault = this.#faults.get(upstream)
    return fault && { ...fault, isOpen: this.#open.has(upstream) }
  }
}
