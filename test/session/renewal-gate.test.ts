/** Who may ask the token endpoint, in one process and over replicas: the same rules, by two hands. */
import { t } from '../fixtures/tap.js'
import { redisAddress } from '../../src/core/redis-address.js'
import { connectRedis } from '../../src/session/redis-link.js'
import { RedisRenewalGate } from '../../src/session/redis-renewal-gate.js'
import { MemoryRenewalGate } from '../../src/session/renewal-gate.js'
import type { RenewalGate, Setback } from '../../src/session/renewal-gate.js'
import { startRedis } from '../fixtures/redis.js'
import { until } from '../fixtures/until.js'

const redis = await startRedis(t)
let gates = 0
/** A gate of some replicas, each with a connection of its own. */
function shared(replicas: number): RedisRenewalGate[] {
  const prefix = `trac-gateway:test-${gates++}:`
  return Array.from({ length: replicas }, () => {
    const address = redisAddress.parse(redis.url)!
    const onFault = () => undefined
    const link = connectRedis({ address, authority: undefined, prefix, onFault })
    t.teardown(() => link.close())
    return new RedisRenewalGate(link)
  })
}

const setback = (kind: Setback['kind'], more: Partial<Setback> = {}): Setback => ({
  kind,
  asked: undefined,
  jitter: 0.5,
  ...more,
})
const down = setback('down')

/** Rules that hold before any time has passed; Redis counts its own, of which a few milliseconds may pass. */
const kinds: readonly (readonly [string, () => RenewalGate])[] = [
  ['in memory', () => new MemoryRenewalGate(() => 1_700_000_000_000)],
  ['in Redis', () => shared(1)[0]!],
]
for (const [where, create] of kinds) {
  await t.test(
    `${where}: a session that failed waits, longer each time, and nobody else does`,
    async (t) => {
      const gate = create()
      t.equal(await gate.enter('a'), 0)
      const waits: number[] = []
      for (let i = 0; i < 8; i++) waits.push(await gate.failed('a', setback('odd')))
      t.same(waits, [1125, 2250, 4500, 9000, 18_000, 36_000, 60_000, 60_000])
      const wait = await gate.enter('a')
      t.ok(wait > 59_000 && wait <= 60_000, String(wait))
      t.equal(await gate.enter('b'), 0)
      await gate.answered('a')
      t.equal(await gate.enter('a'), 0)
      t.equal(await gate.failed('a', setback('odd', { jitter: 0 })), 1000, 'it begins anew')
      t.equal(await gate.failed('b', setback('busy', { asked: 40_000 })), 40_000)
      t.ok((await gate.enter('b')) > 39_000)
    },
  )

  await t.test(`${where}: three sessions that found nobody make an outage`, async (t) => {
    const gate = create()
    for (const id of ['a', 'a', 'b', 'b', 'a']) await gate.failed(id, down)
    t.equal(await gate.enter('x'), 0, 'two are none, however often they failed')
    await gate.failed('c', setback('odd'))
    await gate.failed('d', setback('busy'))
    t.equal(await gate.enter('x'), 0, 'nor do other faults count')
    await gate.failed('e', down)
    t.ok((await gate.enter('x')) > 0)
    t.ok((await gate.enter('x')) <= 1000, 'the next probe is soon')
    await gate.answered('y')
    t.equal(await gate.enter('x'), 0, 'any success ends it')
    t.ok((await gate.enter('c')) > 0, 'but not the wait of another fault')
  })

  await t.test(`${where}: who got tokens that can’t be verified yet waits alone`, async (t) => {
    const gate = create()
    for (const id of ['a', 'b', 'c']) await gate.failed(id, down)
    await gate.failed('d', setback('unverified'))
    t.ok((await gate.enter('d')) > 0)
    t.equal(await gate.enter('x'), 0)
  })
}

await t.test(
  'one probe at a time asks, and the end of one lets the next one be another’s',
  async (t) => {
    let now = 0
    const gate = new MemoryRenewalGate(() => now)
    for (const id of ['a', 'b', 'c']) await gate.failed(id, down)
    now += 499
    t.equal(await gate.enter('x'), 1)
    now += 1
    t.equal(await gate.enter('x'), 0)
    now += 11_999
    t.equal(await gate.enter('y'), 1, 'a probe may take as long as the provider may')
    t.equal(await gate.failed('x', down), 1125)
    now += 500
    t.equal(await gate.enter('x'), 625)
    t.equal(await gate.enter('y'), 0)
    now += 12_000
    t.equal(await gate.enter('z'), 0, 'one of which nothing is heard is over')
  },
)

await t.test('failures further apart than ten seconds make no outage', async (t) => {
  let now = 0
  const gate = new MemoryRenewalGate(() => now)
  for (const id of ['a', 'b', 'c', 'd']) {
    await gate.failed(id, down)
    now += 5001
  }
  t.equal(await gate.enter('x'), 0)
})

await t.test('after the first success nobody waits longer than a second', async (t) => {
  let now = 0
  const gate = new MemoryRenewalGate(() => now)
  for (let i = 0; i < 7; i++) await gate.failed('a', down)
  t.equal(await gate.enter('a'), 60_000)
  await gate.answered('b')
  t.equal(await gate.enter('a'), 1000)
  now += 1000
  t.equal(await gate.enter('a'), 0)
  t.equal(await gate.failed('a', down), 60_000, 'and whoever fails again has failed often')
})

await t.test('replicas share waits, the outage, its one probe and its end', async (t) => {
  const [one, two] = shared(2) as [RedisRenewalGate, RedisRenewalGate]
  await one.failed('a', down)
  t.ok((await two.enter('a')) > 0)
  await two.failed('b', down)
  t.equal(await two.enter('x'), 0)
  await one.failed('c', down)
  t.ok((await two.enter('x')) > 0)
  await until(async () => (await one.enter('x')) === 0, 'a probe may begin')
  t.ok((await two.enter('y')) > 0, 'and one is enough')
  await one.answered('x')
  t.equal(await two.enter('y'), 0)
  await until(async () => (await two.enter('a')) === 0, 'within a second everybody may')
})

await t.test('what is kept in Redis ends by itself and names nobody', async (t) => {
  const [gate] = shared(1) as [RedisRenewalGate]
  const prefix = `trac-gateway:test-${gates - 1}:`
  await gate.failed('the-handle', down)
  const keys = await redis.client.keys(`${prefix}*`)
  t.equal(keys.length, 2)
  for (const key of keys) {
    t.ok((await redis.client.pttl(key)) > 0, key)
    t.notMatch(key + JSON.stringify(await redis.client.hgetall(key)), 'the-handle')
  }
})
