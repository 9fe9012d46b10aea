/** The browser's token manager in a real Chromium, against a gateway that says what the test wants. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import type { BrowserContext, Page } from 'playwright-core'
import { askPython, pythonOf } from '../fixtures/tracs.js'
import { patience, startBrowser } from '../fixtures/browser.js'
import { listen } from '../fixtures/listen.js'

t.setTimeout(600_000)

const minute = 60_000
const hour = 60 * minute

/** The jQuery of a Trac, as `test/setup` installed it. */
async function readJquery(version: '1.4' | '1.6'): Promise<string> {
  const program = `import json, os, trac
print(json.dumps(os.path.join(os.path.dirname(trac.__file__), 'htdocs', 'js', 'jquery.js')))`
  return readFile(String(await askPython(await pythonOf(version), program)), 'utf8')
}

const form = `
<form method="post" action="/trac/save">
  <input type="hidden" name="action" value="edit">
  <input name="summary" value="old">
  <textarea name="text">first
second</textarea>
  <select name="kind"><option>defect<option>task</select>
  <select name="owner"><option>alice<option selected>bob</select>
  <input type="checkbox" name="close" checked>
  <input type="submit" name="save" value="Save">
  <input type="submit" name="cancel" value="Cancel">
</form>
<form method="get" action="/trac/search"><input name="q"></form>`

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A gateway and a Trac as the browser sees them: one session, whose clock the test turns. */
class Gateway {
  readonly server: Server
  readonly seen: string[] = []
  readonly saved: string[] = []
  origin = ''
  /** The gateway's clock. */
  now = 0
  user: string | undefined = 'alice'
  expiresAt = 0
  /** How long renewed tokens live. */
  life = hour
  /** What the next requests of a path are answered with, one after the other. */
  readonly planned = new Map<string, Answer[]>()
  jquery = ''
  readonly script: string

  constructor(text: string) {
    this.script = text
    this.server = createServer((request, response) => this.answer(request, response))
  }

  async listen(): Promise<void> {
    this.origin = `http://127.0.0.1:${await listen(this.server)}`
  }

  /** Somebody signs in, and no page is told. */
  signIn(user: string, life = hour): void {
    this.user = user
    this.expiresAt = this.now + life
  }

  plan(path: string, ...answers: Answer[]): void {
    this.planned.set(path, answers)
  }

  /** Waits until so many requests of a kind have come. */
  async reach(line: string, count: number): Promise<void> {
    const signal = AbortSignal.timeout(patience)
    while (this.count(line) < count) await once(this.server, 'request', { signal })
  }

  count(line: string): number {
    return this.seen.filter((seen) => seen === line).length
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').split('?')[0] ?? ''
    this.seen.push(`${request.method} ${path}`)
    response.setHeader('Date', new Date(this.now).toUTCString())
    const planned = this.planned.get(path)?.shift()
    if (planned !== undefined) planned(request, response)
    else if (path === '/trac/auth/client.js') send(response, 200, 'text/javascript', this.script)
    else if (path === '/trac/jquery.js') send(response, 200, 'text/javascript', this.jquery)
    else if (path === '/trac/auth/session') this.session(response)
    else if (path === '/trac/auth/refresh') this.refresh(response)
    else if (path === '/trac/save') this.save(request, response)
    else if (path.startsWith('/trac/api/')) json(response, 200, { path })
    else if (path === '/favicon.ico') response.writeHead(404).end()
    else this.page(response)
  }

  private isLive(): boolean {
    return this.user !== undefined && this.now < this.expiresAt
  }

  private session(response: ServerResponse): void {
    if (!this.isLive()) json(response, 401, { code: 'ERR_LOGIN_REQUIRED' })
    else json(response, 200, { user: this.user, expires_at: Math.floor(this.expiresAt / 1000) })
  }

  private refresh(response: ServerResponse): void {
    if (this.user === undefined) {
      json(response, 401, { code: 'ERR_SESSION_ENDED' })
      return
    }
    this.expiresAt = this.now + this.life
    const left = Math.floor(this.life / 1000)
    json(response, 200, { expires_in: left, expires_at: Math.floor(this.expiresAt / 1000) })
  }

  private save(request: IncomingMessage, response: ServerResponse): void {
    let body = ''
    request.setEncoding('utf8').on('data', (part: string) => (body += part))
    request.on('end', () => {
      this.saved.push(body)
      send(response, 200, 'text/html', '<title>saved</title>')
    })
  }

