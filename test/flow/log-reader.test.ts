/** Whoever reads the log may die, or its disk be full: the gateway serves on, says so once, and ends when it is told to. */
import { closeSync, openSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { startGatewayProcess } from '../fixtures/process.js'
import type { GatewayProcess } from '../fixtures/process.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'

const { settings } = await stage(t, { upstream: true, gateway: false })

const start = (t: Test, more: { stdout?: number; onLine?: (line: string) => void } = {}) =>
  startGatewayProcess(t, { ...settings, ...more })

/** More lines than are kept back. */
async function serves(t: Test, gateway: GatewayProcess, what: string): Promise<void> {
  for (let i = 0; i < 50; i++) {
    t.equal((await ask(gateway, 'GET /trac/wiki')).status, 200, what)
  }
}

async function endsWhenTold(t: Test, gateway: GatewayProcess): Promise<void> {
  t.equal(gateway.end, '')
  gateway.signal('SIGTERM')
  await until(() => gateway.end !== '', 'the process ends')
  t.match(gateway.end, /^ended with 0:/)
}

await t.test('a gateway whose log’s reader is gone serves on and says so once', async (t) => {
  const gateway = await start(t)
  await serves(t, gateway, 'with its reader')
  gateway.closeLog()
  await serves(t, gateway, 'without it')
  await until(() => gateway.said() !== '', 'it is said')
  await serves(t, gateway, 'after that')
  t.match(gateway.said(), /^trac-gateway: the log can’t be written \(EPIPE\).*\n$/, 'once')
  await endsWhenTold(t, gateway)
})

await t.test('a gateway that nobody hears any more serves on', async (t) => {
  const gateway = await start(t)
  gateway.closeLog()
  gateway.closeErrors()
  await serves(t, gateway, 'unheard')
  await serves(t, gateway, 'unheard')
  await endsWhenTold(t, gateway)
})

await t.test(
  'a gateway whose log’s reader dies with the signal to stop ends in order, as in a terminal',
  async (t) => {
    const gateway = await start(t)
    await serves(t, gateway, 'before')
    gateway.closeLog()
    await endsWhenTold(t, gateway)
  },
)

await t.test('a gateway whose log’s disk is full serves on and says so once', async (t) => {
  const full = openSync('/dev/full', 'w')
  const gateway = await start(t, { stdout: full })
  closeSync(full)
  await until(() => gateway.said() !== '', 'it is said')
  await serves(t, gateway, 'all the same')
  t.match(gateway.said(), /^trac-gateway: the log can’t be written \(ENOSPC\).*\n$/, 'once')
  await endsWhenTold(t, gateway)
})

await t.test('all lines of the log are there when the process has ended', async (t) => {
  const lines: Record<string, unknown>[] = []
  const onLine = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>)
  const gateway = await start(t, { onLine })
  await serves(t, gateway, 'as ever')
  await endsWhenTold(t, gateway)
  await until(() => lines.filter(({ msg }) => msg === 'request').length === 50, 'fifty lines')
  t.equal(gateway.said(), '')
})
