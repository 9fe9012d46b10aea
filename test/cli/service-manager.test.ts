/** systemd is told when the process serves, what it waits for, that it lives, and that it stops. */
import { createServer } from 'node:http'
import { t } from '../fixtures/tap.js'
import { openNotifySocket } from '../fixtures/notify-socket.js'
import { freePort } from '../fixtures/ports.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { tellServiceManager } from '../../src/cli/service-manager.js'
import { createLogger } from '../../src/observe/logger.js'
import { createReadiness } from '../../src/observe/readiness.js'

await t.test(
  'it starts with provider, Trac and Redis down, says so, and becomes ready by itself',
  async (t) => {
    const { path, told } = await openNotifySocket(t)
    const has = (form: RegExp) => told.some((line) => form.test(line))
    const redis = await startRedis(t)
    await redis.stop()
    const { provider } = await stage(t, { provider: 'scripted', gateway: false })
    await provider.stop()
    const tracPort = await freePort()
    const { gateway } = await stage(t, {
      provider,
      gateway: 'process',
      upstream: { url: `http://127.0.0.1:${tracPort}` },
      overlay: { session: { store: 'redis', redis: { url: { fromEnv: 'REDIS' } } } },
      env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '900000', REDIS: redis.url },
    })

    await t.test(
      'READY comes as soon as it listens, with a status that names all three',
      async (t) => {
        await until(() => has(/^READY=1$/), 'it serves')
        t.match(await gateway.ready(), { ready: false, waiting: ['keys', 'upstream', 'store'] })
        await until(() => has(/^STATUS=waiting for keys, upstream, store/), 'the status says so')
        await until(() => has(/^STATUS=.*upstream trac .* can't be reached/), 'and why')
        t.equal(gateway.end, '')
      },
    )
    await t.test('the watchdog hears of it more often than it must', async () => {
      const count = () => told.filter((line) => line === 'WATCHDOG=1').length
      const before = count()
      await until(() => count() >= before + 3, 'three more')
    })
    await t.test('when all three are there it is ready, and the status says so', async (t) => {
      await redis.start()
      await provider.restart()
      const trac = createServer((_, response) => response.end('ok'))
      await new Promise<void>((resolve) => trac.listen(tracPort, '127.0.0.1', resolve))
      t.teardown(() => trac.close())
      await until(async () => (await gateway.ready())['ready'] === true, 'it is ready')
      await until(() => has(/^STATUS=ready/), 'the status says so')
    })
    await t.test('at SIGTERM it says that it stops, and exits with 0', async (t) => {
      gateway.signal('SIGTERM')
      await until(() => gateway.end !== '', 'it has ended')
      t.match(gateway.end, /^ended with 0/)
      t.ok(has(/^STOPPING=1$/))
      t.equal(told.filter((line) => line === 'READY=1').length, 1)
    })
  },
)

/** What the process itself has, with timers of the test. */
function tell(env: NodeJS.ProcessEnv) {
  const lines: string[] = []
  const timers = createTimers()
  const readiness = createReadiness(['keys'])
  const logger = createLogger('warn', { write: (line: string) => void lines.push(line) })
  const { PATH } = process.env
  const manager = tellServiceManager({ env: { PATH, ...env }, logger, timers, readiness })
  return { lines, timers, readiness, manager }
}

await t.test('a watchdog that is meant for another process is not told', async (t) => {
  const { path, told } = await openNotifySocket(t)
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '1000000' }
  const other = tell({ ...env, WATCHDOG_PID: '1' })
  await until(() => told.includes('READY=1'), 'it serves')
  other.timers.advance(10_000)
  other.manager.stopping()
  await until(() => told.includes('STOPPING=1'), 'it stops')
  t.notOk(told.includes('WATCHDOG=1'))
  const meant = tell({ ...env, WATCHDOG_PID: String(process.pid) })
  meant.timers.advance(400)
  await until(() => told.includes('WATCHDOG=1'), 'that one is told')
})

await t.test('the status is told when it changed, and not after the end', async (t) => {
  const { path, told } = await openNotifySocket(t)
  const { timers, readiness, manager } = tell({ NOTIFY_SOCKET: path })
  await until(() => told.includes('STATUS=waiting for keys'), 'what it waits for')
  timers.advance(60_000)
  readiness.missed('keys', 'keys of https://idp.example', 'two\nlines')
  timers.advance(2000)
  await until(() => told.some((line) => line.includes('two lines')), 'on one line')
  readiness.reached('keys')
  timers.advance(2000)
  await until(() => told.includes('STATUS=ready'), 'that it is ready')
  t.equal(told.filter((line) => line.startsWith('STATUS=')).length, 3)
  manager.close()
  readiness.missed('keys')
  timers.advance(60_000)
  t.equal(told.filter((line) => line.startsWith('STATUS=')).length, 3)
})

await t.test('what hears nothing is told of in the log, once', async (t) => {
  const { lines, timers } = tell({ NOTIFY_SOCKET: '/nowhere/at/all', WATCHDOG_USEC: '1000000' })
  await until(() => lines.length > 0, 'the log says so')
  t.match(lines[0], /systemd could not be told/)
  timers.advance(1000)
  const { lines: others } = tell({ NOTIFY_SOCKET: '/nowhere/at/all', PATH: '/nowhere' })
  await until(() => others.length > 0, 'without systemd’s program, too')
  t.equal(lines.length, 1)
})

await t.test('without somebody to tell nothing is begun', async (t) => {
  const { manager, lines } = tell({ WATCHDOG_USEC: '1000' })
  manager.stopping()
  manager.close()
  t.strictSame(lines, [])
})
