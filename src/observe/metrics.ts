/** Every metric with its closed set of labels; a label's value never comes from a client. */
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import type { Metric } from 'prom-client'
import { errors } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import { Exemplars } from './exemplars.js'
import { createCounterSeries, createHistogramSeries } from './series.js'
import type { AddTo, ExportedValue } from './series.js'

/** From 50 µs, what a warm request costs here, to 10 s, when people give up; in seconds. */
const buckets = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  5, 10,
]

type Labels = Readonly<Record<string, string>>

/** One metric, as the registry and the reference read it. */
export interface MetricRow {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Series of a counter that are there from the start, at 0: the first count shows as a rise. */
  readonly fromStart: readonly Labels[]
  /** What several workers together have of a gauge; the sum, if nothing is said. */
  readonly together?: 'sum' | 'max' | 'first'
}

/** Every combination of the values of labels. */
function each(values: Readonly<Record<string, readonly string[]>>): readonly Labels[] {
  let all: readonly Labels[] = [{}]
  for (const [label, list] of Object.entries(values)) {
    all = all.flatMap((labels) => list.map((value) => ({ ...labels, [label]: value })))
  }
  return all
}

const row = (
  type: MetricRow['type'],
  name: string,
  labels: readonly string[],
  help: string,
  fromStart: readonly Labels[] = [],
): MetricRow => ({ name: `trac_gateway_${name}`, type, labels, help, fromStart })

/** A gauge of which several workers together have what one of them has. */
const alike = (one: MetricRow, together: 'max' | 'first' = 'max'): MetricRow => ({
  ...one,
  together,
})

/** Codes whose names begin so. */
const codes = (...stems: readonly string[]): readonly ErrorCode[] =>
  (Object.keys(errors) as ErrorCode[]).filter((code) =>
    stems.some((stem) => code.startsWith(`ERR_${stem}`)),
  )

/** What can be wrong with a token, or with asking those who know of it. */
const tokenCodes = codes('TOKEN_', 'MACHINE_', 'NAME', 'PROVIDER_', 'STORE_', 'INTERNAL')
/** How a sign-in can end. */
const loginResults = [
  'ok',
  ...codes('CALLBACK_', 'LOGIN_DENIED', 'LOGIN_LOOP', 'LOGIN_UNKNOWN', 'REFRESH_REFUSED'),
  ...codes('SESSION_TOO_LARGE', 'REVOCATIONS_', 'RATE_LIMITED'),
  ...tokenCodes,
]
/** How a `POST /auth/refresh` can end, once its body was read. */
const refreshResults = [
  'ok',
  ...codes('REFRESH_', 'SESSION_', 'CREDENTIAL_MISSING', 'CROSS_SITE', 'RATE_LIMITED'),
  ...tokenCodes,
]
/** Faults of an upstream. */
const upstreamCodes = codes('UPSTREAM_', 'SPOOL_', 'INTERNAL').filter(
  (code) => code !== 'ERR_UPSTREAM_BUSY',
)

/** Statuses that requests to each environment are counted under from the start; another one begins with its first. */
export const environmentStatuses: readonly string[] = [
  ...['200', '302', '304', '401', '403', '404', '405', '429'],
  ...['499', '500', '502', '503', '504'],
]

