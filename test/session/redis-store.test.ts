/** Sessions over a real Redis, as processes without a common memory see them, in the moments that rarely come. */
import t from 'tap'
import type { Test } from 'tap'
import { startRedis } from '../fixtures/redis.js'
import { until } from '../fixtures/until.js'
import { GatewayError } from '../../src/core/errors.js'
import type { Principal, Profile } from '../../src/core/identity.js'
import { redisAddress } from '../../src/core/redis-address.js'
import { connectRedis } from '../../src/session/redis.js'
import { createSharedLog } from '../../src/session/redis-revocations.js'
import { createRedisStore } from '../../src/session/redis-store.js'
import { createRevocations } from '../../src/session/revocations.js'
import { createSealer } from '../../src/session/seal.js'
import { createSessionMemory } from '../../src/session/memory.js'
import { createSessions } from '../../src/session/sessions.js'
import type { Resolved, Sessions } from '../../src/session/sessions.js'
import type { OpenSession } from '../../src/session/session-cache.js'

t.setTimeout(600_000)

const minute = 60_000
const profile: Profile = {
  subject: 'sub-1',
  username: 'alice',
  email: undefined,
  emailVerified: false,
  name: undefined,
  groups: [],
  permissions: [],
}
const context = {
  secrets: ['s'.repeat(32)],
  publicUrl: 'https://trac.example.edu',
  issuer: 'https://idp.example.edu',
  clientId: 'trac',
}
const prefix = 'trac-gateway:test:'

/** A provider that rotates refresh tokens without grace, whose answers can be held back, and processes. */
async function stage(t: Test) {
  const redis = await startRedis(t)
  const state = { now: Date.now(), exchanges: 0, live: 'refresh-0', held: Promise.resolve() }
  const renew = async (refreshToken: string) => {
    state.exchanges++
    const number = state.exchanges
    await state.held
    if (refreshToken !== state.live) throw new GatewayError('ERR_REFRESH_REFUSED')
    state.live = `refresh-${number}`
    return {
      profile,
      ids: [`jti j${number}`, 'origin_jti o1'],
      refreshToken: state.live,
      accessToken: 'access',
      expiresAt: state.now + 60 * minute,
    }
  }
  const begin = (): Sessions => {
    const now = () => state.now
    const link = connectRedis({
      address: redisAddress.parse(redis.url)!,
      authority: undefined,
      prefix,
      onFault: () => undefined,
    })
    const life = 7 * 24 * 60 * minute
    const log = createSharedLog({ link, now, life, onState: () => undefined })
    t.teardown(() => {
      log.close()
      link.close()
    })
    const limits = { idleTimeout: 8 * 60 * minute, maxAge: life }
    const sealer = createSealer('session', context)
    return createSessions({
      ...limits,
      store: createRedisStore({ ...limits, link, sealer, now }),
      memory: createSessionMemory(now),
      revocations: createRevocations(now, life, log),
      toPrincipal: ({ username }) => ({ user: username }) as Principal,
      renew,
      now,
      random: () => 0.5,
      issuer: context.issuer,
      renewAt: 0.75,
      keepAccessToken: false,
      onRenewal: () => undefined,
    })
  }
  return {
    redis,
    state,
    begin,
    /** Holds the provider's answers back until it is called. */
    hold() {
      let release: () => void = () => undefined
      state.held = new Promise((resolve) => (release = resolve))
      return release
    },
    signIn: (sessions: Sessions, life = 60 * minute): Promise<OpenSession> =>
      sessions.begin({
        profile,
        identifiers: {
          issuer: '',
          ids: ['origin_jti o1'],
          subject: 'sub-1',
          namesSignIn: true,
          since: state.now,
        },
        refreshToken: 'refresh-0',
        accessToken: 'access',
        expiresAt: state.now + life,
      }),
    sessionKey: async () => (await redis.client.keys(`${prefix}session:*`))[0] ?? '',
    lockKey: async () => (await redis.client.keys(`${prefix}lock:*`))[0] ?? '',
  }
}
const versionOf = ({ session }: Resolved) => session?.record.v

await t.test(
  'while another process renews, tokens that live serve and those that ended wait',
  async (t) => {
    const { state, begin, signIn, hold } = await stage(t)
    const [a, b] = [begin(), begin()]
    const { value } = await signIn(a)
    await b.resolve(value)
    const release = hold()
    state.now += 50 * minute
    const slow = Promise.resolve(a.resolve(value))
    await until(() => state.exchanges === 1, 'one renews')
    t.equal(versionOf(await b.resolve(value)), 1, 'the other serves what it has')
    state.now += 11 * minute
    const waiting = Promise.resolve(b.resolve(value))
    release()
    t.equal(versionOf(await slow), 2)
    t.equal(versionOf(await waiting), 2, 'and waits when that has ended')
    t.equal(state.exchanges, 1)
  },
)

