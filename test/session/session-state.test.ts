/** Which state a session is in, and which one follows. */
import { t } from '../fixtures/tap.js'
import type { Principal } from '../../src/core/identity.js'
import { CookieStore } from '../../src/session/cookie-store.js'
import type { OpenSession } from '../../src/session/open-session.js'
import { Revocations } from '../../src/session/revocations.js'
import { createSealer } from '../../src/session/sealer.js'
import type { SessionRecord } from '../../src/session/session-record.js'
import { SessionStates } from '../../src/session/session-state.js'
import { Sessions } from '../../src/session/sessions.js'
import { RotatingProvider, limits, minute, sealContext } from '../fixtures/rotating-provider.js'

/** A session that has just begun, whose tokens live for an hour, and who tells its state. */
async function begun() {
  const provider = new RotatingProvider(1_700_000_000_000)
  const options = provider.options()
  const revocations = new Revocations(options.now, 24 * 60 * minute, undefined)
  const store = new CookieStore(createSealer('session', sealContext))
  const sessions = new Sessions({ ...options, store, revocations })
  const session = await sessions.begin(provider.signIn())
  const states = new SessionStates({ ...options, revocations })
  /** The state after so many minutes of a session like it, with some facts changed. */
  const after = (
    minutes: number,
    record: Partial<SessionRecord> = {},
    facts: Partial<OpenSession> = {},
  ) => {
    provider.now = session.record.startedAt + minutes * minute
    return states.of({ ...session, ...facts, record: { ...session.record, ...record } })
  }
  return { session, revocations, after }
}

await t.test(
  'a session is live until it is marked, and due when three quarters of its tokens are over',
  async (t) => {
    const { session, after } = await begun()
    t.equal(session.record.renewAt, session.record.startedAt + 45 * minute)
    t.equal(after(0), 'live')
    t.equal(after(44.9), 'live')
    t.equal(after(45), 'due')
    t.equal(after(61), 'due')
  },
)

await t.test('use is to be written down once a tenth of the idle time is over', async (t) => {
  const { session, after } = await begun()
  const renewAt = session.record.startedAt + 10 * 60 * minute
  t.equal(after(48, { renewAt }), 'live')
  t.equal(after(48.1, { renewAt }), 'unmarked')
})

await t.test(
  'after a failed renewal the tokens serve until the next try, and who has none waits for it',
  async (t) => {
    const { session, after } = await begun()
    const retryAt = session.record.startedAt + 70 * minute
    t.equal(after(50, {}, { retryAt }), 'waiting')
    t.equal(after(60, {}, { retryAt }), 'held', 'tokens that ended are not tried for, either')
    t.equal(after(70, {}, { retryAt }), 'due')
    t.equal(after(50, {}, { retryAt: session.record.startedAt + 49 * minute }), 'due')
  },
)

await t.test(
  'a session that cannot be renewed is final while its tokens live, then spent',
  async (t) => {
    const { after } = await begun()
    for (const [record, facts] of [
      [{}, { final: true }],
      [{ refreshToken: undefined }, {}],
    ] as const) {
      t.equal(after(44, record, facts), 'live')
      t.equal(after(45, record, facts), 'final')
      t.equal(after(59.9, record, facts), 'final')
      t.equal(after(60, record, facts), 'spent')
    }
  },
)

await t.test('a session left idle, or of the greatest age, has ended', async (t) => {
  const { session, after } = await begun()
  const idle = limits.idleTimeout / minute
  const greatest = limits.maxAge / minute
  const usedAt = session.record.startedAt + limits.maxAge
  t.equal(after(idle - 1), 'due')
  t.equal(after(idle), 'ended')
  t.equal(after(greatest - 1, { usedAt }), 'due')
  t.equal(after(greatest, { usedAt }), 'ended')
})

await t.test('a revocation ends a session whichever state it is in', async (t) => {
  for (const minutes of [0, 45, 60]) {
    const { session, revocations, after } = await begun()
    await revocations.endId(session.record.id, session.record.startedAt + limits.maxAge)
    t.equal(after(minutes), 'ended', `after ${minutes} minutes`)
  }
  const { revocations, after } = await begun()
  await revocations.endUser('ALICE', 0)
  const identity = { principal: { user: 'alice' } as Principal } as OpenSession['identity']
  t.equal(after(1, {}, { identity }), 'ended', 'by the name of its user')
})
