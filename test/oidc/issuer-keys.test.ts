/** Which keys of a key set verify anything, and when the set is fetched. */
import { t } from '../fixtures/tap.js'
import type { GatewayError } from '../../src/core/errors.js'
import { IssuerKeys } from '../../src/oidc/issuer-keys.js'
import type { KeyOptions } from '../../src/oidc/issuer-keys.js'
import {
  createScriptedCurveKey,
  createScriptedKey,
  type Jwk,
  type ScriptedKey,
} from '../fixtures/scripted-keys.js'

const [first, second, third] = await Promise.all(
  ['one', 'two', 'three'].map((kid) => createScriptedKey(kid)),
)
const weak = await createScriptedKey('weak', 1024)
const curve = await createScriptedCurveKey('curve')

/** A source over whatever `answer` gives, with its clock and what it was told. */
function source(answer: () => unknown, more: Partial<KeyOptions> = {}) {
  const state = { now: 1_000_000_000, fetches: 0, results: [] as string[] }
  const keys = new IssuerKeys({
    jwksUri: () => Promise.resolve('https://idp.example/keys'),
    algorithms: ['RS256', 'ES256'],
    maxAge: 3_600_000,
    coolDown: 30_000,
    fetch: async () => {
      state.fetches++
      const body = await answer()
      return body instanceof Response ? body : Response.json(body)
    },
    now: () => state.now,
    onFetch: (result) => state.results.push(result),
    ...more,
  })
  return Object.assign(state, { keys })
}

const listing = (...keys: readonly (ScriptedKey | Jwk)[]) => ({
  keys: keys.map((key) => ('publicJwk' in key ? key.publicJwk : key)),
})
const padded = ({ n }: Jwk) =>
  Buffer.concat([Buffer.alloc(256), Buffer.from(String(n), 'base64url')]).toString('base64url')
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'found',
    (error: GatewayError) => error.code,
  )

await t.test('only strong keys meant for signatures verify anything', async (t) => {
  const secret = { kty: 'oct', kid: 'oct', k: 'c2VjcmV0', alg: 'HS256' }
  const cases: readonly (readonly [string, Jwk, string, string])[] = [
    ['a usual key', first!.publicJwk, 'RS256', 'found'],
    ['a curve key', curve.publicJwk, 'ES256', 'found'],
    ['a key without alg', { ...second!.publicJwk, alg: undefined }, 'RS256', 'found'],
    ['a key without use', { ...second!.publicJwk, use: undefined }, 'RS256', 'found'],
    [
      'a weak key with zeros in front',
      { ...weak.publicJwk, n: padded(weak.publicJwk) },
      'RS256',
      'ERR_TOKEN_KEY_UNKNOWN',
    ],
    ['a weak key', weak.publicJwk, 'RS256', 'ERR_TOKEN_KEY_UNKNOWN'],
    [
      'a key for encryption',
      { ...second!.publicJwk, use: 'enc' },
      'RS256',
      'ERR_TOKEN_KEY_UNKNOWN',
    ],
    [
      'a key for other operations',
      { ...second!.publicJwk, key_ops: ['encrypt'] },
      'RS256',
      'ERR_TOKEN_KEY_UNKNOWN',
    ],
    [
      'a key whose operations are no list',
      { ...second!.publicJwk, key_ops: 7 },
      'RS256',
      'ERR_TOKEN_KEY_UNKNOWN',
    ],
    ['a shared secret', secret, 'HS256', 'ERR_TOKEN_KEY_UNKNOWN'],
    [
      'a key for an algorithm not allowed',
      { ...second!.publicJwk, alg: 'RS512' },
      'RS512',
      'ERR_TOKEN_KEY_UNKNOWN',
    ],
    ['a key used with another algorithm', first!.publicJwk, 'RS512', 'ERR_TOKEN_ALGORITHM'],
    ['a curve key used as RSA', curve.publicJwk, 'RS256', 'ERR_TOKEN_ALGORITHM'],
    ['a key of no known kind', { kty: 'XYZ', kid: 'xyz' }, 'RS256', 'ERR_TOKEN_KEY_UNKNOWN'],
    [
      'a key without kid',
      { ...second!.publicJwk, kid: undefined },
      'RS256',
      'ERR_TOKEN_KEY_UNKNOWN',
    ],
  ]
  for (const [what, jwk, alg, expected] of cases) {
    const { keys } = source(() => listing(third!, jwk))
    const kid = typeof jwk['kid'] === 'string' ? jwk['kid'] : ''
    t.equal(await codeOf(keys.find({ kid, alg })), expected, what)
    t.equal(await codeOf(keys.find({ kid: 'three', alg: 'RS256' })), 'found', `beside ${what}`)
  }
})

