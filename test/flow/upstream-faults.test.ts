/** What a client gets when the application behind is away, slow, broken or wrong; and what is tried again. */
import { createServer } from 'node:https'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { createCertificate } from '../fixtures/certificate.js'
import type { Overlay } from '../fixtures/gateway.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'
import { Wire, answerText, answering, ask, codeOf, requestText } from '../fixtures/wire.js'
import type { Arrived } from '../fixtures/wire.js'

/** Every method goes to Trac here, anonymous or not. */
const open: Overlay = {
  routes: [
    { name: 'all', path: '/**', access: 'public', timeouts: { firstByte: '1s', idle: '1s' } },
  ],
}

async function gatewayFor(t: Test, url: string, overlay: Overlay = {}) {
  const { gateway } = await stage(t, { upstream: { url }, overlay: { ...open, ...overlay } })
  return gateway
}

/** A gateway in front of an upstream of plain sockets. */
const front = (t: Test, answer: (arrived: Arrived) => void, overlay: Overlay = {}) =>
  stage(t, { upstream: 'raw', answer, overlay: { ...open, ...overlay } })

const html = 'Accept: text/html'

await t.test(
  'an upstream that refuses is 502 with code and request id, as page and as JSON',
  async (t) => {
    const gateway = await gatewayFor(t, `http://127.0.0.1:${await freePort()}`)
    const json = await ask(gateway, 'GET /trac/wiki')
    t.equal(json.status, 502)
    const body = JSON.parse(json.body) as Record<string, unknown>
    t.equal(body['code'], 'ERR_UPSTREAM_UNREACHABLE')
    t.equal(body['error'], 'bad_gateway')
    t.equal(body['request_id'], json.header('x-request-id'))
    const page = await ask(gateway, 'GET /trac/wiki', [html])
    t.equal(page.status, 502)
    t.match(page.header('content-type'), /^text\/html/)
    t.ok(page.body.includes('ERR_UPSTREAM_UNREACHABLE'))
    t.ok(page.body.includes(page.header('x-request-id')))
    t.equal((await ask(gateway, 'GET /trac/auth/healthz')).status, 200)
    t.equal((await ask(gateway, 'GET /trac/auth/signed-out')).status, 200, 'our own pages stay')
  },
)

await t.test('an upstream that is slow to connect is 504', async (t) => {
  // It takes the connection and never speaks TLS.
  const { upstream } = await stage(t, {
    upstream: 'raw',
    answer: () => undefined,
    gateway: false,
  })
  const gateway = await gatewayFor(t, `https://127.0.0.1:${upstream.port}`, {
    upstreams: { trac: { timeouts: { connect: '1s' } } },
  })
  const answer = await ask(gateway, 'GET /trac/wiki')
  t.equal(answer.status, 504)
  t.equal(codeOf(answer), 'ERR_UPSTREAM_TIMEOUT')
})

await t.test(
  'an upstream whose certificate nobody vouches for is 502 and gets no request',
  async (t) => {
    const { certificate, key } = createCertificate(['localhost'])
    let requests = 0
    const server = createServer({ cert: certificate, key }, (_request, response) => {
      requests++
      response.end('ok')
    })
    const port = await listen(server)
    t.teardown(() => server.close())
    const gateway = await gatewayFor(t, `https://localhost:${port}`)
    const answer = await ask(gateway, 'GET /trac/wiki')
    t.equal(answer.status, 502)
    t.equal(codeOf(answer), 'ERR_UPSTREAM_UNREACHABLE')
    t.notMatch(answer.body, /certificate|self.signed/i, 'without the words of the TLS library')
    t.equal(requests, 0)
  },
)

await t.test(
  'an upstream that does not answer in time is 504, and its connection is closed',
  async (t) => {
    const { upstream, gateway } = await front(t, () => undefined)
    for (const line of ['GET /trac/wiki', 'HEAD /trac/wiki', 'POST /trac/wiki/Page']) {
      const answer = await ask(gateway, line)
      t.equal(answer.status, 504, line)
      if (!line.startsWith('HEAD')) t.equal(codeOf(answer), 'ERR_UPSTREAM_TIMEOUT')
    }
    t.equal(upstream.connections.length, 3, 'nothing was tried again')
    t.ok(upstream.connections.every(({ socket }) => socket.destroyed || socket.readableEnded))
  },
)

