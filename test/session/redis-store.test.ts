/** Sessions over a real Redis, as processes without a common memory see them, in the moments that rarely come. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { realTimers } from '../../src/core/clock.js'
import type { Timers } from '../../src/core/clock.js'
import { redisAddress } from '../../src/core/redis-address.js'
import type { OpenSession } from '../../src/session/open-session.js'
import { connectRedis } from '../../src/session/redis-link.js'
import { createProcessState } from '../../src/session/process-state.js'
import { RedisRenewalGate } from '../../src/session/redis-renewal-gate.js'
import { RedisRevocationLog } from '../../src/session/redis-revocation-log.js'
import { RedisStore } from '../../src/session/redis-store.js'
import { Revocations } from '../../src/session/revocations.js'
import { createSealer } from '../../src/session/sealer.js'
import { Sessions } from '../../src/session/sessions.js'
import type { FoundSession } from '../../src/session/sessions.js'
import { startRedis } from '../fixtures/redis.js'
import { RotatingProvider, limits, minute, sealContext } from '../fixtures/rotating-provider.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'

t.setTimeout(600_000)

const prefix = 'trac-gateway:test:'

/** A provider, and processes that share its sessions by Redis alone. */
async function stage(t: Test) {
  const redis = await startRedis(t)
  const state = new RotatingProvider(Date.now())
  const begin = (timers: Timers = realTimers): Sessions => {
    const options = state.options()
    const common = { now: options.now, timers }
    const link = connectRedis({
      address: redisAddress.parse(redis.url)!,
      authority: undefined,
      prefix,
      onFault: () => undefined,
    })
    const life = limits.maxAge
    const log = new RedisRevocationLog({ ...common, link, life, onState: () => undefined })
    t.teardown(() => {
      log.close()
      link.close()
    })
    const sealer = createSealer('session', sealContext)
    return new Sessions({
      ...options,
      timers,
      state: createProcessState(options.now, new RedisRenewalGate(link)),
      store: new RedisStore({ ...common, ...limits, link, sealer }),
      revocations: new Revocations(options.now, life, log),
    })
  }
  return {
    redis,
    state,
    begin,
    /** Begins the renewal of a session that is due; the provider's answer is held back until `release`. */
    async renewSlowly(process: Sessions, value: string) {
      const release = state.hold()
      state.now += 50 * minute
      const renewed = Promise.resolve(process.find(value))
      await until(() => state.exchanges === 1, 'the provider was asked')
      return { renewed, release }
    },
    signIn: (sessions: Sessions, life?: number): Promise<OpenSession> =>
      sessions.begin(state.signIn(life)),
    sessionKey: async () => (await redis.client.keys(`${prefix}session:*`))[0] ?? '',
    lockKey: async () => (await redis.client.keys(`${prefix}lock:*`))[0] ?? '',
  }
}
const versionOf = ({ session }: FoundSession) => session?.record.version

await t.test(
  'while another process renews, tokens that live serve and those that ended wait',
  async (t) => {
    const { state, begin, signIn, renewSlowly } = await stage(t)
    const [a, b] = [begin(), begin()]
    const { value } = await signIn(a)
    await b.find(value)
    const { renewed: slow, release } = await renewSlowly(a, value)
    t.equal(versionOf(await b.find(value)), 1, 'the other serves what it has')
    state.now += 11 * minute
    const waiting = Promise.resolve(b.find(value))
    release()
    t.equal(versionOf(await slow), 2)
    t.equal(versionOf(await waiting), 2, 'and waits when that has ended')
    t.equal(state.exchanges, 1)
  },
)

await t.test('signed out during a renewal: what comes late does not bring it back', async (t) => {
  const { redis, begin, signIn, renewSlowly } = await stage(t)
  const [a, b] = [begin(), begin()]
  const { value } = await signIn(a)
  const { renewed: slow, release } = await renewSlowly(a, value)
  const leaving = await b.peek(value)
  await b.end(leaving!)
  release()
  t.match(await slow, { session: undefined, reason: 'ended' })
  t.same(await redis.client.keys(`${prefix}session:*`), [])
  t.match(await a.find(value), { session: undefined })
})