await t.test('a key that cannot be read leaves the others alone', async (t) => {
  for (const broken of [
    { kty: 'RSA', kid: 'one', n: 'A'.repeat(400), e: 'AQAB' },
    { kty: 'RSA', kid: 'one', n: 7, e: 'AQAB' },
    { kty: 'RSA', kid: 'one', n: 'A'.repeat(400) },
    { kty: 'EC', kid: 'one', crv: 'P-256', x: 'AA', y: 'AA' },
    null,
    'one',
    [],
  ]) {
    const { keys } = source(() => ({ keys: [broken, second!.publicJwk] }))
    t.equal(await codeOf(keys.find({ kid: 'two', alg: 'RS256' })), 'found', JSON.stringify(broken))
    t.equal(await codeOf(keys.find({ kid: 'one', alg: 'RS256' })), 'ERR_TOKEN_KEY_UNKNOWN')
  }
})

await t.test('a kid that comes twice is nobody’s', async (t) => {
  const twin = { ...second!.publicJwk, kid: 'one' }
  const { keys } = source(() => listing(first!, twin, third!))
  t.equal(await codeOf(keys.find({ kid: 'one', alg: 'RS256' })), 'ERR_TOKEN_KEY_UNKNOWN')
  t.equal(await codeOf(keys.find({ kid: 'three', alg: 'RS256' })), 'found')
  const shadow = source(() => listing(first!, { ...weak.publicJwk, kid: 'one' }, third!))
  t.equal(await codeOf(shadow.keys.find({ kid: 'one', alg: 'RS256' })), 'ERR_TOKEN_KEY_UNKNOWN')
})

await t.test('a hundred keys are read and no more', async (t) => {
  const many = Array.from({ length: 99 }, (_, i) => ({ ...second!.publicJwk, kid: `k${i}` }))
  const { keys } = source(() => listing(...many, first!, third!))
  t.equal(await codeOf(keys.find({ kid: 'one', alg: 'RS256' })), 'found')
  t.equal(await codeOf(keys.find({ kid: 'three', alg: 'RS256' })), 'ERR_TOKEN_KEY_UNKNOWN')
})

await t.test('what is no key set leaves what is known', async (t) => {
  const answers = [
    () => new Response('', { status: 500 }),
    () => new Response('<h1>', { status: 200 }),
    () => new Response(''),
    () => ({}),
    () => [],
    () => ({ keys: {} }),
    () => listing(),
    () => listing(weak),
    () => Promise.reject(new Error('down')),
  ]
  for (const answer of answers) {
    let next: () => unknown = () => listing(first!)
    const state = source(() => next())
    await state.keys.refresh()
    const { generation, fetchedAt } = state.keys
    next = answer
    state.now += 31_000
    t.equal(await codeOf(state.keys.find({ kid: 'one', alg: 'RS256' })), 'found', String(answer))
    await state.keys.refresh()
    t.equal(await codeOf(state.keys.find({ kid: 'one', alg: 'RS256' })), 'found')
    t.same([state.keys.generation, state.keys.fetchedAt], [generation, fetchedAt])
    t.same(state.results, ['ok', 'failed'])
  }
})

await t.test('no key at all is the provider’s fault, not the token’s', async (t) => {
  for (const answer of [() => Promise.reject(new Error('down')), () => new Response('')]) {
    const { keys, results } = source(answer)
    t.equal(await codeOf(keys.find({ kid: 'one', alg: 'RS256' })), 'ERR_PROVIDER_UNAVAILABLE')
    t.same(results, ['failed'])
  }
})

await t.test('those who ask at the same time share one fetch', async (t) => {
  let answer: (keys: unknown) => void = () => undefined
  const state = source(() => new Promise((resolve) => (answer = resolve)))
  const asked = Array.from({ length: 50 }, (_, i) =>
    codeOf(state.keys.find({ kid: i % 2 === 0 ? 'one' : `made-up-${i}`, alg: 'RS256' })),
  )
  await new Promise(setImmediate)
  answer(listing(first!))
  const codes = await Promise.all(asked)
  t.equal(state.fetches, 1)
  t.equal(codes.filter((code) => code === 'found').length, 25)
})

await t.test('an unknown kid is looked for once a cool-down', async (t) => {
  const state = source(() => listing(first!))
  const steps: readonly (readonly [number, number])[] = [
    [0, 1],
    [0, 1],
    [29_999, 1],
    [2, 2],
    [0, 2],
    [30_001, 3],
  ]
  for (const [wait, fetches] of steps) {
    state.now += wait
    t.equal(await codeOf(state.keys.find({ kid: 'x', alg: 'RS256' })), 'ERR_TOKEN_KEY_UNKNOWN')
    t.equal(state.fetches, fetches)
  }
})

