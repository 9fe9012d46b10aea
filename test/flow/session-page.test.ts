/** `/auth/session` tells who one is; probes and metrics tell how the gateway is, and nothing about people. */
import { t } from '../fixtures/tap.js'
import { createClock } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

const clock = createClock()
clock.stop()
const { provider, ivan, gateway, visitor, ...s } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
  person: 'ivan',
  clock,
  // Names that an access token says, too.
  overlay: {
    identity: { username: {} },
    permissions: { fromClaims: ['nonAdmin', 'LEARNING_PARTICIPATE'] },
    builtinTracRoutes: 'strict',
  },
})
const url = `${s.url}/auth/session`

await t.test(
  '/auth/session is JSON for a client and says who one is, by what, until when, and why',
  async (t) => {
    const answer = await visitor.fetch(url)
    t.equal(answer.status, 200)
    t.match(answer.headers['content-type'], 'application/json')
    t.equal(answer.headers['cache-control'], 'no-store')
    const told = answer.json()
    t.same(Object.keys(told).toSorted(), [
      'email',
      'expires_at',
      'groups',
      'name',
      'permissions',
      'user',
      'via',
    ])
    t.match(told, {
      user: ivan.username,
      email: 'ivan@example.edu',
      name: 'Ivan Instructor',
      groups: ['instructors'],
      via: 'session',
    })
    const left = Number(told['expires_at']) - clock() / 1000
    t.ok(left > 3590 && left <= 3600, `${left} s`)
    const permissions = told['permissions'] as { action: string; from: string[] }[]
    const fromOf = (action: string) => permissions.find((entry) => entry.action === action)?.from
    t.same(fromOf('WIKI_VIEW'), ['anonymous', 'group:instructors'])
    t.same(fromOf('TICKET_APPEND'), ['group:instructors'], 'what a meta action implies')
    t.same(fromOf('LEARNING_PARTICIPATE'), ['claim'])
    t.equal(fromOf('TRAC_ADMIN'), undefined)
  },
)

await t.test('/auth/session is a page without script for a person', async (t) => {
  const page = await visitor.open(url)
  t.equal(page.status, 200)
  t.match(page.headers['content-type'], 'text/html')
  t.match(page.headers['content-security-policy'], "default-src 'none'")
  t.match(page.text, `<h1>Signed in as ${ivan.username}</h1>`)
  t.match(page.text, '<dt>LEARNING_PARTICIPATE</dt><dd>by claim</dd>')
  t.match(page.text, 'action="/trac/auth/logout"')
  t.notMatch(page.text, '<script')
})

await t.test(
  '/auth/session shows no token, whatever it is asked with (CVE-2024-39315)',
  async (t) => {
    const token = await provider.mint({}, { person: ivan })
    const headers = { authorization: `Bearer ${token}` }
    for (const answer of [
      await visitor.fetch(url),
      await visitor.open(url),
      await visitor.fetch(url, { headers }),
      await visitor.open(url, { headers }),
    ]) {
      t.equal(answer.status, 200)
      t.notMatch(answer.text, /eyJ[A-Za-z0-9_-]{10}/)
      for (const [name, value] of visitor.cookies(s.url)) {
        if (!name.endsWith('again')) t.notMatch(answer.text, value)
      }
    }
  },
)

await t.test('/auth/session tells a Bearer client what its token carries', async (t) => {
  const ask = async (use: 'id' | 'access') => {
    const token = await provider.mint({}, { person: ivan, use })
    const answer = await new Visitor().fetch(url, { headers: { authorization: `Bearer ${token}` } })
    return answer.json()
  }
  const actionsOf = (told: Record<string, unknown>) =>
    (told['permissions'] as { action: string }[]).map(({ action }) => action)
  const [id, access] = [await ask('id'), await ask('access')]
  t.match(id, { user: ivan.username, via: 'bearer', groups: ['instructors'] })
  t.match(access, { user: ivan.username, via: 'bearer', groups: ['instructors'], email: null })
  t.ok(actionsOf(id).includes('LEARNING_PARTICIPATE'))
  t.notOk(actionsOf(access).includes('LEARNING_PARTICIPATE'), 'an access token lacks that claim')
  t.notOk('left_out' in id)
})

await t.test('what a claim names in vain is told, and logged once', async (t) => {
  const overlay = { identity: { username: {} }, permissions: { fromClaims: 'nonAdmin' } }
  const plain = await stage(t, { provider, upstream: s.upstream, overlay })
  const claimed = { trac_permissions: ['PROJECT_LEAD', 'WIKI_ADMIN', 'WIKI_DELETE', 'no action'] }
  const authorization = `Bearer ${await provider.mint(claimed, { person: ivan })}`
  const at = `${plain.url}/auth/session`
  for (let i = 0; i < 2; i++) {
    const told = (await new Visitor().fetch(at, { headers: { authorization } })).json()
    t.same(told['left_out'], ['PROJECT_LEAD', 'WIKI_ADMIN'])
  }
  const headers = { authorization, accept: 'text/html', 'sec-fetch-mode': 'navigate' }
  const page = await new Visitor().fetch(at, { headers })
  t.match(page.text, '<dt>Claimed, and not granted</dt><dd>PROJECT_LEAD, WIKI_ADMIN</dd>')
  const lines = plain.gateway.lines.filter(({ action }) => action === 'PROJECT_LEAD')
  t.equal(lines.length, 1)
  t.match(lines[0], { level: 'warn', msg: /\[nonAdmin, PROJECT_LEAD\]/ })
})

