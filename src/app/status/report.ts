/** What the status page tells, as data: everything is looked up when somebody asks. */
import type { Milliseconds } from '../../core/clock.js'
import { readVersion } from '../../core/version.js'
import type { Upstream } from '../../forward/upstream.js'
import { metricTable, readSamples } from '../../observe/metrics.js'
import type { Sample } from '../../observe/metrics.js'
import type { Readiness } from '../../observe/readiness.js'
import type { RecentRefusal, UpstreamFault } from '../../observe/recent-trouble.js'
import type { Issuer } from '../../oidc/verify-token.js'
import type { AppContext } from '../context.js'
import type { Services } from '../services.js'
import { tellFault } from '../tell-fault.js'
import type { ConfigurationRecord } from './configuration-record.js'

/** What is looked at. */
export interface StatusParts {
  readonly app: AppContext
  readonly services: Services
  readonly readiness: Readiness
  readonly configuration: ConfigurationRecord
  readonly startedAt: Milliseconds
  /** Its number, where several processes serve. */
  readonly worker: number | undefined
}

/** How it stands with an upstream, by its latest answer or fault. */
export type UpstreamState = 'answers' | 'fails' | 'reached' | 'not reached yet' | 'not asked yet'

/** From sending a request to the head of its answer, since the start; seconds. */
export interface Latency {
  readonly answers: number
  readonly mean: number
  /** Upper bounds of the buckets in which these parts of all answers lie; null for over 10 s. */
  readonly half: number | null
  readonly of95: number | null
  readonly of99: number | null
}

/** Answers of `GET /` on the admin listener as JSON; instants are milliseconds since 1970. */
export type StatusReport = Awaited<ReturnType<typeof reportStatus>>

/** A sum over all samples with these labels. */
function sumOf(samples: readonly Sample[], labels: Readonly<Record<string, string>>): number {
  const isMeant = (sample: Sample) =>
    Object.entries(labels).every(([name, value]) => sample.labels[name] === value)
  return samples.filter(isMeant).reduce((sum, { value }) => sum + value, 0)
}

function latencyOf(samples: readonly Sample[], upstream: string): Latency | undefined {
  const own = samples.filter(({ labels }) => labels['upstream'] === upstream)
  const valueOf = (part: string) => own.find(({ name }) => name.endsWith(part))?.value ?? 0
  const answers = valueOf('_count')
  if (answers === 0) return undefined
  const buckets = own.filter(({ labels }) => typeof labels['le'] === 'number')
  const within = (part: number): number | null => {
    const bound = buckets.find(({ value }) => value >= part * answers)?.labels['le']
    return typeof bound === 'number' ? bound : null
  }
  const mean = valueOf('_sum') / answers
  return { answers, mean, half: within(0.5), of95: within(0.95), of99: within(0.99) }
}

function stateOf(
  { isTrac }: Upstream,
  fault: UpstreamFault | undefined,
  latency: Latency | undefined,
  readiness: Readiness,
): UpstreamState {
  if (fault?.isOpen === true) return 'fails'
  if (isTrac && readiness.report().waiting.includes('upstream')) return 'not reached yet'
  if (latency !== undefined) return 'answers'
  return isTrac ? 'reached' : 'not asked yet'
}

async function reportUpstreams({ app, services, readiness }: StatusParts) {
  const { registry } = app.metrics
  const durations = await readSamples(registry, metricTable.upstreamDuration)
  const connections = await readSamples(registry, metricTable.upstreamConnections)
  return [...services.upstreams.values()].map((upstream) => {
    const { name, address, requests, tunnels } = upstream
    const fault = app.trouble.faultOf(name)
    const latency = latencyOf(durations, name)
    return {
      name,
      url: address.url,
      state: stateOf(upstream, fault, latency, readiness),
      lastFault: fault && { code: fault.code, at: fault.at },
      connections: sumOf(connections, { upstream: name }),
      requests: requests.load,
      tunnels: tunnels.load,
      latency,
    }
  })
}

/** Decisions by each rule that is in shadow mode, or was: what it let pass, and what it would have refused, by code. */
async function reportShadow({ app, services }: StatusParts) {
  const samples = await readSamples(app.metrics.registry, metricTable.decisions)
  const own = new Set(services.config.routes.map(({ name }) => name))
  const idle = services.routes.filter((route) => route.mode === 'shadow' && own.has(route.name))
  const rows = new Map(idle.map(({ name }) => [name, { allowed: 0, refused: new Map() }]))
  for (const { labels, value } of samples) {
    if (labels['mode'] !== 'shadow' || value === 0) continue
    const route = String(labels['route'])
    const row = rows.get(route) ?? { allowed: 0, refused: new Map<string, number>() }
    rows.set(route, row)
    if (labels['result'] === 'allow') row.allowed += value
    else row.refused.set(String(labels['result']), value)
  }
  return [...rows].map(([route, { allowed, refused }]) => ({
    route,
    allowed,
    refused: Object.fromEntries(refused) as Readonly<Record<string, number>>,
  }))
}

function reportProvider({ issuer, main, keys }: Issuer, now: Milliseconds) {
  const { fetchedAt, generation, fault } = keys
  return {
    issuer,
    main,
    keys: {
      known: generation > 0,
      fetchedAt,
      ageSeconds: fetchedAt === undefined ? undefined : Math.round((now - fetchedAt) / 1000),
      lastFault: fault === undefined ? undefined : (tellFault(fault) ?? 'the log tells why'),
    },
  }
}

function reportRefusal({ user, ...refusal }: RecentRefusal, withNames: boolean) {
  return withNames && user !== '' ? { ...refusal, user } : refusal
}

/**
 * Looks everything up.
 * @param withNames whether names of people may be told: without `admin.token` never
 */
export async function reportStatus(parts: StatusParts, withNames: boolean) {
  const { app, services, readiness, configuration, startedAt, worker } = parts
  const { session } = services.config
  const { revocations } = app.storage
  const file = revocations.durable ? 'file' : 'memory'
  const now = app.now()
  return {
    version: readVersion(),
    node: process.version,
    now,
    startedAt,
    /** Absent where one process serves. */
    worker: worker === undefined ? undefined : { number: worker, of: services.config.workers },
    withNames,
    readiness: readiness.report(),
    configuration: configuration.report(withNames),
    providers: services.issuers.all.map((issuer) => reportProvider(issuer, now)),
    sessions: { store: session.store, inMemory: services.sessions.size },
    revocations: { ...revocations.size, in: session.store === 'redis' ? 'redis' : file },
    names: app.nameRegistry.size,
    upstreams: await reportUpstreams(parts),
    refusals: app.trouble.refusals.map((refusal) => reportRefusal(refusal, withNames)),
    shadow: await reportShadow(parts),
  }
}
