/** A person with a real browser behind nginx with our file: signs in, edits, is renewed unseen, signs out. */
import { t } from '../fixtures/tap.js'
import { startBrowser } from '../fixtures/browser.js'
import { startFront, untilRenewal } from '../fixtures/forward-auth.js'

t.setTimeout(240_000)
/** As the browser calls them, and whether nginx has HTTP/2 switched on. */
const protocols = [
  ['http/1.1', false],
  ['h2', true],
] as const
const hopProtocol = `performance.getEntriesByType('navigation')[0].nextHopProtocol`
const browser = await startBrowser()
t.teardown(() => browser.close())

for (const [protocol, http2] of protocols) {
  await t.test(
    `a browser signs in, edits, gets a renewed cookie and signs out over ${protocol}`,
    async (t) => {
      const front = await startFront(t, 'nginx', { http2 })
      const context = await browser.newContext({ ignoreHTTPSErrors: true })
      const page = await context.newPage()
      const session = async () => {
        const cookies = await context.cookies(front.url)
        return cookies.filter(({ name }) => /^__Host-tg-[0-9a-f]{8}-s\d?$/.test(name))
      }

      await page.goto(`${front.url}/wiki/WikiStart`)
      await page.click('#metanav >> text=Login')
      await page.fill('input[name=email]', front.ivan.email)
      await page.fill('input[type=password]', front.ivan.password)
      await page.click('button')
      await page.waitForURL(`${front.url}/wiki/WikiStart`)
      t.match(await page.textContent('#metanav'), /logged in as\s+Ivan/)
      t.ok(await page.evaluate(() => 'tracTokenManager' in globalThis), 'with our script')
      t.equal(await page.evaluate(hopProtocol), protocol)
      const [first] = await session()
      t.match(first, { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' })

      await page.goto(`${front.url}/wiki/WikiStart?action=edit`)
      await page.fill('#text', '= Willkommen =\n\nGeändert hinter nginx.')
      await page.click('input[name=save]')
      await page.waitForURL(/wiki\/WikiStart(?:\?version=\d+)?$/)
      t.equal(await page.evaluate(hopProtocol), protocol)
      t.match(await page.textContent('#wikipage'), /Geändert hinter nginx/)
      await page.goto(`${front.url}/wiki/WikiStart?action=history`)
      t.match(await page.textContent('#fieldhist'), /Ivan|ivan/)

      const before = await session()
      front.gateway.clock.advance(untilRenewal)
      await page.goto(`${front.url}/wiki/WikiStart`)
      t.match(await page.textContent('#metanav'), /logged in as\s+Ivan/)
      const after = await session()
      t.equal(after.length, 1)
      t.not(after[0]?.value, before[0]?.value, 'it has been renewed')
      t.match(after[0], { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' })

      await page.click('#logout')
      await page.waitForURL(`${front.url}/auth/signed-out`)
      t.strictSame(await session(), [])
      await page.goto(`${front.url}/newticket`)
      t.ok(page.url().startsWith(front.provider.origin), 'and is asked to sign in again')
      t.ok(await page.isVisible('input[type=password]'))
      await context.close()
    },
  )
}
