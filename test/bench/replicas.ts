/**
 * `npm run bench:replicas`: one, two and three gateways behind HAProxy on one Redis, and on a Redis Cluster: what a request
 * costs all of them together, sessions that all renew at once, and what Redis needs for each thing that it keeps.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { openNames } from '../../src/app/names.js'
import type { Config } from '../../src/config/schema.js'
import { realTimers } from '../../src/core/clock.js'
import { startServer } from '../../src/demo/trac.js'
import { createLogger } from '../../src/observe/logger.js'
import { createMetrics } from '../../src/observe/metrics.js'
import { loadText } from '../fixtures/config.js'
import { configurationOf, environmentOf } from '../fixtures/gateway.js'
import type { TestGatewayOptions } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { startGatewayProcess } from '../fixtures/process.js'
import type { GatewayProcess } from '../fixtures/process.js'
import { startCluster, startRedis } from '../fixtures/redis.js'
import { startScriptedProvider } from '../fixtures/scripted-provider.js'
import type { ScriptedRequest } from '../fixtures/scripted-provider.js'
import { tokensBy } from '../fixtures/scripted-tokens.js'
import { openStoredSessions } from '../fixtures/stored-sessions.js'
import { t } from '../fixtures/tap.js'
import { until } from '../fixtures/until.js'
import { writeHeaders } from './cases.js'
import { shippedFlags, startBare, startUpstream, stopAll } from './contenders.js'
import { cpuOf, otherCore, proxyCore, watchOthers } from './machine.js'
import { pace } from './pace.js'
import { median, writeSection } from './report.js'
import { load } from './wrk.js'

const rounds = Number(process.env['BENCH_ROUNDS'] ?? '5')
const milliseconds = Number(process.env['BENCH_MILLISECONDS'] ?? '2000')
/** People whose sessions bring the load, and those of a storm; each of these asks so often at once. */
const people = 100
/** Requests a second for each replica: so many times as many replicas are asked so many times as much. */
const rate = Number(process.env['BENCH_RATE'] ?? '2500')
const stormPeople = Number(process.env['BENCH_STORM'] ?? '1000')
const asksEach = 8
/** What Redis keeps of each kind, to find what one needs. */
const kept = 10_000

const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-replicas-'))
/** Where the logs go: who reads them would take part of the machine. */
const nowhere = openSync('/dev/null', 'w')
// The fixtures are those of tests: what they start ends with this one.
t.setTimeout(0)

const upstreamPort = await startUpstream(folder)
const provider = await startScriptedProvider()
const tokens = tokensBy(provider, Date.now, { rotates: true })
provider.replace('token', tokens)
const frontPort = await freePort()
const host = `localhost:${frontPort}`

/** A gateway's options on a Redis. */
function optionsFor(redisUrl: string): TestGatewayOptions {
  return {
    issuer: provider.issuer,
    clientId: provider.clientId,
    cognitoDomain: provider.origin,
    tracUrl: `http://127.0.0.1:${upstreamPort}`,
    env: { REDIS_URL: redisUrl },
    overlay: {
      server: { publicUrl: `http://${host}/trac`, trustedProxies: ['127.0.0.1/32'] },
      session: { store: 'redis', replicas: 'many', redis: { url: { fromEnv: 'REDIS_URL' } } },
      routes: [{ name: 'all', path: '/**', access: 'authenticated' }],
      upstreams: { trac: { maxConnections: 256 } },
    },
  }
}

const configOf = (options: TestGatewayOptions): Config =>
  loadText(configurationOf(options, frontPort, 2), { env: environmentOf(options) }).config

/** One of several proxies behind HAProxy. */
type Replica = Pick<GatewayProcess, 'port' | 'pid'>

/** HAProxy before some of the replicas. @returns what stops it */
async function startFront(replicas: readonly Replica[]): Promise<() => Promise<void>> {
  const file = join(folder, 'haproxy.cfg')
  const servers = replicas.map(({ port }, n) => `  server r${n} 127.0.0.1:${port}`)
  writeFileSync(
    file,
    `
global
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen gateways
  bind 127.0.0.1:${frontPort}
  balance roundrobin
  option forwardfor
  http-request set-header X-Forwarded-Proto http
${servers.join('\n')}
`,
  )
  return await startServer('haproxy', ['-db', '-f', file], frontPort)
}