  private page(response: ServerResponse): void {
    const jquery = this.jquery === '' ? '' : '<script src="/trac/jquery.js"></script>'
    send(
      response,
      200,
      'text/html; charset=utf-8',
      `<!DOCTYPE html><html lang="en"><head><title>page</title>${jquery}
<script src="/trac/auth/client.js"></script></head><body>${form}</body></html>`,
    )
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(body)
}

function json(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json', JSON.stringify(value))
}

const refuse: Answer = (_, response) => json(response, 401, { code: 'ERR_SESSION_FINAL' })
const missing: Answer = (_, response) => json(response, 400, { code: 'ERR_CREDENTIAL_MISSING' })
const busy: Answer = (_, response) => json(response, 503, { code: 'ERR_PROVIDER_UNAVAILABLE' })
/** Breaks off within the answer; a browser makes a second try of its own if there was none. */
const hangUp: Answer = (_, response) => {
  response.writeHead(200, { 'Content-Length': 100 }).write('{', () => response.destroy())
}

const script = await readFile(new URL('../../src/browser/client.js', import.meta.url), 'utf8')
const jqueries = { '1.4': await readJquery('1.4'), '1.6': await readJquery('1.6') }
const browser = await startBrowser()
t.teardown(() => browser.close())

/** A browser with a clock of its own, and the gateway that it talks to. */
class Stage {
  readonly gateway: Gateway
  readonly context: BrowserContext

  private constructor(gateway: Gateway, context: BrowserContext) {
    this.gateway = gateway
    this.context = context
  }

  static async create(test: Pick<Test, 'teardown'>, skew = 0): Promise<Stage> {
    const gateway = new Gateway(script)
    await gateway.listen()
    const context = await browser.newContext()
    test.teardown(async () => {
      await context.close()
      gateway.server.closeAllConnections()
      gateway.server.close()
    })
    const start = Date.parse('2026-11-25T12:00:00Z')
    gateway.now = start + skew
    gateway.expiresAt = gateway.now + hour
    // It stands still but for what passes: no limit of the script depends on how fast a test runs.
    await context.clock.install({ time: start })
    await context.clock.pauseAt(start)
    return new Stage(gateway, context)
  }

  /** Opens a page and waits until its script knows who is signed in. */
  async open(): Promise<Page> {
    const page = await this.context.newPage()
    const asked = page.waitForResponse('**/auth/session')
    await page.goto(`${this.gateway.origin}/trac/wiki/Start`)
    if ((await asked).status() === 200) await knows(page, 'tracTokenManager.expiresAt !== null')
    return page
  }

  /** Lets time pass for both sides, as if the machine had slept: each timer fires once at most. */
  async pass(span: number): Promise<void> {
    this.gateway.now += span
    await this.context.clock.fastForward(span)
  }

  /** Lets the time of the tokens come at which they are to be renewed, for sure. */
  readonly passToRenewal = () => this.pass(0.86 * hour)
}

/** Waits until an expression holds in the page. */
const knows = (page: Page, expression: string) => page.waitForFunction(expression)

const expiresAt = (page: Page) => page.evaluate<number | null>('tracTokenManager.expiresAt')
const alert = (page: Page) => page.getByRole('alert')

/** Waits until what the page has begun is over: its requests are answered in order of their arrival here. */
async function settle(page: Page): Promise<void> {
  await page.evaluate('fetch("/trac/api/settled").then((answer) => answer.text())')
}

await t.test(
  'the client script is a small classic script that leaves one name behind',
  async (t) => {
    t.ok(gzipSync(script).length < 4096, `${gzipSync(script).length} bytes gzipped`)
    t.notMatch(script, /^\s*(?:export|import)\b/m)
    const stage = await Stage.create(t)
    const page = await stage.context.newPage()
    await page.goto(`${stage.gateway.origin}/trac/`)
    const names = 'Object.getOwnPropertyNames(window).length'
    const before = await page.evaluate<number>(`delete window.tracTokenManager; ${names}`)
    await page.addScriptTag({ url: '/trac/auth/client.js' })
    t.equal(await page.evaluate<number>(names), before + 1)
    t.equal(await page.evaluate('typeof tracTokenManager.authenticatedFetch'), 'function')
  },
)

await t.test('the client script is quiet when nobody is signed in', async (t) => {
  const stage = await Stage.create(t)
  stage.gateway.user = undefined
  const page = await stage.open()
  await page.getByRole('textbox').first().fill('typed')
  await stage.pass(10 * hour)
  await settle(page)
  t.equal(await expiresAt(page), null)
  t.equal(stage.gateway.count('GET /trac/auth/session'), 1)
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 0)
  t.equal(await alert(page).count(), 0)
  await page.getByRole('button', { name: 'Save' }).click()
  await page.waitForURL('**/save')
  t.equal(stage.gateway.saved.length, 1)
})

