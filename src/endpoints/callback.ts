/** `GET /auth/callback`: the way back from the provider ends in a session or in a page that says why not (deploy/docs/sessions.md#sign-in). */
import { validateAuthResponse } from 'oauth4webapi'
import { LRUCache } from 'lru-cache'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { fingerprint } from '../core/fingerprint.js'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import type { EnvironmentAt } from '../request/environment.js'
import type { FindEndpoints } from '../oidc/provider-endpoints.js'
import { errorWords } from '../oidc/token-client.js'
import type { TokenAnswer, TokenClient } from '../oidc/token-client.js'
import { readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { Revocations } from '../session/revocations.js'
import type { Sessions } from '../session/sessions.js'
import type { SessionCookies } from '../session/session-cookies.js'
import type { OpenSession } from '../session/open-session.js'
import type { UsedAttempts } from '../session/used-attempts.js'
import type { LoginState, LoginStates } from '../sign-in/login-state.js'
import { isTemporary } from '../sign-in/token-response.js'
import type { TokenChecks } from '../sign-in/token-response.js'
import type { LoopGuard } from '../sign-in/loop-guard.js'
import { readReturnTo } from '../sign-in/return-to.js'
import { forgetSignOut } from '../sign-in/sign-out-mark.js'

/** What the way back needs. */
export interface CallbackParts {
  readonly base: string
  readonly environmentAt: EnvironmentAt
  readonly clientId: string
  readonly endpoints: FindEndpoints
  readonly tokens: TokenClient
  readonly checks: TokenChecks
  readonly sessions: Sessions
  readonly sessionCookies: SessionCookies
  readonly attempts: LoginStates
  readonly revocations: Revocations
  readonly usedAttempts: UsedAttempts
  readonly loopGuard: LoopGuard
  readonly names: CookieNames
  readonly now: Now
  readonly reply: Reply
  readonly onLogin: (result: string) => void
  /** Somebody has signed in; `groups` are all that the provider sent. */
  readonly onSignIn: (
    context: RequestContext,
    session: OpenSession,
    groups: readonly string[],
  ) => void
}

/** Answers kept for a callback that comes twice; each is one open session, shared with the sessions' own memory. */
const maxAnswers = 1000
/** Answers of the token endpoint kept for a callback that met a fault after it: a code is redeemed once. */
const maxRedeemed = 1000
const answerLife: Milliseconds = 60_000

/** The provider's word that it or the person did not go through with it (RFC 6749 §4.1.2.1). */
function deniedBy(error: string, description: string | null): GatewayError {
  const cause = new Error(`the provider answered ${errorWords(error, description)}`)
  return error === 'temporarily_unavailable' || error === 'server_error'
    ? new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause, retryAfter: 10 })
    : new GatewayError('ERR_LOGIN_DENIED', {
        cause,
        found: { error: errorWords(error) },
        wanted: { error: 'none' },
      })
}

/** Whatever led there was not the provider, or not ours; the values are secrets. */
function malformed(query: URLSearchParams, issuer?: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_CALLBACK_MALFORMED', {
    found: { parameters: [...query.keys()], iss: query.get('iss') ?? undefined },
    wanted: { parameters: ['state', 'code'], iss: issuer },
    ...(cause === undefined ? {} : { cause }),
  })
}

function unknownAttempt(attempt: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_LOGIN_UNKNOWN', {
    found: { attempt },
    wanted: { attempt: 'one of the last 10 minutes, by its cookie, used for the first time' },
    ...(cause === undefined ? {} : { cause }),
  })
}

/**
 * Reads what the provider sent by way of the browser (RFC 6749 §4.1.2, RFC 9207).
 * @throws {@link GatewayError} ERR_CALLBACK_MALFORMED, ERR_LOGIN_DENIED, ERR_PROVIDER_UNAVAILABLE
 */
export async function readAuthorization(
  { endpoints, clientId }: Pick<CallbackParts, 'endpoints' | 'clientId'>,
  { state }: Pick<LoginState, 'state'>,
  query: URLSearchParams,
): Promise<URLSearchParams> {
  const { server } = await endpoints()
  let callback: URLSearchParams
  try {
    callback = validateAuthResponse(server, { client_id: clientId }, query, state)
  } catch (cause) {
    const error = query.get('error')
    if (error === null) throw malformed(query, server.issuer, cause)
    throw deniedBy(error, query.get('error_description'))
  }
  // One code, and not an empty one (RFC 6749 §4.1.2, §3.1).
  if (callback.getAll('code').length !== 1 || callback.get('code') === '') {
    throw malformed(query, server.issuer)
  }
  return callback
}

