/** Ten thousand open connections: what each costs while nothing is asked on it, and that each is answered afterwards. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { t } from '../fixtures/tap.js'
import { startGatewayProcess } from '../fixtures/process.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'

t.setTimeout(300_000)

const connections = 10_000
/** Opened and asked at once. */
const atOnce = 50
/** Bytes of the gateway's heap and buffers. */
const maxBytes = 6 * 1024

/** Asks once; the answer's status. The connection stays open. */
function askOn(socket: Socket, request: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = ''
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      const length = /content-length: (\d+)/i.exec(text)?.[1]
      const end = text.indexOf('\r\n\r\n')
      if (end < 0 || length === undefined || text.length < end + 4 + Number(length)) return
      socket.off('data', read).off('close', ended)
      resolve(Number(text.slice(9, 12)))
    }
    const ended = (): void => reject(new Error(`the connection ended: ${text}`))
    socket.on('data', read).once('close', ended).write(request)
  })
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
  const sockets: Socket[] = []
  t.teardown(() => sockets.forEach((socket) => socket.destroy()))
  const open = async (): Promise<number> => {
    const socket = connect(gateway.port, '127.0.0.1')
    sockets.push(socket)
    return askOn(socket, request)
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
  for (const socket of sockets.splice(0)) socket.destroy()
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
  const again = await all(connections, (i) => askOn(sockets[i]!, request))
  t.same(again, { 200: connections }, 'each is answered once more')
})
