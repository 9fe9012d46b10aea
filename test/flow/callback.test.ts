/** The way back from the provider: whatever comes, it ends in a session or in a page with a way forward. */
import { randomBytes } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { badAnswers, hugeAnswer } from '../fixtures/scripted-provider.js'
import type { ScriptedAnswer, ScriptedRequest } from '../fixtures/scripted-provider.js'
import { createScriptedKey } from '../fixtures/scripted-keys.js'
import { rawExchange } from '../fixtures/gateway.js'
import { requestText } from '../fixtures/wire.js'
import { holdAnswers } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'

const { provider, upstream, clock, url, port, names, gateway } = await stage(t, {
  provider: 'scripted',
  upstream: true,
})
const stranger = await createScriptedKey('key-1')
const { session: sessionName, attempt: attemptStem } = names
const callback = `${url}/auth/callback`
const isCallback = (to: URL) => to.href.startsWith(callback)
const hasSession = (visitor: Visitor) => visitor.cookies(url).has(sessionName)

/** A browser that stands before the callback. */
async function begin(returnTo = '/trac/wiki/Start') {
  const visitor = new Visitor()
  const start = `${url}/auth/login?return_to=${encodeURIComponent(returnTo)}`
  const back = await visitor.follow(start, isCallback)
  return { visitor, back: new URL(back.location) }
}

/** A page of ours that says what, names the request, leads on, and starts nothing by itself. */
function checkPage(t: Test, page: Answer, status: number, code: string) {
  t.equal(page.status, status)
  t.match(page.text, `<dd>${code}</dd>`)
  t.match(page.text, /<dt>Request<\/dt><dd>[0-9a-f]{32}<\/dd>/)
  t.match(page.text, /<a href="\/trac\/auth\/login(\?[^"]*)?">Sign in<\/a>/)
  t.equal(page.location, '', 'no redirect')
  t.notMatch(page.text, /<script|http-equiv/i)
  t.match(page.headers['content-security-policy'], "default-src 'none'")
  t.equal(page.headers['referrer-policy'], 'same-origin')
  t.equal(page.headers['cache-control'], 'no-store')
}

/** The usual token answer with other members. */
function tokens(change: (usual: Record<string, unknown>, nonce: string) => object) {
  return (request: ScriptedRequest): ScriptedAnswer => {
    const usual = provider.usual('token', request).body as Record<string, unknown>
    const claims = String(usual['id_token']).split('.')[1] ?? ''
    const { nonce } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { nonce: string }
    return { body: { ...usual, ...change(usual, nonce) } }
  }
}
const idToken = (claims: object, options = {}) =>
  tokens((_, nonce) => ({ id_token: provider.sign('id', { nonce, ...claims }, options) }))

await t.test('a callback ends in a session and at the page that asked', async (t) => {
  const { visitor, back } = await begin('/trac/ticket/42?x=1')
  const answer = await visitor.open(back)
  t.equal(answer.status, 303)
  t.equal(answer.location, `${url}/ticket/42?x=1`)
  t.ok(hasSession(visitor))
  const form = provider.received.token.at(-1)!.form
  t.match(form.get('code_verifier'), /^[A-Za-z0-9_-]{43}$/)
  t.equal(form.get('redirect_uri'), callback)
})

await t.test('a callback that is sent twice gets the same answer, with one exchange', async (t) => {
  const { visitor, back } = await begin()
  const before = provider.counts.token
  const twice = await Promise.all([visitor.copy().open(back), visitor.copy().open(back)])
  const third = await visitor.open(back)
  const fourth = await visitor.open(back)
  t.equal(provider.counts.token, before + 1)
  const values = [...twice, third, fourth].map((answer) => {
    t.equal(answer.status, 303)
    t.equal(answer.location, `${url}/wiki/Start`)
    return answer.setCookies.find((line) => line.startsWith(`${sessionName}=`))?.split(';')[0]
  })
  t.equal(new Set(values).size, 1, 'the very same session')
})

