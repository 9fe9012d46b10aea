/** `POST /auth/refresh`: new tokens for a program, a renewed session for a browser, and every way to be refused. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { createDemoClient } from '../../src/demo/provider-pool.js'
import { signIn } from '../../src/demo/sign-in.js'
import { createAwaitedAnswers } from '../../src/endpoints/refresh.js'
import type { TokenAnswer } from '../../src/oidc/token-client.js'
import { badAnswers } from '../fixtures/scripted-provider.js'
import { createScriptedKey } from '../fixtures/scripted-keys.js'
import { changedTokens } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer, Sent } from '../fixtures/visitor.js'

const { provider, ivan, upstream, clock, origin, names, ...demo } = await stage(t, {
  provider: 'cognito',
  upstream: true,
})
const { provider: scripted, ...odd } = await stage(t, { provider: 'scripted', upstream })
const stranger = await createScriptedKey('key-1')
const sessionName = names.session
const base = demo.url
const url = `${base}/auth/refresh`

/** Asks as a program does: no cookie, no origin. */
const post = (body: string, sent: Sent = {}, at = url) =>
  new Visitor().fetch(at, {
    method: 'POST',
    body,
    ...sent,
    headers: {
      'sec-fetch-mode': '',
      'sec-fetch-site': '',
      'content-type': 'application/json',
      ...sent.headers,
    },
  })
const redeem = (refreshToken: unknown, sent: Sent = {}, at = url) =>
  post(JSON.stringify({ refresh_token: refreshToken }), sent, at)

/** A browser that has signed in, in a second of its own: a sign-in is known by its `auth_time`. */
async function signedIn(): Promise<Visitor> {
  clock.advance(1000)
  const visitor = new Visitor()
  await visitor.signIn(`${base}/auth/login`, ivan)
  return visitor
}
const renew = (visitor: Visitor, headers: Record<string, string> = {}, sent: Sent = {}) =>
  visitor.fetch(url, { method: 'POST', ...sent, headers: { origin: origin, ...headers } })

function check(t: Test, answer: Answer, status: number, code: string, what = code) {
  t.equal(answer.status, status, what)
  t.equal(answer.json()['code'], code, what)
  t.equal(answer.headers['cache-control'], 'no-store', what)
  t.match(answer.headers['content-type'], 'application/json')
}

await t.test(
  'POST /auth/refresh gives a program new tokens, verified and kept by nobody',
  async (t) => {
    const { refreshToken } = await signIn(provider, ivan)
    const answer = await redeem(refreshToken)
    t.equal(answer.status, 200)
    t.equal(answer.headers['cache-control'], 'no-store')
    t.same(answer.setCookies, [])
    const tokens = answer.json()
    t.same(Object.keys(tokens).toSorted(), ['access_token', 'expires_in', 'id_token', 'token_type'])
    t.match(tokens, { expires_in: 3600, token_type: 'Bearer' })
    for (const name of ['access_token', 'id_token']) {
      const headers = { authorization: `Bearer ${String(tokens[name])}` }
      t.equal((await new Visitor().fetch(`${base}/auth/session`, { headers })).status, 200)
    }
    t.equal((await redeem(refreshToken)).status, 200, 'without rotation it can be used again')
  },
)

await t.test(
  'POST /auth/refresh passes a rotated refresh token on and refuses the old one',
  async (t) => {
    const { refreshToken } = await signIn(provider, ivan)
    provider.settings.rotateRefreshTokens = true
    const first = (await redeem(refreshToken)).json()
    t.type(first['refresh_token'], 'string')
    t.not(first['refresh_token'], refreshToken)
    check(t, await redeem(refreshToken), 401, 'ERR_REFRESH_REFUSED')
    provider.settings.rotateRefreshTokens = false
  },
)

