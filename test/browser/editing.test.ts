/** Nothing typed is lost: the session ends in the middle of an edit, in a real Trac, gateway and Chromium. */
import t from 'tap'
import type { Test } from 'tap'
import type { Locator, Page } from 'playwright-core'
import { startProvider } from '../../src/demo/provider.js'
import { violations } from '../fixtures/axe.js'
import { startBrowser } from '../fixtures/browser.js'
import { createClock } from '../fixtures/gateway.js'
import { startScriptedProvider } from '../fixtures/scripted-provider.js'
import { tokensBy } from '../fixtures/scripted-tokens.js'
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
  stage: TracStage,
  page: Page,
  fill: (other: Page) => Promise<void>,
): Promise<void> {
  const opened = page.context().waitForEvent('page')
  await signInLink(page).press('Enter')
  const other = await opened
  await fill(other)
  await other.waitForURL(`${stage.url}/`)
  await alert(page).waitFor({ state: 'detached' })
  await other.close()
}

/** Trac’s own text of a wiki page, asked for by another client. */
async function wikiText(stage: TracStage, page: Page, name: string): Promise<string> {
  const answer = await page.request.get(`${stage.url}/wiki/${name}?format=txt`)
  return answer.text()
}

/** A Trac whose sessions end after two hours, and a page on which an instructor has signed in. */
async function withDemoProvider(t: Test, server: ServerName) {
  const clock = createClock()
  const provider = await startProvider({ now: clock })
  t.teardown(() => provider.stop())
  const overlay = { session: { maxAge: '2h', idleTimeout: '2h' } }
  const stage = await TracStage.create(t, { server, provider, clock, overlay })
  const context = await stage.person(t, browser)
  const page = await context.newPage()
  await page.goto(`${stage.url}/wiki/Syllabus`)
  await page.click('#metanav >> text=Login')
  await authenticate(page, 'ivan')
  await page.waitForURL(`${stage.url}/wiki/Syllabus`)
  const fill = (other: Page) => authenticate(other, 'ivan')
  return { stage, clock, page, fill }
}

/** Lets the two hours pass, as far as to the warning. */
async function passToWarning(t: Test, stage: TracStage, page: Page): Promise<void> {
  const { clock } = stage.gateway
  await stage.pass(0.9 * hour)
  await knowsSession(page, clock() + 0.9 * hour)
  t.equal(await alert(page).count(), 0, 'renewed in silence')
  await stage.pass(0.85 * hour)
  await knowsSession(page, clock() + 0.2 * hour)
  // What is left cannot be prolonged: the whole session ends.
  await stage.pass(0.22 * hour)
  await alert(page).waitFor()
}

async function openEditor(stage: TracStage, page: Page, text: string): Promise<Locator> {
  await page.goto(`${stage.url}/wiki/Syllabus?action=edit`)
  await knowsSession(page)
  const editor = page.locator('#text')
  await editor.fill(text)
  return editor
}