/** Begins the session of an attempt that comes back: once, however often and at once it comes. */
function createBeginning(parts: CallbackParts) {
  const memory = { ttl: answerLife, ttlResolution: 0, perf: { now: parts.now } }
  // Keyed by state and code; only the browser with the attempt's sealed cookie can present the state here.
  const answers = new LRUCache<string, Promise<OpenSession>>({ max: maxAnswers, ...memory })
  const redeemed = new LRUCache<string, TokenAnswer>({ max: maxRedeemed, ...memory })

  /** An attempt serves once; a code that the provider never answered has not used it up. */
  const redeem = async (attempt: LoginState, callback: URLSearchParams, key: string) => {
    const kept = redeemed.get(key)
    if (kept !== undefined) return kept
    if (!(await parts.usedAttempts.use(attempt.state))) {
      const cause = new Error('the attempt was used before: its cookie was put back')
      throw unknownAttempt('used before', cause)
    }
    try {
      const answer = await parts.tokens.redeem(callback, attempt.verifier)
      redeemed.set(key, answer)
      return answer
    } catch (error) {
      if (isTemporary(error)) {
        await parts.usedAttempts.release(attempt.state).catch(() => undefined)
      }
      throw error
    }
  }

  return async (
    context: RequestContext,
    attempt: LoginState,
    query: URLSearchParams,
  ): Promise<OpenSession> => {
    const callback = await readAuthorization(parts, attempt, query)
    const key = `${attempt.state} ${fingerprint(callback.get('code') ?? '')}`
    const earlier = answers.get(key)
    if (earlier !== undefined) return earlier
    let groups: readonly string[] | undefined
    const answer = parts.sessions.beginOnce(key, async () => {
      const given = await redeem(attempt, callback, key)
      await parts.revocations.readNow()
      const signedIn = await parts.checks.signIn(given, attempt)
      groups = signedIn.groups
      return signedIn
    })
    answers.set(key, answer)
    try {
      const session = await answer
      redeemed.delete(key)
      // Another replica has written it down if the session was begun there.
      if (groups !== undefined) parts.onSignIn(context, session, groups)
      return session
    } catch (error) {
      if (isTemporary(error)) answers.delete(key)
      throw error
    }
  }
}

/** Builds the endpoint. */
export function createCallback(parts: CallbackParts) {
  const begin = createBeginning(parts)

  /** A bookmark of this address, or Back after an hour: nothing is wrong if somebody is signed in. */
  const withoutAttempt = (context: RequestContext): void => {
    if (context.identity.via !== 'session') {
      const { attempts } = readCookies(context.headers.cookie, parts.names)
      throw unknownAttempt(`not among the ${attempts.length} that this browser sent`)
    }
    parts.reply.redirect(context, 303, `${parts.base}/`)
  }

  /** Ends what this browser had before. Its refresh token is of no more use, and nobody waits for the provider to hear it. */
  const leaveOld = async (
    context: RequestContext,
    value: string,
    session: OpenSession,
  ): Promise<void> => {
    const tell = (cause: unknown) => {
      context.cause ??= cause
    }
    const left = await parts.sessions.replace(value, session, tell)
    if (left !== undefined) parts.tokens.revoke(left).catch(tell)
  }

  const finish = async (context: RequestContext): Promise<void> => {
    const query = new URLSearchParams(context.target.query)
    for (const name of ['state', 'code', 'error', 'iss']) {
      if (query.getAll(name).length > 1) throw malformed(query)
    }
    const state = query.get('state') ?? ''
    if (state === '') throw malformed(query)
    const cookies = readCookies(context.headers.cookie, parts.names)
    const attempt = await parts.attempts.find(state, cookies.attempts)
    if (attempt === undefined) {
      withoutAttempt(context)
      return
    }
    context.returnTo = attempt.returnTo
    const session = await begin(context, attempt, query).catch((error: unknown) => {
      if (error instanceof GatewayError && error.code === 'ERR_REFRESH_REFUSED') {
        throw unknownAttempt('one whose code was refused at the provider', error)
      }
      throw error
    })
    if (cookies.session !== '') await leaveOld(context, cookies.session, session)
    context.setCookies = [
      ...parts.sessionCookies.begun(session, cookies),
      ...forgetSignOut(parts.names, cookies),
      parts.loopGuard.count(cookies.attempts),
    ]
    parts.onLogin('ok')
    parts.reply.redirect(
      context,
      303,
      readReturnTo(attempt.returnTo, parts.base, parts.environmentAt) ?? `${parts.base}/`,
    )
  }

  return async (context: RequestContext): Promise<void> => {
    try {
      await finish(context)
    } catch (error) {
      parts.onLogin(error instanceof GatewayError ? error.code : 'ERR_INTERNAL')
      throw error
    }
  }
}
