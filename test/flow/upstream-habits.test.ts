/** What an upstream may do: interim answers, bodies of a GET, caching, tokens, other protocols; each passes or is refused. */
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { t } from '../fixtures/tap.js'
import { listen } from '../fixtures/listen.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { Wire, answerText, answering, ask, codeOf, requestText } from '../fixtures/wire.js'

const routes = [
  { name: 'api', path: '/api/**', upstream: 'api', access: 'public' },
  { name: 'all', path: '/**', access: 'public' },
]

const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n'
const processing = 'HTTP/1.1 102 Processing\r\n\r\n'
const goOn = 'HTTP/1.1 100 Continue\r\n\r\n'
const page = answerText('page')

await t.test('interim answers of an API are dropped and the answer is awaited', async (t) => {
  let before: string[] = []
  const { gateway } = await stage(t, {
    upstream: 'raw',
    answer: ({ socket, text }) => {
      if (!text.includes('\r\n\r\n')) return
      // Its own pieces: a timer of the answer before must not take one of this.
      const pieces = before
      before = []
      const next = (): void => {
        const piece = pieces.shift()
        if (piece === undefined) return
        socket.write(piece, 'latin1')
        setTimeout(next, 5)
      }
      next()
    },
    api: true,
    overlay: { routes },
  })
  const cases: readonly (readonly string[])[] = [
    [hints, page],
    [hints + processing + page],
    [goOn, page],
    [goOn + goOn + page],
    [goOn.slice(0, 5), goOn.slice(5, 20), goOn.slice(20) + page.slice(0, 3), page.slice(3)],
    [goOn + hints, page],
    [hints, goOn.slice(0, 9), goOn.slice(9), page],
  ]
  for (const pieces of cases) {
    for (const line of ['GET /trac/api/x', 'POST /trac/api/x']) {
      before = [...pieces]
      const answer = await ask(gateway, line)
      const what = `${line} ${JSON.stringify(pieces)}`
      t.strictSame([answer.status, answer.body], [200, 'page'], what)
      t.equal(answer.header('link'), '')
    }
  }
  before = [goOn, page]
  t.equal((await ask(gateway, 'GET /trac/wiki')).body, 'page', 'Trac may send a 100')
  before = [hints, page]
  const refused = await ask(gateway, 'GET /trac/wiki')
  t.equal(refused.status, 502, 'and nothing else')
  t.equal(codeOf(refused), 'ERR_UPSTREAM_ANSWER')
})

await t.test('an API that only hints is 504 when its time is over', async (t) => {
  const { gateway, upstream } = await stage(t, {
    upstream: 'raw',
    answer: ({ socket }) => {
      const timer = setInterval(() => socket.write(hints), 50)
      socket.once('close', () => clearInterval(timer))
    },
    api: true,
    overlay: { routes, upstreams: { api: { timeouts: { firstByte: '500ms' } } } },
  })
  const answer = await ask(gateway, 'GET /trac/api/x')
  t.equal(answer.status, 504)
  t.equal(codeOf(answer), 'ERR_UPSTREAM_TIMEOUT')
  t.equal(upstream.connections.length, 1)
})

await t.test(
  'the body of a GET reaches an API on a fresh connection, and never Trac',
  async (t) => {
    const { gateway, upstream } = await stage(t, {
      upstream: 'raw',
      answer: answering(() => page),
      api: true,
      overlay: { routes },
    })
    const type = 'Content-Type: application/json'
    const sends = [
      { headers: ['Content-Length: 4', type], body: '{"a"' },
      { headers: ['Transfer-Encoding: chunked', type], body: '4\r\n{"a"\r\n0\r\n\r\n' },
    ]
    for (const { headers, body } of sends) {
      for (const path of ['api/x', 'wiki']) {
        upstream.connections.length = 0
        const answer = await ask(gateway, `GET /trac/${path}`, headers, body)
        t.strictSame([answer.status, answer.body], [200, 'page'], path)
        const isFresh = upstream.connections.length === 1
        t.equal(isFresh, path === 'api/x' || headers === sends[0]?.headers, path)
      }
    }
  },
)

