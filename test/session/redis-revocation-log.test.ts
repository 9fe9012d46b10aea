/** How sure a process may be that it knows what other replicas revoked. The clock is moved by hand, Redis is scripted. */
import t from 'tap'
import { GatewayError } from '../../src/core/errors.js'
import type { RedisClient, RedisLink } from '../../src/session/redis-link.js'
import { RedisRevocationLog } from '../../src/session/redis-revocation-log.js'
import { ManualClock } from '../fixtures/manual-clock.js'

/** A stream of Redis with what other replicas write to it. */
function stage() {
  const clock = new ManualClock()
  const state = {
    entries: [] as [string, string[]][],
    reads: 0,
    down: false,
    /** What is published on the channel. */
    publish: () => {},
    learned: [] as string[],
    reached: [] as boolean[],
  }
  const client = {
    xrange: (_key: string, start: string) => {
      const from = start === '-' ? '' : start.replace('(', '')
      return Promise.resolve(state.entries.filter(([id]) => id >= from))
    },
  }
  const link: RedisLink = {
    prefix: 'trac-gateway:test:',
    client: client as unknown as RedisClient,
    isReady: () => !state.down,
    ask: (work) => {
      state.reads++
      return state.down
        ? Promise.reject(new GatewayError('ERR_STORE_UNAVAILABLE'))
        : work(client as unknown as RedisClient)
    },
    subscribe: (_channel, onMessage) => void (state.publish = onMessage),
    close: () => undefined,
  }
  const log = new RedisRevocationLog({
    link,
    now: clock.now,
    timers: clock,
    life: 86_400_000,
    onState: (reached) => void state.reached.push(reached),
  })
  log.start((line) => void state.learned.push(line))
  const write = (line: string) => {
    state.entries.push([`${clock.now()}-${state.entries.length}`, ['e', line]])
  }
  return { clock, state, log, write }
}

await t.test('what others write is read within a second, without anybody asking', async (t) => {
  const { clock, state, write } = stage()
  await clock.advance(0)
  write('one')
  await clock.advance(1000)
  t.ok(state.learned.includes('one'))
  t.ok(state.reads >= 3, 'and it is read again and again')
})

await t.test('a message on the channel is a reason to read at once', async (t) => {
  const { clock, state, write } = stage()
  await clock.advance(0)
  write('one')
  state.publish()
  await clock.advance(0)
  t.ok(state.learned.includes('one'))
})

await t.test(
  'a request waits for nothing while the last read is younger than a second',
  async (t) => {
    const { clock, log } = stage()
    await clock.advance(0)
    t.equal(log.catchUp(), undefined)
    log.close()
    await clock.advance(999)
    t.equal(log.catchUp(), undefined)
    await clock.advance(1)
    t.ok(log.catchUp() instanceof Promise, 'then it has to read first')
  },
)

await t.test(
  'while Redis is away nobody is told that all is known, and few requests ask',
  async (t) => {
    const { clock, state, log } = stage()
    await clock.advance(0)
    log.close()
    state.down = true
    await clock.advance(1000)
    const before = state.reads
    await t.rejects(log.catchUp() ?? Promise.resolve(), { code: 'ERR_STORE_UNAVAILABLE' })
    await clock.advance(299)
    await t.rejects(log.catchUp() ?? Promise.resolve(), { code: 'ERR_STORE_UNAVAILABLE' })
    t.equal(state.reads, before + 1, 'the second answer is the first one’s')
    await clock.advance(1)
    await t.rejects(log.catchUp() ?? Promise.resolve(), { code: 'ERR_STORE_UNAVAILABLE' })
    t.equal(state.reads, before + 2)
    t.same(state.reached, [true, false, false])
  },
)

await t.test('requests that come together share one read', async (t) => {
  const { clock, state, log } = stage()
  await clock.advance(0)
  log.close()
  await clock.advance(1000)
  const before = state.reads
  await Promise.all([log.catchUp(), log.catchUp(), log.catchUp()])
  t.equal(state.reads, before + 1)
})

await t.test('a closed log sets no more timers', async (t) => {
  const { clock, log } = stage()
  await clock.advance(0)
  t.equal(clock.pending, 1)
  log.close()
  t.equal(clock.pending, 0)
})
