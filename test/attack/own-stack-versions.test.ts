/**
 * Advisories about what this gateway is made of (Pomerium GHSA-j34v for a set that was
 * inherited): what was broken is not installed, or at least as new as the version that the facts were measured with.
 */
import { readFileSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import { root } from '../fixtures/root.js'

const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as {
  packages: Record<string, { version?: string; dev?: boolean; integrity?: string }>
}

/** Known advisories, and from which version on they are mended. */
const mended: readonly (readonly [name: string, version: string, advisories: string])[] = [
  ['fastify', '5.8.3', 'CVE-2026-3635'],
  [
    '@fastify/reply-from',
    '12.6.5',
    'GHSA-qmw8-3v4g-gwj4 GHSA-v2v2-hph8-q5xp CVE-2026-33805 GHSA-v574-6498-x57v',
  ],
  ['@fastify/http-proxy', '11.6.3', 'GHSA-c4qr-gmr9-v23w'],
]
/** What has no use here: its advisories can't return with it unseen. */
const absent: readonly (readonly [name: string, advisories: string])[] = [
  ['@fastify/middie', 'CVE-2026-2880'],
  ['@fastify/express', 'CVE-2026-33807 CVE-2026-33808'],
  ['@fastify/session', 'CVE-2024-35220'],
  ['@fastify/secure-session', 'CVE-2024-31999'],
  ['@fastify/oauth2', 'CVE-2023-31999'],
  ['@fastify/passport', 'CVE-2023-29019'],
  ['fast-jwt', 'GHSA-rp9m-7r4c-75qg'],
]

/** Every copy of a package, however deep. */
const copiesOf = (name: string) =>
  Object.entries(lock.packages).filter(([path]) => path.endsWith(`node_modules/${name}`))

const numbers = (version: string) => version.split('.').map(Number)
const isAtLeast = (version: string, least: string): boolean => {
  const [a, b] = [numbers(version), numbers(least)]
  const at = a.findIndex((number, i) => number !== b[i])
  return at < 0 || a[at]! > b[at]!
}

for (const [name, version, advisories] of mended) {
  await t.test(`${name} is a version without ${advisories}`, async (t) => {
    const copies = copiesOf(name)
    t.not(copies.length, 0)
    for (const [path, copy] of copies) {
      t.match(copy.version, /^\d+\.\d+\.\d+$/, 'a release')
      t.ok(isAtLeast(copy.version!, version), `${path} ${copy.version}`)
    }
  })
}

for (const [name, advisories] of absent) {
  await t.test(`${name} is not installed (${advisories})`, async (t) => {
    t.same(copiesOf(name), [])
  })
}

await t.test('each package that runs in production is pinned by its hash', async (t) => {
  const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const [name, range] of Object.entries(manifest.dependencies)) {
    t.match(range, /^\d+\.\d+\.\d+$/, name)
  }
  for (const [path, { dev, integrity }] of Object.entries(lock.packages)) {
    if (path !== '' && dev !== true && integrity === undefined) t.fail(`${path} has no hash`)
  }
})
