/**
 * A provider that misbehaves, in one table: what it does at which of its endpoints, what we answer, and what is left of
 * the session. Each row is played by a provider on a real socket; a new row is one line.
 */
import { gzipSync } from 'node:zlib'
import { decodeJwt } from 'jose'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { errors } from '../../src/core/errors.js'
import { secretOf } from '../fixtures/config.js'
import type { ErrorCode } from '../../src/core/errors.js'
import { createScriptedKey } from '../fixtures/scripted-keys.js'
import type { ScriptedKey, SignOptions } from '../fixtures/scripted-keys.js'
import { badAnswers, hugeAnswer } from '../fixtures/scripted-provider.js'
import type {
  Answer as Play,
  ScriptedAnswer,
  ScriptedEndpoint,
  ScriptedProvider,
  ScriptedProviderOptions,
  ScriptedRequest,
} from '../fixtures/scripted-provider.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'

t.setTimeout(600_000)

const minute = 60_000
const hour = 60 * minute
/** Never asked for anything, whoever points there. */
const { upstream: elsewhere } = await stage(t, { upstream: true, gateway: false })
const { upstream } = await stage(t, { upstream: true, gateway: false })
const stranger = await createScriptedKey('key-1')
const weak = await createScriptedKey('key-1', 1024)

// ── What a provider can do wrong ────────────────────────────────────────────────────────────────

/** Makes an answer out of what would be right. */
type Misbehaviour = (right: Right) => ScriptedAnswer | Promise<ScriptedAnswer>

/** What a provider would have answered, and what it has to answer with. */
interface Right {
  readonly provider: ScriptedProvider
  readonly usual: ScriptedAnswer
  readonly request: ScriptedRequest
}

const says =
  (answer: ScriptedAnswer): Misbehaviour =>
  () =>
    answer

/** The usual JSON with other members. */
const json =
  (change: (body: Record<string, unknown>, right: Right) => object): Misbehaviour =>
  (right) => {
    const body = right.usual.body as Record<string, unknown>
    return { ...right.usual, body: { ...body, ...change(body, right) } }
  }

/** The usual tokens, of which one says something else or is signed otherwise. */
const token = (use: 'id' | 'access', claims: object, options: SignOptions = {}): Misbehaviour =>
  json((body, { provider }) => {
    const usual = decodeJwt(String(body[`${use}_token`]))
    return { [`${use}_token`]: provider.sign(use, { ...usual, ...claims }, options) }
  })

/** The usual way back, with other parameters; null leaves one out. */
const back =
  (changes: Readonly<Record<string, string | null>>): Misbehaviour =>
  ({ usual }) => {
    const location = new URL(String(usual.headers?.['Location']))
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) location.searchParams.delete(name)
      else location.searchParams.set(name, value)
    }
    return { status: 302, headers: { Location: location.href } }
  }

/** A second code beside the true one. */
const twoCodes: Misbehaviour = ({ usual }) => ({
  status: 302,
  headers: { Location: `${String(usual.headers?.['Location'])}&code=another` },
})

/** Other keys than those that tokens are signed with. */
const shows = (...keys: readonly Pick<ScriptedKey, 'publicJwk'>[]): Misbehaviour =>
  says({ body: { keys: keys.map(({ publicJwk }) => publicJwk) } })

const html = says(badAnswers.html)
const half = says(badAnswers.notJson)
const nothing = says(badAnswers.empty)
const huge = says(hugeAnswer())
const unavailable = says(badAnswers.unavailable)
const broken = says(badAnswers.broken)
const bomb = says({
  headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
  body: gzipSync(Buffer.alloc(64 * 1024 * 1024, ' ')),
})
const redirect = says({ status: 307, headers: { Location: `${elsewhere.url}/token` } })
const refusal = says({ status: 400, body: { error: 'invalid_grant' } })
const cookie = ({ usual }: Right) => ({
  ...usual,
  headers: { 'Set-Cookie': 'provider=x; Path=/', 'X-Odd': 'x' },
})
const markup = '<img src=x onerror=alert(1)>'