/** Every metric of ours. A new one is a row here, and a line where it is counted. */
export const metricTable = {
  buildInfo: alike(
    row('gauge', 'build_info', ['version', 'node'], 'Version of this gateway; always 1.'),
    'first',
  ),
  requestDuration: row(
    'histogram',
    'request_duration_seconds',
    ['route', 'method', 'status'],
    'From the headers of a request to the end of its answer; of a WebSocket, which is status 101, to its end.',
  ),
  environmentRequests: row(
    'counter',
    'environment_requests_total',
    ['environment', 'status'],
    'Requests to each of several environments, by the name or pattern in `environments`.',
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
    each({ result: ['ok', ...tokenCodes, ...codes('RATE_LIMITED')] }),
  ),
  droppedCredentials: row(
    'counter',
    'dropped_credentials_total',
    ['scheme'],
    'Authorization headers of a scheme that is no credential here, such as Basic.',
    each({ scheme: ['basic', 'other'] }),
  ),
  refreshes: row(
    'counter',
    'refreshes_total',
    ['for', 'result'],
    'Exchanges of refresh tokens: `session` is a renewal, `client` and `browser` a `POST /auth/refresh`.',
    [
      ...each({ for: ['session'], result: ['ok', 'failed', 'refused'] }),
      ...each({ for: ['client', 'browser'], result: refreshResults }),
    ],
  ),
  logins: row(
    'counter',
    'logins_total',
    ['result'],
    'Sign-ins that came back.',
    each({ result: loginResults }),
  ),
  logouts: row(
    'counter',
    'logouts_total',
    ['kind', 'result'],
    'Sign-outs; `failed` are those that could not be kept, so that a copy of a cookie or token may go on.',
    [
      ...each({ kind: ['session', 'backchannel'], result: ['ok', 'failed'] }),
      ...each({ kind: ['nobody'], result: ['ok'] }),
    ],
  ),
  revocations: row(
    'counter',
    'revocations_total',
    ['kind', 'result'],
    'Revocations: of all that a user has, by an operator, and of refresh tokens at the provider.',
    [
      ...each({ kind: ['user'], result: ['ok', 'failed'] }),
      ...each({ kind: ['refresh_token'], result: ['ok', 'failed', 'unsupported'] }),
    ],
  ),
  revocationsDropped: row(
    'counter',
    'revocations_dropped_total',
    [],
    'Revocations that had no place, since the list was full of others that still matter.',
  ),
  jwksFetches: row(
    'counter',
    'jwks_fetches_total',
    ['result'],
    'Fetches of key sets.',
    each({ result: ['ok', 'failed'] }),
  ),
  jwksAge: alike(
    row(
      'gauge',
      'jwks_age_seconds',
      [],
      'Since the main key set was fetched; `+Inf` until that was done once.',
    ),
  ),
  ready: alike(row('gauge', 'ready', [], 'Whether `/readyz` is 200: 1, or 0.')),
  degraded: alike(
    row(
      'gauge',
      'degraded',
      ['cause'],
      'Whether `/readyz` tells of this trouble under `degraded`: 1, or 0.',
    ),
  ),
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
    each({ answer: ['hit', 'stale', 'fill', 'pass'] }),
  ),
  fileFills: row(
    'counter',
    'file_fills_total',
    ['answer'],
    'Requests of the gateway’s own for such files.',
    each({ answer: ['new', 'same', 'refused', 'fault'] }),
  ),
  fileBytes: row('gauge', 'file_bytes', [], 'Bytes of files that are kept in memory.'),
  sessions: row('gauge', 'sessions', [], 'Sessions that are open in memory.'),
  names: alike(row('gauge', 'names', [], 'User names that this process knows the owners of.')),
  nameRefusals: row(
    'counter',
    'name_refusals_total',
    ['reason'],
    'People refused by their name: `taken`, `reserved`, `many` (too many names of one account), `full` (no name is left).',
    each({ reason: ['taken', 'reserved', 'many', 'full'] }),
  ),
  personalTokens: row(
    'counter',
    'personal_tokens_total',
    ['event'],
    'Personal tokens that were `made`, and `revoked` by their owners; `refused` are those that could not be made.',
    each({ event: ['made', 'revoked', 'refused'] }),
  ),
  spans: row(
    'counter',
    'spans_total',
    ['result'],
    'Spans of traces: `sent` to the collector, `failed` (it refused them, or could not be reached several times), or `dropped` since too many waited.',
    each({ result: ['sent', 'failed', 'dropped'] }),
  ),
  tunnels: row('gauge', 'tunnels', [], 'WebSocket connections that are open.'),
  workers: row('gauge', 'workers', [], 'Processes that serve; more than one with `workers`.'),
  workerRestarts: row(
    'counter',
    'worker_restarts_total',
    [],
    'Workers that ended by themselves, or hung, and were started anew.',
  ),
  configGeneration: alike(
    row('gauge', 'config_generation', [], 'How many times a configuration was taken.'),
  ),
  configLastFailure: alike(
    row(
      'gauge',
      'config_last_failure_timestamp_seconds',
      [],
      'When a configuration was last refused; 0 if never.',
    ),
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
  const series = (one: MetricRow): AddTo => {
    const add = register(createCounterSeries(one))
    for (const labels of one.fromStart) {
      const [first = '', ...more] = one.labels.map((label) => labels[label] ?? '')
      add(first, ...more)
    }
    return add
  }
  const counter = ({ name, help, labels, fromStart }: MetricRow) => {
    const made = new Counter({ name, help, labelNames: [...labels], registers })
    for (const values of fromStart) made.inc(values, 0)
    return made
  }
  const gauge = ({ name, help, labels, together = 'sum' }: MetricRow) =>
    new Gauge({ name, help, labelNames: [...labels], registers, aggregator: together })

  const table = metricTable
  gauge(table.buildInfo).labels(build.version, process.version).set(1)
  const made = {
    registry,
    requestDuration: histogram(table.requestDuration),
    /** Of the same requests, if they are traced. */
    exemplars: new Exemplars({ ...table.requestDuration, buckets }),
    environmentRequests: register(createCounterSeries(table.environmentRequests)),
    authenticationDuration: histogram(table.authenticationDuration),
    upstreamDuration: histogram(table.upstreamDuration),
    decisions: series(table.decisions),
    tokenVerifications: counter(table.tokenVerifications),
    droppedCredentials: counter(table.droppedCredentials),
    refreshes: counter(table.refreshes),
    logins: counter(table.logins),
    logouts: counter(table.logouts),
    revocations: counter(table.revocations),
    revocationsDropped: counter(table.revocationsDropped),
    jwksFetches: counter(table.jwksFetches),
    jwksAge: gauge(table.jwksAge),
    ready: gauge(table.ready),
    degraded: gauge(table.degraded),
    upstreamErrors: counter(table.upstreamErrors),
    upstreamConnections: gauge(table.upstreamConnections),
    upstreamWaiting: gauge(table.upstreamWaiting),
    fileRequests: series(table.fileRequests),
    fileFills: counter(table.fileFills),
    fileBytes: gauge(table.fileBytes),
    sessions: gauge(table.sessions),
    names: gauge(table.names),
    nameRefusals: counter(table.nameRefusals),
    personalTokens: counter(table.personalTokens),
    spans: counter(table.spans),
    tunnels: gauge(table.tunnels),
    workers: gauge(table.workers),
    workerRestarts: counter(table.workerRestarts),
    configGeneration: gauge(table.configGeneration),
    configLastFailure: gauge(table.configLastFailure),
  }
  made.jwksAge.set(Number.POSITIVE_INFINITY)
  made.workers.set(1)
  return { ...made, begin: (config: Counted) => begin(made, config) }
}

/** What of a configuration is a label's value. */
export interface Counted {
  readonly upstreams: Iterable<string>
  /** Names and patterns of `environments`. */
  readonly environments: Iterable<string>
  /** Each row with what may become of a request there. */
  readonly routes: Iterable<{
    readonly name: string
    readonly mode: string
    readonly outcomes: readonly string[]
  }>
}

/** Begins at 0 what is counted under names of the configuration. */
function begin(
  metrics: Pick<
    ReturnType<typeof createMetrics>,
    | 'decisions'
    | 'environmentRequests'
    | 'upstreamErrors'
    | 'upstreamConnections'
    | 'upstreamWaiting'
  >,
  { upstreams, environments, routes }: Counted,
): void {
  for (const upstream of upstreams) {
    for (const code of upstreamCodes) metrics.upstreamErrors.inc({ upstream, code }, 0)
    metrics.upstreamConnections.inc({ upstream }, 0)
    metrics.upstreamWaiting.inc({ upstream }, 0)
  }
  for (const environment of environments) {
    for (const status of environmentStatuses) metrics.environmentRequests(environment, status)
  }
  for (const { name, mode, outcomes } of routes) {
    for (const outcome of outcomes) metrics.decisions(name, outcome, mode)
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
