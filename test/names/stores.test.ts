/** Every store of names keeps the same promises; what is on disk or in Redis outlives the process. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { realTimers } from '../../src/core/clock.js'
import { redisAddress } from '../../src/core/redis-address.js'
import { LocalNames } from '../../src/names/local-names.js'
import { maxNames } from '../../src/names/name-store.js'
import type { NameStore } from '../../src/names/name-store.js'
import { NamesFile } from '../../src/names/names-file.js'
import { RedisNames } from '../../src/names/redis-names.js'
import { NameRegistry } from '../../src/names/registry.js'
import { connectRedis } from '../../src/session/redis-link.js'
import { startRedis } from '../fixtures/redis.js'
import { nobody as nobodyYet } from '../fixtures/request-context.js'
import { until } from '../fixtures/until.js'

const folder = t.testdir({})
const redis = await startRedis(t)
const issuer = 'https://idp.example'
const of = (name: string, subject: string) => ({ name, issuer, subject })
const nobody = { issuer: '', subject: '' }
let serial = 0

/** A connection of one replica to the test's Redis; `prefix` says of which gateway. */
function linkTo(t: Test, prefix: string) {
  const link = connectRedis({
    address: redisAddress.parse(redis.url)!,
    authority: undefined,
    prefix,
    onFault: () => undefined,
  })
  t.teardown(() => link.close())
  return link
}

function openRedisNames(t: Test, prefix: string): RedisNames {
  const store = new RedisNames(linkTo(t, prefix), realTimers)
  t.teardown(() => store.close())
  return store
}

function openFile(t: Test, path: string): LocalNames {
  const store = new LocalNames(new NamesFile(path))
  t.teardown(() => store.close())
  return store
}

const stores: readonly (readonly [string, (t: Test) => NameStore])[] = [
  ['in memory', () => new LocalNames()],
  ['in a file', (t) => openFile(t, join(folder, `names-${serial++}`))],
  ['in Redis', (t) => openRedisNames(t, `test-${serial++}:`)],
]

for (const [where, open] of stores) {
  await t.test(`${where}, a name belongs to who had it first, as they spelled it`, async (t) => {
    const store = open(t)
    const carl = of('Carl', 's1')
    t.same(await store.claim(carl), { entry: carl, earlier: [] })
    t.same(await store.claim(carl), { entry: carl, earlier: [] }, 'and again')
    t.same(await store.claim(of('carl', 's2')), { entry: carl, earlier: [] }, 'not the second one')
    t.same(await store.claim(of('CARL', 's1')), { entry: carl, earlier: [] }, 'the first spelling')
    t.same(store.known('carl'), carl)
    t.same(await store.find('carl'), carl)
    t.equal(await store.find('nobody'), undefined)
    const elsewhere = { ...of('carl', 's1'), issuer: 'https://other.example' }
    t.same(await store.claim(elsewhere), { entry: carl, earlier: [] }, 'nor the same sub elsewhere')
  })

  await t.test(`${where}, one person holds three names at most`, async (t) => {
    const store = open(t)
    t.same(await store.claim(of('A', 's')), { entry: of('A', 's'), earlier: [] })
    t.same(await store.claim(of('b', 's')), { entry: of('b', 's'), earlier: ['a'] })
    t.same(await store.claim(of('c', 's')), { entry: of('c', 's'), earlier: ['a', 'b'] })
    t.same(await store.claim(of('d', 's')), { refused: 'many', earlier: ['a', 'b', 'c'] })
    t.match(await store.claim(of('d', 's2')), { entry: { subject: 's2' } })
    for (const name of ['e', 'f', 'g', 'h']) await store.claim({ name, ...nobody })
    t.same(
      (await store.list()).map(({ name }) => name),
      ['A', 'b', 'c', 'd', 'e', 'f', 'g', 'h'],
    )
    t.same(await store.release('b'), of('b', 's'))
    t.match(await store.claim(of('i', 's')), { entry: { name: 'i' }, earlier: ['a', 'c'] })
  })

  await t.test(`${where}, a name that was released is the next one’s`, async (t) => {
    const store = open(t)
    t.equal(await store.release('dora'), undefined, 'nobody has it')
    await store.claim(of('Dora', 's1'))
    t.same(await store.release('dora'), of('Dora', 's1'))
    t.equal(store.known('dora'), undefined)
    t.same(await store.list(), [])
    t.same(await store.claim(of('dora', 's2')), { entry: of('dora', 's2'), earlier: [] })
    await store.claim({ name: 'root', ...nobody })
    t.same(await store.claim(of('root', 's3')), { entry: { name: 'root', ...nobody }, earlier: [] })
    t.same(await store.release('root'), { name: 'root', ...nobody })
  })

  await t.test(`${where}, of many who come at once one gets the name`, async (t) => {
    const store = open(t)
    const claims = Array.from({ length: 50 }, (_, i) => store.claim(of('eve', `s${i}`)))
    const owners = (await Promise.all(claims)).map(
      (claim) => 'entry' in claim && claim.entry.subject,
    )
    t.equal(new Set(owners).size, 1)
  })
}

