/** Forty requests of one page at the moment of a renewal, one of them late: the newest session stays in Chromium's jar. */
import t from 'tap'
import type { Page } from 'playwright-core'
import { createClock, startTestGateway } from '../fixtures/gateway.js'
import { startBrowser } from '../fixtures/browser.js'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startScriptedProvider } from '../fixtures/scripted-provider.js'
import { tokensBy } from '../fixtures/scripted-tokens.js'
import { until } from '../fixtures/until.js'

const minute = 60_000
const clock = createClock()
const provider = await startScriptedProvider()
const browser = await startBrowser()
/** Answers at once, but holds `/trac/api/late` back until it is let go. */
let release: () => void = () => undefined
const held = new Promise<void>((resolve) => (release = resolve))
const seen: string[] = []
const releases = new Map<string, () => void>()
const upstream = createServer((request, response) => {
  seen.push(request.url ?? '')
  const answer = () => response.end('ok')
  if (request.url === '/trac/api/late') held.then(answer, answer)
  else if (/hold-/.test(request.url ?? '')) releases.set(request.url!, answer)
  else answer()
})
await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
const gateway = await startTestGateway({
  issuer: provider.issuer,
  clientId: provider.clientId,
  cognitoDomain: provider.origin,
  tracUrl: upstreamUrl,
  apiUrl: upstreamUrl,
  clock,
  overlay: { routes: [{ name: 'api', path: '/api/**', upstream: 'api', access: 'optional' }] },
})
t.teardown(async () => {
  await browser.close()
  await gateway.close()
  upstream.closeAllConnections()
  upstream.close()
  await provider.stop()
})
const { url } = gateway
const name = gateway.gateway.rooms.names.session

await t.test('one exchange, no 401, and no late answer puts an older session back', async (t) => {
  const tokens = tokensBy(provider, clock, { rotates: true })
  provider.replace('token', tokens)
  const exchanges = () =>
    provider.received.token.filter(({ form }) => form.get('grant_type') === 'refresh_token').length
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${url}/auth/login`)
  await page.goto(`${url}/wiki`)
  const jar = async () => (await context.cookies(url)).find((cookie) => cookie.name === name)?.value
  const ask = (paths: string[]) =>
    page.evaluate(
      (all) => Promise.all(all.map(async (path) => (await fetch(path)).status)),
      paths.map((path) => `${url}/api/${path}`),
    )
  const first = await jar()
  t.ok(first)

  clock.advance(50 * minute)
  // The late one is due as well: its answer will carry this renewal, after the next one was made.
  const late = ask(['late'])
  await until(() => seen.includes('/trac/api/late'), 'the late one is at the upstream')
  const many = await ask(Array.from({ length: 40 }, (_, i) => String(i)))
  t.same(new Set(many), new Set([200]))
  t.equal(exchanges(), 1)
  const second = await jar()
  t.not(second, first)

  clock.advance(50 * minute)
  const more = await ask(Array.from({ length: 40 }, (_, i) => `more-${i}`))
  t.same(new Set(more), new Set([200]))
  t.equal(exchanges(), 2)
  const third = await jar()
  t.not(third, second)

  release()
  t.same(await late, [200])
  t.equal(await jar(), third, 'the newest session is in the jar')
  t.same(await ask(['after']), [200])
  t.equal(await jar(), third)
  clock.advance(20 * minute)
  t.same(await ask(['later']), [200])
  t.equal(exchanges(), 2, 'and lives on without another exchange')
})

/** Sends a request that the upstream holds back until it is let go; resolves once it is there. */
async function holdOne(page: Page, number: number) {
  const path = `/trac/api/hold-${number}`
  const answer = page.evaluate(
    async (to) => (await fetch(to)).status,
    url.replace('/trac', '') + path,
  )
  await until(() => seen.includes(path), 'the held one is at the upstream')
  return { answer, release: () => releases.get(path)!() }
}

await t.test('a late answer to an ended session takes no new one away', async (t) => {
  provider.replace('token', tokensBy(provider, clock))
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${url}/auth/login`)
  await page.goto(`${url}/wiki`)
  const jar = async () => (await context.cookies(url)).find((cookie) => cookie.name === name)?.value
  clock.advance(8 * 24 * 60 * minute)
  const held = await holdOne(page, 1)
  const other = await context.newPage()
  await other.goto(`${url}/auth/login?return_to=/trac/wiki`)
  clock.advance(10_000)
  const fresh = await jar()
  t.ok(fresh)
  held.release()
  t.equal(await held.answer, 200)
  t.equal(await jar(), fresh)
})

await t.test('a late answer to the session before does not replace a new sign-in', async (t) => {
  provider.replace('token', tokensBy(provider, clock))
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${url}/auth/login`)
  await page.goto(`${url}/wiki`)
  const jar = async () => (await context.cookies(url)).find((cookie) => cookie.name === name)?.value
  clock.advance(50 * minute)
  const held = await holdOne(page, 2)
  const other = await context.newPage()
  await other.goto(`${url}/auth/login?prompt=login&return_to=/trac/wiki`)
  const fresh = await jar()
  held.release()
  t.equal(await held.answer, 200)
  t.equal(await jar(), fresh)
})
