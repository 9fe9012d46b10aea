/** Prometheus itself reads our metrics and rules, and finds what each panel of the dashboard asks for. */
import { readFileSync, writeFileSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import { startCollector } from '../fixtures/collector.js'
import { secrets } from '../fixtures/config.js'
import { drawDashboard } from '../fixtures/dashboard-picture.js'
import type { Line, Panel } from '../fixtures/dashboard-picture.js'
import { startPrometheus } from '../fixtures/prometheus.js'
import { root } from '../fixtures/root.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'
import { metricTable } from '../../src/observe/metrics.js'
import type { MetricRow } from '../../src/observe/metrics.js'
import { answerMac } from '../../src/trac/signature.js'

const dashboard = JSON.parse(readFileSync(`${root}deploy/grafana/trac-gateway.json`, 'utf8')) as {
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly {
      readonly type: string
      readonly query: string | { readonly query: string }
    }[]
  }
}
/** As Grafana would ask with all replicas, over a span that holds several scrapes. */
const asAsked = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '30s').replaceAll('$instance', '.*')

/** What Trac's plugin answers to a signature. */
const proofOf = (signature: unknown): string =>
  `v1;0.2;${answerMac({ id: 'k1', secret: secrets.SIGNING }, String(signature), '0.2')}`

const s = await stage(t, {
  provider: 'scripted',
  upstream: true,
  api: true,
  answer: (request, response) => {
    if (request.url?.includes('broken') === true) request.socket.destroy()
    else {
      const proof = proofOf(request.headers['x-trac-signature'])
      response.writeHead(200, { 'X-Trac-Gateway': proof }).end('ok')
    }
  },
  overlay: {
    environments: { '*': {} },
    routes: [{ name: 'api', path: '/api/**', upstream: 'api', require: { anyGroup: ['nobody'] } }],
  },
})
const prometheus = await startPrometheus(t, s.gateway.adminUrl.replace('http://', ''))

async function traffic(): Promise<void> {
  const visitor = await s.signIn()
  await visitor.open(`${s.url}/p/wiki`)
  const bearer = s.bearerOf()
  for (let i = 0; i < 10; i++) {
    await ask(s, 'GET /trac/p/wiki/Page', [bearer])
    await ask(s, 'GET /trac/api/x', [bearer])
    await ask(s, 'GET /trac/p/ticket/1')
  }
  await ask(s, 'GET /trac/p/wiki/broken', [bearer])
  await ask(s, 'GET /trac/p/wiki', [s.bearerOf({ exp: 1 })])
  // All is well again when it ends.
  await ask(s, 'GET /trac/p/wiki', [bearer])
}

await traffic()
await prometheus.scrapes(2)
await traffic()
await prometheus.scrapes(3)

await t.test('Prometheus has every metric that we name, with its type and meaning', async (t) => {
  const known = (await prometheus.get('metadata')) as Record<
    string,
    readonly { readonly type: string; readonly help: string }[]
  >
  for (const { name, type, help } of Object.values<MetricRow>(metricTable)) {
    t.match(known[name], [{ type, help }], name)
  }
  t.match(await prometheus.query('up{job="trac-gateway"}'), [{ value: [Number, '1'] }])
  const [signIns] = await prometheus.query('trac_gateway_logins_total{result="ok"}')
  t.equal(signIns?.value[1], '2')
})

await t.test(
  'Prometheus takes the alerts, and a healthy gateway meets the condition of none',
  async (t) => {
    const { groups } = (await prometheus.get('rules?type=alert')) as {
      readonly groups: readonly {
        readonly rules: readonly {
          readonly name: string
          readonly health: string
          readonly state: string
        }[]
      }[]
    }
    const rules = groups.flatMap(({ rules }) => rules)
    t.ok(rules.length >= 12, `${rules.length} rules`)
    for (const { name, health, state } of rules) {
      t.equal(health, 'ok', name)
      // One that is met is pending at first, for minutes.
      t.equal(state, 'inactive', name)
    }
  },
)

for (const { title, targets = [] } of dashboard.panels) {
  if (targets.length === 0) continue
  await t.test(`the panel “${title}” has data`, async (t) => {
    for (const { expr } of targets) {
      // What stands for nothing would be there without any metric.
      const found = await prometheus.query(asAsked(expr).replaceAll(' or vector(0)', ''))
      t.ok(
        found.some(({ value }) => !Number.isNaN(Number(value[1]))),
        expr,
      )
    }
  })
}

