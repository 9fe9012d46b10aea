/** The status page: what `report.ts` found, in words. */
import type { Milliseconds } from '../../core/clock.js'
import type { PageContent, PageFact, PageSection } from '../../edge/page.js'
import type { Latency, StatusReport } from './report.js'

const units: readonly (readonly [string, Milliseconds])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** A span in its largest unit: `3 min`. */
function span(milliseconds: Milliseconds): string {
  const [unit, size] = units.find(([, one]) => milliseconds >= one) ?? ['s', 1000]
  return `${Math.max(0, Math.floor(milliseconds / size))} ${unit}`
}

const number = (value: number): string => value.toLocaleString('en')

/** `1 place`, `2 places`. */
const count = (value: number, one: string, many = `${one}s`): string =>
  `${number(value)} ${value === 1 ? one : many}`

/** Seconds as people say them: `250 ms`, `2.5 s`. */
const seconds = (value: number): string =>
  value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`

/** An instant, and how long ago it was. */
function instant(at: Milliseconds, now: Milliseconds): string {
  const text = new Date(at).toISOString().slice(0, 19).replace('T', ' ')
  return `${text} UTC (${span(now - at)} ago)`
}

function readinessText({ ready, waiting, degraded }: StatusReport['readiness']): string {
  if (ready) return degraded.length === 0 ? 'Ready.' : 'Ready, with trouble:'
  return waiting.length === 0
    ? 'Not ready: it stops.'
    : `Not ready: these were not reached yet: ${waiting.join(', ')}.`
}

function workerFacts({ worker }: StatusReport): readonly PageFact[] {
  if (worker === undefined) return []
  const { number: own, of } = worker
  const told = `${own} of ${of}: this page is its own, the next one may be another’s; /metrics is of all`
  return [['Worker', told]]
}

function configurationFacts({ configuration, now }: StatusReport): readonly PageFact[] {
  const { generation, since, lastRefusal } = configuration
  const served: PageFact = ['Configuration', `number ${generation}, since ${instant(since, now)}`]
  if (lastRefusal === undefined) return [served, ['Last refused configuration', 'none']]
  const { at, isOpen, why } = lastRefusal
  const head = `${instant(at, now)}; ${isOpen ? 'the one before is served' : 'a later one was taken'}`
  return [served, ['Last refused configuration', [head, ...why]]]
}

function keysText(
  { known, fetchedAt, lastFault }: StatusReport['providers'][number]['keys'],
  now: Milliseconds,
): readonly string[] {
  const kept = known ? 'keys of an earlier run, not fetched yet' : 'keys are not known yet'
  return [
    fetchedAt === undefined ? kept : `keys fetched ${instant(fetchedAt, now)}`,
    ...(lastFault === undefined ? [] : [`the latest fetch failed: ${lastFault}`]),
  ]
}

const sessionTexts = {
  cookie: 'in memory; a session lives in its cookie, so there may be others',
  redis: 'in the memory of this process; all of them are in Redis',
} as const

const revocationTexts: Readonly<Record<string, string>> = {
  redis: 'in Redis, for all replicas',
  file: 'in session.revocationFile, over a restart',
  memory: 'in memory, until a restart',
}

function sessionFacts({ sessions, revocations, names }: StatusReport): readonly PageFact[] {
  const { kept, max } = revocations
  const where = revocationTexts[revocations.in] ?? ''
  return [
    ['Sessions', `${number(sessions.inMemory)} ${sessionTexts[sessions.store]}`],
    ['Revocations', `${number(kept)} of ${number(max)} that can be kept, ${where}`],
    ['User names', `${number(names)} with an owner that is known here`],
  ]
}

function latencyText({ answers, mean, half, of95, of99 }: Latency): string {
  const within = (bound: number | null) => (bound === null ? 'over 10 s' : seconds(bound))
  const parts = `half within ${within(half)}, 95 % within ${within(of95)}, 99 % within ${within(of99)}`
  return `${count(answers, 'answer')} since the start, ${seconds(mean)} on average: ${parts}`
}

function upstreamFact(
  { name, url, state, lastFault, connections, requests, tunnels, latency }: Upstream,
  now: Milliseconds,
): PageFact {
  const places = ({ taken, max }: Upstream['requests']) => `${number(taken)} of ${number(max)}`
  const waiting = count(requests.waiting + tunnels.waiting, 'request waits', 'requests wait')
  return [
    name,
    [
      `${url}: ${state}`,
      ...(lastFault === undefined
        ? []
        : [`last fault: ${lastFault.code}, ${instant(lastFault.at, now)}`]),
      `${count(connections, 'connection')}; places taken: ${places(requests)}, by tunnels and streams ${places(tunnels)}; ${waiting}`,
      ...(latency === undefined ? [] : [latencyText(latency)]),
    ],
  ]
}
type Upstream = StatusReport['upstreams'][number]

function refusalFact(refusal: StatusReport['refusals'][number], now: Milliseconds): PageFact {
  const { code, status, count: times, at, route, requestId } = refusal
  const user = 'user' in refusal ? `, user ${refusal.user}` : ''
  return [
    `${code} (${status})`,
    [
      `${count(times, 'time')}, last ${instant(at, now)}`,
      `for example request ${requestId}, rule ${route}${user}`,
    ],
  ]
}

function shadowFact({ route, allowed, refused }: StatusReport['shadow'][number]): PageFact {
  const codes = Object.entries(refused).map(([code, times]) => `${number(times)} × ${code}`)
  const would = codes.length === 0 ? 'nothing' : codes.join(', ')
  return [route, [`allowed: ${number(allowed)}`, `would have refused: ${would}`]]
}

/** A section, or nothing where it would be empty. */
const section = (title: string, facts: readonly PageFact[]): readonly PageSection[] =>
  facts.length === 0 ? [] : [{ title, facts }]

/** Says it. */
export function statusPage(report: StatusReport): PageContent {
  const { now, readiness, withNames } = report
  const { ready, degraded } = readiness
  return {
    title: 'Gateway status',
    isError: !ready || degraded.length > 0,
    paragraphs: [readinessText(readiness), ...degraded],
    facts: [
      ['Version', `${report.version}, on Node ${report.node}`],
      ['Started', instant(report.startedAt, now)],
      ...workerFacts(report),
      ...configurationFacts(report),
      [
        'User names below',
        withNames ? 'shown' : 'left out: they are shown with admin.token as a Bearer token',
      ],
    ],
    sections: [
      ...section(
        'Provider',
        report.providers.map(({ issuer, keys }) => [issuer, keysText(keys, now)]),
      ),
      ...section('Sessions', sessionFacts(report)),
      ...section(
        'Upstreams',
        report.upstreams.map((one) => upstreamFact(one, now)),
      ),
      ...section(
        'Last refusals and faults',
        report.refusals.map((one) => refusalFact(one, now)),
      ),
      ...section('Rules in shadow mode', report.shadow.map(shadowFact)),
    ],
    actions: [
      { label: 'Metrics', href: '/metrics' },
      { label: 'Readiness', href: '/readyz' },
    ],
  }
}
