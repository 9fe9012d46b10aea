/** `X-Trac-Signature`: proves to the bridge in Trac who a request is from and for which target (deploy/docs/reference/identity-headers.md). */
import { createHmac } from 'node:crypto'
import { createHmacSha256 } from '../core/hmac.js'
import type { IdentityHeaders } from '../core/identity.js'
import { randomText } from '../core/random.js'

/** A key shared with one upstream: `id` is the `kid`, `secret` has at least 32 bytes. */
export interface SigningKey {
  readonly id: string
  readonly secret: string
}

/** Tells two keys apart without telling anything of them; Trac's plugin makes the same of its own. */
export function keyFingerprint({ secret }: SigningKey): string {
  return createHmac('sha256', secret).update('trac-gateway-key').digest('hex').slice(0, 8)
}

/** What is signed besides the identity: all of it as the upstream receives it. */
export interface SignedRequest {
  readonly method: string
  readonly host: string
  /** The target before the first `?`, percent-decoded exactly once. */
  readonly path: string
  /** The bytes after the first `?`, undecoded; empty text if none. */
  readonly query: string
}

/** Seconds for which the signature of a request without a body is valid. */
const lifetime = 60

/** Seconds for which a signature may be valid at most, however long its body may take. */
const maxLifetime = 3600

/** Version 2 also covers groups and the kind (`X-Trac-Groups`, `X-Trac-Kind`). */
export type SignatureVersion = 1 | 2

/** Signs for one upstream key. `bodySeconds` is how long the body may take to arrive, 0 without one. */
export interface Signer {
  (
    request: SignedRequest,
    identityHeaders: IdentityHeaders,
    nowSeconds: number,
    bodySeconds: number,
  ): string
  /** The version for all but `legacy`, which only version 2 has. */
  readonly version: SignatureVersion
}

/** The version by which somebody is told of. */
export const versionFor = ({ kind }: IdentityHeaders, usual: SignatureVersion): SignatureVersion =>
  kind === 'legacy' ? 2 : usual

/** What a signature says of itself, by which its answer is recognised. */
const signatureParts = /;n=([^;]+);kid=/

/**
 * What `X-Trac-Gateway` must say in the answer to a signed request, for the version that the plugin names there.
 * @param signature the request's `X-Trac-Signature`
 */
export function answerMac(key: SigningKey, signature: string, version: string): string {
  const nonce = signatureParts.exec(signature)?.[1] ?? ''
  const text = field('trac-gateway-answer-v1') + field(key.id) + field(nonce) + field(version)
  return createHmac('sha256', key.secret).update(text, 'utf8').digest('base64url')
}

/** Length-prefixed, so that no bytes can move from one field to its neighbour. */
function field(value: string): string {
  return `${Buffer.byteLength(value)}:${value}\n`
}

/** The same for text that is known to be ASCII. */
function asciiField(value: string): string {
  return `${value.length}:${value}\n`
}

/** The fields of each identity, by version: they are the same in all of its requests. */
const knownFields = [1, 2].map(() => new WeakMap<IdentityHeaders, string>())

/** The identity's fields 10–13, and 14 and 15 of version 2. */
function identityFields(headers: IdentityHeaders, version: SignatureVersion): string {
  const known = knownFields[version - 1]!
  let fields = known.get(headers)
  if (fields === undefined) {
    fields = joinFields(headers, version)
    known.set(headers, fields)
  }
  return fields
}

/**
 * Header values are ASCII (`trac/identity-headers.ts`). Joined, and not added to one another: V8 would keep each piece for
 * as long as the identity is known.
 */
function joinFields(headers: IdentityHeaders, version: SignatureVersion): string {
  const { user, perms, email, name, groups = '', kind = '' } = headers
  const values = [user, perms, email, name]
  if (version === 2) values.push(groups, kind)
  return values.map(asciiField).join('')
}

/**
 * Builds the signer for one key.
 * The header's form is `v1;t=…;e=…;n=…;kid=…;sig=…`, `sig` = base64url(HMAC-SHA-256(key, S)); `v2` likewise.
 * @see RFC 2104
 */
export function createSigner(key: SigningKey, usual: SignatureVersion = 1): Signer {
  const hmac = createHmacSha256(key.secret)
  const heads = [1, 2].map((version) => field(`trac-gateway-v${version}`) + field(key.id))
  const suffix = `;kid=${key.id};sig=`
  const sign = (
    request: SignedRequest,
    identityHeaders: IdentityHeaders,
    nowSeconds: number,
    bodySeconds: number,
  ): string => {
    const t = String(nowSeconds)
    const e = String(nowSeconds + Math.min(lifetime + bodySeconds, maxLifetime))
    const nonce = randomText(16)
    const version = versionFor(identityHeaders, usual)
    const text =
      heads[version - 1]! +
      asciiField(t) +
      asciiField(e) +
      asciiField(nonce) +
      asciiField(request.method) +
      asciiField(request.host) +
      field(request.path) +
      asciiField(request.query) +
      identityFields(identityHeaders, version)
    return `v${version};t=${t};e=${e};n=${nonce}${suffix}${hmac(text)}`
  }
  return Object.assign(sign, { version: usual })
}