await t.test('what an API receives of a GET with a body, and Trac', async (t) => {
  const { gateway, upstream } = await stage(t, { upstream: true, api: true, overlay: { routes } })
  const headers = ['Content-Length: 4', 'Content-Type: application/json']
  await ask(gateway, 'GET /trac/api/x', headers, '{"a"')
  t.equal(upstream.received.at(-1)?.body.toString(), '{"a"')
  t.match(upstream.lastHeaders(), {
    'content-length': '4',
    'content-type': 'application/json',
    connection: 'close',
  })
  await ask(gateway, 'GET /trac/wiki', headers, '{"a"')
  t.equal(upstream.received.at(-1)?.body.length, 0)
  t.equal(upstream.lastHeaders()['content-length'], undefined)
  t.equal(upstream.lastHeaders()['content-type'], undefined)
})

await t.test('no answer to somebody may be kept by a shared cache', async (t) => {
  const { gateway, sam, bearerOf, cookieOf } = await stage(t, {
    provider: 'cognito',
    upstream: true,
    answer: (_request, response) => {
      response.setHeader('Cache-Control', 'public, max-age=60, s-maxage=600')
      response.setHeader('Surrogate-Control', 'max-age=600')
      response.setHeader('CDN-Cache-Control', 'max-age=600')
      response.end('page')
    },
    api: true,
    overlay: {
      routes: [
        { name: 'open', path: '/open/**', access: 'public', upstream: 'api' },
        { name: 'api', path: '/api/**', access: 'optional', upstream: 'api' },
      ],
      upstreams: { api: { forwardAccessToken: true } },
    },
  })
  for (const credential of [await bearerOf(sam, { use: 'access' }), await cookieOf(sam)]) {
    const answer = await ask(gateway, 'GET /trac/api/x', [credential])
    t.equal(answer.header('cache-control'), 'private, max-age=60')
    t.equal(answer.header('surrogate-control') + answer.header('cdn-cache-control'), '')
  }
  const anonymous = await ask(gateway, 'GET /trac/api/x')
  t.equal(anonymous.header('cache-control'), 'public, max-age=60, s-maxage=600')
})

await t.test('a public route passes no token on', async (t) => {
  const { gateway, sam, bearerOf, upstream } = await stage(t, {
    provider: 'cognito',
    upstream: true,
    api: true,
    overlay: {
      routes: [
        { name: 'open', path: '/open/**', access: 'public', upstream: 'api' },
        { name: 'api', path: '/api/**', access: 'optional', upstream: 'api' },
      ],
      upstreams: { api: { forwardAccessToken: true } },
    },
  })
  const bearer = await bearerOf(sam, { use: 'access' })
  t.equal((await ask(gateway, 'GET /trac/open/x', [bearer])).status, 200)
  t.equal(upstream.lastHeaders()['authorization'], undefined)
  t.equal((await ask(gateway, 'GET /trac/api/x', [bearer])).status, 200)
  t.ok(bearer.endsWith(upstream.lastHeaders()['authorization'] ?? 'none'), 'other routes do')
})

