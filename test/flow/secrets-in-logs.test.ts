/** Nothing that could be used again stands in any line of the log, at the level that tells most. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { badAnswers } from '../fixtures/scripted-provider.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import type { TestGateway } from '../fixtures/gateway.js'
import { secrets as fixtureSecrets } from '../fixtures/config.js'

/** Everything secret that was used, by what it is; found by looking at every address, header and body. */
const secrets = new Map<string, string>()
function note(what: string, value: string | null | undefined) {
  if (value !== null && value !== undefined && value.length > 7) secrets.set(value, what)
}
function noteAddress(url: URL | string) {
  if (url === '') return
  for (const [name, value] of new URL(url).searchParams) {
    if (['state', 'nonce', 'code', 'code_challenge', 'return_to', 'x'].includes(name)) {
      note(name, value)
    }
  }
}
function noteCookies(visitor: Visitor, url: string) {
  for (const [name, value] of visitor.cookies(url)) note(name, value)
}
/** A token, and the parts of it that say something. */
function noteToken(what: string, token: string) {
  note(what, token)
  for (const part of token.split('.').slice(1)) note(`part of ${what}`, part)
}

/** Greps every line for every secret; also for pieces of 16 characters of them. */
function check(t: Test, gateway: TestGateway) {
  const log = gateway.log()
  const lines = gateway.lines
  t.ok(lines.length > 20, `${lines.length} lines`)
  for (const [value, what] of secrets) {
    for (const form of [value, encodeURIComponent(value), value.slice(0, 24), value.slice(-24)]) {
      if (log.includes(form)) {
        const line = log.split('\n').find((text) => text.includes(form))
        t.fail(`${what} stands in the log: ${line?.slice(0, 300)}`)
      }
    }
  }
  t.notMatch(log, /eyJ[A-Za-z0-9_-]{8}/, 'nothing that looks like a JWT')
  for (const line of lines) t.notMatch(String(line['path']), '?', 'no query')
}

await t.test('a sign-in, its renewals and its end leave nothing secret in the log', async (t) => {
  const { provider, alice, clock, gateway, url, origin, names } = await stage(t, {
    provider: 'cognito',
    providerOptions: { rotateRefreshTokens: true },
    upstream: true,
    api: true,
    logLevel: 'trace',
    overlay: { admin: { token: { fromEnv: 'SESSION' } }, log: { audit: true } },
  })
  provider.settings.alterClaims = (claims) => {
    note('nonce', claims['nonce'] as string | undefined)
    void provider.mint(claims).then((token) => noteToken('a token', token))
    return claims
  }
  const visitor = new Visitor()

  const start = await visitor.open(`${url}/auth/login?return_to=%2Ftrac%2Fwiki%3Fx%3Dquery-value-7`)
  noteAddress(start.location)
  noteCookies(visitor, url)
  const back = await visitor.signIn(start.location, alice, (at) => at.pathname.endsWith('callback'))
  noteAddress(back.location)
  await visitor.open(back.location)
  await visitor.open(back.location)
  noteCookies(visitor, url)
  await visitor.open(`${url}/wiki/Start?x=query-value-7`)
  await visitor.fetch(`${url}/auth/session`)

  clock.advance(50 * 60_000)
  await visitor.fetch(`${url}/api/x`)
  noteCookies(visitor, url)
  const headers = { origin }
  await visitor.fetch(`${url}/auth/refresh`, { method: 'POST', headers })
  noteCookies(visitor, url)

  const token = await provider.mint({}, { person: alice })
  const bad = `${token.slice(0, -30)}${'A'.repeat(30)}`
  for (const given of [token, bad, 'opaque-token-0123456789', `${token} ${token}`]) {
    noteToken('a Bearer token', given)
    await visitor.fetch(`${url}/api/x`, { headers: { authorization: `Bearer ${given}` } })
  }
  note('Basic', 'YWxpY2U6c2VjcmV0LXBhc3N3b3Jk')
  await visitor.fetch(`${url}/api/x`, {
    headers: { authorization: 'Basic YWxpY2U6c2VjcmV0LXBhc3N3b3Jk' },
  })
  for (const refresh of ['made-up-refresh-token-1', 'made-up/refresh+token=2']) {
    note('a refresh token', refresh)
    const body = JSON.stringify({ refresh_token: refresh })
    const type = { 'content-type': 'application/json' }
    await visitor.fetch(`${url}/auth/refresh`, { method: 'POST', body, headers: type })
    await visitor.fetch(`${url}/auth/refresh`, {
      method: 'POST',
      body: body.slice(1),
      headers: type,
    })
    await visitor.fetch(`${url}/auth/refresh?refresh_token=${refresh}`, { method: 'GET' })
  }
  const junk = await visitor
    .copy()
    .open(`${url}/auth/callback?code=code-of-somebody&state=state-of-x`)
  noteAddress(junk.url)
  await visitor.open(`${url}/auth/callback?error=secret-error&error_description=secret-description`)
  note('an error', 'secret-description')
  await visitor.copy().fetch(`${url}/api/x`, {
    cookie: `${names.session}=sealed-by-somebody-else`,
  })
  note('a cookie', 'sealed-by-somebody-else')
  await fetch(`${gateway.adminUrl}/revoke`, {
    method: 'POST',
    headers: { authorization: 'Bearer wrong-admin-token' },
  })
  note('an admin token', 'wrong-admin-token')
  noteCookies(visitor, provider.origin)
  note('a password', alice.password)
  for (const secret of Object.values(fixtureSecrets)) note('a secret of the configuration', secret)
  const out = await visitor.submit(`${url}/auth/logout`, '__FORM_TOKEN=a-form-token-of-trac')
  note('a form token', 'a-form-token-of-trac')
  await visitor.follow(out.location)

  t.ok(secrets.size > 25, `${secrets.size} secrets were looked for`)
  check(t, gateway)
  t.match(gateway.log(), '"user":"alice"', 'but who it was does')
})

