/** What README and guides show of gateway.yaml can be started with, and of expectations of a policy read. */
import { t } from '../fixtures/tap.js'
import { readFileSync, readdirSync } from 'node:fs'
import { parse, stringify } from 'yaml'
import { readPolicyTests } from '../../src/cli/policy-tests.js'
import { loadText, minimal, secretOf } from '../fixtures/config.js'

const guides = 'deploy/docs/guides'
const pages = ['README.md', ...readdirSync(guides).map((name) => `${guides}/${name}`)]

/** Secrets that the examples name. */
const sources = {
  env: { REDIS_URL: 'rediss://redis.example.edu:6380' },
  files: {
    '/run/secrets/session': secretOf('a'),
    '/run/secrets/signing': secretOf('b'),
    '/run/secrets/signing-physics': secretOf('c'),
    '/run/secrets/collector': secretOf('f'),
    '/run/secrets/client': secretOf('d'),
    '/run/secrets/github-hook': secretOf('e'),
    '/etc/trac-gateway/logo.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  },
}

type Tree = Readonly<Record<string, unknown>>

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** One tree over another, key by key. */
function over(below: unknown, above: unknown): unknown {
  if (!isTree(below) || !isTree(above)) return above
  const keys = new Set([...Object.keys(below), ...Object.keys(above)])
  return Object.fromEntries(
    [...keys].map((key) => [key, key in above ? over(below[key], above[key]) : below[key]]),
  )
}

const examples = pages.flatMap((page) =>
  [...readFileSync(page, 'utf8').matchAll(/^```yaml\n([^]*?)^```$/gm)].map(
    ([, text = '']) => [page, text] as const,
  ),
)

await t.test('there are examples', async (t) => {
  t.ok(examples.length >= 4)
})

for (const [page, text] of examples) {
  await t.test(`an example of ${page} is right`, async (t) => {
    if (text.startsWith('tests:')) {
      t.doesNotThrow(() => readPolicyTests(page, text))
      return
    }
    // The README has a whole file, a guide has parts of one.
    const api = { upstreams: { api: { url: 'http://127.0.0.1:8002' } } }
    const whole =
      page === 'README.md' ? text : stringify(over(over(parse(minimal), api), parse(text)))
    t.doesNotThrow(() => loadText(whole, sources))
  })
}
