/** Sessions in a real Redis: two replicas act as one, and Redis lost is trouble for a while, never a lost session. */
import { t } from '../fixtures/tap.js'
import { secretOf } from '../fixtures/config.js'
import type { Test } from 'tap'
import { createCertificate } from '../fixtures/certificate.js'
import { startBalancer } from '../fixtures/balancer.js'
import type { StatusReport } from '../../src/app/status/report.js'
import { startTestGateway } from '../fixtures/gateway.js'
import type { Overlay, TestGateway } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { startCluster, startRedis, startSentinels } from '../fixtures/redis.js'
import type { RedisServer } from '../fixtures/redis.js'
import { tokensBy } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'

t.setTimeout(600_000)

const minute = 60_000
const { upstream } = await stage(t, { upstream: true, gateway: false })

/** Replicas behind a balancer, with a provider that rotates refresh tokens and forgives nothing. */
async function startReplicas(
  t: Test,
  url: string,
  more: { overlay?: Overlay; authority?: string } = {},
) {
  const { provider, tokens, clock, settings } = await stage(t, {
    provider: 'scripted',
    tokens: { rotates: true },
    upstream,
    api: upstream,
    gateway: false,
  })
  const { authority } = more
  const balancer = await startBalancer(t)
  const env = { REDIS_URL: url, ...(authority === undefined ? {} : { REDIS_CA: authority }) }
  const start = async (): Promise<TestGateway> => {
    const port = await freePort()
    const gateway = await startTestGateway({
      ...settings,
      port,
      env,
      overlay: {
        ...more.overlay,
        server: { publicUrl: `http://localhost:${balancer.port}/trac` },
        session: {
          store: 'redis',
          replicas: 'many',
          redis: {
            url: { fromEnv: 'REDIS_URL' },
            ...(authority === undefined ? {} : { authority: { fromEnv: 'REDIS_CA' } }),
          },
          idleTimeout: '2h',
        },
      },
    })
    t.teardown(() => gateway.close())
    await until(() => gateway.gateway.readiness.report().ready, 'the gateway is ready')
    return gateway
  }
  const a = await start()
  const b = await start()
  balancer.targets = [a.port, b.port]
  const base = `http://localhost:${balancer.port}/trac`
  return {
    clock,
    provider,
    /** What the token endpoint usually answers. */
    tokens,
    a,
    b,
    base,
    name: a.gateway.services.names.session,
    use: (...gateways: TestGateway[]) => (balancer.targets = gateways.map(({ port }) => port)),
    exchanges: () =>
      provider.received.token.filter(({ form }) => form.get('grant_type') === 'refresh_token')
        .length,
    async signIn() {
      const visitor = new Visitor()
      t.equal((await visitor.follow(`${base}/auth/login`)).status, 200)
      return visitor
    },
    statusOf: async (visitor: Visitor) => (await visitor.fetch(`${base}/auth/session`)).status,
  }
}

/**
 * Lets the second pass within which every replica knows of a sign-out (deploy/docs/guides/redis.md), by the machine's clock, which counts
 * for that alone. With the gateways' clock stopped, no copy in memory grows old enough to be looked up again.
 */
const passMostLag = async (): Promise<void> => {
  const from = performance.now()
  await until(() => performance.now() - from > 1000, 'a second')
}

const handleOf = (visitor: Visitor, base: string, name: string) =>
  visitor.cookies(base).get(name) ?? ''

/** Whether a replica says that Redis is missing; what else it says is another test's. */
const isWithoutStore = ({ gateway }: TestGateway): boolean =>
  gateway.readiness.report().degraded.some((part) => part.includes('store'))

