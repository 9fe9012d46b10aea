/** Many environments below one base path: who may do what in each, sign-in, the list, the upstreams, metrics. */
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import { ask, codeOf } from '../fixtures/wire.js'

const physics = await stage(t, { upstream: true, gateway: false })
const s = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: 'own',
  overlay: {
    permissions: { anonymous: [], authenticated: [], fromClaims: 'none' },
    environments: {
      math: {
        title: 'Mathematics & more',
        permissions: {
          groups: { instructors: ['TRAC_ADMIN'], readers: ['WIKI_VIEW'] },
          anonymous: ['WIKI_VIEW'],
        },
      },
      physics: { upstream: 'physics', permissions: { groups: { students: [] } } },
      'course-*': { permissions: { groups: { students: ['WIKI_VIEW'], instructors: [] } } },
    },
    upstreams: {
      physics: {
        url: physics.upstream.url,
        signingKeys: [{ id: 'p1', secret: { fromEnv: 'PHYSICS' } }],
      },
    },
    routes: [
      { name: 'api', path: '/api/**', upstream: 'api', access: 'optional' },
      { name: 'closed', path: '/physics/wiki/Closed/**', access: 'deny' },
      { name: 'open', path: '/math/open/**', access: 'public' },
    ],
  },
  env: { PHYSICS: 'a-secret-of-physics-with-32-bytes-or-more' },
})
const { alice, ivan, sam } = s
const json = 'Accept: application/json'

/** What Trac was told of a person's rights by the last request. */
const told = (upstream = s.upstream) => upstream.lastHeaders()['x-trac-perms']?.split(',') ?? []

await t.test(
  'a group has in each environment what stands there for it, else the common',
  async (t) => {
    const bearer = await s.bearerOf(ivan)
    const reach = async (path: string) => (await ask(s, `GET /trac${path}`, [bearer])).status
    t.equal(await reach('/math/wiki'), 200)
    t.ok(told().includes('TRAC_ADMIN'))
    t.equal(await reach('/physics/wiki'), 200, 'what the common rules give')
    t.ok(told(physics.upstream).includes('WIKI_MODIFY'))
    t.notOk(told(physics.upstream).includes('TRAC_ADMIN'))
    t.equal(await reach('/course-1/wiki'), 403, 'what is taken away')
    t.equal(await reach('/math/admin'), 200)
    t.equal(await reach('/physics/admin'), 403)
  },
)

await t.test('by session it is the same, and a whole sign-in serves for all', async (t) => {
  const visitor = await s.signIn(sam)
  t.equal((await visitor.open(`${s.url}/math/wiki`)).status, 200)
  t.ok(told().includes('TICKET_CREATE'), 'the common ones')
  t.equal((await visitor.open(`${s.url}/course-7/wiki`)).status, 200)
  t.same(told(), ['WIKI_VIEW'])
  t.equal((await visitor.open(`${s.url}/course-7/ticket/1`)).status, 403)
  const refused = await visitor.open(`${s.url}/physics/wiki`)
  t.equal(refused.status, 403)
})

await t.test(
  'nobody has what the environment gives to everybody, also on public rows',
  async (t) => {
    const before = s.upstream.received.length
    t.equal((await ask(s, 'GET /trac/math/wiki')).status, 200)
    t.same(told(), ['WIKI_VIEW'])
    t.equal((await ask(s, 'GET /trac/math/open/door')).status, 200)
    t.same(told(), ['WIKI_VIEW'])
    t.equal((await ask(s, 'GET /trac/course-1/wiki')).status, 401)
    t.equal(s.upstream.received.length, before + 2)
  },
)

await t.test('what is not named is 404, whoever asks and by whatever spelling', async (t) => {
  const before = s.upstream.received.length
  const bearer = await s.bearerOf(alice)
  const paths = ['/history/wiki', '/wiki', '/ticket/1', '/Math/wiki', '/math%2e/wiki', '/course-']
  for (const path of [...paths, '/course-%25/wiki', '/*/wiki', '/%2a/wiki', '/course-*/wiki']) {
    const answer = await ask(s, `GET /trac${path}`, [bearer])
    t.equal(answer.status, 404, path)
    t.equal(codeOf(answer), 'ERR_ROUTE_UNKNOWN', path)
  }
  t.equal(s.upstream.received.length, before)
})

await t.test('pages of plugins stay closed, and the rows for Trac are judged within', async (t) => {
  const admin = await s.bearerOf(alice)
  const status = async (line: string) => (await ask(s, line, [admin])).status
  t.equal(await status('GET /trac/math/some-plugin'), 404)
  t.equal(await status('DELETE /trac/math/wiki'), 405)
  t.equal(await status('GET /trac/math/register'), 403)
  t.equal(await status('GET /trac/physics/wiki/Closed/x'), 403)
  t.equal(await status('GET /trac/math/ticket/1?edit_comment=1'), 403)
  t.equal(await status('GET /trac/math/milestone/TCP%5CIP'), 200, 'a name with a backslash')
  const moved = await ask(s, 'GET /trac/math/wiki?page=Some%20Page&version=2', [admin])
  t.equal(moved.status, 302)
  t.equal(moved.header('location'), '/trac/math/wiki/Some%20Page?version=2')
  t.equal(await status('GET /trac/math/intertrac/?link=http://evil.example/'), 403)
  t.equal(await status('GET /trac/math'), 200, 'its start page')
  t.equal(await status('GET /trac/math/'), 200)
})

