/** What a soak writes down while it runs: each request, each failure with the gateway's own line, each disturbance. */

/** Kinds of requests, as the tables name them. */
export const kinds = [
  'sign-in',
  'page',
  'file',
  'edit',
  'upload',
  'download',
  'api',
  'renewal',
  'session',
  'sign-out',
] as const

/** One of {@link kinds}. */
export type Kind = (typeof kinds)[number]

/** What is done to the gateways and to Redis. */
export type What = 'reload' | 'refused reload' | 'redis' | 'kill'

/** Something that was done, and the span in which it may be the cause of a failure. Seconds since the start. */
export interface Disturbance {
  readonly what: What
  /** Which replica it happened to; undefined: all of them. */
  readonly replica: number | undefined
  readonly from: number
  /** From here on nothing may fail because of it; `Infinity` until it is over. */
  until: number
}

/** One request that was answered as it should be. Seconds since the start; `ms` is how long it took. */
export interface Sample {
  readonly at: number
  readonly kind: Kind
  readonly ms: number
}

/** One that was not. */
export interface Failure {
  readonly from: number
  readonly to: number
  readonly kind: Kind
  /** Who asked. */
  readonly client: string
  readonly replica: number
  readonly request: string
  /** 0 if the connection broke. */
  readonly status: number
  /** Whether it had a Bearer token. */
  readonly isBearer: boolean
  readonly retryAfter: boolean
  /** `X-Request-Id`; empty text if there was no answer. */
  readonly requestId: string
  /** What was wrong, in words. */
  readonly words: string
  /** The gateway's line `request` for it, once that has been written; empty text if there is none. */
  line: string
  /** The code in that line. */
  code: string
}

/** The memory of one gateway. MiB. */
export interface MemorySample {
  /** Seconds since the start. */
  readonly at: number
  readonly replica: number
  readonly pid: number
  readonly resident: number
  /** What is still referenced after a collection, buffers included; undefined where nothing was collected. */
  readonly held: number | undefined
}

/** The gateway's lines that are kept for each replica; the oldest go first. */
const keptLines = 20_000
/** Failures that are kept with all their words; what comes later only counts. */
const keptFailures = 5000
/** The gateway writes its line when the answer is over, and this process reads it after that. */
const lineDelay = 3000

/** All of one run. */
export class Records {
  readonly samples: Sample[] = []
  readonly failures: Failure[] = []
  readonly disturbances: Disturbance[] = []
  readonly memory: MemorySample[] = []
  /** Failures beyond those that are kept. */
  dropped = 0
  #startedAt = performance.now()
  readonly #lines: string[][] = []

  /** Time is counted from here. */
  begin(): void {
    this.#startedAt = performance.now()
  }

  /** Seconds since the start. */
  now(): number {
    return (performance.now() - this.#startedAt) / 1000
  }

  /** Takes a line of a replica's log. */
  keepLine(replica: number, line: string): void {
    const lines = (this.#lines[replica] ??= [])
    lines.push(line)
    if (lines.length > keptLines * 1.25) lines.splice(0, lines.length - keptLines)
  }

  /** The last lines of a replica's log. */
  lines(replica: number): readonly string[] {
    return this.#lines[replica] ?? []
  }

  /** Writes a failure down, and looks for the gateway's line a moment later. */
  fail(failure: Omit<Failure, 'line' | 'code'>): void {
    if (this.failures.length >= keptFailures) {
      this.dropped++
      return
    }
    const kept: Failure = { ...failure, line: '', code: '' }
    this.failures.push(kept)
    if (kept.requestId === '') return
    setTimeout(() => {
      kept.line = this.#lineOf(kept)
      kept.code = /"code":"(\w+)"/.exec(kept.line)?.[1] ?? ''
    }, lineDelay).unref()
  }

  /** Resolves once every failure so far has its line. */
  async settled(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, lineDelay + 500))
  }

  #lineOf({ replica, requestId }: Failure): string {
    const own = `"request_id":"${requestId}"`
    const found = this.lines(replica).findLast(
      (line) => line.includes(own) && line.includes('"msg":"request"'),
    )
    return found ?? ''
  }
}

/** What is in a list, by a key of each, in its order. */
export function groupBy<T, K>(list: readonly T[], keyOf: (one: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const one of list) {
    const key = keyOf(one)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [one])
    else group.push(one)
  }
  return groups
}
