/**
 * `npm run bench:profile [-- MAIN]`: where the gateway spends its CPU on a warm request with a known token, and what it
 * allocates, by part. MAIN is the `main.js` of another build, whose table is printed and not written down.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { until } from '../fixtures/until.js'
import { cases, writeHeaders } from './cases.js'
import { startGateway, stopAll } from './contenders.js'
import type { Setting } from './contenders.js'
import { cpuOf, otherCore, pinSelf } from './machine.js'
import { writeSection } from './report.js'
import { createSetting, createToken } from './setting.js'
import { load } from './wrk.js'

const milliseconds = Number(process.env['BENCH_MILLISECONDS'] ?? '10000')
const other = process.argv[2]

/** A function, as a profile has it. */
interface Frame {
  readonly functionName: string
  readonly url: string
}

/** CPU: nodes by number, and which of them ran at each sample. */
interface CpuProfile {
  readonly nodes: readonly { id: number; callFrame: Frame; children?: readonly number[] }[]
  readonly samples: readonly number[]
}

/** Allocations: a tree with the bytes of each function. */
interface HeapNode {
  readonly callFrame: Frame
  readonly selfSize: number
  readonly children: readonly HeapNode[]
}

/** Shares by part, and how much of a part was in Node and the kernel below it. */
type Parts = Map<string, { own: number; below: number }>

/** Files whose part is not their folder; the first that fits. Older builds have other folders. */
const named: readonly (readonly [RegExp, string])[] = [
  [/\/(?:identity-proof|hmac|sign)[\w-]*\.js/, 'identity headers and their signature'],
  [
    /\/(?:access-log|audit|line-writer|log-\w+|logger)\.js|\/(?:pino|sonic-boom|atomic-sleep)\//,
    'log lines',
  ],
  [/\/(?:metrics|series|exemplars)\.js|\/prom-client\//, 'metrics'],
  [/\/(?:fastify|find-my-way|avvio|light-my-request)\/|\/app\/fastify\.js/, 'Fastify'],
  [/\/(?:undici|@fastify\/[\w-]+|lru-cache|jose)\//, 'other libraries'],
]

/** The part that a function belongs to; undefined: its caller's. */
function partOf({ functionName, url }: Frame): string | undefined {
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (functionName === '(program)') return 'Node and kernel, by themselves'
  const found = named.find(([form]) => form.test(url))
  if (found !== undefined) return found[1]
  // What all use is whoever uses it.
  return /\/src\/(?!core\/)([\w-]+)\//.exec(url)?.[1]
}

function add(parts: Parts, stack: readonly Frame[], amount: number): void {
  const last = stack.at(-1)!
  if (last.functionName === '(idle)') return
  const part = stack.map(partOf).findLast(Boolean) ?? 'Node’s HTTP server and streams'
  const entry = parts.get(part) ?? { own: 0, below: 0 }
  entry.own += amount
  if (!last.url.startsWith('file:')) entry.below += amount
  parts.set(part, entry)
}

function readCpu(profile: CpuProfile): Parts {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  )
  const parts: Parts = new Map()
  for (const sample of profile.samples) {
    const stack: Frame[] = []
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      stack.unshift(nodes.get(id)!.callFrame)
    }
    add(parts, stack, 1)
  }
  return parts
}

function readAllocations(node: HeapNode, above: readonly Frame[] = [], parts: Parts = new Map()) {
  const stack = [...above, node.callFrame]
  if (node.selfSize > 0) add(parts, stack, node.selfSize)
  for (const child of node.children) readAllocations(child, stack, parts)
  return parts
}

const sumOf = (parts: Parts) => [...parts.values()].reduce((sum, { own }) => sum + own, 0)

/** Runs the gateway under load with one kind of profile. */
async function take(kind: 'cpu' | 'allocations', setting: Setting, token: string) {
  const to = join(folder, `${kind}.json`)
  const address = new URL(`./profiled.js?kind=${kind}&to=${to}`, import.meta.url)
  const gateway = await startGateway(setting, false, {
    flags: ['--import', address.href],
    ...(other === undefined ? {} : { main: resolve(other) }),
  })
  const headersFile = writeHeaders(folder, 'headers', [`Authorization: Bearer ${token}`])
  const { path } = cases[0]!
  const send = (span: number) =>
    load({
      url: new URL(path, gateway.origin),
      headersFile,
      once: false,
      bodySize: 0,
      connections: 64,
      milliseconds: span,
    })
  // All is compiled before it counts.
  await send(4000)
  const [pid = 0] = gateway.pids()
  process.kill(pid, 'SIGUSR2')
  const before = cpuOf([pid])
  const { requests, refused } = await send(milliseconds)
  if (refused > 0) throw new Error(`${refused} requests were refused`)
  const cpu = cpuOf([pid]) - before
  process.kill(pid, 'SIGUSR2')
  let text = ''
  await until(() => {
    text = readFileSync(to, 'utf8')
    return text.endsWith('}')
  }, 'the profile is written')
  process.kill(pid, 'SIGTERM')
  return { profile: JSON.parse(text) as unknown, requests, cpu }
}

pinSelf(otherCore)
const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-profile-'))
process.once('exit', () => {
  stopAll()
  rmSync(folder, { recursive: true, force: true })
})
const { provider, setting } = await createSetting(folder)
const token = await createToken(provider, 0)
const cpu = await take('cpu', setting, token)
const allocations = await take('allocations', setting, token)

const times = readCpu(cpu.profile as CpuProfile)
const bytes = readAllocations((allocations.profile as { head: HeapNode }).head)
const microseconds = (cpu.cpu * 1000) / cpu.requests
const perRequest = sumOf(bytes) / allocations.requests
const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(0)} %`
const rows = [...new Set([...times.keys(), ...bytes.keys()])]
  .map((name) => {
    const [time, size] = [times.get(name), bytes.get(name)]
    const share = (time?.own ?? 0) / sumOf(times)
    return { name, share, below: (time?.below ?? 0) / sumOf(times), size: size?.own ?? 0 }
  })
  .filter(({ share, size }) => share >= 0.005 || size >= 0.005 * sumOf(bytes))
  .toSorted((one, two) => two.share - one.share)
  .map(({ name, share, below, size }) => {
    const cell = `${percent(below, 1)} | ${Math.round(size / allocations.requests)}`
    return `| ${name} | ${percent(share, 1)} | ${(share * microseconds).toFixed(1)} | ${cell} |`
  })
const section = `| part | CPU | µs a request | of the CPU, in Node and the kernel | bytes a request |
|---|--:|--:|--:|--:|
${rows.join('\n')}
| all | 100 % | ${microseconds.toFixed(1)} | | ${Math.round(perRequest)} |

Node ${process.version}; ${cpu.requests} requests with a CPU profile, ${allocations.requests} with a sample of what is allocated.`
process.stdout.write(`${section}\n`)
if (other === undefined) await writeSection('profile', section)
process.exit(0)
