/** `tracing`: spans for OpenTelemetry. */
import { isLoopback } from '../../core/host.js'
import { count, fixed, flag, leaf, optional, record, shape, text, value } from '../key.js'
import type { Resolved } from '../key.js'
import { collectorKind } from '../kinds/collector.js'
import { duration } from '../kinds/duration.js'
import { secret } from '../kinds/secret.js'
import type { Rule, Topic } from '../topic.js'

const tracing = shape(
  'Traces: what a request waited for, sent to a collector of OpenTelemetry. Without this key nothing is recorded.',
  {
    endpoint: value(
      collectorKind,
      'Where spans go: OTLP over HTTP, as JSON. Most collectors take them at port 4318 and the path `/v1/traces`.',
      { examples: ['http://127.0.0.1:4318/v1/traces'] },
    ),
    headers: record('name', secret('The value of a header.'), {
      description: 'Headers that the collector wants, such as `authorization`.',
      propertyNames: { pattern: '^[A-Za-z0-9-]{1,64}$' },
      default: {},
    }),
    ratio: leaf<number>({
      type: 'number',
      minimum: 0,
      maximum: 1,
      wanted: 'a number from 0 to 1',
      description: 'The part of traces that are recorded, where nobody has decided before.',
      default: 1,
    }),
    followParent: flag(
      'Whether the `sampled` flag of a `traceparent` that comes along decides, as the proxy in front set it. Where clients reach the gateway directly, `false` keeps them from deciding.',
      true,
    ),
    serviceName: text('`service.name` of the spans.', { default: 'trac-gateway' }),
    timeout: duration('For one answer of the collector.', '10s', { min: '100ms' }),
    interval: duration('How long spans wait for others before they are sent.', '5s', {
      min: '100ms',
    }),
    queue: count(
      'Spans that may wait. Beyond it they are dropped and counted: no request waits for a collector.',
      { default: 4096 },
    ),
  },
)

/** `tracing` of the configuration. */
export type TracingConfig = Resolved<typeof tracing>

interface TracingPart {
  readonly tracing: TracingConfig | undefined
}

const warnOfPlainHttp: Rule<TracingPart> = ({ tracing }, warn) => {
  const { endpoint, headers } = tracing ?? {}
  if (endpoint?.startsWith('http:') !== true || Object.keys(headers ?? {}).length === 0) return
  const { hostname } = new URL(endpoint)
  if (isLoopback(hostname)) return
  warn(
    ['tracing', 'endpoint'],
    `headers that are secret, over http:// to ${hostname}`,
    'https://, or a network where nobody can listen',
  )
}

const key = optional(fixed(tracing), 'no traces')

/** Traces. */
export const tracingTopic = {
  keys: { tracing: key },
  checks: [],
  warnings: { 'tracing-http': warnOfPlainHttp },
} satisfies Topic<{ tracing: typeof key }, TracingPart>
