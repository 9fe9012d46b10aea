/** WebSocket connections are authorised like any other request and end with the session behind them. */
import { t } from '../fixtures/tap.js'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import type { ClientOptions } from 'ws'
import { rawExchange } from '../fixtures/gateway.js'
import { listen } from '../fixtures/listen.js'
import { stage } from '../fixtures/stage.js'

const seen: Record<string, string | string[] | undefined>[] = []
const upstream = createServer((request, response) => {
  seen.push(request.headers)
  response.end('plain')
})
const sockets = new WebSocketServer({ noServer: true })
upstream.on('upgrade', (request, socket, head) => {
  seen.push(request.headers)
  if (request.url?.endsWith('/closed') === true) {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
    return
  }
  if (request.url?.endsWith('/plain') === true) {
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain')
    return
  }
  sockets.handleUpgrade(request, socket, head, (one) => {
    one.on('message', (data: Buffer) => one.send(`echo ${data.toString()}`))
  })
})
const url = `http://127.0.0.1:${await listen(upstream)}`
t.teardown(() => {
  upstream.closeAllConnections()
  upstream.close()
  sockets.close()
})

const { ivan, gateway, bearerOf } = await stage(t, {
  provider: 'cognito',
  upstream: { url },
  api: { url },
  overlay: {
    routes: [
      { name: 'live', path: '/live/**', upstream: 'api', websocket: true },
      { name: 'api', path: '/api/**', upstream: 'api' },
    ],
  },
})
const address = gateway.url.replace('http:', 'ws:')

/** Opens a WebSocket; resolves with it, or with the status of the refusal. */
async function open(path: string, options: ClientOptions): Promise<WebSocket | number> {
  const socket = new WebSocket(address + path, options)
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.once('unexpected-response', (_request, response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    socket.once('error', reject)
  })
}

const authorization = (await bearerOf(ivan)).replace('Authorization: ', '')

await t.test('a WebSocket carries messages both ways under the principal’s name', async (t) => {
  const socket = await open('/live/a', { headers: { authorization }, origin: gateway.origin })
  if (typeof socket === 'number') throw new Error(`refused with ${socket}`)
  socket.send('hello')
  const [data] = (await once(socket, 'message')) as [Buffer]
  t.equal(data.toString(), 'echo hello')
  t.ok(seen.at(-1)?.['x-trac-user'])
  t.equal(seen.at(-1)?.['authorization'], undefined)
  socket.close()
  await once(socket, 'close')
})

await t.test(
  'a WebSocket is refused where no route lets it, to visitors and to foreign origins',
  async (t) => {
    const before = seen.length
    const cases: [string, ClientOptions, number][] = [
      ['/api/a', { headers: { authorization }, origin: gateway.origin }, 403],
      ['/live/a', { origin: gateway.origin }, 401],
      ['/live/a', { headers: { authorization }, origin: 'https://evil.example' }, 403],
      ['/live/a', { headers: { authorization: 'Bearer x' }, origin: gateway.origin }, 401],
      ['/auth/nowhere', { headers: { authorization }, origin: gateway.origin }, 404],
    ]
    for (const [path, options, status] of cases) t.equal(await open(path, options), status, path)
    t.equal(seen.length, before, 'the upstream was never dialled')
  },
)

await t.test('an upstream that does not upgrade answers like any other', async (t) => {
  const headers = { authorization }
  t.equal(await open('/live/closed', { headers, origin: gateway.origin }), 403)
  t.equal(await open('/live/plain', { headers, origin: gateway.origin }), 200)
})

await t.test(
  'an upgrade to something else is answered as if it had not been asked for',
  async (t) => {
    const answer = await rawExchange(
      gateway.port,
      `GET /trac/api/x HTTP/1.1\r\nHost: localhost:${gateway.port}\r\nAuthorization: ${authorization}\r\n` +
        'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
    )
    t.match(answer, /^HTTP\/1\.1 200 /)
    t.match(answer, /plain/)
    t.equal(seen.at(-1)?.['upgrade'], undefined)
  },
)

await t.test('a WebSocket ends with its token', async (t) => {
  const socket = await open('/live/a', { headers: { authorization } })
  if (typeof socket === 'number') throw new Error(`refused with ${socket}`)
  gateway.clock.advance(2 * 3_600_000)
  await once(socket, 'close')
  t.equal(socket.readyState, WebSocket.CLOSED)
})
