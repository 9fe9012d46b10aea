/** Connections are not held for ever by clients that never finish, never close, or only drip bytes: the process lets go of them. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { t } from '../fixtures/tap.js'
import { createCertificate } from '../fixtures/certificate.js'
import type { Overlay } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { freePort } from '../fixtures/ports.js'
import { ask, requestText } from '../fixtures/wire.js'

const overlay: Overlay = {
  server: { timeouts: { headers: '1s', bodyIdle: '1s', keepAlive: '1s' } },
  routes: [
    { name: 'shut', path: '/shut', access: 'deny' },
    { name: 'all', path: '/**', access: 'public' },
  ],
}
const { upstream, gateway } = await stage(t, { upstream: true, gateway: 'process', overlay })

/** A client that never closes by itself, not even when it is told that the other side has. */
async function stubborn(port: number, first: string, drip = '') {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => undefined)
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  socket.write(first, 'latin1')
  const clientPort = socket.localPort ?? 0
  const dripping = setInterval(() => {
    if (drip !== '' && socket.writable) socket.write(drip, 'latin1')
  }, 200)
  return {
    clientPort,
    text: () => text,
    end() {
      clearInterval(dripping)
      socket.destroy()
    },
  }
}

const keepAlive = ['Connection: keep-alive']
const websocket = ['Connection: Upgrade', 'Upgrade: websocket']
const text = (line: string, headers: readonly string[], body = '') =>
  requestText(gateway, line, headers, body)

/** The first byte of a long body. */
const begun = (path: string) => text(`POST ${path}`, [...keepAlive, 'Content-Length: 50000'], 'x')

/** What a client sends at first, what it goes on sending several times a second, and the answer. */
const cases: readonly (readonly [what: string, first: string, drip: string, status: string])[] = [
  ['says nothing', '', '', '408'],
  ['stops within its headers', 'GET /trac/x HTTP/1.1\r\nHost: x\r\n', '', '408'],
  ['drips headers', 'GET /trac/x HTTP/1.1\r\nHost: x\r\n', 'X: y\r\n', '408'],
  ['begins with line ends', '', '\r\n', '408'],
  ['sends nonsense', 'nonsense\r\n\r\n', '', '400'],
  ['asks once and is silent', text('GET /trac/x', keepAlive), '', '200'],
  ['asks once and drips line ends', text('GET /trac/x', keepAlive), '\r\n', '200'],
  ['does not close when it was told so', text('GET /trac/x', []), '', '200'],
  ['stops within a refused body', begun('/trac/shut'), '', '403'],
  ['drips a refused body', begun('/trac/shut'), 'x', '403'],
  ['drips a body that an own endpoint refused', begun('/trac/auth/session'), 'x', '405'],
  ['stops within a body', begun('/trac/x'), '', '408'],
  [
    'stops within a chunk',
    text('POST /trac/x', [...keepAlive, 'Transfer-Encoding: chunked'], '5\r\nhe'),
    '',
    '408',
  ],
  [
    'announces a body and does not send it',
    text('POST /trac/x', [...keepAlive, 'Content-Length: 5', 'Expect: 100-continue']),
    '',
    '100',
  ],
  ['asks for a tunnel', text('CONNECT x:443', keepAlive), '', '405'],
  ['asks for a WebSocket that it does not get', text('GET /trac/x', websocket), '', '403'],
  [
    'asks for a WebSocket with a body',
    text('GET /trac/x', [...websocket, 'Content-Length: 5']),
    '',
    '400',
  ],
  [
    'asks for another protocol',
    text('GET /trac/x', ['Connection: Upgrade', 'Upgrade: h2c']),
    '',
    '200',
  ],
]

await t.test('the process lets go of every client that does not end by itself', async (t) => {
  const clients = await Promise.all(
    cases.map(async ([what, first, drip, status]) => ({
      what,
      status,
      client: await stubborn(gateway.port, first, drip),
    })),
  )
  // The first one says nothing: it is held until its time is over.
  await until(() => gateway.holds(clients[0]?.client.clientPort ?? 0))
  for (const { what, status, client } of clients) {
    await t.test(`the process lets go of a client that ${what}`, async (t) => {
      await until(() => !gateway.holds(client.clientPort))
      client.end()
      t.equal(/^HTTP\/1\.1 (\d+)/.exec(client.text())?.[1], status)
    })
  }
  t.equal(gateway.end, '')
  t.strictSame(gateway.faults, [])
})

