/** Sign-in through a browser's eyes: tabs, Back, second tries, who may start it, and where it leads. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

const { provider, alice, ivan, upstream, url, origin, names } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
})
const { session: sessionName, attempt: attemptStem } = names

const login = (returnTo: string) => `${url}/auth/login?return_to=${encodeURIComponent(returnTo)}`
const isCallback = (to: URL) => to.pathname === '/trac/auth/callback'
/** Names of the sign-ins that a browser has open. */
const attemptsOf = (visitor: Visitor) =>
  [...visitor.cookies(url).keys()].filter(
    (name) => name.startsWith(attemptStem) && name !== `${attemptStem}again`,
  )
const userOf = async (visitor: Visitor) =>
  (await visitor.fetch(`${url}/auth/session`)).json()['user']

await t.test(
  'a sign-in leads back to the page that asked, as the person who signed in',
  async (t) => {
    const visitor = new Visitor()
    const answer = await visitor.signIn(login('/trac/wiki/Start?version=1&x=%2F'), alice)
    t.equal(answer.url.href, `${url}/wiki/Start?version=1&x=%2F`)
    t.equal(answer.status, 200)
    t.equal(upstream.lastHeaders()['x-trac-user'], 'alice')
    t.equal(upstream.lastHeaders()['x-trac-email'], 'alice@example.edu')
    t.equal(upstream.lastHeaders()['x-trac-name'], 'Alice%20Admin')
    t.equal(upstream.lastHeaders()['cookie'], undefined, 'our cookies stay here')
    t.match((await visitor.fetch(`${url}/auth/session`)).json(), {
      user: 'alice',
      via: 'session',
      groups: ['admins'],
    })
  },
)

await t.test('a sign-in asks the provider as the code flow with PKCE wants it', async (t) => {
  const visitor = new Visitor()
  const answer = await visitor.open(login('/trac/wiki'))
  t.equal(answer.status, 302)
  t.equal(answer.headers['cache-control'], 'no-store')
  const to = new URL(answer.location)
  t.equal(to.origin + to.pathname, `${provider.origin}/oauth2/authorize`)
  const asked = Object.fromEntries(to.searchParams)
  t.match(asked, {
    response_type: 'code',
    client_id: provider.clientId,
    redirect_uri: `${url}/auth/callback`,
    scope: 'openid email profile',
    code_challenge_method: 'S256',
    state: /^[A-Za-z0-9_-]{43}$/,
    nonce: /^[A-Za-z0-9_-]{43}$/,
    code_challenge: /^[A-Za-z0-9_-]{43}$/,
  })
  const [cookie] = answer.setCookies
  t.match(cookie, `${attemptStem}${asked['state']!.slice(0, 8)}=`)
  t.match(cookie, /; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/)
  for (const secret of [asked['state']!, asked['nonce']!]) t.notMatch(cookie, secret)
  const again = new URL((await visitor.open(login('/trac/wiki'))).location)
  for (const name of ['state', 'nonce', 'code_challenge']) {
    t.not(again.searchParams.get(name), asked[name], `a new ${name} each time`)
  }
})

await t.test('several tabs sign in at the same time and finish in any order', async (t) => {
  const visitor = new Visitor()
  const pages = ['/trac/wiki/A', '/trac/wiki/B', '/trac/wiki/C', '/trac/wiki/D']
  const starts = []
  for (const page of pages) starts.push(await visitor.open(login(page)))
  t.equal(attemptsOf(visitor).length, 4)
  await visitor.signIn(starts[2]!.location, alice, isCallback).then(async (answer) => {
    t.equal((await visitor.open(answer.location)).location, origin + pages[2])
  })
  for (const i of [0, 3, 1]) {
    const back = await visitor.follow(starts[i]!.location, isCallback)
    t.equal((await visitor.open(back.location)).location, origin + pages[i])
    t.equal(await userOf(visitor), 'alice')
  }
})

