/** Signing out in a real Chromium over HTTPS: every chunk of the cookie goes, and what was copied before is of no use. */
import t from 'tap'
import { startProvider } from '../../src/demo/provider.js'
import { startBrowser } from '../fixtures/browser.js'
import { createCertificate } from '../fixtures/certificate.js'
import { startTestGateway, startUpstream } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'

const provider = await startProvider()
const upstream = await startUpstream()
const browser = await startBrowser()
const groups = Array.from({ length: 152 }, (_, i) => `group-${i}`)
const person = provider.people[2]!
person.groups = groups

const { certificate, key } = createCertificate()
const port = await freePort()
const url = `https://localhost:${port}/trac`
const client = provider.clients[0]!
client.redirectUris.push(`${url}/auth/callback`)
client.logoutUris.push(`${url}/auth/signed-out`)
const gateway = await startTestGateway({
  provider,
  tracUrl: upstream.url,
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
t.teardown(async () => {
  await browser.close()
  await gateway.close()
  await upstream.close()
  await provider.stop()
})
const stem = gateway.gateway.rooms.names.session.slice(0, -1)

await t.test('nothing of a large session is left, and a copy of it opens nothing', async (t) => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  const ours = async () => (await context.cookies(url)).filter(({ name }) => name.startsWith(stem))
  await page.goto(`${url}/auth/login?return_to=/trac/auth/session`)
  await page.fill('input[name=email]', person.email)
  await page.fill('input[type=password]', person.password)
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
  t.match(await page.textContent('body'), person.username)

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
})
