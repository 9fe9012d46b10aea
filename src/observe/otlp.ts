/** Spans in the form that OTLP over HTTP takes as JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp). */
import type { Milliseconds } from '../core/clock.js'

/** What a span can tell. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

/** A piece of work that is over. */
export interface Span {
  /** 32 and 16 digits in hex (W3C Trace Context §3.2.2). */
  readonly traceId: string
  readonly spanId: string
  /** Undefined: nobody's work is part of this. */
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: keyof typeof kinds
  /** Instants with fractions. */
  readonly startedAt: Milliseconds
  readonly endedAt: Milliseconds
  readonly attributes: Attributes
  readonly failed: boolean
}

/** `SpanKind` of the protocol. */
const kinds = { internal: 1, server: 2, client: 3 }
/** `STATUS_CODE_ERROR`. */
const failedStatus = 2
/** A trace's `sampled` flag (W3C Trace Context §3.2.2.5), which stands in a span as well. */
export const sampledFlag = 1

/** A span's text is well-formed, since JSON's escape of half a character is refused with all that is sent beside it. */
const wellFormed = (text: string): string => Buffer.from(text).toString()

/** Texts and whole numbers; 64 bits are text there. */
function valueOf(value: string | number): object {
  if (typeof value === 'string') return { stringValue: wellFormed(value) }
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

function attributesOf(attributes: Attributes): readonly object[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: valueOf(value) }],
  )
}

/** Nanoseconds as text: more than a number holds, of which a clock tells microseconds. */
const nanosecondsOf = (at: Milliseconds): string => `${Math.round(at * 1000)}000`

function toJson(span: Span): object {
  const { traceId, spanId, parentSpanId, name, kind, startedAt, endedAt } = span
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    flags: sampledFlag,
    name: wellFormed(name),
    kind: kinds[kind],
    startTimeUnixNano: nanosecondsOf(startedAt),
    endTimeUnixNano: nanosecondsOf(Math.max(startedAt, endedAt)),
    attributes: attributesOf(span.attributes),
    status: span.failed ? { code: failedStatus } : {},
  }
}

/** An `ExportTraceServiceRequest` with these spans, whose resource is this process. */
export function toOtlp(spans: readonly Span[], resource: Attributes, version: string): string {
  const scopeSpans = [{ scope: { name: 'trac-gateway', version }, spans: spans.map(toJson) }]
  return JSON.stringify({
    resourceSpans: [{ resource: { attributes: attributesOf(resource) }, scopeSpans }],
  })
}