/** Commands that servers have run, and the time that they took of the CPU, in milliseconds. */
async function usageOf(servers: readonly Redis[]): Promise<{ commands: number; cpu: number }> {
  let [commands, cpu] = [0, 0]
  for (const client of servers) {
    const info = await client.info()
    const of = (name: string) => Number(new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1])
    commands += of('total_commands_processed')
    cpu += (of('used_cpu_user') + of('used_cpu_sys')) * 1000
  }
  return { commands, cpu }
}

interface Round {
  readonly requestsPerSecond: number
  /** Microseconds of all replicas, and of Redis, for a request. */
  readonly cpu: number
  readonly redisCpu: number
  readonly commands: number
}

/** As many requests in turn as all of them can answer. */
async function saturate(cookies: readonly string[], milliseconds: number): Promise<void> {
  const lines = cookies.map((cookie) => `Cookie: ${cookie}`)
  const headersFile = writeHeaders(folder, 'cookies', lines)
  const url = new URL(`http://${host}/trac/wiki/Start`)
  await load({ url, headersFile, once: false, bodySize: 0, connections: 64, milliseconds })
}

/**
 * Some of them under so much load for each as one has alone. What a process spends on a request depends on how busy it is:
 * a busy one finds many requests at once. So the same load for one and for three would compare different things.
 */
async function measure(
  replicas: readonly Replica[],
  servers: readonly Redis[],
  cookies: readonly string[],
): Promise<Round> {
  const stop = await startFront(replicas)
  // Each replica has read each session before it counts, and runs compiled code.
  await saturate(cookies, milliseconds)
  const texts = cookies.map(
    (cookie) => `GET /trac/wiki/Start HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\n\r\n`,
  )
  let turn = 0
  const pids = replicas.map(({ pid }) => pid)
  const before = { cpu: cpuOf(pids), ...{ redis: await usageOf(servers) } }
  const { count, refused } = await pace({
    port: frontPort,
    text: () => texts[turn++ % texts.length]!,
    rate: rate * replicas.length,
    milliseconds: 2 * milliseconds,
  })
  const after = { cpu: cpuOf(pids), ...{ redis: await usageOf(servers) } }
  await stop()
  if (refused > 0) throw new Error(`${refused} of ${count} requests were refused`)
  return {
    requestsPerSecond: (count / (2 * milliseconds)) * 1000,
    cpu: ((after.cpu - before.cpu) * 1000) / count,
    redisCpu: ((after.redis.cpu - before.redis.cpu) * 1000) / count,
    commands: (after.redis.commands - before.redis.commands) / count,
  }
}

/** Somebody's request on one of few kept connections: its status and how long it took. */
function askWith(agent: Agent, cookie: string): Promise<{ status: number; took: number }> {
  const headers = { host, cookie }
  const startedAt = performance.now()
  return new Promise((resolve) => {
    const done = (status: number) => resolve({ status, took: performance.now() - startedAt })
    const to = { host: '127.0.0.1', port: frontPort, path: '/trac/wiki/Start', headers, agent }
    request(to, (answer) => {
      answer.resume()
      answer.once('end', () => done(answer.statusCode ?? 0))
      answer.once('error', () => done(0))
    })
      .once('error', () => done(0))
      .end()
  })
}

