/** Large and slow things: bodies stream both ways, and one slow client is only slow itself; memory is in flat-memory.test.ts. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import type { Timers } from '../../src/core/clock.js'
import type { Overlay } from '../fixtures/gateway.js'
import { listen } from '../fixtures/listen.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { Wire, ask, codeOf, requestText } from '../fixtures/wire.js'

const mebibyte = 1024 * 1024
const size = 64 * mebibyte
const overlay: Overlay = {
  server: { limits: { body: '1GiB' } },
  routes: [{ name: 'all', path: '/**', access: 'public' }],
  log: { level: 'info', audit: false },
}

async function front(
  t: Test,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  timers?: Timers,
) {
  const server = createServer(answer)
  const port = await listen(server)
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { gateway } = await stage(t, {
    upstream: { url: `http://127.0.0.1:${port}` },
    overlay,
    ...(timers === undefined ? {} : { timers }),
  })
  const open = () => gateway.metric('trac_gateway_upstream_connections')
  return { gateway, open }
}

/** Sends a body as fast as it is taken. */
async function pump(wire: Wire, total: number, piece: Buffer): Promise<void> {
  for (let sent = 0; sent < total; sent += piece.length) {
    if (!wire.socket.write(piece))
      await new Promise((resolve) => wire.socket.once('drain', resolve))
  }
}

await t.test('64 MiB stream up: the first byte arrives before the last one is sent', async (t) => {
  let received = 0
  let firstAt = 0
  const { gateway } = await front(t, (request, response) => {
    request.on('data', (chunk: Buffer) => {
      firstAt ||= performance.now()
      received += chunk.length
    })
    request.on('end', () => response.end(String(received)))
  })
  let sentAt = 0
  const wire = new Wire(gateway.port)
  wire.send(requestText(gateway, 'PUT /trac/x', [`Content-Length: ${size}`]))
  await pump(wire, size, Buffer.alloc(mebibyte / 4, 'x'))
  sentAt = performance.now()
  const answer = await wire.answer()
  t.equal(answer?.status, 200)
  t.equal(answer?.body, String(size))
  t.ok(firstAt < sentAt)
})

await t.test(
  '64 MiB stream down to a client that reads, and wait for one that does not',
  async (t) => {
    const upstream = { written: 0 }
    const piece = Buffer.alloc(mebibyte / 4, 'y')
    const { gateway } = await front(t, (request, response) => {
      if (request.url !== '/trac/x') {
        response.end('other')
        return
      }
      response.writeHead(200, { 'content-length': String(size) })
      const more = (): void => {
        while (upstream.written < size) {
          upstream.written += piece.length
          if (!response.write(piece)) {
            response.once('drain', more)
            return
          }
        }
        response.end()
      }
      more()
    })
    const reader = new Wire(gateway.port)
    let read = 0
    reader.socket.removeAllListeners('data')
    reader.socket.pause()
    reader.send(requestText(gateway, 'GET /trac/x'))
    // Nobody reads: the upstream is held back long before it has written everything.
    let before = -1
    while (upstream.written !== before || upstream.written === 0) {
      before = upstream.written
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    t.ok(upstream.written < size / 2, `${upstream.written / mebibyte} MiB were written for nobody`)
    const other = await ask(gateway, 'GET /trac/other')
    t.equal(other.body, 'other', 'others are served meanwhile')
    reader.socket.on('data', (chunk: string) => (read += chunk.length))
    reader.socket.resume()
    await reader.end()
    t.ok(read > size)
  },
)

await t.test('server-sent events pass one by one', async (t) => {
  let send: ((text: string) => void) | undefined
  const { gateway } = await front(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    send = (text) => response.write(text)
  })
  const wire = new Wire(gateway.port)
  wire.send(requestText(gateway, 'GET /trac/events'))
  await wire.until(() => wire.text.includes('\r\n\r\n'))
  t.match(wire.text, /^HTTP\/1\.1 200 /, 'the headers come before any event')
  for (const event of ['data: one\n\n', 'data: two\n\n']) {
    send?.(event)
    await wire.until(() => wire.text.includes(event))
    t.ok(wire.text.includes(event))
  }
  wire.destroy()
})

/** Answers that come in parts, by the headers that tell of their end. */
const unbuffered: readonly (readonly [what: string, headers: Record<string, string>])[] = [
  ['in chunks', { 'content-type': 'text/csv' }],
  ['with a length', { 'content-type': 'text/csv', 'content-length': '6' }],
]
for (const [what, headers] of unbuffered) {
  await t.test(`an answer ${what} passes as far as it has come`, async (t) => {
    let send: ((text: string) => void) | undefined
    const { gateway } = await front(t, (_request, response) => {
      response.writeHead(200, headers).flushHeaders()
      send = (text) => response.write(text)
    })
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, 'GET /trac/report'))
    await wire.until(() => wire.text.includes('\r\n\r\n'))
    for (const part of ['1,2', ',3\n']) {
      t.notOk(wire.text.includes(part))
      send?.(part)
      await wire.until(() => wire.text.includes(part))
      t.ok(wire.text.includes(part))
    }
    wire.destroy()
  })
}

await t.test('a slow writer holds only its own connection', async (t) => {
  const { gateway } = await front(t, (request, response) => {
    request.resume().on('end', () => response.end('ok'))
  })
  const slow = new Wire(gateway.port)
  slow.send(requestText(gateway, 'POST /trac/x', ['Content-Length: 10'], 'half'))
  for (let i = 0; i < 20; i++) t.equal((await ask(gateway, 'GET /trac/y')).status, 200)
  slow.send('second')
  t.equal((await slow.answer('POST'))?.status, 200)
})

/** Bodies that stop: one with a length is on its way to Trac already, one in chunks is still being collected. */
const stopping: readonly (readonly [what: string, header: string, begun: string])[] = [
  ['with a length', 'Content-Length: 100', 'begun'],
  ['in chunks', 'Transfer-Encoding: chunked', '5\r\nbegun\r\n'],
]

for (const [what, header, begun] of stopping) {
  await t.test(`a body ${what} that stops coming is cut after bodyIdle`, async (t) => {
    const timers = createTimers()
    const { gateway, open } = await front(t, (request) => request.resume(), timers)
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, 'POST /trac/x', [header, 'Connection: keep-alive'], begun))
    // The body must have begun before time passes.
    await new Promise((resolve) => setTimeout(resolve, 300))
    timers.advance(31_000)
    const answer = await wire.answer('POST')
    t.equal(answer?.status, 408)
    t.equal(codeOf(answer ?? { body: '' }), 'ERR_CLIENT_TIMEOUT')
    t.equal(answer?.header('connection'), 'close')
    await wire.end()
    t.ok((await open()) <= 1)
    const logged = gateway.lines.filter((line) => line['status'] === 408)
    t.match(logged, [{ code: 'ERR_CLIENT_TIMEOUT' }])
  })
}
