/** Sessions over the cookie store, as two processes without a common memory see them. */
import t from 'tap'
import { GatewayError } from '../../src/core/errors.js'
import type { Principal, Profile } from '../../src/core/identity.js'
import { createRevocations } from '../../src/session/revocations.js'
import { createSealer } from '../../src/session/seal.js'
import { createSessionMemory } from '../../src/session/memory.js'
import { createSessions } from '../../src/session/sessions.js'
import type { Resolved, SessionOptions } from '../../src/session/sessions.js'
import type { OpenSession } from '../../src/session/session-cache.js'
import { createCookieStore } from '../../src/session/store.js'

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
const sealContext = {
  secrets: ['s'.repeat(32)],
  publicUrl: 'https://trac.example.edu',
  issuer: 'https://idp.example.edu',
  clientId: 'trac',
}

/** A provider that rotates refresh tokens without grace, and processes that share its sessions. */
function stage() {
  const state = { now: 1_700_000_000_000, exchanges: 0, live: 'refresh-0' }
  const renew: SessionOptions['renew'] = async (refreshToken) => {
    state.exchanges++
    await Promise.resolve()
    if (refreshToken !== state.live) throw new GatewayError('ERR_REFRESH_REFUSED')
    state.live = `refresh-${state.exchanges}`
    return {
      profile,
      ids: [`jti j${state.exchanges}`, 'origin_jti o1'],
      refreshToken: state.live,
      accessToken: 'access',
      expiresAt: state.now + 60 * minute,
    }
  }
  const process = (more: Partial<SessionOptions> = {}) =>
    createSessions({
      store: createCookieStore(createSealer('session', sealContext)),
      memory: createSessionMemory(() => state.now),
      revocations: createRevocations(() => state.now, 86_400_000, undefined),
      toPrincipal: ({ username }) => ({ user: username }) as Principal,
      renew,
      now: () => state.now,
      random: () => 0.5,
      issuer: sealContext.issuer,
      idleTimeout: 8 * 60 * minute,
      maxAge: 7 * 24 * 60 * minute,
      renewAt: 0.75,
      keepAccessToken: false,
      onRenewal: () => undefined,
      ...more,
    })
  const signIn = {
    profile,
    identifiers: {
      issuer: '',
      ids: ['jti j0', 'origin_jti o1'],
      subject: 'sub-1',
      namesSignIn: true,
      since: state.now,
    },
    refreshToken: 'refresh-0',
    accessToken: 'access',
    expiresAt: state.now + 60 * minute,
  }
  return { state, process, signIn }
}
function opened(resolved: Resolved): OpenSession {
  if (resolved.session === undefined) throw new Error(resolved.reason)
  return resolved.session
}

await t.test('the loser of a race serves, and writes and deletes nothing', async (t) => {
  const { state, process, signIn } = stage()
  const [one, two] = [process(), process()]
  const first = await one.begin(signIn)
  state.now += 50 * minute
  const winner = await one.resolve(first.value)
  t.equal(winner.session !== undefined && winner.fresh, true)
  const loser = await two.resolve(first.value)
  t.equal(loser.session !== undefined && loser.fresh, false, 'served with what it has')
  t.equal(opened(loser).final, true)
  t.equal(state.exchanges, 2)
  state.now += 11 * minute
  t.match(await two.resolve(first.value), { session: undefined, reason: 'final' })
  t.equal(opened(await two.resolve(opened(winner).value)).record.v, 2, 'the winner’s goes on')
  t.equal(state.exchanges, 2, 'and the provider is left alone')
})

await t.test('a warm request needs no promise', async (t) => {
  const { process, signIn } = stage()
  const sessions = process()
  const session = await sessions.begin(signIn)
  const resolved = sessions.resolve(session.value)
  t.notOk(resolved instanceof Promise)
  t.match(resolved, { fresh: false })
})

await t.test('an older copy gets the newest one, whichever order they come in', async (t) => {
  const { state, process, signIn } = stage()
  const sessions = process()
  const copies = [await sessions.begin(signIn)]
  for (let i = 0; i < 3; i++) {
    state.now += 50 * minute
    copies.push(opened(await sessions.resolve(copies.at(-1)!.value)))
  }
  t.same(
    copies.map(({ record }) => record.v),
    [1, 2, 3, 4],
  )
  for (const copy of copies) {
    const resolved = await sessions.resolve(copy.value)
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
    session = opened(await sessions.resolve(session.value))
  }
  t.same(session.record.ids, ['origin_jti o1', 'jti j9', 'jti j10', 'jti j11', 'jti j12'])
})

await t.test('a name that the configuration refuses by now ends the session', async (t) => {
  const { process, signIn } = stage()
  const session = await process().begin(signIn)
  const strict = process({
    toPrincipal: () => {
      throw new GatewayError('ERR_NAME_REFUSED')
    },
  })
  t.match(await strict.resolve(session.value), { session: undefined, reason: 'ended' })
  t.equal(await strict.peek(session.value), undefined)
})

await t.test('a store that cannot be reached is no missing session', async (t) => {
  const { process } = stage()
  const down = () => Promise.reject(new GatewayError('ERR_STORE_UNAVAILABLE'))
  const store = createCookieStore(createSealer('session', sealContext))
  const sessions = process({ store: { ...store, open: down, write: down, remove: down } })
  await t.rejects(Promise.resolve(sessions.resolve('x')), { code: 'ERR_STORE_UNAVAILABLE' })
})

await t.test('jitter spreads renewals around the chosen part of the life', async (t) => {
  const { state, process, signIn } = stage()
  const at = async (random: number) => {
    const session = await process({ random: () => random }).begin(signIn)
    return (session.record.renew * 1000 - state.now) / (60 * minute)
  }
  const [early, middle, late] = [await at(0), await at(0.5), await at(0.999)]
  t.ok(early < middle && middle < late)
  t.ok(early >= 0.7 && late <= 0.8, `${early} to ${late}`)
})