// ── The table ───────────────────────────────────────────────────────────────────────────────────

/**
 * What is left of a session: one began; it goes on as if nothing had been; it waits for the provider once its tokens have
 * ended; it ends with its tokens; it is over. Left out: there is none.
 */
type Left = 'begun' | 'kept' | 'waits' | 'ends' | 'over'

type Row = readonly [
  misbehaviour: string,
  plays: Misbehaviour,
  status: number,
  code: ErrorCode | '',
  session?: Left,
]

/** What is no answer at any endpoint; each row says what it is for who signs in. */
const useless: readonly Row[] = [
  ['an HTML page', html, 502, 'ERR_PROVIDER_ANSWER'],
  ['half of JSON', half, 502, 'ERR_PROVIDER_ANSWER'],
  ['nothing', nothing, 502, 'ERR_PROVIDER_ANSWER'],
  ['10 MB', huge, 502, 'ERR_PROVIDER_ANSWER'],
  ['64 MiB as 64 KB of gzip', bomb, 502, 'ERR_PROVIDER_ANSWER'],
  ['503', unavailable, 503, 'ERR_PROVIDER_UNAVAILABLE'],
  ['a broken connection', broken, 503, 'ERR_PROVIDER_UNAVAILABLE'],
]

const table: Readonly<Record<Place, readonly Row[]>> = {
  /** Found when somebody signs in; a page, and the next try works. */
  discovery: [
    ...useless,
    ['a redirect elsewhere', redirect, 502, 'ERR_PROVIDER_ANSWER'],
    ['another issuer', json(() => ({ issuer: elsewhere.url })), 502, 'ERR_PROVIDER_ISSUER'],
    ['no token_endpoint', without('token_endpoint'), 502, 'ERR_PROVIDER_ANSWER'],
    ['no jwks_uri', without('jwks_uri'), 502, 'ERR_PROVIDER_ANSWER'],
    ['a script as address', script('authorization_endpoint'), 502, 'ERR_PROVIDER_ANSWER'],
    ['a script for sign-out', script('end_session_endpoint'), 303, '', 'begun'],
    ['a number for sign-out', json(() => ({ end_session_endpoint: 7 })), 303, '', 'begun'],
    ['a cookie of its own', cookie, 303, '', 'begun'],
  ],

  /** Needed for the first sign-in; a page, and the next try works. */
  keys: [
    ...useless.map(([what, play]): Row => [what, play, 503, 'ERR_PROVIDER_UNAVAILABLE']),
    ['a redirect elsewhere', redirect, 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['no keys', shows(), 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['a weak key alone', shows(weak), 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['other keys', shows({ publicJwk: named('key-2') }), 401, 'ERR_TOKEN_KEY_UNKNOWN'],
    ['another key of that name', shows(stranger), 401, 'ERR_TOKEN_SIGNATURE'],
    ['one name for two keys', twoOfAName, 401, 'ERR_TOKEN_KEY_UNKNOWN'],
    ['a key for encryption', keyFor({ use: 'enc' }), 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['a key for HMAC', keyFor({ kty: 'oct', k: 'eA' }), 503, 'ERR_PROVIDER_UNAVAILABLE'],
  ],

  /** What the browser brings back; a page, and the next try works. */
  callback: [
    ['another state', back({ state: 'A'.repeat(43) }), 400, 'ERR_LOGIN_UNKNOWN'],
    ['no state', back({ state: null }), 400, 'ERR_CALLBACK_MALFORMED'],
    ['no code', back({ code: null }), 400, 'ERR_CALLBACK_MALFORMED'],
    ['two codes', twoCodes, 400, 'ERR_CALLBACK_MALFORMED'],
    ['a code made up', back({ code: 'made-up' }), 400, 'ERR_LOGIN_UNKNOWN'],
    ['another iss', back({ iss: 'https://evil.example' }), 400, 'ERR_CALLBACK_MALFORMED'],
    ['no iss, which it advertises', back({ iss: null }), 400, 'ERR_CALLBACK_MALFORMED'],
    ['an empty iss', back({ iss: '' }), 400, 'ERR_CALLBACK_MALFORMED'],
    ['denied', back({ code: null, error: 'access_denied' }), 403, 'ERR_LOGIN_DENIED'],
    ['a code and an error', back({ error: 'access_denied' }), 403, 'ERR_LOGIN_DENIED'],
    [
      'an error with markup',
      back({ code: null, error: markup, error_description: markup, error_uri: 'javascript:x' }),
      403,
      'ERR_LOGIN_DENIED',
    ],
    ['out of order', back({ code: null, error: 'server_error' }), 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['tokens in the address', back({ id_token: 'x' }), 400, 'ERR_CALLBACK_MALFORMED'],
    ['parameters of its own', back({ session_state: 'x', return_to: '//evil' }), 303, '', 'begun'],
  ],

  /** What a code is redeemed for; a page, and the next try works. */
  'sign-in': [
    ...useless,
    ['a redirect elsewhere', redirect, 502, 'ERR_PROVIDER_ANSWER'],
    ['no', refusal, 400, 'ERR_LOGIN_UNKNOWN'],
    ['no ID token', without('id_token'), 502, 'ERR_PROVIDER_ANSWER'],
    ['no access token', without('access_token'), 502, 'ERR_PROVIDER_ANSWER'],
    ['the access token twice', accessTwice, 401, 'ERR_TOKEN_USE'],
    ['another issuer', token('id', { iss: elsewhere.url }), 401, 'ERR_TOKEN_ISSUER'],
    ['another client', token('id', { aud: 'other' }), 401, 'ERR_TOKEN_CLIENT'],
    ['another nonce', token('id', { nonce: 'other' }), 401, 'ERR_TOKEN_NONCE'],
    ['no nonce', token('id', { nonce: undefined }), 401, 'ERR_TOKEN_NONCE'],
    ['a token that ended', token('id', { exp: 1 }), 401, 'ERR_TOKEN_EXPIRED'],
    ['a token for ever', token('id', { exp: 1e300 }), 401, 'ERR_TOKEN_TIME'],
    ['no signature', token('id', {}, { alg: 'none' }), 401, 'ERR_TOKEN_MALFORMED'],
    ['a bad signature', token('id', {}, { key: stranger }), 401, 'ERR_TOKEN_SIGNATURE'],
    ['a weak signature', token('id', {}, { key: weak }), 401, 'ERR_TOKEN_SIGNATURE'],
    ['an unknown kid', token('id', {}, { kid: 'key-9' }), 401, 'ERR_TOKEN_KEY_UNKNOWN'],
    ['no name', token('id', { 'cognito:username': undefined }), 401, 'ERR_NAME_UNKNOWN'],
    ['a cookie of its own', cookie, 303, '', 'begun'],
    ['a life beyond all numbers', json(() => ({ expires_in: 1e300 })), 303, '', 'begun'],
    ['no refresh token', without('refresh_token'), 303, '', 'begun'],
  ],

  /** What a session's refresh token is exchanged for; status and code are those when its tokens have ended. */
  renewal: [
    ...useless.map(([what, play]): Row => [what, play, 503, 'ERR_PROVIDER_UNAVAILABLE', 'waits']),
    ['a redirect elsewhere', redirect, 503, 'ERR_PROVIDER_UNAVAILABLE', 'waits'],
    ['no access token', without('access_token'), 503, 'ERR_PROVIDER_UNAVAILABLE', 'waits'],
    ['no', refusal, 401, 'ERR_LOGIN_REQUIRED', 'ends'],
    ['the access token twice', accessTwice, 401, 'ERR_LOGIN_REQUIRED', 'ends'],
    ['somebody else', token('id', { sub: 'other' }), 401, 'ERR_LOGIN_REQUIRED', 'ends'],
    ['another issuer', token('id', { iss: elsewhere.url }), 401, 'ERR_LOGIN_REQUIRED', 'ends'],
    ['another client', token('id', { aud: 'other' }), 401, 'ERR_LOGIN_REQUIRED', 'ends'],
    ['a token that ended', token('id', { exp: 1 }), 401, 'ERR_LOGIN_REQUIRED', 'ends'],
    ['no signature', token('id', {}, { alg: 'none' }), 401, 'ERR_LOGIN_REQUIRED', 'ends'],
    ['a bad signature', token('id', {}, { key: stranger }), 401, 'ERR_LOGIN_REQUIRED', 'ends'],
    ['an unknown kid', token('id', {}, { kid: 'key-9' }), 503, 'ERR_PROVIDER_UNAVAILABLE', 'waits'],
    ['no ID token', without('id_token'), 200, '', 'kept'],
    ['no refresh token', without('refresh_token'), 200, '', 'kept'],
    ['a cookie of its own', cookie, 200, '', 'kept'],
  ],

  /** What a program's refresh token is exchanged for; no token that failed a check is passed on. */
  'JSON refresh': [
    ...useless,
    ['a redirect elsewhere', redirect, 502, 'ERR_PROVIDER_ANSWER'],
    ['no', refusal, 401, 'ERR_REFRESH_REFUSED'],
    ['no access token', without('access_token'), 502, 'ERR_PROVIDER_ANSWER'],
    ['the access token twice', accessTwice, 401, 'ERR_TOKEN_USE'],
    ['two people', token('id', { sub: 'other' }), 401, 'ERR_TOKEN_SUBJECT'],
    // An access token for somebody else, or one that is no JWT, goes as it came (RFC 6749 §1.4).
    ['another issuer', token('access', { iss: elsewhere.url }), 200, ''],
    ['another client', token('id', { aud: 'other' }), 401, 'ERR_TOKEN_CLIENT'],
    ['a token that ended', token('access', { exp: 1 }), 401, 'ERR_TOKEN_EXPIRED'],
    ['no signature', token('access', {}, { alg: 'none' }), 200, ''],
    ['a bad signature', token('access', {}, { key: stranger }), 401, 'ERR_TOKEN_SIGNATURE'],
    ['an unknown kid', token('id', {}, { kid: 'key-9' }), 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ['no ID token', without('id_token'), 200, ''],
    ['a cookie of its own', cookie, 200, ''],
  ],

  /** What an access token does not say is asked for; nobody gets a second-best name. */
  userinfo: [
    ...useless,
    ['a redirect elsewhere', redirect, 401, 'ERR_NAME_UNKNOWN'],
    ['no', says({ status: 401, body: {} }), 401, 'ERR_NAME_UNKNOWN'],
    ['somebody else', json(() => ({ sub: 'other' })), 401, 'ERR_TOKEN_SUBJECT'],
    ['no sub', without('sub'), 401, 'ERR_TOKEN_SUBJECT'],
    ['no address', without('email'), 401, 'ERR_NAME_REFUSED'],
    ['an address unverified', json(() => ({ email_verified: 'no' })), 401, 'ERR_NAME_REFUSED'],
    ['two addresses', json(() => ({ email: 'a@b,c@example.edu' })), 401, 'ERR_NAME_REFUSED'],
    ['a list', says({ body: '[]' }), 401, 'ERR_TOKEN_SUBJECT'],
    ['a cookie of its own', cookie, 200, ''],
  ],

  /** Told at sign-out; whatever comes, it is over here, the browser goes on to the provider's own sign-out, and it is logged. */
  revocation: [
    ['an HTML page that says no', says({ ...badAnswers.html, status: 400 }), 303, '', 'over'],
    ['10 MB', huge, 303, '', 'over'],
    ['64 MiB as 64 KB of gzip', bomb, 303, '', 'over'],
    ['503', unavailable, 303, '', 'over'],
    ['a broken connection', broken, 303, '', 'over'],
    ['a redirect elsewhere', redirect, 303, '', 'over'],
    ['no', says({ status: 401, body: { error: 'invalid_client' } }), 303, '', 'over'],
  ],

  /** Where a hint is wanted, tokens are exchanged once more at sign-out; the same holds. */
  'hint at sign-out': [
    ['an HTML page', html, 303, '', 'over'],
    ['half of JSON', half, 303, '', 'over'],
    ['10 MB', huge, 303, '', 'over'],
    ['503', unavailable, 303, '', 'over'],
    ['a broken connection', broken, 303, '', 'over'],
    ['a redirect elsewhere', redirect, 303, '', 'over'],
    ['no', refusal, 303, '', 'over'],
  ],
}
type Place =
  | 'discovery'
  | 'keys'
  | 'callback'
  | 'sign-in'
  | 'renewal'
  | 'JSON refresh'
  | 'userinfo'
  | 'revocation'
  | 'hint at sign-out'

function without(name: string): Misbehaviour {
  return json(() => ({ [name]: undefined }))
}
function script(name: string): Misbehaviour {
  return json(() => ({ [name]: 'javascript:alert(document.cookie)' }))
}
function accessTwice(right: Right): ScriptedAnswer | Promise<ScriptedAnswer> {
  return json(({ access_token }) => ({ id_token: access_token }))(right)
}
function named(kid: string): Record<string, unknown> {
  return { ...stranger.publicJwk, kid }
}
function keyFor(members: object): Misbehaviour {
  return ({ provider }) => ({ body: { keys: [{ ...provider.keys[0]!.publicJwk, ...members }] } })
}
function twoOfAName({ provider }: Right): ScriptedAnswer {
  const [own] = provider.keys
  return { body: { keys: [own!.publicJwk, stranger.publicJwk, named('key-2')] } }
}

// ── How each place is played ────────────────────────────────────────────────────────────────────

/** A gateway with a provider of its own. */
async function prepare(t: Test, options: ScriptedProviderOptions & { readonly byEmail?: boolean }) {
  const username = options.byEmail === true ? { emailLocalPart: 'example.edu' } : {}
  const { provider, tokens, clock } = await stage(t, {
    provider: 'scripted',
    providerOptions: options,
    tokens: {},
    gateway: false,
  })
  return {
    clock,
    provider,
    tokens,
    /** Lets an endpoint misbehave until what is returned is called. */
    play(endpoint: ScriptedEndpoint, plays: Misbehaviour, before?: Play): () => void {
      const right = before ?? ((request) => provider.usual(endpoint, request))
      provider.replace(endpoint, async (request) =>
        plays({ provider, request, usual: await right(request) }),
      )
      return () => {
        if (before === undefined) provider.restore(endpoint)
        else provider.replace(endpoint, before)
      }
    },
    async start() {
      const overlay = { identity: { username }, admin: { token: { fromEnv: 'SESSION' } } }
      const { gateway, names } = await stage(t, {
        provider,
        upstream,
        api: upstream,
        clock,
        overlay,
      })
      const { session } = names
      return {
        gateway,
        url: gateway.url,
        /** Takes a name from whoever has it. */
        free: (name: string) =>
          fetch(`${gateway.adminUrl}/names`, {
            method: 'POST',
            headers: { authorization: `Bearer ${secretOf('s')}` },
            body: JSON.stringify({ do: 'release', name }),
          }),
        hasSession: (visitor: Visitor) => visitor.cookies(gateway.url).has(session),
        async signIn(): Promise<Visitor> {
          const visitor = new Visitor()
          await visitor.follow(`${gateway.url}/auth/login`)
          t.ok(visitor.cookies(gateway.url).has(session), 'signed in')
          return visitor
        },
      }
    },
  }
}
type Started = Awaited<ReturnType<Awaited<ReturnType<typeof prepare>>['start']>>

/** What a person sees of a failure: a page of ours with the cause, the request and a way on, and nothing of the provider's. */
function checkPage(t: Test, page: Answer, status: number, code: ErrorCode): void {
  t.equal(page.status, status)
  t.match(page.text, `<dd>${code}</dd>`)
  t.match(page.text, errors[code].text)
  t.match(page.text, /<dt>Request<\/dt><dd>[0-9a-f]{32}<\/dd>/)
  t.match(page.text, /<a href="\/trac\/auth\/login(\?[^"]*)?">Sign in<\/a>/)
  t.notMatch(page.text, /Welcome|onerror|javascript:|eyJ/)
  t.equal(page.headers['retry-after'] !== undefined, status === 503, 'Retry-After')
  t.equal(page.location, '')
}

/** What a program is told of a failure. */
function checkJson(t: Test, answer: Answer, status: number, code: ErrorCode): void {
  t.equal(answer.status, status)
  t.match(answer.json(), { code, message: errors[code].text, error: errors[code].error })
  t.notMatch(answer.text, /Welcome|eyJ/)
  t.equal(answer.headers['retry-after'] !== undefined, status === 503, 'Retry-After')
}

/** Signs in while the provider misbehaves, and again when it does no longer. */
async function checkSignIn(t: Test, on: Started, row: Row, restore: () => void): Promise<void> {
  const [, , status, code, left] = row
  const visitor = new Visitor()
  const start = `${on.url}/auth/login?return_to=/trac/wiki`
  const first = await visitor.follow(start, (url) => url.pathname.endsWith('/callback'))
  const last = first.location === '' ? first : await visitor.open(first.location)
  if (code !== '') checkPage(t, last, status, code)
  else t.match(last, { status, location: `${on.url}/wiki` })
  t.equal(on.hasSession(visitor), left === 'begun', 'the session')
  for (const line of last.setCookies) t.match(line, /^tg-/, 'our own cookies alone')
  restore()
  on.gateway.clock.advance(31_000)
  const isIn = async () => {
    await visitor.follow(`${on.url}/auth/login`)
    return on.hasSession(visitor)
  }
  // A key that is known by its name is asked for again behind the back of whoever needs it, after an hour.
  if (code === 'ERR_TOKEN_SIGNATURE' && !(await isIn())) {
    on.gateway.clock.advance(hour)
    await until(isIn, 'the right key is found')
  }
  t.ok(await isIn(), 'the next try works')
}

/** Signs out while the provider misbehaves. */
async function checkSignOut(t: Test, on: Started, location: RegExp, isFault = true): Promise<void> {
  const visitor = await on.signIn()
  const copy = visitor.copy()
  const before = on.gateway.lines.length
  const answer = await visitor.submit(`${on.url}/auth/logout`)
  t.equal(answer.status, 303)
  t.match(answer.location, location)
  t.notOk(on.hasSession(visitor))
  t.equal((await copy.fetch(`${on.url}/api/x`)).status, 401, 'over, for the copied cookie as well')
  if (!isFault) return
  const line = () => on.gateway.lines.slice(before).find((it) => it['route'] === 'auth:logout')
  await until(() => line() !== undefined, 'the sign-out is logged')
  t.ok(line()?.['cause'], 'with what went wrong')
}

const players: Readonly<Record<Place, (t: Test, rows: readonly Row[]) => Promise<void>>> = {
  async discovery(t, rows) {
    for (const row of rows) {
      await t.test(`${row[0]} does no harm`, async (t) => {
        const { play, start } = await prepare(t, { dialect: 'standard', path: '' })
        const restore = play('discovery', row[1])
        const on = await start()
        await checkSignIn(t, on, row, restore)
        // What was found at the first try is what sign-out goes by.
        if (row[4] === 'begun') await checkSignOut(t, on, /\/auth\/signed-out$/, false)
      })
    }
  },

  async keys(t, rows) {
    for (const row of rows) {
      await t.test(`${row[0]} does no harm`, async (t) => {
        const { play, start } = await prepare(t, {})
        const restore = play('jwks', row[1])
        await checkSignIn(t, await start(), row, restore)
      })
    }
  },

  async callback(t, rows) {
    const { play, start, provider } = await prepare(t, { dialect: 'standard', path: '' })
    play(
      'discovery',
      json(() => ({ authorization_response_iss_parameter_supported: true })),
    )
    const usually: Play = (request) => {
      const usual = provider.usual('authorize', request)
      return back({ iss: provider.issuer })({ provider, usual, request })
    }
    provider.replace('authorize', usually)
    const on = await start()
    for (const row of rows) {
      await t.test(`${row[0]} does no harm`, async (t) => {
        await checkSignIn(t, on, row, play('authorize', row[1], usually))
      })
    }
  },

  async 'sign-in'(t, rows) {
    const { play, start, tokens } = await prepare(t, {})
    const on = await start()
    for (const row of rows) {
      await t.test(`${row[0]} does no harm`, async (t) => {
        await checkSignIn(t, on, row, play('token', row[1], tokens))
      })
    }
  },

  async renewal(t, rows) {
    const { play, start, tokens, clock, provider } = await prepare(t, {})
    const on = await start()
    for (const row of rows) {
      const [what, plays, status, code, left] = row
      await t.test(`${what} does no harm`, async (t) => {
        const visitor = await on.signIn()
        const page = `${on.url}/auth/session`
        const user = provider.person['username']
        const restore = play('token', plays, tokens)
        clock.advance(50 * minute)
        const meanwhile = await visitor.fetch(page)
        t.equal(meanwhile.status, 200, 'while its tokens last, a session serves')
        t.equal(meanwhile.json()['user'], user)
        for (const line of meanwhile.setCookies) t.match(line, /^tg-/, 'our own cookies alone')
        clock.advance(11 * minute)
        const after = await visitor.fetch(page)
        if (code === '') t.match(after.json(), { user })
        else checkJson(t, after, status, code)
        t.ok(on.hasSession(visitor), 'no cookie is deleted')
        restore()
        clock.advance(minute)
        const recovered = (await visitor.fetch(page)).status
        t.equal(recovered, left === 'ends' ? 401 : 200, 'once the provider is itself again')
      })
    }
  },

  async 'JSON refresh'(t, rows) {
    const { play, start, tokens } = await prepare(t, {})
    const on = await start()
    for (const row of rows) {
      const [what, plays, status, code] = row
      await t.test(`${what} does no harm`, async (t) => {
        const ask = () =>
          new Visitor().fetch(`${on.url}/auth/refresh`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ refresh_token: refreshToken }),
          })
        const { refreshToken } = tokens.signIn()
        const restore = play('token', plays, tokens)
        const answer = await ask()
        if (code === '') t.match(answer.json(), { access_token: /^eyJ/, token_type: 'Bearer' })
        else checkJson(t, answer, status, code)
        t.same(answer.setCookies, [])
        restore()
        // What can't be verified yet is kept for a minute, for the same refresh token.
        if (code === 'ERR_PROVIDER_UNAVAILABLE') on.gateway.clock.advance(minute + 1000)
        t.equal((await ask()).status, 200, 'the next try works')
      })
    }
  },

  async userinfo(t, rows) {
    const { play, start, provider } = await prepare(t, { byEmail: true })
    const on = await start()
    for (const row of rows) {
      const [what, plays, status, code] = row
      await t.test(`${what} does no harm`, async (t) => {
        const sub = `sub of ${what}`
        provider.person = { ...provider.person, sub }
        const authorization = `Bearer ${provider.sign('access')}`
        const ask = () => new Visitor().fetch(`${on.url}/api/x`, { headers: { authorization } })
        const restore = play('userinfo', plays)
        const before = upstream.received.length
        const answer = await ask()
        if (code === '') t.equal(answer.status, status)
        else {
          t.equal(answer.status, status)
          t.equal(answer.json()['code'], code)
          t.equal(upstream.received.length, before, 'nothing reached the upstream')
        }
        restore()
        t.equal((await ask()).status, 200, 'the next try works')
        t.equal(upstream.lastHeaders()['x-trac-user'], 'pat')
        // The name belongs to whoever had it first, and the next row has a person of its own.
        await on.free('pat')
      })
    }
  },

  async revocation(t, rows) {
    const { play, start, provider } = await prepare(t, {})
    const on = await start()
    for (const [what, plays] of rows) {
      await t.test(`${what} does no harm`, async (t) => {
        const restore = play('revoke', plays)
        await checkSignOut(t, on, new RegExp(`^${provider.origin}/logout\\?`))
        restore()
      })
    }
  },

  async 'hint at sign-out'(t, rows) {
    const { play, start, provider, tokens } = await prepare(t, { dialect: 'standard', path: '' })
    play(
      'discovery',
      json(() => ({ end_session_endpoint: `${provider.origin}/end` })),
    )
    const on = await start()
    for (const [what, plays] of rows) {
      await t.test(`${what} does no harm`, async (t) => {
        const signIn = async (right: Right) =>
          right.request.form.get('grant_type') === 'refresh_token' ? plays(right) : right.usual
        const restore = play('token', signIn, tokens)
        const before = provider.counts.revoke
        await checkSignOut(t, on, new RegExp(`^${provider.origin}/end\\?(?!.*id_token_hint)`))
        t.equal(provider.counts.revoke, before + 1, 'the refresh token is revoked all the same')
        restore()
      })
    }
  },
}

for (const [place, rows] of Object.entries(table) as [Place, readonly Row[]][]) {
  await t.test(`a provider that misbehaves at ${place} does no harm`, (t) =>
    players[place](t, rows),
  )
}

await t.test('a revocation that fails does not take the hint from the sign-out', async (t) => {
  const { play, start, provider } = await prepare(t, { dialect: 'standard', path: '' })
  play(
    'discovery',
    json(() => ({ end_session_endpoint: `${provider.origin}/end` })),
  )
  play('revoke', unavailable)
  await checkSignOut(t, await start(), /\/end\?.*id_token_hint=eyJ/)
})

await t.test(
  'a provider that is slow at every endpoint is waited for ten seconds, three at sign-out',
  async (t) => {
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const slow: Misbehaviour = async () => {
      await released
      return {}
    }
    const unfound = await prepare(t, { dialect: 'standard', path: '' })
    const keyless = await prepare(t, {})
    const one = await prepare(t, { byEmail: true })
    unfound.play('discovery', slow)
    keyless.play('jwks', slow)
    const [withoutEndpoints, withoutKeys, on] = [
      await unfound.start(),
      await keyless.start(),
      await one.start(),
    ]
    const [visitor, leaving] = [await on.signIn(), await on.signIn()]
    const { refreshToken } = one.tokens.signIn()
    for (const endpoint of ['token', 'userinfo', 'revoke'] as const) one.play(endpoint, slow)
    one.clock.advance(61 * minute)
    const iat = Math.floor(one.clock() / 1000)
    const authorization = `Bearer ${one.provider.sign('access', { iat, exp: iat + 60 })}`
    const asked = [
      new Visitor().open(`${withoutEndpoints.url}/auth/login`),
      new Visitor().follow(`${withoutKeys.url}/auth/login`),
      new Visitor().follow(`${on.url}/auth/login`),
      visitor.open(`${on.url}/auth/session`),
      new Visitor().fetch(`${on.url}/api/x`, { headers: { authorization } }),
      new Visitor().fetch(`${on.url}/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ refresh_token: refreshToken }),
      }),
    ]
    const out = leaving.submit(`${on.url}/auth/logout`)
    t.equal((await new Visitor().open(`${on.url}/wiki`)).status, 200, 'nobody else waits')
    t.match((await out).location, '/logout?')
    t.notOk(on.hasSession(leaving))
    for (const { status, text } of await Promise.all(asked)) {
      t.equal(status, 503)
      t.match(text, 'ERR_PROVIDER_UNAVAILABLE')
    }
    t.ok(on.hasSession(visitor), 'the session waits')
    release()
  },
)

await t.test('nothing was ever asked elsewhere', (t) => {
  t.equal(elsewhere.received.length, 0)
  t.end()
})
