/** Our own histograms and counters: a scrape can't tell them from prom-client's. */
import * as fc from 'fast-check'
import { Counter, Histogram, Registry } from 'prom-client'
import type { Metric } from 'prom-client'
import { t } from '../fixtures/tap.js'
import { metricTable } from '../../src/observe/metrics.js'
import { createCounterSeries, createHistogramSeries } from '../../src/observe/series.js'
import type { MetricRow } from '../../src/observe/metrics.js'

const rows = ['requestDuration', 'authenticationDuration', 'upstreamDuration', 'decisions'] as const
const bounds = [0.00005, 0.001, 0.05, 1, 2.5, 10]

type Observe = (labels: readonly string[], value: number) => void

/** What prom-client makes of a row. */
function theirs({ type, name, help, labels }: MetricRow, registry: Registry): Observe {
  const options = { name, help, labelNames: [...labels], registers: [registry] }
  if (type === 'counter') {
    const counter = new Counter(options)
    return (values, value) => counter.labels(...values).inc(value)
  }
  const histogram = new Histogram({ ...options, buckets: bounds })
  return (values, value) => histogram.labels(...values).observe(value)
}

/** What we make of it. */
function ours(row: MetricRow, registry: Registry): Observe {
  const { add, metric } =
    row.type === 'counter' ? createCounterSeries(row) : createHistogramSeries(row, bounds)
  registry.registerMetric(metric as unknown as Metric)
  return ([first = '', second, third], value) => add(first, second, third)(value)
}

const label = fc.constantFrom('', 'GET', '200', 'a b', '"', '\\', 'line\nend', 'é', ',x="')
const seconds = fc.oneof(
  fc.double({ min: 0, max: 20, noNaN: true }),
  fc.constantFrom(0, ...bounds, 10.1),
)
const seen = fc.array(fc.tuple(fc.tuple(label, label, label), seconds), { maxLength: 60 })

for (const key of rows) {
  const row = metricTable[key]
  await t.test(`${row.name} is scraped as prom-client’s own`, async () => {
    await fc.assert(
      fc.asyncProperty(seen, async (observations) => {
        const [one, other] = [new Registry(), new Registry()]
        const both = [ours(row, one), theirs(row, other)]
        for (const [labels, value] of observations) {
          for (const observe of both) observe(labels.slice(0, row.labels.length), value)
        }
        return (await one.metrics()) === (await other.metrics())
      }),
      { numRuns: 300 },
    )
  })
}
