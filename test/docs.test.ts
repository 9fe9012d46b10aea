/** The generated reference equals the code, both ways, and can be renewed. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { t } from './fixtures/tap.js'
import { loadText, minimal } from './fixtures/config.js'
import { symptomsOf } from './fixtures/symptoms.js'
import type { Speaker } from './fixtures/symptoms.js'
import { createPluginTrouble } from '../src/app/plugin-trouble.js'
import { tellFault } from '../src/app/tell-fault.js'
import { upstreamName } from '../src/app/upstreams.js'
import { renewReference, replaceBetween } from '../src/cli/reference.js'
import { listKeys } from '../src/config/docs.js'
import type { KeySchema } from '../src/config/key.js'
import { configKeys } from '../src/config/schema.js'
import { errorHints } from '../src/core/error-hints.js'
import { errors } from '../src/core/errors.js'
import type { ErrorCode } from '../src/core/errors.js'
import {
  decisionFields,
  grantsFields,
  requestFields,
  signInFields,
} from '../src/observe/log-fields.js'
import { createLogger } from '../src/observe/logger.js'
import { createMetrics, metricTable } from '../src/observe/metrics.js'
import type { MetricRow } from '../src/observe/metrics.js'
import { createReadiness, degradedCauses } from '../src/observe/readiness.js'

const read = (file: string): string => readFileSync(file, 'utf8')
const page = (name: string): string => read(`deploy/docs/reference/${name}.md`)

/** First cells of the table between two markers. */
function firstCells(text: string, name: string): readonly string[] {
  const [, rest = ''] = text.split(`<!-- ${name}:begin -->`)
  const [table = ''] = rest.split(`<!-- ${name}:end -->`)
  return table.split('\n').flatMap((line) => /^\| `([^`]+)` \|/.exec(line)?.[1] ?? [])
}

await t.test('the reference has every option, and no other', async (t) => {
  t.same(
    firstCells(page('options'), 'options'),
    listKeys().map(({ path }) => path),
  )
})

await t.test('the reference has every error with its status and words, and no other', async (t) => {
  t.same(firstCells(page('errors'), 'errors'), Object.keys(errors))
  for (const [code, { status, error, text }] of Object.entries(errors)) {
    t.ok(
      page('errors').includes(
        `| \`${code}\` | ${status} | \`${error}\` | ${text} | ${errorHints[code as ErrorCode]} |`,
      ),
      code,
    )
  }
})

await t.test(
  'the reference has every metric that the registry has, and no other of ours',
  async (t) => {
    const { registry } = createMetrics({ version: '1' })
    const registered = registry.getMetricsAsArray().map(({ name }) => name)
    t.same(
      firstCells(page('metrics'), 'metrics').toSorted(),
      registered.filter((name) => name.startsWith('trac_gateway_')).toSorted(),
    )
  },
)

await t.test(
  'the reference says what each label can be, and the guide which causes share an alert',
  (t) => {
    const rows = Object.values<MetricRow>(metricTable)
    const labels = new Set(rows.flatMap((row) => row.labels))
    t.strictSame(firstCells(page('metrics'), 'labels'), [...labels])
    t.notMatch(page('metrics'), /^\| `\w+` \| *\|$/m, 'each has a value')
    // What has an alert of its own is not in the one for all others.
    const [, section = ''] = read('deploy/docs/guides/monitoring.md').split(
      '\n### TracGatewayDegraded\n',
    )
    const [told = ''] = section.split('\n### ')
    for (const cause of degradedCauses) {
      const isOther = !['configuration', 'plugin', 'stopping'].includes(cause)
      t.equal(told.includes(`\`${cause}\``), isOther, cause)
    }
    t.end()
  },
)

await t.test('the reference has every field of the log lines, and no other', async (t) => {
  t.same(firstCells(page('log'), 'request'), Object.keys(requestFields))
  t.same(firstCells(page('log'), 'decision'), Object.keys(decisionFields))
  t.same(firstCells(page('log'), 'sign-in'), Object.keys(signInFields))
  t.same(firstCells(page('log'), 'grants'), Object.keys(grantsFields))
})

