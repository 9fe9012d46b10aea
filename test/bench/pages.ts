/** `npm run bench:pages`: Trac's pages in Chromium, through the gateway and from tracd itself, in turns. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { cacheFolder, createEnvironment, startTracd } from '../../src/demo/trac.js'
import { startBrowser } from '../fixtures/browser.js'
import { freePort } from '../fixtures/ports.js'
import { until } from '../fixtures/until.js'
import { median, writeSection } from './report.js'

const rounds = Number(process.env['BENCH_ROUNDS'] ?? '12')
const pages = ['/wiki/WikiStart', '/ticket/1', '/newticket', '/query', '/timeline', '/roadmap']
const views = 'CHANGESET MILESTONE REPORT ROADMAP SEARCH TICKET TIMELINE WIKI'
const rights = [...views.split(' ').map((name) => `${name}_VIEW`), 'TICKET_CREATE']
const base = '/trac'
const key = 'A-secret-of-the-bench-with-32-bytes-or-more'
const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-pages-'))
const python = join(cacheFolder(), 'trac-1.6', 'bin', 'python')
const run = promisify(execFile)

/** One environment, and a copy of it without the bridge, where Trac itself keeps the same rights. */
async function createEnvironments(publicUrl: string): Promise<{ bridged: string; bare: string }> {
  const [bridged, bare] = [join(folder, 'bridged'), join(folder, 'bare')]
  await createEnvironment({
    environment: bridged,
    python,
    keys: [{ id: 'k1', secret: key }],
    publicUrl,
    // Trac's own setting names a picture that nobody has put there.
    ini: { header_logo: { src: 'common/trac_logo_mini.png' } },
  })
  await cp(bridged, bare, { recursive: true })
  await rm(join(bare, 'plugins', 'trac_gateway.py'))
  const admin = 'import sys; from trac.admin.console import run; sys.exit(run(sys.argv[1:]))'
  const policies = 'DefaultWikiPolicy, DefaultTicketPolicy, DefaultPermissionPolicy'
  for (const command of [
    ['config', 'set', 'trac', 'permission_policies', policies],
    ['config', 'set', 'trac', 'request_filters', ''],
    ['config', 'set', 'components', 'trac.web.auth.loginmodule', 'enabled'],
    ['config', 'set', 'trac', 'base_url', ''],
    ['permission', 'add', 'anonymous', ...rights],
  ]) {
    await run(python, ['-c', admin, bare, ...command])
  }
  return { bridged, bare }
}

