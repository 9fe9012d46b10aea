/** The pages of our own in Chromium, each by its real cause: without script, by keyboard, narrow, dark, checked by axe. */
import { t } from '../fixtures/tap.js'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { BrowserContext, Page, Response } from 'playwright-core'
import { languageTags } from '../../src/texts/languages.js'
import { violations } from '../fixtures/axe.js'
import { startBrowser } from '../fixtures/browser.js'
import { badAnswers } from '../fixtures/scripted-provider.js'
import type { Answer } from '../fixtures/scripted-provider.js'
import { stage } from '../fixtures/stage.js'
import { authenticate } from '../fixtures/trac-stage.js'
import { until } from '../fixtures/until.js'

t.setTimeout(900_000)
const browser = await startBrowser()
t.teardown(() => browser.close())
// Takes a request and never answers.
const { upstream: silent } = await stage(t, {
  upstream: true,
  answer: () => undefined,
  gateway: false,
})
const impatient = { timeouts: { firstByte: '100ms' } }
const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const logo = join(folder, 'logo.svg')
writeFileSync(
  logo,
  '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="60"><rect width="900" height="60"/></svg>',
)
const routes = [
  { name: 'api', path: '/api/**', upstream: 'api' },
  { name: 'new', path: '/new/**', upstream: 'api', mode: 'shadow' },
]
const { provider, gateway, url, origin } = await stage(t, {
  provider: 'scripted',
  api: silent,
  overlay: { upstreams: { api: impatient }, routes, pages: { theme: 'auto', logo } },
})
const strict = await stage(t, {
  provider,
  api: silent,
  overlay: { rateLimit: { auth: { max: 1, per: '1h' } }, pages: { theme: 'auto', logo } },
})
// The scripted one has no page to sign out at.
const whole = await stage(t, {
  provider: 'cognito',
  overlay: { pages: { theme: 'auto', logo, home: '/trac/wiki' } },
})

/** An administrator whose names are as long as they may be, so that the pages have something to hold. */
provider.person = {
  ...provider.person,
  username: `pat-${'x'.repeat(96)}`,
  name: `Pat ${'Y'.repeat(96)}`,
  email: `${'pat'.repeat(20)}@example.edu`,
  groups: ['admins', 'students'],
}

/** A way to one of the pages; resolves to the answer that is the page. */
interface Cause {
  readonly page: string
  readonly status: number
  readonly title: RegExp
  /** Labels of what can be done, in the order of the Tab key, each with the address it leads to. */
  readonly actions: readonly (readonly [label: string, path: string])[]
  /** Whether a form may lead to the provider; it may on all but one. */
  readonly forms?: 'here'
  readonly reach: (page: Page, context: BrowserContext) => Promise<Response | null>
}

const start = ['Go to the start page', '/trac/'] as const
const signIn = ['Sign in', '/trac/auth/login'] as const
const signInFreshly = ['Sign in', '/trac/auth/login?prompt=login'] as const
const tryAgain = (path: string) => ['Try again', path] as const

/** Signs in without a form, as the scripted provider lets everybody, and ends on the page after it. */
const login = (page: Page) => page.goto(`${url}/auth/login`)

/** The same while the provider answers otherwise. */
const loginWith = (endpoint: 'authorize' | 'token', answer: Answer) => async (page: Page) => {
  provider.replace(endpoint, answer)
  try {
    return await login(page)
  } finally {
    provider.restore(endpoint)
  }
}

const denies: Answer = (request) => {
  const { searchParams } = request.url
  const back = new URL(searchParams.get('redirect_uri') ?? '')
  back.searchParams.set('error', 'access_denied')
  back.searchParams.set('state', searchParams.get('state') ?? '')
  return { status: 302, headers: { Location: back.href } }
}

