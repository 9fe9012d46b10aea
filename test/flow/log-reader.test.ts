/** Whoever reads the log may die, or its disk be full: the gateway serves on, says so once, and ends when it is told to. */
import { closeSync, openSync } from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import { startUpstream } from '../fixtures/gateway.js'
import { startGatewayProcess } from '../fixtures/process.js'
import type { GatewayProcess } from '../fixtures/process.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'

const upstream = await startUpstream()
t.teardown(() => upstream.close())

const stage = (t: Test, more: { stdout?: number; onLine?: (line: string) => void } = {}) =>
  startGatewayProcess(t, {
    tracUrl: upstream.url,
    overlay: { identity: { issuer: 'http://127.0.0.1:9', clientId: 'trac' } },
    ...more,
  })

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

await t.test('the log’s reader is gone', async (t) => {
  const gateway = await stage(t)
  await serves(t, gateway, 'with its reader')
  gateway.closeLog()
  await serves(t, gateway, 'without it')
  await until(() => gateway.said() !== '', 'it is said')
  await serves(t, gateway, 'after that')
  t.match(gateway.said(), /^trac-gateway: the log can’t be written \(EPIPE\).*\n$/, 'once')
  await endsWhenTold(t, gateway)
})

await t.test('nobody hears anything any more', async (t) => {
  const gateway = await stage(t)
  gateway.closeLog()
  gateway.closeErrors()
  await serves(t, gateway, 'unheard')
  await serves(t, gateway, 'unheard')
  await endsWhenTold(t, gateway)
})

await t.test('the reader dies together with the signal to stop, as in a terminal', async (t) => {
  const gateway = await stage(t)
  await serves(t, gateway, 'before')
  gateway.closeLog()
  await endsWhenTold(t, gateway)
})

await t.test('the disk that holds the log is full', async (t) => {
  const full = openSync('/dev/full', 'w')
  const gateway = await stage(t, { stdout: full })
  closeSync(full)
  await until(() => gateway.said() !== '', 'it is said')
  await serves(t, gateway, 'all the same')
  t.match(gateway.said(), /^trac-gateway: the log can’t be written \(ENOSPC\).*\n$/, 'once')
  await endsWhenTold(t, gateway)
})

await t.test('all lines are there when the process has ended', async (t) => {
  const lines: Record<string, unknown>[] = []
  const onLine = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>)
  const gateway = await stage(t, { onLine })
  await serves(t, gateway, 'as ever')
  await endsWhenTold(t, gateway)
  await until(() => lines.filter(({ msg }) => msg === 'request').length === 50, 'fifty lines')
  t.equal(gateway.said(), '')
})
