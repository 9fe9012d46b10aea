/** Nobody is locked out by having left: a new sign-in is later than any sign-out, and what was ended stays ended. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { startBalancer } from '../fixtures/balancer.js'
import { secrets } from '../fixtures/config.js'
import { startTestGateway } from '../fixtures/gateway.js'
import type { Overlay, TestGateway } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { startRedis } from '../fixtures/redis.js'
import { changedTokens } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import type { Claims } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'

const { provider, upstream } = await stage(t, {
  provider: 'scripted',
  providerOptions: { dialect: 'standard', path: '' },
  upstream: true,
  gateway: false,
})
provider.replace('discovery', (request) => ({
  body: {
    ...(provider.usual('discovery', request).body as object),
    end_session_endpoint: `${provider.origin}/end`,
  },
}))

/** What the provider's own session puts into the tokens of every sign-in, while it lives. */
let common: Claims = {}
let serial = 0
const isCallback = (url: URL): boolean => url.pathname.endsWith('/callback')
/** The tokens of the last sign-in. */
let last = { id_token: '', access_token: '' }
provider.replace('token', (request) =>
  changedTokens(provider, request, ({ nonce }) => {
    const claims = () => ({ jti: `jti-${++serial}`, auth_time: undefined, ...common })
    last = {
      id_token: provider.sign('id', { nonce, ...claims() }),
      access_token: provider.sign('access', claims()),
    }
    return { ...last, refresh_token: `refresh-${++serial}` }
  }),
)

const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const redis = await startRedis(t)
const env = { REDIS_URL: redis.url }
let files = 0
const stores: Record<string, () => Overlay> = {
  memory: () => ({}),
  file: () => ({ revocationFile: join(folder, `revocations-${++files}`) }),
  redis: () => ({ store: 'redis', redis: { url: { fromEnv: 'REDIS_URL' } } }),
}

/** One address before two replicas with Redis, else before one process, which a file outlives. */
async function start(t: Test, store: string) {
  const balancer = await startBalancer(t)
  const base = `http://localhost:${balancer.port}/trac`
  const overlay = {
    server: { publicUrl: base },
    session: stores[store]!(),
    admin: { token: { fromEnv: 'SESSION' } },
  }
  const shared = { provider, upstream, api: upstream, gateway: false, overlay, env } as const
  const { settings } = await stage(t, shared)
  const open = async (): Promise<TestGateway> => {
    const started = await startTestGateway({ ...settings, port: await freePort() })
    t.teardown(() => started.close())
    await until(() => started.gateway.readiness.report().ready, 'it is ready')
    return started
  }
  let here = await open()
  const other = store === 'redis' ? await open() : undefined
  balancer.targets = [here.port]
  const bearer = (token: string) =>
    new Visitor().fetch(`${base}/api/x`, { headers: { authorization: `Bearer ${token}` } })
  return {
    base,
    name: here.gateway.services.names.session,
    /** Keys of sessions in Redis. */
    keys: () => redis.client.keys(`*:${here.gateway.services.names.stem}:session:*`),
    /** What follows is served by the other replica, or after a restart. */
    async moveOn(): Promise<void> {
      if (store === 'file') {
        await here.close()
        here = await open()
        balancer.targets = [here.port]
      } else if (other !== undefined) {
        balancer.targets = [balancer.targets[0] === here.port ? other.port : here.port]
      }
    },
    /** A browser that signed in, and its tokens. */
    async signIn(visitor = new Visitor()) {
      const page = await visitor.follow(`${base}/auth/login?return_to=/trac/wiki`)
      return { visitor, page, tokens: last }
    },
    isIn: async (visitor: Visitor) =>
      (await visitor.copy().fetch(`${base}/auth/session`)).status === 200,
    counts: async (token: string) => (await bearer(token)).status === 200,
    async revoke(user: string) {
      const answer = await fetch(`${here.adminUrl}/revoke`, {
        method: 'POST',
        body: JSON.stringify({ user }),
        headers: { authorization: `Bearer ${secrets.SESSION}` },
      })
      return (await answer.json()) as Record<string, unknown>
    },
    /** Until every replica knows what the others did, by the machine's clock. */
    async settle(): Promise<void> {
      const from = performance.now()
      if (store === 'redis') await until(() => performance.now() - from > 1000, 'a second')
    },
  }
}

/** What the provider may name a sign-in by; all of it stays the same while its own session lives. */
const combinations: readonly Claims[] = [
  {},
  { auth_time: 1_700_000_000 },
  { sid: 'sid-1' },
  { sid: 'sid-1', auth_time: 1_700_000_000 },
  { origin_jti: 'origin-1' },
  { origin_jti: 'origin-1', auth_time: 1_700_000_000 },
  { origin_jti: 'origin-1', sid: 'sid-1', auth_time: 1_700_000_000 },
]
const leave = (visitor: Visitor, base: string) => visitor.submit(`${base}/auth/logout`)