await t.test('the client script renews in silence before the tokens end', async (t) => {
  const stage = await Stage.create(t)
  const page = await stage.open()
  const first = (await expiresAt(page)) ?? 0
  await stage.pass(0.74 * hour)
  await settle(page)
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 0, 'not too early')
  await stage.pass(0.12 * hour)
  await knows(page, `tracTokenManager.expiresAt > ${first}`)
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 1)
  await stage.passToRenewal()
  await knows(page, `tracTokenManager.expiresAt > ${first + hour}`)
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 2)
  t.equal(await alert(page).count(), 0)
})

await t.test(
  'the client script counts by the gateway’s clock when the browser’s is wrong',
  async (t) => {
    const stage = await Stage.create(t, -3 * hour)
    const page = await stage.open()
    t.equal(await page.evaluate<number>('tracTokenManager.expiresAt - Date.now()'), hour)
    await stage.passToRenewal()
    await knows(page, `tracTokenManager.expiresAt - Date.now() > ${0.9 * hour}`)
    t.equal(stage.gateway.count('POST /trac/auth/refresh'), 1)
  },
)

for (const without of ['nothing', 'Web Locks', 'BroadcastChannel'] as const) {
  await t.test(`the client script renews once for all tabs, without ${without}`, async (t) => {
    const stage = await Stage.create(t)
    const remove = {
      nothing: '',
      'Web Locks': "Object.defineProperty(navigator, 'locks', { value: undefined })",
      BroadcastChannel: 'delete window.BroadcastChannel',
    }
    await stage.context.addInitScript(remove[without])
    const pages = [await stage.open(), await stage.open(), await stage.open()]
    const first = (await expiresAt(pages[0]!)) ?? 0
    // Without locks, it is the gateway that makes one exchange of several requests.
    const wanted = without === 'Web Locks' ? pages.length : 1
    // Each exchange hangs until all tabs have noticed that it is time: what one of them learned would spare others.
    const answers: (() => void)[] = []
    const hang: Answer = (_, response) => answers.push(() => stage.gateway['refresh'](response))
    stage.gateway.plan('/trac/auth/refresh', ...pages.map(() => hang))
    await stage.passToRenewal()
    await stage.gateway.reach('POST /trac/auth/refresh', wanted)
    for (const page of pages) await settle(page)
    for (const answer of answers) answer()
    for (const page of pages) await knows(page, `tracTokenManager.expiresAt > ${first}`)
    t.equal(stage.gateway.count('POST /trac/auth/refresh'), wanted)
  })
}

await t.test(
  'the client script tries again after a temporary failure, less and less often',
  async (t) => {
    const stage = await Stage.create(t)
    const page = await stage.open()
    const first = (await expiresAt(page)) ?? 0
    stage.gateway.plan('/trac/auth/refresh', busy, hangUp)
    // The waiting time doubles, 10 s at first, and is shortened by half at most.
    const waits: readonly (readonly [number, number])[] = [
      [0.86 * hour, 1],
      [20_000, 2],
      [5_000, 2],
      [20_000, 3],
    ]
    for (const [span, count] of waits) {
      await stage.pass(span)
      await stage.gateway.reach('POST /trac/auth/refresh', count)
      await settle(page)
      t.equal(stage.gateway.count('POST /trac/auth/refresh'), count)
    }
    await knows(page, `tracTokenManager.expiresAt > ${first}`)
    t.equal(await alert(page).count(), 0)
  },
)

await t.test(
  'the client script asks again who is signed in when the first answer was none',
  async (t) => {
    const stage = await Stage.create(t)
    stage.gateway.plan('/trac/auth/session', busy)
    const page = await stage.open()
    // The time for a second question is counted from the first answer.
    await settle(page)
    t.equal(await expiresAt(page), null)
    await stage.pass(minute)
    await knows(page, 'tracTokenManager.expiresAt !== null')
    t.equal(stage.gateway.count('GET /trac/auth/session'), 2)
  },
)

