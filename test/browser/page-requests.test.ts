/** A page in Chromium: once its files are in memory, Trac is asked for the page alone. */
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { startBrowser } from '../fixtures/browser.js'
import { listen } from '../fixtures/listen.js'
import { stage } from '../fixtures/stage.js'
import { startFixture, testKey } from '../fixtures/tracs.js'

t.setTimeout(300_000)

/** Lets everything through to a port, and notes the first line of each request. */
async function listenIn(t: Test, port: number) {
  const lines: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    client.on('data', (bytes: Buffer) => {
      lines.push(...(bytes.toString('latin1').match(/^(?:GET|HEAD|POST) \S+/gm) ?? []))
    })
    client.pipe(upstream).pipe(client)
  })
  const at = await listen(server)
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${at}`, take: () => lines.splice(0) }
}

const browser = await startBrowser()
t.teardown(() => browser.close())

await t.test(
  'a page costs Trac one request, with a new browser and with one that was here',
  async (t) => {
    // Trac's own setting names a picture that nobody has put there, and a 404 is not kept.
    const ini = { header_logo: { src: 'common/trac_logo_mini.png' } }
    const trac = await startFixture(t, 'tracd 1.6', { basePath: '/trac', ini })
    const between = await listenIn(t, trac.port)
    const { url, gateway, cookieOf, sam } = await stage(t, {
      provider: 'cognito',
      upstream: between,
      signingKey: testKey,
    })
    const [name, value] = (await cookieOf(sam)).replace('Cookie: ', '').split('=') as [
      string,
      string,
    ]
    const visit = async (path: string, isSignedIn: boolean) => {
      const context = await browser.newContext()
      if (isSignedIn) await context.addCookies([{ name, value, url, secure: false }])
      const page = await context.newPage()
      const seen: (readonly [string, string])[] = []
      page.on('response', (answer) => {
        seen.push([new URL(answer.url()).pathname, answer.headers()['content-encoding'] ?? ''])
      })
      const loads: string[][] = []
      for (let i = 0; i < 2; i++) {
        await page.goto(url + path, { waitUntil: 'networkidle' })
        loads.push(between.take())
      }
      await context.close()
      return { loads, seen }
    }
    const paths = ['/wiki/WikiStart', '/newticket']
    for (const path of paths) {
      const { seen } = await visit(path, true)
      t.ok(seen.filter(([file]) => file.startsWith('/trac/chrome/')).length >= 4, path)
    }
    for (const isSignedIn of [false, true]) {
      for (const path of ['/wiki/WikiStart', ...(isSignedIn ? paths.slice(1) : [])]) {
        const { loads, seen } = await visit(path, isSignedIn)
        t.strictSame(loads, [[`GET /trac${path}`], [`GET /trac${path}`]], path)
        const page = seen.find(([file]) => file === `/trac${path}`)
        t.equal(page?.[1], 'gzip', 'the page, which no other site asked for')
      }
    }
    t.strictSame(gateway.gateway.readiness.report().degraded, [])
  },
)