await t.test('the generated files are what `npm run docs` would write', async (t) => {
  for (const [file, text] of renewReference(read)) {
    if (file.endsWith('.json')) t.same(JSON.parse(read(file)), JSON.parse(text), file)
    else t.equal(read(file), text, `${file}: run \`npm run docs\``)
  }
})

await t.test('the reference has every endpoint that the code names', async (t) => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.startsWith('demo/'),
  )
  const named = sources.flatMap((name) =>
    [...read(`src/${name}`).matchAll(/['`](\/auth\/[\w.-]+)['`]/g)].map(([, path = '']) => path),
  )
  t.ok(new Set(named).size >= 8)
  for (const path of new Set(named)) t.ok(page('endpoints').includes(path), path)
})

await t.test('every dependency has its reason in one line, and no other has one', async (t) => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >
  const named = (file: string) =>
    [...(read(file).split(/^## .*dependencies$/im)[1] ?? '').matchAll(/^\| ([@\w/-]+) +\| \w/gm)]
      .map(([, name = '']) => name)
      .filter((name) => name !== 'package')
      .toSorted()
  t.strictSame(named('README.md'), Object.keys(dependencies).toSorted())
  t.strictSame(named('.github/CONTRIBUTING.md'), Object.keys(devDependencies).toSorted())
})

await t.test('only what stands between the markers is renewed', async (t) => {
  const text = 'a\n<!-- x:begin -->old<!-- x:end -->\nb\n'
  t.equal(replaceBetween(text, 'x', 'new'), 'a\n<!-- x:begin -->\n\nnew\n\n<!-- x:end -->\nb\n')
  for (const wrong of ['', text + text, text.replace('begin', 'end'), text.replace('end', 'und')]) {
    t.throws(() => replaceBetween(wrong, 'x', 'new'), /markers x/)
  }
})

/** The sources below a folder, each adjacent pair of strings as the one text that it is. */
const sourcesOf = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:ts|py)$/.test(name))
    .map((name) => read(`${folder}/${name}`).replaceAll(/'\s*(?:\+\s*)?\n\s*'/g, ''))

await t.test('each symptom that we name is a text that somebody can see', async (t) => {
  const symptoms = symptomsOf(read('deploy/docs/guides/troubleshooting.md'))
  const of = (form: Speaker) => symptoms.filter((symptom) => symptom.form === form)
  const [plugin = ''] = sourcesOf('deploy/trac')
  t.ok(of('plugin').length >= 6, 'of the plugin')
  for (const { said } of of('plugin')) t.ok(plugin.includes(said), said)
  const lines = sourcesOf('src').flatMap((text) =>
    [...text.matchAll(/logger\s*\.\w+\([^;]{0,120}?'([^'\n]*)',?\s*\)/g)].map(([, line]) => line),
  )
  t.ok(of('log').length >= 6, 'of the log')
  for (const { said } of of('log')) t.ok(lines.includes(said), said)
  const start = read('src/cli/start.ts').replaceAll(/\$\{[^}]*\}/g, '…')
  for (const { said } of of('start')) t.ok(start.includes(`\`${said}\``), said)
  // Compared with what is really said, in test/flow/symptoms.test.ts and test/cli/doctor.test.ts.
  t.ok(of('page').length > 20, 'of pages')
  t.ok(of('doctor').length >= 8, 'of doctor')
})

