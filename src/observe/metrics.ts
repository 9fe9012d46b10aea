/** Every metric with its closed set of labels; a label's value never comes from a client. */
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import type { Metric } from 'prom-client'
import { createCounterSeries, createHistogramSeries } from './series.js'
import type { AddTo, ExportedValue } from './series.js'

/** From 50 µs, what a warm request costs here, to 10 s, when people give up; in seconds. */
const buckets = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  5, 10,
]

/** One metric, as the registry and the reference read it. */
export interface MetricRow {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
}

const row = (
  type: MetricRow['type'],
  name: string,
  labels: readonly string[],
  help: string,
): MetricRow => ({ name: `trac_gateway_${name}`, type, labels, help })

/** Every metric of ours. A new one is a row here, and a line where it is counted. */
export const metricTable = {
  buildInfo: row('gauge', 'build_info', ['version', 'node'], 'Version of this gateway; always 1.'),
  requestDuration: row(
    'histogram',
    'request_duration_seconds',
    ['route', 'method', 'status'],
    'From the headers of a request to the end of its answer.',
  ),
  authenticationDuration: row(
    'histogram',
    'authentication_duration_seconds',
    ['credential', 'cache', 'result'],
    'To find out who a request is from.',
  ),
  upstreamDuration: row(
    'histogram',
    'upstream_duration_seconds',
    ['upstream'],
    'From sending a request upstream to the headers of its answer.',
  ),
  decisions: row(
    'counter',
    'decisions_total',
    ['route', 'result', 'mode'],
    'Decisions of the route policy.',
  ),
  tokenVerifications: row(
    'counter',
    'token_verifications_total',
    ['result'],
    'Bearer tokens verified, by result; answers from the cache are not counted.',
  ),
  droppedCredentials: row(
    'counter',
    'dropped_credentials_total',
    ['scheme'],
    'Authorization headers of a scheme that is no credential here, such as Basic.',
  ),
  refreshes: row('counter', 'refreshes_total', ['for', 'result'], 'Exchanges of refresh tokens.'),
  logins: row('counter', 'logins_total', ['result'], 'Sign-ins that came back.'),
  logouts: row('counter', 'logouts_total', ['kind'], 'Sign-outs.'),
  revocations: row('counter', 'revocations_total', ['kind'], 'Revocations entered.'),
  revocationsDropped: row(
    'counter',
    'revocations_dropped_total',
    [],
    'Revocations that had no place, since the list was full of others that still matter.',
  ),
  jwksFetches: row('counter', 'jwks_fetches_total', ['result'], 'Fetches of key sets.'),
  jwksAge: row('gauge', 'jwks_age_seconds', [], 'Since the main key set was fetched.'),
  upstreamErrors: row(
    'counter',
    'upstream_errors_total',
    ['upstream', 'code'],
    'Faults of upstreams.',
  ),
  upstreamConnections: row(
    'gauge',
    'upstream_connections',
    ['upstream'],
    'Open connections to upstreams.',
  ),
  upstreamWaiting: row(
    'gauge',
    'upstream_waiting',
    ['upstream'],
    'Requests that wait for a place at an upstream.',
  ),
  fileRequests: row(
    'counter',
    'file_requests_total',
    ['answer'],
    'Requests to rules whose answers are kept in memory.',
  ),
  fileFills: row(
    'counter',
    'file_fills_total',
    ['answer'],
    'Requests of the gateway’s own for such files.',
  ),
  fileBytes: row('gauge', 'file_bytes', [], 'Bytes of files that are kept in memory.'),
  sessions: row('gauge', 'sessions', [], 'Sessions that are open in memory.'),
  names: row('gauge', 'names', [], 'User names that this process knows the owners of.'),
  nameRefusals: row(
    'counter',
    'name_refusals_total',
    ['reason'],
    'People refused by their name: `taken`, `reserved`, `many` (too many names of one account), `full` (no name is left).',
  ),
  tunnels: row('gauge', 'tunnels', [], 'WebSocket connections that are open.'),
  configGeneration: row(
    'gauge',
    'config_generation',
    [],
    'How many times a configuration was taken.',
  ),
  configLastFailure: row(
    'gauge',
    'config_last_failure_timestamp_seconds',
    [],
    'When a configuration was last refused; 0 if never.',
  ),
} as const

/** The registry of one gateway and what it counts. */
export type Metrics = ReturnType<typeof createMetrics>

/**
 * Creates the metrics.
 * @param ofProcess whether `process_…` and `nodejs_…` are among them
 */
export function createMetrics(build: { readonly version: string }, ofProcess = true) {
  const registry = new Registry()
  if (ofProcess) collectDefaultMetrics({ register: registry })
  const registers = [registry]
  // Those of every request are arrays of ours, which the registry knows by what it asks of a metric.
  const register = ({ add, metric }: { readonly add: AddTo; readonly metric: object }): AddTo => {
    registry.registerMetric(metric as Metric)
    return add
  }
  const histogram = (one: MetricRow) => register(createHistogramSeries(one, buckets))
  const counter = ({ name, help, labels }: MetricRow) =>
    new Counter({ name, help, labelNames: [...labels], registers })
  const gauge = ({ name, help, labels }: MetricRow) =>
    new Gauge({ name, help, labelNames: [...labels], registers })

  const table = metricTable
  gauge(table.buildInfo).labels(build.version, process.version).set(1)
  return {
    registry,
    requestDuration: histogram(table.requestDuration),
    authenticationDuration: histogram(table.authenticationDuration),
    upstreamDuration: histogram(table.upstreamDuration),
    decisions: register(createCounterSeries(table.decisions)),
    tokenVerifications: counter(table.tokenVerifications),
    droppedCredentials: counter(table.droppedCredentials),
    refreshes: counter(table.refreshes),
    logins: counter(table.logins),
    logouts: counter(table.logouts),
    revocations: counter(table.revocations),
    revocationsDropped: counter(table.revocationsDropped),
    jwksFetches: counter(table.jwksFetches),
    jwksAge: gauge(table.jwksAge),
    upstreamErrors: counter(table.upstreamErrors),
    upstreamConnections: gauge(table.upstreamConnections),
    upstreamWaiting: gauge(table.upstreamWaiting),
    fileRequests: register(createCounterSeries(table.fileRequests)),
    fileFills: counter(table.fileFills),
    fileBytes: gauge(table.fileBytes),
    sessions: gauge(table.sessions),
    names: gauge(table.names),
    nameRefusals: counter(table.nameRefusals),
    tunnels: gauge(table.tunnels),
    configGeneration: gauge(table.configGeneration),
    configLastFailure: gauge(table.configLastFailure),
  }
}

/** One value of a metric, with all of its labels. */
export interface Sample {
  /** The metric's name; of a histogram with `_bucket`, `_sum` or `_count` behind it. */
  readonly name: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** Reads a metric of {@link metricTable} as a scrape would; a histogram's buckets ascend. */
export async function readSamples(
  registry: Registry,
  { name }: MetricRow,
): Promise<readonly Sample[]> {
  // Our series and those of prom-client look alike here; its types lack the labels that values share.
  const found = (await registry.getSingleMetric(name)?.get()) as
    { readonly values: readonly ExportedValue[] } | undefined
  return (found?.values ?? []).map(({ labels, sharedLabels, metricName, value }) => ({
    name: metricName ?? name,
    labels: { ...labels, ...sharedLabels },
    value,
  }))
}
