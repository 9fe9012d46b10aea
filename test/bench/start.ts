/**
 * `npm run bench:start`: what a start takes until the first answer, and what a process holds that nobody asks: the files of a
 * build, those of the archive (deploy/make-bundle.mjs; the image has the same), and the bare proxy. On another version of
 * Node: `test/on-node 24 npm run bench:start`. Each version has its own table.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as contenders from './contenders.js'
import type { Contender } from './contenders.js'
import { cpuOf, otherCore, pinSelf, residentMemoryOf } from './machine.js'
import { median, spread, writeSection } from './report.js'
import { createSetting } from './setting.js'

const rounds = Number(process.env['BENCH_ROUNDS'] ?? '7')
/** Seconds after the last start. */
const looks = [30, 120]

/** One process that was started. */
interface Start {
  readonly pids: readonly number[]
  /** Milliseconds of CPU until it answered. */
  readonly cpu: number
  /** MiB: when it answered, and after each of {@link looks}. */
  readonly memory: number[]
}

const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-bench-'))
pinSelf(otherCore)
process.once('exit', () => {
  contenders.stopAll()
  rmSync(folder, { recursive: true, force: true })
})
const { setting } = await createSetting(folder)

/** Makes the archive and unpacks it. @returns its program */
function unpackArchive(): string {
  const [made, unpacked] = [join(folder, 'made'), join(folder, 'unpacked')]
  for (const path of [made, unpacked]) mkdirSync(path)
  const archives = execFileSync('deploy/make-archive', ['--dist', '.build/src', '--to', made], {
    encoding: 'utf8',
  })
  const archive = archives.split('\n').find((path) => path.endsWith('.tar.gz')) ?? ''
  execFileSync('tar', ['-xzf', archive, '-C', unpacked, '--strip-components=1'])
  return join(unpacked, 'dist/main.js')
}

const main = unpackArchive()
const starters: readonly (() => Promise<Contender>)[] = [
  () => contenders.startBare(setting, false),
  async () => ({
    ...(await contenders.startGateway(setting, false)),
    name: `${contenders.gatewayName}, built`,
  }),
  async () => ({
    ...(await contenders.startGateway(setting, false, { main })),
    name: `${contenders.gatewayName}, the archive’s`,
  }),
]
const found = new Map<string, Start[]>()
for (let round = 0; round < rounds; round++) {
  for (const start of starters) {
    const contender = await start()
    const pids = contender.pids()
    const own = found.get(contender.name) ?? []
    own.push({ pids, cpu: cpuOf(pids), memory: [residentMemoryOf(pids)] })
    found.set(contender.name, own)
  }
}
let waited = 0
for (const look of looks) {
  await new Promise((resolve) => setTimeout(resolve, (look - waited) * 1000))
  waited = look
  for (const one of [...found.values()].flat()) one.memory.push(residentMemoryOf(one.pids))
}

const rowOf = ([name, starts]: readonly [string, readonly Start[]]): string => {
  const cpu = starts.map((one) => one.cpu / 1000)
  const memory = [0, ...looks].map((_, at) => {
    const own = starts.map((one) => one.memory[at]!)
    return `${median(own).toFixed(0)} (${Math.min(...own).toFixed(0)}–${Math.max(...own).toFixed(0)})`
  })
  return `| ${name} | ${median(cpu).toFixed(2)} (${spread(cpu)}) | ${memory.join(' | ')} |`
}
const section = `### Start, and at rest, on Node ${process.version}

\`npm run bench:start\` writes this table: ${rounds} starts in turns, each on the proxy's core. Seconds of CPU until it answers (for the gateway: until
it is ready, too), and resident MiB: median, from and to.

| | CPU s | MiB then | ${looks.map((look) => `after ${look} s`).join(' | ')} |
|---|--:|--:|${looks.map(() => '--:|').join('')}
${[...found].map(rowOf).join('\n')}
`
process.stdout.write(section)
await writeSection(`start ${process.versions.node.split('.', 1)[0]}`, section)
process.exit(0)