/** All sessions end in one second, and everybody asks several times at once. */
async function storm(
  name: string,
  replicas: readonly GatewayProcess[],
  signIn: (count: number, end: number) => Promise<string[]>,
  servers: readonly Redis[],
): Promise<string> {
  const end = Date.now() + 5000
  const cookies = await signIn(stormPeople, end)
  await until(() => Date.now() > end, 'all tokens have ended')
  const before = provider.received.token.length
  const { commands } = await usageOf(servers)
  const stop = await startFront(replicas)
  const agent = new Agent({ keepAlive: true, maxSockets: 96 })
  const startedAt = performance.now()
  const answers = await Promise.all(
    cookies.flatMap((cookie) => Array.from({ length: asksEach }, () => askWith(agent, cookie))),
  )
  const seconds = (performance.now() - startedAt) / 1000
  agent.destroy()
  await stop()
  const commandsEach = ((await usageOf(servers)).commands - commands) / stormPeople
  const each = (provider.received.token.length - before) / stormPeople
  const count = (wanted: number) => answers.filter(({ status }) => status === wanted).length
  const others = answers.length - count(200) - count(503)
  // Requests wait for one of 96 connections, which is the client's own time: what the last tenth took is told as it is.
  const took = answers.map((one) => one.took).toSorted((a, b) => a - b)
  const p99 = took[Math.floor(took.length * 0.99)] ?? Number.NaN
  return `| ${name} | ${answers.length} | ${each.toFixed(2)} | ${commandsEach.toFixed(0)} | ${count(200)} | ${count(503)} | ${others} | ${seconds.toFixed(1)} | ${(p99 / 1000).toFixed(2)} |`
}

interface Place {
  readonly name: string
  readonly url: string
  readonly servers: readonly Redis[]
}

/** How many replicas share the load. */
const sizes = [1, 2, 3]

/** Proxies that keep nothing and check nothing: what more of them cost is what the machine makes of more processes. */
async function startBareReplicas(): Promise<readonly Replica[]> {
  const cores = `${proxyCore},${otherCore}`
  const started = sizes.map(() => startBare({ folder, upstreamPort }, false, cores))
  return (await Promise.all(started)).map(({ port, pids }) => ({ port, pid: pids()[0]! }))
}

/**
 * Three replicas on a Redis: the load of some of them, and a storm.
 * @param bare takes the same load in turns with them
 */
async function run(
  place: Place,
  bare: readonly Replica[],
): Promise<{ load: string[]; storm: string }> {
  const options = optionsFor(place.url)
  const replicas = await Promise.all(
    sizes.map(async () =>
      startGatewayProcess(t, {
        ...options,
        flags: shippedFlags,
        stdout: nowhere,
        port: await freePort(),
      }),
    ),
  )
  for (const one of replicas)
    await until(async () => (await one.ready())['ready'] === true, 'ready')
  const stored = openStoredSessions(configOf(options), tokens, String(provider.person['sub']))
  t.teardown(() => stored.close())
  const cookies = await stored.signIn(people, Date.now() + 3_600_000)
  // All run compiled code before the first round.
  for (const all of [replicas, bare]) {
    const stopFront = await startFront(all)
    await saturate(cookies, 10_000)
    await stopFront()
  }
  const results = new Map<number, Round[]>(sizes.map((size) => [size, []]))
  const control = new Map<number, Round[]>(sizes.map((size) => [size, []]))
  for (let round = 0; round < rounds; round++) {
    for (const size of sizes) {
      results.get(size)!.push(await measure(replicas.slice(0, size), place.servers, cookies))
      control.get(size)!.push(await measure(bare.slice(0, size), [], cookies))
    }
  }
  /** What so many cost or do, to what one does in the same round. */
  const ratioOf = (
    found: ReadonlyMap<number, readonly Round[]>,
    size: number,
    key: keyof Round,
  ) => {
    const base = found.get(sizes[0]!)!
    return median(found.get(size)!.map((one, i) => one[key] / base[i]![key])).toFixed(2)
  }
  const rows = [...results].map(([size, all]) => {
    const of = (key: keyof Round, digits: number) =>
      median(all.map((one) => one[key])).toFixed(digits)
    const speed = `${of('requestsPerSecond', 0)} | ${ratioOf(results, size, 'requestsPerSecond')}`
    const cpu = `${of('cpu', 0)} | ${ratioOf(results, size, 'cpu')} | ${ratioOf(control, size, 'cpu')}`
    return `| ${place.name} | ${size} | ${speed} | ${cpu} | ${of('redisCpu', 1)} | ${of('commands', 3)} |`
  })
  const told = await storm(place.name, replicas, stored.signIn, place.servers)
  for (const { pid } of replicas) process.kill(pid, 'SIGTERM')
  return { load: rows, storm: told }
}

