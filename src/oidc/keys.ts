/** The signing keys of one issuer: fetched ahead of need, kept while the provider is down (OpenID Connect Core §10.1.1). */
import { importJWK } from 'jose'
import type { CryptoKey, JWK, JWSHeaderParameters } from 'jose'
import { GatewayError } from '../core/errors.js'
import type { Milliseconds, Now } from '../core/clock.js'
import { SingleFlight } from '../core/single-flight.js'
import { keySetLimit } from './fetch.js'
import type { ProviderFetch } from './fetch.js'

/** Keys by `kid` and then by the algorithm they may verify. */
type KeySet = ReadonlyMap<string, ReadonlyMap<string, CryptoKey>>

/** What a key source needs; spans in milliseconds. */
export interface KeyOptions {
  readonly jwksUri: () => Promise<string>
  readonly algorithms: readonly string[]
  readonly maxAge: Milliseconds
  readonly coolDown: Milliseconds
  readonly fetch: ProviderFetch
  readonly now: Now
  readonly onFetch: (result: 'ok' | 'failed', cause?: unknown) => void
  /** Keys kept from an earlier run, and where to keep the next ones. */
  readonly cache?: KeyCache
}

/** Where the key set outlives the process. */
export interface KeyCache {
  read(): string | undefined
  write(text: string): void
  /** It could not be written, which takes nothing from the keys in use. */
  onFault(cause: unknown): void
}

/** The keys of one issuer. */
export interface KeySource {
  /** The key for a token's header. @throws ERR_TOKEN_KEY_UNKNOWN or ERR_PROVIDER_UNAVAILABLE */
  find(header: JWSHeaderParameters): Promise<CryptoKey>
  /** Counts the changes of the key set; part of the key of every cache of verified tokens. */
  readonly generation: number
  /** When the keys in use were fetched; undefined until there are some. */
  readonly fetchedAt: Milliseconds | undefined
  /** Fetches now; never rejects. */
  refresh(): Promise<void>
}

/** A source fetches one thing. */
const flight = 'key set'

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
    (jwk.key_ops === undefined || jwk.key_ops.includes('verify'))
  )
}

/** The public members alone: whatever else a provider writes there is not read. */
function publicMembers({ kty, n, e, crv, x, y }: JWK): JWK {
  const members = Object.entries({ kty, n, e, crv, x, y })
  return Object.fromEntries(members.filter(([, value]) => value !== undefined)) as JWK
}

/** A key that can't be read is passed over, so that it takes no other one with it (RFC 7517 §5). */
async function importKey(jwk: JWK, algorithm: string): Promise<CryptoKey | undefined> {
  try {
    const key = await importJWK(publicMembers(jwk), algorithm)
    return key instanceof Uint8Array || !isStrong(key) ? undefined : key
  } catch {
    return undefined
  }
}

/** Reads a JWK set; a `kid` that comes twice is nobody's, since one of the two could be an attacker's. */
async function readKeySet(text: string, allowed: readonly string[]): Promise<KeySet> {
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new TypeError('not a JWK set')
  const known = new Map<string, Map<string, CryptoKey>>()
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const jwk of keys.slice(0, maxKeys) as JWK[]) {
    if (typeof jwk !== 'object' || jwk === null || typeof jwk.kid !== 'string') continue
    if (seen.has(jwk.kid)) repeated.add(jwk.kid)
    seen.add(jwk.kid)
    if (!isForSignatures(jwk)) continue
    const byAlgorithm = new Map<string, CryptoKey>()
    for (const algorithm of algorithmsOf(jwk, allowed)) {
      const key = await importKey(jwk, algorithm)
      if (key !== undefined) byAlgorithm.set(algorithm, key)
    }
    if (byAlgorithm.size > 0) known.set(jwk.kid, byAlgorithm)
  }
  for (const kid of repeated) known.delete(kid)
  if (known.size === 0) throw new TypeError('no usable key in the JWK set')
  return known
}

/** Creates the source; nothing is fetched until {@link KeySource.refresh} or the first token. */
export function createKeySource(options: KeyOptions): KeySource {
  const { now, coolDown, maxAge } = options
  let keys: KeySet = new Map()
  let text: string | undefined
  let generation = 0
  let fetchedAt: Milliseconds | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  const fetching = new SingleFlight<void>()

  const take = async (next: string): Promise<void> => {
    if (next === text) return
    keys = await readKeySet(next, options.algorithms)
    text = next
    generation++
  }
  const keep = (fresh: string): void => {
    try {
      options.cache?.write(fresh)
    } catch (cause) {
      options.cache?.onFault(cause)
    }
  }
  const load = async (): Promise<void> => {
    try {
      const response = await options.fetch(
        await options.jwksUri(),
        { headers: { accept: 'application/json' } },
        keySetLimit,
      )
      if (response.status !== 200) throw new Error(`the key set answered ${response.status}`)
      const fresh = await response.text()
      await take(fresh)
      fetchedAt = now()
      options.onFetch('ok')
      keep(fresh)
    } catch (cause) {
      options.onFetch('failed', cause)
      if (keys.size > 0) return
      const kept = options.cache?.read()
      if (kept === undefined) return
      await take(kept).catch(() => undefined)
    }
  }
  const refresh = (): Promise<void> => {
    askedAt = now()
    return fetching.run(flight, load)
  }
  return {
    get generation() {
      return generation
    },
    get fetchedAt() {
      return fetchedAt
    },
    refresh,
    async find({ kid = '', alg = '' }) {
      if (keys.has(kid)) {
        if (now() - (fetchedAt ?? 0) > maxAge && now() - askedAt > coolDown) void refresh()
      } else if (fetching.current(flight) !== undefined) {
        await fetching.current(flight)
      } else if (now() - askedAt > coolDown) {
        await refresh()
      }
      if (keys.size === 0) throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', { retryAfter: 5 })
      const byAlgorithm = keys.get(kid)
      if (byAlgorithm === undefined) throw new GatewayError('ERR_TOKEN_KEY_UNKNOWN')
      const key = byAlgorithm.get(alg)
      if (key === undefined) throw new GatewayError('ERR_TOKEN_ALGORITHM')
      return key
    },
  }
}