await t.test(
  'a lock that ran out: the loser of the exchange does not end the winner’s session',
  async (t) => {
    const { redis, state, begin, signIn, renewSlowly, lockKey } = await stage(t)
    const [a, b] = [begin(), begin()]
    const { value } = await signIn(a)
    const { renewed: late, release } = await renewSlowly(a, value)
    await redis.client.del(await lockKey())
    state.held = Promise.resolve()
    t.equal(versionOf(await b.find(value)), 2, 'another does it')
    release()
    t.equal(versionOf(await late), 2, 'the late one is refused by the provider, and takes that')
    t.equal(state.exchanges, 2)
    t.equal(versionOf(await begin().find(value)), 2)
  },
)

await t.test(
  'Redis fails between the exchange and the write: the new refresh token is not lost',
  async (t) => {
    const { redis, state, begin, signIn, renewSlowly } = await stage(t)
    const a = begin()
    const { value } = await signIn(a)
    const { renewed: slow, release } = await renewSlowly(a, value)
    await redis.stop()
    release()
    await redis.start()
    t.equal(versionOf(await slow), 2)
    state.now += 50 * minute
    t.equal(versionOf(await begin().find(value)), 3, 'another process goes on with it')
  },
)

await t.test(
  'a lock is kept alive as long as its owner lives, and free six seconds after that',
  async (t) => {
    const { redis, begin, signIn, renewSlowly, lockKey } = await stage(t)
    const timers = createTimers()
    const a = begin(timers)
    const { value } = await signIn(a)
    const { renewed, release } = await renewSlowly(a, value)
    const key = await lockKey()
    const life = () => redis.client.pttl(key)
    for (let i = 0; i < 20; i++) {
      t.ok((await life()) <= 6000)
      await redis.client.pexpire(key, 1000)
      timers.advance(2000)
      await until(async () => (await life()) > 5000, 'it lives on')
    }
    const owner = await redis.client.get(key)
    await redis.client.set(key, 'somebody else', 'PX', 1000)
    timers.advance(2000)
    await redis.client.ping()
    t.ok((await life()) <= 1000, 'what is another’s is left alone')
    await redis.client.set(key, owner!, 'PX', 1000)
    release()
    t.equal(versionOf(await renewed), 2)
    t.same(await redis.client.keys(`${prefix}lock:*`), [], 'and it is given back')
    timers.advance(2000)
    t.equal(await life(), -2, 'for good')
  },
)

await t.test(
  'nobody waits longer than five seconds for another process, and is told what it is',
  async (t) => {
    const { state, begin, signIn, renewSlowly } = await stage(t)
    const timers = createTimers()
    const [a, b] = [begin(), begin(timers)]
    const { value } = await signIn(a)
    const { renewed, release } = await renewSlowly(a, value)
    state.now += 11 * minute
    let outcome: unknown
    void Promise.resolve(b.find(value)).catch((error: unknown) => (outcome = error))
    await until(() => {
      timers.advance(100)
      return outcome !== undefined
    }, 'it gave up')
    t.match(outcome, { code: 'ERR_SESSION_BUSY', status: 503, details: { retryAfter: 2 } })
    t.ok(timers.monotonic() >= 5000 && timers.monotonic() < 60_000)
    release()
    t.equal(versionOf(await renewed), 2)
    t.equal(versionOf(await begin().find(value)), 2)
    t.equal(state.exchanges, 1)
  },
)