/** What one of each kind needs in Redis: the whole memory, divided; and that of one key. */
async function weighRedis(): Promise<string[]> {
  const { url, client } = await startRedis(t)
  const config = configOf(optionsFor(url))
  // Cognito's refresh tokens are about as long; they can't be compressed.
  const signIn = () => ({
    ...tokens.signIn(),
    refreshToken: randomBytes(1300).toString('base64url'),
  })
  const long = Object.assign((request: ScriptedRequest) => tokens(request), { signIn })
  const stored = openStoredSessions(config, long, String(provider.person['sub']))
  const logger = createLogger('silent', { write: () => undefined })
  const metrics = createMetrics({ version: '0' }, false)
  const names = openNames(config, stored.storage.redis, {
    ...{ logger, metrics, timers: realTimers, max: undefined },
  })
  t.teardown(() => {
    names.close()
    stored.close()
  })
  const used = async () => Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1])
  const rows: string[] = []
  const weigh = async (name: string, fill: () => Promise<unknown>): Promise<void> => {
    const before = await used()
    await fill()
    rows.push(`| ${name} | ${Math.round(((await used()) - before) / kept)} |`)
  }
  const inParts = async (work: (n: number) => Promise<unknown>): Promise<void> => {
    for (let n = 0; n < kept; n += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, i) => work(n + i)))
    }
  }
  const uuid = (n: number) => `6f1b9a52-3c1d-4e0a-9a57-${String(n).padStart(12, '0')}`
  await weigh('a session (a student, a refresh token of 1,734 characters)', () =>
    stored.signIn(kept, Date.now() + 3_600_000),
  )
  await weigh('a name and its owner', () =>
    inParts((n) =>
      names.take({
        name: `person-${n}@example.edu`,
        issuer: config.identity.issuer,
        subject: uuid(n),
      }),
    ),
  )
  await weigh('a revocation of a token', () =>
    inParts((n) =>
      stored.storage.revocations.endTokens(config.identity.issuer, [`jti ${uuid(n)}`]),
    ),
  )
  const [, keys] = await client.scan(0, 'MATCH', '*:session:*', 'COUNT', 1000)
  const weights = await Promise.all(keys.map((key) => client.memory('USAGE', key)))
  rows.push(`| key of a session alone, \`MEMORY USAGE\` | ${median(weights.map(Number))} |`)
  return rows
}

const others = watchOthers()
const startedAt = performance.now()
try {
  const weights = await weighRedis()
  const { url, client } = await startRedis(t)
  const bare = await startBareReplicas()
  const one = await run({ name: 'one Redis', url, servers: [client] }, bare)
  const cluster = await startCluster(t)
  const clients = cluster.servers.map((server) => server.client)
  const place = { name: 'Redis Cluster of three', url: cluster.url, servers: clients }
  const many = await run(place, bare)
  const busy = others() / (performance.now() - startedAt) / 2
  const section = `
## Replicas

\`npm run bench:replicas\` writes this: gateways behind HAProxy, ${people} sessions in turn over 64 connections, ${rate} requests a second for each replica,
medians of ${rounds} rounds.

| sessions in | replicas | requests a second | to one | CPU µs a request, all replicas | to one | bare proxies, to one | CPU µs of Redis | commands to Redis |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
${[...one.load, ...many.load].join('\n')}

Three replicas that are linear answer three times as many, at the same CPU for each: 1.00. Bare proxies (Fastify and http-proxy,
nothing kept and nothing checked) take the same load in turns: what more of them cost is the machine's doing.

A storm: the tokens of ${stormPeople} sessions end in the same second, refresh tokens work once, and each person asks ${asksEach} times at once, over three
replicas and 96 connections. The time is from the asking to the answer, the wait for one of these connections included.

| sessions in | requests | exchanges a session | commands a session | 200 | 503 | others | seconds in all | p99, s |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
${one.storm}
${many.storm}

What Redis needs, over ${kept} of each:

| | bytes |
|---|--:|
${weights.join('\n')}

Node ${process.version}; others used ${Math.round(busy * 100)} % of the machine meanwhile.
`
  process.stdout.write(section)
  await writeSection('replicas', section)
} finally {
  stopAll()
  await provider.stop()
  rmSync(folder, { recursive: true, force: true })
  // What the fixtures have started ends with the test, which waits for nothing else.
  t.end()
}
