/** Traces for OpenTelemetry: which requests are traced, under which ids, and the spans of each (deploy/docs/guides/monitoring.md#traces). */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { randomHex } from '../core/random.js'
import { createRequestNames, traceparentForm as form } from '../request/request-id.js'
import { sampledFlag } from './otlp.js'
import type { Attributes, Span } from './otlp.js'

const newSpanId = (): string => randomHex(8)

/** The part of a trace's id that decides: 52 of its random bits, as a number below 1. */
const fractionOf = (traceId: string): number => parseInt(traceId.slice(19), 16) / 2 ** 52

/** What tracing is told. */
export interface TracingOptions {
  /** The part of traces that are recorded, from 0 to 1, where nobody has decided before. */
  readonly ratio: number
  /** Whether the `sampled` flag of who calls decides. */
  readonly followParent: boolean
  readonly now: Now
  readonly add: (span: Span) => void
}

/** A part of a span's work: what it was and how it ended. */
export type Work = Pick<Span, 'name' | 'kind' | 'attributes'> & { readonly failed?: boolean }

/** One request, or one errand of the gateway's own, that is recorded. */
export class Trace {
  readonly traceId: string
  /** The span that all others are part of. */
  readonly rootId: string
  readonly #parentId: string | undefined
  /** From `performance.now()` to the clock, which may be set while it runs. */
  readonly #offset: Milliseconds
  readonly #add: (span: Span) => void

  constructor(
    { now, add }: Pick<TracingOptions, 'now' | 'add'>,
    traceId: string,
    parentId: string | undefined,
  ) {
    this.traceId = traceId
    this.rootId = newSpanId()
    this.#parentId = parentId
    this.#offset = now() - performance.now()
    this.#add = add
  }

  /** The clock, as it stood when this began, and gone on since. */
  now(): Milliseconds {
    return performance.now() + this.#offset
  }

  /** Records the whole; times are those of `performance.now()`. */
  end(startedAt: Milliseconds, work: Work): void {
    this.#record(startedAt, this.rootId, this.#parentId, work)
  }

  /** Records a part that has just ended. */
  part(startedAt: Milliseconds, work: Work, spanId = newSpanId()): void {
    this.#record(startedAt, spanId, this.rootId, work)
  }

  #record(
    startedAt: Milliseconds,
    spanId: string,
    parentSpanId: string | undefined,
    { failed = false, ...work }: Work,
  ): void {
    this.#add({
      ...work,
      failed,
      traceId: this.traceId,
      spanId,
      parentSpanId,
      startedAt: startedAt + this.#offset,
      endedAt: this.now(),
    })
  }
}

/** Asks somebody, as `fetch` does. */
type Ask = (url: string, init: RequestInit, limit?: number) => Promise<Response>

/** Decides, and remembers what is recorded just now. */
export class Tracing {
  readonly #options: TracingOptions
  readonly #current = new AsyncLocalStorage<Trace>()

  /** Names for requests; see {@link createRequestNames}. */
  readonly names = {
    ...createRequestNames(),
    trace: (received: string): string => this.#traceparent(received),
  }

  constructor(options: TracingOptions) {
    this.#options = options
  }

  /**
   * The `traceparent` that goes upstream. Of a trace that is recorded it names the span of the question to the upstream;
   * of another one it is that of who called.
   */
  #traceparent(received: string): string {
    const parent = form.exec(received)
    const traceId = parent?.[1] ?? randomHex(16)
    const flags = parent === null ? 0 : parseInt(parent[3]!, 16)
    if (this.#isSampled(traceId, parent === null ? undefined : flags)) {
      const set = (flags | sampledFlag).toString(16).padStart(2, '0')
      return `00-${traceId}-${newSpanId()}-${set}`
    }
    return parent === null ? `00-${traceId}-${newSpanId()}-00` : received
  }

  #isSampled(traceId: string, flags: number | undefined): boolean {
    const { followParent, ratio } = this.#options
    if (flags !== undefined && followParent) return (flags & sampledFlag) !== 0
    return fractionOf(traceId) < ratio
  }

  /** The trace of a request by what came and what goes upstream; undefined if it is not recorded. */
  begin(received: string, sent: string): Trace | undefined {
    if (sent === received) return undefined
    const [, traceId, , flags] = form.exec(sent) ?? []
    if (traceId === undefined || (parseInt(flags!, 16) & sampledFlag) === 0) return undefined
    return new Trace(this.#options, traceId, form.exec(received)?.[2])
  }

  /** Runs what belongs to a trace. */
  within<T>(trace: Trace, work: () => T): T {
    return this.#current.run(trace, work)
  }

  /** Records what the provider is asked: as a part of the request that it is for, or as an errand of its own. */
  around(ask: Ask): Ask {
    return async (url, init, limit) => {
      const current = this.#current.getStore()
      const trace = current ?? this.#errand()
      if (trace === undefined) return await ask(url, init, limit)
      const startedAt = performance.now()
      const { method = 'GET' } = init
      const address = new URL(url)
      const end = (attributes: Attributes, failed: boolean): void => {
        const work: Work = {
          name: `${method} ${address.pathname}`,
          kind: 'client',
          failed,
          attributes: {
            'http.request.method': method,
            // Without what may be secret in it.
            'url.full': address.origin + address.pathname,
            'server.address': address.hostname,
            'trac_gateway.peer': 'provider',
            ...attributes,
          },
        }
        if (current === undefined) trace.end(startedAt, work)
        else trace.part(startedAt, work)
      }
      try {
        const response = await ask(url, init, limit)
        end({ 'http.response.status_code': response.status }, response.status >= 400)
        return response
      } catch (error) {
        end({ 'error.type': error instanceof GatewayError ? error.code : 'fault' }, true)
        throw error
      }
    }
  }

  #errand(): Trace | undefined {
    const traceId = randomHex(16)
    if (fractionOf(traceId) >= this.#options.ratio) return undefined
    return new Trace(this.#options, traceId, undefined)
  }
}