await t.test('a row for another upstream has the common permissions', async (t) => {
  const answer = await ask(s, 'GET /trac/api/x', [await s.bearerOf(ivan)])
  t.equal(answer.status, 200)
  const perms = s.api.lastHeaders()['x-trac-perms'] ?? ''
  t.match(perms, 'WIKI_MODIFY')
  t.notMatch(perms, 'TRAC_ADMIN')
})

await t.test('sign-in leads to the provider and back to the environment', async (t) => {
  const visitor = new Visitor()
  const toLogin = await visitor.open(`${s.url}/course-1/wiki/Page?version=1`)
  t.equal(toLogin.status, 302)
  const { searchParams } = new URL(toLogin.location)
  t.equal(searchParams.get('return_to'), '/trac/course-1/wiki/Page?version=1')
  const asked = async (path: string, headers = {}) =>
    new URL((await new Visitor().open(s.url + path, { headers })).location).searchParams.get(
      'return_to',
    )
  t.equal(await asked('/math/login'), '/trac/math/')
  t.equal(await asked('/math/login/', { referer: `${s.url}/math/ticket/1` }), '/trac/math/ticket/1')
  t.equal(await asked('/math/login?referer=/trac/math/timeline'), '/trac/math/timeline')
  t.equal(await asked('/login'), '/trac/')
  for (const loop of ['login', 'logout', 'intertrac']) {
    t.equal(await asked(`/math/login?referer=/trac/math/${loop}`), '/trac/math/', loop)
  }
  const back = await visitor.signIn(`${s.url}/math/login`, alice)
  t.equal(back.url.href, `${s.url}/math/`)
  t.equal((await visitor.open(`${s.url}/physics/wiki`)).status, 200)
  t.equal((await visitor.open(`${s.url}/history/login`)).status, 404)
})

await t.test('signing out in one environment signs out of all', async (t) => {
  const visitor = await s.signIn(sam)
  const before = visitor.copy()
  t.match((await visitor.open(`${s.url}/math/logout`)).text, 'Sign out?')
  t.equal((await visitor.submit(`${s.url}/math/logout`)).status, 303)
  t.equal((await before.open(`${s.url}/course-1/wiki`)).status, 302)
})

await t.test('/auth/session tells what one may do in an environment', async (t) => {
  const bearer = await s.bearerOf(ivan)
  const ask1 = (query: string) => ask(s, `GET /trac/auth/session${query}`, [bearer, json])
  t.notMatch((await ask1('')).body, 'TRAC_ADMIN')
  const math = JSON.parse((await ask1('?environment=math')).body) as Record<string, unknown>
  t.match(math, { environment: 'math', user: 'ivan' })
  t.match(
    JSON.stringify(math['permissions']),
    '{"action":"TRAC_ADMIN","from":["group:instructors"]}',
  )
  t.equal((await ask1('?environment=history')).status, 404)
  t.equal((await ask1('?environment=')).status, 404)
  const page = await (await s.signIn(ivan)).open(`${s.url}/auth/session?environment=math`)
  t.match(page.text, '<dt>Environment</dt><dd>math</dd>')
})

await t.test('the list at the base path has what the visitor may enter', async (t) => {
  const names = async (headers: readonly string[]) => {
    const { body } = await ask(s, 'GET /trac/', [json, ...headers])
    const { environments } = JSON.parse(body) as { environments: { name: string }[] }
    return environments.map(({ name }) => name)
  }
  t.same(await names([]), ['math'])
  t.same(await names([await s.bearerOf(sam)]), ['math'])
  t.same(await names([await s.bearerOf(alice)]), ['math', 'physics'])
  t.equal((await ask(s, 'GET /trac/', [json, 'Authorization: Bearer x.y.z'])).status, 401)
  const page = await new Visitor().open(`${s.url}/`)
  t.equal(page.status, 200)
  t.match(page.text, '<li><a href="/trac/math/">Mathematics &amp; more</a></li>')
  t.match(page.text, '<a href="/trac/auth/login?return_to=%2Ftrac%2F">Sign in</a>')
  t.notMatch(page.text, /physics|<script/)
  const german = { 'accept-language': 'de' }
  const own = await (await s.signIn(alice)).open(s.url, { headers: german })
  t.match(own.text, 'Diese Projekte stehen Ihnen offen.')
  t.match(own.text, '<a href="/trac/physics/">physics</a>')
  t.match(own.text, 'action="/trac/auth/logout"')
  t.equal((await ask(s, 'POST /trac/', ['Content-Length: 0'])).status, 405)
})

