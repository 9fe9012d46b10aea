/** The rules for a token: who made it, for whom, with which key, for how long (RFC 8725 §3). */
import { errors as joseErrors } from 'jose'
import type { JWTPayload, ProtectedHeaderParameters } from 'jose'
import { GatewayError, withFacts } from '../core/errors.js'
import type { Milliseconds, Now } from '../core/clock.js'
import { sharedSet } from '../core/remember-lists.js'
import type { KeySource, TokenOrigin } from './issuer-keys.js'
import { readJws } from './jws.js'
import type { ReadJws } from './jws.js'
import { unnamed } from './key-set.js'
import { isSignedBy } from './signature.js'
import type { SignatureKey } from './signature.js'
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

/** The one place where jose's errors become ours, by their codes. */
function fromJose(cause: unknown): unknown {
  if (!(cause instanceof joseErrors.JOSEError)) return cause
  switch (cause.code) {
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

/** Verifies one token; `origin` is who brought it, and a client unless it is said. */
export type VerifyToken = (token: string, origin?: TokenOrigin) => Promise<VerifiedToken>

/**
 * Builds the verifier over a fixed list of issuers. What a token says of itself is judged first, and its signature last:
 * most bad tokens are refused for the price of reading them.
 * @throws {@link GatewayError} (rejects) ERR_TOKEN_… — the rule that the token breaks
 * @throws {@link GatewayError} (rejects) ERR_PROVIDER_UNAVAILABLE — no key of the issuer is known yet
 * @see RFC 8725 §3, RFC 7519 §4.1
 */
export function createVerifier(issuers: readonly Issuer[], rules: TokenRules): VerifyToken {
  const byName = new Map(issuers.map((issuer) => [issuer.issuer, issuer]))
  const verify = async (
    token: string,
    { header, claims }: ReadJws,
    issuer: Issuer | undefined,
    origin: TokenOrigin,
  ): Promise<VerifiedToken> => {
    if (issuer === undefined) throw new GatewayError('ERR_TOKEN_ISSUER')
    const alg = text(header.alg)
    if (!rules.algorithms.includes(alg)) throw new GatewayError('ERR_TOKEN_ALGORITHM')
    const { sub, iat, exp } = checkTimes(claims, rules)
    const { use, clientId } = meantFor(claims, header, issuer, rules.publicUrl)
    const machine = isMachine(issuer, clientId, use)
    await checkSignature(token, header, issuer.keys, origin)
    const scopes = use === 'access' ? text(claims['scope']).split(' ').filter(Boolean) : []
    return {
      issuer,
      use,
      clientId,
      machine,
      subject: sub,
      scopes: sharedSet(scopes),
      claims,
      issuedAt: iat * 1000,
      expiresAt: exp * 1000,
    }
  }
  return async (token, origin = 'client') => {
    const said = read(token)
    const { header, claims } = said
    const issuer = typeof claims.iss === 'string' ? byName.get(claims.iss) : undefined
    try {
      return await verify(token, said, issuer, origin)
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

/** Claims that every token has here; times in seconds. */
interface TimedClaims {
  readonly sub: string
  readonly iat: number
  readonly exp: number
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

/** Whom it is about, and the times (RFC 7519 §4.1.2, §4.1.4 to §4.1.6). */
function checkTimes(claims: JWTPayload, rules: TokenRules): TimedClaims {
  const { sub, iat, exp, nbf = 0 } = claims
  const { clockTolerance, maxTokenLife } = rules
  const areTimes = isInstant(exp) && isInstant(iat) && isInstant(nbf)
  if (!areTimes || typeof sub !== 'string' || sub === '') throw new GatewayError('ERR_TOKEN_CLAIMS')
  const now = Math.floor(rules.now() / 1000)
  const tolerance = clockTolerance / 1000
  if (nbf > now + tolerance) throw new GatewayError('ERR_TOKEN_TIME')
  if (exp <= now - tolerance) throw new GatewayError('ERR_TOKEN_EXPIRED')
  if (iat * 1000 > rules.now() + clockTolerance) throw new GatewayError('ERR_TOKEN_TIME')
  if ((exp - iat) * 1000 > maxTokenLife) throw new GatewayError('ERR_TOKEN_TIME')
  return { sub, iat, exp }
}

/** Verifies with the key that the header names; one without `kid` may have been replaced without a word. */
async function checkSignature(
  token: string,
  header: ProtectedHeaderParameters,
  keys: KeySource,
  origin: TokenOrigin,
): Promise<void> {
  const wanted = { kid: text(header.kid), alg: text(header.alg) }
  const fits = (key: SignatureKey): Promise<boolean> =>
    isSignedBy(token, header, key).catch((cause: unknown) => {
      throw fromJose(cause)
    })
  const key = await keys.find(wanted, origin)
  if (await fits(key)) return
  const isReplaced =
    wanted.kid === unnamed && (await fits(await keys.findNewer(key, wanted, origin)))
  if (!isReplaced) throw new GatewayError('ERR_TOKEN_SIGNATURE')
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
