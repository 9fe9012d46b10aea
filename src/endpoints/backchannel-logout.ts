/** `POST /auth/backchannel-logout`: the provider ends sessions here (OpenID Connect Back-Channel Logout 1.0). */
import { GatewayError } from '../core/errors.js'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { LogoutToken, VerifyLogoutToken } from '../oidc/logout-token.js'
import type { Revocations } from '../session/revocations.js'

/** What the endpoint needs. */
export interface BackchannelParts {
  readonly verify: VerifyLogoutToken
  readonly revocations: Revocations
  readonly issuer: string
  readonly now: Now
  readonly reply: Reply
  readonly onLogout: (kind: 'backchannel', result: 'ok' | 'failed') => void
}

/** A token is young for five minutes, by a clock that may differ a little. */
const idLife: Milliseconds = 10 * 60_000

/** Builds the endpoint. */
export function createBackchannel(parts: BackchannelParts) {
  const end = async (token: LogoutToken): Promise<void> => {
    const { sid, subject, issuedAt } = token
    if (sid !== undefined) await parts.revocations.endByProvider(parts.issuer, { sid }, issuedAt)
    else if (subject !== undefined) {
      await parts.revocations.endByProvider(parts.issuer, { subject }, issuedAt)
    }
  }
  return async (context: RequestContext, body: Buffer): Promise<void> => {
    const form = new URLSearchParams(body.toString('utf8'))
    const [raw, ...more] = form.getAll('logout_token')
    if (raw === undefined || more.length > 0) {
      const found = { logout_tokens: form.getAll('logout_token').length }
      throw new GatewayError('ERR_LOGOUT_TOKEN_INVALID', { found, wanted: { logout_tokens: 1 } })
    }
    const token = await parts.verify(raw)
    await parts.revocations.readNow()
    if (parts.revocations.wasObeyed(token.id)) {
      const facts = { found: { jti: 'one that came before' }, wanted: { jti: 'a new one' } }
      throw new GatewayError('ERR_LOGOUT_TOKEN_INVALID', facts)
    }
    try {
      await end(token)
      // Last: what could not be kept is not done, and the provider may send it again.
      await parts.revocations.noteLogoutToken(token.id, parts.now() + idLife)
    } catch (error) {
      parts.onLogout('backchannel', 'failed')
      throw error
    }
    parts.onLogout('backchannel', 'ok')
    parts.reply.json(context, 200, {})
  }
}
