/** Two tokens never share an identity, however alike and however close in time (CVE-2026-71326, GHSA-rp9m-7r4c-75qg, CVE-2026-33496). */
import { t } from '../fixtures/tap.js'
import { createBearer, presented } from '../../src/authenticate/bearer.js'
import type { Principal } from '../../src/core/identity.js'

/** A bearer over tokens whose verification ends when the test says so. */
function stage() {
  const waiting: (() => void)[] = []
  const state = { now: 1000, keys: 0, revocations: 0, admitted: 0, revoked: new Set<string>() }
  const bearer = createBearer<string>({
    admit: async (token) => {
      state.admitted++
      await new Promise<void>((resolve) => waiting.push(resolve))
      if (token.includes('bad')) throw new Error('bad')
      const principal = { user: `user of ${token}` } as Principal
      return { principal, identifiers: token, expiresAt: 2000 }
    },
    settle: (principal) => principal,
    isRevoked: (token) => state.revoked.has(token),
    revocationGeneration: () => state.revocations,
    keyGeneration: () => state.keys,
    now: () => state.now,
    onVerified: () => undefined,
    badTokens: { check: () => undefined, count: () => undefined },
  })
  const release = () => {
    // Last in, first out, so that answers come in another order than questions.
    for (const resolve of waiting.splice(0).toReversed()) resolve()
  }
  const userOf = async (token: string) => (await bearer(presented(token), '127.0.0.1').known).user
  return { state, bearer, release, userOf }
}

await t.test('identities never cross in a hundred thousand interleavings', async (t) => {
  const { state, bearer, release } = stage()
  const prefix = 'x'.repeat(400)
  const suffix = 'y'.repeat(400)
  const tokens = Array.from(
    { length: 50 },
    (_, i) => `${prefix}${String(i).padStart(3, '0')}${suffix}`,
  )
  let seed = 7
  let crossed = 0
  for (let round = 0; round < 1000; round++) {
    if (round % 3 === 0) state.keys++
    const asked = Array.from({ length: 100 }, async () => {
      seed = (seed * 48_271) % 2_147_483_647
      const token = tokens[seed % tokens.length]!
      const { known } = bearer(presented(token), '127.0.0.1')
      if ((await known).user !== `user of ${token}`) crossed++
    })
    release()
    await Promise.all(asked)
  }
  t.equal(crossed, 0)
  t.ok(state.admitted <= 50 * 334, 'and each is verified once for each key set')
})

await t.test('requests that bring the same token at once share its verification', async (t) => {
  const { state, release, userOf } = stage()
  const asked = Array.from({ length: 20 }, () => userOf('token'))
  release()
  t.same(new Set(await Promise.all(asked)), new Set(['user of token']))
  t.equal(state.admitted, 1)
})

await t.test('a token that failed is not remembered, neither as good nor as bad', async (t) => {
  const { state, release, userOf } = stage()
  for (let i = 1; i <= 3; i++) {
    const asked = userOf('bad')
    release()
    await t.rejects(asked)
    t.equal(state.admitted, i)
  }
})

await t.test('an entry ends with its token, with its keys and by revocation', async (t) => {
  const { state, bearer, release, userOf } = stage()
  const ask = async () => {
    const asked = userOf('token')
    release()
    return await asked
  }
  await ask()
  t.equal(bearer(presented('token'), '127.0.0.1').hit, true)
  state.keys++
  t.equal(bearer(presented('token'), '127.0.0.1').hit, false, 'other keys')
  release()
  await ask()
  state.revocations++
  t.equal(bearer(presented('token'), '127.0.0.1').hit, true)
  state.revoked.add('token')
  state.revocations++
  t.throws(() => bearer(presented('token'), '127.0.0.1'), { code: 'ERR_TOKEN_REVOKED' })
  state.revoked.clear()
  state.revocations++
  t.equal(bearer(presented('token'), '127.0.0.1').hit, true)
  state.now = 2000
  t.equal(bearer(presented('token'), '127.0.0.1').hit, false, 'expired')
  release()
  await ask()
  t.equal(bearer(presented('token'), '127.0.0.1').hit, false, 'and what is over is not kept again')
  release()
})

await t.test('a token revoked while it was being verified is refused', async (t) => {
  const { state, release, userOf } = stage()
  const asked = userOf('token')
  state.revoked.add('token')
  state.revocations++
  release()
  await t.rejects(asked, { code: 'ERR_TOKEN_REVOKED' })
})
