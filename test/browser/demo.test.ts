/** The main job, as a person does it: sign in at the provider, be oneself in Trac, and leave for good. */
import { t } from '../fixtures/tap.js'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { start } from '../../src/cli/start.js'
import { startDemo } from '../../src/demo/demo.js'
import { createLogger } from '../../src/observe/logger.js'
import { startBrowser } from '../fixtures/browser.js'
import { freePort } from '../fixtures/ports.js'
import { root } from '../fixtures/root.js'

t.setTimeout(600_000)

const example = `${root}gateway.yaml`
const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-e2e-'))

/** The demo on free ports, with its configuration changed by `alter`. */
async function startStage(alter: (text: string) => string = (text) => text) {
  const names = ['', 'DEMO_TRAC_', 'DEMO_API_', 'DEMO_PROVIDER_', 'DEMO_ADMIN_']
  const environment: Record<string, string> = {}
  for (const name of names) environment[`TRAC_GATEWAY_${name}PORT`] = String(await freePort())
  const configPath = join(folder, `${environment['TRAC_GATEWAY_PORT']}.yaml`)
  await writeFile(configPath, alter(await readFile(example, 'utf8')))
  return startDemo({
    environment,
    configPath,
    folder,
    report: () => undefined,
    startGateway: async (path, variables) => {
      const logger = createLogger('silent', { write: () => undefined })
      const gateway = await start(path, { env: variables, logger })
      if (gateway === undefined) throw new Error('the gateway did not start')
      return gateway
    },
  })
}

const browser = await startBrowser('whole')
const demo = await startStage()
const { publicUrl } = demo
t.teardown(async () => {
  await browser.close()
  await demo.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Fills in the provider's form. */
async function authenticate(page: Page, name: string): Promise<void> {
  await page.fill('input[name=email]', `${name}@example.edu`)
  await page.fill('input[type=password]', `${name}-demo`)
  await page.click('button')
}

/** A browser of its own in which somebody has signed in from `path`. */
async function signedIn(name: string, path = '/wiki/WikiStart'): Promise<[BrowserContext, Page]> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(publicUrl + path)
  await page.click('#metanav >> text=Login')
  await authenticate(page, name)
  await page.waitForURL(publicUrl + path)
  return [context, page]
}

await t.test(
  'a visitor signs in by Trac’s Login link and is back on the page, by name',
  async (t) => {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.goto(`${publicUrl}/ticket/1`)
    t.match(await page.textContent('#metanav'), /Login/)
    t.notMatch(await page.textContent('#metanav'), /logged in as/)
    await page.click('#metanav >> text=Login')
    await page.waitForURL((url) => url.origin === demo.provider.origin)
    await authenticate(page, 'ivan')
    await page.waitForURL(`${publicUrl}/ticket/1`)
    t.match(await page.textContent('#metanav'), /logged in as\s+Ivan/)
    const session = await page.request.get(`${publicUrl}/auth/session`, {
      headers: { accept: 'application/json' },
    })
    t.match(await session.json(), { user: 'ivan', email: 'ivan@example.edu', via: 'session' })
    await context.close()
  },
)

await t.test('the menu shows what the group may do', async (t) => {
  const menus: Record<string, string> = {}
  for (const name of ['alice', 'ivan', 'sam']) {
    const [context, page] = await signedIn(name)
    menus[name] = (await page.textContent('#mainnav')) ?? ''
    await context.close()
  }
  t.match(menus['alice'], /Admin/)
  t.notMatch(menus['ivan'], /Admin/)
  t.notMatch(menus['sam'], /Admin/)
  t.match(menus['sam'], /New Ticket/)
})

await t.test('a student is told which permission is missing; an instructor saves', async (t) => {
  const edit = `${publicUrl}/wiki/WikiStart?action=edit`
  const [studentContext, student] = await signedIn('sam')
  const refused = await student.goto(edit)
  t.equal(refused?.status(), 403)
  t.match(await student.textContent('main'), /WIKI_CREATE or WIKI_MODIFY/)
  t.match(await student.textContent('main'), /sam/)
  await studentContext.close()

  const [context, page] = await signedIn('ivan')
  await page.goto(edit)
  await page.fill('#text', '= Welcome =\n\nWritten by the instructor.')
  await page.click('input[name=save]')
  await page.waitForURL(({ href }) => href !== edit)
  t.equal(new URL(page.url()).pathname, new URL(edit).pathname)
  t.match(await page.textContent('#wikipage'), /Written by the instructor/)
  await page.goto(`${publicUrl}/wiki/WikiStart?action=history`)
  t.match(await page.textContent('#fieldhist'), /Ivan|ivan/)
  await context.close()
})

await t.test('a link to an export leads there through sign-in', async (t) => {
  const context = await browser.newContext()
  const page = await context.newPage()
  const base = new URL(publicUrl).pathname
  const referer = encodeURIComponent(`${base}/ticket/1?format=csv`)
  await page.goto(`${publicUrl}/login?referer=${referer}`)
  const download = page.waitForEvent('download')
  await authenticate(page, 'sam')
  const file = await readFile(await (await download).path(), 'utf8')
  t.match(file, /^\uFEFF?id,summary/)
  await context.close()
})

await t.test(
  'Trac’s own button signs out here and at the provider, and Back shows nothing',
  async (t) => {
    const [context, page] = await signedIn('ivan', '/wiki/WikiStart')
    await page.goto(`${publicUrl}/prefs`)
    t.match(await page.content(), /ivan@example\.edu/)
    const before = await context.cookies()
    const session = before.filter(({ name }) => /^tg-[0-9a-f]{8}-s$/.test(name))
    t.equal(session.length, 1)
    t.match(session[0], { httpOnly: true, sameSite: 'Lax', path: '/' })

    await page.click('#logout')
    await page.waitForURL(`${publicUrl}/auth/signed-out`)
    const after = await context.cookies(publicUrl)
    t.notOk(
      after.some(({ name }) => /-s\d?$/.test(name)),
      'no session cookie is left',
    )

    await page.goBack()
    t.notMatch(await page.content(), /logged in as|ivan@example\.edu/)
    await page.goBack()
    t.notMatch(await page.content(), /logged in as|ivan@example\.edu/)

    await context.addCookies(session)
    await page.goto(`${publicUrl}/wiki/WikiStart`)
    t.match(await page.textContent('#metanav'), /Login/, 'the old cookie opens nothing')

    await page.click('#metanav >> text=Login')
    await page.waitForURL((url) => url.origin === demo.provider.origin)
    t.ok(await page.isVisible('input[type=password]'), 'the provider asks again')
    await context.close()
  },
)

await t.test('without the built-in table Trac itself refuses the student', async (t) => {
  const open = await startStage((text) =>
    text
      .replace('builtinTracRoutes: true', 'builtinTracRoutes: false')
      .replace(/^routes:.*$/m, 'routes:\n  - { name: all, path: /**, access: optional }'),
  )
  t.teardown(() => open.stop())
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${open.publicUrl}/wiki/WikiStart`)
  await page.click('#metanav >> text=Login')
  await authenticate(page, 'sam')
  await page.waitForURL(`${open.publicUrl}/wiki/WikiStart`)
  const refused = await page.goto(`${open.publicUrl}/wiki/WikiStart?action=edit`)
  t.equal(refused?.status(), 403)
  t.match(await page.textContent('#content'), /WIKI_MODIFY/)
  t.ok(await page.isVisible('#metanav'), 'it is Trac’s page')
  await context.close()
})
