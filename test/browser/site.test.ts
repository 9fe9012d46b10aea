/** The documentation as a site, in Chromium: it builds, its links lead somewhere, its search finds, and nobody else is asked. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { violations } from '../fixtures/axe.js'
import { startBrowser } from '../fixtures/browser.js'
import { listen } from '../fixtures/listen.js'
import { root } from '../fixtures/root.js'
import { t } from '../fixtures/tap.js'

t.setTimeout(300_000)

/** Where the site is on its host: it need not be at the top. */
const place = '/trac-gateway/'
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

/** A host of files, as any is. */
async function serve(folder: string): Promise<string> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const file = join(folder, decodeURIComponent(pathname.slice(place.length)))
    if (!pathname.startsWith(place) || !existsSync(file)) response.writeHead(404).end()
    else {
      const type = types[extname(file)] ?? 'application/octet-stream'
      response.writeHead(200, { 'content-type': type }).end(readFileSync(file))
    }
  })
  const port = await listen(server)
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${port}${place}`
}

const { stdout } = await promisify(execFile)(join(root, 'deploy/site/build'), { cwd: root })
const url = await serve(join(root, '.build/site'))
const browser = await startBrowser()
t.teardown(() => browser.close())

/** A page, all addresses that it asks for, and what the browser complains of. */
async function open(path: string) {
  const context = await browser.newContext()
  t.teardown(() => context.close())
  const page: Page = await context.newPage()
  const asked: string[] = []
  const complaints: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(url + path)
  return { page, asked, complaints }
}

await t.test('every page of the documentation is built, and every link leads somewhere', (t) => {
  const [, pages, links, broken] = /(\d+) pages, (\d+) links, (\d+) of them/.exec(stdout) ?? []
  t.ok(Number(pages) > 45, `${pages} pages`)
  t.ok(Number(links) > 1000, `${links} links`)
  t.equal(broken, '0')
  t.end()
})

await t.test('the search finds a word, and leads to the heading above it', async (t) => {
  const { page, asked, complaints } = await open('reference/options.html')
  await page.getByRole('searchbox', { name: 'Search' }).fill('WatchdogSec')
  const link = page.getByRole('region', { name: 'Search results' }).getByRole('link').first()
  t.equal(await link.textContent(), 'Operating it: Starting')
  await link.click()
  await page.waitForURL(`${url}guides/operations.html#starting`)
  t.equal(await page.getByRole('heading', { name: 'Starting' }).isVisible(), true)
  await page.getByRole('searchbox', { name: 'Search' }).fill('漢字')
  await page.getByText('Nothing has “漢字” in it.').waitFor()
  t.strictSame(
    asked.filter((address) => !address.startsWith(url)),
    [],
    'nobody else is asked',
  )
  t.strictSame(complaints, [], 'and the policy of the page forbids nothing of it')
})

await t.test('its pages can be used by everybody, without script too', async (t) => {
  const { page, complaints } = await open('index.html')
  t.strictSame(await violations(page), [])
  t.strictSame(complaints, [])
  const context = await browser.newContext({ javaScriptEnabled: false })
  t.teardown(() => context.close())
  const plain = await context.newPage()
  await plain.goto(url + 'guides/monitoring.html')
  t.equal(await plain.getByRole('search').isVisible(), false, 'no search that does not work')
  await plain.getByRole('navigation').getByRole('link', { name: 'Operating it' }).click()
  t.match(plain.url(), 'guides/operations.html')
  const picture = await open('guides/monitoring.html')
  await picture.page.waitForFunction(
    '[...document.images].length > 0 && [...document.images].every((it) => it.complete && it.naturalWidth > 0)',
  )
  t.strictSame(picture.complaints, [])
})