await t.test('requests to an environment show as a rise', async (t) => {
  const { targets = [] } = dashboard.panels.find((one) => one.title === 'Requests by environment')!
  const found = await prometheus.query(asAsked(targets[0]!.expr))
  const rises = found.filter(({ value }) => Number(value[1]) > 0)
  t.strictSame(
    rises.map(({ metric }) => metric['environment']),
    ['*'],
  )
})

await t.test('the list of replicas at the top of the dashboard has this one', async (t) => {
  const queries = dashboard.templating.list.flatMap(({ query }) =>
    typeof query === 'string' ? [] : [query.query],
  )
  t.equal(queries.length, 1)
  const [, name = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(queries[0]!) ?? []
  // As Grafana asks for the values of a label.
  const values = await prometheus.get(`label/${label}/values?match[]=${name}`)
  t.strictSame(values, [s.gateway.adminUrl.replace('http://', '')])
})

await t.test('quantiles of how long answers take leave WebSockets out', (t) => {
  const exprs = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  const durations = exprs.filter((expr) => expr.includes('_request_duration_seconds_bucket'))
  t.ok(durations.length >= 4, `${durations.length} of them`)
  for (const expr of durations) t.match(expr, 'status!="101"')
  t.end()
})

await t.test('the dashboard asks for every metric of ours', async (t) => {
  const asked = dashboard.panels
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .join('\n')
  for (const { name } of Object.values<MetricRow>(metricTable)) t.ok(asked.includes(name), name)
})

await t.test('with traces, Prometheus asks for OpenMetrics and has exemplars', async (t) => {
  const collector = await startCollector(t)
  const traced = await stage(t, {
    ...{ provider: s.provider, upstream: s.upstream, clock: s.clock },
    overlay: { tracing: { endpoint: collector.endpoint } },
  })
  const reader = await startPrometheus(t, traced.gateway.adminUrl.replace('http://', ''))
  const traceId = '5'.repeat(32)
  const parent = `traceparent: 00-${traceId}-b7ad6b7169203331-01`
  await ask(traced, 'GET /trac/wiki/Start', [traced.bearerOf(), parent])
  await reader.scrapes(2)
  t.match(await reader.query('up{job="trac-gateway"}'), [{ value: [Number, '1'] }])
  const metadata = (await reader.get('metadata')) as Record<string, readonly { type: string }[]>
  for (const { name, type } of Object.values<MetricRow>(metricTable)) {
    const family = type === 'counter' ? name.replace(/_total$/, '') : name
    t.match(metadata[family], [{ type }], name)
  }
  const spans = await reader.query('trac_gateway_spans_total')
  t.equal(spans.length, 3, 'counters keep their names')
  const asked = encodeURIComponent('trac_gateway_request_duration_seconds_bucket')
  const now = Date.now() / 1000
  const found = await reader.get(
    `query_exemplars?query=${asked}&start=${now - 600}&end=${now + 60}`,
  )
  t.match(found, [
    { seriesLabels: { route: 'trac:wiki' }, exemplars: [{ labels: { trace_id: traceId } }] },
  ])
})

/** `DRAW_DASHBOARD=FILE test/run observe/prometheus` draws the picture of the guide: a minute of made-up traffic. */
const picture = process.env['DRAW_DASHBOARD']
if (picture !== undefined) {
  const start = Date.now() / 1000
  while (Date.now() / 1000 < start + 75) {
    await traffic()
    await new Promise((resolve) => setTimeout(resolve, 300 + 900 * Math.random()))
  }
  const end = Date.now() / 1000
  const linesOf = async ({ targets = [] }: Panel): Promise<readonly Line[]> => {
    const lines: Line[] = []
    for (const { expr, legendFormat } of targets) {
      const query = encodeURIComponent(asAsked(expr).replaceAll('30s', '10s'))
      const data = await prometheus.get(
        `query_range?query=${query}&start=${end - 60}&end=${end}&step=1`,
      )
      const { result } = data as {
        readonly result: readonly {
          readonly metric: Readonly<Record<string, string>>
          readonly values: readonly (readonly [number, string])[]
        }[]
      }
      for (const { metric, values } of result) {
        lines.push({
          label: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => metric[name] ?? ''),
          points: values.map(([time, value]) => [time, Number(value)]),
        })
      }
    }
    return lines
  }
  writeFileSync(picture, await drawDashboard(dashboard.panels, linesOf))
}