/** Bytes of an answer from its first line to the empty one. */
async function headSize(visitor: Visitor, target: URL): Promise<number> {
  const cookie = `Cookie: ${visitor.cookieHeader(target)}`
  const accept = 'Accept: text/html'
  const bytes = requestText({ port }, `GET ${target.pathname}${target.search}`, [cookie, accept])
  const text = await rawExchange(port, bytes)
  t.match(text, /^HTTP\/1\.1 30[23] /)
  return text.indexOf('\r\n\r\n') + 4
}

await t.test(
  'what leads to sign-in and back fits one page, as a proxy’s buffer does',
  async (t) => {
    // As long as Cognito's, for a person with its usual claims.
    const refresh_token = randomBytes(1350).toString('base64url')
    provider.replace(
      'token',
      tokens(() => ({ refresh_token })),
    )
    t.teardown(() => provider.restore())
    const long = `/trac/wiki/${'x'.repeat(1000)}`
    for (const [what, returnTo] of [
      ['a usual page', '/trac/wiki/Start?version=2'],
      ['a long address', long],
    ] as const) {
      const { visitor, back } = await begin(returnTo)
      const size = await headSize(visitor, back)
      t.ok(size < 4000, `the callback for ${what}: ${size} bytes`)
      for (let i = 0; i < 4; i++) await visitor.open(`${url}/auth/login`)
      const start = new URL(`${url}/auth/login?return_to=${encodeURIComponent(returnTo)}`)
      const first = await headSize(visitor, start)
      t.ok(first < 4000, `sign-in for ${what}: ${first} bytes`)
    }
  },
)

await t.test(
  'a callback that failed fails the same when it is sent twice, with one exchange',
  async (t) => {
    const { visitor, back } = await begin()
    provider.replace('token', () => ({ status: 400, body: { error: 'invalid_grant' } }))
    const before = provider.counts.token
    checkPage(t, await visitor.open(back), 400, 'ERR_LOGIN_UNKNOWN')
    checkPage(t, await visitor.open(back), 400, 'ERR_LOGIN_UNKNOWN')
    t.equal(provider.counts.token, before + 1)
    provider.restore()
  },
)

/** The callback of one attempt with the code of another. */
function withCodeOf(back: URL, other: URL): URL {
  const mixed = new URL(back)
  mixed.searchParams.set('code', other.searchParams.get('code')!)
  return mixed
}

await t.test(
  'the cookie of a used attempt, put back, is refused without asking the provider',
  async (t) => {
    for (const isGood of [true, false]) {
      const { visitor, back } = await begin()
      const kept = visitor.copy()
      if (!isGood)
        provider.replace('token', () => ({ status: 400, body: { error: 'invalid_grant' } }))
      t.equal((await visitor.open(back)).status, isGood ? 303 : 400)
      provider.restore()
      const attacker = await begin()
      const mixed = withCodeOf(back, attacker.back)
      const before = provider.counts.token
      for (const wait of [0, 30_000, 60_000, 7 * 60_000]) {
        clock.advance(wait)
        for (const browser of [kept.copy(), visitor.copy()]) {
          for (const [name, value] of kept.cookies(url)) browser.cookies(url).set(name, value)
          checkPage(t, await browser.open(mixed), 400, 'ERR_LOGIN_UNKNOWN')
        }
      }
      checkPage(t, await kept.copy().open(back), 400, 'ERR_LOGIN_UNKNOWN')
      t.equal(provider.counts.token, before, 'the provider was not asked')
    }
  },
)

await t.test('an attempt whose code is being redeemed takes no other one', async (t) => {
  const { visitor, back } = await begin()
  const attacker = await begin()
  const release = holdAnswers(provider, 'token')
  const asked = provider.next('token')
  const running = visitor.copy().open(back)
  await asked
  checkPage(t, await visitor.copy().open(withCodeOf(back, attacker.back)), 400, 'ERR_LOGIN_UNKNOWN')
  release()
  provider.restore()
  t.equal((await running).status, 303)
})

await t.test('a temporary fault uses no attempt up, and is no answer to keep', async (t) => {
  for (const fault of [
    badAnswers.unavailable,
    badAnswers.broken,
    { status: 429 },
    badAnswers.html,
  ]) {
    const { visitor, back } = await begin()
    provider.replace('token', () => fault)
    t.ok((await visitor.open(back)).status >= 500)
    provider.restore()
    t.equal((await visitor.open(back)).status, 303, 'the very same callback works at once')
  }
})

