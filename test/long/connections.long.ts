/** Ten thousand open connections: what each costs while nothing is asked on it, and that each is answered afterwards. */
import { t } from '../fixtures/tap.js'
import { startGatewayProcess } from '../fixtures/process.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Wire } from '../fixtures/wire.js'

t.setTimeout(300_000)

const connections = 10_000
/** Opened and asked at once. */
const atOnce = 50
/** Bytes of the gateway's heap and buffers. */
const maxBytes = 6 * 1024

/** Asks once; the answer's status. The connection stays open. */
async function askOn(wire: Wire, request: string): Promise<number> {
  wire.send(request)
  const answer = await wire.answer()
  if (answer === undefined) throw new Error(`the connection ended: ${wire.text}`)
  return answer.status
}

await t.test('an idle connection takes no more than 6 KiB', async (t) => {
  const { settings, bearerOf, alice } = await stage(t, {
    provider: 'cognito',
    upstream: true,
    answer: (_request, response) => response.setHeader('Content-Length', '2').end('ok'),
    gateway: false,
  })
  const gateway = await startGatewayProcess(t, {
    ...settings,
    overlay: {
      ...settings.overlay,
      log: { level: 'error' },
      server: { timeouts: { keepAlive: '10m' } },
    },
  })
  const { host } = new URL(gateway.url)
  const request = `GET /trac/wiki HTTP/1.1\r\nHost: ${host}\r\n${await bearerOf(alice)}\r\n\r\n`
  const wires: Wire[] = []
  t.teardown(() => wires.forEach((wire) => wire.destroy()))
  const open = async (): Promise<number> => {
    const wire = new Wire(gateway.port)
    wires.push(wire)
    return askOn(wire, request)
  }
  /** Does it for all, some at once; how often each status came. */
  const all = async (count: number, ask: (i: number) => Promise<number>) => {
    const statuses = new Map<number, number>()
    for (let i = 0; i < count; i += atOnce) {
      const some = Array.from({ length: Math.min(atOnce, count - i) }, (_, k) => ask(i + k))
      for (const status of await Promise.all(some)) {
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
    return Object.fromEntries(statuses)
  }

  await all(500, open)
  for (const wire of wires.splice(0)) wire.destroy()
  await until(() => gateway.sockets() < atOnce, 'the first connections are closed')
  const before = await gateway.heldMemory()
  let bytes = 0
  const growth = await gateway.peakGrowth(async () => {
    t.same(await all(connections, open), { 200: connections }, 'each is answered')
    bytes = ((await gateway.heldMemory()) - before) / connections
  })
  t.ok(gateway.sockets() >= connections, `${gateway.sockets()} sockets are open`)
  t.comment(`${bytes.toFixed(0)} bytes each; resident memory rose by ${growth} MiB`)
  t.ok(bytes <= maxBytes, `${bytes.toFixed(0)} bytes each`)
  const again = await all(connections, (i) => askOn(wires[i]!, request))
  t.same(again, { 200: connections }, 'each is answered once more')
})
