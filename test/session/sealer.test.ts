/** Sealed values: fresh each time, opened only by whoever sealed them, for what they were sealed for. */
import { assert, asyncProperty, constantFrom, nat } from 'fast-check'
import { randomBytes } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { createSealer } from '../../src/session/sealer.js'
import type { SealContext } from '../../src/session/sealer.js'

const context: SealContext = {
  secrets: ['a'.repeat(32)],
  publicUrl: 'https://trac.example.edu',
  issuer: 'https://idp.example.edu',
  clientId: 'trac',
}
const sealer = createSealer('session', context)

await t.test('what was sealed opens, and looks different each time (CVE-2021-32791)', async (t) => {
  const value = { a: 'é', b: [1, null], c: { d: true } }
  const sealed = await Promise.all(Array.from({ length: 200 }, () => sealer.seal(value)))
  t.equal(new Set(sealed).size, 200)
  t.equal(new Set(sealed.map((text) => text.split('.')[2])).size, 200, 'a nonce each')
  t.same(await sealer.open(sealed[0]!), { value, stale: false })
  const header = JSON.parse(
    Buffer.from(sealed[0]!.split('.')[0]!, 'base64url').toString(),
  ) as object
  t.match(header, { alg: 'dir', enc: 'A256GCM', typ: 'trac-gateway-session-1' })
  t.equal(Buffer.from(sealed[0]!.split('.')[2]!, 'base64url').length, 12)
  for (const part of ['trac.example.edu', 'idp.example.edu']) {
    t.notMatch(Buffer.from(sealed[0]!.split('.')[0]!, 'base64url').toString(), part)
  }
})

await t.test('it opens nowhere else', async (t) => {
  const sealed = await sealer.seal('x')
  const others: readonly (readonly [string, ReturnType<typeof createSealer>])[] = [
    ['for another purpose', createSealer('login', context)],
    ['with another secret', createSealer('session', { ...context, secrets: ['b'.repeat(32)] })],
    ['at another address', createSealer('session', { ...context, publicUrl: 'https://x' })],
    ['of another issuer', createSealer('session', { ...context, issuer: 'https://x' })],
    ['for another client', createSealer('session', { ...context, clientId: 'x' })],
    [
      'with bytes moved between fields (CVE-2023-35941)',
      createSealer('session', {
        ...context,
        issuer: `${context.issuer}t`,
        clientId: context.clientId.slice(1),
      }),
    ],
  ]
  for (const [what, other] of others) t.equal(await other.open(sealed), undefined, what)
})

await t.test('the first secret seals, all open, and old ones say so', async (t) => {
  const [a, b, c] = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string]
  const old = await createSealer('session', { ...context, secrets: [b] }).seal('x')
  const both = createSealer('session', { ...context, secrets: [a, b] })
  t.same(await both.open(old), { value: 'x', stale: true })
  t.same(await both.open(await both.seal('x')), { value: 'x', stale: false })
  t.equal(await createSealer('session', { ...context, secrets: [c] }).open(old), undefined)
})

await t.test('a session is compressed, a login attempt beside chosen text is not', async (t) => {
  const token = randomBytes(1350).toString('base64url')
  const value = { refresh: token, padding: 'x'.repeat(1000) }
  const session = await sealer.seal(value)
  t.ok(session.length < 2300, `a refresh token of 1.8 kB seals as its bytes: ${session.length}`)
  t.same((await sealer.open(session))?.value, value)
  const login = createSealer('login', context)
  const lengths = await Promise.all(
    ['AAAA', token.slice(0, 4)].map((guess) => login.seal([token, guess])),
  )
  t.equal(lengths[0]?.length, lengths[1]?.length)
  t.ok(lengths[0]!.length > 2400)
  const endless = await sealer.seal('x'.repeat(300_000))
  t.ok(endless.length > 300_000, 'what could not be unpacked is not packed')
})

await t.test('nothing else opens, and nothing throws', async (t) => {
  const sealed = await sealer.seal({ user: 'alice' })
  const parts = sealed.split('.')
  const header = (more: object) =>
    Buffer.from(
      JSON.stringify({
        ...(JSON.parse(Buffer.from(parts[0]!, 'base64url').toString()) as object),
        ...more,
      }),
    ).toString('base64url')
  const odd = [
    '',
    '.',
    '....',
    'x',
    sealed.slice(0, -1),
    `${sealed}A`,
    `${sealed}.x`,
    `${sealed}=`,
    ` ${sealed}`,
    parts.slice(0, 4).join('.'),
    [header({ zip: undefined }), ...parts.slice(1)].join('.'),
    [header({ enc: 'A128CBC-HS256' }), ...parts.slice(1)].join('.'),
    [header({ alg: 'PBES2-HS256+A128KW', p2c: 1e9 }), ...parts.slice(1)].join('.'),
    [header({ kid: 'other' }), ...parts.slice(1)].join('.'),
    [header({ kid: { toString: 1 } }), ...parts.slice(1)].join('.'),
    [header({ crit: ['x'] }), ...parts.slice(1)].join('.'),
    ['bnVsbA', ...parts.slice(1)].join('.'),
  ]
  for (const text of odd) t.equal(await sealer.open(text), undefined, text.slice(0, 40))
  await assert(
    asyncProperty(
      nat(sealed.length - 1),
      constantFrom('A', 'a', '0', '-', '_', '.', 'B'),
      async (i, letter) => {
        if (sealed[i] === letter) return
        const changed = sealed.slice(0, i) + letter + sealed.slice(i + 1)
        if ((await sealer.open(changed)) !== undefined)
          throw new Error(`opened with ${letter} at ${i}`)
      },
    ),
    { numRuns: 2000 },
  )
})
