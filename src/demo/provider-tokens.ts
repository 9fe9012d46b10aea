/** The tokens of the look-alike: their keys, and the claims that Cognito puts in each kind. */
import { createHash, randomUUID } from 'node:crypto'
import { SignJWT, createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import type { CryptoKey, JWK, JWTPayload } from 'jose'
import type { Now } from '../core/clock.js'
import type { Person } from './people.js'

/** Claims of a token as they go on the wire; a claim that is `undefined` is left out. */
export type Claims = Record<string, unknown>

/** Which of Cognito's two kinds of JWT, as in `token_use`. */
export type TokenUse = 'id' | 'access'

/** One RSA key of the pool. Cognito signs ID and access tokens with different keys. */
export interface PoolKey {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK
}

/** The keys that sign now, one for each kind of token. */
export type PoolKeys = Readonly<Record<TokenUse, PoolKey>>

/** What one sign-in carries into all its tokens, refreshed ones too. */
export interface SignIn {
  readonly originJti: string
  readonly eventId: string
  /** Seconds since 1970. */
  readonly authTime: number
}

/** RSA 2048, as Cognito has. */
async function createPoolKey(): Promise<PoolKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', {
    modulusLength: 2048,
    extractable: true,
  })
  const kid = createHash('sha256').update(randomUUID()).digest('base64')
  const jwk = await exportJWK(publicKey)
  return { kid, privateKey, publicJwk: { ...jwk, alg: 'RS256', kid, use: 'sig' } }
}

/** Makes a fresh pair of keys. */
export async function createPoolKeys(): Promise<PoolKeys> {
  const [id, access] = await Promise.all([createPoolKey(), createPoolKey()])
  return { id, access }
}

/** Builds and signs tokens for one pool. */
export class Mint {
  keys: PoolKeys
  /** Public keys that are still shown though nothing is signed with them any more. */
  retired: JWK[] = []

  readonly issuer: string
  readonly #now: Now

  constructor(issuer: string, keys: PoolKeys, now: Now) {
    this.issuer = issuer
    this.keys = keys
    this.#now = now
  }

  /** The public key set. */
  get jwks(): { keys: JWK[] } {
    return { keys: [this.keys.id.publicJwk, this.keys.access.publicJwk, ...this.retired] }
  }

  /** Seconds since 1970. */
  seconds(): number {
    return Math.floor(this.#now() / 1000)
  }

  /** Signs claims as they are with the pool's key for `use`. */
  async sign(claims: Claims, use: TokenUse, header: Record<string, unknown> = {}): Promise<string> {
    const { kid, privateKey } = this.keys[use]
    return new SignJWT(claims).setProtectedHeader({ kid, alg: 'RS256', ...header }).sign(privateKey)
  }

  /** The claims of both kinds of token. */
  #common(use: TokenUse, lifetime: number, signIn: SignIn): Claims {
    const now = this.seconds()
    return {
      iss: this.issuer,
      token_use: use,
      origin_jti: signIn.originJti,
      event_id: signIn.eventId,
      auth_time: signIn.authTime,
      iat: now,
      exp: now + lifetime,
      jti: randomUUID(),
    }
  }

  /** An ID token's claims for a person. `lifetime` is in seconds. */
  idClaims(person: Person, clientId: string, lifetime: number, signIn: SignIn): Claims {
    return {
      sub: person.sub,
      'cognito:groups': person.groups.length > 0 ? person.groups : undefined,
      'cognito:username': person.username,
      email: person.email,
      email_verified: person.emailVerified,
      name: person.name,
      trac_permissions: person.permissions.length > 0 ? person.permissions : undefined,
      aud: clientId,
      ...this.#common('id', lifetime, signIn),
      ...person.claims,
    }
  }

  /** An access token's claims for a person: no `aud`, no e-mail. `lifetime` is in seconds. */
  accessClaims(
    person: Person,
    clientId: string,
    scope: string,
    lifetime: number,
    signIn: SignIn,
  ): Claims {
    return {
      sub: person.sub,
      'cognito:groups': person.groups.length > 0 ? person.groups : undefined,
      username: person.username,
      client_id: clientId,
      version: 2,
      scope,
      ...this.#common('access', lifetime, signIn),
    }
  }

  /** A machine's access token: `sub` is the client id, and nothing says who. */
  machineClaims(clientId: string, scope: string, lifetime: number): Claims {
    const now = this.seconds()
    return {
      sub: clientId,
      token_use: 'access',
      scope,
      auth_time: now,
      iss: this.issuer,
      exp: now + lifetime,
      iat: now,
      version: 2,
      jti: randomUUID(),
      client_id: clientId,
    }
  }

  /** Verifies an access token of this pool; undefined if it is not one. */
  async verifyAccess(token: string): Promise<JWTPayload | undefined> {
    try {
      const { payload } = await jwtVerify(token, createLocalJWKSet(this.jwks), {
        issuer: this.issuer,
        algorithms: ['RS256'],
        currentDate: new Date(this.#now()),
      })
      return payload['token_use'] === 'access' ? payload : undefined
    } catch {
      return undefined
    }
  }
}

/** `at_hash` of OpenID Connect Core §3.1.3.6 for RS256. */
export function accessTokenHash(accessToken: string): string {
  return createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url')
}