await t.test('a browser remembers five open sign-ins; a sixth drops the oldest', async (t) => {
  const visitor = new Visitor()
  const starts = []
  for (let i = 0; i < 8; i++) {
    starts.push(await visitor.open(login(`/trac/wiki/${i}`)))
    t.ok(attemptsOf(visitor).length <= 5)
  }
  t.equal(attemptsOf(visitor).length, 5)
  const last = await visitor.signIn(starts[7]!.location, alice, isCallback)
  t.equal((await visitor.open(last.location)).location, `${url}/wiki/7`)
  const oldest = await new Visitor().signIn(starts[0]!.location, alice, isCallback)
  const page = await visitor.copy().open(oldest.location, { cookie: attempts(visitor) })
  t.equal(page.status, 400)
  t.match(page.text, 'ERR_LOGIN_UNKNOWN')
})
function attempts(visitor: Visitor): string {
  const own = [...visitor.cookies(url)].filter(([name]) => name.startsWith(attemptStem))
  return own.map(([name, value]) => `${name}=${value}`).join('; ')
}

await t.test('who is signed in is sent straight back', async (t) => {
  const visitor = new Visitor()
  await visitor.signIn(login('/trac/wiki'), alice)
  const before = provider.counts.authorize
  const answer = await visitor.open(login('/trac/ticket/1?x=1'))
  t.equal(answer.location, `${url}/ticket/1?x=1`)
  t.equal(provider.counts.authorize, before)
  t.same(attemptsOf(visitor).length, 1, 'no new attempt')
  const fresh = await visitor.open(`${login('/trac/wiki')}&prompt=login`)
  t.equal(new URL(fresh.location).searchParams.get('prompt'), 'login', 'unless one asks for it')
})

await t.test('each sign-in has an id and a sealed value of its own', async (t) => {
  const planted = new Visitor()
  await planted.signIn(login('/trac/wiki'), ivan)
  const before = planted.cookies(url).get(sessionName)
  const visitor = new Visitor()
  visitor.cookies(url).set(sessionName, before!)
  await visitor.signIn(`${login('/trac/wiki')}&prompt=login`, alice)
  const after = visitor.cookies(url).get(sessionName)
  t.not(after, before, 'a planted session is not continued')
  t.equal(await userOf(visitor), 'alice')
  t.equal(await userOf(planted), undefined, 'it is over, and does not become the other person’s')
  const second = new Visitor()
  await second.signIn(login('/trac/wiki'), alice)
  t.not(second.cookies(url).get(sessionName), after)
})

await t.test('the session cookie is for this host alone and out of reach of scripts', async (t) => {
  const visitor = new Visitor()
  const back = await visitor.signIn(login('/trac/wiki'), alice, isCallback)
  const { setCookies, headers, status } = await visitor.open(back.location)
  t.equal(status, 303)
  t.equal(headers['cache-control'], 'no-store')
  const cookie = setCookies.find((line) => line.startsWith(`${sessionName}=`))
  t.match(cookie, /; Path=\/; Max-Age=[0-9]+; HttpOnly; SameSite=Lax$/)
  t.notMatch(cookie, 'Domain')
  t.ok(cookie!.length < 4096, 'a usual session fits into one cookie')
})

await t.test('only a navigation starts a sign-in', async (t) => {
  const asked: readonly (readonly [string, Record<string, string>])[] = [
    ['fetch', { 'sec-fetch-mode': 'cors' }],
    ['an image', { 'sec-fetch-mode': 'no-cors', accept: 'image/*' }],
    ['an old XHR', { 'sec-fetch-mode': '', 'x-requested-with': 'XMLHttpRequest' }],
    ['a program', { 'sec-fetch-mode': '', accept: '*/*' }],
    ['JSON', { 'sec-fetch-mode': '', accept: 'application/json' }],
  ]
  for (const path of ['/api/x', '/newticket', '/auth/login', '/auth/login?return_to=/trac/wiki']) {
    for (const [what, headers] of asked) {
      const visitor = new Visitor()
      const answer = await visitor.open(url + path, { headers })
      t.equal(answer.status, 401, `${what} ${path}`)
      t.match(answer.json(), {
        code: 'ERR_LOGIN_REQUIRED',
        auth_url: `${url}/auth/login`,
      })
      t.equal(answer.headers['www-authenticate'], 'Bearer realm="Trac"')
      t.same(answer.setCookies, [], 'no cookie for each try')
    }
    const post = await new Visitor().submit(`${url}/newticket`, 'x=1')
    t.equal(post.status, 401)
    t.same(post.setCookies, [])
  }
  for (const headers of [{}, { 'sec-fetch-mode': '' }]) {
    const answer = await new Visitor().open(`${url}/newticket?x=1`, { headers })
    t.equal(answer.location, login('/trac/newticket?x=1'))
  }
})

