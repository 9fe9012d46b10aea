/**
 * Sends spans to a collector, some at a time and beside all requests. What waits is bounded: a collector that is slow or
 * gone costs spans, which are counted, and nothing else.
 */
import { backOff } from '../core/back-off.js'
import type { Milliseconds, Timer, Timers } from '../core/clock.js'
import type { Span } from './otlp.js'

/** What became of spans: taken by the collector, refused by it, or without a place. */
export type SpanResult = 'sent' | 'failed' | 'dropped'

/** What an exporter is told. */
export interface ExporterOptions {
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** For one answer of the collector. */
  readonly timeout: Milliseconds
  /** Until spans are sent that are few. */
  readonly interval: Milliseconds
  /** Spans that may wait. */
  readonly queue: number
  readonly toBody: (spans: readonly Span[]) => string
  readonly timers: Timers
  readonly random: () => number
  readonly count: (result: SpanResult, spans: number) => void
  /** Hears of the first fault, and of the next one only after spans were sent. */
  readonly onFault: (cause: unknown) => void
}

/** Spans in one request: about 300 KB. */
const batchSize = 512
const firstWait: Milliseconds = 1000
const maxWait: Milliseconds = 30_000
/** How often spans are sent that the collector could not take. */
const maxTries = 5

/** Statuses after which the protocol has the same spans sent again; others are final. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** Sends spans. */
export class SpanExporter {
  readonly #options: ExporterOptions
  #queue: Span[] = []
  #timer: Timer | undefined
  #sending: Promise<void> | undefined
  #abort: AbortController | undefined
  #tries = 0
  #faulty = false
  #isClosed = false

  constructor(options: ExporterOptions) {
    this.#options = options
  }

  /** Takes a span over; it never waits. */
  add(span: Span): void {
    const { queue, count } = this.#options
    if (this.#isClosed || this.#queue.length >= queue) {
      count('dropped', 1)
      return
    }
    this.#queue.push(span)
    if (this.#sending !== undefined) return
    if (this.#queue.length === batchSize && this.#tries === 0) this.#send()
    else if (this.#timer === undefined) this.#sendAfter(this.#options.interval)
  }

  /** Sends what waits, within this time; what is left then is dropped. */
  async close(limit: Milliseconds): Promise<void> {
    const { timers, count } = this.#options
    const end = timers.setTimeout(() => {
      this.#isClosed = true
      this.#abort?.abort(new Error('the process ends'))
    }, limit)
    while (!this.#isClosed && (this.#sending !== undefined || this.#queue.length > 0)) {
      if (this.#sending === undefined) this.#send()
      await this.#sending
      // There is no later for another try.
      if (this.#tries > 0) break
    }
    this.#isClosed = true
    timers.clearTimeout(end)
    timers.clearTimeout(this.#timer)
    if (this.#queue.length > 0) count('dropped', this.#queue.length)
    this.#queue = []
  }

  #sendAfter(delay: Milliseconds): void {
    const { timers } = this.#options
    this.#timer = timers.setTimeout(() => this.#send(), delay)
    this.#timer.unref()
  }

  #send(): void {
    const { timers, interval } = this.#options
    timers.clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#queue.splice(0, batchSize)
    this.#sending = this.#deliver(batch).then((delay) => {
      this.#sending = undefined
      if (this.#isClosed || this.#queue.length === 0) return
      this.#sendAfter(delay ?? (this.#queue.length >= batchSize ? 0 : interval))
    })
  }

  /** Sends these; undefined, or how long to wait before the next ones. */
  async #deliver(batch: readonly Span[]): Promise<Milliseconds | undefined> {
    const { count, onFault, random } = this.#options
    const fault = await this.#post(batch)
    if (fault === undefined) {
      count('sent', batch.length)
      this.#tries = 0
      this.#faulty = false
      return undefined
    }
    if (!this.#faulty) onFault(fault.cause)
    this.#faulty = true
    this.#tries++
    if (fault.isFinal || this.#tries >= maxTries) {
      count('failed', batch.length)
      this.#tries = fault.isFinal ? 0 : 1
    } else this.#putBack(batch)
    return backOff(Math.max(1, this.#tries), firstWait, maxWait, random())
  }

  /** They were first; what has no place any more is what came last. */
  #putBack(batch: readonly Span[]): void {
    const { queue, count } = this.#options
    const all = [...batch, ...this.#queue]
    this.#queue = all.slice(0, queue)
    if (all.length > queue) count('dropped', all.length - queue)
  }

  async #post(
    batch: readonly Span[],
  ): Promise<{ readonly cause: unknown; readonly isFinal: boolean } | undefined> {
    const { endpoint, headers, timeout, timers, toBody } = this.#options
    const abort = new AbortController()
    this.#abort = abort
    const timer = timers.setTimeout(
      () => abort.abort(new Error('the collector took too long')),
      timeout,
    )
    timer.unref()
    try {
      const { status, body } = await fetch(endpoint, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: toBody(batch),
        redirect: 'manual',
        signal: abort.signal,
      })
      // Nothing that it says is used.
      await body?.cancel()
      if (status >= 200 && status < 300) return undefined
      return {
        cause: new Error(`the collector answered ${status}`),
        isFinal: !passing.has(status),
      }
    } catch (cause) {
      return { cause, isFinal: false }
    } finally {
      timers.clearTimeout(timer)
    }
  }
}