await t.test('a known pair costs a look into a map and no promise', async (t) => {
  const refused: string[] = []
  const registry = new NameRegistry(new LocalNames(), {
    onRenamed: () => undefined,
    onRefused: (reason) => refused.push(reason),
  })
  const named = { ...nobodyYet.principal, user: 'Zoë', nameKey: 'zoë', issuer }
  const [first, second] = [
    { ...named, subject: 's1' },
    { ...named, subject: 's2' },
  ]
  t.equal(await registry.settle(first), first)
  t.equal(registry.settle(first), first, 'the very same principal, at once')
  t.throws(() => registry.settle(second), { code: 'ERR_NAME_TAKEN' }, 'and a refusal at once, too')
  t.same(refused, ['taken'])
  const again = { ...first, user: 'zoë' }
  const respelled = registry.settle(again)
  t.match(respelled, { user: 'Zoë', identityHeaders: { user: 'Zo%C3%AB' } }, 'the first spelling')
  t.equal(registry.settle(again), respelled, 'made once')
  t.same(await registry.find('ZOË'), { name: 'Zoë', issuer, subject: 's1' })
  await registry.reserve('root')
  t.equal(await registry.find('root'), undefined)
})

await t.test('at 200,000 names new ones are refused, and the old ones stay', async (t) => {
  const store = new LocalNames()
  for (let i = 0; i < maxNames; i++) await store.claim(of(`n${i}`, `s${i}`))
  t.same(await store.claim(of('late', 'late')), { refused: 'full' })
  t.match(await store.claim(of('n0', 's0')), { entry: { subject: 's0' } })
  t.equal(store.size, maxNames)
  const shared = openRedisNames(t, 'full:')
  await shared.claim(of('early', 's'))
  await redis.client.hset('full:names', 'count', maxNames)
  t.same(await shared.claim(of('late', 'late')), { refused: 'full' })
  t.match(await shared.claim(of('early', 's2')), { entry: { subject: 's' } })
})

await t.test('a file keeps names over a restart, whatever was cut at its end', async (t) => {
  const path = join(folder, 'kept')
  const first = openFile(t, path)
  await first.claim(of('Zoë', 's1'))
  await first.claim(of('gone', 's2'))
  await first.release('gone')
  await first.claim({ name: 'root', ...nobody })
  first.close()
  appendFileSync(path, '["+","half')
  const second = openFile(t, path)
  t.same(await second.list(), [{ name: 'root', ...nobody }, of('Zoë', 's1')])
  await second.claim(of('next', 's3'))
  second.close()
  t.match(readFileSync(path, 'utf8'), /\]\n\["\+","next","https:\/\/idp.example","s3"\]\n$/)
  t.equal(openFile(t, path).size, 3)
})

