/** Discovery: who asks when, and what serves meanwhile. */
import { t } from '../fixtures/tap.js'
import { createEndpointFinder } from '../../src/oidc/provider-endpoints.js'

const issuer = 'https://idp.example'
const document = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/keys`,
}

/** A finder at a provider that can be down, with its clock. */
function open() {
  const state = { now: 1_000_000_000, isDown: false, asked: 0, endpoint: document.token_endpoint }
  const find = createEndpointFinder({
    issuer,
    cognitoDomain: undefined,
    insecure: false,
    fetch: () => {
      state.asked++
      return state.isDown
        ? Promise.reject(new Error('down'))
        : Promise.resolve(Response.json({ ...document, token_endpoint: state.endpoint }))
    },
    now: () => state.now,
    random: () => 0.5,
  })
  const settled = () => new Promise(setImmediate)
  return Object.assign(state, {
    find,
    /** What is found now; a question that it leads to is answered before this resolves. */
    async token() {
      const { token } = await find()
      await settled()
      return token
    },
  })
}

await t.test('one that fails later is tried after 2 s, twice as late each time', async (t) => {
  const state = open()
  const first = await state.token()
  state.now += 3_600_000
  state.isDown = true
  let asked = 1
  // With jitter of up to a quarter, and half a minute at most.
  for (const wait of [2250, 4500, 9000, 18_000, 30_000, 30_000]) {
    t.equal(await state.token(), first, 'what was known serves')
    t.equal(state.asked, ++asked)
    state.now += wait - 1
    await state.token()
    t.equal(state.asked, asked, `not before ${wait} ms`)
    state.now += 1
  }
  state.isDown = false
  state.endpoint = `${issuer}/token-2`
  t.equal(await state.token(), first, 'nobody waits for the answer')
  t.equal(await state.token(), state.endpoint)
  state.now += 3_599_999
  await state.token()
  t.equal(state.asked, asked + 1, 'and then it is known for an hour')
})

await t.test(
  'one that never worked is tried by whoever needs it, once for all at a time',
  async (t) => {
    const state = open()
    state.isDown = true
    const asked = await Promise.allSettled([state.find(), state.find(), state.find()])
    t.same(new Set(asked.map(({ status }) => status)), new Set(['rejected']))
    t.equal(state.asked, 1)
    state.isDown = false
    t.equal(await state.token(), state.endpoint, 'the failure is no answer to keep')
    t.equal(state.asked, 2)
  },
)

await t.test('a provider is asked for what it knows to have somebody asked', async (t) => {
  const google = 'https://accounts.google.com'
  const cases = [
    [{}, 'login'],
    [{ prompt_values_supported: ['none', 'login', 'consent', 'select_account'] }, 'login'],
    [{ prompt_values_supported: ['none', 'consent', 'select_account'] }, 'select_account'],
    // It knows neither: then it may at least refuse, and nobody is signed in unasked.
    [{ prompt_values_supported: ['none'] }, 'login'],
    [{ prompt_values_supported: 'none select_account' }, 'login'],
    [{ issuer: google }, 'select_account'],
  ] as const
  for (const [changes, wanted] of cases) {
    const answer = { ...document, ...changes }
    const find = createEndpointFinder({
      issuer: answer.issuer,
      cognitoDomain: undefined,
      insecure: false,
      fetch: () => Promise.resolve(Response.json(answer)),
      now: () => 0,
      random: () => 0.5,
    })
    t.equal((await find()).askingPrompt, wanted, JSON.stringify(changes))
  }
})
