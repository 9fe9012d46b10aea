/** The architecture as a test: imports point down only, one door per library, one reader of environment and clock. */
import { t } from './fixtures/tap.js'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { root } from './fixtures/root.js'

const source = `${root}src/`

/** Folders from the top down; those of one line never import each other. */
const layers: readonly (readonly string[])[] = [
  ['main'],
  ['cli', 'demo'],
  ['app'],
  ['endpoints'],
  ['cache'],
  ['authenticate', 'authorize', 'edge', 'forward', 'http', 'sign-in'],
  ['names', 'tokens'],
  ['oidc', 'session'],
  ['config', 'observe'],
  ['request', 'trac', 'browser', 'texts'],
  ['core'],
]

/** Where a library may be imported; all other files go through these. */
const doors: Readonly<Record<string, readonly string[]>> = {
  '@fastify/http-proxy': ['app/fastify.ts'],
  '@fastify/rate-limit': ['app/fastify.ts'],
  fastify: ['app/fastify.ts'],
  jose: [
    'oidc/key-set.ts',
    'oidc/signature.ts',
    'oidc/verify-token.ts',
    'oidc/logout-token.ts',
    'session/sealer.ts',
    'sign-in/token-response.ts',
  ],
  'lru-cache': [
    'cache/file-cache.ts',
    'cache/store.ts',
    'authenticate/bad-tokens.ts',
    'authenticate/bearer.ts',
    'authenticate/userinfo.ts',
    'core/remember-lists.ts',
    'session/process-state.ts',
    'session/renewal-gate.ts',
    'session/superseded-cookies.ts',
    'session/seen-people.ts',
    'session/session-cache.ts',
    'tokens/redis-tokens.ts',
    'authenticate/personal-token.ts',
    'endpoints/callback.ts',
    'endpoints/refresh.ts',
  ],
  oauth4webapi: [
    'oidc/provider-endpoints.ts',
    'oidc/token-client.ts',
    'sign-in/login-state.ts',
    'endpoints/callback.ts',
  ],
  ioredis: ['session/redis-link.ts'],
  undici: ['forward/undici-connection.ts'],
  pino: ['observe/logger.ts'],
  'prom-client': ['observe/metrics.ts', 'observe/metrics-sum.ts'],
  yaml: ['config/yaml.ts', 'config/gateway-yaml.ts'],
  commander: ['main.ts'],
}

/** The demo plays the provider and the client script runs in a browser: neither is part of the way of a request. */
const isExempt = (name: string): boolean => name.startsWith('demo/') || name === 'browser/client.ts'

/** Files that tests run as a process or in a browser instead of importing them. */
const ranAsWhole = [
  'main.ts',
  'cli/revoke.ts',
  'cli/names.ts',
  'cli/admin-client.ts',
  'cli/docs.ts',
  'cli/sbom.ts',
  'cli/workers/worker.ts',
  'browser/client.ts',
]

interface SourceFile {
  readonly name: string
  readonly text: string
  readonly imports: readonly { readonly from: string; readonly typeOnly: boolean }[]
}

const tests = `${root}test/`

function readSources(folder: string): SourceFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => {
      const text = readFileSync(join(folder, name), 'utf8')
      const pattern =
        /(?:^|\n)(?:import|export)\s(type\s)?[^;'"]*?from '([^']+)'|import\('([^']+)'\)/g
      const imports = [...text.matchAll(pattern)].map((match) => ({
        from: match[2] ?? match[3] ?? '',
        typeOnly: match[1] !== undefined,
      }))
      return { name, text, imports }
    })
}

function folderOf(name: string): string {
  return name.includes('/') ? name.slice(0, name.indexOf('/')) : name.replace(/\.ts$/, '')
}

function layerOf(folder: string): number {
  return layers.findIndex((layer) => layer.includes(folder))
}

const files = readSources(source)

await t.test('every folder has its place', async (t) => {
  for (const folder of new Set(files.map((file) => folderOf(file.name)))) {
    t.not(layerOf(folder), -1, `${folder} stands in the list of layers`)
  }
})

await t.test('imports point down only', async (t) => {
  for (const file of files) {
    for (const { from } of file.imports.filter((one) => one.from.startsWith('.'))) {
      const target = relative(source, resolve(source, dirname(file.name), from))
      const here = folderOf(file.name)
      const there = folderOf(target.replace(/\.js$/, '.ts'))
      if (here === there) continue
      t.ok(layerOf(there) > layerOf(here), `${file.name} imports ${target}`)
    }
  }
})

await t.test('a library is imported by its doors alone', async (t) => {
  for (const file of files.filter(({ name }) => !isExempt(name))) {
    for (const { from, typeOnly } of file.imports) {
      if (from.startsWith('.') || from.startsWith('node:') || typeOnly) continue
      const library = from.startsWith('@')
        ? from.split('/').slice(0, 2).join('/')
        : from.split('/')[0]!
      t.ok(doors[library]?.includes(file.name), `${file.name} imports ${from}`)
    }
  }
})

await t.test('only the process reads its environment, and time is handed in', async (t) => {
  for (const { name, text } of files.filter((file) => !isExempt(file.name))) {
    if (name !== 'main.ts' && name !== 'cli/docs.ts') t.notMatch(text, /process\.env/, name)
    if (name !== 'app/gateway.ts') t.notMatch(text, /Date\.now\(/, name)
  }
})

await t.test('every file says its job first', async (t) => {
  for (const { name, text } of files) {
    const head = text.replace(/^#!.*\n/, '')
    t.match(head, /^\/\*\*/, name)
  }
})

await t.test('every source file is loaded by a test', async (t) => {
  const targetsOf = (folder: string, file: SourceFile): string[] =>
    file.imports
      .filter(({ from }) => from.startsWith('.'))
      .map(({ from }) => resolve(folder, dirname(file.name), from).replace(/\.js$/, '.ts'))
  const graph = new Map<string, string[]>()
  for (const [folder, list] of [
    [source, files],
    [tests, readSources(tests)],
  ] as const) {
    for (const file of list) graph.set(join(folder, file.name), targetsOf(folder, file))
  }
  const loaded = new Set<string>()
  const visit = (path: string): void => {
    if (loaded.has(path)) return
    loaded.add(path)
    for (const next of graph.get(path) ?? []) visit(next)
  }
  for (const path of graph.keys()) if (path.endsWith('.test.ts')) visit(path)
  for (const { name } of files.filter((file) => !ranAsWhole.includes(file.name))) {
    t.ok(loaded.has(join(source, name)), `${name} is loaded`)
  }
})