const causes: readonly Cause[] = [
  {
    page: 'sign-in was refused at the provider',
    status: 403,
    title: /^Sign-in did not work/,
    actions: [signIn, start],
    reach: loginWith('authorize', denies),
  },
  {
    page: 'the provider fails in the middle of a sign-in',
    status: 503,
    title: /^Sign-in did not work/,
    actions: [signIn, start],
    reach: loginWith('token', () => badAnswers.unavailable),
  },
  {
    page: 'the name cannot be used',
    status: 401,
    title: /^Sign-in did not work/,
    actions: [signInFreshly, start],
    reach: async (page) => {
      const { person } = provider
      provider.person = { ...person, username: 'anonymous' }
      try {
        return await login(page)
      } finally {
        provider.person = person
      }
    },
  },
  {
    page: 'the way back from a sign-in that nobody began',
    status: 400,
    title: /^Sign-in did not work/,
    actions: [signIn, start],
    reach: (page) => page.goto(`${url}/auth/callback?code=x&state=y`),
  },
  {
    page: 'sign-in again and again',
    status: 400,
    title: /^That request can’t be served/,
    actions: [signIn, start],
    reach: async (page, context) => {
      for (let i = 0; i < 2; i++) {
        await login(page)
        await context.clearCookies({ name: /-s\d?$/ })
      }
      return login(page)
    },
  },
  {
    page: 'sign-in too often from one address',
    status: 429,
    title: /^Too many requests/,
    actions: [signIn, start],
    reach: async (page) => {
      await page.goto(`${strict.url}/auth/login`)
      return page.goto(`${strict.url}/auth/login`)
    },
  },
  {
    page: 'forbidden',
    status: 403,
    title: /^Not allowed/,
    actions: [
      start,
      ['Sign out', '/trac/auth/logout'],
      [
        'Use another account',
        '/trac/auth/login?prompt=login&return_to=%2Ftrac%2Fwiki%2FStart%3Faction%3Dedit',
      ],
    ],
    reach: async (page) => {
      const { person } = provider
      provider.person = { ...person, groups: ['students'] }
      await login(page)
      provider.person = person
      return page.goto(`${url}/wiki/Start?action=edit`)
    },
  },
  {
    page: 'who one is',
    status: 200,
    title: /^Signed in as pat-x+/,
    actions: [start, ['Sign out', '/trac/auth/logout']],
    reach: async (page) => {
      await login(page)
      return page.goto(`${url}/auth/session`)
    },
  },
  {
    page: 'who one is, for nobody',
    status: 401,
    title: /^Please sign in/,
    actions: [signIn, start],
    reach: (page) => page.goto(`${url}/auth/session`),
  },
  {
    page: 'sign out?',
    status: 200,
    title: /^Sign out\?/,
    actions: [['Sign out', '/trac/auth/logout'], start],
    reach: async (page) => {
      await login(page)
      return page.goto(`${url}/logout`)
    },
  },
  {
    page: 'sign out, for nobody',
    status: 200,
    title: /^You are not signed in/,
    actions: [start],
    reach: (page) => page.goto(`${url}/auth/logout`),
  },
  {
    page: 'signed out',
    status: 200,
    title: /^Signed out/,
    actions: [['Trac', '/trac/wiki'], ['Sign in again', '/trac/auth/login?prompt=login'], start],
    reach: async (page) => {
      await page.goto(`${whole.url}/auth/login`)
      await authenticate(page, 'sam')
      // Whoever leaves before that is not signed in.
      await page.waitForURL(`${whole.url}/`)
      await page.goto(`${whole.url}/auth/logout`)
      const signedOut = page.waitForResponse('**/auth/signed-out')
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.waitForURL('**/auth/signed-out')
      return signedOut
    },
  },
  {
    page: 'Trac is down',
    status: 502,
    title: /^Trac can’t be reached/,
    actions: [tryAgain('/trac/wiki/Start'), start],
    reach: (page) => page.goto(`${url}/wiki/Start`),
  },
  {
    page: 'an application is too slow',
    status: 504,
    title: /^Trac took too long/,
    actions: [tryAgain('/trac/api/slow'), start],
    reach: async (page) => {
      await login(page)
      return page.goto(`${url}/api/slow`)
    },
  },
  {
    page: 'nothing there',
    status: 404,
    title: /^Not found/,
    actions: [start],
    reach: (page) => page.goto(`${url}/auth/nothing/here`),
  },
  {
    page: 'outside of the base path',
    status: 404,
    title: /^Not found/,
    actions: [start],
    reach: (page) => page.goto(`${origin}/elsewhere`),
  },
  {
    page: 'an address that could be read in two ways',
    status: 400,
    title: /^That request can’t be served/,
    actions: [start],
    reach: (page) => page.goto(`${url}/wiki/a%2Fb`),
  },
  {
    page: 'another host name',
    status: 421,
    title: /^This host name is not served here/,
    actions: [[`Go to localhost:${gateway.port}`, '/trac/']],
    reach: (page) => page.goto(`http://127.0.0.1:${gateway.port}/trac/`),
  },
  {
    page: 'the status of the gateway',
    status: 200,
    title: /^Gateway status/,
    actions: [
      ['Metrics', '/metrics'],
      ['Readiness', '/readyz'],
    ],
    forms: 'here',
    reach: (page) => page.goto(gateway.adminUrl),
  },
]

