/** Sessions over the cookie store, as two processes without a common memory see them. */
import { t } from '../fixtures/tap.js'
import { GatewayError } from '../../src/core/errors.js'
import { CookieStore } from '../../src/session/cookie-store.js'
import type { OpenSession } from '../../src/session/open-session.js'
import { Revocations } from '../../src/session/revocations.js'
import { createSealer } from '../../src/session/sealer.js'
import { Sessions } from '../../src/session/sessions.js'
import type { FoundSession, SessionOptions } from '../../src/session/sessions.js'
import { RotatingProvider, minute, sealContext } from '../fixtures/rotating-provider.js'
import { createTimers } from '../fixtures/timers.js'

/** A provider, and processes that share its sessions. */
function stage() {
  const state = new RotatingProvider(1_700_000_000_000)
  const process = (more: Partial<SessionOptions> = {}) =>
    new Sessions({
      ...state.options(),
      store: new CookieStore(createSealer('session', sealContext)),
      revocations: new Revocations(() => state.now, 86_400_000, undefined),
      ...more,
    })
  return { state, process, signIn: state.signIn() }
}

function opened(found: FoundSession): OpenSession {
  if (found.session === undefined) throw new Error(found.reason)
  return found.session
}

await t.test('the loser of a race serves, and writes and deletes nothing', async (t) => {
  const { state, process, signIn } = stage()
  const [one, two] = [process(), process()]
  const first = await one.begin(signIn)
  state.now += 50 * minute
  const winner = await one.find(first.value)
  t.equal(winner.session !== undefined && winner.fresh, true)
  const loser = await two.find(first.value)
  t.equal(loser.session !== undefined && loser.fresh, false, 'served with what it has')
  t.equal(opened(loser).final, true)
  t.equal(state.exchanges, 2)
  state.now += 11 * minute
  t.match(await two.find(first.value), { session: undefined, reason: 'final' })
  t.equal(opened(await two.find(opened(winner).value)).record.version, 2, 'the winner’s goes on')
  t.equal(state.exchanges, 2, 'and the provider is left alone')
})

await t.test('a warm request needs no promise', async (t) => {
  const { process, signIn } = stage()
  const sessions = process()
  const session = await sessions.begin(signIn)
  const resolved = sessions.find(session.value)
  t.notOk(resolved instanceof Promise)
  t.match(resolved, { fresh: false })
})

await t.test('nobody waits longer than five seconds for a sibling’s exchange', async (t) => {
  const { state, process, signIn } = stage()
  const timers = createTimers()
  const sessions = process({ timers })
  const { value } = await sessions.begin(signIn)
  const find = () => Promise.resolve(sessions.find(value))
  state.now += 50 * minute
  const release = state.hold()
  const first = find()
  const sibling = find()
  await Promise.resolve()
  timers.advance(5000)
  const served = await sibling
  t.match(served, { session: { record: { version: 1 } }, fresh: false }, 'its tokens live')
  t.match(await find(), { session: { record: { version: 1 } } }, 'the next one need not wait')
  state.now += 11 * minute
  const outcomes: unknown[] = []
  for (let i = 0; i < 3; i++) find().catch((error: unknown) => outcomes.push(error))
  await new Promise(setImmediate)
  timers.advance(4999)
  await new Promise(setImmediate)
  t.same(outcomes, [])
  timers.advance(1)
  await new Promise(setImmediate)
  t.equal(outcomes.length, 3)
  for (const outcome of outcomes) {
    t.match(outcome, { code: 'ERR_SESSION_BUSY', status: 503, details: { retryAfter: 2 } })
  }
  release()
  t.equal(opened(await first).record.version, 2, 'who asked the provider gets its answer')
  t.equal(opened(await find()).record.version, 2)
  t.equal(state.exchanges, 1)
  t.equal(timers.waiting, 0)
})

await t.test('an older copy gets the newest one, whichever order they come in', async (t) => {
  const { state, process, signIn } = stage()
  const sessions = process()
  const copies = [await sessions.begin(signIn)]
  for (let i = 0; i < 3; i++) {
    state.now += 50 * minute
    copies.push(opened(await sessions.find(copies.at(-1)!.value)))
  }
  t.same(
    copies.map(({ record }) => record.version),
    [1, 2, 3, 4],
  )
  for (const copy of copies) {
    const resolved = await sessions.find(copy.value)
    t.equal(opened(resolved).value, copies[3]!.value)
  }
  t.equal(state.exchanges, 3)
})

await t.test('identifiers of the sign-in stay, of its tokens the last few', async (t) => {
  const { state, process, signIn } = stage()
  const sessions = process()
  let session = await sessions.begin(signIn)
  for (let i = 0; i < 12; i++) {
    state.now += 50 * minute
    session = opened(await sessions.find(session.value))
  }
  t.same(session.record.tokenIds, ['origin_jti o1', 'jti j9', 'jti j10', 'jti j11', 'jti j12'])
})

await t.test('a name that the configuration refuses by now ends the session', async (t) => {
  const { process, signIn } = stage()
  const session = await process().begin(signIn)
  const strict = process({
    toPrincipal: () => {
      throw new GatewayError('ERR_NAME_REFUSED')
    },
  })
  t.match(await strict.find(session.value), { session: undefined, reason: 'ended' })
  t.equal(await strict.peek(session.value), undefined)
})

await t.test('a store that cannot be reached is no missing session', async (t) => {
  const { process } = stage()
  const down = () => Promise.reject(new GatewayError('ERR_STORE_UNAVAILABLE'))
  const store = new CookieStore(createSealer('session', sealContext))
  const sessions = process({
    store: Object.assign(store, { read: down, write: down, remove: down }),
  })
  await t.rejects(Promise.resolve(sessions.find('x')), { code: 'ERR_STORE_UNAVAILABLE' })
})

await t.test('jitter spreads renewals around the chosen part of the life', async (t) => {
  const { state, process, signIn } = stage()
  const at = async (random: number) => {
    const session = await process({ random: () => random }).begin(signIn)
    return (session.record.renewAt - state.now) / (60 * minute)
  }
  const [early, middle, late] = [await at(0), await at(0.5), await at(0.999)]
  t.ok(early < middle && middle < late)
  t.ok(early >= 0.7 && late <= 0.8, `${early} to ${late}`)
})
