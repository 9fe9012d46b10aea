/** A session renews itself unseen: once, in time, for everybody who asks; and ends no sooner than it must. */
import { randomBytes } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { badAnswers } from '../fixtures/scripted-provider.js'
import type { Answer as ProviderAnswer, ScriptedRequest } from '../fixtures/scripted-provider.js'
import { createScriptedKey } from '../fixtures/scripted-keys.js'
import { scaled } from '../fixtures/scale.js'
import { changedTokens, holdAnswers } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'
import { startTestGateway } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'

t.setTimeout(600_000)

const minute = 60_000
const hour = 60 * minute
const stranger = await createScriptedKey('key-1')
const { upstream } = await stage(t, { upstream: true, gateway: false })

/** A gateway with a provider of its own whose tokens live an hour by the gateway's clock. */
async function start(t: Test, overlay: Overlay = {}) {
  const s = await stage(t, { provider: 'scripted', upstream, api: upstream, overlay })
  const { clock, provider, url, port } = s
  let { gateway } = s
  const name = s.names.session
  const began = Math.floor(clock() / 1000)

  /** The usual tokens by the gateway's clock, with `claims` in the ID token and `more` beside it. */
  const tokens = (request: ScriptedRequest, claims: object = {}, more: object = {}) => {
    const iat = Math.floor(clock() / 1000)
    const times = { iat, auth_time: began, exp: iat + 3600, origin_jti: 'origin-1' }
    return changedTokens(provider, request, (given) => ({
      id_token: provider.sign('id', { ...given, ...times, ...claims }),
      access_token: provider.sign('access', times),
      ...more,
    }))
  }
  const usually: ProviderAnswer = (request) => tokens(request)
  provider.replace('token', usually)
  return {
    clock,
    provider,
    url,
    name,
    tokens,
    log: () => gateway.log(),
    adminUrl: gateway.adminUrl,
    usually: () => provider.replace('token', usually),
    async restart(more: Overlay = overlay) {
      await gateway.close()
      gateway = await startTestGateway({ ...s.settings, overlay: more, port })
      t.teardown(() => gateway.close())
    },
    /** A browser that has signed in. */
    async signIn() {
      const visitor = new Visitor()
      const page = await visitor.follow(`${url}/auth/login`)
      t.equal(page.status, 200)
      return visitor
    },
    /** So many browsers at once, each with a session whose tokens end in the same second. */
    async signedIn(count: number): Promise<Visitor[]> {
      const { sessions } = gateway.gateway.services
      const { sub } = provider.person as { sub: string }
      const profile = {
        subject: sub,
        username: sub,
        email: undefined,
        emailVerified: false,
        name: undefined,
        groups: [],
        permissions: [],
      }
      return Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const ids = [`origin_jti storm-${i}`]
          const { value } = await sessions.begin({
            profile,
            identifiers: {
              issuer: provider.issuer,
              ids,
              subject: sub,
              namesSignIn: true,
              issuedAt: clock(),
              authenticatedAt: undefined,
            },
            begunAt: clock(),
            refreshToken: `storm-${i}`,
            accessToken: undefined,
            expiresAt: clock() + hour,
          })
          const visitor = new Visitor()
          visitor.cookies(url).set(name, value)
          return visitor
        }),
      )
    },
    userOf: async (visitor: Visitor) => {
      const answer = await visitor.fetch(`${url}/auth/session`)
      return answer.status === 200 ? answer.json()['user'] : answer.status
    },
    /** Exchanges of refresh tokens so far. */
    exchanges: () =>
      provider.received.token.filter(({ form }) => form.get('grant_type') === 'refresh_token'),
  }
}

/** The session that an answer sets: its value, the empty text for a deletion, undefined for nothing. */
function sessionOf(answer: Answer, name: string): string | undefined {
  const line = answer.setCookies.find((cookie) => cookie.startsWith(`${name}=`))
  return line?.slice(name.length + 1, line.indexOf(';'))
}

