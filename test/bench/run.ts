/**
 * `npm run bench [-- NAME]`: the gateway with everything on, beside the peers, in turns. The proxy has a core, the load and
 * the upstream have the other. A NAME is a part of a case's name; the table is written when all cases ran.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DemoProvider } from '../../src/demo/provider.js'
import { Visitor } from '../fixtures/visitor.js'
import { cases, manyTokens, newTokens, writeHeaders } from './cases.js'
import type { Case } from './cases.js'
import * as contenders from './contenders.js'
import type { Contender } from './contenders.js'
import { cpuOf, otherCore, peakMemoryOf, pinSelf, watchOthers } from './machine.js'
import { pace } from './pace.js'
import { comparePolicies } from './policy.js'
import { caseTable, floodRow, floodTable, median, pacedTable, writeSection } from './report.js'
import type { Paced, Result, Round } from './report.js'
import { createSetting, createToken } from './setting.js'
import { load } from './wrk.js'

const rounds = Number(process.env['BENCH_ROUNDS'] ?? '5')
const roundTime = Number(process.env['BENCH_MILLISECONDS'] ?? '2000')
const connections = 64
/**
 * Rounds before those that count. V8 compiles what it runs for the first eight seconds or so, the longer the more code there
 * is: Node's programs are measured as they run from then on, and so are all others, which need not wait for it.
 */
const warmUps = { node: 4, others: 1 }
const pacedRate = 1000
/** Requests a second of whoever has a good token, and of the flood. */
const floodedRate = 200
const floodRate = 1000
/** A round in which others used more of the two cores than this part is made again, so often at most. */
const quiet = Number(process.env['BENCH_QUIET'] ?? '0.05')
const maxRepeats = 4
const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-bench-'))

/** Numbers that the table needs to be honest. */
const noise = { repeated: 0, kept: 0, broken: 0 }

/** Runs one measurement, again if others were busy meanwhile. */
async function inQuiet<T>(measure: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    const others = watchOthers()
    const startedAt = performance.now()
    const result = await measure()
    if (others() < (performance.now() - startedAt) * quiet) return result
    if (tries === maxRepeats) {
      noise.kept++
      return result
    }
    noise.repeated++
  }
}

/** The header lines that a case sends to a contender, in a file. */
async function headersFor(
  { name, credential, tokens, once }: Case,
  contender: Contender,
  parts: { provider: DemoProvider; sessions: Map<Contender, string>; known: readonly string[] },
): Promise<string> {
  const { provider, sessions, known } = parts
  let lines = ['Accept: */*']
  if (credential === 'session' && contender.checks.includes('session')) {
    lines = [`Cookie: ${sessions.get(contender)}`]
  } else if (credential === 'bearer') {
    const own = once
      ? await Promise.all(Array.from({ length: tokens }, (_, i) => createToken(provider, i)))
      : known.slice(0, tokens)
    lines = own.map((token) => `Authorization: Bearer ${token}`)
  }
  return writeHeaders(folder, `headers-${name.replaceAll(/\W+/g, '-')}`, lines)
}

/** One round of a case at one contender. */
async function measure(what: Case, contender: Contender, headersFile: string): Promise<Round> {
  const isApache = contender.name.startsWith('Apache')
  // Apache asks for a session below a path of its own, which leads to the same page.
  const path = isApache && what.credential === 'session' ? '/session/Start' : what.path
  const before = cpuOf(contender.pids())
  const { requests, microseconds, refused, broken } = await load({
    url: new URL(path, contender.origin),
    headersFile,
    once: what.once,
    bodySize: what.bodySize,
    connections,
    milliseconds: roundTime,
  })
  noise.broken += broken
  if (refused > 0 || broken > requests / 100) {
    throw new Error(`${contender.name}, ${what.name}: ${refused} refused, ${broken} broken`)
  }
  const cpu = ((cpuOf(contender.pids()) - before) * 1000) / requests
  return { requestsPerSecond: (requests * 1e6) / microseconds, cpu }
}

function takesPart({ credential, once, tls }: Case, { name, checks }: Contender): boolean {
  const isGateway = name === contenders.gatewayName
  const isYardstick = name === contenders.bareName || (name === 'nginx' && !once)
  if (name === 'no proxy') return !tls && credential === 'none'
  return isGateway || isYardstick || (credential !== 'none' && checks.includes(credential))
}

