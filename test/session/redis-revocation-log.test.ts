/** How sure a process may be that it knows what other replicas revoked. The clock is moved by hand, Redis is scripted. */
import { t } from '../fixtures/tap.js'
import { GatewayError } from '../../src/core/errors.js'
import type { RedisClient, RedisLink } from '../../src/session/redis-link.js'
import { RedisRevocationLog } from '../../src/session/redis-revocation-log.js'
import { createTimers } from '../fixtures/timers.js'

/** A stream of Redis with what other replicas write to it. */
function stage() {
  const timers = createTimers()
  const now = () => 1_700_000_000_000 + timers.monotonic()
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
    keys: () => {
      throw new Error('nobody looks at keys')
    },
    subscribe: (_channel, onMessage) => void (state.publish = onMessage),
    close: () => undefined,
  }
  const log = new RedisRevocationLog({
    link,
    now,
    timers,
    life: 86_400_000,
    onState: (reached) => void state.reached.push(reached),
  })
  log.start((line) => void state.learned.push(line))
  const write = (line: string) => {
    state.entries.push([`${now()}-${state.entries.length}`, ['e', line]])
  }
  /** Lets time pass in small steps, and after each of them what it began. */
  const pass = async (span: number): Promise<void> => {
    await new Promise(setImmediate)
    for (let left = span; left > 0; left -= 100) {
      timers.advance(Math.min(left, 100))
      await new Promise(setImmediate)
    }
  }
  return { timers, pass, state, log, write }
}

await t.test('what others write is read within a second, without anybody asking', async (t) => {
  const { pass, state, write } = stage()
  await pass(0)
  write('one')
  await pass(1000)
  t.ok(state.learned.includes('one'))
  t.ok(state.reads >= 3, 'and it is read again and again')
})

await t.test('a message on the channel is a reason to read at once', async (t) => {
  const { pass, state, write } = stage()
  await pass(0)
  write('one')
  state.publish()
  await pass(0)
  t.ok(state.learned.includes('one'))
})

await t.test(
  'a request waits for nothing while the last read is younger than a second',
  async (t) => {
    const { pass, log } = stage()
    await pass(0)
    t.equal(log.catchUp(), undefined)
    log.close()
    await pass(999)
    t.equal(log.catchUp(), undefined)
    await pass(1)
    t.ok(log.catchUp() instanceof Promise, 'then it has to read first')
  },
)

await t.test(
  'while Redis is away nobody is told that all is known, and few requests ask',
  async (t) => {
    const { pass, state, log } = stage()
    await pass(0)
    log.close()
    state.down = true
    await pass(1000)
    const before = state.reads
    await t.rejects(log.catchUp() ?? Promise.resolve(), { code: 'ERR_STORE_UNAVAILABLE' })
    await pass(299)
    await t.rejects(log.catchUp() ?? Promise.resolve(), { code: 'ERR_STORE_UNAVAILABLE' })
    t.equal(state.reads, before + 1, 'the second answer is the first one’s')
    await pass(1)
    await t.rejects(log.catchUp() ?? Promise.resolve(), { code: 'ERR_STORE_UNAVAILABLE' })
    t.equal(state.reads, before + 2)
    t.same(state.reached, [true, false, false])
  },
)

await t.test('requests that come together share one read', async (t) => {
  const { pass, state, log } = stage()
  await pass(0)
  log.close()
  await pass(1000)
  const before = state.reads
  await Promise.all([log.catchUp(), log.catchUp(), log.catchUp()])
  t.equal(state.reads, before + 1)
})

await t.test('a closed log sets no more timers', async (t) => {
  const { timers, pass, log } = stage()
  await pass(0)
  t.equal(timers.waiting, 1)
  log.close()
  t.equal(timers.waiting, 0)
})
