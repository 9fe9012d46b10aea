/** Open redirects at sign-in, on the way back and at sign-out (CVE-2020-5233, -11053, -4037, CVE-2021-32786 and kin). */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

const { provider, gateway, url, origin, port, signIn } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  overlay: { rateLimit: { auth: { max: 100_000, per: '1m' } } },
})
const home = `${url}/`

/** As many of the names as fit into a target with this value. */
const fitting = (names: readonly string[], value: string) =>
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
  '/trac/../../',
  '?//',
  '#//',
  ';//',
]
const hosts = ['evil.example', 'evil.example/trac/wiki', `evil.example%2f${origin}`]
const own = [
  // Before and behind the name of our host (CVE-2021-21291): a suffix is no host.
  `//evil${new URL(origin).host}/trac/`,
  `//evil-${new URL(origin).host}/trac/`,
  `//evil.${new URL(origin).host}/trac/`,
  `http://evil-${new URL(origin).host}/trac/wiki`,
  `${origin}.evil.example/`,
  `${origin}@evil.example/`,
  `//localhost:${port}@evil.example/trac/`,
  `//localhost:${port}.evil.example/trac/`,
  `${origin}/trac/wiki`,
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
    const page = await visitor.follow(`${url}/auth/login?${query}`)
    t.equal(page.url.href, home, JSON.stringify(value))
  }
  t.ok(hostile.length > 150)
})

await t.test('a hostile return_to of somebody who is signed in is the start page', async (t) => {
  const visitor = await signIn()
  for (const value of hostile) {
    for (const query of [
      `return_to=${encodeURIComponent(value)}`,
      `return_to=/trac/wiki&return_to=${encodeURIComponent(value)}`,
    ]) {
      const answer = await visitor.open(`${url}/auth/login?${query}`)
      t.equal(answer.location, home, JSON.stringify(query))
    }
  }
})

await t.test('no hostile referer passes Trac’s own link, in query or header', async (t) => {
  for (const value of hostile) {
    const query = `referer=${encodeURIComponent(value)}`
    const answer = await new Visitor().open(`${url}/login?${query}`)
    const target = new URL(answer.location)
    t.equal(target.origin + target.pathname, `${url}/auth/login`)
    const returnTo = target.searchParams.get('return_to')
    const expected = value === `${origin}/trac/wiki` ? '/trac/wiki' : '/trac/'
    t.equal(returnTo, expected, JSON.stringify(value))
  }
  for (const referer of hostile.filter((value) => /^https?:\/\/[\x21-\x7e]*$/.test(value))) {
    const answer = await new Visitor().open(`${url}/login`, { headers: { referer } })
    const returnTo = new URL(answer.location).searchParams.get('return_to')
    t.equal(returnTo, referer === `${origin}/trac/wiki` ? '/trac/wiki' : '/trac/', referer)
  }
})

await t.test('the callback judges the return address again', async (t) => {
  for (const returnTo of hostile) {
    const visitor = new Visitor()
    const begun = await visitor.open(`${url}/auth/login`)
    const [name, sealed] = [...visitor.cookies(url)][0]!
    const { loginSealer } = gateway.gateway.services
    const attempt = (await loginSealer.open(sealed))!.value as object
    visitor.cookies(url).set(name, await loginSealer.seal({ ...attempt, returnTo }))
    const back = await visitor.open(begun.location)
    const answer = await visitor.open(back.location)
    t.equal(answer.status, 303)
    t.equal(answer.location, home, JSON.stringify(returnTo))
  }
})

await t.test('sign-out leads to the provider and nowhere else, whatever is asked', async (t) => {
  const names = 'return_to rd redirect_uri logout_uri post_logout_redirect_uri'
  for (const name of names.split(' ')) {
    const visitor = new Visitor()
    const value = encodeURIComponent('https://evil.example/')
    const answer = await visitor.submit(`${url}/auth/logout?${name}=${value}`, `${name}=${value}`)
    t.equal(answer.location, `${url}/auth/signed-out`)
    const page = await visitor.open(`${url}/auth/signed-out?${name}=${value}`)
    t.notMatch(page.text, 'evil.example')
  }
})

await t.test('sign-out with a session leads to the provider and nowhere else', async (t) => {
  const visitor = await signIn()
  const cookie = visitor.cookieHeader(url)
  const there = `${provider.origin}/logout?client_id=${provider.clientId}&logout_uri=${encodeURIComponent(`${url}/auth/signed-out`)}`
  const parameters = ['return_to', 'referer', 'redirect_uri', 'logout_uri', 'state']
  const first = await visitor.submit(`${url}/auth/logout`, '', { cookie, keep: false })
  t.equal(first.location, there, 'the first ends it at the provider as well')
  for (const value of hostile) {
    const names = fitting(parameters, value)
    const query = names.map((name) => `${name}=${encodeURIComponent(value)}`).join('&')
    for (const path of ['/auth/logout', '/logout']) {
      const sent = { cookie, keep: false }
      const answer = await visitor.submit(`${url}${path}?${query}`, query, sent)
      t.ok([there, `${url}/auth/signed-out`].includes(answer.location), value)
    }
    const asks = await visitor.open(`${url}/auth/logout?${query}`, {
      cookie,
      keep: false,
    })
    t.equal(asks.location, '')
    t.notMatch(asks.text, 'evil')
  }
})

await t.test('further parameters of a callback lead nowhere', async (t) => {
  for (const value of hostile) {
    const visitor = new Visitor()
    const begun = await visitor.open(`${url}/auth/login?return_to=/trac/wiki`)
    const back = new URL((await visitor.open(begun.location)).location)
    for (const name of fitting(['return_to', 'redirect_uri', 'target_link_uri', 'rd'], value)) {
      back.searchParams.append(name, value)
    }
    const answer = await visitor.open(back)
    t.equal(answer.location, `${url}/wiki`, JSON.stringify(value))
  }
})

await t.test('no token ever travels in an address of ours (CVE-2021-29651)', async (t) => {
  const visitor = new Visitor()
  let answer = await visitor.open(`${url}/auth/login?return_to=/trac/wiki`)
  while (answer.location !== '') {
    t.notMatch(answer.location, /eyJ|refresh-/)
    answer = await visitor.open(answer.location)
  }
})
