/** Renewed in silence: real Trac pages with Trac's own jQuery, a real gateway, and every exchange counted at the provider. */
import { t } from '../fixtures/tap.js'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import type { Test } from 'tap'
import type { BrowserContext, Page } from 'playwright-core'
import { startBrowser } from '../fixtures/browser.js'
import type { Overlay } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { TracStage, expiresAt, knowsSession } from '../fixtures/trac-stage.js'
import { both } from '../fixtures/tracs.js'
import type { ServerName } from '../fixtures/tracs.js'
import { until } from '../fixtures/until.js'

const hour = 60 * 60_000

t.setTimeout(600_000)
const browser = await startBrowser()
t.teardown(() => browser.close())

/** A Trac whose provider gives each refresh token once, so that two exchanges for one session would end it. */
async function setStage(t: Test, server: ServerName, apiUrl?: string, overlay: Overlay = {}) {
  const { provider, tokens, clock, settings } = await stage(t, {
    provider: 'scripted',
    tokens: { rotates: true },
    gateway: false,
    overlay,
  })
  provider.person = { ...provider.person, groups: ['instructors'] }
  const api = apiUrl === undefined ? {} : { apiUrl }
  const trac = await TracStage.create(t, { server, ...settings, clock, ...api })
  const context = await trac.person(t, browser)
  // Each page renews as late as it may, so that it is known who does.
  await context.addInitScript('Math.random = () => 0.999')
  const exchanges = () =>
    provider.received.token.filter(({ form }) => form.get('grant_type') === 'refresh_token').length
  return { trac, clock, provider, tokens, context, exchanges }
}

