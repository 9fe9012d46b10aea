/** What a sign-out and a sign-in leave behind: the mark that asks for the password, the session that was replaced, ways out. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import type { Overlay } from '../fixtures/gateway.js'
import { changedTokens } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import { ask } from '../fixtures/wire.js'

const { upstream } = await stage(t, { upstream: true, gateway: false })

/** A gateway whose provider says that it can end its own session, unless it can't; `more` is what else it says of itself. */
async function standard(t: Test, overlay: Overlay = {}, ends = true, more: object = {}) {
  const providerOptions = { dialect: 'standard', path: '' } as const
  const s = await stage(t, {
    provider: 'scripted',
    providerOptions,
    upstream,
    api: upstream,
    overlay,
  })
  const { provider } = s
  provider.replace('discovery', (request) => ({
    body: {
      ...(provider.usual('discovery', request).body as object),
      ...(ends ? { end_session_endpoint: `${provider.origin}/end` } : {}),
      ...more,
    },
  }))
  return { ...s, mark: s.names.signOut }
}

const leave = (visitor: Visitor, url: string) => visitor.submit(`${url}/auth/logout`)
/** What the next sign-in asks the provider to do. */
async function nextPrompt(visitor: Visitor, url: string): Promise<string | null> {
  const begun = await visitor.copy().open(`${url}/auth/login`)
  return new URL(begun.location).searchParams.get('prompt')
}
/** Whether the next sign-in asks for the password. */
const asksAgain = async (visitor: Visitor, url: string) =>
  (await nextPrompt(visitor, url)) === 'login'

await t.test('a sign-out leaves a mark, and the next sign-in asks for the password', async (t) => {
  const { url, signIn, mark } = await standard(t)
  const visitor = await signIn()
  t.notOk(visitor.cookies(url).has(mark))
  const left = await leave(visitor, url)
  const line = left.setCookies.find((cookie) => cookie.startsWith(`${mark}=`))
  t.match(line, /; Path=\/; Max-Age=86400; HttpOnly; SameSite=Lax$/)
  t.equal(await asksAgain(visitor, url), true, 'nobody has been at the provider yet')
  const page = await visitor.follow(`${url}/auth/login`)
  t.equal(page.status, 200)
  t.notOk(visitor.cookies(url).has(mark), 'a finished sign-in takes it away')
  await visitor.open(`${url}/wiki`)
  t.notMatch(upstream.lastHeaders()['cookie'] ?? '', mark)
})

await t.test(
  'a provider that does not know `login` lets the person choose an account',
  async (t) => {
    const known = { prompt_values_supported: ['none', 'consent', 'select_account'] }
    const { url, signIn } = await standard(t, {}, false, known)
    const visitor = await signIn()
    await leave(visitor, url)
    t.equal(await nextPrompt(visitor, url), 'select_account')
  },
)

await t.test('who comes back from the provider’s log-out has no mark any more', async (t) => {
  const { url, signIn, mark } = await standard(t)
  const visitor = await signIn()
  const state = new URL((await leave(visitor, url)).location).searchParams.get('state')
  t.match(state, /^[A-Za-z0-9_-]{22}$/)
  for (const query of ['', '?state=', '?state=guess', `?state=${state}&state=${state}`]) {
    await visitor.open(`${url}/auth/signed-out${query}`)
    t.equal(await asksAgain(visitor, url), true, query)
  }
  const back = await visitor.open(`${url}/auth/signed-out?state=${state}`)
  t.equal(back.location, `${url}/auth/signed-out`, 'and the address has no state either')
  t.match(back.setCookies.join(), `${mark}=; Path=/; Max-Age=0`)
  t.equal(back.headers['cache-control'], 'no-store')
  t.equal(await asksAgain(visitor, url), false)
})

await t.test(
  'Cognito brings no state back: an address that was typed is not the way',
  async (t) => {
    const { url, provider, signIn, sam, names } = await stage(t, {
      provider: 'cognito',
      upstream,
    })
    const visitor = await signIn(sam)
    const left = await leave(visitor, url)
    await visitor.open(`${url}/auth/signed-out`, { headers: { 'sec-fetch-site': 'none' } })
    t.equal(await asksAgain(visitor, url), true)
    const page = await visitor.follow(left.location)
    t.equal(page.url.pathname, '/trac/auth/signed-out')
    t.notOk(visitor.cookies(url).has(names.signOut))
    t.ok(left.location.startsWith(`${provider.origin}/logout?`))
  },
)

await t.test('where the provider has no log-out, the mark stays', async (t) => {
  const { url, signIn } = await standard(t, {}, false)
  const visitor = await signIn()
  await visitor.follow((await leave(visitor, url)).location)
  t.equal(await asksAgain(visitor, url), true)
  const nobody = new Visitor()
  await leave(nobody, url)
  t.equal(await asksAgain(nobody, url), true, 'also after a session that had ended by itself')
})