await t.test(
  'every form of address works: one server, TLS with ACL, a cluster, sentinels',
  async (t) => {
    const tls = createCertificate(['localhost'])
    const user = {
      name: 'trac-gateway',
      password: 'p@ss:w/rd',
      rules: '~trac-gateway:* &trac-gateway:* +@all -@dangerous -@admin +info',
    }
    const forms: [string, () => Promise<{ url: string; authority?: string }>][] = [
      ['one server', async () => startRedis(t)],
      ['another database', async () => ({ url: `${(await startRedis(t)).url}/3` })],
      [
        'TLS and ACL',
        async () => ({ url: (await startRedis(t, { tls, user })).url, authority: tls.certificate }),
      ],
      ['a cluster', async () => startCluster(t)],
      ['sentinels', async () => startSentinels(t)],
    ]
    for (const [form, begin] of forms) {
      const { url, authority } = await begin()
      await t.test(form, async (t) => {
        const set = await startReplicas(t, url, authority === undefined ? {} : { authority })
        const visitor = await set.signIn()
        for (const gateway of [set.a, set.b]) {
          set.use(gateway)
          t.equal(await set.statusOf(visitor), 200)
        }
        set.clock.advance(50 * minute)
        set.use(set.a, set.b)
        const answers = await Promise.all(
          Array.from({ length: 8 }, () => visitor.copy().fetch(`${set.base}/api/x`)),
        )
        t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
        t.equal(set.exchanges(), 1)
        set.use(set.a)
        await visitor.submit(`${set.base}/auth/logout`)
        set.use(set.b)
        t.not(await set.statusOf(visitor.copy()), 200)
      })
    }
  },
)

await t.test('what stands in Redis gives nobody a session, and ends by itself', async (t) => {
  const redis = await startRedis(t)
  const { base, name, signIn, statusOf, clock } = await startReplicas(t, redis.url)
  const visitor = await signIn()
  const other = await signIn()
  const handle = handleOf(visitor, base, name)
  t.match(handle, /^[\w-]{43}$/, 'the cookie is a handle of 256 bits')
  const keys = await redis.client.keys('*')
  t.ok(keys.length > 0)
  const texts: string[] = []
  for (const key of keys) {
    t.match(key, /^trac-gateway:tg-[0-9a-f]{8}:/, 'named after this gateway')
    t.ok((await redis.client.pttl(key)) > 0, `${key} expires`)
    if ((await redis.client.type(key)) === 'hash') {
      texts.push(JSON.stringify(await redis.client.hgetall(key)))
    }
  }
  const all = keys.join() + texts.join()
  for (const secret of [handle, 'refresh', 'pat@example.edu', 'students']) {
    t.notMatch(all, secret, `${secret.slice(0, 8)} is not to be read`)
  }
  const sessions = keys.filter((key) => key.includes(':session:'))
  t.equal(sessions.length, 2)
  // Who can write there still can't make one handle lead to another's session.
  const [first, second] = await Promise.all(sessions.map((key) => redis.client.hget(key, 'd')))
  await redis.client.hset(sessions[0]!, 'd', second!)
  await redis.client.hset(sessions[1]!, 'd', first!)
  clock.advance(6000)
  t.equal(await statusOf(visitor), 401)
  t.equal(await statusOf(other), 401)
})

/** For tests that leave Redis and both replicas as they were, but for sessions and time that has passed. */
const redisForAll = await startRedis(t)
const forAll = await startReplicas(t, redisForAll.url)

await t.test('a handle of another form is not even looked for', async (t) => {
  const redis = redisForAll
  const { base, name } = forAll
  const before = Number(
    /cmdstat_hget:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ?? 0,
  )
  for (const value of [
    '%s%n',
    '*',
    'x'.repeat(42),
    'x'.repeat(44),
    `${'x'.repeat(42)}\t`,
    'a.b.c.d.e',
  ]) {
    const answer = await new Visitor().fetch(`${base}/auth/session`, { cookie: `${name}=${value}` })
    t.equal(answer.status, 401)
    t.match(answer.setCookies[0], new RegExp(`^${name}=; .*Max-Age=0`))
  }
  const after = Number(
    /cmdstat_hget:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ?? 0,
  )
  t.equal(after, before)
  const unknown = await new Visitor().fetch(`${base}/auth/session`, {
    cookie: `${name}=${'x'.repeat(43)}`,
  })
  t.equal(unknown.status, 401)
})