await t.test('the cookies of a JSON request are left unread and untouched', async (t) => {
  const visitor = await signedIn()
  const { refreshToken } = await signIn(provider, ivan)
  for (const cookie of [visitor.cookieHeader(base), `${sessionName}=junk`, ';;=;', 'a=b']) {
    for (const headers of [
      {},
      { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    ]) {
      const answer = await redeem(refreshToken, { cookie, headers })
      t.equal(answer.status, 200)
      t.same(answer.setCookies, [])
      const refused = await redeem('made-up', { cookie, headers })
      check(t, refused, 401, 'ERR_REFRESH_REFUSED')
      t.same(refused.setCookies, [])
    }
  }
  t.equal((await visitor.fetch(`${base}/auth/session`)).json()['user'], 'ivan')
})

await t.test('requests share an exchange in flight, and nothing that is finished', async (t) => {
  const { refreshToken } = await signIn(provider, ivan)
  const before = provider.counts.token
  const answers = await Promise.all(Array.from({ length: 10 }, () => redeem(refreshToken)))
  const texts = new Set(answers.map(({ text }) => text))
  t.ok(provider.counts.token - before < 10)
  t.equal(texts.size, provider.counts.token - before)
  await redeem(refreshToken)
  t.equal(provider.counts.token, before + texts.size + 1, 'a later one asks again')
})

await t.test('a method other than POST is 405 and names POST', async (t) => {
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
    const answer = await new Visitor().fetch(url, { method })
    t.equal(answer.status, 405, method)
    t.equal(answer.headers['allow'], 'POST', method)
  }
})

await t.test('a body that cannot be read is refused with its reason', async (t) => {
  const cases: readonly (readonly [string, string, number, string])[] = [
    ['{', 'application/json', 400, 'ERR_BODY_MALFORMED'],
    ['null', 'application/json', 400, 'ERR_BODY_MALFORMED'],
    ['[]', 'application/json', 400, 'ERR_BODY_MALFORMED'],
    ['"x"', 'application/json', 400, 'ERR_BODY_MALFORMED'],
    ['{"refresh_token":""}', 'application/json', 400, 'ERR_BODY_MALFORMED'],
    ['{"refresh_token":null}', 'application/json', 400, 'ERR_BODY_MALFORMED'],
    ['{"refresh_token":["x"]}', 'application/json', 400, 'ERR_BODY_MALFORMED'],
    ['{}', 'application/json', 400, 'ERR_CREDENTIAL_MISSING'],
    ['{"token":"x"}', 'application/json; charset=utf-8', 400, 'ERR_CREDENTIAL_MISSING'],
    ['', 'application/json', 400, 'ERR_CREDENTIAL_MISSING'],
    ['', '', 400, 'ERR_CREDENTIAL_MISSING'],
    ['refresh_token=x', 'application/x-www-form-urlencoded', 415, 'ERR_MEDIA_TYPE'],
    ['{"refresh_token":"x"}', 'text/plain', 415, 'ERR_MEDIA_TYPE'],
    ['{"refresh_token":"x"}', 'application/jsonp', 415, 'ERR_MEDIA_TYPE'],
    ['{"refresh_token":"x"}', '', 415, 'ERR_MEDIA_TYPE'],
    [`{"refresh_token":"${'x'.repeat(17_000)}"}`, 'application/json', 413, 'ERR_BODY_TOO_LARGE'],
  ]
  const before = provider.counts.token
  for (const [body, type, status, code] of cases) {
    const answer = await post(body, { headers: { 'content-type': type } })
    check(t, answer, status, code, `${type} ${body.slice(0, 30)}`)
  }
  t.equal(provider.counts.token, before, 'the provider was not asked')
})

