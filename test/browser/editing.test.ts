/** Nothing typed is lost: the session ends in the middle of an edit, in a real Trac, gateway and Chromium. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import type { Locator, Page } from 'playwright-core'
import { violations } from '../fixtures/axe.js'
import { startBrowser } from '../fixtures/browser.js'
import { stage } from '../fixtures/stage.js'
import { TracStage, authenticate, expiresAt, knowsSession } from '../fixtures/trac-stage.js'
import { both } from '../fixtures/tracs.js'
import type { ServerName } from '../fixtures/tracs.js'

const hour = 60 * 60_000
const minute = 60_000

t.setTimeout(600_000)
const browser = await startBrowser()
t.teardown(() => browser.close())

const alert = (page: Page) => page.getByRole('alert')
const signInLink = (page: Page) => alert(page).getByRole('link', { name: /Sign in again/ })

/** Waits until the person who presses Save is led to the sign-in instead. */
const isHeldBack = (page: Page) =>
  page.waitForFunction(`document.activeElement.textContent.startsWith('Sign in again')`)

/** Follows the offered link into its new tab and closes that once Trac is there. */
async function signInAgain(
  trac: TracStage,
  page: Page,
  fill: (other: Page) => Promise<void>,
): Promise<void> {
  const opened = page.context().waitForEvent('page')
  await signInLink(page).press('Enter')
  const other = await opened
  await fill(other)
  await other.waitForURL(`${trac.url}/`)
  await alert(page).waitFor({ state: 'detached' })
  await other.close()
}

/** Trac’s own text of a wiki page, asked for by another client. */
async function wikiText(trac: TracStage, page: Page, name: string): Promise<string> {
  const answer = await page.request.get(`${trac.url}/wiki/${name}?format=txt`)
  return answer.text()
}

/** A Trac whose sessions end after two hours, and a page on which an instructor has signed in. */
async function withDemoProvider(t: Test, server: ServerName) {
  const { clock, settings } = await stage(t, {
    provider: 'cognito',
    gateway: false,
    overlay: { session: { maxAge: '2h', idleTimeout: '2h' } },
  })
  const trac = await TracStage.create(t, { server, ...settings, clock })
  const context = await trac.person(t, browser)
  const page = await context.newPage()
  await page.goto(`${trac.url}/wiki/Syllabus`)
  await page.click('#metanav >> text=Login')
  await authenticate(page, 'ivan')
  await page.waitForURL(`${trac.url}/wiki/Syllabus`)
  const fill = (other: Page) => authenticate(other, 'ivan')
  return { trac, clock, page, fill }
}

/** Lets the two hours pass, as far as to the warning. */
async function passToWarning(t: Test, trac: TracStage, page: Page): Promise<void> {
  const { clock } = trac.gateway
  await trac.pass(0.9 * hour)
  await knowsSession(page, clock() + 0.9 * hour)
  t.equal(await alert(page).count(), 0, 'renewed in silence')
  await trac.pass(0.85 * hour)
  await knowsSession(page, clock() + 0.2 * hour)
  // What is left cannot be prolonged: the whole session ends.
  await trac.pass(0.22 * hour)
  await alert(page).waitFor()
}

async function openEditor(trac: TracStage, page: Page, text: string): Promise<Locator> {
  await page.goto(`${trac.url}/wiki/Syllabus?action=edit`)
  await knowsSession(page)
  const editor = page.locator('#text')
  await editor.fill(text)
  return editor
}

