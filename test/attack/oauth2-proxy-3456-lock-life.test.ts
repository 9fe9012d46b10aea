/** oauth2-proxy PR#3456: the lock of a renewal is kept alive for as long as the provider takes, so that two replicas never redeem. */
import { t } from '../fixtures/tap.js'
import type { Timers } from '../../src/core/clock.js'
import type { TestGateway } from '../fixtures/gateway.js'
import { startRedis } from '../fixtures/redis.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'

/** So often the owner of a lock keeps it alive, in milliseconds. */
const keepEvery = 2000

await t.test('while one replica waits for the provider, the other one only waits', async (t) => {
  const redis = await startRedis(t)
  const publicUrl = `http://localhost:${await freePort()}/trac`
  const shared = await stage(t, {
    provider: 'scripted',
    tokens: { rotates: true },
    upstream: true,
    gateway: false,
  })
  const { provider, upstream, tokens, clock } = shared
  const timers = createTimers()
  const start = async (own: { timers?: Timers }): Promise<TestGateway> => {
    const { gateway } = await stage(t, {
      ...own,
      provider,
      upstream,
      api: true,
      clock,
      env: { REDIS_URL: redis.url },
      overlay: {
        server: { publicUrl },
        session: { store: 'redis', replicas: 'many', redis: { url: { fromEnv: 'REDIS_URL' } } },
      },
    })
    await until(() => {
      timers.advance(100)
      return gateway.gateway.readiness.report().ready
    }, 'it is ready')
    return gateway
  }
  const [one, other] = [await start({ timers }), await start({})]
  const host = { host: new URL(publicUrl).host }
  const at = (gateway: TestGateway, path: string) => `http://127.0.0.1:${gateway.port}/trac${path}`

  const visitor = new Visitor()
  const there = await visitor.open(at(one, '/auth/login'), { headers: host })
  const back = new URL((await visitor.open(there.location)).location)
  const callback = at(one, `/auth/callback${back.search}`)
  t.equal((await visitor.open(callback, { headers: host })).status, 303)
  const cookie = visitor.cookieHeader(one.url.replace('localhost', '127.0.0.1'))
  t.match(cookie, '-s=')

  let release = (): void => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  let exchanges = 0
  provider.replace('token', async (request) => {
    exchanges++
    await held
    return await tokens(request)
  })
  clock.advance(61 * 60_000)
  const ask = (gateway: TestGateway) =>
    new Visitor().fetch(at(gateway, '/api/x'), { headers: { ...host, cookie } })
  const first = ask(one)
  await until(() => exchanges === 1, 'one replica asks the provider')
  const [lock = ''] = await redis.client.keys('*:lock:*')
  // However long the provider takes, what an owner that lives has of its lock is never less than it needs to keep it.
  for (let passed = 0; passed < 8000; passed += keepEvery) {
    t.ok((await redis.client.pttl(lock)) > keepEvery / 2)
    await redis.client.pexpire(lock, keepEvery)
    timers.advance(keepEvery)
    await until(async () => (await redis.client.pttl(lock)) > 2 * keepEvery, 'it is kept alive')
  }
  const others = [ask(other), ask(other), ask(one)]
  await until(async () => {
    const text = await redis.client.info('commandstats')
    return Number(/cmdstat_set:calls=(\d+)/.exec(text)?.[1]) > 1
  }, 'the other one has tried the lock')
  release()
  const answers = await Promise.all([first, ...others])
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(exchanges, 1)
  t.same(await redis.client.keys('*:lock:*'), [], 'and it is given back')
})
