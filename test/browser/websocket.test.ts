/** WebSockets of a real Chromium through the gateway to a real echo: ours alone, under the person's name, no longer than the session. */
import { t } from '../fixtures/tap.js'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import type { BrowserContext, Page } from 'playwright-core'
import { patience, startBrowser } from '../fixtures/browser.js'
import { listen } from '../fixtures/listen.js'
import { stage } from '../fixtures/stage.js'
import { authenticate } from '../fixtures/trac-stage.js'
import { until } from '../fixtures/until.js'

t.setTimeout(600_000)

/** Any address of it is a page, or an echo for who asks for a WebSocket. */
const upstream = createServer((_request, response) => {
  response.setHeader('content-type', 'text/html').end('<!DOCTYPE html><title>a page</title>')
})
const echo = new WebSocketServer({
  server: upstream,
  perMessageDeflate: true,
  handleProtocols: (offered) => (offered.has('notes') ? 'notes' : false),
})
/** What each handshake that reached the upstream said. */
const dialled: IncomingHttpHeaders[] = []
/** How each connection ended there. */
const ended: string[] = []
echo.on('connection', (socket, request) => {
  dialled.push(request.headers)
  socket.on('error', () => undefined)
  socket.on('close', (code, reason) => ended.push(`${code} ${reason.toString()}`))
  socket.on('message', (data, isBinary) => {
    const text = isBinary ? '' : (data as Buffer).toString()
    if (text === 'please end') socket.close(4002, 'as you asked')
    else socket.send(data, { binary: isBinary })
  })
})
const upstreamPort = await listen(upstream)
const upstreamUrl = `http://127.0.0.1:${upstreamPort}`

const adminToken = 'a-token-of-the-tests-with-32-bytes-or-more'
t.teardown(() => {
  for (const socket of echo.clients) socket.terminate()
  upstream.closeAllConnections()
  upstream.close()
})
const { provider, gateway } = await stage(t, {
  provider: 'cognito',
  upstream: { url: upstreamUrl },
  api: { url: upstreamUrl },
  env: { ADMIN: adminToken },
  overlay: {
    admin: { token: { fromEnv: 'ADMIN' } },
    routes: [
      { name: 'live', path: '/live/**', upstream: 'api', websocket: true },
      { name: 'open', path: '/open/**', upstream: 'api', websocket: true, access: 'optional' },
      { name: 'api', path: '/api/**', upstream: 'api' },
    ],
  },
})
const browser = await startBrowser()
t.teardown(() => browser.close())
const address = gateway.url.replace('http:', 'ws:')

/** A browser of its own in which somebody has signed in, on a page of ours. */
async function signIn(name = 'sam'): Promise<[BrowserContext, Page]> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${gateway.url}/live/page`)
  await authenticate(page, name)
  await page.waitForURL(`${gateway.url}/live/page`)
  return [context, page]
}

/** A WebSocket that a page has opened; the page keeps it under `name`. */
class Socket {
  readonly page: Page
  readonly name: string
  /** `open`, or how the browser was told that it may not. */
  readonly outcome: string

  private constructor(page: Page, name: string, outcome: string) {
    this.page = page
    this.name = name
    this.outcome = outcome
  }

  static #made = 0

  /** Opens one and waits until it is open or refused. */
  static async open(page: Page, path: string, protocols: readonly string[] = []): Promise<Socket> {
    const name = `socket${Socket.#made++}`
    const outcome = await page.evaluate(`new Promise((resolve) => {
      const socket = new WebSocket(${JSON.stringify(address + path)}, ${JSON.stringify(protocols)})
      socket.binaryType = 'arraybuffer'
      globalThis.${name} = socket
      socket.ended = new Promise((tell) => {
        socket.onclose = ({ code, reason }) => tell(code + ' ' + reason)
      })
      socket.onopen = () => resolve('open')
      socket.ended.then(resolve)
    })`)
    return new Socket(page, name, String(outcome))
  }

  /** Sends the value of an expression and describes what comes back. */
  async echo(expression: string): Promise<string> {
    return this.page.evaluate(`new Promise((resolve) => {
      ${this.name}.onmessage = ({ data }) => resolve(typeof data === 'string'
        ? (data.length > 100 ? data.length + ' characters' : data)
        : 'bytes ' + new Uint8Array(data).join())
      ${this.name}.ended.then((how) => resolve('ended ' + how))
      ${this.name}.send(${expression})
    })`)
  }

  /** The value of an expression about it. */
  ask(expression: string): Promise<unknown> {
    return this.page.evaluate(`${this.name}.${expression}`)
  }

  /** Waits until the browser was told of its end: the code, and the reason. */
  async ended(): Promise<unknown> {
    await until(async () => (await this.ask('readyState')) === WebSocket.CLOSED, 'its end')
    return this.ask('ended')
  }
}