await t.test(
  'a re-login ends the session that it replaces, and nothing that both share',
  async (t) => {
    const { url, provider, names } = await standard(t)
    let serial = 0
    let last = ''
    let common: Record<string, unknown> = {}
    provider.replace('token', (request) =>
      changedTokens(provider, request, ({ nonce }) => {
        last = provider.sign('id', { nonce, ...common, jti: `jti-${++serial}` })
        return { id_token: last, refresh_token: `refresh-${serial}` }
      }),
    )
    const counts = async (token: string) =>
      (
        await ask({ port: Number(new URL(url).port) }, 'GET /trac/auth/session', [
          `Authorization: Bearer ${token}`,
        ])
      ).status === 200
    const isIn = async (visitor: Visitor) =>
      (await visitor.copy().fetch(`${url}/auth/session`)).status === 200
    for (const [before, after, revoked] of [
      [{ sid: 'one' }, { sid: 'one' }, false],
      [{ sid: 'two' }, { sid: 'three' }, true],
      [{}, {}, true],
    ] as const) {
      const what = JSON.stringify([before, after])
      common = before
      const visitor = new Visitor()
      await visitor.follow(`${url}/auth/login`)
      const old = { copy: visitor.copy(), token: last, refresh: `refresh-${serial}` }
      common = after
      provider.received.revoke.length = 0
      const back = await visitor.follow(`${url}/auth/login?prompt=login`, (at) =>
        at.pathname.endsWith('/callback'),
      )
      await visitor.open(back.location)
      const again = await visitor.copy().open(back.location)
      t.equal(again.status, 303, 'a callback that comes twice replaces nothing')
      t.equal(await isIn(visitor), true, what)
      t.equal(await isIn(old.copy), false, `${what}: the copied cookie of before`)
      t.equal(await counts(old.token), false, `${what}: the token of before`)
      t.equal(await counts(last), true, what)
      if (revoked) {
        await until(() => provider.received.revoke.length > 0, 'the provider is told')
        const told = provider.received.revoke.map(({ form }) => form.get('token'))
        t.same(told, [old.refresh], what)
      } else t.equal(provider.received.revoke.length, 0, `${what}: it would end the new one, too`)
      visitor.cookies(url).delete(`${names.attempt}again`)
    }
  },
)

await t.test('a good credential of either kind is sent straight back from sign-in', async (t) => {
  const { url, gateway, signIn, bearerOf, names } = await standard(t)
  const visitor = await signIn()
  const cookie = `Cookie: ${names.session}=${visitor.cookies(url).get(names.session)}`
  const feed = encodeURIComponent('/trac/timeline?format=rss')
  for (const credential of [bearerOf(), bearerOf({}, 'access'), cookie]) {
    for (const line of [
      `/login?referer=${feed}`,
      `/login/?referer=${feed}`,
      `/auth/login?return_to=${feed}`,
    ]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(gateway, `${method} /trac${line}`, [credential])
        t.equal(answer.status, 302, `${line} ${credential.slice(0, 20)}`)
        t.equal(answer.header('location'), '/trac/timeline?format=rss')
        t.equal(answer.header('set-cookie'), '')
      }
    }
  }
  const elsewhere = encodeURIComponent('https://evil.example/x')
  const away = await ask(gateway, `GET /trac/login?referer=${elsewhere}`, [bearerOf()])
  t.equal(away.header('location'), '/trac/')
  const bad = bearerOf({ exp: 1, iat: 0 })
  const refused = await ask(gateway, `GET /trac/login?referer=${feed}`, [bad])
  t.match(refused.header('location'), /^\/trac\/auth\/login\?return_to=/, 'a bad one is nobody')
  t.equal((await ask(gateway, `GET /trac/auth/login?return_to=${feed}`, [bad])).status, 401)
  const fresh = await ask(gateway, `GET /trac/auth/login?prompt=login`, [bearerOf()])
  t.equal(fresh.header('location'), '/trac/', 'a program has no password to type')
})

await t.test(
  'an account without any rights is shown ways out, none of which leads back',
  async (t) => {
    const contact = 'the <help> desk, help@example.edu'
    const { url, signIn } = await standard(t, {
      permissions: { anonymous: [] },
      pages: { contact },
    })
    const visitor = await signIn({ groups: [] })
    for (const path of ['/', '/wiki', '/ticket/42?x=1']) {
      const page = await visitor.open(url + path)
      t.equal(page.status, 403, path)
      t.match(page.text, 'This account has no rights here at all.')
      t.match(page.text, 'Whom to ask: the &lt;help&gt; desk, help@example.edu')
      const links = [...page.text.matchAll(/<a href="([^"]*)">([^<]*)</g)].map((match) => [
        match[2],
        match[1]!.replaceAll('&amp;', '&'),
      ])
      const back = encodeURIComponent(`/trac${path}`)
      t.same(links, [
        ['Sign out', '/trac/auth/logout'],
        ['Use another account', `/trac/auth/login?prompt=login&return_to=${back}`],
      ])
      for (const [, href] of links) {
        const next = await visitor.copy().open(new URL(href!, url))
        t.not(next.status, 403, href!)
        t.not(next.location, url + path, href!)
      }
    }
  },
)

await t.test(
  'an account with too few rights can go to the start page, and nobody is named',
  async (t) => {
    const { url, signIn } = await standard(t)
    const visitor = await signIn()
    const page = await visitor.open(`${url}/admin`)
    t.equal(page.status, 403)
    const labels = [...page.text.matchAll(/<a href="[^"]*">([^<]*)</g)].map((match) => match[1])
    t.same(labels, ['Go to the start page', 'Sign out', 'Use another account'])
    t.notMatch(page.text, 'Whom to ask')
    const script = await visitor.fetch(`${url}/admin`)
    t.equal(script.json()['code'], 'ERR_PERMISSION_REQUIRED', 'a script gets JSON as before')
  },
)
