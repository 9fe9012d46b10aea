/** The rules for a token: who made it, for whom, with which key, for how long (RFC 8725 §3). */
import { errors as joseErrors, jwtVerify } from 'jose'
import type { CryptoKey, JWTPayload, ProtectedHeaderParameters } from 'jose'
import { GatewayError, withFacts } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { KeySource, TokenOrigin } from './issuer-keys.js'
import { readJws } from './jws.js'
import type { ReadJws } from './jws.js'
import { unnamed } from './key-set.js'
import { tokenFacts } from './token-facts.js'

/** Everything that a token of one issuer is measured by. */
export interface Issuer {
  readonly issuer: string
  /** Whether tokens speak Cognito's dialect: `token_use`, and no `aud` in access tokens. */
  readonly cognito: boolean
  /** Whether it is the one that people sign in with; only its tokens may claim permissions. */
  readonly main: boolean
  /** Client ids of people's tokens. */
  readonly clients: ReadonlySet<string>
  /** Client ids of machines; a client is either here or in `clients`. */
  readonly machines: ReadonlySet<string>
  readonly keys: KeySource
}

/** A token that breaks no rule. */
export interface VerifiedToken {
  readonly issuer: Issuer
  readonly use: 'id' | 'access'
  readonly machine: boolean
  readonly clientId: string
  readonly subject: string
  readonly scopes: ReadonlySet<string>
  readonly claims: JWTPayload
  readonly issuedAt: Milliseconds
  readonly expiresAt: Milliseconds
}

/** The limits that hold for every issuer. */
export interface TokenRules {
  readonly algorithms: readonly string[]
  readonly clockTolerance: Milliseconds
  readonly maxTokenLife: Milliseconds
  /** The gateway's own address: the audience of RFC 9068 access tokens made for it. */
  readonly publicUrl: string
  readonly now: Now
}

const claimFaults: Readonly<Record<string, ErrorCode>> = {
  iss: 'ERR_TOKEN_ISSUER',
  aud: 'ERR_TOKEN_CLIENT',
  exp: 'ERR_TOKEN_CLAIMS',
  nbf: 'ERR_TOKEN_TIME',
  iat: 'ERR_TOKEN_TIME',
}

/** The one place where jose's errors become ours, by their codes. */
function fromJose(cause: unknown): unknown {
  if (!(cause instanceof joseErrors.JOSEError)) return cause
  if (cause instanceof joseErrors.JWTExpired)
    return new GatewayError('ERR_TOKEN_EXPIRED', { cause })
  if (cause instanceof joseErrors.JWTClaimValidationFailed) {
    const code = cause.reason === 'missing' ? undefined : claimFaults[cause.claim]
    return new GatewayError(code ?? 'ERR_TOKEN_CLAIMS', { cause })
  }
  switch (cause.code) {
    case 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED':
      return new GatewayError('ERR_TOKEN_SIGNATURE', { cause })
    case 'ERR_JOSE_ALG_NOT_ALLOWED':
    case 'ERR_JOSE_NOT_SUPPORTED':
      return new GatewayError('ERR_TOKEN_ALGORITHM', { cause })
    default:
      return new GatewayError('ERR_TOKEN_MALFORMED', { cause })
  }
}

function read(token: string): ReadJws {
  try {
    return readJws(token)
  } catch (cause) {
    throw new GatewayError('ERR_TOKEN_MALFORMED', { cause })
  }
}

/** `aud` as the list it may be (RFC 7519 §4.1.3). */
function audiences(claims: JWTPayload): readonly string[] {
  const { aud } = claims
  if (typeof aud === 'string') return [aud]
  return Array.isArray(aud) ? aud.filter((value) => typeof value === 'string') : []
}

