/** Sign-out is for good: here, at the provider, for the copied cookie and for every token of that sign-in. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { secretOf } from '../fixtures/config.js'
import type { Test } from 'tap'
import { realTimers } from '../../src/core/clock.js'
import type { Timers } from '../../src/core/clock.js'
import type { DemoProvider } from '../../src/demo/provider.js'
import { twoCookiesOfGroups } from '../fixtures/groups.js'
import { badAnswers } from '../fixtures/scripted-provider.js'
import type { ScriptedProvider, ScriptedProviderOptions } from '../fixtures/scripted-provider.js'
import { createScriptedKey } from '../fixtures/scripted-keys.js'
import { changedTokens, holdAnswers } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import { startTestGateway } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'

const stranger = await createScriptedKey('key-1')
const { upstream } = await stage(t, { upstream: true, gateway: false })

/** A gateway at the look-alike of Cognito, both by one clock. */
async function demo(t: Test, overlay: Overlay = {}) {
  const s = await stage(t, { provider: 'cognito', upstream, api: upstream, overlay })
  let { gateway } = s
  return {
    ...s,
    name: s.names.session,
    async restart() {
      await gateway.close()
      gateway = await startTestGateway({ ...s.settings, port: s.port })
      t.teardown(() => gateway.close())
    },
  }
}

/** A gateway at a scripted provider. */
async function scripted(
  t: Test,
  providerOptions: ScriptedProviderOptions = {},
  timers: Timers = realTimers,
) {
  const provided = { provider: 'scripted', providerOptions } as const
  const s = await stage(t, { ...provided, upstream, api: upstream, timers })
  return { ...s, name: s.names.session }
}

/** Answers the two tokens that the provider gave last, signed anew. */
function watchTokens(provider: DemoProvider) {
  let last: Promise<string>[] = []
  provider.settings.alterClaims = (claims, use) => {
    last = [...last.slice(-1), provider.mint(claims, { use })]
    return claims
  }
  return () => Promise.all(last)
}

/** Lets every token of the scripted provider carry `claims`. */
function withClaims(provider: ScriptedProvider, claims: Record<string, unknown>) {
  provider.replace('token', (request) =>
    changedTokens(provider, request, ({ nonce }) => ({
      id_token: provider.sign('id', { nonce, ...claims }),
      access_token: provider.sign('access', claims),
    })),
  )
}

/** The line of the metrics that says so. */
const counted = (what: 'logouts' | 'revocations', kind: string, result: string, count: number) =>
  `\ntrac_gateway_${what}_total{kind="${kind}",result="${result}"} ${count}\n`

const leave = (visitor: Visitor, url: string, path = '/auth/logout') => visitor.submit(url + path)
const statusOf = async (visitor: Visitor, url: string) =>
  (await visitor.copy().fetch(`${url}/api/x`)).status
const bearer = async (url: string, token: string) =>
  (await new Visitor().fetch(`${url}/api/x`, { headers: { authorization: `Bearer ${token}` } }))
    .status

await t.test(
  'a sign-out ends the session here and at Cognito, so that the next sign-in asks again',
  async (t) => {
    const { provider, url, name, alice } = await demo(t)
    const visitor = new Visitor()
    await visitor.signIn(`${url}/auth/login`, alice)
    const copy = visitor.copy()
    const answer = await leave(visitor, url)
    t.equal(answer.status, 303)
    t.equal(answer.headers['cache-control'], 'no-store')
    t.equal(answer.headers['clear-site-data'], '"cache"')
    const target = new URL(answer.location)
    t.equal(target.origin + target.pathname, `${provider.origin}/logout`)
    t.same(Object.fromEntries(target.searchParams), {
      client_id: provider.clientId,
      logout_uri: `${url}/auth/signed-out`,
    })
    t.ok(answer.setCookies.includes(`${name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`))
    t.notOk(visitor.cookies(url).has(name))
    const page = await visitor.follow(answer.location)
    t.equal(page.url.href, `${url}/auth/signed-out`)
    t.match(page.text, 'You are signed out')
    t.equal(provider.counts.revoke, 1, 'the refresh token is revoked')
    t.equal(await statusOf(copy, url), 401, 'the copied cookie is refused')
    const replayed = await copy.open(`${url}/wiki/Start`)
    t.match(replayed.setCookies.join(), `${name}=; Path=/; Max-Age=0`)
    const form = await visitor.follow(`${url}/auth/login`)
    t.match(form.text, 'id="sign-in"', 'the provider asks again')
  },
)