await t.test(
  'a session renews when three quarters of its tokens’ life are over, and not before',
  async (t) => {
    const { clock, url, name, signIn, exchanges, provider } = await start(t)
    const visitor = await signIn()
    clock.advance(44 * minute)
    const early = await visitor.fetch(`${url}/api/x`)
    t.equal(early.status, 200)
    t.equal(sessionOf(early, name), undefined)
    t.equal(exchanges().length, 0)
    clock.advance(2 * minute)
    const answer = await visitor.fetch(`${url}/api/x`)
    t.equal(answer.status, 200)
    t.ok(sessionOf(answer, name))
    t.equal(answer.headers['cache-control'], 'no-store')
    t.equal(exchanges().length, 1)
    const next = await visitor.fetch(`${url}/api/x`)
    t.equal(sessionOf(next, name), undefined, 'and then it is quiet again')
    clock.advance(46 * minute)
    await visitor.fetch(`${url}/api/x`)
    t.equal(exchanges().length, 2)
    t.equal(provider.counts.token, 3)
  },
)

await t.test('the shorter-lived of the two tokens decides when a session renews', async (t) => {
  const { clock, url, signIn, exchanges, provider, tokens } = await start(t)
  provider.replace('token', (request) => tokens(request, {}, { expires_in: 600 }))
  const visitor = await signIn()
  clock.advance(8 * minute)
  await visitor.fetch(`${url}/api/x`)
  t.equal(exchanges().length, 1)
})

await t.test('forty requests at once make one exchange, and all get the same bytes', async (t) => {
  const { clock, url, name, signIn, exchanges } = await start(t)
  const visitor = await signIn()
  const old = visitor.copy()
  clock.advance(50 * minute)
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => visitor.copy().fetch(`${url}/api/${i}`)),
  )
  t.equal(exchanges().length, 1)
  const values = new Set(answers.map((answer) => sessionOf(answer, name)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(values.size, 1)
  const [value] = values
  t.ok(value)
  for (const wait of [0, 5 * minute, 9 * minute]) {
    clock.advance(wait)
    t.equal(sessionOf(await old.copy().fetch(`${url}/api/late`), name), value, 'late ones too')
  }
  t.equal(exchanges().length, 1)
  clock.advance(10 * minute)
  t.equal((await old.fetch(`${url}/api/x`)).status, 200, 'even after the old tokens ended')
  t.equal(exchanges().length, 1)
})

await t.test('forty requests right after a restart make one exchange, too', async (t) => {
  const { clock, url, name, signIn, exchanges, restart, provider, usually } = await start(t)
  const visitor = await signIn()
  clock.advance(50 * minute)
  await restart()
  const ask = () =>
    Promise.all(Array.from({ length: 40 }, () => visitor.copy().fetch(`${url}/api/x`)))
  provider.replace('token', () => badAnswers.unavailable)
  for (const { status } of await ask()) t.equal(status, 200)
  t.equal(exchanges().length, 1, 'a failure is shared like a success')
  usually()
  clock.advance(21_000)
  const values = new Set((await ask()).map((answer) => sessionOf(answer, name)))
  t.equal(values.size, 1)
  t.equal(exchanges().length, 2)
})

await t.test(
  'a rotated refresh token replaces the old one; without rotation that stays',
  async (t) => {
    const { clock, url, signIn, exchanges, provider, tokens, usually } = await start(t)
    const visitor = await signIn()
    const renew = async () => {
      clock.advance(50 * minute)
      t.equal((await visitor.fetch(`${url}/api/x`)).status, 200)
      return exchanges().at(-1)!.form.get('refresh_token')
    }
    const first = await renew()
    t.match(first, /^refresh-/)
    t.equal(await renew(), first)
    provider.replace('token', (request) => tokens(request, {}, { refresh_token: 'rotated-1' }))
    t.equal(await renew(), first)
    usually()
    t.equal(await renew(), 'rotated-1')
    t.equal(await renew(), 'rotated-1')
  },
)