await t.test('authenticatedFetch renews once after a 401 and sends the same again', async (t) => {
  const stage = await Stage.create(t)
  const page = await stage.open()
  const bodies: string[] = []
  const echo: Answer = (request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (part: string) => (body += part))
    request.on('end', () => {
      bodies.push(body)
      json(response, bodies.length === 1 ? 401 : 200, {})
    })
  }
  stage.gateway.plan('/trac/api/notes', echo, echo)
  const post = `tracTokenManager.authenticatedFetch('/trac/api/notes', { method: 'POST', body: 'a note' }).then((answer) => answer.status)`
  t.equal(await page.evaluate(post), 200)
  t.strictSame(bodies, ['a note', 'a note'])
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 1)

  stage.gateway.plan('/trac/api/notes', refuse, refuse)
  t.equal(await page.evaluate(post), 401, 'only once')
  t.equal(stage.gateway.count('POST /trac/api/notes'), 4)

  stage.gateway.plan('/trac/api/notes', refuse)
  stage.gateway.plan('/trac/auth/refresh', busy)
  t.equal(await page.evaluate(post), 401, 'the first answer, if there is no renewal')
  t.equal(stage.gateway.count('POST /trac/api/notes'), 5)
})

for (const version of ['1.6', '1.4'] as const) {
  await t.test(`jQuery of Trac ${version} renews once after a 401`, async (t) => {
    const stage = await Stage.create(t)
    stage.gateway.jquery = jqueries[version]
    const page = await stage.open()
    // jQuery's time limits need a clock that goes on.
    await stage.context.clock.resume()
    const ask = (options: string) =>
      page.evaluate<string[]>(`new Promise((resolve) => {
        const seen = []
        const note = (what) => () => seen.push(what)
        jQuery(document).ajaxError(note('ajaxError')).ajaxSuccess(note('ajaxSuccess'))
        jQuery.ajax({
          url: '/trac/api/preview', type: 'POST', data: { text: 'é&=' }, dataType: 'json',
          success: (value) => seen.push('success ' + value.path),
          error: (xhr) => seen.push('error ' + xhr.status + ' ' + xhr.responseText.length),
          complete: () => setTimeout(() => { jQuery(document).off(); resolve(seen) }),
          ${options}
        })
      })`)
    const headers: (string | undefined)[] = []
    stage.gateway.plan('/trac/api/preview', (request, response) => {
      headers.push(String(request.headers['x-requested-with']), request.headers['content-type'])
      refuse(request, response)
    })
    t.strictSame(await ask(''), ['success /trac/api/preview', 'ajaxSuccess'])
    t.strictSame(headers, ['XMLHttpRequest', 'application/x-www-form-urlencoded; charset=UTF-8'])
    t.equal(stage.gateway.count('POST /trac/api/preview'), 2)
    t.equal(stage.gateway.count('POST /trac/auth/refresh'), 1)

    stage.gateway.plan('/trac/api/preview', refuse, refuse)
    t.match(await ask(''), [/^error 401 /, 'ajaxError'], 'only once')
    t.equal(stage.gateway.count('POST /trac/api/preview'), 4)

    stage.gateway.plan('/trac/api/preview', hangUp)
    t.match(await ask(''), [/^error 0 /, 'ajaxError'], 'a lost connection')
    stage.gateway.plan('/trac/api/preview', () => undefined)
    t.match(await ask('timeout: 50'), [/^error 0 /, 'ajaxError'], 'a time limit')
    t.equal(stage.gateway.count('POST /trac/api/preview'), 6)
  })
}

await t.test('refreshTokens and getValidToken say why there is nothing', async (t) => {
  const stage = await Stage.create(t)
  const page = await stage.open()
  const why = (call: string) =>
    page.evaluate<string>(`tracTokenManager.${call}.then(String, (error) => error.message)`)
  t.match(await why('getValidToken()'), /authenticatedFetch/)
  t.equal(await why('refreshTokens()'), String(await expiresAt(page)))
  stage.gateway.plan('/trac/auth/refresh', busy)
  t.match(await why('refreshTokens()'), /503/)
  stage.gateway.user = undefined
  t.match(await why('refreshTokens()'), /sign in again/)
  t.equal(await expiresAt(page), null)
})