await t.test(
  'after a sign-out every token of that sign-in is refused at once, and nobody else’s',
  async (t) => {
    const { provider, url, alice, clock } = await demo(t)
    const given = watchTokens(provider)
    const visitor = new Visitor()
    await visitor.signIn(`${url}/auth/login`, alice)
    const own = await given()
    clock.advance(5000)
    const other = new Visitor()
    await other.signIn(`${url}/auth/login`, alice)
    const others = await given()
    for (const token of [...own, ...others]) t.equal(await bearer(url, token), 200)
    await leave(visitor, url)
    for (const token of own) t.equal(await bearer(url, token), 401)
    for (const token of others) t.equal(await bearer(url, token), 200)
    t.equal(await statusOf(other, url), 200, 'the same person elsewhere goes on')
  },
)

await t.test(
  'a token that names no sign-in is refused if it was made before the sign-out',
  async (t) => {
    const { provider, url, alice, clock } = await demo(t)
    const nameless = () =>
      provider.mint(
        { origin_jti: undefined, auth_time: undefined, jti: undefined },
        { person: alice, use: 'access' },
      )
    const before = await nameless()
    const visitor = new Visitor()
    await visitor.signIn(`${url}/auth/login`, alice)
    t.equal(await bearer(url, before), 200)
    await leave(visitor, url)
    t.equal(await bearer(url, before), 401)
    clock.advance(2000)
    t.equal(await bearer(url, await nameless()), 200)
  },
)

await t.test('Trac’s own button signs out in one click; a link or image only asks', async (t) => {
  const { url, alice, name } = await demo(t)
  for (const path of ['/logout', '/logout/', '/auth/logout']) {
    const visitor = new Visitor()
    await visitor.signIn(`${url}/auth/login`, alice)
    const ask = await visitor.open(url + path)
    t.equal(ask.status, 200)
    t.match(ask.text, 'You are signed in as alice')
    t.match(ask.text, '<form method="post" action="/trac/auth/logout"><button>Sign out</button>')
    t.match(ask.headers['content-security-policy'], /form-action 'self' http:\/\/127\.0\.0\.1:/)
    t.ok(visitor.cookies(url).has(name), path)
    const out = await visitor.submit(url + path, '__FORM_TOKEN=whatever')
    t.equal(out.status, 303, path)
    t.notOk(visitor.cookies(url).has(name))
    await visitor.follow(out.location)
  }
  const nobody = await new Visitor().open(`${url}/logout`)
  t.match(nobody.text, 'You are not signed in')
  t.notMatch(nobody.text, '<form')
})

await t.test('only our own pages may sign out', async (t) => {
  const { url, alice, name } = await demo(t)
  const visitor = new Visitor()
  await visitor.signIn(`${url}/auth/login`, alice)
  const cases: readonly Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    { 'sec-fetch-site': '', origin: 'null' },
    { 'sec-fetch-site': '', origin: '' },
  ]
  for (const headers of cases) {
    for (const path of ['/logout', '/auth/logout']) {
      const answer = await visitor.submit(url + path, '', { headers })
      t.equal(answer.status, 403, JSON.stringify(headers))
      t.match(answer.text, 'ERR_CROSS_SITE')
    }
  }
  t.ok(visitor.cookies(url).has(name))
  t.equal(await statusOf(visitor, url), 200)
})

await t.test(
  'a session that has renewed since is ended all the same by its oldest copy',
  async (t) => {
    const { provider, url, alice, clock } = await demo(t)
    provider.settings.rotateRefreshTokens = true
    const visitor = new Visitor()
    await visitor.signIn(`${url}/auth/login`, alice)
    const old = visitor.copy()
    clock.advance(50 * 60_000)
    await visitor.fetch(`${url}/api/x`)
    const newest = visitor.copy()
    t.equal((await leave(old, url)).status, 303)
    t.equal(await statusOf(newest, url), 401)
    t.equal(provider.counts.revoke, 1)
  },
)