await t.test('a file that release after release has filled is written anew', async (t) => {
  const path = join(folder, 'grown')
  const lines = Array.from({ length: 1001 }, () => '["+","x","i","s"]\n["-","x"]\n').join('')
  writeFileSync(path, `${lines}["+","y","i","s"]\n`)
  const store = openFile(t, path)
  t.equal(readFileSync(path, 'utf8'), '["+","y","i","s"]\n')
  await store.claim(of('z', 's'))
  store.close()
  t.equal(openFile(t, path).size, 2)
})

await t.test('a file that can’t be used keeps the gateway from starting, and says why', (t) => {
  const broken = join(folder, 'broken')
  writeFileSync(broken, '["+","x","i","s"]\nnot ours\n')
  const cases: readonly (readonly [string, RegExp])[] = [
    [broken, /namesFile .*broken can't be used: line 2 is no name/],
    [join(folder, 'missing/names'), /there is no folder .*missing/],
    [folder, /can't be used/],
  ]
  for (const [path, why] of cases) t.throws(() => new LocalNames(new NamesFile(path)), why)
  for (const line of ['["+","y","i"]', '["+","y","","s"]', '["+",""]', '["+","y",7,"s"]']) {
    writeFileSync(broken, `["+","x","i","s"]\n${line}\n`)
    t.throws(() => new LocalNames(new NamesFile(broken)), /line 2 is no name/, line)
  }
  t.end()
})

await t.test('a name that can’t be written is not given', async (t) => {
  const path = join(folder, 'closed')
  const file = new NamesFile(path)
  const store = new LocalNames(file)
  await store.claim(of('a', 's1'))
  file.close()
  await t.rejects(store.claim(of('b', 's2')), { code: 'ERR_STORE_UNAVAILABLE' })
  t.equal(store.known('b'), undefined)
  t.match(await store.claim(of('a', 's1')), { entry: { name: 'a' } }, 'known pairs go on')
  t.equal(openFile(t, path).size, 1)
})

await t.test('a damaged name in Redis is nobody’s, and the store says so', async (t) => {
  const store = openRedisNames(t, 'damaged:')
  for (const [i, written] of ['x', '"x"', '["x","i"]', '[7,"i","s"]'].entries()) {
    await redis.client.hset('damaged:names', `n ${i}`, written)
    await t.rejects(store.find(String(i)), { code: 'ERR_STORE_UNAVAILABLE' }, written)
  }
})

await t.test('replicas share names, and what one released no other goes on with', async (t) => {
  const [one, two] = [openRedisNames(t, 'shared:'), openRedisNames(t, 'shared:')]
  await one.claim(of('carl', 's1'))
  t.match(await two.claim(of('carl', 's2')), { entry: { subject: 's1' } })
  t.match(two.known('carl'), { subject: 's1' })
  await one.release('carl')
  await until(() => two.known('carl') === undefined, 'the other one knows')
  t.match(await two.claim(of('carl', 's2')), { entry: { subject: 's2' } })
  t.match(await one.claim(of('carl', 's1')), { entry: { subject: 's2' } })
  const other = openRedisNames(t, 'another gateway:')
  t.match(await other.claim(of('carl', 's3')), { entry: { subject: 's3' } })
  t.equal(await redis.client.ttl('shared:names'), -1, 'without expiry')
})

await t.test('Redis away: known pairs go on, others wait; what it lost is put back', async (t) => {
  const store = openRedisNames(t, 'away:')
  await store.claim(of('carl', 's1'))
  await redis.stop()
  t.match(store.known('carl'), { subject: 's1' })
  await t.rejects(store.claim(of('dora', 's2')), { code: 'ERR_STORE_UNAVAILABLE' })
  await redis.start()
  const asked = () =>
    store.claim(of('dora', 's2')).then(
      () => true,
      () => false,
    )
  await until(asked, 'Redis is back')
  t.match(await store.claim(of('carl', 's3')), { entry: { subject: 's1' } }, 'it kept its names')
  await redis.client.del('away:names')
  await until(async () => (await redis.client.hget('away:names', 'count')) === '2', 'put back')
  t.match(await openRedisNames(t, 'away:').claim(of('carl', 's3')), { entry: { subject: 's1' } })
})