await t.test(
  'a callback whose key was awaited goes well when it comes again, with one exchange',
  async (t) => {
    const { visitor, back } = await begin()
    const old = provider.keys
    provider.keys = [await createScriptedKey('key-9'), ...old]
    provider.replace('jwks', () => ({ body: { keys: old.map(({ publicJwk }) => publicJwk) } }))
    const before = provider.counts.token
    checkPage(t, await visitor.open(back), 401, 'ERR_TOKEN_KEY_UNKNOWN')
    provider.restore('jwks')
    t.equal((await visitor.open(back)).status, 303)
    t.equal(provider.counts.token, before + 1)
    provider.keys = old
  },
)

await t.test(
  'a fragment of return_to is kept to the end, beside an encoded # in the query',
  async (t) => {
    const { visitor, back } = await begin('/trac/ticket/42?a=b%23c#comment:3')
    const answer = await visitor.open(back)
    t.equal(answer.headers['location'], '/trac/ticket/42?a=b%23c#comment:3')
    const again = await visitor.open(
      `${url}/auth/login?return_to=${encodeURIComponent('/trac/wiki#top')}`,
    )
    t.equal(again.headers['location'], '/trac/wiki#top', 'also for who is signed in')
  },
)

await t.test('after a sign-in that failed, another try leads to the same page', async (t) => {
  const returnTo = '/trac/ticket/42?a=b%23c#comment:3'
  const denied = (state: string) => `${callback}?state=${state}&error=access_denied`
  const { visitor, back } = await begin(returnTo)
  const page = await visitor.open(denied(back.searchParams.get('state')!))
  checkPage(t, page, 403, 'ERR_LOGIN_DENIED')
  const href = /href="([^"]+)">Sign in</.exec(page.text)![1]!.replaceAll('&amp;', '&')
  const last = await visitor.follow(new URL(href, url), (to) => to.hash !== '')
  t.equal(new URL(last.location).hash, '#comment:3')
  t.equal(last.headers['location'], returnTo)

  const failed = await begin(returnTo)
  provider.replace('token', idToken({ 'cognito:username': 'Admins' }))
  const refused = await failed.visitor.open(failed.back)
  provider.restore()
  checkPage(t, refused, 401, 'ERR_NAME_REFUSED')
  t.match(refused.text, 'auth/login?prompt=login&amp;return_to=%2Ftrac%2Fticket%2F42')
})

await t.test('what the provider says of a refusal is logged, bounded and cleaned', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    [
      'The user is not assigned to this app.',
      'access_denied: The user is not assigned to this app.',
    ],
    ['one\r\ntwo\u001b[31m\u2028', 'access_denied: one two [31m'],
    [`code ${'A'.repeat(40)} and eyJhbGciOiJSUzI1NiJ9abcdef.x`, 'access_denied: code … and ….x'],
    ['word '.repeat(500), `access_denied: ${'word '.repeat(40)}`],
    ['', 'access_denied'],
  ]
  for (const [description, logged] of cases) {
    const { visitor, back } = await begin()
    const state = back.searchParams.get('state')!
    const query = new URLSearchParams({
      state,
      error: 'access_denied',
      error_description: description,
    })
    await visitor.open(`${callback}?${query.toString()}`)
    const line = JSON.stringify(gateway.lines.at(-1))
    t.match(line, JSON.stringify(`the provider answered ${logged}`).slice(1, -1), description)
    t.ok(line.length < 1600)
  }
  const { visitor, back } = await begin()
  const error = { error: 'invalid_client', error_description: 'client secret expired' }
  provider.replace('token', () => ({ status: 401, body: error }))
  await visitor.open(back)
  provider.restore()
  t.match(gateway.log(), 'the token endpoint answered 401 invalid_client: client secret expired')
})

await t.test('a code that was used before, or is made up, gives nothing', async (t) => {
  const { visitor, back } = await begin()
  await visitor.open(back)
  const other = await begin()
  const mixed = new URL(other.back)
  mixed.searchParams.set('code', back.searchParams.get('code')!)
  checkPage(t, await other.visitor.open(mixed), 400, 'ERR_LOGIN_UNKNOWN')
  t.notOk(hasSession(other.visitor))
  const third = await begin()
  third.back.searchParams.set('code', 'made-up')
  checkPage(t, await third.visitor.open(third.back), 400, 'ERR_LOGIN_UNKNOWN')
})