await t.test(
  'a process that was killed in its renewal leaves a lock that another one gets',
  async (t) => {
    const { redis, state, begin, signIn, renewSlowly, lockKey } = await stage(t)
    // One whose timers stand still keeps nothing alive, as one that was killed.
    const [a, b] = [begin(createTimers()), begin()]
    const { value } = await signIn(a)
    const { renewed, release } = await renewSlowly(a, value)
    state.now += 11 * minute
    state.held = Promise.resolve()
    t.ok((await redis.client.pttl(await lockKey())) <= 6000)
    await redis.client.pexpire(await lockKey(), 500)
    t.equal(versionOf(await b.find(value)), 2)
    release()
    t.equal(versionOf(await renewed), 2)
  },
)

await t.test('a store that lost the last write gets it again', async (t) => {
  const { redis, state, begin, signIn, sessionKey } = await stage(t)
  const a = begin()
  const { value } = await signIn(a)
  const key = await sessionKey()
  const before = await redis.client.hgetall(key)
  state.now += 50 * minute
  t.equal(versionOf(await a.find(value)), 2)
  await redis.client.hset(key, before)
  state.now += 6000
  t.equal(versionOf(await a.find(value)), 2)
  t.equal(await redis.client.hget(key, 'v'), '2')
  t.equal(versionOf(await begin().find(value)), 2)
})

await t.test('a copy in memory is looked up again after five seconds', async (t) => {
  const { redis, state, begin, signIn, sessionKey } = await stage(t)
  const a = begin()
  const { value } = await signIn(a)
  await redis.client.del(await sessionKey())
  state.now += 4000
  t.equal(versionOf(await a.find(value)), 1)
  state.now += 2000
  t.match(await a.find(value), { session: undefined, reason: 'unknown' })
})

await t.test(
  'used on two replicas at once, a session is marked as used by one of them',
  async (t) => {
    const { redis, state, begin, signIn, sessionKey } = await stage(t)
    const [a, b] = [begin(), begin()]
    const { value } = await signIn(a, 20 * 60 * minute)
    await b.find(value)
    state.now += 49 * minute
    await Promise.all([a.find(value), b.find(value)])
    t.equal(await redis.client.hget(await sessionKey(), 'v'), '2')
    state.now += 7.5 * 60 * minute
    for (const process of [a, b]) t.ok((await process.find(value)).session, 'so it is not idle')
    t.equal(state.exchanges, 0)
  },
)

await t.test('signed out while Redis is away: it is told, and nothing fails unseen', async (t) => {
  const { redis, begin, signIn } = await stage(t)
  const a = begin()
  const { value } = await signIn(a)
  const leaving = await a.peek(value)
  await redis.stop()
  await t.rejects(a.end(leaving!), { code: 'ERR_STORE_UNAVAILABLE' })
  await redis.start()
  await until(async () => (await a.find(value)).session === undefined, 'here it is over')
})

await t.test(
  'a channel that can’t be subscribed to again after a reconnect ends no process',
  async (t) => {
    const redis = await startRedis(t)
    const faults: unknown[] = []
    const link = connectRedis({
      address: redisAddress.parse(redis.url)!,
      authority: undefined,
      prefix,
      onFault: (cause) => faults.push(cause),
    })
    t.teardown(() => link.close())
    let heard = 0
    const subscribers = async (): Promise<number> => {
      const [, count] = (await redis.client.call('PUBSUB', 'NUMSUB', 'a')) as [string, number]
      return count
    }
    link.subscribe('a', () => (heard += 1))
    await until(async () => (await subscribers()) === 1, 'subscribed')

    await redis.client.call('ACL', 'SETUSER', 'default', '-subscribe')
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await until(() => faults.some((fault) => /NOPERM/.test(String(fault))), 'the refusal is told')
    t.equal(await subscribers(), 0)

    await redis.client.call('ACL', 'SETUSER', 'default', '+subscribe')
    await redis.stop()
    await redis.start()
    await until(async () => (await subscribers()) === 1, 'subscribed again')
    await redis.client.publish('a', '1')
    await until(() => heard === 1, 'heard')
  },
)
