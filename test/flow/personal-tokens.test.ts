/** Personal tokens: made and revoked on a page that no script can read, never more than their owner, ended with them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { secretOf } from '../fixtures/config.js'
import {
  asBasic,
  asBearer,
  formBody,
  formTokenIn,
  inWindow,
  makeToken,
  sendForm,
  tokenIn,
} from '../fixtures/personal-tokens.js'
import { changedTokens } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import type { Claims } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'

const day = 86_400_000
const file = join(t.testdir({}), 'tokens')
const adminToken = secretOf('s')
const overlay = {
  tokens: { file, perUser: 6 },
  admin: { token: { fromEnv: 'SESSION' } },
  identity: { username: { emailLocalPart: 'example.edu' } },
  session: { idleTimeout: '60d', maxAge: '60d' },
  upstreams: { api: { forwardAccessToken: true } },
  permissions: {
    anonymous: [],
    groups: {
      students: ['TICKET_VIEW', 'WIKI_VIEW', 'TICKET_CREATE', 'TIMELINE_VIEW'],
      admins: ['TRAC_ADMIN'],
    },
  },
  routes: [
    { name: 'api', path: '/api/**', upstream: 'api' },
    { name: 'jwt', path: '/jwt', credentials: ['bearer', 'session'] },
    { name: 'rpc', path: '/rpc', basic: 'token', require: { anyPermission: ['TICKET_VIEW'] } },
    { name: 'open', path: '/open', basic: 'token', access: 'public' },
    { name: 'feed', path: '/timeline', query: { format: 'rss' }, basic: 'token' },
  ],
  rateLimit: { failures: { max: 200 }, badTokens: { max: 40 } },
}
const s = await stage(t, {
  provider: 'scripted',
  upstream: true,
  api: true,
  overlay,
})
const { url, clock, upstream, gateway, provider } = s
// What is a minute old is so by this clock alone.
clock.stop()

const pat = { sub: 'pat', email: 'pat@example.edu', groups: ['students'] }
const signIn = (claims: Claims = {}) => s.signIn({ ...pat, ...claims })
/** Seconds since the person last typed a password at the provider. */
let typed = 0
provider.replace('token', (request) => {
  const iat = Math.floor(clock() / 1000)
  const times = { iat, exp: iat + 3600, auth_time: iat - typed }
  return changedTokens(provider, request, (claims) => ({
    id_token: provider.sign('id', { ...claims, ...times }),
    access_token: provider.sign('access', times),
  }))
})
const visitor = await signIn()
const client = new Visitor()

/** Asks as a program, and tells as whom Trac was asked, or why it was not. */
async function use(
  headers: Readonly<Record<string, string>>,
  path = '/rpc',
  more: Readonly<Record<string, string>> = {},
) {
  const bare = { accept: '*/*', 'sec-fetch-mode': '', 'sec-fetch-site': '' }
  const answer = await client.fetch(url + path, { headers: { ...bare, ...headers, ...more } })
  if (answer.status !== 200) return `${answer.status} ${String(answer.json()['code'])}`
  const sent = upstream.lastHeaders()
  return `${sent['x-trac-user']} ${sent['x-trac-perms']}`
}

const asPat = 'pat TICKET_CREATE,TICKET_VIEW,TIMELINE_VIEW,WIKI_VIEW'