/** A page whose wiki text was changed. */
async function openEditor(stage: Stage): Promise<Page> {
  const page = await stage.open()
  await page.locator('textarea').fill('hours of work')
  return page
}

/** One whose session has ended, of which it has told. */
async function openEndedEditor(t: Test) {
  const stage = await Stage.create(t)
  const page = await openEditor(stage)
  stage.gateway.user = undefined
  await stage.passToRenewal()
  await alert(page).waitFor()
  return { stage, page }
}

await t.test(
  'an editor is warned when the provider refuses to renew, and the warning goes when it renews',
  async (t) => {
    const stage = await Stage.create(t)
    const page = await openEditor(stage)
    await page.evaluate(
      'window.left = []; window.off = tracTokenManager.onExpiring((ms) => left.push(ms))',
    )
    stage.gateway.plan('/trac/auth/refresh', refuse)
    await stage.passToRenewal()
    await alert(page).waitFor()
    t.match(await alert(page).textContent(), /ends in 9 min, at /)
    t.strictSame(await page.evaluate('left'), [hour - 0.86 * hour])

    const link = alert(page).getByRole('link', { name: /Sign in again/ })
    t.equal(
      await link.getAttribute('href'),
      `${stage.gateway.origin}/trac/auth/login?return_to=%2Ftrac%2F&prompt=login`,
    )
    t.equal(await link.getAttribute('target'), '_blank')
    t.equal(await link.getAttribute('rel'), 'noopener')

    await alert(page).getByRole('button', { name: 'Dismiss' }).press('Enter')
    t.equal(await alert(page).count(), 0)
    await stage.pass(minute)
    await settle(page)
    t.equal(await alert(page).count(), 0, 'stays away')

    // Signed in again in another tab: the tokens are new, nothing is left to say.
    stage.gateway.expiresAt = stage.gateway.now + hour
    const other = await stage.open()
    await knows(page, `tracTokenManager.expiresAt - Date.now() > ${0.9 * hour}`)
    await other.close()
    await page.evaluate('off()')
    t.equal(await page.locator('textarea').inputValue(), 'hours of work')

    await stage.pass(0.5 * hour)
    stage.gateway.plan('/trac/auth/refresh', missing)
    await stage.pass(0.36 * hour)
    await alert(page).waitFor()
    t.equal((await page.evaluate<number[]>('left')).length, 1, 'unsubscribed')
  },
)

await t.test(
  'a page says nothing while nothing was typed, and warns when something is',
  async (t) => {
    const stage = await Stage.create(t)
    const page = await stage.open()
    stage.gateway.plan('/trac/auth/refresh', refuse)
    await page.evaluate('tracTokenManager.onExpiring(() => (window.isExpiring = true))')
    await stage.passToRenewal()
    await knows(page, 'window.isExpiring')
    t.equal(await alert(page).count(), 0)
    await page.locator('input[name=q]').fill('a search is no loss')
    t.equal(await alert(page).count(), 0)
    await page.locator('select[name=kind]').selectOption('task')
    await page.locator('input[name=summary]').press('End')
    await alert(page).waitFor()
    await page.locator('select[name=kind]').selectOption('defect')
    await page.locator('input[name=close]').uncheck()
    await alert(page).waitFor()
    await page.locator('input[name=close]').check()
    await alert(page).waitFor({ state: 'detached' })
  },
)

await t.test('an end that no longer moves is taken for the session’s', async (t) => {
  const stage = await Stage.create(t)
  const page = await openEditor(stage)
  stage.gateway.life = 0.14 * hour
  await stage.passToRenewal()
  await alert(page).waitFor()
  t.match(await alert(page).textContent(), /ends in/)
  await stage.pass(minute)
  await settle(page)
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 1)
})

