/** Open redirects at sign-in, on the way back and at sign-out (CVE-2020-5233, -11053, -4037, CVE-2021-32786 and kin). */
import t from 'tap'
import { startScriptedProvider } from '../fixtures/scripted-provider.js'
import { Visitor } from '../fixtures/visitor.js'
import { startTestGateway, startUpstream } from '../fixtures/gateway.js'

const provider = await startScriptedProvider()
const upstream = await startUpstream()
const gateway = await startTestGateway({
  issuer: provider.issuer,
  clientId: provider.clientId,
  cognitoDomain: provider.origin,
  tracUrl: upstream.url,
  overlay: { rateLimit: { auth: { max: 100_000, per: '1m' } } },
})
t.teardown(async () => {
  await gateway.close()
  await upstream.close()
  await provider.stop()
})
const home = `${gateway.url}/`

/** As many of the names as a target has room for with a value. */
const roomFor = (names: readonly string[], value: string) =>
  value.length > 1000 ? names.slice(0, 1) : names

/** Every way to begin an address, before every host that is not ours, and after some that look like ours. */
const beginnings = [
  '//',
  '///',
  '////',
  '/\\',
  '\\/',
  '\\\\',
  '/\\/',
  '/./',
  '/../',
  '/.//',
  '/%2f',
  '/%5c',
  '/%2F%2f',
  '%2f%2f',
  '/\t/',
  '/%09/',
  '/%0a/',
  '/%0b/',
  '/%0c/',
  '/%0d/',
  '/%20/',
  ' //',
  '\t//',
  '\u0000//',
  '/\u00a0/',
  '/\ufeff/',
  'https:',
  'https:/',
  'https://',
  'HTTPS://',
  'http:',
  'http:\\\\',
  'ftp://',
  'javascript:alert(1)//',
  'data:text/html,',
  '@',
  '.',
  'trac@',
  '/trac@',
  '/trac//',
  '/trac/..//',
  '/trac/%2e%2e//',
  '/trac/.%2e/%2e./',
  '/trac\\..\\..\\',
  '/trac/;//',
  '/trac/\\',
  '/trac/%5c',
  '/trac#//',
  '/trac/../../',
  '?//',
  '#//',
  ';//',
]
const hosts = ['evil.example', 'evil.example/trac/wiki', `evil.example%2f${gateway.origin}`]
const own = [
  // Before and behind the name of our host (CVE-2021-21291): a suffix is no host.
  `//evil${new URL(gateway.origin).host}/trac/`,
  `//evil-${new URL(gateway.origin).host}/trac/`,
  `//evil.${new URL(gateway.origin).host}/trac/`,
  `http://evil-${new URL(gateway.origin).host}/trac/wiki`,
  `${gateway.origin}.evil.example/`,
  `${gateway.origin}@evil.example/`,
  `//localhost:${gateway.port}@evil.example/trac/`,
  `//localhost:${gateway.port}.evil.example/trac/`,
  `${gateway.origin}/trac/wiki`,
  '/trac/auth/login',
  '/trac/auth/login?return_to=/trac/auth/login',
  '/trac/auth/logout',
  '/trac/login',
  '/trac/logout',
  '/trac/auth',
  '/trac/%61uth/logout',
  '/tracevil',
  '/TRAC/wiki',
  '/',
  '/evil',
  '/trac/wiki\r\nSet-Cookie: a=b',
  '/trac/wiki%0d%0aSet-Cookie:a=b',
  '/trac/%00',
  '/trac/%zz',
  '/trac/%ff',
  `/trac/${'x'.repeat(2100)}`,
]
const hostile = [...beginnings.flatMap((start) => hosts.map((host) => start + host)), ...own]

await t.test('at sign-in every hostile return_to becomes the start page', async (t) => {
  for (const value of hostile) {
    const visitor = new Visitor()
    const query = `return_to=${encodeURIComponent(value)}`
    const page = await visitor.follow(`${gateway.url}/auth/login?${query}`)
    t.equal(page.url.href, home, JSON.stringify(value))
  }
  t.ok(hostile.length > 150)
})

await t.test('for somebody who is signed in as well', async (t) => {
  const visitor = new Visitor()
  await visitor.follow(`${gateway.url}/auth/login`)
  for (const value of hostile) {
    for (const query of [
      `return_to=${encodeURIComponent(value)}`,
      `return_to=/trac/wiki&return_to=${encodeURIComponent(value)}`,
    ]) {
      const answer = await visitor.open(`${gateway.url}/auth/login?${query}`)
      t.equal(answer.location, home, JSON.stringify(query))
    }
  }
})