const bodyOf = (length: number) => [`Content-Length: ${length}`, 'Content-Type: text/plain']

await t.test('an upstream that closes without an answer is 502, whatever was sent', async (t) => {
  const { upstream, gateway } = await front(t, (arrived) => {
    const end = arrived.text.indexOf('\r\n\r\n')
    const length = Number(/^content-length: *(\d+)/im.exec(arrived.text)?.[1] ?? 0)
    if (end >= 0 && arrived.text.length >= end + 4 + length) arrived.socket.destroy()
  })
  const cases: readonly (readonly [line: string, headers: readonly string[], body: string])[] = [
    ['GET /trac/wiki', [], ''],
    ['POST /trac/wiki/Page', [], ''],
    ['POST /trac/wiki/Page', bodyOf(5), 'hello'],
    ['PUT /trac/wiki/Page', bodyOf(5), 'hello'],
    ['POST /trac/wiki/Page', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
    ['DELETE /trac/wiki/Page', [], ''],
  ]
  for (const [line, headers, body] of cases) {
    const before = upstream.connections.length
    const answer = await ask(gateway, line, headers, body)
    t.equal(answer.status, 502, `${line} ${headers.join()}`)
    t.equal(codeOf(answer), 'ERR_UPSTREAM_RESET')
    t.equal(upstream.connections.length, before + 1, 'sent once')
  }
})

/** Answers that are none; each is 502 with this code. */
const wrongAnswers: readonly (readonly [what: string, bytes: string, code: string])[] = [
  ['no HTTP', 'hello\r\n\r\n', 'ERR_UPSTREAM_ANSWER'],
  ['HTTP of another kind', 'SSH-2.0-OpenSSH_9.2\r\n', 'ERR_UPSTREAM_ANSWER'],
  [
    'two lengths',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'ERR_UPSTREAM_ANSWER',
  ],
  [
    'a length beside chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    'ERR_UPSTREAM_ANSWER',
  ],
  [
    'a header with NUL',
    'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n',
    'ERR_UPSTREAM_ANSWER',
  ],
  ['an interim answer', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n', 'ERR_UPSTREAM_ANSWER'],
  [
    'an upgrade that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nUNASKED',
    'ERR_UPSTREAM_ANSWER',
  ],
  [
    'too many headers',
    `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`,
    'ERR_UPSTREAM_ANSWER',
  ],
]

for (const [what, bytes, code] of wrongAnswers) {
  await t.test(`an upstream that answers with ${what} is 502`, async (t) => {
    const { upstream, gateway } = await front(t, ({ socket, text }) => {
      if (text.includes('\r\n\r\n')) socket.write(bytes, 'latin1')
    })
    for (const line of ['GET /trac/wiki', 'POST /trac/wiki/Page']) {
      const answer = await ask(gateway, line)
      t.equal(answer.status, 502, line)
      t.equal(codeOf(answer), code)
      t.notOk(answer.body.includes('UNASKED'), 'without a byte of the upstream')
    }
    t.equal(upstream.connections.length, 2, 'each on a connection of its own, sent once')
  })
}

await t.test('a 100 that nobody asked for is dropped, and the answer is awaited', async (t) => {
  const { gateway } = await front(t, ({ socket, text }) => {
    if (text.includes('\r\n\r\n')) {
      socket.write(`HTTP/1.1 100 Continue\r\n\r\n${answerText('page')}`)
    }
  })
  for (const line of ['GET /trac/wiki', 'POST /trac/wiki/Page']) {
    const answer = await ask(gateway, line)
    t.strictSame([answer.status, answer.body], [200, 'page'], line)
  }
})

/** Answers that break off; the client must be able to see it. */
const truncated: readonly (readonly [what: string, bytes: string])[] = [
  ['a length that is not reached', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin'],
  ['chunks without an end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n'],
  ['half a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nbegin'],
  [
    'a chunk that is none',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\nzz\r\n',
  ],
]

for (const [what, bytes] of truncated) {
  await t.test(`an answer with ${what} is visibly truncated`, async (t) => {
    const { gateway } = await front(t, ({ socket, text }) => {
      if (text.includes('\r\n\r\n')) socket.end(bytes, 'latin1')
    })
    const answer = await ask(gateway, 'GET /trac/wiki')
    t.equal(answer.status, 200)
    t.equal(answer.body, 'begin')
    t.equal(answer.complete, false)
  })
}

await t.test('an answer that stalls is cut and visibly truncated', async (t) => {
  const { gateway } = await front(t, ({ socket, text }) => {
    if (text.includes('\r\n\r\n'))
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin')
  })
  const answer = await ask(gateway, 'GET /trac/wiki')
  t.equal(answer.status, 200)
  t.equal(answer.complete, false)
})

await t.test('an answer without a length ends with its connection and is complete', async (t) => {
  const { gateway } = await front(t, ({ socket, text }) => {
    if (text.includes('\r\n\r\n')) socket.end('HTTP/1.0 200 OK\r\n\r\nold')
  })
  const answer = await ask(gateway, 'GET /trac/wiki')
  t.equal(answer.status, 200)
  t.equal(answer.body, 'old')
  t.equal(answer.complete, true)
})

await t.test(
  'an answer that comes before the body was read goes out, and the connection ends',
  async (t) => {
    const { gateway } = await front(t, ({ socket, text }) => {
      if (text.includes('\r\n\r\n') && socket.writable) {
        socket.end(answerText('no thanks', ['Connection: close'], '413 Too Large'))
      }
    })
    const wire = new Wire(gateway.port)
    wire.send(
      requestText(
        gateway,
        'POST /trac/wiki/Page',
        ['Content-Length: 1000000', 'Connection: keep-alive'],
        'first',
      ),
    )
    const answer = await wire.answer()
    t.equal(answer?.status, 413)
    t.equal(answer?.body, 'no thanks')
    t.equal(answer?.header('connection'), 'close')
    await wire.end()
  },
)

await t.test(
  'a GET whose kept connection had ended is sent once more, on a fresh one',
  async (t) => {
    let hangUp = false
    const { upstream, gateway } = await front(t, (arrived) => {
      if (hangUp && arrived.requests > 0) {
        arrived.socket.destroy()
        return
      }
      answering(() => answerText('page'))(arrived)
    })
    t.equal((await ask(gateway, 'GET /trac/wiki')).status, 200)
    hangUp = true
    const answer = await ask(gateway, 'GET /trac/wiki')
    t.equal(answer.status, 200)
    t.equal(answer.body, 'page')
    t.equal(upstream.connections.length, 2)
    t.ok(upstream.connections[0]?.text.startsWith('GET /trac/wiki '), 'the kept one had been tried')
  },
)

await t.test('a GET is sent once more, and no third time', async (t) => {
  let hangUp = false
  const { upstream, gateway } = await front(t, (arrived) => {
    if (hangUp) arrived.socket.destroy()
    else answering(() => answerText('page'))(arrived)
  })
  await ask(gateway, 'GET /trac/wiki')
  hangUp = true
  const answer = await ask(gateway, 'GET /trac/wiki')
  t.equal(answer.status, 502)
  t.equal(codeOf(answer), 'ERR_UPSTREAM_RESET')
  t.equal(upstream.connections.length, 2)
})

await t.test('a GET of which a byte came back is not sent again', async (t) => {
  let hangUp = false
  const { upstream, gateway } = await front(t, (arrived) => {
    if (hangUp) arrived.socket.end('HT')
    else answering(() => answerText('page'))(arrived)
  })
  await ask(gateway, 'GET /trac/wiki')
  hangUp = true
  const answer = await ask(gateway, 'GET /trac/wiki')
  t.equal(answer.status, 502)
  t.equal(upstream.connections.length, 1)
})

await t.test('a GET that timed out on a kept connection is not sent again', async (t) => {
  let silent = false
  const { upstream, gateway } = await front(t, (arrived) => {
    if (!silent) answering(() => answerText('page'))(arrived)
  })
  await ask(gateway, 'GET /trac/wiki')
  silent = true
  t.equal((await ask(gateway, 'GET /trac/wiki')).status, 504)
  t.equal(upstream.connections.length, 1)
})

await t.test(
  'a request that its client cuts off reaches the upstream as a closed connection',
  async (t) => {
    const { upstream, gateway } = await front(t, () => undefined, {
      routes: [{ name: 'all', path: '/**', access: 'public' }],
    })
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, 'GET /trac/wiki'))
    while (upstream.connections.length === 0) await new Promise((resolve) => setImmediate(resolve))
    const { socket } = upstream.connections[0]!
    const closed = new Promise((resolve) => socket.once('close', resolve))
    wire.destroy()
    await closed
    t.ok(socket.destroyed)
  },
)
