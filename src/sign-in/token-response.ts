/** What the token endpoint gave, verified before anything of it counts: signature, client, subject, nonce. */
import { decodeJwt } from 'jose'
import { GatewayError, withFacts } from '../core/errors.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { Profile } from '../core/identity.js'
import type { TokenAnswer } from '../oidc/token-client.js'
import type { VerifiedToken, VerifyToken } from '../oidc/verify-token.js'
import { identifiersOf } from '../session/token-identifiers.js'
import type { SessionIdentifiers, TokenIdentifiers } from '../session/token-identifiers.js'
import type { Renewed, Unverified } from '../session/renewal.js'
import type { SignIn } from '../session/sessions.js'

/** What the checks need. */
export interface TokenCheckParts {
  readonly verify: VerifyToken
  /** Whether an access token says that it is for us or one of our clients; unverified. */
  readonly isForUs: (accessToken: string) => boolean
  readonly issuer: string
  readonly clientId: string
  readonly readProfile: (token: VerifiedToken) => Profile
  /** All groups in a token, those that mean nothing here too. */
  readonly groupsOf: (token: VerifiedToken) => readonly string[]
  /** The Trac user name of a profile. @throws {@link GatewayError} ERR_NAME_… */
  readonly nameOf: (profile: Profile) => string
  /** Lets a person in under their name. @throws {@link GatewayError} (rejects) ERR_NAME_…, ERR_STORE_UNAVAILABLE */
  readonly admit: (profile: Profile) => Promise<unknown>
  readonly isRevoked: (identifiers: TokenIdentifiers, user: string) => boolean
  /** Whether a session that would begin now was ended already, by a sign-out since its attempt began. */
  readonly hasEnded: (session: SessionIdentifiers, user: string) => boolean
  readonly now: Now
}

/** A signed-in person with what sign-out needs to know. */
export interface CheckedSignIn extends SignIn {
  readonly idToken: VerifiedToken
  /** All groups that the provider sent. */
  readonly groups: readonly string[]
}

type Claims = Readonly<Record<string, unknown>>

/** How long tokens are taken to live whose answer says nothing of it. */
const unknownLife: Milliseconds = 3_600_000

/** The claims of a token, if it is a JWT: it came from the provider itself, so only its names are read. */
function unverifiedClaims(token: string): Claims {
  try {
    return decodeJwt(token)
  } catch {
    return {}
  }
}

/** The identifiers of both tokens, which are of one sign-in. */
function jointIdentifiers(issuer: string, id: Claims, access: Claims): TokenIdentifiers {
  const identifiers = identifiersOf(issuer, id)
  const ids = new Set([...identifiers.ids, ...identifiersOf(issuer, access).ids])
  return { ...identifiers, ids: [...ids] }
}

/**
 * Whether a later try may go well: a fault of the provider or of the store, or a key that the provider does not list yet.
 * Such a failure is never kept as an answer, and what was had before it is.
 */
export function isTemporary(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return true
  return error.status >= 500 || error.code === 'ERR_TOKEN_KEY_UNKNOWN'
}

/** The checks of one gateway. */
export class TokenChecks {
  readonly #parts: TokenCheckParts

  constructor(parts: TokenCheckParts) {
    this.#parts = parts
  }