await t.test('signed out during a renewal: what comes late does not bring it back', async (t) => {
  const { redis, state, begin, signIn, hold } = await stage(t)
  const [a, b] = [begin(), begin()]
  const { value } = await signIn(a)
  const release = hold()
  state.now += 50 * minute
  const slow = Promise.resolve(a.resolve(value))
  await until(() => state.exchanges === 1, 'one renews')
  const leaving = await b.peek(value)
  await b.end(leaving!, minute)
  release()
  t.match(await slow, { session: undefined, reason: 'ended' })
  t.same(await redis.client.keys(`${prefix}session:*`), [])
  t.match(await a.resolve(value), { session: undefined })
})

await t.test(
  'a lock that ran out: the loser of the exchange does not end the winner’s session',
  async (t) => {
    const { redis, state, begin, signIn, hold, lockKey } = await stage(t)
    const [a, b] = [begin(), begin()]
    const { value } = await signIn(a)
    const release = hold()
    state.now += 50 * minute
    const late = Promise.resolve(a.resolve(value))
    await until(() => state.exchanges === 1, 'one renews, and stalls')
    await redis.client.del(await lockKey())
    state.held = Promise.resolve()
    t.equal(versionOf(await b.resolve(value)), 2, 'another does it')
    release()
    t.equal(versionOf(await late), 2, 'the late one is refused by the provider, and takes that')
    t.equal(state.exchanges, 2)
    t.equal(versionOf(await begin().resolve(value)), 2)
  },
)

await t.test(
  'Redis fails between the exchange and the write: the new refresh token is not lost',
  async (t) => {
    const { redis, state, begin, signIn, hold } = await stage(t)
    const a = begin()
    const { value } = await signIn(a)
    const release = hold()
    state.now += 50 * minute
    const slow = Promise.resolve(a.resolve(value))
    await until(() => state.exchanges === 1, 'one renews')
    await redis.stop()
    release()
    await redis.start()
    t.equal(versionOf(await slow), 2)
    state.now += 50 * minute
    t.equal(versionOf(await begin().resolve(value)), 3, 'another process goes on with it')
  },
)

await t.test('a store that lost the last write gets it again', async (t) => {
  const { redis, state, begin, signIn, sessionKey } = await stage(t)
  const a = begin()
  const { value } = await signIn(a)
  const key = await sessionKey()
  const before = await redis.client.hgetall(key)
  state.now += 50 * minute
  t.equal(versionOf(await a.resolve(value)), 2)
  await redis.client.hset(key, before)
  state.now += 6000
  t.equal(versionOf(await a.resolve(value)), 2)
  t.equal(await redis.client.hget(key, 'v'), '2')
  t.equal(versionOf(await begin().resolve(value)), 2)
})

await t.test('a copy in memory is looked up again after five seconds', async (t) => {
  const { redis, state, begin, signIn, sessionKey } = await stage(t)
  const a = begin()
  const { value } = await signIn(a)
  await redis.client.del(await sessionKey())
  state.now += 4000
  t.equal(versionOf(await a.resolve(value)), 1)
  state.now += 2000
  t.match(await a.resolve(value), { session: undefined, reason: 'unknown' })
})

await t.test(
  'used on two replicas at once, a session is marked as used by one of them',
  async (t) => {
    const { redis, state, begin, signIn, sessionKey } = await stage(t)
    const [a, b] = [begin(), begin()]
    const { value } = await signIn(a, 20 * 60 * minute)
    await b.resolve(value)
    state.now += 49 * minute
    await Promise.all([a.resolve(value), b.resolve(value)])
    t.equal(await redis.client.hget(await sessionKey(), 'v'), '2')
    state.now += 7.5 * 60 * minute
    for (const process of [a, b]) t.ok((await process.resolve(value)).session, 'so it is not idle')
    t.equal(state.exchanges, 0)
  },
)

await t.test('signed out while Redis is away: it is told, and nothing fails unseen', async (t) => {
  const { redis, begin, signIn } = await stage(t)
  const a = begin()
  const { value } = await signIn(a)
  const leaving = await a.peek(value)
  await redis.stop()
  await t.rejects(a.end(leaving!, minute), { code: 'ERR_STORE_UNAVAILABLE' })
  await redis.start()
  await until(async () => (await a.resolve(value)).session === undefined, 'here it is over')
})
