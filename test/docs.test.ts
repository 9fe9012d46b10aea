/** The generated reference equals the code, both ways, and can be renewed. */
import { readFileSync, readdirSync } from 'node:fs'
import { t } from './fixtures/tap.js'
import { renewReference, replaceBetween } from '../src/cli/reference.js'
import { listKeys } from '../src/config/docs.js'
import { errorHints } from '../src/core/error-hints.js'
import { errors } from '../src/core/errors.js'
import type { ErrorCode } from '../src/core/errors.js'
import {
  decisionFields,
  grantsFields,
  requestFields,
  signInFields,
} from '../src/observe/log-fields.js'
import { createMetrics } from '../src/observe/metrics.js'

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

await t.test('each symptom that we name is a text that somebody can see', async (t) => {
  const headings = read('deploy/docs/guides/troubleshooting.md').match(/^### .*$/gm) ?? []
  const ours = headings.flatMap((line) => {
    const [, text, code] = /^### “(.+)” `(ERR_\w+)`$/.exec(line) ?? []
    return text === undefined ? [] : [{ text, code: code as ErrorCode }]
  })
  t.ok(ours.length > 20, `${ours.length} of ours`)
  for (const { text, code } of ours) t.equal(errors[code].text, text, code)
  // Adjacent strings are one text in Python.
  const plugin = read('deploy/trac/trac_gateway.py').replaceAll(/'\s*\n\s*'/g, '')
  const ofTrac = headings.flatMap((line) => /^### Trac says “(.+)”$/.exec(line)?.[1] ?? [])
  t.ok(ofTrac.length >= 6, `${ofTrac.length} of the plugin's`)
  for (const text of ofTrac) t.ok(plugin.includes(text), text)
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