await t.test(
  'a bookmarked callback leads who is signed in to the start page, and others to a page',
  async (t) => {
    const { visitor, back } = await begin()
    checkPage(t, await new Visitor().open(back), 400, 'ERR_LOGIN_UNKNOWN')
    await visitor.open(back)
    for (const name of visitor.cookies(url).keys()) {
      if (name.startsWith(attemptStem)) visitor.cookies(url).delete(name)
    }
    const answer = await visitor.open(back)
    t.equal(answer.status, 303)
    t.equal(answer.location, `${url}/`)
  },
)

await t.test('a sign-in ends after ten minutes', async (t) => {
  clock.stop()
  const late = await begin()
  clock.advance(10 * 60_000 + 1)
  checkPage(t, await late.visitor.open(late.back), 400, 'ERR_LOGIN_UNKNOWN')
  t.notOk(hasSession(late.visitor))
  const intime = await begin()
  clock.advance(10 * 60_000 - 1000)
  t.equal((await intime.visitor.open(intime.back)).status, 303)
})

await t.test('a callback that is no answer of a provider is 400', async (t) => {
  const { visitor, back } = await begin()
  const { searchParams } = back
  const [code, own] = [searchParams.get('code')!, searchParams.get('state')!]
  const cases: readonly (readonly [string, string])[] = [
    ['', 'ERR_CALLBACK_MALFORMED'],
    ['?', 'ERR_CALLBACK_MALFORMED'],
    ['?&', 'ERR_CALLBACK_MALFORMED'],
    ['?code=x', 'ERR_CALLBACK_MALFORMED'],
    ['?state=', 'ERR_CALLBACK_MALFORMED'],
    [`?code=${code}&state=`, 'ERR_CALLBACK_MALFORMED'],
    [`?code=${code}&state=${own}&state=${own}`, 'ERR_CALLBACK_MALFORMED'],
    [`?code=${code}&code=${code}&state=${own}`, 'ERR_CALLBACK_MALFORMED'],
    [`?code=${code}&state=${own}&iss=a&iss=b`, 'ERR_CALLBACK_MALFORMED'],
    [`?code=${code}&state=${own}&error=a&error=b`, 'ERR_CALLBACK_MALFORMED'],
    [`?code=${code}&state=${own.slice(0, 8)}${'A'.repeat(35)}`, 'ERR_LOGIN_UNKNOWN'],
    [`?code=${code}&state=${own.slice(0, 8)}`, 'ERR_LOGIN_UNKNOWN'],
    [`?code=${code}&state=%00`, 'ERR_LOGIN_UNKNOWN'],
    ['?code=%zz&state=%', 'ERR_LOGIN_UNKNOWN'],
  ]
  const before = provider.counts.token
  for (const [query, expected] of cases) {
    checkPage(t, await visitor.copy().open(callback + query), 400, expected)
  }
  t.equal(provider.counts.token, before, 'no code was redeemed')
  t.equal((await visitor.open(back)).status, 303, 'and the sign-in is still open')
})

await t.test('an attempt without code, or with an empty one, is 400', async (t) => {
  for (const query of ['', '&code=', '&iss=', '&response=x']) {
    const { visitor, back } = await begin()
    const own = back.searchParams.get('state')!
    checkPage(
      t,
      await visitor.open(`${callback}?state=${own}${query}`),
      400,
      'ERR_CALLBACK_MALFORMED',
    )
  }
})

