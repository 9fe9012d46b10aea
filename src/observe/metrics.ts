/** Every metric with its closed set of labels; a label's value never comes from a client. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** From 50 µs, what a warm request costs here, to 10 s, when people give up; in seconds. */
const buckets = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  5, 10,
]

/** The registry of one gateway and what it counts. */
export type Metrics = ReturnType<typeof createMetrics>

/** What counts or observes for one fixed set of labels, made once per set of labels: looking them up by object costs more than counting. */
function childCache<T extends (value: number) => void>(make: (labels: readonly string[]) => T) {
  const children = new Map<string, T>()
  return (...labels: string[]): T => {
    const key = labels.join('\n')
    let child = children.get(key)
    if (child === undefined) {
      child = make(labels)
      children.set(key, child)
    }
    return child
  }
}

/** Creates the metrics, `process_…` and `nodejs_…` among them. */
export function createMetrics(build: { readonly version: string }) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const histogram = (name: string, help: string, labelNames: string[]) => {
    const metric = new Histogram({ name, help, labelNames, buckets, registers: [registry] })
    return childCache((labels) => metric.labels(...labels).observe)
  }
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] })

  gauge('trac_gateway_build_info', 'Version of this gateway; always 1.', ['version', 'node'])
    .labels(build.version, process.version)
    .set(1)
  const decisions = counter('trac_gateway_decisions_total', 'Decisions of the route policy.', [
    'route',
    'result',
    'mode',
  ])
  return {
    registry,
    requestDuration: histogram(
      'trac_gateway_request_duration_seconds',
      'From the headers of a request to the end of its answer.',
      ['route', 'method', 'status'],
    ),
    authenticationDuration: histogram(
      'trac_gateway_authentication_duration_seconds',
      'To find out who a request is from.',
      ['credential', 'cache', 'result'],
    ),
    upstreamDuration: histogram(
      'trac_gateway_upstream_duration_seconds',
      'From sending a request upstream to the headers of its answer.',
      ['upstream'],
    ),
    decisions: childCache((labels) => decisions.labels(...labels).inc),
    tokenVerifications: counter(
      'trac_gateway_token_verifications_total',
      'Bearer tokens verified, by result; answers from the cache are not counted.',
      ['result'],
    ),
    droppedCredentials: counter(
      'trac_gateway_dropped_credentials_total',
      'Authorization headers of a scheme that is no credential here, such as Basic.',
      ['scheme'],
    ),
    refreshes: counter('trac_gateway_refreshes_total', 'Exchanges of refresh tokens.', [
      'for',
      'result',
    ]),
    logins: counter('trac_gateway_logins_total', 'Sign-ins that came back.', ['result']),
    logouts: counter('trac_gateway_logouts_total', 'Sign-outs.', ['kind']),
    revocations: counter('trac_gateway_revocations_total', 'Revocations entered.', ['kind']),
    jwksFetches: counter('trac_gateway_jwks_fetches_total', 'Fetches of key sets.', ['result']),
    jwksAge: gauge('trac_gateway_jwks_age_seconds', 'Since the main key set was fetched.'),
    upstreamErrors: counter('trac_gateway_upstream_errors_total', 'Faults of upstreams.', [
      'upstream',
      'code',
    ]),
    upstreamConnections: gauge(
      'trac_gateway_upstream_connections',
      'Open connections to upstreams.',
      ['upstream'],
    ),
    sessions: gauge('trac_gateway_sessions', 'Sessions that are open in memory.'),
    tunnels: gauge('trac_gateway_tunnels', 'WebSocket connections that are open.'),
    configGeneration: gauge(
      'trac_gateway_config_generation',
      'How many times a configuration was taken.',
    ),
    configLastFailure: gauge(
      'trac_gateway_config_last_failure_timestamp_seconds',
      'When a configuration was last refused; 0 if never.',
    ),
  }
}
