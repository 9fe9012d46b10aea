/** The primary of several workers, with timers that these tests drive; the workers are real processes. */
import cluster from 'node:cluster'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { t } from '../fixtures/tap.js'
import { startWorkers } from '../../src/cli/workers/primary.js'
import { createLogger } from '../../src/observe/logger.js'
import { secrets } from '../fixtures/config.js'
import { closeGateway, configurationOf } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'

type Line = Readonly<Record<string, unknown>>

const redis = await startRedis(t)
// Without keys and a Trac none would be ready, and each would wait for them.
const { settings } = await stage(t, { provider: 'scripted', upstream: true, gateway: false })
const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const path = join(folder, 'gateway.yaml')

/** A value of the configuration that stands in a file: workers have the variables of this process, where it is not. */
async function inFile(name: string, text: string): Promise<{ fromFile: string }> {
  const file = join(folder, name)
  await writeFile(file, text, { mode: 0o600 })
  return { fromFile: file }
}

const [port, adminPort] = [await freePort(), await freePort()]
const signingKeys = [{ id: 'k1', secret: await inFile('signing', secrets.SIGNING) }]
const overlay = {
  workers: 2,
  session: {
    secrets: [await inFile('session', secrets.SESSION)],
    store: 'redis',
    redis: { url: await inFile('redis', redis.url) },
  },
  upstreams: { trac: { signingKeys } },
}
await writeFile(path, configurationOf({ ...settings, overlay }, port, adminPort))

const lines: Line[] = []
const logger = createLogger('info', {
  write: (text) => {
    for (const line of text.split('\n').filter(Boolean)) lines.push(JSON.parse(line) as Line)
  },
})
const timers = createTimers()
cluster.setupPrimary({
  exec: fileURLToPath(new URL('../../src/main.js', import.meta.url)),
  args: ['start', '-c', path],
})
const group = await startWorkers({
  path,
  env: process.env,
  logger,
  timers,
  random: () => 0,
  awaitStore: 2000,
})
t.teardown(() => closeGateway(group, timers))

const told = (msg: string) => lines.filter((line) => line['msg'] === msg)
/** How each of them ended, in order. */
const ends = () => told('a worker ended; it is started anew')

/** The process of a worker: they are forked in the order of their numbers, and one anew after it. */
const pids = () => Object.values(cluster.workers ?? {}).map((worker) => worker!.process.pid!)

/** Kills one, and lets the pause pass that comes of it. @returns the pause in milliseconds */
async function killOne(pid: number): Promise<unknown> {
  const [before, again] = [ends().length, told('a worker serves again').length]
  process.kill(pid, 'SIGKILL')
  await until(() => ends().length > before, 'it was missed')
  const { pause, how } = ends().at(-1)!
  t.equal(how, 'SIGKILL')
  timers.advance(Number(pause) - 1)
  t.equal(pids().length, 1, 'none is started before')
  timers.advance(1)
  await until(() => told('a worker serves again').length > again, 'it is back')
  return pause
}

/** An answer of one of them; a worker that takes a connection is heard by that. */
function ask(): Promise<number> {
  return new Promise((resolve) => {
    const to = { host: '127.0.0.1', port, path: '/trac/auth/healthz', agent: false }
    const headers = { host: `localhost:${port}` }
    get({ ...to, headers }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
    }).on('error', () => resolve(0))
  })
}

/** Lets so much time pass that a look is made, after somebody answered. @returns what became of both who asked */
async function look(): Promise<readonly Promise<number>[]> {
  const asked = [ask(), ask()]
  await Promise.race(asked)
  timers.advance(5000)
  return asked
}

await t.test(
  'each end in a row makes the next pause longer, and a good life the first',
  async (t) => {
    const pauses = []
    for (let n = 0; n < 3; n++) pauses.push(await killOne(pids().at(-1)!))
    t.strictSame(pauses, [200, 400, 800])
    // Beyond a minute; both are heard before each look.
    for (let span = 0; span < 65_000; span += 5000) {
      t.strictSame(await Promise.all([ask(), ask()]), [200, 200])
      timers.advance(5000)
    }
    t.equal(await killOne(pids().at(-1)!), 200)
    t.strictSame(told('a worker hangs, and is ended'), [])
  },
)

await t.test(
  'a worker that says nothing for half a minute is ended, and only that one',
  async (t) => {
    const [before, again] = [ends().length, told('a worker serves again').length]
    const hanging = pids()[0]!
    process.kill(hanging, 'SIGSTOP')
    const asked: Promise<number>[] = []
    for (let looks = 0; looks < 5; looks++) asked.push(...(await look()))
    t.strictSame(told('a worker hangs, and is ended'), [], 'not before')
    // What it said just before it was stopped may have been heard after the first look.
    for (let looks = 0; looks < 3 && told('a worker hangs, and is ended').length === 0; looks++) {
      asked.push(...(await look()))
    }
    await until(() => ends().length > before, 'it has ended')
    t.equal(ends().length, before + 1)
    const { worker, how, pause } = ends().at(-1)!
    t.equal(how, 'SIGKILL')
    t.strictSame(
      told('a worker hangs, and is ended').map((line) => line['worker']),
      [worker],
    )
    t.notOk(pids().includes(hanging))
    const statuses = new Set(await Promise.all(asked))
    t.strictSame(statuses, new Set([200, 0]), 'whom it kept waiting is told')
    timers.advance(Number(pause))
    await until(() => told('a worker serves again').length > again, 'it is back')
    t.strictSame(await Promise.all([ask(), ask()]), [200, 200])
  },
)