await t.test(
  'a token is shown once, works, is listed, and is no more once it is revoked',
  async (t) => {
    const made = await sendForm(visitor, url, { name: 'my <laptop>' })
    const token = tokenIn(made)
    t.match(token, /^trac_pat_[\w-]{73}$/)
    t.equal(made.status, 200)
    t.equal(made.headers['cache-control'], 'no-store')
    t.match(made.text, 'The token my &lt;laptop&gt; is made')
    t.equal(await use(asBearer(token)), asPat)
    const list = await visitor.open(`${url}/auth/tokens`, { headers: inWindow })
    t.match(list.text, '<h2>my &lt;laptop&gt;</h2>')
    t.match(
      list.text,
      new RegExp(`${new Date(clock()).toISOString().slice(0, 13).replace('T', ' ')}:00 UTC`),
    )
    t.notMatch(list.text, token.slice(0, 40), 'and never again')
    t.notMatch(
      readFileSync(file, 'utf8'),
      token.slice(33, 60),
      'on disk is nothing that could be used',
    )
    const id = token.slice(9, 33)
    const body = new URLSearchParams({ form: formTokenIn(list), id }).toString()
    const gone = await visitor.submit(`${url}/auth/tokens/revoke`, body, { headers: inWindow })
    t.equal(gone.location, `${url}/auth/tokens`)
    t.equal(await use(asBearer(token)), '401 ERR_TOKEN_UNKNOWN')
    t.notMatch(gateway.log(), token.slice(33), 'and the log has no secret')
    t.match(
      gateway.lines.filter(({ msg }) => String(msg).startsWith('personal token')),
      [
        { msg: 'personal token made', user: 'pat', sub: 'pat', token: 'my <laptop>', token_id: id },
        { msg: 'personal token revoked', user: 'pat', token: 'my <laptop>', client: '127.0.0.1' },
      ],
    )
    t.match(await gateway.metrics(), /personal_tokens_total\{event="made"\} 1/)
  },
)