await t.test(
  'a consent that was denied is told as that, with the provider’s words escaped',
  async (t) => {
    const cases: readonly (readonly [string, number, string])[] = [
      ['access_denied', 403, 'ERR_LOGIN_DENIED'],
      ['interaction_required', 403, 'ERR_LOGIN_DENIED'],
      ['<img src=x onerror=alert(1)>', 403, 'ERR_LOGIN_DENIED'],
      ['temporarily_unavailable', 503, 'ERR_PROVIDER_UNAVAILABLE'],
      ['server_error', 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ]
    for (const [error, status, code] of cases) {
      const { visitor, back } = await begin()
      const query = new URLSearchParams({
        state: back.searchParams.get('state')!,
        error,
        error_description: '<script>alert(1)</script>',
      })
      const page = await visitor.open(`${callback}?${query.toString()}`)
      checkPage(t, page, status, code)
      t.notMatch(page.text, 'onerror')
      t.equal(page.headers['retry-after'] !== undefined, status === 503)
    }
  },
)

await t.test('iss of RFC 9207 must be the issuer when it comes', async (t) => {
  for (const iss of ['https://evil.example', `${provider.issuer}/`, provider.origin]) {
    const { visitor, back } = await begin()
    back.searchParams.set('iss', iss)
    checkPage(t, await visitor.open(back), 400, 'ERR_CALLBACK_MALFORMED')
    t.notOk(hasSession(visitor))
  }
  const { visitor, back } = await begin()
  back.searchParams.set('iss', provider.issuer)
  t.equal((await visitor.open(back)).status, 303)
})

await t.test('iss of RFC 9207 must come when the provider says it does', async (t) => {
  const strict = await stage(t, {
    provider: 'scripted',
    providerOptions: { dialect: 'standard', path: '' },
    upstream,
    gateway: false,
  })
  const other = strict.provider
  other.replace('discovery', (request) => ({
    body: {
      ...(other.usual('discovery', request).body as object),
      authorization_response_iss_parameter_supported: true,
    },
  }))
  const { url: strictUrl } = await stage(t, { provider: other, upstream })
  for (const iss of [undefined, other.issuer]) {
    const visitor = new Visitor()
    const answer = await visitor.follow(`${strictUrl}/auth/login`, (to) =>
      to.pathname.endsWith('/callback'),
    )
    const back = new URL(answer.location)
    if (iss !== undefined) back.searchParams.set('iss', iss)
    const last = await visitor.open(back)
    if (iss === undefined) checkPage(t, last, 400, 'ERR_CALLBACK_MALFORMED')
    else t.equal(last.status, 303)
  }
})

await t.test('nonsense from the token endpoint ends in a page and no session', async (t) => {
  const cases: readonly (readonly [
    string,
    (request: ScriptedRequest) => ScriptedAnswer,
    number,
    string,
  ])[] = [
    ['an HTML page', () => badAnswers.html, 502, 'ERR_PROVIDER_ANSWER'],
    ['half of JSON', () => badAnswers.notJson, 502, 'ERR_PROVIDER_ANSWER'],
    ['nothing', () => badAnswers.empty, 502, 'ERR_PROVIDER_ANSWER'],
    ['null', () => ({ body: 'null' }), 502, 'ERR_PROVIDER_ANSWER'],
    ['10 MB', () => hugeAnswer(), 502, 'ERR_PROVIDER_ANSWER'],
    ['a redirect', () => ({ status: 302, headers: { Location: '/' } }), 502, 'ERR_PROVIDER_ANSWER'],
    ['another OAuth error', () => oauthError('invalid_client'), 502, 'ERR_PROVIDER_ANSWER'],
    ['a 503', () => badAnswers.unavailable, 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['a 429', () => ({ status: 429 }), 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['a broken connection', () => badAnswers.broken, 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['no ID token', tokens(() => ({ id_token: undefined })), 502, 'ERR_PROVIDER_ANSWER'],
    ['no access token', tokens(() => ({ access_token: undefined })), 502, 'ERR_PROVIDER_ANSWER'],
    ['another token type', tokens(() => ({ token_type: 'mac' })), 502, 'ERR_PROVIDER_ANSWER'],
    ['an ID token that is a number', tokens(() => ({ id_token: 7 })), 502, 'ERR_PROVIDER_ANSWER'],
    [
      'the access token in its place',
      tokens(({ access_token: access }) => ({ id_token: access })),
      401,
      'ERR_TOKEN_USE',
    ],
    ['another nonce', idToken({ nonce: 'other' }), 401, 'ERR_TOKEN_NONCE'],
    ['no nonce', idToken({ nonce: undefined }), 401, 'ERR_TOKEN_NONCE'],
    ['another issuer', idToken({ iss: 'https://evil.example' }), 401, 'ERR_TOKEN_ISSUER'],
    ['another client', idToken({ aud: 'other' }), 401, 'ERR_TOKEN_CLIENT'],
    ['an expired token', idToken({ exp: 1 }), 401, 'ERR_TOKEN_EXPIRED'],
    ['no signature', idToken({}, { alg: 'none' }), 401, 'ERR_TOKEN_MALFORMED'],
    [
      'HMAC',
      idToken({}, { key: Buffer.from('x'), header: { kid: 'key-1' } }),
      401,
      'ERR_TOKEN_ALGORITHM',
    ],
    ['a bad signature', idToken({}, { key: stranger }), 401, 'ERR_TOKEN_SIGNATURE'],
    ['an unknown key', idToken({}, { kid: 'key-7' }), 401, 'ERR_TOKEN_KEY_UNKNOWN'],
    [
      'a name that is a permission',
      idToken({ 'cognito:username': 'trac_admin' }),
      401,
      'ERR_NAME_REFUSED',
    ],
    ['a name that is a group', idToken({ 'cognito:username': 'Admins' }), 401, 'ERR_NAME_REFUSED'],
    ['no name', idToken({ 'cognito:username': undefined }), 401, 'ERR_NAME_UNKNOWN'],
    [
      'a session over 8 KiB',
      tokens(() => ({ refresh_token: randomBytes(6750).toString('base64url') })),
      431,
      'ERR_SESSION_TOO_LARGE',
    ],
  ]
  for (const [what, answer, status, code] of cases) {
    await t.test(`${what} from the token endpoint ends in a page and no session`, async (t) => {
      const { visitor, back } = await begin()
      provider.replace('token', answer)
      const page = await visitor.open(back)
      provider.restore()
      checkPage(t, page, status, code)
      t.notOk(hasSession(visitor))
      t.equal(page.headers['retry-after'] !== undefined, status === 503)
      t.equal((await visitor.follow(`${url}/newticket`)).status, 200, 'a new try works')
    })
  }
})
function oauthError(error: string): ScriptedAnswer {
  return { status: 401, body: { error } }
}

await t.test('a provider that was down while somebody signed in is no dead end', async (t) => {
  const { visitor, back } = await begin()
  await provider.stop()
  checkPage(t, await visitor.open(back), 503, 'ERR_PROVIDER_UNAVAILABLE')
  await provider.restart()
  const page = await visitor.follow(`${url}/auth/login`)
  t.equal(page.url.href, `${url}/`)
  t.ok(hasSession(visitor))
})

await t.test(
  'a browser that goes away while the code is redeemed leaves nothing stuck',
  async (t) => {
    const { visitor, back } = await begin()
    const release = holdAnswers(provider, 'token')
    const asked = provider.next('token')
    const controller = new AbortController()
    const aborted = fetch(back, {
      redirect: 'manual',
      headers: { cookie: visitor.cookieHeader(url) },
      signal: controller.signal,
    }).catch((error: Error) => error.name)
    await asked
    controller.abort()
    t.equal(await aborted, 'AbortError')
    release()
    provider.restore()
    t.equal((await visitor.open(back)).status, 303, 'the second request gets the answer')
  },
)

await t.test('a thousand random queries do no harm', async (t) => {
  const { visitor, back } = await begin()
  const own = back.searchParams.get('state')!
  const names = ['state', 'code', 'error', 'iss', 'x', 'error_description', 'session_state', '']
  const values = [
    '',
    own,
    'x',
    '%00',
    '%zz',
    '%F0%9F',
    '&',
    '=',
    "'",
    '%3Cscript%3E',
    'a'.repeat(500),
  ]
  let seed = 1
  const pick = <T>(list: readonly T[]): T => {
    seed = (seed * 48_271) % 2_147_483_647
    return list[seed % list.length]!
  }
  for (let i = 0; i < 1000; i++) {
    const pairs = Array.from({ length: 1 + (i % 5) }, () => `${pick(names)}=${pick(values)}`)
    const { status } = await visitor.open(`${callback}?${pairs.join('&')}`, { keep: false })
    if (status >= 500 && status !== 503) t.fail(`${status} for ${pairs.join('&')}`)
  }
  t.equal((await visitor.open(`${url}/wiki/Start`)).status, 200)
})
