/** Seals small values into cookies: JWE `dir` + `A256GCM`, one key for each purpose, the header authenticated. */
import { hkdfSync } from 'node:crypto'
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose'
import { isCanonicalCompact } from '../core/base64url.js'
import { fingerprint } from '../core/fingerprint.js'

/** What a seal is for: a value sealed for one purpose never opens for another. */
export type Purpose = 'session' | 'login' | 'token-form'

/** What a sealed value is bound to besides its purpose. */
export interface SealContext {
  /** At least 32 bytes each; the first seals, all open. */
  readonly secrets: readonly string[]
  readonly publicUrl: string
  readonly issuer: string
  readonly clientId: string
}

/** A value that opened. `stale` says that it was sealed with a secret that is no longer the first. */
export interface Opened {
  readonly value: unknown
  readonly stale: boolean
}

/** Seals and opens values of one purpose. */
export interface Sealer {
  seal(value: unknown): Promise<string>
  /** Undefined for whatever does not open. It does not say why: that would help only an attacker. */
  open(sealed: string): Promise<Opened | undefined>
}

/**
 * Purposes whose text is compressed before it is sealed: a session holds a refresh token, which is base64url, so that
 * unpacked each of its characters would cost a byte and a third for six bits. A login attempt is never compressed: its
 * length would tell how much of a `return_to` that somebody else chose repeats what is secret beside it.
 * Releases that did not compress open what is compressed, too.
 */
const compressed: ReadonlySet<Purpose> = new Set<Purpose>(['session'])
/** Bytes of a text that is compressed at most. A longer one fits no cookie, and might not be taken when it is unpacked. */
const maxCompressed = 64 * 1024

/** Changes with the form of what is sealed, so that an old form never opens as a new one. */
const version = 1

interface SealKey {
  readonly kid: string
  readonly key: Uint8Array
}

/** A key of its own for each secret and purpose (RFC 5869). */
function deriveKey(secret: string, purpose: Purpose): SealKey {
  const info = `trac-gateway ${purpose} v${version}`
  const key = new Uint8Array(hkdfSync('sha256', secret, '', info, 32))
  return { key, kid: fingerprint(key, 'base64url').slice(0, 8) }
}

/**
 * Builds the sealer for one purpose.
 * @see RFC 7516 §5, RFC 7518 §4.5 and §5.3, RFC 7516 §4.1.3
 */
export function createSealer(purpose: Purpose, context: SealContext): Sealer {
  const keys = context.secrets.map((secret) => deriveKey(secret, purpose))
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  const first = keys[0]!
  const bound = JSON.stringify([context.publicUrl, context.issuer, context.clientId])
  const header = {
    alg: 'dir',
    enc: 'A256GCM',
    typ: `trac-gateway-${purpose}-${version}`,
    ctx: fingerprint(bound, 'base64url'),
    kid: first.kid,
  }
  const encoder = new TextEncoder()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  return {
    seal(value) {
      const text = encoder.encode(JSON.stringify(value))
      const packs = compressed.has(purpose) && text.length <= maxCompressed
      return new CompactEncrypt(text)
        .setProtectedHeader(packs ? { ...header, zip: 'DEF' } : header)
        .encrypt(first.key)
    },
    async open(sealed) {
      if (!isCanonicalCompact(sealed)) return undefined
      try {
        const { typ, ctx, kid } = decodeProtectedHeader(sealed)
        const key = typeof kid === 'string' ? byKid.get(kid) : undefined
        if (key === undefined || typ !== header.typ || ctx !== header.ctx) return undefined
        const { plaintext } = await compactDecrypt(sealed, key.key, {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        })
        return { value: JSON.parse(decoder.decode(plaintext)), stale: key !== first }
      } catch {
        return undefined
      }
    },
  }
}