await t.test('Trac’s own links to its login lead here, with the page they stand on', async (t) => {
  const visitor = new Visitor()
  const page = `${url}/ticket/1?format=csv`
  const cases: readonly (readonly [string, Record<string, string>, string])[] = [
    ['/login?referer=/trac/ticket/1%3Fformat=csv', {}, '/trac/ticket/1?format=csv'],
    [`/login?referer=${encodeURIComponent(page)}`, {}, '/trac/ticket/1?format=csv'],
    ['/login', { referer: page }, '/trac/ticket/1?format=csv'],
    ['/login/', { referer: page }, '/trac/ticket/1?format=csv'],
    ['/login', {}, '/trac/'],
    ['/login', { referer: 'http://evil.example/trac/wiki' }, '/trac/'],
    ['/login?referer=//evil.example/', {}, '/trac/'],
    ['/login?referer=//evil.example/', { referer: page }, '/trac/ticket/1?format=csv'],
    ['/login?referer=/trac/a&referer=/trac/b', {}, '/trac/'],
    ['/login?referer=/trac/logout', {}, '/trac/'],
  ]
  for (const [path, headers, expected] of cases) {
    const answer = await visitor.open(url + path, { headers })
    t.equal(answer.status, 302)
    const to = new URL(answer.location)
    t.equal(to.pathname, '/trac/auth/login', path)
    t.equal(to.searchParams.get('return_to'), expected, path)
  }
  const policy = await visitor.fetch(`${url}/login/rpc`)
  t.not(policy.location, `${url}/auth/login`, '/login/rpc is policy')
})

await t.test('a browser that keeps no session is stopped at the third sign-in', async (t) => {
  const visitor = new Visitor()
  const forget = () => visitor.cookies(url).delete(sessionName)
  let page = await visitor.signIn(`${url}/newticket`, alice)
  t.equal(page.status, 200)
  forget()
  page = await visitor.follow(`${url}/newticket`)
  t.equal(page.status, 200)
  forget()
  page = await visitor.follow(`${url}/newticket`)
  t.equal(page.status, 400)
  t.match(page.text, 'ERR_LOGIN_LOOP')
  t.match(page.text, 'cookie')
  t.match(page.text, /Request<\/dt><dd>[0-9a-f]{32}/)
  t.match(page.text, 'href="/trac/auth/login"')
  page = await visitor.follow(`${url}/auth/login`)
  t.equal(page.status, 200, 'the way forward works')
})

await t.test('signing in again after a sign-out is no loop', async (t) => {
  const visitor = new Visitor()
  for (let i = 0; i < 4; i++) {
    t.equal((await visitor.signIn(login('/trac/wiki'), alice)).status, 200)
    const out = await visitor.submit(`${url}/auth/logout`)
    const page = await visitor.follow(out.location)
    t.equal(page.url.href, `${url}/auth/signed-out`)
  }
})

await t.test('a sign-in that was ended here does not come back unasked', async (t) => {
  const visitor = new Visitor()
  await visitor.signIn(login('/trac/wiki'), alice)
  await visitor.submit(`${url}/auth/logout`)
  // The provider still knows its session, and would sign in whoever has the browser now.
  const page = await visitor.follow(login('/trac/wiki'))
  t.match(page.text, 'id="sign-in"', 'the provider asks for the password')
  const again = await visitor.signIn(login('/trac/wiki'), alice)
  t.equal(again.url.href, `${url}/wiki`)
  t.equal(again.status, 200)
})