  /**
   * Checks what a code was redeemed for, in an attempt that began at `begunAt`.
   * @throws {@link GatewayError} ERR_TOKEN_… — the rule that the answer breaks
   * @see OpenID Connect Core §3.1.3.7
   */
  async signIn(
    answer: TokenAnswer,
    { nonce, begunAt }: { readonly nonce: string; readonly begunAt: Milliseconds },
  ): Promise<CheckedSignIn> {
    if (answer.idToken === undefined) {
      throw new GatewayError('ERR_PROVIDER_ANSWER', { cause: new Error('no ID token came') })
    }
    const idToken = await this.#checkIdToken(answer.idToken)
    if (idToken.claims['nonce'] !== nonce) {
      const came = idToken.claims['nonce'] === undefined ? 'none' : 'another one'
      const wanted = { nonce: 'that of this sign-in' }
      throw new GatewayError('ERR_TOKEN_NONCE', { found: { nonce: came }, wanted })
    }
    const groups = this.#parts.groupsOf(idToken)
    try {
      return { ...(await this.#admit(idToken, answer, begunAt)), groups }
    } catch (error) {
      const { issuer, subject: sub, claims } = idToken
      throw withFacts(error, { issuer: issuer.issuer, sub, claims: Object.keys(claims), groups })
    }
  }

  async #admit(
    idToken: VerifiedToken,
    answer: TokenAnswer,
    begunAt: Milliseconds,
  ): Promise<Omit<CheckedSignIn, 'groups'>> {
    const identifiers = jointIdentifiers(
      idToken.issuer.issuer,
      idToken.claims,
      unverifiedClaims(answer.accessToken),
    )
    const profile = this.#parts.readProfile(idToken)
    if (this.#parts.hasEnded({ ...identifiers, begunAt }, this.#parts.nameOf(profile))) {
      throw new GatewayError('ERR_TOKEN_REVOKED')
    }
    await this.#parts.admit(profile)
    return {
      idToken,
      profile,
      identifiers,
      begunAt,
      refreshToken: answer.refreshToken,
      accessToken: answer.accessToken,
      expiresAt: Math.min(idToken.expiresAt, this.#accessEnd(answer)),
    }
  }

  /**
   * Checks what a session's refresh token was exchanged for; an answer without ID token keeps the old profile. Where the
   * check can't be made for now, the new refresh token is not lost.
   * @see OpenID Connect Core §12.2
   */
  async renewal(answer: TokenAnswer, subject: string): Promise<Renewed | Unverified> {
    try {
      return await this.#renewed(answer, subject)
    } catch (error) {
      if (!isTemporary(error)) throw error
      return { awaits: error, refreshToken: answer.refreshToken }
    }
  }

  async #renewed(answer: TokenAnswer, subject: string): Promise<Renewed> {
    const { accessToken, refreshToken } = answer
    if (answer.idToken === undefined) {
      const end = this.#accessEnd(answer)
      const expiresAt = Number.isFinite(end) ? end : this.#parts.now() + unknownLife
      return { profile: undefined, ids: [], refreshToken, accessToken, expiresAt }
    }
    const idToken = await this.#checkIdToken(answer.idToken)
    if (idToken.subject !== subject) throw subjectFault(idToken.subject, subject)
    const { issuer } = idToken.issuer
    return {
      profile: this.#parts.readProfile(idToken),
      ids: jointIdentifiers(issuer, idToken.claims, unverifiedClaims(accessToken)).ids,
      refreshToken,
      accessToken,
      expiresAt: Math.min(idToken.expiresAt, this.#accessEnd(answer)),
    }
  }

  /** How the tokens of an answer are recognised; only for ending them, since nothing is verified. */
  identifiersOf({ idToken = '', accessToken }: TokenAnswer): TokenIdentifiers {
    const { issuer } = this.#parts
    return jointIdentifiers(issuer, unverifiedClaims(idToken), unverifiedClaims(accessToken))
  }

  /**
   * Checks what is to be handed to an API client: the ID token, an access token that is for us, and that the sign-in was
   * not ended. An access token that is opaque or for somebody else is theirs to judge (RFC 6749 §1.4).
   */
  async forClient({ idToken, accessToken }: TokenAnswer): Promise<void> {
    const { isForUs, verify } = this.#parts
    const id = idToken === undefined ? undefined : await this.#checkIdToken(idToken)
    const access = isForUs(accessToken) ? await verify(accessToken, 'provider') : undefined
    if (id === undefined && access === undefined) throw new GatewayError('ERR_PROVIDER_ANSWER')
    if (id !== undefined && access !== undefined && id.subject !== access.subject) {
      throw subjectFault(access.subject, id.subject)
    }
    // An access token alone may not say the name; then it is refused when it is used.
    const user = id === undefined ? '' : this.#parts.nameOf(this.#parts.readProfile(id))
    for (const token of [id, access]) {
      if (token === undefined) continue
      if (this.#parts.isRevoked(identifiersOf(token.issuer.issuer, token.claims), user)) {
        throw new GatewayError('ERR_REFRESH_REFUSED')
      }
    }
  }

  async #checkIdToken(idToken: string): Promise<VerifiedToken> {
    const token = await this.#parts.verify(idToken, 'provider')
    const { use, clientId: client } = token
    const { issuer, main } = token.issuer
    const { clientId } = this.#parts
    if (use !== 'id' || !main) {
      const wanted = { use: 'id', issuer: this.#parts.issuer }
      throw new GatewayError('ERR_TOKEN_USE', { found: { use, issuer }, wanted })
    }
    if (client !== clientId) {
      throw new GatewayError('ERR_TOKEN_CLIENT', {
        found: { client },
        wanted: { client: clientId },
      })
    }
    return token
  }

  /** When the access token ends: by the answer, else by its own word. */
  #accessEnd({ expiresIn, accessToken }: TokenAnswer): Milliseconds {
    if (expiresIn !== undefined) return this.#parts.now() + expiresIn * 1000
    const { exp } = unverifiedClaims(accessToken)
    return typeof exp === 'number' ? exp * 1000 : Number.POSITIVE_INFINITY
  }
}

function subjectFault(found: string, wanted: string): GatewayError {
  return new GatewayError('ERR_TOKEN_SUBJECT', { found: { sub: found }, wanted: { sub: wanted } })
}
