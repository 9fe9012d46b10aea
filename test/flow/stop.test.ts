/** A gateway that is told to stop loses no request that it has read (deploy/docs/guides/operations.md#stopping). */
import { connect } from 'node:net'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { startHeldUpstream } from '../fixtures/held-upstream.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Wire, requestText } from '../fixtures/wire.js'
import type { WireAnswer } from '../fixtures/wire.js'

const routes = [{ name: 'all', path: '/**', access: 'public' }]
const keepAlive = ['Connection: keep-alive']

async function start(
  t: Test,
  timeouts: Readonly<Record<string, string>>,
  more: { readonly overlay?: object; readonly env?: Readonly<Record<string, string>> } = {},
) {
  const upstream = await startHeldUpstream(() => 'x'.repeat(1000))
  t.teardown(() => upstream.close())
  const { gateway } = await stage(t, {
    gateway: 'process',
    upstream,
    overlay: { server: { timeouts }, routes, ...more.overlay },
    env: more.env ?? {},
  })
  const send = (wire: Wire, path: string) =>
    wire.send(requestText(gateway, `GET /trac/${path}`, keepAlive))
  return { upstream, gateway, send }
}

/** A client of one kept connection that asks again and again until it is told that the connection ends. */
async function askOn(
  wire: Wire,
  ask: () => void,
  answers: (WireAnswer | undefined)[],
): Promise<void> {
  for (;;) {
    ask()
    const answer = await wire.answer()
    answers.push(answer)
    if (answer === undefined || answer.header('connection') === 'close') return
  }
}

for (const drain of ['0s', '1s']) {
  await t.test(
    `none of 64 busy kept connections loses a request when it stops, with a drain of ${drain}`,
    async (t) => {
      const { gateway, send } = await start(t, { drain })
      const wires = Array.from({ length: 64 }, () => new Wire(gateway.port))
      const answers = wires.map((): (WireAnswer | undefined)[] => [])
      const all = wires.map((wire, n) => askOn(wire, () => send(wire, `page/${n}`), answers[n]!))
      await until(() => answers.every((of) => of.length > 1), 'each has been answered')
      const stoppedAt = performance.now()
      gateway.signal('SIGTERM')
      await Promise.all(all)
      await until(() => gateway.end !== '', 'the process ends')
      const seconds = (performance.now() - stoppedAt) / 1000
      t.match(gateway.end, /^ended with 0:/)
      t.comment(`${answers.flat().length} answers; it took ${seconds.toFixed(2)} s`)
      t.ok(seconds < 4, `it took ${seconds} s`)
      t.ok(seconds >= Number.parseInt(drain, 10))
      t.equal(answers.filter((of) => of.at(-1) === undefined).length, 0, 'nobody lost one')
      t.ok(answers.flat().every((answer) => answer?.status === 200 && answer.complete))
      await Promise.all(wires.map((wire) => wire.end()))
    },
  )
}

await t.test(
  'it is not ready at once, serves new connections during the drain, and says on each that it ends',
  async (t) => {
    const { gateway, send, upstream } = await start(t, { drain: '2s' })
    const quiet = new Wire(gateway.port)
    send(quiet, 'page')
    t.equal((await quiet.answer())?.header('connection'), 'keep-alive')
    const slow = new Wire(gateway.port)
    send(slow, 'held/slow')
    const letGo = await upstream.arrived('/trac/held/slow')
    const silent = new Wire(gateway.port)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    gateway.signal('SIGTERM')
    await until(async () => (await gateway.ready())['ready'] === false, 'it is not ready')
    await quiet.end()
    t.pass('a connection that has been idle is closed')
    await silent.end()
    t.pass('so is one on which nothing was ever asked')
    for (const [path, status] of [
      ['page', 200],
      ['auth/healthz', 503],
      ['auth/session', 401],
      ['%zz', 400],
    ] as const) {
      const fresh = new Wire(gateway.port)
      send(fresh, path)
      const answer = await fresh.answer()
      t.equal(answer?.status, status, path)
      t.equal(answer?.header('connection'), 'close', path)
      await fresh.end()
    }
    await until(async () => {
      const socket = connect(gateway.port, '127.0.0.1')
      const refused = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(false))
        socket.once('error', () => resolve(true))
      })
      socket.destroy()
      return refused
    }, 'nobody new is taken')
    t.equal(gateway.end, '', 'what runs is waited for')
    letGo()
    const answer = await slow.answer()
    t.equal(answer?.status, 200)
    t.equal(answer?.header('connection'), 'close')
    await slow.end()
    const before = performance.now()
    await until(() => gateway.end !== '', 'the process ends')
    t.ok(performance.now() - before < 2000, 'it ends as soon as nothing runs')
    t.match(gateway.end, /^ended with 0:/)
    t.strictSame(
      gateway.faults.filter((line) => !line.includes('healthz')),
      [],
    )
  },
)

for (const workers of [1, 2]) {
  await t.test(
    `connections that wait to be taken when its drain ends are served, workers: ${workers}`,
    async (t) => {
      const redis = workers > 1 ? await startRedis(t) : undefined
      const store = { store: 'redis', redis: { url: { fromEnv: 'REDIS' } } }
      const more = redis && { overlay: { workers, session: store }, env: { REDIS: redis.url } }
      const { gateway, send } = await start(t, { drain: '1s' }, more)
      const first = new Wire(gateway.port)
      send(first, 'page')
      t.equal((await first.answer())?.status, 200)
      gateway.signal('SIGTERM')
      await new Promise((resolve) => setTimeout(resolve, 200))
      // What the kernel has taken waits for the process; Node takes one of them a turn of its event loop.
      gateway.signal('SIGSTOP')
      const wires = Array.from({ length: 100 }, () => new Wire(gateway.port))
      await until(() => wires.every(({ socket }) => !socket.pending), 'all are connected')
      await new Promise((resolve) => setTimeout(resolve, 1000))
      gateway.signal('SIGCONT')
      for (const [n, wire] of wires.entries()) send(wire, `page/${n}`)
      const answers = await Promise.all(wires.map((wire) => wire.answer()))
      t.strictSame(new Set(answers.map((answer) => answer?.status)), new Set([200]))
      await until(() => gateway.end !== '', 'the process ends')
      t.match(gateway.end, /^ended with 0:/)
    },
  )
}

await t.test('a request that is half sent when it stops is read to its end', async (t) => {
  const { gateway } = await start(t, { drain: '0s' })
  const wire = new Wire(gateway.port)
  const text = requestText(gateway, 'GET /trac/page', keepAlive)
  wire.send(text.slice(0, 20))
  await new Promise((resolve) => setTimeout(resolve, 100))
  gateway.signal('SIGTERM')
  await new Promise((resolve) => setTimeout(resolve, 600))
  t.equal(gateway.end, '')
  wire.send(text.slice(20))
  const answer = await wire.answer()
  t.equal(answer?.status, 200)
  t.equal(answer?.header('connection'), 'close')
  await until(() => gateway.end !== '', 'the process ends')
})

await t.test('what has not finished when its time is over is cut', async (t) => {
  const { gateway, send, upstream } = await start(t, { drain: '0s', shutdown: '1s' })
  const wire = new Wire(gateway.port)
  send(wire, 'held/never')
  await upstream.arrived('/trac/held/never')
  const stoppedAt = performance.now()
  gateway.signal('SIGTERM')
  t.equal(await wire.answer(), undefined)
  await until(() => gateway.end !== '', 'the process ends')
  t.ok(performance.now() - stoppedAt > 900)
  t.ok(performance.now() - stoppedAt < 5000)
  t.match(gateway.end, /^ended with 0:/)
})