await t.test('what the provider refuses is 401, what it can’t answer 502 or 503', async (t) => {
  const at = `${odd.url}/auth/refresh`
  const sign = (claims: object, options = {}) => scripted.sign('id', { ...claims }, options)
  const tokens = (more: object) => ({
    body: {
      access_token: scripted.sign('access'),
      id_token: sign({}),
      token_type: 'Bearer',
      expires_in: 60,
      ...more,
    },
  })
  const cases: readonly (readonly [string, object, number, string])[] = [
    ['a refusal', { status: 400, body: { error: 'invalid_grant' } }, 401, 'ERR_REFRESH_REFUSED'],
    [
      'another error',
      { status: 400, body: { error: 'invalid_client' } },
      502,
      'ERR_PROVIDER_ANSWER',
    ],
    ['a page', badAnswers.html, 502, 'ERR_PROVIDER_ANSWER'],
    ['nothing', badAnswers.empty, 502, 'ERR_PROVIDER_ANSWER'],
    ['503', badAnswers.unavailable, 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['a broken connection', badAnswers.broken, 503, 'ERR_PROVIDER_UNAVAILABLE'],
    [
      'a bad signature',
      tokens({ id_token: sign({}, { key: stranger }) }),
      401,
      'ERR_TOKEN_SIGNATURE',
    ],
    [
      'an access token with a bad signature',
      tokens({ access_token: scripted.sign('access', {}, { key: stranger }) }),
      401,
      'ERR_TOKEN_SIGNATURE',
    ],
    ['another client', tokens({ id_token: sign({ aud: 'x' }) }), 401, 'ERR_TOKEN_CLIENT'],
    ['two people', tokens({ id_token: sign({ sub: 'x' }) }), 401, 'ERR_TOKEN_SUBJECT'],
    [
      'nothing that can be verified',
      tokens({ access_token: 'x', id_token: undefined }),
      502,
      'ERR_PROVIDER_ANSWER',
    ],
  ]
  for (const [what, body, status, code] of cases) {
    scripted.replace('token', () => body)
    const answer = await redeem('refresh-token', {}, at)
    check(t, answer, status, code, what)
    t.equal(answer.headers['retry-after'] !== undefined, status === 503, `${what}: Retry-After`)
    t.notMatch(answer.text, 'eyJ', 'no token is passed on')
    if (status === 401) t.match(answer.headers['www-authenticate'], 'Bearer realm="Trac"')
  }
  scripted.replace('token', () => tokens({ id_token: undefined }))
  t.notOk('id_token' in (await redeem('refresh-token', {}, at)).json(), 'none came, none goes on')
  scripted.restore()
})

await t.test(
  'an access token that is opaque or for somebody else is passed on as it came',
  async (t) => {
    for (const dialect of ['cognito', 'standard'] as const) {
      const { provider, url } = await stage(t, {
        provider: 'scripted',
        providerOptions: { dialect },
        upstream,
      })
      const foreign = { iss: 'https://elsewhere.example', token_use: undefined }
      const aud = 'https://api.example.edu'
      const own = dialect === 'cognito' ? { client_id: 'other' } : { aud }
      const accessTokens: readonly (readonly [string, string])[] = [
        ['opaque', 'opaque-token'],
        ['opaque with dots', 'a.b.c'],
        ['for another audience', provider.sign('access', own)],
        [
          'for another audience, as a plain JWT',
          provider.sign('access', own, { header: { typ: 'JWT' } }),
        ],
        [
          'signed with a key that is not for us',
          provider.sign('access', own, { key: stranger, kid: 'k9' }),
        ],
        ['of another issuer', provider.sign('access', foreign)],
        ['encrypted', 'eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA'],
      ]
      for (const [what, token] of accessTokens) {
        const body = { access_token: token, id_token: provider.sign('id'), token_type: 'Bearer' }
        provider.replace('token', () => ({ body }))
        const answer = await redeem('refresh-token', {}, `${url}/auth/refresh`)
        t.equal(answer.status, 200, `${dialect}: ${what}`)
        t.match(answer.json(), { access_token: token, id_token: body.id_token })
        provider.replace('token', () => ({ body: { ...body, id_token: undefined } }))
        const bare = await redeem('refresh-token', {}, `${url}/auth/refresh`)
        check(t, bare, 502, 'ERR_PROVIDER_ANSWER', `${what}: nothing in it can be verified`)
        const forged = { ...body, id_token: provider.sign('id', {}, { key: stranger }) }
        provider.replace('token', () => ({ body: forged }))
        const refused = await redeem('refresh-token', {}, `${url}/auth/refresh`)
        check(t, refused, 401, 'ERR_TOKEN_SIGNATURE', `${what}: the ID token is verified`)
      }
    }
  },
)

await t.test(
  'while its key is awaited a refresh token gets 503, and then what it was redeemed for',
  async (t) => {
    const { provider, url, clock, gateway } = await stage(t, {
      provider: 'scripted',
      tokens: { rotates: true },
      upstream,
    })
    clock.stop()
    const at = `${url}/auth/refresh`
    const first = await new Visitor().follow(`${url}/auth/login`)
    t.equal(first.status, 200)
    const old = provider.keys
    provider.keys = [await createScriptedKey('key-2'), ...old]
    provider.replace('jwks', () => ({ body: { keys: old.map(({ publicJwk }) => publicJwk) } }))
    const before = provider.counts.token
    for (let i = 0; i < 3; i++) {
      const answer = await redeem('refresh-1', {}, at)
      check(t, answer, 503, 'ERR_PROVIDER_UNAVAILABLE')
      t.match(answer.headers['retry-after'], /^[0-9]+$/)
    }
    t.equal(provider.counts.token, before + 1, 'it is redeemed once')
    await gateway.reload({ rateLimit: { auth: { max: 500, per: '1m' } } })
    provider.restore('jwks')
    const answer = await redeem('refresh-1', {}, at)
    t.equal(answer.status, 200)
    t.match(answer.json(), { refresh_token: 'refresh-2' })
    clock.advance(59_000)
    t.match((await redeem('refresh-1', {}, at)).json(), answer.json(), 'the same for a minute')
    clock.advance(1001)
    check(t, await redeem('refresh-1', {}, at), 401, 'ERR_REFRESH_REFUSED')
    t.equal((await redeem('refresh-2', {}, at)).status, 200)
  },
)

await t.test('a thousand awaited answers are kept, for a minute each, the latest ones', (t) => {
  let now = 1_000_000
  const kept = createAwaitedAnswers(() => now)
  const answer = { accessToken: 'x' } as TokenAnswer
  for (let i = 0; i < 1001; i++) kept.set(`token-${i}`, answer)
  t.equal(kept.size, 1000)
  t.notOk(kept.has('token-0'), 'the oldest made way')
  t.ok(kept.has('token-1'))
  now += 59_999
  kept.set('token-1000', answer)
  t.equal(kept.get('token-1000'), answer)
  now += 2
  t.equal(kept.get('token-1'), undefined)
  t.equal(kept.get('token-1000'), undefined, 'a second failure keeps none for longer')
  t.end()
})

await t.test(
  'failures of a browser are counted by its session, whatever other cookies it sends',
  async (t) => {
    const { url, origin, names } = await stage(t, {
      provider: 'scripted',
      overlay: { rateLimit: { failures: { max: 3, per: '1m' } } },
    })
    const ask = async (session: string, other: string) => {
      const cookie = `${names.session}=${session}; other=${other}`
      const sent = { method: 'POST', headers: { origin }, cookie, keep: false }
      return (await new Visitor().fetch(`${url}/auth/refresh`, sent)).status
    }
    const statuses: number[] = []
    for (let i = 0; i < 5; i++) statuses.push(await ask('junk', String(i)))
    t.same(statuses, [401, 401, 401, 429, 429])
    t.equal(await ask('other-junk', '0'), 401, 'another session is another matter')
  },
)

await t.test('tokens of a sign-in that ended here are not handed out', async (t) => {
  const at = `${odd.url}/auth/refresh`
  const origin = { origin_jti: 'origin-1' }
  const tokens = () => ({
    access_token: scripted.sign('access', origin),
    id_token: scripted.sign('id', origin),
    token_type: 'Bearer',
  })
  scripted.replace('token', (request) =>
    changedTokens(scripted, request, ({ nonce }) => ({
      ...tokens(),
      id_token: scripted.sign('id', { ...origin, nonce }),
    })),
  )
  const browser = new Visitor()
  await browser.follow(`${odd.url}/auth/login`)
  t.equal((await redeem('refresh-token', {}, at)).status, 200)
  t.equal((await browser.submit(`${odd.url}/auth/logout`)).status, 303)
  check(t, await redeem('refresh-token', {}, at), 401, 'ERR_REFRESH_REFUSED')
  scripted.restore()
})

await t.test(
  'with a clientSecret the JSON form is off unless publicRefresh turns it on',
  async (t) => {
    const own = createDemoClient({ redirectUris: ['http://localhost:1/'] })
    Object.assign(own, { clientId: 'confidential', clientSecret: 'the-secret-of-the-client' })
    provider.clients.push(own)
    const { refreshToken } = await signIn(provider, ivan, { clientId: 'confidential' })
    for (const publicRefresh of [false, true]) {
      const closed = await stage(t, {
        provider,
        clientId: 'confidential',
        overlay: {
          identity: {
            clientId: 'confidential',
            clientSecret: { fromEnv: 'SESSION' },
            publicRefresh,
          },
        },
      })
      const before = provider.counts.token
      const answer = await redeem(refreshToken, {}, `${closed.url}/auth/refresh`)
      if (publicRefresh) t.equal(provider.counts.token, before + 1, 'the provider is asked')
      else {
        check(t, answer, 403, 'ERR_REFRESH_DISABLED')
        t.equal(provider.counts.token, before)
      }
    }
  },
)

await t.test('POST /auth/refresh renews a browser’s session and hands out no token', async (t) => {
  const visitor = await signedIn()
  const old = visitor.cookies(base).get(sessionName)!
  const before = provider.counts.token
  const answer = await renew(visitor)
  t.equal(answer.status, 200, answer.text)
  t.same(Object.keys(answer.json()).toSorted(), ['expires_at', 'expires_in'])
  t.match(answer.json(), { expires_in: Number, expires_at: Number })
  t.ok(Number(answer.json()['expires_in']) > 3590)
  t.equal(answer.headers['cache-control'], 'no-store')
  t.equal(provider.counts.token, before + 1)
  t.not(visitor.cookies(base).get(sessionName), old)
  t.equal((await visitor.fetch(`${base}/auth/session`)).json()['user'], 'ivan')
})

await t.test('a browser’s renewal must come from our own pages', async (t) => {
  const visitor = await signedIn()
  const cases: readonly (readonly [Record<string, string>, number])[] = [
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'same-origin', origin: '' }, 200],
    [{ 'sec-fetch-site': '' }, 200],
    [{ 'sec-fetch-site': '', origin: '', referer: `${base}/wiki` }, 200],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'none' }, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ 'sec-fetch-site': '', origin: 'null' }, 403],
    [{ 'sec-fetch-site': '', origin: '' }, 403],
    [{ 'sec-fetch-site': '', origin: '', referer: 'https://evil.example/' }, 403],
    [{ 'sec-fetch-site': '', origin: `${origin}.evil.example` }, 403],
  ]
  for (const [headers, status] of cases) {
    const before = provider.counts.token
    const answer = await renew(visitor, headers)
    t.equal(answer.status, status, JSON.stringify(headers))
    if (status === 403) {
      check(t, answer, 403, 'ERR_CROSS_SITE')
      t.equal(provider.counts.token, before)
    }
  }
})