await t.test('names that somebody makes up add no series', async (t) => {
  const metrics = () => s.gateway.metrics()
  const before = await metrics()
  t.match(before, 'trac_gateway_environment_requests_total{environment="math",status="200"}')
  t.match(before, 'environment="course-*"')
  const bearer = await s.bearerOf(sam)
  const known = (await metrics()).split('\n').length
  for (let i = 0; i < 150; i++) await ask(s, `GET /trac/course-${i}x/wiki`, [bearer])
  for (let i = 0; i < 150; i++) await ask(s, `GET /trac/made-up-${i}/wiki`, [bearer])
  const after = await metrics()
  t.notMatch(after, /made-up|course-1/)
  t.ok(after.split('\n').length - known < 60, 'one line more for a status at most')
})

await t.test('/readyz waits for each Trac, and names one that is lost', async (t) => {
  const ready = async () =>
    (await (await fetch(`${s.gateway.adminUrl}/readyz`)).json()) as {
      ready: boolean
      degraded?: string[]
    }
  await until(async () => (await ready()).ready)
  await physics.upstream.close()
  t.equal((await ask(s, 'GET /trac/physics/wiki', [await s.bearerOf(ivan)])).status, 502)
  t.equal((await ask(s, 'GET /trac/math/wiki')).status, 200)
  t.match((await ready()).degraded?.join(' '), 'upstream physics')
})

const shadow = await stage(t, {
  provider: s.provider,
  upstream: s.upstream,
  overlay: {
    mode: 'shadow',
    server: { forwardAuth: 'nginx', trustedProxies: ['127.0.0.1'] },
    permissions: { anonymous: ['WIKI_VIEW'], authenticated: [], fromClaims: 'all' },
    environments: {
      math: { permissions: { anonymous: [], fromClaims: 'none' } },
      physics: {},
    },
  },
})

await t.test('in shadow mode all environments are open, and no other one', async (t) => {
  t.equal((await ask(shadow, 'GET /trac/math/wiki')).status, 200)
  t.same(told(), [''], 'with the rights of nobody there')
  t.equal((await ask(shadow, 'GET /trac/physics/no-such-page')).status, 200)
  t.equal((await ask(shadow, 'GET /trac/history/wiki')).status, 404)
  t.equal((await ask(shadow, 'GET /trac/wiki')).status, 404)
  const { body } = await ask(shadow, 'GET /trac/', [json])
  t.match(body, '"name":"math"')
})

await t.test('what a claim may add is said for each environment', async (t) => {
  const token = await s.provider.mint({ trac_permissions: ['TICKET_ADMIN'] }, { person: ivan })
  const bearer = `Authorization: Bearer ${token}`
  t.equal((await ask(shadow, 'GET /trac/physics/wiki', [bearer])).status, 200)
  t.ok(told().includes('TICKET_ADMIN'))
  t.equal((await ask(shadow, 'GET /trac/math/wiki', [bearer])).status, 200)
  t.notOk(told().includes('TICKET_ADMIN'))
})

await t.test('/auth/verify tells a front proxy of the rights in the environment', async (t) => {
  const verify = async (path: string, more: readonly string[] = []) =>
    ask(shadow, 'GET /trac/auth/verify', [
      'X-Forwarded-Method: GET',
      `X-Forwarded-Uri: ${path}`,
      `X-Forwarded-Host: localhost:${shadow.port}`,
      'X-Forwarded-Proto: http',
      ...more,
    ])
  t.equal((await verify('/trac/physics/wiki')).header('x-trac-perms'), 'WIKI_VIEW')
  t.equal((await verify('/trac/math/wiki')).header('x-trac-perms'), '')
  const bearer = await shadow.bearerOf(ivan)
  t.match((await verify('/trac/math/wiki', [bearer])).header('x-trac-perms'), 'WIKI_MODIFY')
  t.equal((await verify('/trac/history/wiki', [bearer])).status, 403)
})

await t.test('legacyAuth leaves the sign-in of each environment to Trac', async (t) => {
  const moving = await stage(t, {
    provider: s.provider,
    upstream: s.upstream,
    overlay: { upstreams: { trac: { legacyAuth: true } }, environments: { math: {} } },
  })
  const basic = `Authorization: Basic ${Buffer.from('carl:secret').toString('base64')}`
  t.equal((await ask(moving, 'GET /trac/math/login', [basic])).status, 200)
  t.equal(s.upstream.lastHeaders()['authorization'], basic.replace('Authorization: ', ''))
  t.match(s.upstream.lastHeaders(), { 'x-trac-kind': 'legacy', 'x-trac-perms': undefined })
  t.equal((await ask(moving, 'GET /trac/history/login', [basic])).status, 404)
  const known = await ask(moving, 'GET /trac/math/login', [await moving.bearerOf(ivan)])
  t.equal(known.header('location'), '/trac/auth/login?return_to=%2Ftrac%2Fmath%2F')
})
