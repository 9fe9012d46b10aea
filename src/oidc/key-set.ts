/**
 * Which keys of a JWK set verify anything. By hand: jose's own sets take any strength and any `kid` twice, and fetch by
 * rules of their own, without bounds on what the provider sends.
 */
import { importJWK } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import { signatureKey } from './signature.js'
import type { SignatureKey } from './signature.js'

/** Keys by `kid` and then by the algorithm they may verify; under {@link unnamed} the one that has no `kid`. */
export type KeySet = ReadonlyMap<string, ReadonlyMap<string, SignatureKey>>

/** Stands for the `kid` of a key or a token that has none. */
export const unnamed = ''

/** Keys beyond this number are not read. */
const maxKeys = 100
const curves: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

/** The allowed algorithms that a key can be used with. */
function algorithmsOf(jwk: JWK, allowed: readonly string[]): readonly string[] {
  if (jwk.alg !== undefined) return allowed.filter((name) => name === jwk.alg)
  return allowed.filter((name) => {
    if (jwk.kty === 'RSA') return /^[RP]S/.test(name)
    if (jwk.kty === 'EC') return curves[name] === jwk.crv
    return jwk.kty === 'OKP' && (name === 'EdDSA' || name === 'Ed25519') && jwk.crv === 'Ed25519'
  })
}

/** RSA keys under 2,048 bits verify nothing (RFC 7518 §3.3); zeros in front of the modulus do not count. */
function isStrong(key: CryptoKey): boolean {
  const { modulusLength } = key.algorithm as { modulusLength?: number }
  return modulusLength === undefined || modulusLength >= 2048
}

function isForSignatures(jwk: JWK): boolean {
  return (
    (jwk.use === undefined || jwk.use === 'sig') &&
    (jwk.key_ops === undefined || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify')))
  )
}

/** The public members alone: whatever else a provider writes there is not read. */
function publicMembers({ kty, n, e, crv, x, y }: JWK): JWK {
  const members = Object.entries({ kty, n, e, crv, x, y })
  return Object.fromEntries(members.filter(([, value]) => value !== undefined)) as JWK
}

/** A key that can't be read is passed over, so that it takes no other one with it (RFC 7517 §5). */
async function importKey(jwk: JWK, algorithm: string): Promise<SignatureKey | undefined> {
  try {
    const key = await importJWK(publicMembers(jwk), algorithm)
    if (key instanceof Uint8Array || !isStrong(key)) return undefined
    return signatureKey(key, algorithm)
  } catch {
    return undefined
  }
}

/** A key for signatures by each of the allowed algorithms that it can be used with. */
async function importForSignatures(jwk: JWK, allowed: readonly string[]) {
  const byAlgorithm = new Map<string, SignatureKey>()
  if (!isForSignatures(jwk)) return byAlgorithm
  for (const algorithm of algorithmsOf(jwk, allowed)) {
    const key = await importKey(jwk, algorithm)
    if (key !== undefined) byAlgorithm.set(algorithm, key)
  }
  return byAlgorithm
}

/** Why a set has no usable key, in the words of RFC 7517. */
function uselessSet(unnamedKeys: number): TypeError {
  return new TypeError(
    unnamedKeys > 1
      ? `the JWK set has ${unnamedKeys} keys for signatures without kid: which one signed can't be told`
      : 'no usable key in the JWK set',
  )
}

/**
 * Reads a JWK set. A `kid` that comes twice is nobody's, since one of the two could be an attacker's. A key without `kid`
 * counts only where it is the one usable key: there OpenID Connect Core §10.1 asks for no `kid`.
 */
export async function readKeySet(text: string, allowed: readonly string[]): Promise<KeySet> {
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new TypeError('not a JWK set')
  const known = new Map<string, Map<string, SignatureKey>>()
  const withoutName: Map<string, SignatureKey>[] = []
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const jwk of keys.slice(0, maxKeys) as JWK[]) {
    if (typeof jwk !== 'object' || jwk === null) continue
    const kid = typeof jwk.kid === 'string' ? jwk.kid : unnamed
    if (kid !== unnamed && seen.has(kid)) repeated.add(kid)
    seen.add(kid)
    const byAlgorithm = await importForSignatures(jwk, allowed)
    if (byAlgorithm.size === 0) continue
    if (kid === unnamed) withoutName.push(byAlgorithm)
    else known.set(kid, byAlgorithm)
  }
  const [only] = withoutName
  if (only !== undefined && withoutName.length === 1 && known.size === 0) known.set(unnamed, only)
  for (const kid of repeated) known.delete(kid)
  if (known.size === 0) throw uselessSet(withoutName.length)
  return known
}
