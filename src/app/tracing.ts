/** Opens tracing as the configuration has it. */
import type { Config } from '../config/schema.js'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import { readVersion } from '../core/version.js'
import type { Metrics } from '../observe/metrics.js'
import { toOtlp } from '../observe/otlp.js'
import { SpanExporter } from '../observe/span-exporter.js'
import { Tracing } from '../observe/tracing.js'

/** What it needs of the process. */
export interface TracingParts {
  readonly now: Now
  readonly timers: Timers
  readonly random: () => number
  readonly metrics: Pick<Metrics, 'spans'>
  readonly onFault: (cause: unknown) => void
}

/** Tracing, and how it ends. */
export interface OpenTracing {
  readonly tracing: Tracing
  /** Sends what waits, within this time. */
  readonly close: (limit: Milliseconds) => Promise<void>
}

/** Opens it; undefined without `tracing`. */
export function openTracing(
  { tracing: wanted }: Pick<Config, 'tracing'>,
  { now, timers, random, metrics, onFault }: TracingParts,
): OpenTracing | undefined {
  if (wanted === undefined) return undefined
  const version = readVersion()
  const resource = {
    'service.name': wanted.serviceName,
    'service.version': version,
    'process.pid': process.pid,
  }
  const exporter = new SpanExporter({
    ...wanted,
    toBody: (spans) => toOtlp(spans, resource, version),
    timers,
    random,
    count: (result, spans) => metrics.spans.inc({ result }, spans),
    onFault,
  })
  const tracing = new Tracing({ ...wanted, now, add: (span) => exporter.add(span) })
  return { tracing, close: (limit) => exporter.close(limit) }
}
