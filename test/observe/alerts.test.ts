/** The alerts: promtool accepts them, each fires in a case and is silent in another, and each has its page. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { t } from '../fixtures/tap.js'
import { promtool } from '../fixtures/prometheus.js'
import { root } from '../fixtures/root.js'
import { degradedCauses } from '../../src/observe/readiness.js'
import { metricTable } from '../../src/observe/metrics.js'
import type { MetricRow } from '../../src/observe/metrics.js'

const file = `${root}deploy/prometheus/alerts.yaml`
const text = await readFile(file, 'utf8')
const casesText = await readFile(`${root}test/observe/alerts.yaml`, 'utf8')
const page = await readFile(`${root}deploy/docs/guides/monitoring.md`, 'utf8')

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly runbook: string }
}
interface Case {
  readonly alertname: string
  readonly exp_alerts?: readonly unknown[]
}
const { rules } = (parse(text) as { groups: readonly [{ rules: readonly Rule[] }] }).groups[0]
const cases = (parse(casesText) as { tests: readonly { alert_rule_test: readonly Case[] }[] }).tests
const all = cases.flatMap((one) => one.alert_rule_test)

await t.test('promtool accepts the rules and the configuration that is shipped', async (t) => {
  for (const [kind, name] of [
    ['rules', file],
    ['config', `${root}deploy/prometheus/prometheus.yaml`],
  ] as const) {
    const { failed, said } = await promtool('check', kind, name)
    t.notOk(failed, said)
  }
})

await t.test('the rules fire when they should, and not when all is well', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-alerts-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const tests = join(folder, 'tests.yaml')
  await writeFile(tests, casesText.replace('[RULES]', JSON.stringify([file])))
  const { failed, said } = await promtool('test', 'rules', tests)
  t.notOk(failed, said)
})

for (const { alert, expr, annotations } of rules) {
  await t.test(`${alert} has its cases, its metrics and its part of the page`, async (t) => {
    const own = all.filter(({ alertname }) => alertname === alert)
    t.ok(
      own.some(({ exp_alerts: fires = [] }) => fires.length > 0),
      'it fires',
    )
    t.ok(
      own.some(({ exp_alerts: fires = [] }) => fires.length === 0),
      'it is silent',
    )
    t.match(page, `### ${alert}\n`)
    t.equal(annotations.runbook, `deploy/docs/guides/monitoring.md#${alert.toLowerCase()}`)
    for (const [name] of expr.matchAll(/\btrac_gateway_\w+/g)) {
      const known = Object.values<MetricRow>(metricTable).map((row) => row.name)
      t.ok(known.includes(name.replace(/_(?:bucket|count|sum)$/, '')), name)
    }
    for (const [, causes = ''] of expr.matchAll(/cause!?=~?"([^"]*)"/g)) {
      for (const cause of causes.split('|'))
        t.ok(
          degradedCauses.some((one) => one === cause),
          cause,
        )
    }
  })
}
