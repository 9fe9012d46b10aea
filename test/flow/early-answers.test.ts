/** An answer that comes before its request was read wins over the write error that follows (RFC 9112 §9.6). */
import { connect, createServer } from 'node:net'
import { t } from '../fixtures/tap.js'
import { startServer } from '../../src/demo/trac.js'
import { freePort } from '../fixtures/ports.js'
import { scaled } from '../fixtures/scale.js'
import { stage } from '../fixtures/stage.js'
import { pythonOf } from '../fixtures/tracs.js'
import { until } from '../fixtures/until.js'
import { Wire, requestText, splitAnswers } from '../fixtures/wire.js'

// A hang is told within a minute.
t.setTimeout(60_000)

const tries = scaled(4, 100)
const python = await pythonOf('1.6')

/** A WSGI application that does not look at the body. */
const application = `
def application(environ, start_response):
    text = b'too large'
    start_response('413 Payload Too Large', [('Content-Type', 'text/plain'), ('Content-Length', str(len(text)))])
    return [text]
`
const program = (server: string) => `${application}\n${server}`

/** Servers as people run Trac on them, each with an application that answers 413 at once; and a socket that is hasty. */
const servers: Readonly<Record<string, (port: number) => Promise<() => Promise<void>>>> = {
  tracd: (port) =>
    startServer(
      python,
      [
        '-c',
        program(
          `
from trac.web.wsgi import WSGIRequestHandler, WSGIServer
class Handler(WSGIRequestHandler):
    protocol_version = 'HTTP/1.1'
WSGIServer(('127.0.0.1', ${port}), application, request_handler=Handler).serve_forever()`,
        ),
      ],
      port,
    ),
  waitress: (port) =>
    startServer(
      python,
      [
        '-c',
        program(
          `import waitress\nwaitress.serve(application, listen='127.0.0.1:${port}', max_request_body_size=1000)`,
        ),
      ],
      port,
    ),
  gunicorn: (port) =>
    startServer(
      python,
      [
        '-c',
        program(
          `
from gunicorn.app.base import BaseApplication
class Server(BaseApplication):
    def load_config(self):
        for key, value in dict(bind='127.0.0.1:${port}', workers=1, threads=8, worker_class='gthread').items():
            self.cfg.set(key, value)
    def load(self):
        return application
Server().run()`,
        ),
      ],
      port,
    ),
  async 'a raw socket'(port) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => {
        socket.end('HTTP/1.1 413 Payload Too Large\r\nContent-Length: 9\r\n\r\ntoo large', () =>
          socket.destroy(),
        )
      })
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    return () => new Promise((resolve) => void server.close(() => resolve()))
  },
}

/** More than the kernel takes for an upstream that does not read: some of it must be given up. */
const large = 8_000_000
/** Servers that read what they refuse to its end: nothing of it is given up, so the connection may be kept. */
const readsOn: ReadonlySet<string> = new Set(['waitress'])

/** Whether an answer has come to its end, and its connection is kept. */
function isKept(text: string): boolean {
  const length = Number(/^content-length: *(\d+)/im.exec(text)?.[1])
  return (
    /^connection: keep-alive/im.test(text) && text.length >= text.indexOf('\r\n\r\n') + 4 + length
  )
}

/** Sends the whole body before it reads anything, as simple clients do; it leaves a connection that is kept. */
async function upload(port: number, head: string, body: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.setEncoding('latin1').pause()
    socket.on('data', (chunk: string) => {
      text += chunk
      if (isKept(text)) socket.destroy()
    })
    socket.on('error', (error) => (text += `[${error.message}]`))
    socket.on('close', () => resolve(text))
    socket.write(head)
    socket.write(body, () => socket.resume())
  })
}

for (const [name, start] of Object.entries(servers)) {
  await t.test(`the 413 of ${name} reaches the client in ${tries} of ${tries} tries`, async (t) => {
    const port = await freePort()
    t.teardown(await start(port))
    const { gateway } = await stage(t, {
      upstream: { url: `http://127.0.0.1:${port}` },
      overlay: { routes: [{ name: 'all', path: '/**', access: 'public' }] },
    })
    for (const size of [300_000, large]) {
      const body = Buffer.alloc(size, 'x')
      const lost: string[] = []
      for (let i = 0; i < tries; i++) {
        const head = requestText(gateway, 'POST /trac/upload', [
          `Content-Length: ${size}`,
          'Content-Type: application/octet-stream',
          'Connection: keep-alive',
        ])
        const text = await upload(gateway.port, head, body)
        const [answer] = splitAnswers(text, ['POST'])
        const kept = answer?.header('connection') !== 'close'
        const isGivenUp = size === large && !readsOn.has(name)
        if (answer?.status !== 413 || (kept && isGivenUp)) {
          lost.push(text.slice(0, 300))
        }
      }
      t.strictSame(lost, [], `${size} bytes`)
    }
    t.ok(await gateway.metric('trac_gateway_upstream_connections').then((open) => open === 0))
  })
}

await t.test('what a client goes on sending is thrown away for ten seconds at most', async (t) => {
  const { gateway, upstream } = await stage(t, {
    gateway: 'process',
    upstream: 'raw',
    answer({ socket }) {
      socket.end('HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n')
    },
    overlay: { routes: [{ name: 'all', path: '/**', access: 'public' }] },
  })
  const begin = () => {
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, 'POST /trac/upload', ['Content-Length: 8000000'], 'begin'))
    return wire
  }
  const silent = begin()
  const dripping = begin()
  const startedAt = performance.now()
  const drip = setInterval(() => dripping.send('x'), 300)
  t.teardown(() => clearInterval(drip))
  for (const wire of [silent, dripping]) {
    const answer = await wire.answer()
    t.equal(answer?.status, 413)
    // Its own half stays open.
    wire.socket.allowHalfOpen = true
  }
  const seconds = async (wire: Wire) => {
    const port = wire.socket.localPort ?? 0
    await until(() => !gateway.holds(port))
    return (performance.now() - startedAt) / 1000
  }
  const short = await seconds(silent)
  t.ok(short > 1 && short < 6, `${short} s after it was silent`)
  const long = await seconds(dripping)
  t.ok(long > 8 && long < 20, `${long} s while it sends`)
  t.equal(upstream.connections.length, 2)
})