await t.test(
  'a provider that repeats what it was sent brings no secret into the log',
  async (t) => {
    const {
      provider: scripted,
      gateway,
      url,
    } = await stage(t, {
      provider: 'scripted',
      upstream: true,
      logLevel: 'trace',
      overlay: { identity: { clientSecret: { fromEnv: 'SESSION' }, publicRefresh: true } },
    })
    const visitor = new Visitor()
    const echo = (status: number) => (request: (typeof scripted.received.token)[number]) => {
      note('the verifier', request.form.get('code_verifier'))
      note('the code', request.form.get('code'))
      note('a refresh token', request.form.get('refresh_token'))
      note('the secret', request.headers.authorization?.slice(6))
      const text = request.body
      return { status, body: { error: text, error_description: text, error_uri: `x:${text}` } }
    }
    for (const answer of [
      echo(400),
      echo(500),
      () => badAnswers.html,
      () => badAnswers.broken,
      () => ({ body: { access_token: scripted.sign('access'), token_type: 'x', id_token: 'y' } }),
      () => ({
        body: { access_token: 'opaque', token_type: 'Bearer', id_token: scripted.sign('id') },
      }),
    ]) {
      scripted.replace('token', answer)
      const back = await visitor.follow(`${url}/auth/login`, (at) =>
        at.pathname.endsWith('callback'),
      )
      noteAddress(back.location)
      noteCookies(visitor, url)
      await visitor.open(back.location)
      const body = JSON.stringify({ refresh_token: 'a-refresh-token-that-leaks' })
      const headers = { 'content-type': 'application/json' }
      await visitor.fetch(`${url}/auth/refresh`, { method: 'POST', body, headers })
    }
    scripted.restore()
    const back = await visitor.follow(`${url}/auth/login`)
    t.equal(back.status, 200, back.text)
    noteCookies(visitor, url)
    scripted.replace('revoke', (request) => ({ status: 400, body: { error: request.body } }))
    await visitor.submit(`${url}/auth/logout`)
    note('a secret', 'a-refresh-token-that-leaks')
    note('the client’s secret', fixtureSecrets.SESSION)
    check(t, gateway)
  },
)