await t.test('an old set is fetched behind the back of whoever asks', async (t) => {
  let hang = false
  const state = source(() => (hang ? new Promise(() => undefined) : listing(first!)))
  await state.keys.refresh()
  state.now += 3_600_001
  hang = true
  t.equal(await codeOf(state.keys.find({ kid: 'one', alg: 'RS256' })), 'found', 'without waiting')
  t.equal(state.fetches, 2)
  await codeOf(state.keys.find({ kid: 'one', alg: 'RS256' }))
  t.equal(state.fetches, 2, 'once')
})

await t.test(
  'an old set that could not be fetched is asked for again after the cool-down',
  async (t) => {
    let down = false
    const state = source(() => (down ? Promise.reject(new Error('down')) : listing(first!)))
    await state.keys.refresh()
    state.now += 3_600_001
    down = true
    for (const [wait, fetches] of [
      [0, 2],
      [29_999, 2],
      [2, 3],
    ] as const) {
      state.now += wait
      t.equal(await codeOf(state.keys.find({ kid: 'one', alg: 'RS256' })), 'found')
      await new Promise(setImmediate)
      t.equal(state.fetches, fetches)
    }
  },
)

await t.test('a set that stays the same keeps its generation, another one counts on', async (t) => {
  let keys = listing(first!)
  const state = source(() => keys)
  await state.keys.refresh()
  t.equal(state.keys.generation, 1)
  await state.keys.refresh()
  t.equal(state.keys.generation, 1)
  keys = listing(first!, second!)
  await state.keys.refresh()
  t.equal(state.keys.generation, 2)
})

await t.test('keys kept from an earlier run serve while the provider is down', async (t) => {
  let kept: string | undefined
  const cache = {
    read: () => kept,
    write: (text: string) => void (kept = text),
    onFault: () => undefined,
  }
  const before = source(() => listing(first!), { cache })
  await before.keys.refresh()
  t.match(kept, '"one"')
  const after = source(() => Promise.reject(new Error('down')), { cache })
  t.equal(await codeOf(after.keys.find({ kid: 'one', alg: 'RS256' })), 'found')
  t.equal(after.keys.fetchedAt, undefined, 'they were not fetched')
  t.same(after.results, ['failed'])
  kept = '{"keys": ['
  const broken = source(() => Promise.reject(new Error('down')), { cache })
  t.equal(await codeOf(broken.keys.find({ kid: 'one', alg: 'RS256' })), 'ERR_PROVIDER_UNAVAILABLE')
})

await t.test('a file that cannot be written does not make the keys unknown', async (t) => {
  const write = () => {
    throw new Error('no space left on device')
  }
  const faults: unknown[] = []
  const onFault = (cause: unknown) => faults.push(cause)
  const state = source(() => listing(first!), { cache: { read: () => undefined, write, onFault } })
  await state.keys.refresh()
  t.equal(await codeOf(state.keys.find({ kid: 'one', alg: 'RS256' })), 'found')
  t.same(state.results, ['ok'])
  t.equal(faults.length, 1)
})

const noKid = (key: ScriptedKey | undefined): Jwk => ({ ...key!.publicJwk, kid: undefined })
const encryption = { ...second!.publicJwk, kid: 'enc', use: 'enc' }

await t.test('a key without kid counts where it is the only one for signatures', async (t) => {
  const cases: readonly (readonly [string, readonly (ScriptedKey | Jwk)[], string])[] = [
    ['alone', [noKid(first)], 'found'],
    ['with an empty kid', [{ ...first!.publicJwk, kid: '' }], 'found'],
    ['beside one for encryption', [encryption, noKid(first)], 'found'],
    ['beside one that is too weak', [weak, noKid(first)], 'found'],
    ['beside another one without kid', [noKid(first), noKid(third)], 'ERR_PROVIDER_UNAVAILABLE'],
    ['beside one with a kid', [third!, noKid(first)], 'ERR_TOKEN_KEY_UNKNOWN'],
    [
      'that is for encryption itself',
      [{ ...encryption, kid: undefined }],
      'ERR_PROVIDER_UNAVAILABLE',
    ],
  ]
  for (const [what, list, expected] of cases) {
    const { keys } = source(() => listing(...list))
    t.equal(await codeOf(keys.find({ alg: 'RS256' })), expected, what)
  }
  const { keys } = source(() => listing(noKid(first)))
  t.equal(await codeOf(keys.find({ kid: 'one', alg: 'RS256' })), 'ERR_TOKEN_KEY_UNKNOWN')
  const named = source(() => listing(first!))
  const refusal = { code: 'ERR_TOKEN_KEY_UNKNOWN', message: /does not name the key .*\(kid\)/ }
  await t.rejects(
    named.keys.find({ alg: 'RS256' }),
    refusal,
    'and the refusal says what is missing',
  )
})