/** A page of Trac on which somebody is signed in. */
async function open(trac: TracStage, context: BrowserContext, path: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${trac.url}/login?referer=${encodeURIComponent(`/trac${path}`)}`)
  await page.waitForURL(trac.url + path)
  await knowsSession(page)
  return page
}

/** Counts the requests of this process’s servers, Trac being another process. */
function countRequests(t: Test, start: string): () => number {
  let count = 0
  const note = (message: unknown): void => {
    if ((message as { request: IncomingMessage }).request.url?.startsWith(start) === true) count++
  }
  subscribe('http.server.request.start', note)
  t.teardown(() => unsubscribe('http.server.request.start', note))
  return () => count
}

const ticketPreview = (page: Page) =>
  page.waitForResponse(
    (answer) => answer.request().method() === 'POST' && answer.url().includes('/ticket/1'),
  )

/** Waits until no tab renews or waits for its turn to: their lock is nobody's. */
const isQuiet = (page: Page) =>
  // Not waitForFunction: it takes a promise for a yes.
  until(
    () =>
      page.evaluate<boolean>(
        'navigator.locks.query().then(({ held, pending }) => held.length + pending.length === 0)',
      ),
    'no tab holds the lock or waits for it',
  )

for (const server of both) {
  await t.test(`one of two tabs renews for both (${server})`, async (t) => {
    const { trac, clock, provider, tokens, context, exchanges } = await setStage(t, server)
    const pages = [
      await open(trac, context, '/wiki/WikiStart'),
      await open(trac, context, '/ticket/1'),
    ]
    t.equal(exchanges(), 0)
    const posts = countRequests(t, '/trac/auth/refresh')
    const looks = countRequests(t, '/trac/auth/session')
    for (let i = 1; i <= 3; i++) {
      // The exchange of the first tab lasts until the other one has noticed as well that it is time.
      let finish = (): void => undefined
      const finished = new Promise<void>((resolve) => (finish = resolve))
      provider.replace('token', async (request) => {
        await finished
        return tokens(request)
      })
      await trac.pass(0.9 * hour)
      finish()
      for (const page of pages) await knowsSession(page, clock() + 0.9 * hour)
      // The other one looks whether it is done. Only then may time go on: a look that comes late renews by itself.
      await until(() => looks() === i, 'the tab that waited has looked')
      await isQuiet(pages[0]!)
      t.equal(posts(), i, 'only one of them asked')
      t.equal(exchanges(), i)
      const ends = () => Promise.all(pages.map(expiresAt))
      await until(async () => new Set(await ends()).size === 1, 'both tabs know the same end')
    }
    for (const page of pages) {
      t.equal(await page.getByRole('alert').count(), 0)
      await page.reload()
      t.match(await page.textContent('#metanav'), /logged in as/)
    }
  })

  await t.test(`Trac’s preview of a comment renews by itself (${server})`, async (t) => {
    const { trac, context, exchanges } = await setStage(t, server)
    const page = await open(trac, context, '/ticket/1')
    // Later than the gateway renews, sooner than the page does.
    await trac.pass(0.8 * hour)
    t.equal(exchanges(), 0)
    const answered = ticketPreview(page)
    await page.locator('#comment').pressSequentially("Typed as '''bold''' text")
    const answer = await answered
    t.equal(answer.status(), 200)
    t.ok((await answer.allHeaders())['set-cookie'], 'the renewed session came with it')
    await page.locator('#ticketchange strong', { hasText: 'bold' }).waitFor()
    t.equal(exchanges(), 1)
    await page.goto(`${trac.url}/prefs`)
    t.match(await page.textContent('#metanav'), /logged in as/)
    t.equal(exchanges(), 1)
  })

  await t.test(`an API’s 401 is mended by one renewal and one retry (${server})`, async (t) => {
    /** Which tokens the API takes. */
    let takes = (_token: string): boolean => true
    const { upstream: api } = await stage(t, {
      upstream: true,
      answer: ({ method, url, headers }, response, body) => {
        const { authorization = '', 'x-requested-with': by } = headers
        response.writeHead(takes(authorization) ? 200 : 401, { 'Content-Type': 'application/json' })
        response.end(JSON.stringify({ method, url, by, body: body.toString() }))
      },
      gateway: false,
    })
    const forwards = { upstreams: { api: { forwardAccessToken: true } } }
    const { trac, context, exchanges } = await setStage(t, server, api.url, forwards)
    const page = await open(trac, context, '/wiki/WikiStart')
    /** From now on the API takes every token but the one that comes next. */
    const refuseNext = (): void => {
      let refused: string | undefined
      takes = (token) => token !== (refused ??= token)
    }

    refuseNext()
    const told = await page.evaluate<object>(`new Promise((resolve, reject) => {
      jQuery.ajax({ type: 'POST', url: '/trac/api/notes', data: { text: 'é&=' }, success: resolve,
        error: (xhr) => reject(new Error(xhr.status)) })
    })`)
    const body = 'text=%C3%A9%26%3D'
    t.strictSame(told, { method: 'POST', url: '/trac/api/notes', by: 'XMLHttpRequest', body })
    t.equal(api.received.length, 2)
    t.equal(exchanges(), 1)

    const note = '{"text":"a note"}'
    const send = `tracTokenManager.authenticatedFetch('/trac/api/notes', {
      method: 'POST', body: '${note}', headers: { 'Content-Type': 'application/json' }
    }).then((answer) => answer.status)`
    refuseNext()
    t.equal(await page.evaluate(send), 200)
    t.strictSame(
      api.received.slice(2).map((request) => request.body.toString()),
      [note, note],
    )
    t.equal(exchanges(), 2)

    takes = () => false
    t.equal(await page.evaluate(send), 401, 'once again, and no more')
    t.equal(api.received.length, 6)
    t.equal(exchanges(), 3)
  })
}

await t.test('forty requests of a page wait for one exchange that takes its time', async (t) => {
  const { trac, clock, provider, tokens, context, exchanges } = await setStage(t, 'tracd 1.6')
  const page = await open(trac, context, '/wiki/WikiStart')
  let finish = (): void => undefined
  const finished = new Promise<void>((resolve) => (finish = resolve))
  provider.replace('token', async (request) => {
    await finished
    return tokens(request)
  })
  await trac.pass(0.8 * hour)
  const asked = provider.next('token')
  const arrived = countRequests(t, '/trac/wiki/Syllabus?n=')
  const statuses = page.evaluate<number[]>(
    `Promise.all(Array.from({ length: 40 }, (_, i) =>
      fetch('/trac/wiki/Syllabus?n=' + i).then((answer) => answer.text().then((text) =>
        text.includes('logged in as') ? answer.status : 0))))`,
  )
  await asked
  // A browser sends six at a time to one host. Those are there and wait, the others come after.
  await until(() => arrived() >= 6, 'six requests are at the gateway')
  finish()
  t.strictSame(await statuses, Array<number>(40).fill(200), 'all as the person who is signed in')
  t.equal(exchanges(), 1)
  const before = await context.cookies(trac.url)
  await page.goto(`${trac.url}/prefs`)
  t.match(await page.textContent('#metanav'), /logged in as/)
  t.strictSame(await context.cookies(trac.url), before, 'nothing is left to be renewed')
  t.equal(exchanges(), 1)
  await knowsSession(page, clock() + 0.9 * hour)
})