/** A person’s browser, and what its policy held back. */
async function open(t: Test, script: 'with script' | 'without script') {
  const context = await browser.newContext({ javaScriptEnabled: script === 'with script' })
  t.teardown(() => context.close())
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) complaints.push(message.text())
  })
  return { context, page, complaints }
}

/** What is said of the element that has the focus: its text and whether one can see that it has it. */
const focused = (page: Page) =>
  page.evaluate<[string, string]>(
    `[document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]`,
  )

/** Presses Tab until the focus is where it shall be; a page that has just come may miss the first. */
const tabTo = (page: Page, label: string) =>
  until(async () => {
    await page.keyboard.press('Tab')
    return (await focused(page))[0] === label
  }, `the focus on “${label}”`)

for (const cause of causes) {
  await t.test(cause.page, async (t) => {
    const { context, page, complaints } = await open(t, 'without script')
    const answer = await cause.reach(page, context)
    t.equal(answer?.status(), cause.status)
    t.match(await page.title(), cause.title)
    t.match(await page.title(), / – Trac$/)
    t.strictSame(complaints, [], 'the policy lets the page’s own style and logo in')

    const headers = answer?.headers() ?? {}
    const [, style, forms] =
      /^default-src 'none'; style-src '(.*)'; img-src data:; form-action (.*); frame-ancestors 'none'; base-uri 'none'$/.exec(
        headers['content-security-policy'] ?? '',
      ) ?? []
    t.match(style, /^sha256-[\w+/]+={0,2}$/)
    t.match(forms, cause.forms === 'here' ? /^'self'$/ : /^'self' http:\/\/127\.0\.0\.1:\d+$/)
    t.match(headers, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    })
    t.equal(await page.locator('script, [onclick], [style]').count(), 0)
    t.equal(await page.locator('html').getAttribute('lang'), 'en')

    for (const [label] of cause.actions) {
      await tabTo(page, label)
      const [, outline] = await focused(page)
      t.not(outline, 'none', `one sees that “${label}” has the focus`)
    }
    t.strictSame(
      await page.locator('a, button, input, select, textarea').allTextContents(),
      cause.actions.map(([label]) => label),
      'and nothing else takes it',
    )
  })

  for (const [label, path] of cause.actions) {
    await t.test(`the page “${cause.page}” leads to “${label}” by keyboard`, async (t) => {
      const { context, page } = await open(t, 'without script')
      await cause.reach(page, context)
      await tabTo(page, label)
      const asked = page.waitForRequest((request) => request.isNavigationRequest())
      await page.keyboard.press('Enter')
      const { pathname, search } = new URL((await asked).url())
      t.equal(pathname + search, path)
    })
  }

  await t.test(
    `the page “${cause.page}” is readable narrow, dark and in each language, and axe finds nothing`,
    async (t) => {
      const { context, page } = await open(t, 'with script')
      await cause.reach(page, context)
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        const ground = await page.evaluate<string>(
          'getComputedStyle(document.body).backgroundColor',
        )
        t.equal(ground === 'rgb(255, 255, 255)', colorScheme === 'light')
        const drawn = await page.evaluate<number>('document.images[0].naturalWidth')
        t.equal(drawn, 900, 'the logo is drawn')
        for (const width of [1280, 320]) {
          await page.setViewportSize({ width, height: 640 })
          const how = `${colorScheme}, ${width} px`
          t.strictSame(await violations(page), [], how)
          const wide = await page.evaluate<number>('document.documentElement.scrollWidth')
          t.equal(wide, width, `${how}: nothing to scroll sideways`)
        }
      }
      // Words are longer elsewhere. The status page is for operators alone, and English.
      for (const language of languageTags.filter((tag) => tag !== 'en')) {
        await page.setExtraHTTPHeaders({ 'accept-language': language })
        await page.reload()
        const shown = cause.forms === 'here' ? 'en' : language
        t.equal(await page.locator('html').getAttribute('lang'), shown)
        t.strictSame(await violations(page), [], `${language}, dark, 320 px`)
        const wide = await page.evaluate<number>('document.documentElement.scrollWidth')
        t.equal(wide, 320, `${language}: nothing to scroll sideways`)
      }
    },
  )
}
