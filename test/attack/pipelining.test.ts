/** Requests sent ahead of their answers: each begins when its turn comes, and a connection that ends takes all of them with it. */
import type { ServerResponse } from 'node:http'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import type { Overlay } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Wire, ask, requestText } from '../fixtures/wire.js'

const overlay: Overlay = {
  routes: [
    { name: 'socket', path: '/socket', access: 'public', websocket: true },
    { name: 'all', path: '/**', access: 'public' },
  ],
}
const keepAlive = ['Connection: keep-alive']

/** A gateway whose upstream keeps `/trac/held` waiting until it is told to answer. */
async function front(t: Test) {
  const held: ServerResponse[] = []
  const { upstream, gateway } = await stage(t, {
    upstream: true,
    answer(request, response) {
      if (request.url?.startsWith('/trac/held') === true) held.push(response)
      else response.end(request.url)
    },
    overlay,
  })
  const get = (path: string) => requestText(gateway, `GET ${path}`, keepAlive)
  /** A connection whose first request has reached the upstream and is not answered, with more sent behind it. */
  const ahead = async (behind: string): Promise<Wire> => {
    const wire = new Wire(gateway.port)
    wire.send(get('/trac/held'))
    await until(() => held.length > 0)
    wire.send(behind)
    // What was sent behind has been read as well, since this came later.
    t.equal((await ask(gateway, 'GET /trac/later')).status, 200)
    return wire
  }
  const urls = () => upstream.received.map(({ url }) => url)
  return { gateway, held, get, ahead, urls }
}

const upgrades: readonly (readonly [what: string, line: string, headers: readonly string[]])[] = [
  ['a WebSocket', 'GET /trac/socket', ['Connection: Upgrade', 'Upgrade: websocket']],
  [
    'a WebSocket where none is allowed',
    'GET /trac/x',
    ['Connection: Upgrade', 'Upgrade: websocket'],
  ],
  ['another protocol', 'GET /trac/x', ['Connection: Upgrade', 'Upgrade: h2c']],
  ['CONNECT', 'CONNECT other.example:443', keepAlive],
]
for (const [what, line, headers] of upgrades) {
  await t.test(
    `${what} behind an unanswered request ends the connection and nothing else`,
    async (t) => {
      const { gateway, held, get, ahead, urls } = await front(t)
      const behind = requestText(gateway, line, headers)
      const atOnce = new Wire(gateway.port)
      atOnce.send(get('/trac/x') + behind)
      t.notMatch(await atOnce.end(), /^HTTP\/1\.1 (?:405|403|101)/)
      const before = urls().length
      const wire = await ahead(behind)
      held[0]?.end('held')
      const text = await wire.end()
      t.ok(text === '' || text.endsWith('held'), 'no other answer stands in the place of the first')
      t.strictSame(urls().slice(before), ['/trac/held', '/trac/later'])
      t.equal((await ask(gateway, 'GET /trac/auth/healthz')).status, 200)
    },
  )
}

await t.test('a request begins when the answer before it is complete', async (t) => {
  const { gateway, held, get, ahead, urls } = await front(t)
  const post = requestText(gateway, 'POST /trac/b', [...keepAlive, 'Content-Length: 5'], 'hello')
  const wire = await ahead(get('/trac/a') + post + get('/trac/c'))
  t.strictSame(urls(), ['/trac/held', '/trac/later'])
  held[0]?.end('held')
  for (const body of ['held', '/trac/a', '/trac/b', '/trac/c']) {
    t.equal((await wire.answer())?.body, body)
  }
  t.strictSame(urls().slice(2), ['/trac/a', '/trac/b', '/trac/c'])
  wire.destroy()
})

await t.test('a request behind `Connection: close` is not begun', async (t) => {
  const { gateway, get, urls } = await front(t)
  const wire = new Wire(gateway.port)
  wire.send(requestText(gateway, 'GET /trac/last') + get('/trac/behind'))
  t.notMatch(await wire.end(), 'behind')
  t.equal((await ask(gateway, 'GET /trac/later')).status, 200)
  t.notOk(urls().includes('/trac/behind'))
})

await t.test('requests sent ahead by a client that left are not begun', async (t) => {
  const { gateway, held, get, ahead, urls } = await front(t)
  for (let i = 0; i < 20; i++) {
    const wire = await ahead(get('/trac/a') + get('/trac/held') + get('/trac/held'))
    held.splice(0)
    wire.destroy()
  }
  await until(async () => (await gateway.metric('trac_gateway_upstream_connections')) <= 1)
  t.notOk(urls().includes('/trac/a'), 'nothing of it was begun')
  t.equal((await ask(gateway, 'GET /trac/later')).status, 200)
})

await t.test('a connection that sends far ahead of its answers is ended', async (t) => {
  const { get, ahead, urls } = await front(t)
  const wire = await ahead(get('/trac/a').repeat(1000))
  t.equal(await wire.end(), '')
  t.notOk(urls().includes('/trac/a'))
})