await t.test('nothing that was typed is lost when the session has ended', async (t) => {
  const { stage, page } = await openEndedEditor(t)
  const { gateway } = stage
  t.match(await alert(page).textContent(), /has ended/)

  await page.getByRole('button', { name: 'Save' }).click()
  await knows(page, `document.activeElement.textContent.startsWith('Sign in again')`)
  t.equal(gateway.saved.length, 0, 'the form was held back')
  t.equal(page.url(), `${gateway.origin}/trac/wiki/Start`)
  const href = await alert(page).getByRole('link').getAttribute('href')
  t.equal(href, `${gateway.origin}/trac/auth/login?return_to=%2Ftrac%2F`)

  // In the new tab the sign-in leads to a page of Trac, which tells the others.
  const opened = stage.context.waitForEvent('page')
  gateway.plan('/trac/auth/login', (_, response) => {
    gateway.signIn('alice')
    response.writeHead(303, { Location: '/trac/' }).end()
  })
  await page.keyboard.press('Enter')
  await (await opened).waitForURL('**/trac/')
  await alert(page).waitFor({ state: 'detached' })
  t.equal(await page.locator('textarea').inputValue(), 'hours of work')

  await page.getByRole('button', { name: 'Save' }).click()
  await page.waitForURL('**/save')
  t.match(gateway.saved, [/text=hours\+of\+work.*&save=Save/])
})

await t.test('a held form is sent by itself when the session turns out to live', async (t) => {
  const { stage, page } = await openEndedEditor(t)
  const { gateway } = stage
  // Signed in again, and no tab has told.
  gateway.signIn('alice')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.waitForURL('**/save')
  t.match(gateway.saved, [/text=hours\+of\+work.*&save=Save/])
})

await t.test(
  'a form is held back while the gateway can’t say whether the session lives',
  async (t) => {
    const stage = await Stage.create(t)
    const { gateway } = stage
    const page = await openEditor(stage)
    gateway.plan('/trac/auth/refresh', ...Array.from({ length: 9 }, () => busy))
    gateway.plan('/trac/auth/session', busy)
    await stage.passToRenewal()
    await stage.pass(0.2 * hour)
    await alert(page).waitFor()
    t.match(await alert(page).textContent(), /can’t be checked/)
    await page.getByRole('button', { name: 'Save' }).click()
    await settle(page)
    t.equal(gateway.saved.length, 0)
    t.equal(await page.locator('textarea').inputValue(), 'hours of work')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.waitForURL('**/save')
    t.match(gateway.saved, [/cancel=Cancel/], 'but lets go of it')
  },
)

await t.test(
  'a form is held back while a page can’t ask whether the session lives, and is then sent',
  async (t) => {
    const stage = await Stage.create(t)
    const { gateway } = stage
    const page = await openEditor(stage)
    gateway.plan('/trac/auth/session', busy)
    const save = page.getByRole('button', { name: 'Save' })
    await save.click()
    await alert(page).waitFor()
    t.match(await alert(page).textContent(), /can’t be checked/)
    t.equal(gateway.saved.length, 0)
    await save.click()
    await page.waitForURL('**/save')
    t.match(gateway.saved, [/text=hours\+of\+work.*&save=Save/])
  },
)

await t.test('a session comes back by itself when the page gets the focus', async (t) => {
  const { stage, page } = await openEndedEditor(t)
  const { gateway } = stage
  gateway.signIn('alice')
  await page.evaluate(`window.dispatchEvent(new Event('focus'))`)
  await alert(page).waitFor({ state: 'detached' })
})

await t.test('a page warns when somebody else has signed in meanwhile', async (t) => {
  const stage = await Stage.create(t)
  const { gateway } = stage
  const page = await openEditor(stage)
  gateway.signIn('bob', 2 * hour)
  await stage.open()
  await alert(page).waitFor()
  t.match(await alert(page).textContent(), /signed in as bob.*alice/)
})

await t.test('a hidden page without changes does not keep the session alive', async (t) => {
  const stage = await Stage.create(t)
  await stage.context.addInitScript(`
    window.visibility = 'visible'
    Object.defineProperty(document, 'visibilityState', { get: () => window.visibility })`)
  const page = await stage.open()
  const turn = (to: string) =>
    page.evaluate(
      `window.visibility = '${to}'; document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))`,
    )
  await turn('hidden')
  await stage.passToRenewal()
  await settle(page)
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 0)
  await turn('visible')
  await knows(page, `tracTokenManager.expiresAt - Date.now() > ${0.9 * hour}`)
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 1)

  await page.locator('textarea').fill('unsaved')
  await turn('hidden')
  await stage.passToRenewal()
  await knows(page, `tracTokenManager.expiresAt - Date.now() > ${0.9 * hour}`)
  t.equal(stage.gateway.count('POST /trac/auth/refresh'), 2, 'with changes it does')
})