await t.test(
  'signed out on one replica is signed out on all, without a look into the past',
  async (t) => {
    const redis = await startRedis(t)
    const { base, a, b, use, signIn, statusOf, provider, clock } = await startReplicas(t, redis.url)
    const visitor = await signIn()
    const access = provider.sign('access', { origin_jti: 'origin-1' })
    const bearer = async () =>
      (
        await new Visitor().fetch(`${base}/auth/session`, {
          headers: { authorization: `Bearer ${access}` },
        })
      ).status
    for (const one of [a, b]) {
      use(one)
      t.equal(await statusOf(visitor), 200)
      t.equal(await bearer(), 200)
    }
    use(a)
    const old = visitor.copy()
    clock.stop()
    await visitor.submit(`${base}/auth/logout`)
    await passMostLag()
    use(b)
    t.equal(await statusOf(old), 401, 'the other replica knows')
    t.equal(await bearer(), 401, 'of its Bearer tokens, too')
    const page = await fetch(a.adminUrl, { headers: { accept: 'application/json' } })
    const status = (await page.json()) as StatusReport
    t.match(status, { sessions: { store: 'redis' }, revocations: { in: 'redis' } })
    t.ok(status.revocations.kept > 0, 'and the status page says where that is kept')
  },
)

await t.test('revoke reaches every replica, and says that it lasts', async (t) => {
  const redis = await startRedis(t)
  const overlay = { admin: { token: { fromEnv: 'SIGNING' } } }
  const { a, b, use, signIn, statusOf, clock } = await startReplicas(t, redis.url, { overlay })
  const visitor = await signIn()
  use(b)
  t.equal(await statusOf(visitor), 200)
  clock.stop()
  const revoked = await fetch(`${a.adminUrl}/revoke`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secretOf('k')}` },
    body: JSON.stringify({ user: '6f0c1d2e-0000-4000-8000-000000000001' }),
  })
  t.match(await revoked.json(), { durable: true })
  await passMostLag()
  t.equal(await statusOf(visitor), 401, 'the session ended')
})

await t.test(
  'a renewal that the provider refuses for good ends the session everywhere',
  async (t) => {
    const redis = await startRedis(t)
    const { a, b, use, signIn, statusOf, provider, clock } = await startReplicas(t, redis.url)
    const visitor = await signIn()
    use(b)
    t.equal(await statusOf(visitor), 200)
    provider.replace('token', () => ({ status: 400, body: { error: 'invalid_grant' } }))
    clock.advance(50 * minute)
    use(a)
    t.equal(await statusOf(visitor.copy()), 401)
    use(b)
    t.equal(await statusOf(visitor.copy()), 401)
    t.same(await redis.client.keys('*:session:*'), [])
  },
)

await t.test('a callback that comes twice, to two replicas, is one sign-in', async (t) => {
  const redis = redisForAll
  const { base, a, b, use, provider, name, statusOf } = forAll
  const visitor = new Visitor()
  const there = await visitor.open(`${base}/auth/login?return_to=/trac/wiki`)
  const back = await visitor.open(there.location)
  const before = provider.counts.token
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  provider.replace('token', async (request) => {
    await held
    return forAll.tokens(request)
  })
  t.teardown(() => provider.replace('token', forAll.tokens))
  use(a)
  const first = visitor.copy().open(back.location)
  await until(() => provider.counts.token === before + 1, 'the code is being redeemed')
  use(b)
  const second = visitor.copy().open(back.location)
  release()
  const answers = await Promise.all([first, second])
  use(a)
  answers.push(await visitor.copy().open(back.location))
  t.same(
    answers.map(({ status, location }) => [status, location]),
    Array.from({ length: 3 }, () => [303, `${base}/wiki`]),
  )
  t.equal(provider.counts.token, before + 1)
  const handles = answers.map(
    ({ setCookies }) => setCookies.find((line) => line.startsWith(`${name}=`))?.split(';', 1)[0],
  )
  t.equal(new Set(handles).size, 1)
  visitor.cookies(base).set(name, handles[0]!.slice(name.length + 1))
  t.equal(await statusOf(visitor), 200)
  const keys = await redis.client.keys('*')
  const texts = await Promise.all(
    keys.filter((key) => key.includes(':begun:')).map((key) => redis.client.get(key)),
  )
  t.equal(texts.length, 1)
  t.notMatch(texts.join(), handles[0]!.slice(name.length + 1), 'what is kept of it is sealed')
})

await t.test('the cookie of a used attempt is refused by every replica', async (t) => {
  const { base, a, b, use, provider } = forAll
  const begin = async () => {
    const visitor = new Visitor()
    const there = await visitor.open(`${base}/auth/login`)
    return { visitor, back: new URL((await visitor.open(there.location)).location) }
  }
  const [victim, attacker] = [await begin(), await begin()]
  const kept = victim.visitor.copy()
  use(a)
  t.equal((await victim.visitor.open(victim.back)).status, 303)
  victim.back.searchParams.set('code', attacker.back.searchParams.get('code')!)
  const before = provider.counts.token
  for (const replica of [a, b]) {
    use(replica)
    t.equal((await kept.copy().open(victim.back)).status, 400)
  }
  t.equal(provider.counts.token, before, 'without asking the provider')
})

await t.test('a callback that met a Redis which was down works once that is back', async (t) => {
  const redis = await startRedis(t)
  const { base, a, use, provider } = await startReplicas(t, redis.url)
  use(a)
  const begin = async () => {
    const visitor = new Visitor()
    const there = await visitor.open(`${base}/auth/login`)
    return { visitor, back: (await visitor.open(there.location)).location }
  }
  const early = await begin()
  const late = await begin()
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  const before = provider.counts.token
  const tokens = tokensBy(provider, Date.now, {})
  provider.replace('token', async (request) => {
    await held
    return tokens(request)
  })
  const running = late.visitor.copy().open(late.back)
  await until(() => provider.counts.token === before + 1, 'the code is being redeemed')
  await redis.stop()
  release()
  t.equal((await running).status, 503, 'Redis went away after the code was redeemed')
  t.equal((await early.visitor.copy().open(early.back)).status, 503, 'or before')
  await redis.start()
  await until(() => !isWithoutStore(a), 'Redis is back')
  t.equal((await late.visitor.open(late.back)).status, 303)
  t.equal((await early.visitor.open(early.back)).status, 303)
  t.equal(provider.counts.token, before + 2, 'each code was redeemed once')
})

await t.test('idleness is counted over all replicas', async (t) => {
  const { a, b, use, signIn, statusOf, clock } = forAll
  const visitor = await signIn()
  for (let i = 0; i < 3; i++) {
    use(i % 2 === 0 ? a : b)
    clock.advance(80 * minute)
    t.equal(await statusOf(visitor), 200, 'used every 80 minutes it lives on')
  }
  clock.advance(121 * minute)
  t.equal(await statusOf(visitor), 401)
})

const outages: [
  string,
  (redis: RedisServer) => Promise<void> | void,
  (redis: RedisServer) => Promise<void> | void,
][] = [
  ['stopped', (redis) => redis.stop(), (redis) => redis.start()],
  ['frozen', (redis) => redis.freeze(), (redis) => redis.thaw()],
]
for (const [how, lose, restore] of outages) {
  await t.test(
    `while Redis is ${how}, cookie users wait, Bearer users don’t, nobody is lost`,
    async (t) => {
      const redis = await startRedis(t)
      const { base, a, signIn, statusOf, provider, name } = await startReplicas(t, redis.url)
      const visitor = await signIn()
      t.equal(await statusOf(visitor), 200)
      await lose(redis)
      const statuses = () => Promise.all([1, 2, 3, 4].map(() => statusOf(visitor)))
      await until(async () => (await statuses()).every((status) => status === 503), 'both say 503')
      const page = await visitor.open(`${base}/wiki`)
      t.equal(page.status, 503)
      t.match(page.headers['retry-after'], /^\d+$/)
      t.match(page.headers['content-type'], 'text/html')
      t.same(page.setCookies, [], 'the cookie stays')
      t.ok(handleOf(visitor, base, name))
      const headers = { authorization: `Bearer ${provider.sign('access', {})}` }
      t.equal((await new Visitor().fetch(`${base}/api/x`, { headers })).status, 200)
      t.equal((await new Visitor().open(`${base}/wiki`)).status, 200, 'anonymous visitors, too')
      const signing = await new Visitor().follow(`${base}/auth/login`)
      t.equal(signing.status, 503, 'a sign-in ends in a page that says so')
      const ready = await fetch(`${a.adminUrl}/readyz`)
      t.equal(ready.status, 200)
      const { degraded } = (await ready.json()) as { degraded: string[] }
      t.ok(degraded.some((part) => part.includes('store')))
      await restore(redis)
      await until(async () => (await statuses()).every((status) => status === 200), 'both recover')
      // One that still has the session in memory answers before it has looked at the list of sign-outs.
      const isWhole = () => !isWithoutStore(a)
      await until(isWhole, 'and say that nothing is missing')
    },
  )
}

await t.test('a connection that was closed for idleness is no missing session', async (t) => {
  const redis = redisForAll
  const { base, signIn, statusOf, clock, name } = forAll
  const visitor = await signIn()
  for (let i = 0; i < 5; i++) {
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    clock.advance(6000)
    t.equal(await statusOf(visitor), 200)
  }
  t.ok(handleOf(visitor, base, name))
})

await t.test(
  'a process whose Redis is absent at the start runs, and is ready when Redis comes',
  async (t) => {
    const redis = await startRedis(t)
    await redis.stop()
    const { gateway } = await stage(t, {
      provider: 'scripted',
      upstream,
      env: { REDIS_URL: redis.url },
      overlay: { session: { store: 'redis', redis: { url: { fromEnv: 'REDIS_URL' } } } },
    })
    const { readiness } = gateway.gateway
    await until(() => readiness.report().waiting.join() === 'store', 'all but the store is there')
    t.equal((await fetch(`${gateway.adminUrl}/readyz`)).status, 503)
    t.equal((await fetch(`${gateway.url}/auth/healthz`)).status, 200)
    await redis.start()
    await until(() => readiness.report().ready, 'ready by itself')
  },
)

await t.test('a failover keeps sessions and what was ended', async (t) => {
  const { url, master, failOver } = await startSentinels(t)
  const { base, signIn, statusOf } = await startReplicas(t, url)
  const stays = await signIn()
  const leaves = await signIn()
  const old = leaves.copy()
  await leaves.submit(`${base}/auth/logout`)
  t.equal(await statusOf(stays), 200)
  // A replica follows a moment behind: what it had not heard when the master died, nobody has.
  t.equal(await master.client.wait(1, 5000), 1)
  await master.stop()
  const statuses = () => Promise.all([1, 2, 3, 4].map(() => statusOf(stays)))
  const are = async (wanted: number) => (await statuses()).every((status) => status === wanted)
  await until(() => are(503), 'both miss the master')
  await failOver()
  await until(() => are(200), 'the replica took over')
  t.equal(await statusOf(old), 401)
  t.equal(await statusOf(await signIn()), 200, 'and people sign in')
})

await t.test('limits are counted for all replicas together', async (t) => {
  const redis = await startRedis(t)
  const overlay = {
    routes: [
      {
        name: 'api',
        path: '/api/**',
        upstream: 'api',
        rateLimit: { max: 10, per: '1h', by: 'principal' },
      },
    ],
    rateLimit: { auth: { max: 30, per: '1h' } },
  }
  const { base, provider, clock } = await startReplicas(t, redis.url, { overlay })
  t.ok(clock())
  const headers = { authorization: `Bearer ${provider.sign('access', {})}` }
  const statuses: number[] = []
  for (let i = 0; i < 14; i++) {
    statuses.push((await new Visitor().fetch(`${base}/api/x`, { headers })).status)
  }
  t.same(statuses, [...Array<number>(10).fill(200), ...Array<number>(4).fill(429)])
  const logins: number[] = []
  for (let i = 0; i < 32; i++) {
    logins.push((await new Visitor().open(`${base}/auth/login`)).status)
  }
  t.same(logins, [...Array<number>(30).fill(302), 429, 429], 'and not mixed with the others')
  const named =
    /^trac-gateway:tg-[0-9a-f]{8}:limit:(address|principal|failures|route:api):[\w-]{43}$/
  const keys = await redis.client.keys('*limit*')
  t.equal(keys.length, 2)
  for (const key of keys) {
    t.match(key, named, 'named by what it counts, and whom is a hash')
    const life = await redis.client.pttl(key)
    t.ok(life > 0 && life <= 60 * minute)
  }
})