await t.test(
  'a temporary error keeps the session while its tokens last, then it is 503',
  async (t) => {
    for (const failing of [badAnswers.unavailable, badAnswers.broken, badAnswers.html]) {
      const { clock, url, name, signIn, exchanges, provider, userOf, usually } = await start(t)
      const visitor = await signIn()
      const [value] = [visitor.cookies(url).get(name)]
      provider.replace('token', () => failing)
      clock.advance(46 * minute)
      for (let i = 0; i < 3; i++) {
        const answer = await visitor.fetch(`${url}/api/x`)
        t.equal(answer.status, 200)
        t.same(answer.setCookies, [])
      }
      t.equal(exchanges().length, 1, 'not with every request')
      clock.advance(30_000)
      await visitor.fetch(`${url}/api/x`)
      t.equal(exchanges().length, 2, 'but again after a while')
      clock.advance(14 * minute)
      for (const path of ['/api/x', '/wiki/Start', '/auth/session']) {
        const answer = await visitor.fetch(url + path)
        t.equal(answer.status, 503, path)
        t.match(answer.json()['code'], 'ERR_PROVIDER_UNAVAILABLE')
        t.match(answer.headers['retry-after'], /^[0-9]+$/)
        t.same(answer.setCookies, [], 'no session is dropped')
      }
      t.equal((await visitor.open(`${url}/auth/signed-out`)).status, 200, 'our pages stay')
      t.equal(visitor.cookies(url).get(name), value)
      usually()
      clock.advance(minute)
      t.equal(await userOf(visitor), provider.person['username'], 'and it goes on by itself')
    }
  },
)

await t.test('a final error lets the session serve until its tokens end', async (t) => {
  const { clock, url, name, signIn, exchanges, provider } = await start(t)
  const visitor = await signIn()
  provider.replace('token', () => ({ status: 400, body: { error: 'invalid_grant' } }))
  clock.advance(50 * minute)
  for (let i = 0; i < 3; i++) {
    const answer = await visitor.fetch(`${url}/api/x`)
    t.equal(answer.status, 200)
    t.same(answer.setCookies, [])
    clock.advance(minute)
  }
  t.equal(exchanges().length, 1, 'the provider is not asked again')
  clock.advance(10 * minute)
  const script = await visitor.fetch(`${url}/api/x`)
  t.equal(script.status, 401)
  t.match(script.json(), { code: 'ERR_LOGIN_REQUIRED', auth_url: `${url}/auth/login` })
  t.same(script.setCookies, [], 'a script’s answer deletes nothing: another one may have won')
  const page = await visitor.open(`${url}/wiki/Start`)
  t.equal(page.status, 200, 'who may read reads')
  t.same(page.setCookies, [])
  const leaving = await visitor.open(`${url}/api/x`)
  t.equal(leaving.status, 302)
  t.match(leaving.location, `${url}/auth/login?return_to=`)
  t.equal(sessionOf(leaving, name), '', 'the way to sign-in does')
  t.equal(exchanges().length, 1)
})

await t.test('a session without refresh token serves until its tokens end', async (t) => {
  const { clock, url, signIn, exchanges, provider, tokens } = await start(t)
  provider.replace('token', (request) => tokens(request, {}, { refresh_token: undefined }))
  const visitor = await signIn()
  clock.advance(59 * minute)
  t.equal((await visitor.fetch(`${url}/api/x`)).status, 200)
  clock.advance(2 * minute)
  t.equal((await visitor.fetch(`${url}/api/x`)).status, 401)
  t.equal(exchanges().length, 0)
})