await t.test('by Trac’s own link, referer and Referer', async (t) => {
  for (const value of hostile) {
    const query = `referer=${encodeURIComponent(value)}`
    const answer = await new Visitor().open(`${gateway.url}/login?${query}`)
    const target = new URL(answer.location)
    t.equal(target.origin + target.pathname, `${gateway.url}/auth/login`)
    const returnTo = target.searchParams.get('return_to')
    const expected = value === `${gateway.origin}/trac/wiki` ? '/trac/wiki' : '/trac/'
    t.equal(returnTo, expected, JSON.stringify(value))
  }
  for (const referer of hostile.filter((value) => /^https?:\/\/[\x21-\x7e]*$/.test(value))) {
    const answer = await new Visitor().open(`${gateway.url}/login`, { headers: { referer } })
    const returnTo = new URL(answer.location).searchParams.get('return_to')
    t.equal(returnTo, referer === `${gateway.origin}/trac/wiki` ? '/trac/wiki' : '/trac/', referer)
  }
})

await t.test('on the way back it is judged again', async (t) => {
  for (const returnTo of hostile) {
    const visitor = new Visitor()
    const begun = await visitor.open(`${gateway.url}/auth/login`)
    const [name, sealed] = [...visitor.cookies(gateway.url)][0]!
    const { loginSealer } = gateway.gateway.services
    const attempt = (await loginSealer.open(sealed))!.value as object
    visitor.cookies(gateway.url).set(name, await loginSealer.seal({ ...attempt, returnTo }))
    const back = await visitor.open(begun.location)
    const answer = await visitor.open(back.location)
    t.equal(answer.status, 303)
    t.equal(answer.location, home, JSON.stringify(returnTo))
  }
})

await t.test('sign-out leads to the provider and nowhere else, whatever is asked', async (t) => {
  for (const name of [
    'return_to',
    'rd',
    'redirect_uri',
    'logout_uri',
    'post_logout_redirect_uri',
  ]) {
    const visitor = new Visitor()
    const value = encodeURIComponent('https://evil.example/')
    const answer = await visitor.submit(
      `${gateway.url}/auth/logout?${name}=${value}`,
      `${name}=${value}`,
    )
    t.equal(answer.location, `${gateway.url}/auth/signed-out`)
    const page = await visitor.open(`${gateway.url}/auth/signed-out?${name}=${value}`)
    t.notMatch(page.text, 'evil.example')
  }
})

await t.test(
  'nor does any of the table lead elsewhere, for somebody who is signed in',
  async (t) => {
    const visitor = new Visitor()
    await visitor.follow(`${gateway.url}/auth/login`)
    const cookie = visitor.cookieHeader(gateway.url)
    const there = `${provider.origin}/logout?client_id=${provider.clientId}&logout_uri=${encodeURIComponent(`${gateway.url}/auth/signed-out`)}`
    const parameters = ['return_to', 'referer', 'redirect_uri', 'logout_uri', 'state']
    const first = await visitor.submit(`${gateway.url}/auth/logout`, '', { cookie, keep: false })
    t.equal(first.location, there, 'the first ends it at the provider as well')
    for (const value of hostile) {
      const names = roomFor(parameters, value)
      const query = names.map((name) => `${name}=${encodeURIComponent(value)}`).join('&')
      for (const path of ['/auth/logout', '/logout']) {
        const sent = { cookie, keep: false }
        const answer = await visitor.submit(`${gateway.url}${path}?${query}`, query, sent)
        t.ok([there, `${gateway.url}/auth/signed-out`].includes(answer.location), value)
      }
      const asks = await visitor.open(`${gateway.url}/auth/logout?${query}`, {
        cookie,
        keep: false,
      })
      t.equal(asks.location, '')
      t.notMatch(asks.text, 'evil')
    }
  },
)

await t.test('what a callback brings besides leads nowhere', async (t) => {
  for (const value of hostile) {
    const visitor = new Visitor()
    const begun = await visitor.open(`${gateway.url}/auth/login?return_to=/trac/wiki`)
    const back = new URL((await visitor.open(begun.location)).location)
    for (const name of roomFor(['return_to', 'redirect_uri', 'target_link_uri', 'rd'], value)) {
      back.searchParams.append(name, value)
    }
    const answer = await visitor.open(back)
    t.equal(answer.location, `${gateway.url}/wiki`, JSON.stringify(value))
  }
})

await t.test('no token ever travels in an address of ours (CVE-2021-29651)', async (t) => {
  const visitor = new Visitor()
  let answer = await visitor.open(`${gateway.url}/auth/login?return_to=/trac/wiki`)
  while (answer.location !== '') {
    t.notMatch(answer.location, /eyJ|refresh-/)
    answer = await visitor.open(answer.location)
  }
})
