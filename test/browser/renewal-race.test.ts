/** Forty requests of one page at the moment of a renewal, one of them late: the newest session stays in Chromium's jar. */
import { t } from '../fixtures/tap.js'
import { startBrowser } from '../fixtures/browser.js'
import { tokensBy } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'

const minute = 60_000
const { provider, upstream, clock, url, names } = await stage(t, {
  provider: 'scripted',
  upstream: 'held',
  api: true,
  overlay: { routes: [{ name: 'api', path: '/api/**', upstream: 'api', access: 'optional' }] },
})
const browser = await startBrowser()
t.teardown(() => browser.close())

/** A person's browser on a page of Trac, and the session in its jar. */
async function open() {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${url}/auth/login`)
  await page.goto(`${url}/wiki`)
  const jar = async () =>
    (await context.cookies(url)).find((cookie) => cookie.name === names.session)?.value
  return { context, page, jar }
}

await t.test(
  'forty requests at a renewal make one exchange, get no 401, and no late answer puts an older session back',
  async (t) => {
    const tokens = tokensBy(provider, clock, { rotates: true })
    provider.replace('token', tokens)
    const exchanges = () =>
      provider.received.token.filter(({ form }) => form.get('grant_type') === 'refresh_token')
        .length
    const { page, jar } = await open()
    const ask = (paths: string[]) =>
      page.evaluate(
        (all) => Promise.all(all.map(async (path) => (await fetch(path)).status)),
        paths.map((path) => `${url}/api/${path}`),
      )
    const first = await jar()
    t.ok(first)

    clock.advance(50 * minute)
    // The late one is due as well: its answer will carry this renewal, after the next one was made.
    const late = ask(['held/late'])
    const letGo = await upstream.arrived('/trac/api/held/late')
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

    letGo()
    t.same(await late, [200])
    t.equal(await jar(), third, 'the newest session is in the jar')
    t.same(await ask(['after']), [200])
    t.equal(await jar(), third)
    clock.advance(20 * minute)
    t.same(await ask(['later']), [200])
    t.equal(exchanges(), 2, 'and lives on without another exchange')
  },
)

for (const [what, wait, login] of [
  ['an ended session takes no new one away', 8 * 24 * 60 * minute, ''],
  ['the session before does not supersede a new sign-in', 50 * minute, '&prompt=login'],
] as const) {
  await t.test(`a late answer to ${what}`, async (t) => {
    provider.replace('token', tokensBy(provider, clock))
    const { context, page, jar } = await open()
    clock.advance(wait)
    const path = `/trac/api/held/${wait}`
    const late = page.evaluate(async (to) => (await fetch(to)).status, path)
    const letGo = await upstream.arrived(path)
    const other = await context.newPage()
    await other.goto(`${url}/auth/login?return_to=/trac/wiki${login}`)
    const fresh = await jar()
    t.ok(fresh)
    letGo()
    t.equal(await late, 200)
    t.equal(await jar(), fresh)
  })
}