await t.test('what the guide says of /readyz is what it says', async (t) => {
  const readiness = createReadiness(['upstream'])
  const told: string[] = []
  const { config } = loadText(minimal)
  const address = config.upstreams['trac']!.url
  const tellPlugin = createPluginTrouble(createLogger('silent'), readiness)
  readiness.missed('upstream', upstreamName('trac', address), tellFault(new Error('refused')))
  for (const state of ['absent', 'foreign'] as const) {
    tellPlugin(state, '')
    told.push(...readiness.report().degraded)
  }
  const guide = read('deploy/docs/guides/troubleshooting.md')
  const inPassing = [...guide.matchAll(/`\/readyz` says “([^”…]+)”/g)].map(([, said = '']) => said)
  const gateway = read('src/app/gateway.ts')
  t.ok(inPassing.length > 0)
  for (const said of inPassing) t.ok(gateway.includes(`'${said}'`), said)
  const ours = symptomsOf(guide)
  for (const { said, pattern } of ours.filter(({ form }) => form === 'readyz')) {
    t.ok(
      told.some((text) => pattern.test(text)),
      `${said}, of ${told.join(' | ')}`,
    )
  }
})

await t.test('the guide says what to do at night about each alert that wakes somebody', (t) => {
  const rules = read('deploy/prometheus/alerts.yaml').split('- alert: ').slice(1)
  const critical = rules
    .filter((rule) => /severity: critical/.test(rule))
    .map((rule) => rule.slice(0, rule.indexOf('\n')))
  t.ok(critical.length >= 5, critical.join(', '))
  const [, night = ''] = read('deploy/docs/guides/operations.md').split('\n## At night\n')
  for (const alert of critical) t.match(night.split('\n## ')[0], new RegExp(`^\\| .*${alert}`, 'm'))
  t.end()
})

await t.test('each threat of the security model names tests that there are', async (t) => {
  const [, rest = ''] = read('deploy/docs/security-model.md').split('\n## The threats\n')
  const [section = ''] = rest.split('\n## ')
  const [, , ...rows] = section.split('\n').filter((line) => line.startsWith('|'))
  // What is in bold names a group.
  const threats = rows.filter((line) => !line.startsWith('| **'))
  t.ok(threats.length > 20, `${threats.length} threats`)
  for (const threat of threats) {
    const named = [...(threat.split(' | ').at(-1) ?? '').matchAll(/`([^`]+)`/g)]
    t.ok(named.length > 0, threat)
    for (const [, name = ''] of named) t.ok(existsSync(`test/${name}.test.ts`), name)
  }
})

await t.test('the guide has each address of the admin listener, and no other', async (t) => {
  const [, rest = ''] = read('deploy/docs/guides/operations.md').split('\n## Probes and metrics\n')
  const [table = ''] = rest.split('\n## ')
  const told = [...table.matchAll(/^\| `(?:GET|POST) (\/\w*)`/gm)].map(([, path = '']) => path)
  const served = [
    ...read('src/observe/admin.ts').matchAll(/^ +(?:'(\/\w+)': |.*url === '(\/\w*)')/gm),
  ]
  t.strictSame(told.toSorted(), served.map(([, command, page = '']) => command ?? page).toSorted())
})

/** Keys of the configuration that hold a secret. */
function secretsOf(schema: KeySchema, path = ''): readonly string[] {
  if (schema.secret !== undefined) return [path]
  const { properties = {}, additionalProperties, items, keyName = 'key' } = schema
  return [
    ...Object.entries(properties).flatMap(([key, property]) =>
      secretsOf(property, path === '' ? key : `${path}.${key}`),
    ),
    ...(typeof additionalProperties === 'object'
      ? secretsOf(additionalProperties, `${path}.<${keyName}>`)
      : []),
    ...(items === undefined ? [] : secretsOf(items, `${path}[]`)),
  ]
}

await t.test('there is a way to make each secret anew, and of no other key', async (t) => {
  const [, section = ''] = read('deploy/docs/guides/recovery.md').split('## Each secret made anew')
  const [table = ''] = section.split('\n## ')
  const cells = [...table.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell = '']) => cell)
  const named = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, key = '']) => key))
  t.same(new Set(named), new Set(secretsOf(configKeys)))
})