await t.test('a sign-out deletes every chunk of a large session', async (t) => {
  const groups = [...twoCookiesOfGroups]
  const { url, alice, name } = await demo(t, {
    permissions: { groups: Object.fromEntries(groups.map((group) => [group, ['WIKI_VIEW']])) },
  })
  alice.groups = groups
  const visitor = new Visitor()
  await visitor.signIn(`${url}/auth/login`, alice)
  const names = [...visitor.cookies(url).keys()].filter((cookie) => cookie.startsWith(name))
  t.same(names, [`${name}1`, `${name}2`])
  const copy = visitor.copy()
  const { setCookies } = await leave(visitor, url)
  for (const chunk of names)
    t.match(setCookies.join('\n'), `${chunk}=; Path=/; Max-Age=0; HttpOnly`)
  t.equal(await statusOf(copy, url), 401)
})

await t.test('end_session_endpoint gets a fresh ID token as hint', async (t) => {
  const { provider, url } = await scripted(t, { dialect: 'standard', path: '' })
  provider.replace('discovery', (request) => ({
    body: {
      ...(provider.usual('discovery', request).body as object),
      end_session_endpoint: `${provider.origin}/end?keep=1`,
    },
  }))
  const visitor = new Visitor()
  await visitor.follow(`${url}/auth/login`)
  const before = provider.counts.token
  const answer = await leave(visitor, url)
  const target = new URL(answer.location)
  t.equal(target.origin + target.pathname, `${provider.origin}/end`)
  const asked = Object.fromEntries(target.searchParams)
  t.match(asked, {
    keep: '1',
    client_id: provider.clientId,
    post_logout_redirect_uri: `${url}/auth/signed-out`,
    id_token_hint: /^eyJ/,
  })
  t.equal(provider.counts.token, before + 1)
  t.equal(provider.counts.revoke, 1)
  t.equal(provider.received.revoke[0]!.form.get('token_type_hint'), 'refresh_token')
  t.equal(await bearer(url, asked['id_token_hint']!), 401, 'the hint is of no use here')
})

await t.test(
  'with a provider that has no logout of its own, sign-out leads to our page',
  async (t) => {
    const { url } = await scripted(t, { dialect: 'standard', path: '' })
    const visitor = new Visitor()
    await visitor.follow(`${url}/auth/login`)
    const { headers } = await visitor.open(`${url}/auth/logout`)
    t.match(headers['content-security-policy'], "form-action 'self';")
    t.equal((await leave(visitor, url)).location, `${url}/auth/signed-out`)
  },
)

await t.test('a provider that fails never keeps the session', async (t) => {
  for (const failing of [badAnswers.unavailable, badAnswers.broken, { status: 400, body: {} }]) {
    const { provider, url, name, gateway } = await scripted(t)
    const visitor = new Visitor()
    await visitor.follow(`${url}/auth/login`)
    const copy = visitor.copy()
    provider.replace('revoke', () => failing)
    const answer = await leave(visitor, url)
    t.equal(answer.status, 303)
    t.match(answer.location, `${provider.origin}/logout?`)
    t.notOk(visitor.cookies(url).has(name))
    t.equal(await statusOf(copy, url), 401)
    t.match(gateway.log(), '"status":303')
    const metrics = await gateway.metrics()
    t.match(metrics, counted('revocations', 'refresh_token', 'failed', 1))
    t.match(metrics, counted('revocations', 'refresh_token', 'ok', 0))
    t.match(metrics, counted('logouts', 'session', 'ok', 1))
  }
  const { provider, url } = await scripted(t, { dialect: 'standard', path: '' })
  const visitor = new Visitor()
  await visitor.follow(`${url}/auth/login`)
  const copy = visitor.copy()
  await provider.stop()
  const answer = await leave(visitor, url)
  t.equal(answer.location, `${url}/auth/signed-out`)
  t.equal(await statusOf(copy, url), 401)
})

await t.test('a provider that revokes nothing is told apart from one that fails', async (t) => {
  const providerOptions = { dialect: 'standard', path: '' } as const
  const { provider } = await stage(t, { provider: 'scripted', providerOptions, gateway: false })
  provider.replace('discovery', (request) => {
    const { body } = provider.usual('discovery', request)
    return { body: { ...(body as object), revocation_endpoint: undefined } }
  })
  const { url, gateway } = await stage(t, { provider, upstream })
  const visitor = new Visitor()
  await visitor.follow(`${url}/auth/login`)
  t.equal((await leave(visitor, url)).status, 303)
  const metrics = await gateway.metrics()
  t.match(metrics, counted('revocations', 'refresh_token', 'unsupported', 1))
  t.match(metrics, counted('revocations', 'refresh_token', 'failed', 0))
})

