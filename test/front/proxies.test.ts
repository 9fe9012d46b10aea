/** Each front proxy with our file: people sign in, and what they send reaches the gateway as they sent it. */
import { t } from '../fixtures/tap.js'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Test } from 'tap'
import { randomBytes } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { WebSocket, WebSocketServer } from 'ws'
import type { ClientOptions } from 'ws'
import { callFront, frontFolder, frontHost, fronts } from '../fixtures/front.js'
import { startFrontProxy, startNginxWith } from '../fixtures/front.js'
import type { FrontCall, RunningFront } from '../fixtures/front.js'
import { listen } from '../fixtures/listen.js'
import { root } from '../fixtures/root.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'

t.setTimeout(240_000)

/** What reached the upstream, its bodies counted. */
const reached: { url: string; headers: NodeJS.Dict<string | string[]>; bytes: number }[] = []
const server = createServer((request, response) => {
  let bytes = 0
  request.on('data', (chunk: Buffer) => (bytes += chunk.length))
  request.on('end', () => {
    reached.push({ url: request.url ?? '', headers: request.headers, bytes })
    response.end('served')
  })
})
const echo = new WebSocketServer({ server })
echo.on('connection', (socket) => socket.on('message', (data: Buffer) => socket.send(data)))
const upstream = { url: `http://127.0.0.1:${await listen(server)}` }
t.teardown(() => {
  for (const one of echo.clients) one.terminate()
  server.closeAllConnections()
  server.close()
})

const { provider, gateway, port, names } = await stage(t, {
  provider: 'scripted',
  upstream,
  api: upstream,
  overlay: {
    server: {
      publicUrl: `https://${frontHost}/trac`,
      trustedProxies: ['127.0.0.1'],
      limits: { body: '50MiB' },
    },
    routes: [
      { name: 'live', path: '/live', upstream: 'api', websocket: true },
      { name: 'api', path: '/api/**', upstream: 'api', access: 'optional' },
    ],
  },
})
// As long as Cognito's.
const refreshToken = randomBytes(1350).toString('base64url')
provider.replace('token', (request) => {
  const usual = provider.usual('token', request)
  return { ...usual, body: { ...(usual.body as object), refresh_token: refreshToken } }
})

const cookiesOf = (lines: readonly string[]) => lines.map((line) => line.split(';')[0]!).join('; ')
const navigation = { 'sec-fetch-mode': 'navigate', accept: 'text/html' }

/** Signs in through a front proxy; resolves with the cookies of the session. */
async function signIn(t: Test, front: RunningFront): Promise<string> {
  const start = await callFront(front, '/trac/auth/login?return_to=/trac/wiki/Start', {
    headers: navigation,
  })
  t.equal(start.status, 302, start.text)
  const back = await fetch(start.location, { redirect: 'manual' })
  const callback = new URL(back.headers.get('location') ?? '')
  t.equal(callback.origin, `https://${frontHost}`)
  const cookie = cookiesOf(start.setCookies)
  const end = await callFront(front, callback.pathname + callback.search, {
    headers: { ...navigation, cookie },
  })
  t.match(end, { status: 303, location: '/trac/wiki/Start' })
  t.ok(end.setCookies.join().length > 2000, 'a whole session')
  return cookiesOf(end.setCookies.filter((line) => line.startsWith(names.session)))
}

/** Opens a WebSocket through a front proxy and sends a word there and back. */
async function echoes(front: RunningFront, headers: Record<string, string>): Promise<string> {
  const options: ClientOptions & { servername: string } = {
    headers: { host: frontHost, ...headers },
    origin: `https://${frontHost}`,
    rejectUnauthorized: false,
    servername: frontHost,
  }
  const socket = new WebSocket(`wss://127.0.0.1:${front.port}/trac/live`, options)
  await once(socket, 'open')
  socket.send('a word')
  const [word] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  return word.toString()
}

/** Addresses that some proxy might write otherwise; the gateway has the last word on each. */
const targets = [
  '/trac/api/a%2Cb;c=d,e',
  '/trac/api/%C3%9C%20x?q=%C3%9C+x',
  '/trac/api/100%25?',
  '/trac/api/what%3F%23?a=b;c=d&a=%3b',
  '/trac/api/%61bc?x=%61',
  '/trac/milestone/UI%5CUX',
  "/trac/api/a:b@c!$&'()*+=~?q=[x]{y}|z",
  '/trac//api/x',
  '/trac/api/../x',
  '/trac/api/%2e%2e/x',
  '/trac/api/a%2Fb',
  '/trac/api/a%00b',
]

