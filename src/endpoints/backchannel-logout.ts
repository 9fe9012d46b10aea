/** `POST /auth/backchannel-logout`: the provider ends sessions here (OpenID Connect Back-Channel Logout 1.0). */
import { LRUCache } from 'lru-cache'
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
  readonly life: Milliseconds
  readonly now: Now
  readonly reply: Reply
  readonly onLogout: (kind: string) => void
}

/** Token ids seen; an id beyond it can only come again within the five minutes that a token is young. */
const maxIds = 10_000
const idLife: Milliseconds = 10 * 60_000

/** Builds the endpoint. */
export function createBackchannel(parts: BackchannelParts) {
  const seen = new LRUCache<string, true>({
    max: maxIds,
    ttl: idLife,
    ttlResolution: 0,
    perf: { now: parts.now },
  })

  const end = async (token: LogoutToken): Promise<void> => {
    const until = parts.now() + parts.life
    if (token.sid !== undefined) {
      await parts.revocations.endIdentifier(parts.issuer, `sid ${token.sid}`, until)
    } else if (token.subject !== undefined) {
      await parts.revocations.endPerson(parts.issuer, token.subject, until)
    }
  }
  return async (context: RequestContext, body: Buffer): Promise<void> => {
    const form = new URLSearchParams(body.toString('utf8'))
    const [raw, ...more] = form.getAll('logout_token')
    if (raw === undefined || more.length > 0) throw new GatewayError('ERR_LOGOUT_TOKEN_INVALID')
    const token = await parts.verify(raw)
    if (seen.has(token.id)) throw new GatewayError('ERR_LOGOUT_TOKEN_INVALID')
    seen.set(token.id, true)
    try {
      await end(token)
    } catch (error) {
      // What could not be kept is not done: the provider may send it again.
      seen.delete(token.id)
      throw error
    }
    parts.onLogout('backchannel')
    parts.reply.json(context, 200, {})
  }
}