interface Meant {
  readonly use: 'id' | 'access'
  readonly clientId: string
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** `typ` of the header in short: empty if it is absent. A value that is no text is the type of nothing (RFC 7515 §4.1.9). */
function typeOf({ typ }: ProtectedHeaderParameters): string {
  if (typ === undefined) return ''
  if (typeof typ !== 'string' || typ === '') throw new GatewayError('ERR_TOKEN_USE')
  return typ.toLowerCase().replace(/^application\//, '')
}

/** Claims that make it something else: a security event or log-out (RFC 8417), or an answer of introspection (RFC 9701). */
const foreignClaims = ['events', 'token_introspection']
/** An answer of the authorization endpoint as a JWT (JARM, section 4.1). */
const answerClaims = ['code', 'state']

const hasAny = (claims: JWTPayload, names: readonly string[]): boolean =>
  names.some((name) => claims[name] !== undefined)

/**
 * What a token is for, and for which client, in either dialect. A token of another kind, signed with the same keys, is
 * neither an ID token nor an access token (RFC 8725 §3.11).
 */
function meantFor(
  claims: JWTPayload,
  header: ProtectedHeaderParameters,
  issuer: Issuer,
  publicUrl: string,
): Meant {
  const type = typeOf(header)
  if (!['', 'jwt', 'at+jwt'].includes(type)) throw new GatewayError('ERR_TOKEN_USE')
  const meant = issuer.cognito
    ? cognitoClient(claims)
    : standardClient(claims, type, issuer, publicUrl)
  const isOther =
    hasAny(claims, foreignClaims) ||
    (meant.use === 'id' && (type === 'at+jwt' || hasAny(claims, answerClaims)))
  if (isOther) throw new GatewayError('ERR_TOKEN_USE')
  return meant
}

/** Cognito: an ID token names the client in `aud` and no other, an access token in `client_id` and has no `aud`. */
function cognitoClient(claims: JWTPayload): Meant {
  const { aud } = claims
  const [client, ...more] = typeof aud === 'object' ? aud : [aud]
  if (claims['token_use'] === 'id' && typeof client === 'string' && more.length === 0) {
    return { use: 'id', clientId: client }
  }
  if (claims['token_use'] === 'access' && aud === undefined) {
    return { use: 'access', clientId: text(claims['client_id']) }
  }
  throw new GatewayError('ERR_TOKEN_USE')
}

/**
 * Other providers. Access tokens of RFC 9068 name us or the client as audience; Keycloak's older form says
 * `typ: Bearer` and names the client in `azp`; all else is an ID token (OpenID Connect Core §3.1.3.7).
 */
function standardClient(
  claims: JWTPayload,
  type: string,
  issuer: Issuer,
  publicUrl: string,
): Meant {
  const aud = audiences(claims)
  const known = (client: string) => issuer.clients.has(client) || issuer.machines.has(client)
  if (type === 'at+jwt') {
    if (!aud.some((name) => name === publicUrl || known(name))) {
      throw new GatewayError('ERR_TOKEN_CLIENT')
    }
    return { use: 'access', clientId: text(claims['client_id']) }
  }
  if (claims['typ'] === 'Bearer') return { use: 'access', clientId: text(claims['azp']) }
  if (claims['typ'] !== undefined && claims['typ'] !== 'ID') throw new GatewayError('ERR_TOKEN_USE')
  const azp = claims['azp']
  if (aud.length > 1 && azp === undefined) throw new GatewayError('ERR_TOKEN_CLIENT')
  const clientId = azp === undefined ? (aud[0] ?? '') : text(azp)
  if (!aud.includes(clientId)) throw new GatewayError('ERR_TOKEN_CLIENT')
  return { use: 'id', clientId }
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

/** Verifies one token; `origin` is who brought it, and a client unless it is said. */
export type VerifyToken = (token: string, origin?: TokenOrigin) => Promise<VerifiedToken>

/**
 * Builds the verifier over a fixed list of issuers.
 * @throws {@link GatewayError} (rejects) ERR_TOKEN_… — the rule that the token breaks
 * @throws {@link GatewayError} (rejects) ERR_PROVIDER_UNAVAILABLE — no key of the issuer is known yet
 * @see RFC 8725 §3, RFC 7519 §4.1
 */
export function createVerifier(issuers: readonly Issuer[], rules: TokenRules): VerifyToken {
  const byName = new Map(issuers.map((issuer) => [issuer.issuer, issuer]))
  const verify = async (
    token: string,
    header: ProtectedHeaderParameters,
    issuer: Issuer | undefined,
    origin: TokenOrigin,
  ): Promise<VerifiedToken> => {
    if (issuer === undefined) throw new GatewayError('ERR_TOKEN_ISSUER')
    const claims = await readClaims(token, header, issuer, rules, origin)
    const { use, clientId } = meantFor(claims, header, issuer, rules.publicUrl)
    const scopes = use === 'access' ? text(claims['scope']).split(' ').filter(Boolean) : []
    return {
      issuer,
      use,
      clientId,
      machine: isMachine(issuer, clientId, use),
      subject: claims.sub,
      scopes: new Set(scopes),
      claims,
      issuedAt: claims.iat * 1000,
      expiresAt: claims.exp * 1000,
    }
  }
  return async (token, origin = 'client') => {
    const { header, claims } = read(token)
    const issuer = typeof claims.iss === 'string' ? byName.get(claims.iss) : undefined
    try {
      return await verify(token, header, issuer, origin)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      const seen = { header, claims, issuer }
      const { found, wanted } = tokenFacts(error.code, seen, issuers, rules)
      throw withFacts(error, found, wanted)
    }
  }
}

/**
 * Tells whether a token says that it is of an issuer and for one of its clients here. Nothing is verified: it is for
 * tokens that the issuer itself just gave, some of which are for others (RFC 6749 §1.4).
 */
export function createClientCheck(issuer: Issuer, publicUrl: string): (token: string) => boolean {
  return (token) => {
    try {
      const { header, claims } = read(token)
      const { use, clientId } = meantFor(claims, header, issuer, publicUrl)
      isMachine(issuer, clientId, use)
      return claims.iss === issuer.issuer
    } catch {
      return false
    }
  }
}

/** Claims that every token has here. */
interface TimedClaims extends JWTPayload {
  readonly sub: string
  readonly iat: number
  readonly exp: number
}

/** Verifies with the key of a token's header; one without `kid` may have been replaced without a word. */
async function withKey<T>(
  keys: KeySource,
  header: { readonly kid: string; readonly alg: string },
  origin: TokenOrigin,
  verifyWith: (key: CryptoKey) => Promise<T>,
): Promise<T> {
  const key = await keys.find(header, origin)
  try {
    return await verifyWith(key)
  } catch (error) {
    const isReplaced = header.kid === unnamed && codeOf(error) === 'ERR_TOKEN_SIGNATURE'
    if (!isReplaced) throw error
    return await verifyWith(await keys.findNewer(key, header, origin))
  }
}

function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof GatewayError ? error.code : undefined
}

/** Verifies the signature and the times, for the only issuer that the token may be of. */
async function readClaims(
  token: string,
  header: ProtectedHeaderParameters,
  issuer: Issuer,
  rules: TokenRules,
  origin: TokenOrigin,
): Promise<TimedClaims> {
  const alg = text(header.alg)
  if (!rules.algorithms.includes(alg)) throw new GatewayError('ERR_TOKEN_ALGORITHM')
  const verifyWith = (key: CryptoKey) =>
    jwtVerify(token, key, {
      algorithms: [...rules.algorithms],
      issuer: issuer.issuer,
      clockTolerance: rules.clockTolerance / 1000,
      currentDate: new Date(rules.now()),
      requiredClaims: ['exp', 'iat', 'sub'],
    }).catch((cause: unknown) => {
      throw fromJose(cause)
    })
  const { payload } = await withKey(issuer.keys, { kid: text(header.kid), alg }, origin, verifyWith)
  const { exp, iat, sub } = payload
  if (!isInstant(exp) || !isInstant(iat) || typeof sub !== 'string' || sub === '') {
    throw new GatewayError('ERR_TOKEN_CLAIMS')
  }
  if (iat * 1000 > rules.now() + rules.clockTolerance) throw new GatewayError('ERR_TOKEN_TIME')
  if ((exp - iat) * 1000 > rules.maxTokenLife) throw new GatewayError('ERR_TOKEN_TIME')
  return { ...payload, exp, iat, sub }
}

/** Whether a client is a machine, which has access tokens only; the client decides, never the absence of a name. */
function isMachine(issuer: Issuer, clientId: string, use: VerifiedToken['use']): boolean {
  if (issuer.machines.has(clientId)) {
    if (use !== 'access') throw new GatewayError('ERR_TOKEN_USE')
    return true
  }
  if (!issuer.clients.has(clientId)) throw new GatewayError('ERR_TOKEN_CLIENT')
  return false
}
