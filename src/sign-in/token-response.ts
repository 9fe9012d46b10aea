/** What the token endpoint gave, verified before anything of it counts: signature, client, subject, nonce. */
import { decodeJwt } from 'jose'
import { GatewayError } from '../core/errors.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { Profile } from '../core/identity.js'
import type { TokenAnswer } from '../oidc/tokens.js'
import type { VerifiedToken, VerifyToken } from '../oidc/verify.js'
import { identifiersOf } from '../session/token-identifiers.js'
import type { TokenIdentifiers } from '../session/token-identifiers.js'
import type { Renewed } from '../session/renewal.js'
import type { SignIn } from '../session/sessions.js'

/** What the checks need. */
export interface TokenCheckParts {
  readonly verify: VerifyToken
  readonly issuer: string
  readonly clientId: string
  readonly readProfile: (token: VerifiedToken) => Profile
  /** The Trac user name of a profile. @throws {@link GatewayError} ERR_NAME_… */
  readonly nameOf: (profile: Profile) => string
  readonly isRevoked: (identifiers: TokenIdentifiers, user: string) => boolean
  readonly now: Now
}

/** A signed-in person with what sign-out needs to know. */
export interface CheckedSignIn extends SignIn {
  readonly idToken: VerifiedToken
}

/** The claims of a token, if it is a JWT: it came from the provider itself, so only its names are read. */
function unverifiedClaims(token: string): Record<string, unknown> {
  try {
    return decodeJwt(token)
  } catch {
    return {}
  }
}

/** Builds the checks. */
export function createTokenChecks(parts: TokenCheckParts) {
  const { now } = parts

  const accessEnd = (answer: TokenAnswer): Milliseconds => {
    if (answer.expiresIn !== undefined) return now() + answer.expiresIn * 1000
    const { exp } = unverifiedClaims(answer.accessToken)
    return typeof exp === 'number' ? exp * 1000 : Number.POSITIVE_INFINITY
  }

  const checkIdToken = async (idToken: string): Promise<VerifiedToken> => {
    const token = await parts.verify(idToken)
    if (token.use !== 'id' || !token.issuer.main) throw new GatewayError('ERR_TOKEN_USE')
    if (token.clientId !== parts.clientId) throw new GatewayError('ERR_TOKEN_CLIENT')
    return token
  }

  /** The identifiers of both tokens, which are of one sign-in. */
  const jointIdentifiers = (token: VerifiedToken, accessToken: string): TokenIdentifiers => {
    const identifiers = identifiersOf(token.issuer.issuer, token.claims)
    const access = identifiersOf(token.issuer.issuer, unverifiedClaims(accessToken))
    return { ...identifiers, ids: [...new Set([...identifiers.ids, ...access.ids])] }
  }

  return {
    /**
     * Checks what a code was redeemed for.
     * @throws {@link GatewayError} ERR_TOKEN_… — the rule that an answer breaks
     * @see OpenID Connect Core §3.1.3.7
     */
    async signIn(answer: TokenAnswer, nonce: string): Promise<CheckedSignIn> {
      if (answer.idToken === undefined) {
        throw new GatewayError('ERR_PROVIDER_ANSWER', { cause: new Error('no ID token came') })
      }
      const idToken = await checkIdToken(answer.idToken)
      if (idToken.claims['nonce'] !== nonce) throw new GatewayError('ERR_TOKEN_NONCE')
      const identifiers = jointIdentifiers(idToken, answer.accessToken)
      const profile = parts.readProfile(idToken)
      if (parts.isRevoked(identifiers, parts.nameOf(profile)))
        throw new GatewayError('ERR_TOKEN_REVOKED')
      return {
        idToken,
        profile,
        identifiers,
        refreshToken: answer.refreshToken,
        accessToken: answer.accessToken,
        expiresAt: Math.min(idToken.expiresAt, accessEnd(answer)),
      }
    },

    /**
     * Checks what a session's refresh token was exchanged for; an answer without ID token keeps the old profile.
     * @see OpenID Connect Core §12.2
     */
    async renewal(answer: TokenAnswer, subject: string): Promise<Renewed> {
      const { accessToken, refreshToken } = answer
      if (answer.idToken === undefined) {
        const end = accessEnd(answer)
        const expiresAt = Number.isFinite(end) ? end : now() + 3_600_000
        return { profile: undefined, ids: [], refreshToken, accessToken, expiresAt }
      }
      const idToken = await checkIdToken(answer.idToken)
      if (idToken.subject !== subject) throw new GatewayError('ERR_TOKEN_SUBJECT')
      return {
        profile: parts.readProfile(idToken),
        ids: jointIdentifiers(idToken, accessToken).ids,
        refreshToken,
        accessToken,
        expiresAt: Math.min(idToken.expiresAt, accessEnd(answer)),
      }
    },

    /** How the tokens of an answer are recognised; only for ending them, since nothing is verified. */
    identifiersOf(answer: TokenAnswer): TokenIdentifiers {
      const identifiers = identifiersOf(parts.issuer, unverifiedClaims(answer.idToken ?? ''))
      const access = identifiersOf(parts.issuer, unverifiedClaims(answer.accessToken))
      return { ...identifiers, ids: [...new Set([...identifiers.ids, ...access.ids])] }
    },

    /** Checks what is to be handed to an API client: every JWT in it, and that the sign-in was not ended. */
    async forClient(answer: TokenAnswer): Promise<void> {
      const { idToken, accessToken } = answer
      const id = idToken === undefined ? undefined : await checkIdToken(idToken)
      const isJwt = accessToken.split('.').length === 3
      const access = isJwt ? await parts.verify(accessToken) : undefined
      if (id === undefined && access === undefined) throw new GatewayError('ERR_PROVIDER_ANSWER')
      if (id !== undefined && access !== undefined && id.subject !== access.subject) {
        throw new GatewayError('ERR_TOKEN_SUBJECT')
      }
      // An access token alone may not say the name; then it is refused when it is used.
      const user = id === undefined ? '' : parts.nameOf(parts.readProfile(id))
      for (const token of [id, access]) {
        if (token === undefined) continue
        if (parts.isRevoked(identifiersOf(token.issuer.issuer, token.claims), user)) {
          throw new GatewayError('ERR_REFRESH_REFUSED')
        }
      }
    },
  }
}

/** The checks of one gateway. */
export type TokenChecks = ReturnType<typeof createTokenChecks>