/** How the browser tells of a connection that ended without a word. */
const cut = '1006 '

type Line = Readonly<Record<string, unknown>>

/** The log's lines of handshakes at a path that were not let through; written when their connection has ended. */
async function refusalsAt(path: string): Promise<readonly Line[]> {
  const lines = () =>
    gateway.lines.filter(
      (line) =>
        line['msg'] === 'request' && line['path'] === `/trac${path}` && line['status'] !== 101,
    )
  await until(() => lines().length > 0, `the handshake at ${path} is over`)
  return lines()
}

async function revoke(user: string): Promise<void> {
  const answer = await fetch(`${gateway.adminUrl}/revoke`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}` },
    body: JSON.stringify({ user }),
  })
  if (answer.status !== 200) throw new Error(`revoke answered ${answer.status}`)
}

await t.test('a page of ours exchanges messages under the person’s name', async (t) => {
  const [context, page] = await signIn()
  const socket = await Socket.open(page, '/live/echo?room=1', ['other', 'notes'])
  t.equal(socket.outcome, 'open')
  t.equal(await socket.ask('protocol'), 'notes', 'the subprotocol is the upstream’s choice')
  t.match(await socket.ask('extensions'), /permessage-deflate/, 'and the extension')
  const headers = dialled.at(-1) ?? {}
  t.match(headers, { 'x-trac-user': 'sam', origin: gateway.origin, authorization: undefined })
  t.notMatch(headers.cookie ?? '', /tg-/, 'without our cookie')

  t.equal(await socket.echo(`'Grüße 日本 😀'`), 'Grüße 日本 😀')
  t.equal(await socket.echo(`new Uint8Array([0, 1, 255])`), 'bytes 0,1,255')
  t.equal(await socket.echo(`'x'.repeat(3_000_000)`), '3000000 characters')
  t.equal(await socket.echo(`''`), '')
  await context.close()
})

await t.test('either end closes with its own code and reason', async (t) => {
  const [context, page] = await signIn()
  const first = await Socket.open(page, '/live/echo')
  await first.ask(`send('please end')`)
  t.equal(await first.ended(), '4002 as you asked')
  const second = await Socket.open(page, '/live/echo')
  const before = ended.length
  await second.ask(`close(4001, 'enough')`)
  t.equal(await second.ended(), '4001 enough')
  await until(() => ended.length > before, 'the end at the upstream')
  t.equal(ended.at(-1), '4001 enough')
  await context.close()
})

await t.test('a WebSocket is refused where no route lets it, and the page lives on', async (t) => {
  const [context, page] = await signIn()
  const before = dialled.length
  for (const path of ['/api/echo', '/wiki/WikiStart', '/auth/session']) {
    t.equal((await Socket.open(page, path)).outcome, cut, path)
  }
  for (const path of ['/api/echo', '/wiki/WikiStart']) {
    t.match(await refusalsAt(path), [{ via: 'session', status: 403, code: 'ERR_UPGRADE_REFUSED' }])
  }
  t.equal(dialled.length, before)
  t.equal((await Socket.open(page, '/live/echo')).outcome, 'open')
  await context.close()
})

await t.test(
  'a visitor is refused where a route asks for somebody, and nobody is refused elsewhere',
  async (t) => {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.goto(`${gateway.url}/open/page`)
    t.equal((await Socket.open(page, '/live/visitor')).outcome, cut)
    t.match(await refusalsAt('/live/visitor'), [{ status: 401, code: 'ERR_LOGIN_REQUIRED' }])
    const socket = await Socket.open(page, '/open/visitor')
    t.equal(socket.outcome, 'open')
    t.equal(dialled.at(-1)?.['x-trac-user'], '')
    await context.close()
  },
)

/** The upstream's own pages are foreign to us: another site by its address, another origin by its port. */
const foreign = [
  { name: 'another site', origin: upstreamUrl, rides: false },
  {
    name: 'another port of this host',
    origin: `http://localhost:${upstreamPort}`,
    rides: true,
  },
] as const