await t.test('a renewal without a living session is 401, and its cookie is deleted', async (t) => {
  const visitor = await signedIn()
  const copy = visitor.copy()
  await visitor.submit(`${base}/auth/logout`)
  for (const cookie of [copy.cookieHeader(base), `${sessionName}=junk`]) {
    const answer = await renew(new Visitor(), {}, { cookie })
    check(t, answer, 401, 'ERR_SESSION_ENDED')
    t.match(answer.setCookies.join(), `${sessionName}=; Path=/; Max-Age=0`)
  }
})

await t.test(
  'a provider that is down keeps the session; its final refusal ends renewal only',
  async (t) => {
    scripted.person = { ...scripted.person, sub: 'somebody-else' }
    const visitor = new Visitor()
    await visitor.follow(`${odd.url}/auth/login`)
    const at = `${odd.url}/auth/refresh`
    const again = () => visitor.fetch(at, { method: 'POST', headers: { origin: odd.origin } })
    const isIn = async () => (await visitor.fetch(`${odd.url}/auth/session`)).status
    scripted.replace('token', () => badAnswers.unavailable)
    const down = await again()
    check(t, down, 503, 'ERR_PROVIDER_UNAVAILABLE')
    t.match(down.headers['retry-after'], /^[0-9]+$/)
    t.equal(await isIn(), 200)
    scripted.restore()
    const waiting = await again()
    check(t, waiting, 503, 'ERR_PROVIDER_UNAVAILABLE', 'the next try waits')
    odd.clock.advance(2000)
    t.equal((await again()).status, 200)
    scripted.replace('token', () => ({ status: 400, body: { error: 'invalid_grant' } }))
    for (let i = 0; i < 2; i++) {
      const final = await again()
      check(t, final, 401, 'ERR_SESSION_FINAL')
      t.same(final.setCookies, [], 'the cookie stays: another one may have won')
    }
    t.equal(await isIn(), 200, 'it serves until its tokens end')
    scripted.restore()
  },
)

await t.test(
  'a refresh token that keeps failing is stopped before the provider is asked',
  async (t) => {
    const { provider, url } = await stage(t, {
      provider: 'cognito',
      overlay: { rateLimit: { failures: { max: 3, per: '1m' } } },
    })
    const ask = (token: string) =>
      fetch(`${url}/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ refresh_token: token }),
      })
    const statuses = []
    for (let i = 0; i < 5; i++) statuses.push((await ask('stolen-or-stale')).status)
    t.strictSame(statuses, [401, 401, 401, 429, 429])
    t.equal(provider.counts.token, 3)
    const stopped = await ask('stolen-or-stale')
    t.match(stopped.headers.get('retry-after'), /^[1-9]\d*$/)
    t.equal((await ask('another')).status, 401, 'another token is another matter')
  },
)