for (const server of both) {
  await t.test(`a wiki edit outlives its session (${server})`, async (t) => {
    const { stage, page, fill } = await withDemoProvider(t, server)
    const text = `= Typed for ${server} =\n\nTwo hours of work, ünïcode and all.\n`
    const editor = await openEditor(stage, page, text)

    await passToWarning(t, stage, page)
    t.match(await alert(page).textContent(), /ends in \d min, at /)
    t.ok((await expiresAt(page)) > stage.gateway.clock(), 'before it ends')
    t.strictSame(await violations(page, '#trac-gateway-session'), [])
    await editor.press('End')
    t.ok(await alert(page).isVisible(), 'and stays in sight while the person goes on typing')

    await stage.pass(3 * minute)
    await alert(page).getByText('has ended').waitFor()
    t.strictSame(await violations(page, '#trac-gateway-session'), [])
    await page.getByRole('button', { name: /Submit changes/ }).click()
    await isHeldBack(page)
    t.notMatch(await wikiText(stage, page, 'Syllabus'), /Typed/)

    await signInAgain(stage, page, fill)
    t.equal(await editor.inputValue(), text)
    await page.getByRole('button', { name: /Submit changes/ }).click()
    await page.waitForURL(`${stage.url}/wiki/Syllabus`)
    // As HTML sends line ends, and as Trac keeps them.
    const sent = text.trim().replaceAll('\n', '\r\n')
    t.equal((await wikiText(stage, page, 'Syllabus')).trim(), sent)
  })

  await t.test(`a ticket comment outlives its session (${server})`, async (t) => {
    const clock = createClock()
    const provider = await startScriptedProvider()
    t.teardown(() => provider.stop())
    provider.person = { ...provider.person, groups: ['instructors'] }
    provider.replace('token', tokensBy(provider, clock))
    const { issuer, clientId, origin } = provider
    const stage = await TracStage.create(t, {
      server,
      clock,
      issuer,
      clientId,
      cognitoDomain: origin,
    })
    const page = await (await stage.person(t, browser)).newPage()
    await page.goto(`${stage.url}/login?referer=/trac/ticket/1`)
    await page.waitForURL(`${stage.url}/ticket/1`)
    await knowsSession(page)
    const comment = page.locator('#comment')
    const text = `Typed for ${server}, ünïcode and all.`
    await comment.fill(text)

    // The provider’s last word: the session ends with its tokens.
    provider.replace('token', () => ({ status: 400, body: { error: 'invalid_grant' } }))
    await stage.pass(0.9 * hour)
    await alert(page)
      .getByText(/ends in \d min/)
      .waitFor()
    await stage.pass(7 * minute)
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

    provider.replace('token', tokensBy(provider, clock))
    await signInAgain(stage, page, async () => undefined)
    t.equal(await comment.inputValue(), `${text} More.`)
    await page.getByRole('button', { name: 'Submit changes' }).click()
    await page.waitForURL(/\/ticket\/1#comment:1$/)
    const saved = await page.request.get(`${stage.url}/ticket/1`)
    t.match(await saved.text(), `${text} More.`)
  })
}

await t.test('an edit outlives a sign-out in another tab, which nothing tells of', async (t) => {
  const { stage, page, fill } = await withDemoProvider(t, 'tracd 1.6')
  const editor = await openEditor(stage, page, 'Typed before the sign-out.')
  const other = await page.context().newPage()
  await other.goto(`${stage.url}/wiki/WikiStart`)
  await other.click('#logout button')
  await other.waitForURL(`${stage.url}/auth/signed-out`)
  await other.close()
  t.equal(await alert(page).count(), 0)

  await page.getByRole('button', { name: /Submit changes/ }).click()
  await isHeldBack(page)
  t.match(await alert(page).textContent(), /has ended/)
  await signInAgain(stage, page, fill)
  t.equal(await editor.inputValue(), 'Typed before the sign-out.')
  await page.getByRole('button', { name: /Submit changes/ }).click()
  await page.waitForURL(`${stage.url}/wiki/Syllabus`)
  t.match(await wikiText(stage, page, 'Syllabus'), 'Typed before the sign-out.')
})

await t.test('an edit outlives its session after a preview', async (t) => {
  const { stage, page, fill } = await withDemoProvider(t, 'tracd 1.6')
  await openEditor(stage, page, 'Typed and previewed.')
  await page.getByRole('button', { name: 'Preview Page' }).click()
  await page.locator('#preview', { hasText: 'Typed and previewed.' }).waitFor()
  await knowsSession(page)

  await passToWarning(t, stage, page)
  await stage.pass(3 * minute)
  await alert(page).getByText('has ended').waitFor()
  await page.getByRole('button', { name: /Submit changes/ }).click()
  await isHeldBack(page)
  await signInAgain(stage, page, fill)
  const editor = page.locator('#text')
  t.equal((await editor.inputValue()).trim(), 'Typed and previewed.')
  await page.getByRole('button', { name: /Submit changes/ }).click()
  // The preview has the address of the page that is saved: only its editor tells them apart.
  await editor.waitFor({ state: 'detached' })
  t.match(await wikiText(stage, page, 'Syllabus'), 'Typed and previewed.')
})

await t.test('without script the Back button brings back what was typed', async (t) => {
  const { stage, page: scripted } = await withDemoProvider(t, 'tracd 1.6')
  const context = await browser.newContext({
    javaScriptEnabled: false,
    storageState: await scripted.context().storageState(),
  })
  t.teardown(() => context.close())
  const [wiki, ticket] = [await context.newPage(), await context.newPage()]
  await wiki.goto(`${stage.url}/wiki/Syllabus?action=edit`)
  await wiki.locator('#text').fill('Typed without script.')
  await ticket.goto(`${stage.url}/newticket`)
  await ticket.locator('#field-summary').fill('Typed without script.')
  await stage.pass(3 * hour)

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
