/** Signatures verified by Node's crypto: the same verdict as jose's, for every algorithm and whatever is wrong. */
import { compactVerify, exportJWK, generateKeyPair, importJWK, CompactSign } from 'jose'
import type { CryptoKey, ProtectedHeaderParameters } from 'jose'
import { assert, asyncProperty, constantFrom, nat, record } from 'fast-check'
import { t } from '../fixtures/tap.js'
import { isSignedBy, signatureKey } from '../../src/oidc/signature.js'
import { takeRsaKey } from '../fixtures/rsa-keys.js'

const algorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

/** Both halves of a key for an algorithm, as jose holds them. */
async function keyFor(algorithm: string) {
  if (!/^[RP]S/.test(algorithm)) return generateKeyPair(algorithm, { extractable: true })
  const { privateKey, publicKey } = await takeRsaKey()
  return {
    privateKey: (await importJWK(await exportJWK(privateKey), algorithm)) as CryptoKey,
    publicKey: (await importJWK(await exportJWK(publicKey), algorithm)) as CryptoKey,
  }
}

/** What is done to a token: its part from the end, a place in it, and what is changed there. */
const change = record({
  part: constantFrom('payload', 'signature'),
  kind: constantFrom('nothing', 'flip', 'cut', 'more', 'zeros', 'none'),
  at: nat(5000),
  bit: nat(7),
})

function alter(bytes: Buffer, { kind, at, bit }: { kind: string; at: number; bit: number }) {
  switch (kind) {
    case 'flip': {
      const copy = Buffer.from(bytes)
      copy[at % copy.length]! ^= 1 << bit
      return copy
    }
    case 'cut':
      return bytes.subarray(0, at % bytes.length)
    case 'more':
      return Buffer.concat([bytes, Buffer.from([at % 256])])
    case 'zeros':
      return Buffer.alloc(bytes.length)
    case 'none':
      return Buffer.alloc(0)
    default:
      return bytes
  }
}

for (const algorithm of algorithms) {
  await t.test(`${algorithm}: the verdict is jose’s`, async (t) => {
    const own = await keyFor(algorithm)
    const other = await keyFor(algorithm)
    const header = { alg: algorithm, kid: 'k' }
    const token = await new CompactSign(Buffer.from('{"sub":"alice"}'))
      .setProtectedHeader(header)
      .sign(own.privateKey)
    const keys = { own: own.publicKey, other: other.publicKey }
    const seen = { true: 0, false: 0 }
    const judge = async (text: string, key: CryptoKey) => {
      const verdict = await isSignedBy(text, header, signatureKey(key, algorithm))
      const joses = await compactVerify(text, key, { algorithms: [algorithm] }).then(
        () => true,
        () => false,
      )
      t.equal(verdict, joses, text)
      seen[`${verdict}`]++
    }
    await judge(token, keys.own)
    await judge(token, keys.other)
    const property = asyncProperty(change, async (what) => {
      const [head = '', payload = '', signature = ''] = token.split('.')
      const parts = { header: head, payload, signature }
      const bytes = Buffer.from(parts[what.part as keyof typeof parts], 'base64url')
      const changed = alter(bytes, what).toString('base64url')
      const text = Object.entries(parts).map(([name, old]) => (name === what.part ? changed : old))
      await judge(text.join('.'), keys.own)
    })
    await assert(property, { numRuns: 40 })
    t.ok(seen.true > 0 && seen.false > 10, JSON.stringify(seen))
  })
}

await t.test('a header with crit is judged by jose', async (t) => {
  const { privateKey, publicKey } = await keyFor('ES256')
  const key = signatureKey(publicKey, 'ES256')
  const sign = (more: Partial<ProtectedHeaderParameters>, crit: Record<string, boolean>) =>
    new CompactSign(Buffer.from('{}'))
      .setProtectedHeader({ alg: 'ES256', ...more })
      .sign(privateKey, { crit })
  const known = { crit: ['b64'], b64: true }
  const good = await sign(known, {})
  t.equal(await isSignedBy(good, known, key), true)
  t.equal(await isSignedBy(`${good.slice(0, -4)}AAAA`, known, key), false)
  const unknown = { crit: ['x'], x: true }
  await t.rejects(isSignedBy(await sign(unknown, { x: true }), unknown, key), {
    code: 'ERR_JOSE_NOT_SUPPORTED',
  })
})
