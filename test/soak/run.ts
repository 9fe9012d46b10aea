/**
 * `npm run soak [-- 60m]`: people and programs at a real Trac behind two gateways with one Redis, while gateways reload, Redis
 * restarts and a replica is killed. What fails must have a cause, and memory stays flat. See README.md in this folder.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startApi } from '../../src/demo/api.js'
import type { Person } from '../../src/demo/people.js'
import { cpuOf } from '../bench/machine.js'
import { freePort } from '../fixtures/ports.js'
import { startRedis } from '../fixtures/redis.js'
import { root } from '../fixtures/root.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { causesOf, disturb, planOf } from './disturbances.js'
import { livesOf } from './memory.js'
import { Somebody } from './people.js'
import { drawSoak } from './picture.js'
import { Program } from './programs.js'
import { kinds, Records } from './records.js'
import { Replicas } from './replicas.js'
import { describeFailure, describeSoak } from './report.js'
import { watchMemory } from './watch.js'

/** Browsers and programs. */
const browsers = 20
const programs = 4
/** Tokens live this long, in seconds: each session is renewed more than once a minute. */
const tokenLife = 60
/** A token lives at most so long, and so a session that nobody uses: nobody is idle for that. */
const longest = '5m'
/** Failures that are printed; all are in the file. */
const printed = 20

/** Seconds of `90s`, `60m`, `2h`. */
function readSpan(text: string): number {
  const [, number = '', unit = ''] = /^(\d+)(s|m|h)$/.exec(text) ?? []
  const seconds = Number(number) * { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h']
  if (!(seconds >= 60)) throw new Error(`how long? ${text} is no span such as 2m, 60m or 2h`)
  return seconds
}

/** The same numbers in each run. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return state / 2 ** 32
  }
}

/** Half of them may edit, half may only read. */
function createPeople(): Person[] {
  return Array.from({ length: browsers + programs }, (_, n) => ({
    email: `person${n}@example.edu`,
    password: `person${n}-soak`,
    username: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    sub: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    name: `Person ${n}`,
    emailVerified: true,
    groups: [n % 2 === 0 ? 'instructors' : 'students'],
    permissions: [],
  }))
}

/** All that is behind and before the gateways. */
async function start(records: Records) {
  const redis = await startRedis(t)
  const api = await startApi({ port: await freePort() })
  t.teardown(() => api.stop())
  const url = `http://localhost:${await freePort()}/trac`
  const { provider, settings } = await stage(t, {
    provider: 'cognito',
    providerOptions: {
      people: createPeople(),
      idTokenLifetime: tokenLife,
      accessTokenLifetime: tokenLife,
      rotateRefreshTokens: true,
    },
    trac: { server: 'tracd 1.6', ini: { attachment: { max_size: '16777216' } } },
    api: { url: api.url },
    gateway: false,
    env: { REDIS_URL: redis.url },
    overlay: {
      server: { publicUrl: url },
      // Revocations matter for no longer, so that as many end as begin once the run has warmed up.
      identity: { maxTokenLife: longest },
      session: {
        ...{ store: 'redis', replicas: 'many', redis: { url: { fromEnv: 'REDIS_URL' } } },
        idleTimeout: longest,
      },
    },
  })
  const client = provider.clients[0]!
  client.redirectUris.unshift(`${url}/auth/callback`)
  client.logoutUris.unshift(`${url}/auth/signed-out`)
  const replicas = await Replicas.start(t, settings, records, 2)
  return { redis, provider, replicas, url }
}

/** Runs everything until it is told to end, and answers how much of a core each gateway took at the end. */
async function soak(records: Records, seconds: number, parts: Awaited<ReturnType<typeof start>>) {
  const { redis, provider, replicas, url } = parts
  const ending = new AbortController()
  const end = () => ending.abort()
  // A run that is cut short is judged as far as it went.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end)
  const random = createRandom(1)
  const setting = { records, replicas, url, random }
  const people = provider.people
  const clients = [
    ...people.slice(0, browsers).map((person) => new Somebody(setting, person)),
    ...people.slice(browsers).map((person) => new Program(setting, provider, person)),
  ]
  records.begin()
  const timer = setTimeout(end, seconds * 1000)
  const running = clients.map((one) => one.run(ending.signal))
  running.push(disturb(planOf(seconds), records, replicas, redis, ending.signal))
  running.push(watchMemory(seconds, records, replicas, ending.signal))
  // One that breaks ends them all.
  await Promise.all(running).finally(end)
  clearTimeout(timer)
  return {
    seconds: records.now(),
    used: replicas.all.map((one) => cpuOf([one.process.pid]) / 1000),
  }
}

const seconds = readSpan(process.argv[2] ?? '60m')
const records = new Records()
const parts = await start(records)
// Fixtures have set a limit for a test file; this takes as long as it is told to.
t.setTimeout(0)
t.comment(`${seconds} s with ${browsers} browsers and ${programs} programs`)
const run = await soak(records, seconds, parts)
await records.settled()

const causes = causesOf(records)
const lives = livesOf(records)
const folder = join(root, '.build', 'soak')
await mkdir(folder, { recursive: true })
const cores = run.used.map((used, n) => {
  const { pid } = parts.replicas.all[n]!.process
  const life = lives.find((one) => one.pid === pid)
  return used / Math.max(1, (life?.to ?? 1) - (life?.from ?? 0))
})
const tables = describeSoak(records, run.seconds, causes, lives, cores)
const failures = [...causes].map(([failure, cause]) => describeFailure(failure, cause))
await writeFile(join(folder, 'soak.svg'), drawSoak(records, run.seconds, causes))
await writeFile(join(folder, 'tables.txt'), `${tables}\n`)
await writeFile(join(folder, 'failures.txt'), `${failures.join('\n')}\n`)
const measured = records.memory.map(({ at, replica, pid, resident, held }) =>
  [at.toFixed(1), replica + 1, pid, resident.toFixed(2), held?.toFixed(2) ?? ''].join(','),
)
await writeFile(
  join(folder, 'memory.csv'),
  ['seconds,replica,pid,resident_mib,held_mib', ...measured, ''].join('\n'),
)
for (const { number } of parts.replicas.all) {
  const lines = records.lines(number)
  await writeFile(join(folder, `gateway-${number + 1}.log`), `${lines.join('\n')}\n`)
}
t.comment(tables)

const without = [...causes].filter(([, cause]) => cause === undefined)
for (const [failure] of without.slice(0, printed)) t.comment(describeFailure(failure, undefined))
t.equal(without.length + records.dropped, 0, 'no request failed without a cause')
for (const kind of kinds) {
  t.ok(
    records.samples.some((sample) => sample.kind === kind),
    `there was a request of the kind ${kind}`,
  )
}
for (const { number, process: gateway } of parts.replicas.all) {
  t.equal(gateway.end, '', `gateway ${number + 1} lives`)
}
for (const { replica, judged } of lives) {
  for (const [kind, { isFlat }] of Object.entries(judged ?? {})) {
    t.ok(isFlat, `the ${kind} memory of gateway ${replica + 1} is flat`)
  }
}
const planned = planOf(seconds).length
t.equal(records.disturbances.length, planned, 'all that was planned was done')