type CaseParts = Parameters<typeof headersFor>[2]

/** Loads a contender until it runs as it will. */
async function warmUp(what: Case, contender: Contender, parts: CaseParts): Promise<void> {
  const times = contenders.onNode.has(contender.name) ? warmUps.node : warmUps.others
  for (let time = 0; time < times; time++) {
    await measure(what, contender, await headersFor(what, contender, parts))
  }
}

/** Whether a contender is started anew for each round: in the first case, where one process would stand for all of its kind. */
const isRenewed = ({ paced }: Case, { name }: Contender): boolean =>
  paced && contenders.onNode.has(name)

/**
 * Gives a contender to a measurement, or a new process of it, warm: one of Node's differs from the next by more than a round
 * does from another.
 */
async function withProcess<T>(
  what: Case,
  contender: Contender,
  parts: CaseParts,
  work: (own: Contender) => Promise<T>,
): Promise<T> {
  if (!isRenewed(what, contender)) return work(contender)
  const isBare = contender.name === contenders.bareName
  const own = await (isBare ? contenders.startBare : contenders.startGateway)(setting, what.tls)
  try {
    await warmUp(what, own, parts)
    return await work(own)
  } finally {
    // At once: a gateway that stops in order would do so beside the next measurement.
    for (const pid of own.pids()) process.kill(pid, 'SIGKILL')
  }
}

async function runCase(
  what: Case,
  all: readonly Contender[],
  parts: CaseParts,
): Promise<readonly Result[]> {
  const present = all.filter((one) => takesPart(what, one))
  const found = new Map(present.map((one) => [one, { rounds: [] as Round[], memory: 0 }]))
  for (const contender of present) {
    if (!isRenewed(what, contender)) await warmUp(what, contender, parts)
  }
  for (let round = 0; round < rounds; round++) {
    for (const contender of present) {
      await withProcess(what, contender, parts, async (own) => {
        const result = found.get(contender)!
        const turn = async () => measure(what, own, await headersFor(what, own, parts))
        result.rounds.push(await inQuiet(turn))
        result.memory = Math.max(result.memory, peakMemoryOf(own.pids()))
      })
    }
  }
  return [...found].map(([{ name }, result]) => ({ name, ...result }))
}

/** A whole request with a token. */
const requestOf = ({ origin }: Contender, token: string): string =>
  `GET /wiki/Start HTTP/1.1\r\nHost: ${new URL(origin).host}\r\nAuthorization: Bearer ${token}\r\n\r\n`

async function runPaced(what: Case, all: readonly Contender[], parts: CaseParts): Promise<string> {
  const found: Paced[] = []
  const times = new Map<Contender, { p50: number[]; p99: number[] }>()
  for (let round = 0; round < rounds; round++) {
    for (const contender of all) {
      const { p50, p99, refused } = await withProcess(what, contender, parts, (own) => {
        const text = requestOf(own, parts.known[0]!)
        const span = { rate: pacedRate, milliseconds: roundTime * 2 }
        return inQuiet(() => pace({ port: own.port, text: () => text, ...span }))
      })
      if (refused > 0) throw new Error(`${contender.name}: ${refused} refused at a steady rate`)
      const own = times.get(contender) ?? { p50: [], p99: [] }
      own.p50.push(p50)
      own.p99.push(p99)
      times.set(contender, own)
    }
  }
  for (const [{ name }, own] of times) found.push({ name, ...own })
  const [direct, ...proxies] = found
  return pacedTable(pacedRate, direct!, proxies)
}

