/** Chromium without script makes, uses and revokes a token; a script on a page of our own origin can do none of it. */
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { violations } from '../fixtures/axe.js'
import { startBrowser } from '../fixtures/browser.js'
import { asBearer } from '../fixtures/personal-tokens.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { Visitor } from '../fixtures/visitor.js'

t.setTimeout(240_000)

/** What a hostile page of Trac would try, each way by itself; each tells what it could read. */
const hostile = `<!doctype html><title>Wiki</title><script>
const make = '/trac/auth/tokens/new'
const wish = { name: 'stolen', days: '90', may: 'all', where: 'all', form: '' }
const text = (answer) => answer.text()
const bodyOf = (other) => {
  try { return other?.document?.body?.innerHTML ?? 'closed' } catch { return 'closed' }
}
const later = (read, delay) => new Promise((resolve) => setTimeout(() => resolve(read()), delay))
const post = (target) => {
  const form = document.createElement('form')
  Object.assign(form, { method: 'post', action: make, target })
  for (const [name, value] of Object.entries(wish)) {
    form.append(Object.assign(document.createElement('input'), { name, value }))
  }
  document.body.append(form)
  form.submit()
}
const ways = {
  fetched: () => fetch(make).then(text),
  listed: () => fetch('/trac/auth/tokens').then(text),
  posted: () => fetch(make, { method: 'POST', body: new URLSearchParams(wish) }).then(text),
  framed: () => {
    const frame = Object.assign(document.createElement('iframe'), { src: make })
    document.body.append(frame)
    return later(() => bodyOf(frame.contentWindow), 1500)
  },
  opened: () => {
    const other = window.open(make, 'one')
    return later(() => bodyOf(other), 1500)
  },
  sent: () => {
    const other = window.open('', 'two')
    post('two')
    return later(() => bodyOf(other), 1500)
  },
}
</script><body>Hello</body>`

const { url, sam, upstream } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  answer: (_request, response) => response.setHeader('content-type', 'text/html').end(hostile),
  overlay: { tokens: { file: join(t.testdir({}), 'tokens') } },
})
const browser = await startBrowser()
t.teardown(() => browser.close())

async function signIn(context: BrowserContext, address: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(address)
  await page.fill('input[name="email"]', sam.email)
  await page.fill('input[name="password"]', sam.password)
  await page.click('button')
  return page
}

await t.test('without script a person makes a token, sees it once, and revokes it', async (t) => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await signIn(context, `${url}/auth/tokens`)
  await page.waitForURL(`${url}/auth/tokens`)
  await page.click('text=Make a token')
  await page.fill('input[name="name"]', 'feed reader')
  await page.check('input[name="may"][value="all"]')
  await page.click('main form button')
  const token = await page.innerText('.copied code')
  t.match(token, /^trac_pat_/)
  const client = new Visitor()
  const answer = await client.fetch(`${url}/wiki/Start`, { headers: asBearer(token) })
  t.equal(answer.status, 200)
  t.equal(upstream.lastHeaders()['x-trac-user'], 'sam')
  await page.click('text=Back to the tokens')
  t.notOk((await page.content()).includes(token.slice(33)), 'it is not shown again')
  await page.click('text=Revoke')
  t.match(await page.innerText('main'), 'You have none.')
  const late = await client.fetch(`${url}/wiki/Start`, { headers: asBearer(token) })
  t.equal(late.status, 401)
  await context.close()
})

await t.test('the pages are accessible', async (t) => {
  const context = await browser.newContext()
  const page = await signIn(context, `${url}/auth/tokens`)
  await page.waitForURL(`${url}/auth/tokens`)
  t.same(await violations(page), [])
  await page.goto(`${url}/auth/tokens/new`)
  // Whole: of what is scrolled away axe can't tell the colours.
  await page.evaluate(
    `for (const list of document.querySelectorAll('.many')) list.style.maxHeight = 'none'`,
  )
  t.same(await violations(page), [])
  await context.close()
})

await t.test('a script of our origin sees no form and makes no token', async (t) => {
  const context = await browser.newContext()
  const page = await signIn(context, `${url}/auth/login?return_to=/trac/wiki/Start`)
  await page.waitForURL(`${url}/wiki/Start`)
  for (const way of ['fetched', 'listed', 'posted', 'framed', 'opened', 'sent']) {
    const seen = await page.evaluate<string>(`ways.${way}()`)
    t.notMatch(seen, /name="form"|trac_pat_/, way)
    if (way === 'fetched' || way === 'posted') t.match(seen, 'ERR_NAVIGATION_REQUIRED', way)
  }
  const windows = context.pages().filter((one) => one !== page)
  t.equal(windows.length, 2, 'the windows opened')
  const forms = await Promise.all(windows.map((one) => one.content()))
  t.ok(
    forms.some((text) => text.includes('name="form"')),
    'one has the form, out of reach',
  )
  t.ok(
    forms.some((text) => text.includes('ERR_FORM_STALE')),
    'and the other made nothing',
  )
  const list = await context.newPage()
  await list.goto(`${url}/auth/tokens`)
  t.match(await list.innerText('main'), 'You have none.')
  await context.close()
})