await t.test('new tokens that cannot be verified change nobody', async (t) => {
  const cases: readonly (readonly [string, (started: Started) => ProviderAnswer])[] = [
    [
      'of somebody else',
      ({ tokens }) =>
        (request) =>
          tokens(request, { sub: 'somebody-else' }),
    ],
    [
      'with a bad signature',
      (started) => (request) => {
        const id = started.provider.sign('id', started.times(), { key: stranger })
        return started.tokens(request, {}, { id_token: id })
      },
    ],
    [
      'without signature',
      (started) => (request) => {
        const id = started.provider.sign('id', started.times(), { alg: 'none' })
        return started.tokens(request, {}, { id_token: id })
      },
    ],
    [
      'for another client',
      ({ tokens }) =>
        (request) =>
          tokens(request, { aud: 'other' }),
    ],
    [
      'that have expired',
      ({ tokens }) =>
        (request) =>
          tokens(request, { exp: 1 }),
    ],
    [
      'of another name that is no name',
      ({ tokens }) =>
        (request) =>
          tokens(request, { 'cognito:username': 'admins' }),
    ],
    [
      'too large for a cookie',
      ({ tokens }) =>
        (request) =>
          tokens(request, { email: randomBytes(6750).toString('base64url') }),
    ],
  ]
  for (const [what, answer] of cases) {
    const now = await start(t)
    const { clock, url, signIn, provider, userOf, exchanges } = now
    const visitor = await signIn()
    const times = () => {
      const iat = Math.floor(clock() / 1000)
      return { iat, exp: iat + 3600 }
    }
    provider.replace('token', answer({ ...now, times }))
    clock.advance(50 * minute)
    t.equal(await userOf(visitor), provider.person['username'], what)
    t.equal(exchanges().length, 1)
    clock.advance(11 * minute)
    t.equal((await visitor.fetch(`${url}/api/x`)).status, 401, what)
    t.equal(exchanges().length, 1, 'it is final')
  }
})
type Started = Awaited<ReturnType<typeof start>> & { times: () => Record<string, unknown> }

await t.test('an answer without ID token keeps what is known of the person', async (t) => {
  const { clock, url, signIn, provider, tokens, userOf, exchanges } = await start(t)
  const visitor = await signIn()
  provider.replace('token', (request) => tokens(request, {}, { id_token: undefined }))
  for (let i = 1; i <= 3; i++) {
    clock.advance(50 * minute)
    t.equal(await userOf(visitor), provider.person['username'])
    t.equal(exchanges().length, i)
  }
  await visitor.fetch(`${url}/wiki/Start`)
  t.equal(upstream.lastHeaders()['x-trac-email'], 'pat@example.edu')
})

await t.test('changed groups, e-mail and name count from the next renewal on', async (t) => {
  const { clock, url, signIn, provider, userOf } = await start(t)
  provider.person = { ...provider.person, groups: ['instructors'] }
  const visitor = await signIn()
  t.equal((await visitor.fetch(`${url}/wiki/Start?action=edit`)).status, 200)
  provider.person = {
    ...provider.person,
    groups: ['students'],
    email: 'new@example.edu',
    name: 'N',
  }
  t.equal((await visitor.fetch(`${url}/wiki/Start?action=edit`)).status, 200)
  clock.advance(50 * minute)
  t.equal((await visitor.fetch(`${url}/wiki/Start?action=edit`)).status, 403)
  await visitor.fetch(`${url}/wiki/Start`)
  t.match(upstream.lastHeaders(), {
    'x-trac-email': 'new%40example.edu'.replace('%40', '@'),
    'x-trac-name': 'N',
  })
  provider.person = { ...provider.person, username: 'renamed' }
  clock.advance(50 * minute)
  t.equal(await userOf(visitor), 'renamed')
})