for (const { name, origin, rides } of foreign) {
  await t.test(`a page of ${name} is refused a WebSocket`, async (t) => {
    const [context, page] = await signIn()
    await page.goto(`${origin}/page`)
    const before = dialled.length
    for (const path of [`/live/${rides}`, `/open/${rides}`]) {
      t.equal((await Socket.open(page, path)).outcome, cut, path)
    }
    const cookie = { via: rides ? 'session' : undefined }
    const asked = rides
      ? { ...cookie, status: 403, code: 'ERR_CROSS_SITE' }
      : { ...cookie, status: 401, code: 'ERR_LOGIN_REQUIRED' }
    t.match(await refusalsAt(`/live/${rides}`), [asked])
    t.match(await refusalsAt(`/open/${rides}`), [
      { ...cookie, status: 403, code: 'ERR_CROSS_SITE' },
    ])
    t.equal(dialled.length, before, 'the upstream was never dialled')
    await context.close()
  })
}

await t.test('a frame without an origin is refused a WebSocket on our own page, too', async (t) => {
  const [context, page] = await signIn()
  const before = dialled.length
  await page.evaluate(`(() => {
    const frame = document.createElement('iframe')
    frame.sandbox = 'allow-scripts'
    frame.srcdoc = '<script>new WebSocket(${JSON.stringify(`${address}/open/nameless`)})</scr' + 'ipt>'
    document.body.append(frame)
  })()`)
  t.match(await refusalsAt('/open/nameless'), [{ status: 403, code: 'ERR_CROSS_SITE' }])
  t.equal(dialled.length, before)
  await context.close()
})

await t.test('signing out in another tab ends a WebSocket, and no other sign-in’s', async (t) => {
  const [context, page] = await signIn()
  const [elsewhere, otherPage] = await signIn()
  const socket = await Socket.open(page, '/live/echo')
  const other = await Socket.open(otherPage, '/live/echo')
  t.equal(await socket.echo(`'before'`), 'before')
  const tab = await context.newPage()
  await tab.goto(`${gateway.url}/auth/logout`)
  await tab.click('button')
  await tab.waitForURL(`${gateway.url}/auth/signed-out`)
  t.equal(await socket.ended(), cut)
  t.equal(await other.echo(`'still here'`), 'still here')
  await context.close()
  await elsewhere.close()
})

await t.test('revoking a user ends all of that user’s WebSockets and nobody else’s', async (t) => {
  const stages = await Promise.all([signIn(), signIn(), signIn('alice')])
  const sockets = await Promise.all(stages.map(([, page]) => Socket.open(page, '/live/echo')))
  t.strictSame(
    sockets.map(({ outcome }) => outcome),
    ['open', 'open', 'open'],
  )
  await revoke('sam')
  t.equal(await sockets[0]!.ended(), cut)
  t.equal(await sockets[1]!.ended(), cut)
  t.equal(await sockets[2]!.echo(`'still here'`), 'still here')
  for (const [context] of stages) await context.close()
})

await t.test(
  'a WebSocket outlives the tokens with which it began, and ends with the session',
  async (t) => {
    const minute = 60_000
    const [context, page] = await signIn('ivan')
    const socket = await Socket.open(page, '/live/echo')
    const cookieNow = async () =>
      (await context.cookies(gateway.url)).find(({ name }) => /^tg-.*-s$/.test(name))?.value
    const first = await cookieNow()
    gateway.clock.advance(50 * minute)
    await page.evaluate(`fetch('${gateway.url}/auth/session').then((answer) => answer.text())`)
    t.not(await cookieNow(), first, 'the session was renewed')
    gateway.clock.advance(20 * minute)

    // A tunnel that begins now and is cut has been looked at once; so was every one that began before.
    const [alice] = provider.people
    const exp = Math.floor(Date.now() / 1000) + 5 * 3600
    const token = await provider.mint({ exp }, { person: alice! })
    const witness = new WebSocket(`${address}/live/echo`, {
      headers: { authorization: `Bearer ${token}` },
    })
    witness.on('error', () => undefined)
    const signal = AbortSignal.timeout(patience)
    await once(witness, 'open', { signal })
    const witnessEnded = once(witness, 'close', { signal })
    await revoke('alice')
    await witnessEnded
    t.equal(await socket.echo(`'still here'`), 'still here')

    gateway.clock.advance(9 * 60 * minute)
    t.equal(await socket.ended(), cut, 'idle for longer than a session may be')
    await context.close()
  },
)