/** How somebody with a good token fares while another address sends bad ones, each another one. */
async function runFlood(all: readonly Contender[], tokens: readonly string[]): Promise<string> {
  // As a token is forged: all of it is right but the signature.
  const forge = (token: string): string => {
    const at = token.lastIndexOf('.') + 10
    return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
  }
  const rows: string[] = []
  for (const contender of all.filter(({ checks }) => checks.includes('bearer'))) {
    const { port } = contender
    const good = { port, text: () => requestOf(contender, tokens[0]!), rate: floodedRate }
    const span = { milliseconds: roundTime * 2 }
    const quiet: number[] = []
    const flooded: number[] = []
    for (let round = -1; round < rounds; round++) {
      const alone = await inQuiet(() => pace({ ...good, ...span, from: '127.0.0.2' }))
      let i = 0
      const text = () => requestOf(contender, forge(tokens[i++ % tokens.length]!))
      const [beside, flood] = await inQuiet(() =>
        Promise.all([
          pace({ ...good, ...span, from: '127.0.0.2' }),
          pace({ port, text, rate: floodRate, ...span }),
        ]),
      )
      if (alone.refused > 0 || beside.refused > 0) throw new Error(`${contender.name} refused`)
      if (flood.refused < flood.count) throw new Error(`${contender.name} takes forged tokens`)
      if (round < 0) continue
      quiet.push(alone.p99)
      flooded.push(beside.p99)
    }
    rows.push(floodRow(contender.name, quiet, flooded))
  }
  return floodTable(floodedRate, floodRate, rows)
}

pinSelf(otherCore)
process.once('exit', () => {
  contenders.stopAll()
  rmSync(folder, { recursive: true, force: true })
})
const { provider, setting } = await createSetting(folder)
const client = provider.clients[0]!
const wanted = process.argv[2] ?? ''
const chosen = cases.filter(({ name }) => name.includes(wanted))
const start = async (tls: boolean): Promise<readonly Contender[]> => [
  ...(tls ? [] : [contenders.direct(setting.upstreamPort)]),
  await contenders.startNginx(setting, tls),
  await contenders.startBare(setting, tls),
  await contenders.startHaproxy(setting, tls),
  ...(tls ? [] : [await contenders.startApache(setting)]),
  await contenders.startOauth2Proxy(setting, tls),
  await contenders.startGateway(setting, tls),
]
const plain = await start(false)
const secure = chosen.some(({ tls }) => tls) ? await start(true) : []

const person = provider.people[0]!
const sessions = new Map<Contender, string>()
for (const contender of plain) {
  if (!contender.checks.includes('session')) continue
  client.redirectUris.push(
    ...['/auth/callback', '/oauth2/callback', '/session/callback'].map(
      (path) => contender.origin + path,
    ),
  )
  const visitor = new Visitor()
  const isGateway = contender.name === contenders.gatewayName
  const entry = isGateway ? '/auth/login?return_to=/wiki/Start' : '/session/Start'
  await visitor.signIn(contender.origin + entry, person)
  sessions.set(contender, visitor.cookieHeader(contender.origin))
}
const known = await Promise.all(
  Array.from({ length: manyTokens }, (_, i) => createToken(provider, i)),
)

const texts: string[] = []
for (const what of chosen) {
  const parts = { provider, sessions, known }
  const results = await runCase(what, what.tls ? secure : plain, parts)
  texts.push(caseTable(what.name, results))
  process.stdout.write(`${texts.at(-1)}\n`)
  if (what.paced) {
    texts.push(await runPaced(what, plain, parts))
    process.stdout.write(`${texts.at(-1)}\n`)
  }
}
if ('a flood of bad tokens'.includes(wanted)) {
  texts.push(await runFlood(plain, known))
  process.stdout.write(`${texts.at(-1)}\n`)
}
const policies = comparePolicies(rounds)
texts.push(`### Policy

One look-up in a policy of a thousand rows whose first segment is a wildcard costs ${median(policies.ratios).toFixed(2)} times (${Math.min(...policies.ratios).toFixed(2)}–${Math.max(...policies.ratios).toFixed(2)}) that in
one of ten rows, which costs ${policies.few.toFixed(1)} µs.
`)
const note = `${rounds} rounds of ${roundTime / 1000} s in turns, after ${warmUps.node} in which Node’s programs warm up; ${connections} kept connections, ${newTokens} tokens a round where each is new. Node ${process.version}.
Measurements made again because others used more than ${quiet * 100} % of a core: ${noise.repeated}; kept though they were: ${noise.kept}. Connections that
broke: ${noise.broken}.
`
process.stdout.write(note)
if (wanted === '') await writeSection('measured', `${texts.join('\n')}\n${note}`)
process.exit(0)
