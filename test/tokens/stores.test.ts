/** Every store of personal tokens keeps the same promises; what is on disk or in Redis outlives the process. */
import { appendFileSync, readFileSync, statSync, writeFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { realTimers } from '../../src/core/clock.js'
import { redisAddress } from '../../src/core/redis-address.js'
import { connectRedis } from '../../src/session/redis-link.js'
import { LocalTokens } from '../../src/tokens/local-tokens.js'
import { RedisTokens } from '../../src/tokens/redis-tokens.js'
import { makeToken, ownerKey, readToken, tokenPrefix } from '../../src/tokens/token-form.js'
import type { PersonalToken, TokenOwner, TokenStore } from '../../src/tokens/token-store.js'
import { createClock } from '../fixtures/gateway.js'
import { startRedis } from '../fixtures/redis.js'
import { t } from '../fixtures/tap.js'

const folder = t.testdir({})
const redis = await startRedis(t)
const clock = createClock()
clock.stop()
const day = 86_400_000
let serial = 0

function openRedis(t: Test, prefix: string): RedisTokens {
  const address = redisAddress.parse(redis.url)!
  const link = connectRedis({ address, authority: undefined, prefix, onFault: () => undefined })
  const store = new RedisTokens(link, clock, realTimers)
  t.teardown(() => {
    store.close()
    link.close()
  })
  return store
}

function openFile(t: Test, path: string, max?: number): LocalTokens {
  const store = new LocalTokens(path, clock, realTimers, max)
  t.teardown(() => store.close())
  return store
}

/** Opens one and the same store again and again, each time as another process would. */
const places: readonly (readonly [string, (name: string) => (t: Test) => TokenStore])[] = [
  ['in a file', (name) => (t) => openFile(t, join(folder, name))],
  ['in Redis', (name) => (t) => openRedis(t, `${name}:`)],
]

const profile = {
  ...{ username: 'a', email: 'a@example.edu', emailVerified: true, name: 'Änne „x“' },
  ...{ groups: ['students'], permissions: [] },
}
const ownerOf = (subject: string): TokenOwner => ({
  ...{ issuer: 'https://idp.example', subject, user: subject, provenAt: clock() },
  profile: { ...profile, subject },
})
const tokenOf = (owner: TokenOwner, name: string, life = 90 * day): PersonalToken => {
  const { id, hash } = makeToken(owner)
  const at = clock()
  return {
    ...{ id, hash, name, createdAt: at, expiresAt: at + life },
    ...{ routes: ['rpc'], permissions: undefined },
  }
}

for (const [where, placeOf] of places) {
  const start = () => placeOf(`tokens-${serial++}`)

  await t.test(`${where}, a token is found with its owner, also by the next process`, async (t) => {
    const open = start()
    const store = open(t)
    const ann = ownerOf('ann')
    const token = tokenOf(ann, 'laptop')
    t.equal(await store.add(token, ann, 2), 'kept')
    t.same(await store.find(token.id), { token, owner: ann })
    t.equal(store.known(token.id), await store.find(token.id), 'the very same two')
    const next = open(t)
    t.same(await next.find(token.id), { token, owner: ann })
    t.same(await next.list(ann), [{ ...token, usedIn: undefined }])
    t.same(await next.list(ownerOf('bob')), [])
    t.equal(await next.find(makeToken(ann).id), undefined)
    t.same(await next.owners(), [ann])
  })

  await t.test(`${where}, names of one owner differ, and there are not too many`, async (t) => {
    const store = start()(t)
    const ann = ownerOf('ann')
    t.equal(await store.add(tokenOf(ann, 'a', day), ann, 2), 'kept')
    t.equal(await store.add(tokenOf(ann, 'a'), ann, 2), 'named')
    t.equal(await store.add(tokenOf(ann, 'b', 5 * day), ann, 2), 'kept')
    t.equal(await store.add(tokenOf(ann, 'c'), ann, 2), 'many')
    t.equal(await store.add(tokenOf(ownerOf('bob'), 'a'), ownerOf('bob'), 2), 'kept')
    clock.advance(day)
    t.equal(await store.add(tokenOf(ann, 'a'), ann, 2), 'kept', 'one that has ended makes way')
  })

  await t.test(
    `${where}, only its owner removes a token, and then it is gone for all`,
    async (t) => {
      const open = start()
      const store = open(t)
      const [ann, bob] = [ownerOf('ann'), ownerOf('bob')]
      const [one, two] = [tokenOf(ann, 'a'), tokenOf(ann, 'b')]
      await store.add(one, ann, 9)
      await store.add(two, ann, 9)
      t.equal(await store.remove(bob, one.id), false)
      t.equal(await store.remove(ann, one.id), true)
      t.equal(await store.remove(ann, one.id), false)
      t.equal(store.known(one.id), undefined)
      t.equal(await open(t).find(one.id), undefined)
      t.same(await store.removeAll(ann), [two.id])
      t.same(await store.removeAll(ann), [])
      t.same(await open(t).owners(), [], 'and nobody is kept without tokens')
    },
  )

  await t.test(
    `${where}, the last proof of an owner counts, and never an earlier one`,
    async (t) => {
      const open = start()
      const store = open(t)
      const ann = ownerOf('ann')
      const token = tokenOf(ann, 'a')
      await store.add(token, ann, 9)
      const seen = async (one = store) => {
        clock.advance(6000)
        const { owner } = (await one.find(token.id))!
        return [owner.user, owner.profile.groups.join(), owner.provenAt]
      }
      const lost = { user: 'anna', profile: { ...ann.profile, groups: [] } }
      const at = clock() + 1000
      await store.prove(ann, at, lost)
      t.same(await seen(), ['anna', '', at])
      await store.prove(ann, at - 500, { user: 'ann', profile: ann.profile })
      t.same(await seen(), ['anna', '', at], 'an earlier one comes too late')
      await store.prove(ann, at + 60_000, undefined)
      t.same(await seen(), ['anna', '', at], 'the same once more is not worth a write')
      await store.prove(ann, at + 3_600_000, undefined)
      t.same(await seen(), ['anna', '', at + 3_600_000], 'but once an hour')
      t.same(await seen(open(t)), ['anna', '', at + 3_600_000])
      await store.prove(ownerOf('bob'), clock(), lost)
      t.same(
        (await store.owners()).map(({ subject }) => subject),
        ['ann'],
      )
    },
  )

  await t.test(`${where}, the hour of the last use is kept`, async (t) => {
    const open = start()
    const store = open(t)
    const ann = ownerOf('ann')
    const [used, gone] = [tokenOf(ann, 'a'), tokenOf(ann, 'b')]
    await store.add(used, ann, 9)
    await store.add(gone, ann, 9)
    store.noteUse(used.id, 7)
    store.noteUse(used.id, 8)
    store.noteUse(gone.id, 8)
    t.equal((await store.list(ann)).find(({ id }) => id === used.id)?.usedIn, 8)
    await store.remove(ann, gone.id)
    await store.flush()
    t.same(
      (await open(t).list(ann)).map(({ id, usedIn }) => [id, usedIn]),
      [[used.id, 8]],
    )
  })
}

await t.test('in Redis, another replica knows within five seconds what changed', async (t) => {
  const [one, two] = [openRedis(t, 'shared:'), openRedis(t, 'shared:')]
  const ann = ownerOf('ann')
  const token = tokenOf(ann, 'a')
  await one.add(token, ann, 9)
  t.not(await two.find(token.id), undefined)
  await one.remove(ann, token.id)
  t.not(two.known(token.id), undefined, 'which is why the list of revocations tells it sooner')
  clock.advance(5000)
  t.equal(two.known(token.id), undefined)
  t.equal(await two.find(token.id), undefined)
})

await t.test(
  'in Redis, tokens go with their end, and nothing that could be used is there',
  async (t) => {
    const store = openRedis(t, 'ends:')
    const ann = ownerOf('ann')
    const made = makeToken(ann)
    await store.add({ ...tokenOf(ann, 'a'), id: made.id, hash: made.hash }, ann, 9)
    const key = `ends:tokens:${ownerKey(ann)}`
    const left = clock() + 90 * day - Date.now() - (await redis.client.pttl(key))
    t.ok(Math.abs(left) < day / 24, String(left))
    t.notMatch(JSON.stringify(await redis.client.hgetall(key)), made.text.slice(33, 76))
  },
)

await t.test('a file survives a crash in the middle of a line, and no other damage', async (t) => {
  const path = join(folder, 'crashed')
  const ann = ownerOf('ann')
  const token = tokenOf(ann, 'a')
  await openFile(t, path).add(token, ann, 9)
  t.equal(statSync(path).mode & 0o777, 0o600)
  const whole = readFileSync(path, 'utf8')
  for (const cut of [1, 20, whole.indexOf('\n') + 1, whole.indexOf('\n') + 9]) {
    writeFileSync(path, whole.slice(0, cut))
    const store = openFile(t, path)
    t.equal(await store.find(token.id), undefined, `cut after ${cut}`)
    t.same(await store.owners(), [])
    t.equal(await store.add(token, ann, 9), 'kept')
    t.not(await openFile(t, path).find(token.id), undefined)
  }
  for (const line of ['{"id":1}', '["token",{"id":"of nobody"}]', '["what"]', 'x']) {
    writeFileSync(path, whole)
    appendFileSync(path, `${line}\n`)
    t.throws(() => openFile(t, path), /tokens\.file .* can't be used: line 3 is no token/, line)
  }
  const damages = [
    ...([
      ['"exp":', '"exp":"1",'],
      ['"at":', '"at":1e999,"x":'],
    ] as const),
    ...([
      ['"provenAt":', '"provenAt":null,"x":'],
      ['"emailVerified":true', '"emailVerified":1'],
    ] as const),
    ...([
      ['"routes":[', '"routes":[7,'],
      ['"hash":"', '"hash":7,"x":"'],
      ['"user":', '"x":'],
    ] as const),
  ] as const
  const descriptors = () => readdirSync('/proc/self/fd').length
  const before = descriptors()
  for (const [words, damaged] of damages) {
    writeFileSync(path, whole.replace(words, damaged).replace(/"1",\d+/, '"1"'))
    t.throws(() => openFile(t, path), /line [12] is no token/, damaged)
  }
  t.equal(descriptors(), before, 'what is refused is closed')
  t.throws(() => openFile(t, join(folder, 'nowhere', 'tokens')), /there is no folder/)
})

await t.test(
  'a file takes no more than its bound, and is written anew when most of it is dead',
  async (t) => {
    const path = join(folder, 'bounded')
    const store = openFile(t, path, 2)
    const [ann, bob] = [ownerOf('ann'), ownerOf('bob')]
    const short = tokenOf(ann, 'a', day)
    await store.add(short, ann, 9)
    await store.add(tokenOf(bob, 'b'), bob, 9)
    t.equal(await store.add(tokenOf(bob, 'c'), bob, 9), 'full')
    clock.advance(day)
    t.equal(await store.add(tokenOf(bob, 'c'), bob, 9), 'kept', 'what has ended makes way')
    const lines = () => readFileSync(path, 'utf8').split('\n').length - 1
    for (let i = 1; i <= 1100; i++) await store.prove(bob, clock() + i * 3_600_000, undefined)
    t.ok(lines() > 1000)
    store.noteUse((await store.list(bob))[0]!.id, 1)
    await store.flush()
    t.ok(lines() < 10, `${lines()} lines`)
    t.equal((await openFile(t, path).list(bob)).length, 2)
  },
)

await t.test('a damaged token in Redis is none, and the store says so', async (t) => {
  const store = openRedis(t, 'damaged:')
  const ann = ownerOf('damaged')
  const token = tokenOf(ann, 'a')
  await store.add(token, ann, 9)
  const key = `damaged:tokens:${ownerKey(ann)}`
  const kept = await redis.client.hgetall(key)
  const damages = [
    ['owner', 'x'],
    ['owner', '[]'],
    ['proven', 'x'],
    [`t ${token.id}`, '{}'],
  ] as const
  for (const [field, damaged] of damages) {
    await redis.client.hset(key, { ...kept, [field]: damaged })
    await t.rejects(store.find(token.id), { code: 'ERR_STORE_UNAVAILABLE' }, `${field} ${damaged}`)
  }
  await t.rejects(store.list(ann), { code: 'ERR_STORE_UNAVAILABLE' })
  await redis.client.hset(key, kept)
  t.equal((await store.find(token.id))?.token.name, 'a')
})

await t.test('a text is a token only as a whole, and as it was spelled', async (t) => {
  const { text, id, hash } = makeToken(ownerOf('ann'))
  t.match(text, /^trac_pat_[A-Za-z0-9_-]{73}$/)
  t.same(readToken(text), { id, hash })
  const last = text.at(-1)
  const other = (at: number) =>
    text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
  const bad = [text.slice(0, -1), `${text}A`, `x${text}`, tokenPrefix, '', text.toUpperCase()]
  for (const one of [...bad, other(9), other(40), other(81)])
    t.equal(readToken(one), undefined, one)
  t.type(last, 'string')
  t.equal(new Set(Array.from({ length: 500 }, () => makeToken(ownerOf('ann')).id)).size, 500)
  t.not(ownerKey({ issuer: 'a', subject: 'b c' }), ownerKey({ issuer: 'a b', subject: 'c' }))
})