for (const server of both) {
  await t.test(`a wiki edit outlives its session (${server})`, async (t) => {
    const { trac, page, fill } = await withDemoProvider(t, server)
    const text = `= Typed for ${server} =\n\nTwo hours of work, ünïcode and all.\n`
    const editor = await openEditor(trac, page, text)

    await passToWarning(t, trac, page)
    t.match(await alert(page).textContent(), /ends in \d min, at /)
    t.ok((await expiresAt(page)) > trac.gateway.clock(), 'before it ends')
    t.strictSame(await violations(page, '#trac-gateway-session'), [])
    await editor.press('End')
    t.ok(await alert(page).isVisible(), 'and stays in sight while the person goes on typing')

    await trac.pass(3 * minute)
    await alert(page).getByText('has ended').waitFor()
    t.strictSame(await violations(page, '#trac-gateway-session'), [])
    await page.getByRole('button', { name: /Submit changes/ }).click()
    await isHeldBack(page)
    t.notMatch(await wikiText(trac, page, 'Syllabus'), /Typed/)

    await signInAgain(trac, page, fill)
    t.equal(await editor.inputValue(), text)
    await page.getByRole('button', { name: /Submit changes/ }).click()
    await page.waitForURL(`${trac.url}/wiki/Syllabus`)
    // As HTML sends line ends, and as Trac keeps them.
    const sent = text.trim().replaceAll('\n', '\r\n')
    t.equal((await wikiText(trac, page, 'Syllabus')).trim(), sent)

    await t.test('whatever pages were loaded, the script was sent once', async (t) => {
      const answers = trac.gateway.lines.filter(({ route }) => route === 'auth:client.js')
      const [first, ...later] = answers.map(({ status }) => status)
      t.equal(first, 200)
      t.ok(later.length >= 3, `${later.length} pages asked again`)
      t.strictSame([...new Set(later)], [304], 'and got no byte of it')
    })
  })

  await t.test(`a ticket comment outlives its session (${server})`, async (t) => {
    const { provider, tokens, clock, settings } = await stage(t, {
      provider: 'scripted',
      tokens: {},
      gateway: false,
    })
    provider.person = { ...provider.person, groups: ['instructors'] }
    const trac = await TracStage.create(t, { server, ...settings, clock })
    const page = await (await trac.person(t, browser)).newPage()
    await page.goto(`${trac.url}/login?referer=/trac/ticket/1`)
    await page.waitForURL(`${trac.url}/ticket/1`)
    await knowsSession(page)
    const comment = page.locator('#comment')
    const text = `Typed for ${server}, ünïcode and all.`
    await comment.fill(text)

    // The provider’s last word: the session ends with its tokens.
    provider.replace('token', () => ({ status: 400, body: { error: 'invalid_grant' } }))
    await trac.pass(0.9 * hour)
    await alert(page)
      .getByText(/ends in \d min/)
      .waitFor()
    await trac.pass(7 * minute)
    await alert(page).getByText('has ended').waitFor()
    await page.getByRole('button', { name: 'Submit changes' }).click()
    await isHeldBack(page)

    // What Trac’s own script asks meanwhile, as nobody, takes nothing away.
    const preview = page.waitForResponse(
      (answer) => answer.request().method() === 'POST' && answer.url().includes('/ticket/1'),
    )
    await comment.pressSequentially(' More.')
    await preview
    t.equal(await comment.inputValue(), `${text} More.`)

    provider.replace('token', tokens)
    await signInAgain(trac, page, async () => undefined)
    t.equal(await comment.inputValue(), `${text} More.`)
    await page.getByRole('button', { name: 'Submit changes' }).click()
    await page.waitForURL(/\/ticket\/1#comment:1$/)
    const saved = await page.request.get(`${trac.url}/ticket/1`)
    t.match(await saved.text(), `${text} More.`)
  })
}

await t.test('an edit outlives a sign-out in another tab, which nothing tells of', async (t) => {
  const { trac, page, fill } = await withDemoProvider(t, 'tracd 1.6')
  const editor = await openEditor(trac, page, 'Typed before the sign-out.')
  const other = await page.context().newPage()
  await other.goto(`${trac.url}/wiki/WikiStart`)
  await other.click('#logout button')
  await other.waitForURL(`${trac.url}/auth/signed-out`)
  await other.close()
  t.equal(await alert(page).count(), 0)

  await page.getByRole('button', { name: /Submit changes/ }).click()
  await isHeldBack(page)
  t.match(await alert(page).textContent(), /has ended/)
  await signInAgain(trac, page, fill)
  t.equal(await editor.inputValue(), 'Typed before the sign-out.')
  await page.getByRole('button', { name: /Submit changes/ }).click()
  await page.waitForURL(`${trac.url}/wiki/Syllabus`)
  t.match(await wikiText(trac, page, 'Syllabus'), 'Typed before the sign-out.')
})

await t.test('an edit outlives its session after a preview', async (t) => {
  const { trac, page, fill } = await withDemoProvider(t, 'tracd 1.6')
  await openEditor(trac, page, 'Typed and previewed.')
  await page.getByRole('button', { name: 'Preview Page' }).click()
  await page.locator('#preview', { hasText: 'Typed and previewed.' }).waitFor()
  await knowsSession(page)

  await passToWarning(t, trac, page)
  await trac.pass(3 * minute)
  await alert(page).getByText('has ended').waitFor()
  await page.getByRole('button', { name: /Submit changes/ }).click()
  await isHeldBack(page)
  await signInAgain(trac, page, fill)
  const editor = page.locator('#text')
  t.equal((await editor.inputValue()).trim(), 'Typed and previewed.')
  await page.getByRole('button', { name: /Submit changes/ }).click()
  // The preview has the address of the page that is saved: only its editor tells them apart.
  await editor.waitFor({ state: 'detached' })
  t.match(await wikiText(trac, page, 'Syllabus'), 'Typed and previewed.')
})

await t.test('without script the Back button brings back what was typed', async (t) => {
  const { trac, page: scripted } = await withDemoProvider(t, 'tracd 1.6')
  const context = await browser.newContext({
    javaScriptEnabled: false,
    storageState: await scripted.context().storageState(),
  })
  t.teardown(() => context.close())
  const [wiki, ticket] = [await context.newPage(), await context.newPage()]
  await wiki.goto(`${trac.url}/wiki/Syllabus?action=edit`)
  await wiki.locator('#text').fill('Typed without script.')
  await ticket.goto(`${trac.url}/newticket`)
  await ticket.locator('#field-summary').fill('Typed without script.')
  await trac.pass(3 * hour)

  await wiki.getByRole('button', { name: /Submit changes/ }).click()
  await wiki.getByText('WIKI_MODIFY').waitFor()
  await wiki.goBack()
  t.equal(await wiki.locator('#text').inputValue(), 'Typed without script.')

  await ticket.getByRole('button', { name: /Create ticket/ }).click()
  await ticket.getByRole('heading', { name: 'Please sign in' }).waitFor()
  t.match(await ticket.textContent('main'), /Back button/)
  await ticket.goBack()
  t.equal(await ticket.locator('#field-summary').inputValue(), 'Typed without script.')
})
