/** How many requests an upstream gets at once, from whom, and what becomes of the others. */
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { WebSocketServer } from 'ws'
import { probeAgent } from '../../src/app/probes.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { Wire, codeOf, requestText } from '../fixtures/wire.js'

const routes = [{ name: 'all', path: '/**', access: 'public', websocket: true }]

/** An upstream that tells how many requests it has at once, and answers when it is told to; `at`: its port, if it is known. */
async function startCounting(t: Test, at?: number) {
  const open = new Set<ServerResponse>()
  const state = { most: 0, served: 0, hold: false }
  const server = createServer((request, response) => {
    // A probe of readiness takes no place.
    if (request.headers['user-agent'] === probeAgent) {
      response.end()
      return
    }
    open.add(response)
    state.most = Math.max(state.most, open.size)
    response.once('close', () => open.delete(response))
    if (request.url?.includes('stream') === true) {
      response.writeHead(200, { 'Content-Type': 'Text/Event-Stream; charset=utf-8' })
      response.write('data: x\n\n')
    } else if (!state.hold) setTimeout(() => answer(response), 5)
  })
  const answer = (response: ServerResponse): void => {
    state.served++
    response.end('page')
  }
  const sockets = new WebSocketServer({ server })
  if (at !== undefined) await new Promise<void>((done) => server.listen(at, '127.0.0.1', done))
  const url = `http://127.0.0.1:${at ?? (await listen(server))}`
  t.teardown(() => {
    for (const one of sockets.clients) one.terminate()
    server.closeAllConnections()
    server.close()
  })
  return {
    url,
    open,
    state,
    letGo() {
      state.hold = false
      for (const response of open) answer(response)
    },
  }
}

await t.test(
  '500 connections at once: Trac gets a quarter of 64, and all are served',
  async (t) => {
    const upstream = await startCounting(t)
    const { gateway } = await stage(t, { upstream, overlay: { routes } })
    const wires = Array.from({ length: 500 }, () => new Wire(gateway.port))
    upstream.state.hold = true
    for (const wire of wires) wire.send(requestText(gateway, 'GET /trac/x'))
    const waiting = () => gateway.metric('trac_gateway_upstream_waiting')
    await until(async () => (await waiting()) === 500 - 16, 'all others wait')
    upstream.letGo()
    const answers = await Promise.all(wires.map((wire) => wire.answer()))
    t.ok(answers.every((answer) => answer?.status === 200))
    t.equal(upstream.state.most, 16)
    t.equal(upstream.state.served, 500)
    t.equal(await gateway.metric('trac_gateway_upstream_waiting'), 0)
  },
)

/** Clients of several addresses, behind a proxy that names them. */
const from = (address: string) => [`X-Forwarded-For: ${address}`, 'X-Forwarded-Proto: http']

await t.test(
  'others are served while one has its share; who leaves is dropped; too many are 503',
  async (t) => {
    const upstream = await startCounting(t)
    const timers = createTimers()
    const { gateway } = await stage(t, {
      upstream,
      timers,
      overlay: {
        routes,
        server: { trustedProxies: ['127.0.0.1'], timeouts: { queue: '2s' } },
        upstreams: { trac: { maxConnections: 8 } },
      },
    })
    const send = (address: string, path = 'x', headers: readonly string[] = [], body = '') => {
      const wire = new Wire(gateway.port)
      const line = `${body === '' ? 'GET' : 'POST'} /trac/${path}`
      wire.send(requestText(gateway, line, [...from(address), ...headers], body))
      return wire
    }
    upstream.state.hold = true
    const waiting = () => gateway.metric('trac_gateway_upstream_waiting')
    const greedy = Array.from({ length: 1002 }, () => send('2001:db8:1:2::1'))
    await until(async () => (await waiting()) === 1000, 'a thousand wait')
    t.equal(upstream.open.size, 2, 'one network has a quarter')
    // With a thousand in the queue there are still places for others.
    const others = [send('2001:db8:1:3::1'), send('10.0.0.1', 'x', ['Content-Length: 4'], 'body')]
    await until(() => upstream.open.size === 4, 'others are let in')
    const refused = await send('2001:db8:1:2:5::1').answer()
    t.equal(refused?.status, 503)
    t.equal(codeOf(refused!), 'ERR_UPSTREAM_BUSY')
    t.equal(refused?.header('retry-after'), '2')
    for (const wire of greedy.slice(2, 900)) wire.destroy()
    await until(async () => (await waiting()) < 110, 'who left waits no longer')
    timers.advance(2000)
    const late = await greedy.at(-1)!.answer()
    t.equal(late?.status, 503, 'the time to wait is over')
    t.equal((await fetch(`${gateway.adminUrl}/readyz`)).status, 503, 'without a provider')
    upstream.letGo()
    for (const wire of others) t.equal((await wire.answer())?.status, 200)
    for (const wire of greedy) wire.destroy()
    await until(() => upstream.open.size === 0, 'nothing is left')
    t.ok(upstream.state.served <= 10, `${upstream.state.served} of 1,004 reached the upstream`)
    await until(async () => (await waiting()) === 0, 'nobody waits any more')
    const errors = (await gateway.metrics()).match(/upstream_errors_total\{.*BUSY/)
    t.equal(errors, null, 'a full gate is no fault of the upstream')
  },
)

await t.test('a probe waits in no queue, though all places are taken and it is full', async (t) => {
  const port = await freePort()
  const timers = createTimers()
  const { gateway } = await stage(t, {
    upstream: { url: `http://127.0.0.1:${port}` },
    timers,
    overlay: {
      routes,
      server: { trustedProxies: ['127.0.0.1'], timeouts: { queue: '60s' } },
      upstreams: { trac: { maxConnections: 2 } },
    },
  })
  const isWaitedFor = () => gateway.gateway.readiness.report().waiting.includes('upstream')
  const faults = () => gateway.gateway.readiness.report().degraded.filter((one) => /trac/.test(one))
  await until(() => faults().length === 1, 'the first probe finds nobody')
  const upstream = await startCounting(t, port)
  upstream.state.hold = true
  const wires = Array.from({ length: 1003 }, (_, i) => {
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, 'GET /trac/x', from(`10.0.${i >> 8}.${i & 255}`)))
    return wire
  })
  await until(
    async () => (await gateway.metric('trac_gateway_upstream_waiting')) === 1000,
    'a thousand wait',
  )
  t.equal(upstream.open.size, 2)
  t.ok(isWaitedFor(), 'no answer has told of it yet')
  await until(() => {
    timers.advance(100)
    return !isWaitedFor()
  }, 'the next probe is there')
  t.ok(timers.monotonic() < 10_000, 'long before any place is free')
  t.strictSame(faults(), [])
  t.equal(upstream.open.size, 2, 'and it was no request')
  for (const wire of wires) wire.destroy()
})

