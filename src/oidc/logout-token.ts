/** The rules for a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6). */
import { jwtVerify } from 'jose'
import type { Milliseconds } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { readJws } from './jws.js'
import type { Issuer, TokenRules } from './verify-token.js'

/** What a logout token ends: one sign-in by `sid`, or everything of a person. */
export interface LogoutToken {
  readonly id: string
  readonly sid: string | undefined
  readonly subject: string | undefined
  /** `iat`: what the provider ended was before, and its word may come late. */
  readonly issuedAt: Milliseconds
}

/** Verifies a logout token. @throws {@link GatewayError} (rejects) ERR_LOGOUT_TOKEN_INVALID */
export type VerifyLogoutToken = (token: string) => Promise<LogoutToken>

const event = 'http://schemas.openid.net/event/backchannel-logout'
/** An older token may be one that somebody kept, and its `jti` is forgotten by then. */
const maxAge: Milliseconds = 5 * 60_000

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Builds the verifier for the main issuer. */
export function createLogoutVerifier(
  issuer: Issuer,
  clientId: string,
  rules: TokenRules,
): VerifyLogoutToken {
  const check = async (token: string): Promise<LogoutToken> => {
    const { kid = '', alg = '', typ } = readJws(token).header
    if (typ !== undefined && !/^(?:application\/)?(?:logout\+jwt|jwt)$/i.test(typ)) {
      throw new Error(`typ ${typ.slice(0, 40)}`)
    }
    const { key } = await issuer.keys.find({ kid, alg })
    const { payload } = await jwtVerify(token, key, {
      algorithms: [...rules.algorithms],
      issuer: issuer.issuer,
      audience: clientId,
      clockTolerance: rules.clockTolerance / 1000,
      currentDate: new Date(rules.now()),
      maxTokenAge: maxAge / 1000,
      requiredClaims: ['iat', 'jti'],
    })
    const id = optionalText(payload.jti)
    const sid = optionalText(payload['sid'])
    const subject = optionalText(payload.sub)
    const events = payload['events']
    if (!isObject(events) || !isObject(events[event])) throw new Error('no logout event')
    if (payload['nonce'] !== undefined) throw new Error('a nonce makes it another kind of token')
    if (id === undefined || (sid === undefined && subject === undefined)) {
      throw new Error('it names nobody')
    }
    return { id, sid, subject, issuedAt: (payload.iat ?? 0) * 1000 }
  }
  return async (token) => {
    try {
      return await check(token)
    } catch (cause) {
      const found = { rule: cause instanceof Error ? cause.message : undefined }
      const wanted = { issuer: issuer.issuer, client: clientId, seconds: maxAge / 1000 }
      throw new GatewayError('ERR_LOGOUT_TOKEN_INVALID', { cause, found, wanted })
    }
  }
}