/** What becomes of a target: what the upstream got, or the status of the refusal. */
async function fate(send: () => Promise<{ status: number }>): Promise<string | number> {
  const before = reached.length
  const { status } = await send()
  return reached.length > before ? reached.at(-1)!.url : status
}

async function prove(
  t: Test,
  front: RunningFront,
  whole: boolean,
  sentBy = (target: string): string => target,
): Promise<void> {
  const session = await signIn(t, front)
  const headers = { cookie: session }
  const visit = (target: string, call: FrontCall = {}) => callFront(front, target, call)

  await t.test('a page is served to the person, and to the address, that asks', async (t) => {
    const forged = {
      'x-forwarded-for': '192.0.2.7',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'evil',
    }
    const page = await visit('/trac/wiki/Start', {
      headers: { ...headers, ...forged },
      from: '127.0.0.5',
    })
    t.match(page, { status: 200, text: 'served' })
    const { headers: got } = reached.at(-1)!
    t.equal(got['x-trac-user'], provider.person['username'])
    t.equal(got['x-forwarded-for'], '127.0.0.5')
    t.match(got, { 'x-forwarded-proto': 'https', host: frontHost })
  })

  await t.test('a plain request is led to HTTPS', async (t) => {
    const plain = { port: front.plainPort }
    const answer = await ask(plain, 'GET /trac/wiki?a=b', [`Host: ${frontHost}`])
    t.ok(answer.status === 301 || answer.status === 308, `${answer.status}`)
    const there = new RegExp(`^https://${frontHost}(:${front.port})?/trac/wiki\\?a=b$`)
    t.match(answer.header('location'), there)
  })
  if (!whole) return

  await t.test('a WebSocket is carried', async (t) => {
    t.equal(await echoes(front, headers), 'a word')
  })

  await t.test('an upload of 20 MB is carried, and one that is too large is told so', async (t) => {
    const body = Buffer.alloc(20_000_000, 'x')
    const origin = `https://${frontHost}`
    const call = { method: 'POST', headers: { ...headers, origin }, body }
    t.equal((await visit('/trac/api/upload', call)).status, 200)
    t.equal(reached.at(-1)?.bytes, body.length)
  })

  await t.test('a long address and many cookies are carried', async (t) => {
    const target = `/trac/api/x?q=${'y'.repeat(3900)}`
    // A session in chunks, and open sign-ins, as large as they get.
    const cookie = `${session}; ${names.attempt}AAAAAAAA=${'z'.repeat(11_000 - session.length)}`
    t.equal((await visit(target, { headers: { cookie } })).status, 200)
    t.equal(reached.at(-1)?.url, target)
  })

  await t.test('an address reaches the gateway as it was sent', async (t) => {
    const direct = ['X-Forwarded-Proto: https', `Host: ${frontHost}`, `Cookie: ${session}`]
    for (const target of targets) {
      const expected = await fate(() => ask(gateway, `GET ${target}`, direct))
      const found = await fate(() => visit(target, { headers }))
      if (typeof expected === 'string') t.equal(found, sentBy(expected), target)
      else t.type(found, 'number', `${target} is refused`)
    }
  })
}

/** Traefik reads `;` of a query as `&`, and sends it so (deploy/front/README.md). */
const sentByTraefik = (target: string): string => target.replaceAll(';c=d&', '&c=d&')

for (const name of fronts) {
  await t.test(`${name} ends TLS in front of the gateway`, async (t) => {
    const sentBy = name === 'traefik' ? sentByTraefik : undefined
    await prove(t, await startFrontProxy(t, name, port), true, sentBy)
  })
}

await t.test('nginx serves with the lines of the README, and no others', async (t) => {
  const readme = await readFile(`${root}README.md`, 'utf8')
  const text = readme.split('```nginx\n')[1]?.split('```')[0] ?? ''
  t.notMatch(text, /buffer/)
  await prove(t, await startNginxWith(t, text, port), false)
})

await t.test('no file makes buffers larger for our answers', async (t) => {
  for (const file of await readdir(frontFolder)) {
    t.notMatch(await readFile(frontFolder + file, 'utf8'), 'proxy_buffer_size', file)
  }
})

await t.test('the page beside the files names each of them', async (t) => {
  const page = await readFile(`${frontFolder}README.md`, 'utf8')
  for (const file of await readdir(frontFolder)) {
    if (file !== 'README.md') t.ok(page.includes(`\`${file}\``), file)
  }
})