await t.test('an upgrade to another protocol than was asked for is 502', async (t) => {
  let protocol = ''
  const server = createServer()
  server.on('upgrade', (_request, socket) => {
    socket.on('error', () => undefined)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${protocol}\r\nSMUGGLED`,
    )
  })
  const url = `http://127.0.0.1:${await listen(server)}`
  t.teardown(() => server.close())
  const { gateway, origin } = await stage(t, {
    upstream: { url },
    overlay: { routes: [{ name: 'all', path: '/**', access: 'public', websocket: true }] },
  })
  const handshake = ['Connection: Upgrade', 'Upgrade: websocket', `Origin: ${origin}`]
  for (const named of ['Upgrade: h2c\r\n', 'Upgrade: websocket, h2c\r\n']) {
    protocol = named
    const answer = await ask(gateway, 'GET /trac/x', handshake)
    t.equal(answer.status, 502, named)
    t.notMatch(answer.body, 'SMUGGLED')
  }
  protocol = 'Upgrade: WebSocket\r\n'
  const wire = new Wire(gateway.port)
  wire.send(requestText(gateway, 'GET /trac/x', handshake))
  await wire.until(() => wire.text.includes('SMUGGLED'))
  t.match(wire.text, /^HTTP\/1\.1 101 /)
  wire.destroy()
})

const large = Buffer.alloc(16 * 1024 * 1024, 'x')

await t.test('clients that read nothing are cut, and whoever reads slowly is not', async (t) => {
  const server = createServer((_request, response) => void response.end(large))
  const url = `http://127.0.0.1:${await listen(server)}`
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { gateway } = await stage(t, {
    gateway: 'process',
    upstream: { url },
    overlay: {
      server: { timeouts: { clientRead: '2s' } },
      routes: [{ name: 'all', path: '/**', access: 'public' }],
      upstreams: { trac: { maxConnections: 100 } },
    },
  })
  const clients = Array.from({ length: 20 }, () => {
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, 'GET /trac/large', ['Connection: keep-alive']))
    wire.socket.pause()
    return wire
  })
  const reader = new Wire(gateway.port)
  reader.send(requestText(gateway, 'GET /trac/large'))
  const pauses = setInterval(() => {
    reader.socket.pause()
    setTimeout(() => reader.socket.resume(), 150)
  }, 300)
  t.teardown(() => clearInterval(pauses))
  await until(async () => (await gateway.upstreamConnections()) >= 20, 'all are at the upstream')
  await until(async () => (await gateway.upstreamConnections()) === 0, 'none holds it any more')
  const answer = await reader.answer()
  t.equal(answer?.complete, true, 'who reads gets all of it')
  for (const wire of clients) wire.destroy()
  t.equal(gateway.end, '')
})

await t.test('who reads below bodyMinimumRate is cut once half a minute is over', async (t) => {
  const mebibyte = 1024 * 1024
  const piece = large.subarray(0, mebibyte)
  const server = createServer(({ method }, response) => {
    // The probe of readiness.
    if (method === 'HEAD') {
      response.end()
      return
    }
    const more = (): void => {
      while (response.write(piece));
    }
    response.on('drain', more)
    more()
  })
  const url = `http://127.0.0.1:${await listen(server)}`
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const timers = createTimers()
  const { gateway } = await stage(t, {
    upstream: { url },
    timers,
    overlay: {
      server: { timeouts: { clientRead: '10m', bodyMinimumRate: '1MiB' } },
      routes: [{ name: 'all', path: '/**', access: 'public' }],
    },
  })
  /** A client that takes so many bytes in each second. */
  const start = (rate: number) => {
    const socket = connect(gateway.port, '127.0.0.1')
    let left = 0
    let ended = false
    const take = (): void => {
      while (left > 0) {
        const taken = socket.read() as Buffer | null
        if (taken === null) return
        left -= taken.length
      }
    }
    socket.on('readable', take)
    socket.on('error', () => undefined)
    socket.on('close', () => (ended = true))
    socket.write(requestText(gateway, 'GET /trac/endless'))
    return {
      socket,
      second: async () => {
        left += rate
        take()
        await until(() => left <= 0 || ended, 'it has read its part')
      },
      readAll: async () => {
        left = Number.POSITIVE_INFINITY
        take()
        await until(() => ended, 'it has ended')
      },
      isOpen: () => !ended,
    }
  }
  const [slow, quick] = [start(mebibyte / 256), start(2 * mebibyte)]
  /** Both read their parts, the gateway fills what they have freed, and a second is over. */
  const pass = async () => {
    await Promise.all([slow.second(), quick.second()])
    await pause(10)
    timers.advance(1000)
  }
  const codes = () => gateway.lines.filter(({ code }) => code === 'ERR_CLIENT_TIMEOUT').length
  for (let second = 0; second < 30; second++) await pass()
  t.equal(codes(), 0, 'nobody is judged by the first half minute')
  t.ok(slow.isOpen())
  // At first the kernel still takes all, and nothing waits for it.
  for (let second = 0; second < 120 && codes() === 0; second++) await pass()
  t.equal(codes(), 1, 'then it is cut')
  await Promise.race([slow.readAll(), pause(10_000)])
  t.notOk(slow.isOpen())
  t.ok(quick.isOpen(), 'who reads faster is not')
  quick.socket.destroy()
})