await t.test('a provider that takes too long to revoke never keeps the session', async (t) => {
  const timers = createTimers()
  const { provider, url } = await scripted(t, {}, timers)
  const visitor = new Visitor()
  await visitor.follow(`${url}/auth/login`)
  const copy = visitor.copy()
  const release = holdAnswers(provider, 'revoke', () => ({}))
  const asked = provider.next('revoke')
  const leaving = leave(visitor, url)
  await asked
  t.equal(await statusOf(copy, url), 401, 'over here before the provider has answered')
  timers.advance(3000)
  t.match((await leaving).location, `${provider.origin}/logout?`)
  release()
})

await t.test(
  'without revocationFile a restart forgets sign-outs, as the documentation says',
  async (t) => {
    const { url, alice, restart } = await demo(t)
    const visitor = new Visitor()
    await visitor.signIn(`${url}/auth/login`, alice)
    const copy = visitor.copy()
    await leave(visitor, url)
    await restart()
    t.equal(await statusOf(copy, url), 200)
  },
)

await t.test('with revocationFile a sign-out outlives a restart', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const revocationFile = join(folder, 'revocations')
  const { provider, url, alice, clock, restart } = await demo(t, { session: { revocationFile } })
  const given = watchTokens(provider)
  const visitor = new Visitor()
  await visitor.signIn(`${url}/auth/login`, alice)
  const tokens = await given()
  const copy = visitor.copy()
  await leave(visitor, url)
  const stays = new Visitor()
  await stays.signIn(`${url}/auth/login?prompt=login`, alice)
  t.ok(readFileSync(revocationFile, 'utf8').endsWith('\n'))
  // What a crash in the middle of a line leaves behind.
  writeFileSync(revocationFile, '["id cut', { flag: 'a' })
  await restart()
  t.equal(await statusOf(copy, url), 401)
  for (const token of tokens) t.equal(await bearer(url, token), 401)
  t.equal(await statusOf(stays, url), 200)
  clock.advance(8 * 24 * 3_600_000)
  await restart()
  t.equal(readFileSync(revocationFile, 'utf8'), '', 'entries go when they can no longer matter')
})

await t.test(
  'a sign-out that a full list can’t keep ends what it can, and says what may go on',
  async (t) => {
    const s = await stage(t, {
      provider: 'cognito',
      upstream,
      api: upstream,
      bounds: { revocations: 20 },
      overlay: { admin: { token: { fromEnv: 'SESSION' } } },
    })
    const { provider, url, names, alice, sam, gateway, clock } = s
    const given = watchTokens(provider)
    const first = new Visitor()
    await first.signIn(`${url}/auth/login`, sam)
    const firsts = await given()
    const early = first.copy()
    t.equal((await leave(first, url)).status, 303)
    let answer = await leave(first, url)
    let lasts = firsts
    let count = 0
    while (answer.status === 303 && ++count < 20) {
      clock.advance(2000)
      const leaving = new Visitor()
      await leaving.signIn(`${url}/auth/login`, alice)
      lasts = await given()
      answer = await leave(leaving, url)
      if (answer.status !== 303) t.notOk(leaving.cookies(url).has(names.session))
    }
    t.equal(answer.status, 503)
    t.match(answer.text, 'You are signed out in this browser')
    t.match(answer.text, /a copy of your cookie or of a token may work until it ends/)
    t.match(answer.text, 'ERR_REVOCATIONS_FULL')
    t.match(answer.setCookies.join(), `${names.session}=; Path=/; Max-Age=0`)
    t.match(answer.setCookies.join(), '-o=', 'the next sign-in asks for the password')
    t.equal(provider.counts.revoke, count + 1, 'nobody can renew it')
    const served = await Promise.all(lasts.map((token) => bearer(url, token)))
    t.ok(served.includes(200), 'a token works: that is what is said')
    t.equal(await statusOf(early, url), 401, 'who was told that all is over is not betrayed')
    for (const token of firsts) t.equal(await bearer(url, token), 401)
    const line = gateway.lines.find(({ code }) => code === 'ERR_REVOCATIONS_FULL')
    t.match(JSON.stringify(line), /\d+ revocations are kept, and all of them still matter/)
    t.ok((await gateway.metric('trac_gateway_revocations_dropped_total')) > 0)
    const metrics = await gateway.metrics()
    t.match(metrics, counted('logouts', 'session', 'failed', 1))
    t.match(metrics, counted('revocations', 'refresh_token', 'ok', count + 1))
    t.match(gateway.gateway.readiness.report().degraded.join(), 'the list of revocations is full')
    const comes = new Visitor()
    await comes.signIn(`${url}/auth/login`, sam)
    t.equal(await statusOf(comes, url), 200, 'who signs in anew is not locked out')
    clock.advance(2000)
    await comes.signIn(`${url}/auth/login?prompt=login`, sam)
    t.equal(await statusOf(comes, url), 200, 'in a browser that had a session, too')
    const isTold = () => provider.counts.revoke === count + 2
    await until(isTold, 'the provider hears that the refresh token before is of no more use')
    const statuses: number[] = []
    let message: unknown
    for (let i = 0; i < 6; i++) {
      const revoked = await fetch(`${gateway.adminUrl}/revoke`, {
        method: 'POST',
        headers: { authorization: `Bearer ${secretOf('s')}` },
        body: JSON.stringify({ user: `nobody-${i}` }),
      })
      statuses.push(revoked.status)
      message = ((await revoked.json()) as { message?: unknown }).message
    }
    t.equal(statuses[0], 200, 'an operator has a place of their own')
    t.equal(statuses.at(-1), 503, 'until that is full, too')
    t.match(message, 'The list of what was ended is full')
  },
)