await t.test(
  'unfinished handshakes and line ends between requests end a TLS connection',
  async (t) => {
    const { certificate, key } = createCertificate()
    const port = await freePort()
    const { gateway: secure } = await stage(t, {
      gateway: 'process',
      port,
      upstream,
      env: { CERTIFICATE: certificate, KEY: key },
      overlay: {
        ...overlay,
        server: {
          publicUrl: `https://localhost:${port}`,
          timeouts: { headers: '1s', keepAlive: '1s' },
          tls: { certificate: { fromEnv: 'CERTIFICATE' }, key: { fromEnv: 'KEY' } },
        },
      },
    })
    for (const bytes of ['', '\x16\x03\x01']) {
      const client = await stubborn(port, bytes)
      await until(() => secure.holds(client.clientPort))
      await until(() => !secure.holds(client.clientPort))
      client.end()
    }
    const dripping = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    dripping.on('error', () => undefined)
    await new Promise<void>((resolve) => dripping.once('secureConnect', resolve))
    const clientPort = dripping.localPort ?? 0
    dripping.write(requestText(secure, 'GET /trac/x', keepAlive))
    dripping.resume()
    const timer = setInterval(() => dripping.writable && dripping.write('\r\n'), 200)
    t.ok(secure.holds(clientPort))
    await until(() => !secure.holds(clientPort))
    clearInterval(timer)
    dripping.destroy()
    t.equal(secure.end, '')
  },
)

await t.test(
  'clients that leave before their tunnel is refused do not end the process',
  async (t) => {
    const close = ['Connection: close']
    for (const bytes of [
      text('CONNECT x:443', keepAlive),
      text('GET /trac/x', websocket),
      text('GET /trac/x', [...websocket, 'Content-Length: 5']),
      text('GET /trac/shut', ['Connection: Upgrade', 'Upgrade: h2c']),
      // The answer to the first ends the connection before the second is read.
      text('GET /trac/%zz', keepAlive) + text('CONNECT x:443', keepAlive),
      text('GET /trac/%zz', close) + text('CONNECT x:443', keepAlive),
      text('GET x', keepAlive) + text('CONNECT x:443', keepAlive),
      text('GET /trac/%zz', keepAlive) + text('GET /trac/x', websocket),
    ]) {
      for (let i = 0; i < 30; i++) {
        const socket = connect(gateway.port, '127.0.0.1')
        socket.on('error', () => undefined)
        await new Promise<void>((resolve) => socket.once('connect', resolve))
        await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
        if (i % 3 > 0) await new Promise<void>((resolve) => setTimeout(resolve, i))
        socket.resetAndDestroy()
      }
      t.equal((await ask(gateway, 'GET /trac/auth/healthz')).status, 200, bytes)
    }
    t.equal(gateway.end, '')
  },
)

await t.test('an expectation other than 100-continue is refused in our own words', async (t) => {
  const answer = await ask(gateway, 'POST /trac/x', ['Expect: 200-ok', 'Content-Length: 0'])
  t.equal(answer.status, 400)
  t.match(JSON.parse(answer.body), { code: 'ERR_HEADER_INVALID' })
})

await t.test('an upstream that dies while it refuses a WebSocket holds nobody', async (t) => {
  const routes = [{ name: 'all', path: '/**', access: 'public', websocket: true }]
  const { gateway: front } = await stage(t, {
    upstream: 'raw',
    answer({ socket }) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhalf')
    },
    gateway: 'process',
    overlay: { ...overlay, routes },
  })
  const handshake = [...websocket, `Origin: ${new URL(front.url).origin}`]
  const client = await stubborn(front.port, requestText(front, 'GET /trac/x', handshake))
  t.teardown(() => client.end())
  await until(() => client.text().includes('half'))
  await until(() => !front.holds(client.clientPort))
  client.end()
  t.match(client.text(), /^HTTP\/1\.1 403 /)
  t.equal(front.end, '')
})
