/** Trac’s own pages in Chromium, which takes what Trac serves for what Trac says it is: styles, scripts, files, feeds. */
import { t } from '../fixtures/tap.js'
import type { Response } from 'playwright-core'
import { startBrowser } from '../fixtures/browser.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'
import { both } from '../fixtures/tracs.js'

t.setTimeout(300_000)

const pages = [
  ...['/wiki/WikiStart', '/wiki/WikiStart?action=edit', '/wiki/WikiStart?action=history'],
  ...['/ticket/1', '/newticket', '/query', '/report', '/report/1', '/timeline', '/roadmap'],
  ...['/milestone/milestone1', '/search', '/prefs', '/about', '/admin/general/perm'],
  '/attachment/wiki/WikiStart/?action=new',
]
/** What is downloaded or read by programs, and its type. */
const files: readonly (readonly [path: string, type: RegExp])[] = [
  ['/timeline?format=rss&wiki=on', /^application\/rss\+xml/],
  ['/wiki/WikiStart?format=txt', /^text\/plain/],
  ['/ticket/1?format=csv', /^text\/csv/],
  ['/search/opensearch', /^application\/opensearchdescription\+xml/],
  ['/chrome/common/trac.ico', /^image\//],
  ['/chrome/common/trac_logo_mini.png', /^image\/png/],
]

const browser = await startBrowser()
t.teardown(() => browser.close())

for (const server of both) {
  await t.test(server, async (t) => {
    const port = await freePort()
    const url = `http://localhost:${port}/trac`
    const ini = {
      trac: { base_url: url },
      header_logo: { src: 'common/trac_logo_mini.png' },
    }
    await stage(t, {
      trac: { server, ini },
      port,
      overlay: { permissions: { anonymous: ['TRAC_ADMIN'] } },
    })
    const context = await browser.newContext()
    t.teardown(() => context.close())
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      if (message.type() !== 'log') complaints.push(`${message.location().url}: ${message.text()}`)
    })
    page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.message}`))
    const parts = new Map<string, Response>()
    page.on('response', (answer) => {
      const kind = answer.request().resourceType()
      if (kind === 'script' || kind === 'stylesheet') parts.set(answer.url(), answer)
    })

    for (const path of pages) {
      const answer = await page.goto(url + path)
      t.equal(answer?.status(), 200, path)
      t.equal(answer?.headers()['x-content-type-options'], 'nosniff', path)
      t.equal(await page.evaluate('typeof jQuery'), 'function', `${path}: its scripts ran`)
      t.equal(
        await page.evaluate('getComputedStyle(document.querySelector("#mainnav")).fontSize !== ""'),
        true,
      )
      const unstyled =
        '[...document.querySelectorAll("link[rel=stylesheet]")].filter((one) => one.sheet === null).map((one) => one.href)'
      t.strictSame(await page.evaluate(unstyled), [], `${path}: its styles apply`)
    }
    t.strictSame(complaints, [], 'the browser takes everything')
    t.ok(parts.size > 10, `${parts.size} scripts and styles were asked for`)
    for (const [address, answer] of parts) {
      const kind = answer.request().resourceType()
      const type = kind === 'script' ? /^(?:application|text)\/javascript/ : /^text\/css/
      t.match(answer.headers()['content-type'], type, address)
    }
    for (const [path, type] of files) {
      const answer = await context.request.get(url + path)
      t.equal(answer.status(), 200, path)
      t.match(answer.headers()['content-type'], type, path)
      t.equal(answer.headers()['x-content-type-options'], 'nosniff', path)
    }
  })
}