await t.test('POST /revoke ends everything of a user at once', async (t) => {
  const { provider, url, alice, ivan, gateway, name } = await demo(t, {
    admin: { token: { fromEnv: 'SESSION' } },
    builtinTracRoutes: 'strict',
  })
  const revoke = (body: string, token = secretOf('s')) =>
    fetch(`${gateway.adminUrl}/revoke`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${token}` },
    })
  const browsers = [new Visitor(), new Visitor()]
  for (const visitor of browsers) await visitor.signIn(`${url}/auth/login`, alice)
  const other = new Visitor()
  await other.signIn(`${url}/auth/login`, ivan)
  const token = await provider.mint({}, { person: alice })
  t.equal(await bearer(url, token), 200)
  for (const [body, admin, status] of [
    ['{"user":"x"}', 'wrong', 401],
    ['{"user":"x"}', '', 401],
    ['{"user":""}', undefined, 400],
    ['{"user":7}', undefined, 400],
    ['{', undefined, 400],
    ['{}', undefined, 400],
    [`{"user":"${'x'.repeat(5000)}"}`, undefined, 400],
  ] as const) {
    t.equal((await revoke(body, admin)).status, status, body.slice(0, 20))
  }
  const answer = await revoke(JSON.stringify({ user: 'ALICE' }))
  t.match(await answer.json(), { durable: false })
  for (const visitor of browsers) t.equal(await statusOf(visitor, url), 401)
  t.equal(await bearer(url, token), 401)
  t.equal(await statusOf(other, url), 200)
  const metrics = await gateway.metrics()
  t.match(metrics, counted('revocations', 'user', 'ok', 1))
  t.match(metrics, counted('revocations', 'user', 'failed', 0))
  t.match(metrics, counted('revocations', 'refresh_token', 'ok', 2))
  const visitor = new Visitor()
  await visitor.signIn(`${url}/auth/login`, alice)
  t.ok(visitor.cookies(url).has(name), 'a later sign-in works')
  t.equal((await fetch(`${url}/revoke`, { method: 'POST' })).status, 404, 'not on the public port')
})

await t.test('a revocation that could not be stored is counted as such', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const revocationFile = join(folder, 'revocations')
  const { url, alice, gateway } = await demo(t, {
    admin: { token: { fromEnv: 'SESSION' } },
    session: { revocationFile },
  })
  const visitor = new Visitor()
  await visitor.signIn(`${url}/auth/login`, alice)
  // A folder of that name can't be appended to, for root either.
  rmSync(revocationFile)
  mkdirSync(revocationFile)
  const answer = await fetch(`${gateway.adminUrl}/revoke`, {
    method: 'POST',
    body: '{"user":"alice"}',
    headers: { authorization: `Bearer ${secretOf('s')}` },
  })
  t.equal(answer.status, 503)
  t.equal((await leave(visitor, url)).status, 503)
  const metrics = await gateway.metrics()
  t.match(metrics, counted('revocations', 'user', 'failed', 1))
  t.match(metrics, counted('revocations', 'user', 'ok', 0))
  t.match(metrics, counted('logouts', 'session', 'failed', 1))
})

await t.test('without admin.token there is no POST /revoke', async (t) => {
  const { gateway } = await demo(t)
  const answer = await fetch(`${gateway.adminUrl}/revoke`, {
    method: 'POST',
    body: '{"user":"x"}',
    headers: { authorization: 'Bearer ' },
  })
  t.equal(answer.status, 404)
})

await t.test('the provider ends sessions by a logout token', async (t) => {
  const { provider, gateway, url } = await scripted(t, { dialect: 'standard', path: '' })
  const event = 'http://schemas.openid.net/event/backchannel-logout'
  let serial = 0
  const now = () => Math.floor(Date.now() / 1000)
  const logoutToken = (claims: object = {}, options: object = {}) =>
    provider.sign(
      'id',
      {
        iat: now(),
        exp: now() + 120,
        jti: `logout-${serial++}`,
        events: { [event]: {} },
        sid: 'sid-1',
        ...claims,
      },
      { header: { typ: 'logout+jwt' }, ...options },
    )
  const send = (body: string) =>
    new Visitor().fetch(`${url}/auth/backchannel-logout`, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': '',
        'sec-fetch-mode': '',
      },
    })
  const post = (token: string) => send(`logout_token=${token}`)
  const signIn = async (claims: Record<string, unknown>) => {
    withClaims(provider, claims)
    const visitor = new Visitor()
    await visitor.follow(`${url}/auth/login`)
    t.equal(await statusOf(visitor, url), 200)
    return visitor
  }
  const one = await signIn({ sid: 'sid-1' })
  const two = await signIn({ sid: 'sid-2' })
  const other = await signIn({ sid: 'sid-3', sub: 'other', 'cognito:username': 'other' })

  const refused: readonly (readonly [string, string])[] = [
    ['of another issuer', logoutToken({ iss: 'https://evil.example' })],
    ['for another client', logoutToken({ aud: 'other' })],
    ['with a bad signature', logoutToken({}, { key: stranger })],
    ['without signature', logoutToken({}, { alg: 'none' })],
    ['by HMAC', logoutToken({}, { key: Buffer.from('x'), header: { kid: 'key-1' } })],
    ['without iat', logoutToken({ iat: undefined })],
    ['six minutes old', logoutToken({ iat: now() - 360, exp: undefined })],
    ['that has expired', logoutToken({ iat: now() - 120, exp: now() - 60 })],
    ['of the future', logoutToken({ iat: now() + 120 })],
    ['without jti', logoutToken({ jti: undefined })],
    ['without events', logoutToken({ events: undefined })],
    ['with other events', logoutToken({ events: { x: {} } })],
    ['whose events are a list', logoutToken({ events: [event] })],
    ['whose event is text', logoutToken({ events: { [event]: 'x' } })],
    ['with a nonce', logoutToken({ nonce: 'x' })],
    ['that names nobody', logoutToken({ sid: undefined, sub: undefined })],
    ['of another type', logoutToken({}, { header: { typ: 'at+jwt' } })],
    ['that is an ID token', provider.sign('id', { sid: 'sid-1' })],
    ['that is a word', 'x'],
  ]
  for (const [what, token] of refused) {
    const answer = await post(token)
    t.equal(answer.status, 400, what)
    t.equal(answer.json()['code'], 'ERR_LOGOUT_TOKEN_INVALID', what)
  }
  for (const body of ['', 'x=y', `logout_token=${logoutToken()}&logout_token=${logoutToken()}`]) {
    t.equal((await send(body)).status, 400)
  }
  t.equal(await statusOf(one, url), 200, 'nothing has happened yet')

  const good = logoutToken()
  const answer = await post(good)
  t.equal(answer.status, 200)
  t.equal(answer.headers['cache-control'], 'no-store')
  t.equal(await statusOf(one, url), 401)
  t.equal(await statusOf(two, url), 200, 'by sid it is one session')
  t.equal((await post(good)).status, 400, 'a token counts once')
  t.equal((await post(logoutToken({ sid: undefined, exp: undefined }))).status, 200)
  t.equal(await statusOf(two, url), 401, 'by sub it is all of a person')
  t.equal(await statusOf(other, url), 200)
  t.match(gateway.log(), 'auth:backchannel')
})