await t.test('a key without kid that was replaced is looked for like an unknown kid', async (t) => {
  let keys = listing(noKid(first))
  const state = source(() => keys)
  const header = { alg: 'RS256' }
  const old = await state.keys.find(header)
  t.equal(await codeOf(state.keys.findNewer(old, header)), 'ERR_TOKEN_KEY_UNKNOWN', 'cool-down')
  t.equal(state.fetches, 1)
  keys = listing(noKid(second))
  state.now += 30_001
  const next = await state.keys.findNewer(old, header)
  t.not(next, old)
  t.equal(await state.keys.find(header), next)
  t.equal(await state.keys.findNewer(old, header), next, 'who comes later need not ask')
  t.equal(state.fetches, 2)
})

await t.test(
  'what the token endpoint gave is worth a fetch of its own, ten times a minute',
  async (t) => {
    const state = source(() => listing(first!))
    const header = { kid: 'x', alg: 'RS256' }
    await state.keys.refresh()
    const find = async (times: number, origin: 'client' | 'provider') => {
      for (let i = 0; i < times; i++) {
        t.equal(await codeOf(state.keys.find(header, origin)), 'ERR_TOKEN_KEY_UNKNOWN')
      }
      return state.fetches
    }
    t.equal(await find(5, 'client'), 1)
    t.equal(await find(12, 'provider'), 11)
    state.now += 59_999
    t.equal(await find(1, 'provider'), 11)
    state.now += 1
    t.equal(await find(12, 'provider'), 21)
  },
)

await t.test(
  'a fetch that began before the new key was shown is followed by another',
  async (t) => {
    let answer: (keys: unknown) => void = () => undefined
    const state = source(() => new Promise((resolve) => (answer = resolve)))
    const running = state.keys.refresh()
    await new Promise(setImmediate)
    const asked = Array.from({ length: 20 }, () =>
      codeOf(state.keys.find({ kid: 'two', alg: 'RS256' }, 'provider')),
    )
    answer(listing(first!))
    await running
    await new Promise(setImmediate)
    t.equal(state.fetches, 2, 'one for all of them')
    answer(listing(first!, second!))
    t.same(new Set(await Promise.all(asked)), new Set(['found']))
  },
)

await t.test(
  'an unknown kid whose fetch failed is 503 until one can be made, and no storm',
  async (t) => {
    let down = true
    const state = source(() => (down ? Promise.reject(new Error('down')) : listing(first!)))
    down = false
    await state.keys.refresh()
    down = true
    const find = (origin?: 'client' | 'provider') =>
      state.keys.find({ kid: 'x', alg: 'RS256' }, origin).then(
        () => undefined,
        (error: GatewayError) => [error.code, error.details.retryAfter],
      )
    t.same(
      await find(),
      ['ERR_TOKEN_KEY_UNKNOWN', undefined],
      'within the cool-down of a good fetch',
    )
    state.now += 30_001
    t.same(await find(), ['ERR_PROVIDER_UNAVAILABLE', 30])
    state.now += 12_500
    t.same(await find(), ['ERR_PROVIDER_UNAVAILABLE', 18])
    t.equal(state.fetches, 2)
    t.equal(
      await codeOf(state.keys.find({ kid: 'one', alg: 'RS256' })),
      'found',
      'known keys serve',
    )
    t.same(await find('provider'), ['ERR_PROVIDER_UNAVAILABLE', 30], 'one of its own')
    down = false
    t.same(await find('client'), ['ERR_PROVIDER_UNAVAILABLE', 30])
    state.now += 30_001
    t.same(
      await find('client'),
      ['ERR_TOKEN_KEY_UNKNOWN', undefined],
      'now it is known that it is none',
    )
    t.equal(state.fetches, 4)
    const single = source(() => (down ? Promise.reject(new Error('down')) : listing(noKid(first))))
    const old = await single.keys.find({ alg: 'RS256' })
    down = true
    single.now += 30_001
    t.equal(await codeOf(single.keys.findNewer(old, { alg: 'RS256' })), 'ERR_PROVIDER_UNAVAILABLE')
  },
)