/** The gateway as a process of its own, as it is by default. */
async function startGateway(port: number, tracUrl: string): Promise<ChildProcess> {
  const file = join(folder, 'gateway.yaml')
  const adminPort = await freePort()
  await writeFile(
    file,
    `server: { publicUrl: 'http://localhost:${port}${base}', listen: '127.0.0.1:${port}' }
admin: { listen: '127.0.0.1:${adminPort}' }
identity: { issuer: 'http://127.0.0.1:9', clientId: trac }
session: { secrets: [{ fromEnv: SESSION }] }
permissions: { groups: { admins: [TRAC_ADMIN] }, anonymous: [${rights.join(', ')}] }
upstreams: { trac: { url: '${tracUrl}', signingKeys: [{ id: k1, secret: { fromEnv: SIGNING } }] } }
`,
  )
  const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
  const SESSION = 'q7Zt1mX9vB4nL2wK8sD6fG3hJ5pR0yUeAcVbNiOzTx'
  const child = spawn(process.execPath, [main, 'start', '--config', file], {
    env: { ...process.env, SESSION, SIGNING: key },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await until(async () => (await fetch(`http://localhost:${port}${base}/wiki/WikiStart`)).ok)
  return child
}

/** Milliseconds from the navigation to the end of its load event, and requests made. */
interface Load {
  readonly milliseconds: number
  readonly requests: number
}

/** Loads a page in a browser that has nothing of it, and once more. */
async function load(browser: Browser, url: string): Promise<{ cold: Load; warm: Load }> {
  const context = await browser.newContext()
  const page = await context.newPage()
  const once = async (): Promise<Load> => {
    let requests = 0
    const count = () => requests++
    page.on('requestfinished', count)
    await page.goto(url, { waitUntil: 'load' })
    const milliseconds = await page.evaluate<number>(
      `performance.getEntriesByType('navigation')[0].loadEventEnd`,
    )
    page.off('requestfinished', count)
    return { milliseconds, requests }
  }
  const loads = { cold: await once(), warm: await once() }
  await context.close()
  return loads
}

const [gatewayPort, bridgedPort, barePort] = [await freePort(), await freePort(), await freePort()]
const gatewayUrl = `http://localhost:${gatewayPort}${base}`
const environments = await createEnvironments(gatewayUrl)
const bridged = await startTracd({
  environment: environments.bridged,
  python,
  port: bridgedPort,
  basePath: base,
})
const bare = await startTracd({
  environment: environments.bare,
  python,
  port: barePort,
  basePath: base,
})
const gateway = await startGateway(gatewayPort, bridged.url)
const browser = await startBrowser()
const contenders = [
  { name: 'trac-gateway', url: gatewayUrl },
  { name: 'tracd', url: `http://localhost:${barePort}${base}` },
] as const
type Name = (typeof contenders)[number]['name']
const kinds = ['cold', 'warm'] as const
const seen = new Map<string, Load[]>()
const of = (name: Name, kind: (typeof kinds)[number], page: string): Load[] => {
  const at = `${name} ${kind} ${page}`
  const list = seen.get(at) ?? []
  seen.set(at, list)
  return list
}
try {
  // Both have made their pages once, and what is kept is compressed.
  for (const { url } of contenders) for (const page of pages) await load(browser, url + page)
  await new Promise((resolve) => setTimeout(resolve, 3000))
  for (let round = 0; round < rounds; round++) {
    const inTurn = round % 2 === 0 ? contenders : contenders.toReversed()
    for (const page of pages) {
      for (const { name, url } of inTurn) {
        const loads = await load(browser, url + page)
        for (const kind of kinds) of(name, kind, page).push(loads[kind])
      }
    }
  }
} finally {
  await browser.close()
  gateway.kill()
  await Promise.all([bridged.stop(), bare.stop()])
  await rm(folder, { recursive: true, force: true })
}

/** One row: medians of both, and of the ratio within each round. */
function row(kind: (typeof kinds)[number], page: string): string {
  const [ours, theirs] = [of('trac-gateway', kind, page), of('tracd', kind, page)]
  const times = (list: readonly Load[]) => list.map(({ milliseconds }) => milliseconds)
  const ratio = median(times(theirs).map((time, i) => time / times(ours)[i]!))
  const cell = (list: readonly Load[]) => median(times(list)).toFixed(0)
  const requests = (list: readonly Load[]) => list.map((one) => one.requests)
  return `| ${page} | ${kind} | ${cell(ours)} | ${cell(theirs)} | ${ratio.toFixed(2)} | ${median(requests(ours))} | ${median(requests(theirs))} |`
}

const all = (kind: (typeof kinds)[number]): string => {
  const ratios = pages.flatMap((page) =>
    of('tracd', kind, page).map(
      ({ milliseconds }, i) => milliseconds / of('trac-gateway', kind, page)[i]!.milliseconds,
    ),
  )
  return `${kind} ${median(ratios).toFixed(2)}`
}

const table = [
  '| page | browser cache | gateway, ms | tracd, ms | times faster | requests, gateway | tracd |',
  '|---|---|---:|---:|---:|---:|---:|',
  ...pages.flatMap((page) => kinds.map((kind) => row(kind, page))),
]
const section = `## Pages

\`npm run bench:pages\` writes this table: anonymous visits of Trac 1.6 in Chromium, ${rounds} rounds in turns, through the
gateway and from tracd itself, whose environment is a copy without the bridge. From the navigation to the end of the load
event; the ratio is the median of those within a round. Times faster, over all pages: ${kinds.map(all).join(', ')}.

${table.join('\n')}

Node ${process.version}, ${cpus().length} cores.
`
await writeSection('pages', section)
console.log(section)