await t.test('a session ends after the idle limit, and not while it is used', async (t) => {
  const { clock, url, name, signIn } = await start(t, { session: { idleTimeout: '2h' } })
  const visitor = await signIn()
  for (let i = 0; i < 6; i++) {
    clock.advance(100 * minute)
    t.equal((await visitor.fetch(`${url}/api/x`)).status, 200)
  }
  const copy = visitor.copy()
  clock.advance(2 * hour)
  const answer = await visitor.open(`${url}/wiki/Start`)
  t.equal(answer.status, 200, 'goes on without it')
  t.equal(upstream.lastHeaders()['x-trac-user'], '')
  t.equal(sessionOf(answer, name), '', 'the cookie is deleted')
  t.equal((await copy.copy().fetch(`${url}/api/x`)).status, 401)
  t.equal((await copy.copy().open(`${url}/api/x`)).status, 302)
})

await t.test(
  'a session is sealed anew for idleness a tenth of the limit apart at most',
  async (t) => {
    const { clock, url, name, signIn, exchanges } = await start(t, {
      session: { idleTimeout: '2h' },
    })
    const visitor = await signIn()
    let written = 0
    for (let i = 0; i < 40; i++) {
      clock.advance(minute)
      if (sessionOf(await visitor.fetch(`${url}/api/x`), name)) written++
    }
    t.equal(written, 3)
    t.equal(exchanges().length, 0)
  },
)

await t.test('a session ends after the absolute limit, however much it is used', async (t) => {
  const { clock, url, name, signIn } = await start(t, { session: { maxAge: '1d' } })
  const visitor = await signIn()
  let last = 24 * 3600
  for (let i = 1; i < 24; i++) {
    clock.advance(hour)
    const answer = await visitor.fetch(`${url}/api/x`)
    t.equal(answer.status, 200)
    const age = Number(/Max-Age=([0-9]+)/.exec(answer.setCookies.join())?.[1])
    t.ok(age < last && age <= (24 - i) * 3600, `the cookie’s own life shrinks: ${age}`)
    last = age
  }
  clock.advance(hour)
  const answer = await visitor.fetch(`${url}/api/x`)
  t.equal(answer.status, 401)
  t.equal(sessionOf(answer, name), '')
})

await t.test('a browser that goes away during its renewal leaves nothing stuck', async (t) => {
  const { clock, url, name, signIn, provider, tokens, exchanges } = await start(t)
  const visitor = await signIn()
  clock.advance(50 * minute)
  const release = holdAnswers(provider, 'token', (request) => tokens(request))
  const asked = provider.next('token')
  const controller = new AbortController()
  const headers = { cookie: visitor.cookieHeader(url) }
  const gone = fetch(`${url}/api/x`, { headers, signal: controller.signal }).catch(
    (error: Error) => error.name,
  )
  await asked
  controller.abort()
  t.equal(await gone, 'AbortError')
  const waiting = visitor.fetch(`${url}/api/x`)
  release()
  t.ok(sessionOf(await waiting, name))
  t.equal(exchanges().length, 1)
})

await t.test(
  'sessions that all renew at once make one exchange each, and nobody is lost',
  async (t) => {
    const { clock, url, name, exchanges, signedIn, adminUrl } = await start(t)
    const visitors = await signedIn(scaled(100, 1000))
    clock.advance(61 * minute)
    const answers: Answer[][] = []
    // As many connections at once as a listener's queue holds.
    for (let i = 0; i < visitors.length; i += 50) {
      const wave = visitors
        .slice(i, i + 50)
        .map((visitor) =>
          Promise.all(Array.from({ length: 8 }, () => visitor.copy().fetch(`${url}/api/x`))),
        )
      answers.push(...(await Promise.all(wave)))
    }
    const all = answers.flat()
    t.same(new Set(all.map(({ status }) => status)), new Set([200]))
    t.equal(exchanges().length, visitors.length)
    for (const group of answers) t.equal(new Set(group.map((a) => sessionOf(a, name))).size, 1)
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
    t.match(metrics, `trac_gateway_refreshes_total{for="session",result="ok"} ${visitors.length}`)
  },
)