await t.test(
  '/auth/session without a credential is 401, as a page that leads on for a person',
  async (t) => {
    const nobody = new Visitor()
    const answer = await nobody.fetch(url)
    t.equal(answer.status, 401)
    t.match(answer.json(), { code: 'ERR_LOGIN_REQUIRED', auth_url: `${s.url}/auth/login` })
    t.equal(answer.headers['www-authenticate'], 'Bearer realm="Trac"')
    const page = await nobody.open(url)
    t.equal(page.status, 401)
    t.match(page.text, 'href="/trac/auth/login"')
    const post = await visitor.submit(url)
    t.equal(post.status, 405)
    t.equal(post.headers['allow'], 'GET, HEAD')
  },
)

await t.test('/auth/healthz says ok and reads no credential', async (t) => {
  const health = `${s.url}/auth/healthz`
  for (const headers of [{}, { authorization: 'Bearer x' }, { host: 'another.example' }]) {
    const answer = await visitor.fetch(health, { headers })
    t.equal(answer.status, 200)
    t.equal(answer.text, 'ok\n')
    t.same(answer.setCookies, [])
  }
  t.equal((await visitor.fetch(health, { method: 'POST' })).status, 405)
})

await t.test('probes and metrics are on the admin listener alone', async (t) => {
  const admin = async (path: string, method = 'GET') =>
    await fetch(gateway.adminUrl + path, { method })
  t.match(await (await admin('/healthz')).json(), { status: 'ok' })
  const ready = await admin('/readyz')
  t.equal(ready.status, 200)
  t.match(await ready.json(), { ready: true, waiting: [], degraded: [] })
  for (const [path, method] of [
    ['/metrics', 'POST'],
    ['/', 'POST'],
    ['/debug', 'GET'],
    ['/metrics?x', 'GET'],
  ] as const) {
    t.equal((await admin(path, method)).status, 404, path)
  }
  for (const path of ['/metrics', '/readyz', '/debug/pprof']) {
    const answer = await visitor.fetch(s.url + path)
    t.equal(answer.status, 404, `${path} is a path of Trac on the public port (CVE-2022-24797)`)
    t.notMatch(answer.text, 'trac_gateway_')
  }
})

await t.test('histograms reach from 50 µs to 10 s, and all labels are ours', async (t) => {
  for (let i = 0; i < 30; i++) {
    await visitor.fetch(`${s.url}/wiki/Page${i}?x=${i}`, {
      method: i % 2 === 0 ? 'GET' : 'PROPFIND',
      headers: { 'user-agent': `agent-${i}`, authorization: i > 20 ? `Bearer x${i}` : '' },
    })
    await visitor.fetch(`${s.url}/no-such-place-${i}`)
  }
  const text = await gateway.metrics()
  for (const name of ['request', 'authentication', 'upstream']) {
    const metric = `trac_gateway_${name}_duration_seconds`
    t.match(text, new RegExp(`^${metric}_bucket\\{le="0.00005",`, 'm'))
    t.match(text, new RegExp(`^${metric}_bucket\\{le="10",`, 'm'))
    t.match(text, new RegExp(`^${metric}_count\\{`, 'm'))
  }
  t.match(text, '_request_duration_seconds_count{route="trac:wiki",method="GET",status="200"}')
  t.match(text, '_request_duration_seconds_count{route="none",method="GET",status="404"}')
  t.match(text, 'status="405"')
  t.match(text, 'method="other"', 'a method that a client made up has no label')
  t.match(
    text,
    '_authentication_duration_seconds_count{credential="session",cache="hit",result="ok"}',
  )
  t.match(
    text,
    '_authentication_duration_seconds_count{credential="bearer",cache="miss",result="ERR_TOKEN_MALFORMED"}',
  )
  t.match(text, 'trac_gateway_token_verifications_total{result="ERR_TOKEN_MALFORMED"}')
  t.match(text, 'trac_gateway_logins_total{result="ok"} 1')
  t.match(text, /trac_gateway_decisions_total\{route="trac:wiki",result="allow",mode="enforce"\}/)
  t.match(text, /trac_gateway_jwks_fetches_total\{result="ok"\} 1/)
  t.match(text, /trac_gateway_jwks_age_seconds [0-9.]+/)
  t.match(text, /trac_gateway_build_info\{version="[0-9.]+",node="v/)
  t.match(text, /process_cpu_seconds_total|nodejs_heap/)
  for (const word of ['Page1', 'no-such-place', 'agent-', ivan.username, 'PROPFIND', '127.0.0.1']) {
    t.notMatch(text, word, `${word} is in no label`)
  }
})