for (const store of Object.keys(stores)) {
  await t.test(store, async (t) => {
    const s = await start(t, store)
    const { base, name, signIn, isIn, counts, revoke, moveOn, settle } = s
    await t.test('who signs out can sign in again at once, at any provider', async (t) => {
      const cases = []
      for (const claims of combinations) {
        const what = JSON.stringify(Object.keys(claims))
        // Another person each time, so that no case helps another.
        common = { ...claims, sub: `sub-${++serial}`, sid: claims['sid'] && `sid-${serial}` }
        if ('origin_jti' in claims) common = { ...common, origin_jti: `origin-${serial}` }
        const first = await signIn()
        t.equal(first.page.status, 200, what)
        t.equal(await counts(first.tokens.id_token), true)
        const copy = first.visitor.copy()
        // The way to the provider's log-out is not finished.
        t.equal((await leave(first.visitor, base)).status, 303)
        t.notOk(first.visitor.cookies(base).has(name))
        cases.push({ what, copy, first, common })
      }
      await moveOn()
      for (const { what, copy, first, common: same } of cases) {
        common = same
        const second = await signIn(first.visitor)
        t.equal(second.page.status, 200, `${what}: ${second.page.text}`)
        t.equal(second.page.url.pathname, '/trac/wiki', what)
        t.equal(await isIn(second.visitor), true, what)
        t.equal(await isIn(copy), false, `${what}: the session that was left stays ended`)
        t.equal(await counts(first.tokens.id_token), false, `${what}: and so do its tokens`)
        const named = 'auth_time' in same || same['sid'] !== undefined
        if (same['origin_jti'] === undefined && named) {
          t.equal(await counts(second.tokens.id_token), true, `${what}: the new tokens count`)
          t.equal(await counts(second.tokens.access_token), true, what)
        }
        if (same['origin_jti'] !== undefined) {
          t.equal(await counts(second.tokens.id_token), false, `${what}: never by origin_jti`)
        }
      }
      await settle()
      for (const { what, first } of cases) t.equal(await isIn(first.visitor), true, what)
    })

    await t.test('two browsers in one second are two sign-ins', async (t) => {
      const second = Math.floor(Date.now() / 1000)
      for (const [one, other] of [
        [{}, {}],
        [{ auth_time: second }, { auth_time: second }],
        [
          { auth_time: second, sid: 'one' },
          { auth_time: second, sid: 'other' },
        ],
        [
          { auth_time: second, origin_jti: 'one' },
          { auth_time: second, origin_jti: 'other' },
        ],
      ] as const) {
        common = one
        const leaving = await signIn()
        common = other
        const staying = await signIn()
        // A log-out asks the provider for one more token of that sign-in.
        common = one
        await leave(leaving.visitor, base)
        t.equal(await isIn(staying.visitor), true, JSON.stringify(other))
        t.equal(await isIn(leaving.visitor), false)
        await settle()
        await moveOn()
        t.equal(await isIn(staying.visitor), true, JSON.stringify(other))
      }
    })

    await t.test('revoke ends what was, not what comes', async (t) => {
      for (const claims of [combinations[0]!, ...combinations.slice(-2)]) {
        const what = JSON.stringify(Object.keys(claims))
        const sub = `sub-${++serial}`
        common = { ...claims, sub }
        const browsers = [await signIn(), await signIn()]
        // Its clock is 25 seconds ahead, which is within the tolerance.
        const ahead = provider.sign('access', {
          ...common,
          iat: Math.floor(Date.now() / 1000) + 25,
        })
        t.equal(await counts(ahead), true)
        provider.counts.revoke = 0
        const keys = await s.keys()
        const answer = await revoke(sub.toUpperCase())
        t.match(answer, {
          durable: store !== 'memory',
          sessions: 2,
          foundIn: store === 'redis' ? 'redis' : 'memory',
          refreshTokens: { revoked: 2, failed: 0 },
          subjects: [{ issuer: provider.issuer, subject: sub }],
        })
        t.equal(provider.counts.revoke, 2, `${what}: the provider is told`)
        t.equal(await counts(ahead), false, what)
        const left = await s.keys()
        t.equal(keys.length - left.length, store === 'redis' ? 2 : 0, `${what}: no key is left`)
        await settle()
        await moveOn()
        for (const { visitor, tokens } of browsers) {
          t.equal(await isIn(visitor), false, what)
          t.equal(await counts(tokens.id_token), false, what)
        }
        const again = await signIn(browsers[0]!.visitor)
        t.equal(again.page.url.pathname, '/trac/wiki', what)
        t.equal(await isIn(again.visitor), true, what)
        t.equal(await counts(again.tokens.id_token), true, `${what}: a new sign-in lifts it`)
        t.equal(await isIn(browsers[1]!.visitor), false, what)
      }
      const nobody = await revoke('nobody-at-all')
      t.match(nobody, { sessions: 0, subjects: [], refreshTokens: { revoked: 0, failed: 0 } })
    })

    await t.test('an attempt that began before a sign-out ends nowhere', async (t) => {
      common = { sid: 'sid-before', sub: `sub-${++serial}` }
      const { visitor } = await signIn()
      const tab = visitor.copy()
      const begun = await tab.follow(`${base}/auth/login?prompt=login`, isCallback)
      await leave(visitor, base)
      await moveOn()
      const late = await tab.open(begun.location)
      t.equal(late.status, 401)
      t.match(late.text, 'ERR_TOKEN_REVOKED')
      t.equal(await isIn(tab), false)
      t.equal((await signIn(tab)).page.url.pathname, '/trac/wiki', 'the next one does')
    })
  })
}
