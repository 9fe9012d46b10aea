/** `POST /auth/refresh`: new tokens for an API client, or a renewed session for a browser (deploy/docs/guides/programs.md#new-tokens). */
import { LRUCache } from 'lru-cache'
import { fingerprint } from '../core/fingerprint.js'
import { SingleFlight } from '../core/single-flight.js'
import { GatewayError } from '../core/errors.js'
import type { Counter } from '../edge/rate-limit.js'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { TokenAnswer, TokenClient } from '../oidc/token-client.js'
import { readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { Sessions } from '../session/sessions.js'
import type { SessionCookies } from '../session/session-cookies.js'
import { isTemporary } from '../sign-in/token-response.js'
import type { TokenChecks } from '../sign-in/token-response.js'

/** What the endpoint needs. */
export interface RefreshParts {
  readonly tokens: TokenClient
  readonly checks: TokenChecks
  /** Answers whose key is awaited. */
  readonly awaited: AwaitedAnswers
  readonly sessions: Sessions
  readonly sessionCookies: SessionCookies
  readonly names: CookieNames
  /** Whether refresh tokens that come as JSON are redeemed at all. */
  readonly acceptsTokens: boolean
  readonly isSameOrigin: (context: RequestContext) => boolean
  readonly now: Now
  readonly reply: Reply
  /** What fails again and again with one token or session is stopped before the provider is asked. */
  readonly failures: Counter
  /** A session that is renewed on request again and again is stopped, too. */
  readonly bySession: Counter
  readonly onRefresh: (who: 'client' | 'browser', result: string) => void
}

/** By the hash of the refresh token, which the provider may have taken for the answer: who asks again gets the same one. */
export type AwaitedAnswers = LRUCache<string, TokenAnswer>

const maxAwaited = 1000
const awaitedLife: Milliseconds = 60_000
/** Seconds after which a key that is awaited may be there. */
const keyRetryAfter = 5

const jsonType = /^application\/json(?:\s*;|\s*$)/i

/** What the body asks for: a refresh token, or undefined for the cookie's renewal. */
function readBody(context: RequestContext, body: Buffer): string | undefined {
  if (body.length === 0) return undefined
  if (!jsonType.test(context.headers.contentType)) throw new GatewayError('ERR_MEDIA_TYPE')
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new GatewayError('ERR_BODY_MALFORMED', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GatewayError('ERR_BODY_MALFORMED')
  }
  const token = (value as Record<string, unknown>)['refresh_token']
  if (token === undefined) return undefined
  if (typeof token !== 'string' || token === '') throw new GatewayError('ERR_BODY_MALFORMED')
  return token
}

/** Creates the memory of answers that could not be verified yet. It outlives a reload: what it has can't be had again. */
export function createAwaitedAnswers(now: Now): AwaitedAnswers {
  return new LRUCache({
    max: maxAwaited,
    ttl: awaitedLife,
    ttlResolution: 0,
    noUpdateTTL: true,
    perf: { now },
  })
}

/** Builds the endpoint. */
export function createRefresh(parts: RefreshParts) {
  // Only exchanges in flight are shared: a finished one is not shown to anybody else.
  const exchanging = new SingleFlight<TokenAnswer>()
  /** The answer is kept where it can't be verified for now; what can't ever be is refused at once. */
  const verify = async (key: string, answer: TokenAnswer): Promise<void> => {
    try {
      await parts.checks.forClient(answer)
    } catch (error) {
      // An answer with nothing to verify in it does not get better.
      const isOdd = error instanceof GatewayError && error.code === 'ERR_PROVIDER_ANSWER'
      if (isOdd || !isTemporary(error)) throw error
      parts.awaited.set(key, answer)
      throw error instanceof GatewayError && error.status === 503
        ? error
        : new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause: error, retryAfter: keyRetryAfter })
    }
  }

  const exchangeOnce = (refreshToken: string): Promise<TokenAnswer> => {
    const key = fingerprint(refreshToken)
    return exchanging.run(key, async () => {
      const answer = parts.awaited.get(key) ?? (await parts.tokens.refresh(refreshToken))
      await verify(key, answer)
      return answer
    })
  }

  const forClient = async (context: RequestContext, refreshToken: string): Promise<void> => {
    if (!parts.acceptsTokens) throw new GatewayError('ERR_REFRESH_DISABLED')
    const answer = await exchangeOnce(refreshToken)
    parts.reply.json(context, 200, {
      access_token: answer.accessToken,
      ...(answer.idToken === undefined ? {} : { id_token: answer.idToken }),
      ...(answer.refreshToken === undefined ? {} : { refresh_token: answer.refreshToken }),
      expires_in: answer.expiresIn ?? 3600,
      token_type: 'Bearer',
    })
  }

  const forBrowser = async (context: RequestContext): Promise<void> => {
    const cookies = readCookies(context.headers.cookie, parts.names)
    if (cookies.sessionNames.length === 0) throw new GatewayError('ERR_CREDENTIAL_MISSING')
    if (!parts.isSameOrigin(context)) throw new GatewayError('ERR_CROSS_SITE')
    const since = parts.now()
    const found = await parts.sessions.find(cookies.session)
    if (found.session === undefined) {
      if (found.reason !== 'final')
        context.setCookies = () => parts.sessionCookies.gone(cookies, since)
      throw new GatewayError('ERR_SESSION_ENDED')
    }
    await parts.bySession.hit(`renewal ${found.session.record.id}`)
    // A refusal for now may come with a new refresh token all the same.
    context.setCookies = () => parts.sessionCookies.current(found.session, cookies)
    const session = found.fresh ? found.session : await parts.sessions.renewNow(found.session)
    context.setCookies = parts.sessionCookies.current(session, cookies)
    const { expiresAt } = session.identity
    parts.reply.json(context, 200, {
      expires_in: Math.max(0, Math.floor((expiresAt - parts.now()) / 1000)),
      expires_at: Math.floor(expiresAt / 1000),
    })
  }

  return async (context: RequestContext, body: Buffer): Promise<void> => {
    const refreshToken = readBody(context, body)
    const who = refreshToken === undefined ? 'browser' : 'client'
    // Other cookies of a browser say nothing of who fails, and whoever fails could change them.
    const { session } = readCookies(context.headers.cookie, parts.names)
    const key = `${who} ${fingerprint(refreshToken ?? session)}`
    try {
      await parts.failures.check(key)
      await (refreshToken === undefined ? forBrowser(context) : forClient(context, refreshToken))
      parts.onRefresh(who, 'ok')
    } catch (error) {
      if (error instanceof GatewayError && error.status === 401) await parts.failures.count(key)
      parts.onRefresh(who, error instanceof GatewayError ? error.code : 'ERR_INTERNAL')
      throw error
    }
  }
}