await t.test('chunked bodies of one IPv6 network have one share of the spool', async (t) => {
  const { gateway } = await stage(t, {
    upstream: true,
    overlay: { routes, server: { trustedProxies: ['127.0.0.1'], limits: { spool: '400KiB' } } },
  })
  const begin = (address: string) => {
    const wire = new Wire(gateway.port)
    const headers = [...from(address), 'Transfer-Encoding: chunked']
    wire.send(requestText(gateway, 'POST /trac/x', headers))
    wire.send(`f000\r\n${'x'.repeat(0xf000)}\r\n`)
    return wire
  }
  const end = async (wire: Wire) => {
    wire.send('0\r\n\r\n')
    return await wire.answer()
  }
  const first = begin('2001:db8:1:2::1')
  // Until its bytes have come, another one is taken.
  await until(async () => {
    const answer = await end(begin('2001:db8:1:2:ffff::9'))
    return answer?.status === 503 && codeOf(answer) === 'ERR_SPOOL_FULL'
  }, 'its network has a quarter of 400 KiB, and no more')
  t.equal((await end(begin('2001:db8:1:3::1')))?.status, 200, 'another network has its own')
  t.equal((await end(begin('10.0.0.1')))?.status, 200)
  t.equal((await end(first))?.status, 200)
  t.equal((await end(begin('2001:db8:1:2::9')))?.status, 200, 'and its share is free again')
})

await t.test('tunnels and event streams are counted apart from requests', async (t) => {
  const upstream = await startCounting(t)
  const { gateway, origin } = await stage(t, {
    upstream,
    overlay: {
      routes,
      server: { timeouts: { queue: '1s' } },
      upstreams: { trac: { maxConnections: 4, maxTunnels: 8 } },
    },
  })
  const stream = () => {
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, 'GET /trac/stream'))
    return wire
  }
  const tunnel = () => {
    const wire = new Wire(gateway.port)
    wire.send(
      requestText(gateway, 'GET /trac/live', [
        ...['Connection: Upgrade', 'Upgrade: websocket', `Origin: ${origin}`],
        ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
      ]),
    )
    return wire
  }
  const first = stream()
  await first.until(() => first.text.includes('data: x'))
  const second = tunnel()
  await second.until(() => second.text.includes('\r\n\r\n'))
  t.match(second.text, /^HTTP\/1\.1 101 /)
  const page = async () => {
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, 'GET /trac/x'))
    return wire.answer()
  }
  t.equal((await page())?.status, 200, 'they take no place of a request')
  const third = await stream().answer()
  t.equal(third?.status, 503, 'two of eight are a quarter')
  t.equal(codeOf(third!), 'ERR_UPSTREAM_BUSY')
  const fourth = await tunnel().answer()
  t.equal(fourth?.status, 503)
  t.equal((await page())?.status, 200)
  first.destroy()
  await until(() => upstream.open.size === 0, 'its place is free')
  const fifth = tunnel()
  await fifth.until(() => fifth.text.includes('\r\n\r\n'))
  t.match(fifth.text, /^HTTP\/1\.1 101 /)
  second.destroy()
  fifth.destroy()
})