await t.test('nothing but a window of a browser sees the page or makes a token', async (t) => {
  const pages = ['/auth/tokens', '/auth/tokens/new']
  for (const path of pages) {
    const page = await visitor.open(url + path, { headers: inWindow })
    t.equal(page.headers['cross-origin-opener-policy'], 'same-origin')
    t.equal(page.headers['x-frame-options'], 'DENY')
    t.match(page.headers['content-security-policy'], /form-action 'self'; frame-ancestors 'none'/)
    t.equal(page.headers['cache-control'], 'no-store')
    const others: readonly Readonly<Record<string, string>>[] = [
      { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
      { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
      { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'object' },
      { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' },
      { 'sec-fetch-mode': 'navigate' },
      { 'sec-fetch-mode': '', 'sec-fetch-site': '' },
    ]
    for (const headers of others) {
      const answer = await visitor.open(url + path, { headers })
      t.equal(answer.status, 403, JSON.stringify(headers))
      t.equal(formTokenIn(answer), '')
    }
  }
  const page = await visitor.open(`${url}/auth/tokens/new`, { headers: inWindow })
  const body = formBody(formTokenIn(page), { name: 'forged' })
  const post = (headers: Readonly<Record<string, string>>, sent = body, by = visitor) =>
    by.submit(`${url}/auth/tokens/new`, sent, { headers: { ...inWindow, ...headers } })
  t.equal((await post({ 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' })).status, 403)
  t.equal((await post({ 'sec-fetch-dest': 'iframe' })).status, 403)
  t.equal(
    (await post({ 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' })).status,
    403,
  )
  t.equal((await post({ 'sec-fetch-site': 'same-site' })).status, 403)
  t.match((await post({}, formBody('', { name: 'forged' }))).text, 'ERR_FORM_STALE')
  t.match((await post({}, body, await signIn())).text, 'ERR_FORM_STALE', 'of another session')
  const list = await visitor.open(`${url}/auth/tokens`, { headers: inWindow })
  t.notMatch(list.text, 'forged')
})

await t.test('who has not signed in for five minutes is asked again, and comes back', async (t) => {
  const own = await signIn()
  const early = await own.open(`${url}/auth/tokens/new`, { headers: inWindow })
  clock.advance(5 * 60_000 + 1000)
  const late = await own.submit(`${url}/auth/tokens/new`, formBody(formTokenIn(early)), {
    headers: inWindow,
  })
  t.equal(late.status, 403)
  t.match(late.text, /within the last five minutes.*prompt=login/s)
  const asked = await own.open(`${url}/auth/tokens/new`, { headers: inWindow })
  const login = new URL(asked.location)
  t.equal(login.searchParams.get('prompt'), 'login')
  t.equal(login.searchParams.get('return_to'), '/trac/auth/tokens/new?again=1')
  const back = await own.follow(login, ({ pathname }) => pathname === '/trac/auth/tokens/new')
  t.equal(back.location, `${url}/auth/tokens/new?again=1`)
  const form = await own.open(back.location, { headers: inWindow })
  t.equal(form.status, 200)
  t.not(formTokenIn(form), '')
})

await t.test('a provider that does not ask again leads to no loop, and to no token', async (t) => {
  // It goes on by its own session, which is an hour old.
  typed = 3600
  const stale = await signIn()
  const asked = await stale.open(`${url}/auth/tokens/new`, { headers: inWindow })
  const back = await stale.follow(
    asked.location,
    ({ pathname }) => pathname === '/trac/auth/tokens/new',
  )
  typed = 0
  const refused = await stale.open(back.location, { headers: inWindow })
  t.equal(refused.status, 403)
  t.match(refused.text, 'ERR_SIGN_IN_OLD')
})

await t.test('nobody is sent to sign in first, and a program has no page of its own', async (t) => {
  const nobody = await new Visitor().open(`${url}/auth/tokens`, { headers: inWindow })
  t.equal(nobody.location, `${url}/auth/login?return_to=%2Ftrac%2Fauth%2Ftokens`)
  const own = await signIn()
  const token = await makeToken(own, url, { name: 'pages' })
  for (const authorization of [
    `Bearer ${token}`,
    s.bearerOf(pat).slice('Authorization: '.length),
  ]) {
    const page = await client.open(`${url}/auth/tokens`, {
      headers: { ...inWindow, authorization },
    })
    t.equal(page.status, 401)
    t.match(page.text, 'ERR_CREDENTIAL_NOT_ACCEPTED')
  }
})

await t.test('a form that can’t be fulfilled says why, and keeps what was filled in', async (t) => {
  const own = await signIn({ sub: 'fred', email: 'fred@example.edu' })
  const wrong: readonly (readonly [object, string])[] = [
    [{ name: '' }, 'It needs a name'],
    [{ name: 'x'.repeat(61) }, 'It needs a name'],
    [{ name: 'a\u202eb' }, 'It needs a name'],
    [{ days: '0' }, 'It may live for 1 to 365 days.'],
    [{ days: '366' }, 'It may live for 1 to 365 days.'],
    [{ days: '1e2' }, 'It may live for 1 to 365 days.'],
    [{ may: 'some' }, 'What is ticked counts only'],
    [{ may: 'view', permission: 'TICKET_VIEW' }, 'What is ticked counts only'],
    [{ may: 'some', permission: 'TRAC_ADMIN' }, 'What is ticked counts only'],
    [{ where: 'some', route: 'nowhere' }, 'What is ticked counts only'],
    [{ may: '' }, 'What is ticked counts only'],
  ]
  for (const [filled, why] of wrong) {
    const answer = await sendForm(own, url, { name: 'kept "name"', ...filled })
    t.equal(answer.status, 400, why)
    t.match(answer.text, why)
    if (!('name' in filled)) t.match(answer.text, 'value="kept &quot;name&quot;"')
  }
  await makeToken(own, url, { name: 'one' })
  t.match(
    (await sendForm(own, url, { name: 'one' })).text,
    'You have a token of that name already.',
  )
  for (const name of ['2', '3', '4', '5', '6']) await makeToken(own, url, { name })
  t.match(
    (await sendForm(own, url, { name: '7' })).text,
    'You have 6 tokens, and that is the limit.',
  )
})

await t.test('a token may do no more than was chosen, and no more than its owner', async (t) => {
  const ann = await signIn({ sub: 'ann', email: 'ann@example.edu', groups: ['admins'] })
  const view = await makeToken(ann, url, { name: 'view', may: 'view' })
  const seen = await use(asBearer(view))
  t.match(seen, /^ann .*TICKET_VIEW/)
  t.notMatch(seen, /_(?:ADMIN|CREATE|MODIFY|DELETE)/)
  const one = await makeToken(ann, url, { name: 'one', may: 'some', permission: 'TICKET_MODIFY' })
  t.equal(await use(asBearer(one)), '403 ERR_PERMISSION_REQUIRED')
  t.equal(await use(asBearer(one), '/prefs'), 'ann TICKET_APPEND,TICKET_CHGPROP,TICKET_MODIFY')
  const rows = await makeToken(ann, url, { name: 'rows', where: 'some', route: ['rpc', 'trac:*'] })
  t.match(await use(asBearer(rows)), /^ann .*TRAC_ADMIN/)
  t.match(await use(asBearer(rows), '/ticket/1'), /^ann /)
  t.equal(await use(asBearer(rows), '/api/x'), '403 ERR_TOKEN_ROUTE')
  t.equal(await use(asBearer(rows), '/timeline?format=rss'), '403 ERR_TOKEN_ROUTE')
  t.equal(await use(asBearer(rows), '/jwt'), '401 ERR_CREDENTIAL_NOT_ACCEPTED')
  const line = gateway.lines.findLast(({ msg, route }) => msg === 'request' && route === 'api')
  t.match(line, {
    via: 'token',
    token: 'rows',
    code: 'ERR_TOKEN_ROUTE',
    wanted: { routes: ['api'] },
  })
})

await t.test('a personal token goes to nobody else', async (t) => {
  const token = await makeToken(await signIn(), url, { name: 'api' })
  t.equal(await use(asBearer(token), '/api/x'), asPat)
  t.equal(upstream.lastHeaders().authorization, undefined)
})

await t.test('the groups of the last proof count, and so do those that were lost', async (t) => {
  const person = { sub: 'gus', email: 'gus@example.edu' }
  const gus = await signIn({ ...person, groups: ['admins'] })
  const token = await makeToken(gus, url, { name: 'all' })
  t.match(await use(asBearer(token)), /^gus .*TRAC_ADMIN/)
  await signIn({ ...person, groups: ['students'] })
  t.equal(await use(asBearer(token)), asPat.replace('pat', 'gus'), 'by a sign-in')
  provider.person = { ...provider.person, groups: [] }
  clock.advance(60 * 60_000)
  await gus.open(`${url}/wiki/Start`)
  t.equal(await use(asBearer(token)), '403 ERR_PERMISSION_REQUIRED', 'by a renewal of a session')
})

await t.test('a token counts while its owner was seen within fourteen days', async (t) => {
  const person = { sub: 'olga', email: 'olga@example.edu' }
  const token = await makeToken(await signIn(person), url, { name: 'seen' })
  clock.advance(14 * day - 60_000)
  t.match(await use(asBearer(token)), /^olga /)
  clock.advance(60_000)
  t.equal(await use(asBearer(token)), '401 ERR_TOKEN_OWNER')
  t.equal(await use(asBearer(token)), '401 ERR_TOKEN_OWNER')
  const line = gateway.lines.findLast(({ msg }) => msg === 'request')
  t.match(line, { found: { token: 'seen', user: 'olga' }, wanted: { key: 'tokens.ownerSeen' } })
  await signIn(person)
  t.match(await use(asBearer(token)), /^olga /)
})

await t.test('a token ends when it said that it would', async (t) => {
  const token = await makeToken(await signIn(), url, { name: 'short', days: '2' })
  clock.advance(2 * day - 1000)
  t.equal(await use(asBearer(token)), asPat)
  clock.advance(1000)
  t.equal(await use(asBearer(token)), '401 ERR_TOKEN_EXPIRED')
})

await t.test(
  'with Basic a token is a password where a row says so, under its owner’s name',
  async (t) => {
    const own = await signIn()
    const token = await makeToken(own, url, { name: 'basic' })
    const basic = asBasic('pat', token)
    t.equal(await use(basic), asPat)
    t.equal(await use(asBasic('PAT', token)), asPat, 'names are one, however they are spelled')
    t.equal(upstream.lastHeaders().authorization, undefined)
    t.equal(await use(asBasic('sam', token)), '401 ERR_TOKEN_USER')
    t.equal(await use(asBasic('', token)), '401 ERR_TOKEN_USER')
    t.equal(await use(asBasic('pat', `${token}x`)), '401 ERR_TOKEN_UNKNOWN')
    t.equal(await use(asBasic('pat', 'secret')), '401 ERR_TOKEN_UNKNOWN')
    t.equal(await use({ authorization: 'Basic ???' }), '401 ERR_TOKEN_UNKNOWN')
    t.equal(
      await use(asBasic('pat', 'secret'), '/open'),
      '401 ERR_TOKEN_UNKNOWN',
      'on a public row, too',
    )
    t.equal(await use(basic, '/prefs'), '401 ERR_LOGIN_REQUIRED', 'elsewhere it is no credential')
    const cookie = own.cookieHeader(url)
    t.equal(
      await use(asBasic('pat', 'secret'), '/rpc', { cookie }),
      '401 ERR_TOKEN_UNKNOWN',
      'a bad one never falls back to the cookie',
    )
    const ann = await signIn({ sub: 'ann', email: 'ann@example.edu', groups: ['admins'] })
    t.equal(await use(basic, '/rpc', { cookie: ann.cookieHeader(url) }), asPat, 'it comes first')
  },
)

await t.test('Basic that a page made a browser send is refused, whatever it is', async (t) => {
  const token = await makeToken(await signIn(), url, { name: 'page' })
  const basic = asBasic('pat', token)
  for (const site of ['cross-site', 'same-site', 'same-origin']) {
    t.equal(await use(basic, '/rpc', { 'sec-fetch-site': site }), '403 ERR_CROSS_SITE', site)
  }
  for (const origin of ['https://evil.example', 'null']) {
    t.equal(await use(basic, '/rpc', { origin }), '403 ERR_CROSS_SITE', origin)
  }
  t.equal(await use(basic, '/rpc', { 'sec-fetch-site': 'none' }), asPat)
  t.equal(await use(basic, '/rpc', { origin: s.origin }), asPat)
  t.equal(
    await use(asBasic('pat', 'x'), '/rpc', { 'sec-fetch-site': 'same-origin' }),
    '403 ERR_CROSS_SITE',
  )
})

await t.test('programs are asked for Basic where it counts, and browsers never', async (t) => {
  const challengeOf = async (path: string, headers: Readonly<Record<string, string>>) =>
    (
      await client.fetch(url + path, {
        headers: { 'sec-fetch-mode': '', 'sec-fetch-site': '', ...headers },
      })
    ).headers['www-authenticate'] ?? ''
  const basic = 'Basic realm="Trac", charset="UTF-8"'
  t.equal(await challengeOf('/rpc', {}), `${basic}, Bearer realm="Trac"`)
  t.match(await challengeOf('/rpc', asBasic('pat', 'secret')), basic)
  t.match(await challengeOf('/timeline?format=rss', {}), basic)
  t.equal(await challengeOf('/prefs', {}), 'Bearer realm="Trac"')
  const browsers: readonly Readonly<Record<string, string>>[] = [
    { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'none', accept: 'text/html' },
    { 'sec-fetch-mode': 'no-cors', 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-mode': 'cors' },
    { accept: 'text/html,*/*' },
    { 'x-requested-with': 'XMLHttpRequest' },
  ]
  for (const headers of browsers) {
    for (const more of [{}, asBasic('pat', 'secret')]) {
      const told = await challengeOf('/rpc', { ...headers, ...more })
      t.notMatch(told, 'Basic', JSON.stringify(headers))
    }
  }
})

await t.test('signing out does not end a token, and `revoke --user` does', async (t) => {
  const person = { sub: 'rita', email: 'rita@example.edu' }
  const rita = await signIn(person)
  const tokens = [
    await makeToken(rita, url, { name: 'a' }),
    await makeToken(rita, url, { name: 'b' }),
  ]
  await rita.submit(`${url}/auth/logout`)
  for (const token of tokens) t.match(await use(asBearer(token)), /^rita /)
  const answer = await fetch(`${gateway.adminUrl}/revoke`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ user: 'Rita' }),
  })
  t.match(await answer.json(), { personalTokens: 2 })
  for (const token of tokens) t.equal(await use(asBearer(token)), '401 ERR_TOKEN_UNKNOWN')
  await signIn(person)
  t.equal(
    await use(asBearer(tokens[0]!)),
    '401 ERR_TOKEN_UNKNOWN',
    'a new sign-in brings none back',
  )
})

await t.test('a token outlives the process, and nothing else of it does', async (t) => {
  const token = await makeToken(await signIn(), url, { name: 'kept' })
  await use(asBearer(token))
  const other = await stage(t, { provider, upstream, api: upstream, clock, overlay })
  await until(() => other.gateway.gateway.readiness.report().waiting.length === 0)
  const answer = await client.fetch(`${other.url}/rpc`, { headers: asBearer(token) })
  t.equal(answer.status, 200)
  const id = { ...asBearer(token), accept: 'application/json' }
  t.match((await client.fetch(`${other.url}/auth/session`, { headers: id })).json(), {
    user: 'pat',
    via: 'token',
  })
})

await t.test('guessing is limited by address, and goes no further than a look', async (t) => {
  const token = await makeToken(await signIn(), url, { name: 'good' })
  t.equal(await use(asBearer(token)), asPat)
  const flipped = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')
  t.equal(await use(asBearer(flipped)), '401 ERR_TOKEN_UNKNOWN')
  const seen = new Set<string>()
  for (let i = 0; i < 40; i++) seen.add(await use(asBearer(`trac_pat_${i}`)))
  t.strictSame(seen, new Set(['401 ERR_TOKEN_UNKNOWN', '429 ERR_RATE_LIMITED']))
  t.equal(await use(asBearer(token)), asPat, 'and who is known goes on')
})

await t.test('making tokens is limited, too', async (t) => {
  const few = await stage(t, {
    provider,
    upstream,
    api: upstream,
    clock,
    overlay: { ...overlay, tokens: { file: `${file}-few` }, rateLimit: { failures: { max: 2 } } },
  })
  const visitor = await few.signIn(pat)
  const statuses: number[] = []
  for (const name of ['one', 'two', 'three']) {
    statuses.push((await sendForm(visitor, few.url, { name })).status)
  }
  t.strictSame(statuses, [200, 200, 429])
})

await t.test('without `tokens` there are none', async (t) => {
  const { tokens: _tokens, ...rest } = overlay
  const routes = overlay.routes.map(({ basic: _basic, ...row }) => row)
  const off = await stage(t, {
    provider,
    upstream,
    api: upstream,
    clock,
    overlay: { ...rest, routes },
  })
  const token = await makeToken(await signIn({ sub: 'zoe', email: 'zoe@example.edu' }), url, {
    name: 'elsewhere',
  })
  const answer = await client.fetch(`${off.url}/rpc`, { headers: asBearer(token) })
  t.equal(answer.json()['code'], 'ERR_TOKEN_MALFORMED')
  t.equal((await client.open(`${off.url}/auth/tokens`, { headers: inWindow })).status, 404)
})
