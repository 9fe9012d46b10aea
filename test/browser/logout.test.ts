/** Signing out in a real Chromium over HTTPS: every chunk of the cookie goes, and what was copied before is of no use. */
import { createServer } from 'node:http'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { twoCookiesOfGroups } from '../fixtures/groups.js'
import { startBrowser } from '../fixtures/browser.js'
import { createCertificate } from '../fixtures/certificate.js'
import { startTestGateway } from '../fixtures/gateway.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'

const groups = [...twoCookiesOfGroups]
const { certificate, key } = createCertificate()
const port = await freePort()
const url = `https://localhost:${port}/trac`
const { provider, sam, upstream, gateway } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  port,
  env: { CERTIFICATE: certificate, KEY: key },
  overlay: {
    server: {
      publicUrl: url,
      tls: { certificate: { fromEnv: 'CERTIFICATE' }, key: { fromEnv: 'KEY' } },
    },
    permissions: { groups: Object.fromEntries(groups.map((group) => [group, ['WIKI_VIEW']])) },
  },
})
sam.groups = groups
const client = provider.clients[0]!
client.redirectUris.push(`${url}/auth/callback`)
client.logoutUris.push(`${url}/auth/signed-out`)
const stem = gateway.gateway.services.names.prefix
const browser = await startBrowser()
t.teardown(() => browser.close())

await t.test(
  'a sign-out leaves nothing of a large session, and a copy of it opens nothing',
  async (t) => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const page = await context.newPage()
    const ours = async () =>
      (await context.cookies(url)).filter(({ name }) => name.startsWith(stem))
    await page.goto(`${url}/auth/login?return_to=/trac/auth/session`)
    await page.fill('input[name=email]', sam.email)
    await page.fill('input[type=password]', sam.password)
    await page.click('button')
    await page.waitForURL(`${url}/`)
    const kept = await ours()
    t.match(stem, /^__Host-tg-[0-9a-f]{8}-$/)
    const sessions = kept.filter(({ name }) => /-s\d?$/.test(name))
    t.same(
      sessions.map(({ name }) => name).toSorted((a, b) => a.localeCompare(b)),
      [`${stem}s1`, `${stem}s2`],
    )
    for (const { secure, httpOnly, sameSite, path, domain } of sessions) {
      t.match(
        { secure, httpOnly, sameSite, path, domain },
        {
          secure: true,
          httpOnly: true,
          sameSite: 'Lax',
          path: '/',
          domain: 'localhost',
        },
      )
    }
    await page.goto(`${url}/auth/session`)
    t.match(await page.textContent('body'), 'Signed in as sam')

    await page.goto(`${url}/auth/logout`)
    await page.click('button:text-is("Sign out")')
    await page.waitForURL(`${url}/auth/signed-out`)
    t.match(await page.textContent('h1'), 'Signed out')
    t.same(
      (await ours()).filter(({ name }) => /-s\d?$/.test(name)),
      [],
      'every chunk is gone',
    )
    await page.goto(`${url}/auth/login`)
    t.equal(new URL(page.url()).origin, provider.origin)
    t.ok(await page.isVisible('input[type=password]'), 'the provider asks again')

    const thief = await browser.newContext({ ignoreHTTPSErrors: true })
    await thief.addCookies(kept)
    const replay = await thief.newPage()
    const answer = await replay.request.get(`${url}/auth/session`, {
      headers: { accept: 'application/json' },
    })
    t.equal(answer.status(), 401)
    t.same(
      (await thief.cookies(url)).filter(({ name }) => /-s\d?$/.test(name)),
      [],
      'and they are taken from whoever replays them',
    )
  },
)

/** An origin of its own that sends every visitor on. */
async function startSignpost(t: Test, to: (asked: URL) => string) {
  const visits: string[] = []
  const server = createServer((request, response) => {
    const asked = new URL(request.url ?? '/', 'http://127.0.0.1')
    visits.push(asked.pathname)
    response.writeHead(302, { Location: to(asked) }).end()
  })
  const port = await listen(server)
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { origin: `http://127.0.0.1:${port}`, visits }
}

const afterSignOut = (asked: URL) => asked.searchParams.get('post_logout_redirect_uri') ?? '/'

/** Somebody signed in by a provider whose discovery names this address to sign out at. */
async function signedInAt(t: Test, endSession: string) {
  const { provider: own, settings } = await stage(t, {
    provider: 'scripted',
    providerOptions: { dialect: 'standard', path: '' },
    upstream,
    gateway: false,
  })
  own.replace('discovery', (request) => ({
    body: {
      ...(own.usual('discovery', request).body as object),
      end_session_endpoint: endSession,
    },
  }))
  const options = { ...settings, port: await freePort() }
  let started = await startTestGateway(options)
  const context = await browser.newContext()
  t.teardown(async () => {
    await context.close()
    await started.close()
  })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  await page.goto(`${started.url}/auth/login?return_to=/trac/auth/session`)
  return {
    provider: own,
    page,
    url: started.url,
    async restart() {
      await started.close()
      started = await startTestGateway(options)
    },
  }
}

const signOut = 'button:text-is("Sign out")'

for (const path of ['/auth/logout', '/logout', '/auth/session']) {
  await t.test(
    `sign-out at ${path} reaches a provider that ends it at another origin`,
    async (t) => {
      const end = await startSignpost(t, afterSignOut)
      const { page, url, restart } = await signedInAt(t, `${end.origin}/end`)
      // A gateway that has not asked for discovery yet.
      await restart()
      const answer = await page.goto(url + path)
      t.match(answer?.headers()['content-security-policy'], `form-action 'self' ${end.origin};`)
      await page.click(signOut)
      await page.waitForURL(`${url}/auth/signed-out`)
      t.match(await page.textContent('h1'), 'Signed out')
      t.same(end.visits, ['/end'])
    },
  )
}

await t.test('with a provider that is down, sign-out ends on our own page', async (t) => {
  const end = await startSignpost(t, afterSignOut)
  const { page, url, restart, provider: down } = await signedInAt(t, `${end.origin}/end`)
  await restart()
  await down.stop()
  const answer = await page.goto(`${url}/auth/logout`)
  t.match(answer?.headers()['content-security-policy'], `form-action 'self' ${down.origin};`)
  await page.click(signOut)
  await page.waitForURL(`${url}/auth/signed-out`)
  t.same(end.visits, [])
})

// Chromium holds every redirect of the chain against form-action, and where a provider leads to from its own
// end_session_endpoint cannot be known. What had to end has ended by then.
await t.test(
  'a provider that leads on to a third origin is stopped there by Chromium',
  async (t) => {
    const third = await startSignpost(t, afterSignOut)
    const end = await startSignpost(t, (asked) => `${third.origin}/more${asked.search}`)
    const { page, url } = await signedInAt(t, `${end.origin}/end`)
    await page.goto(`${url}/auth/logout`)
    const complaint = page.waitForEvent('console', (message) => /form-action/.test(message.text()))
    await page.click(signOut)
    t.match((await complaint).text(), 'The request has been blocked')
    t.same([end.visits, third.visits], [['/end'], []], 'the provider was there')
    t.equal(page.url(), `${url}/auth/logout`)
    t.equal((await page.request.get(`${url}/auth/session`)).status(), 401, 'the session is over')
    await page.click(signOut)
    await page.waitForURL(`${url}/auth/signed-out`)
  },
)
