/** `GET /auth/login` and Trac's own `/login`: off to the provider, with state, nonce and PKCE (deploy/docs/sessions.md#sign-in). */
import { GatewayError } from '../core/errors.js'
import { isNavigation } from '../edge/reply.js'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import { environmentLink } from '../request/environment.js'
import type { EnvironmentAt } from '../request/environment.js'
import type { FindEndpoints } from '../oidc/provider-endpoints.js'
import { readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import { authorizationUrl } from '../sign-in/authorization-url.js'
import type { LoginStates } from '../sign-in/login-state.js'
import type { LoopGuard } from '../sign-in/loop-guard.js'
import { readReferer, readReturnTo } from '../sign-in/return-to.js'

/** What sign-in needs. */
export interface LoginParts {
  readonly origin: string
  readonly base: string
  readonly environmentAt: EnvironmentAt
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly endpoints: FindEndpoints
  readonly attempts: LoginStates
  readonly loopGuard: LoopGuard
  readonly names: CookieNames
  readonly reply: Reply
}

/** A parameter of the query that came exactly once; the empty text otherwise. */
export function parameter(context: RequestContext, name: string): string {
  const values = new URLSearchParams(context.target.query).getAll(name)
  return values.length === 1 ? values[0]! : ''
}

/** Builds the two endpoints. */
export function createLogin(parts: LoginParts) {
  const { base, environmentAt } = parts
  const start = `${base}/`

  const begin = async (context: RequestContext, returnTo: string): Promise<void> => {
    const asked = parameter(context, 'prompt') === 'login'
    // A program has no other account to choose, and nothing to fill in at the provider.
    const { via } = context.identity
    if (via === 'bearer' || via === 'token' || (via === 'session' && !asked)) {
      parts.reply.redirect(context, 302, returnTo)
      return
    }
    // A script's request would leave a cookie each time and die at the provider's origin.
    if (!isNavigation(context)) throw new GatewayError('ERR_LOGIN_REQUIRED')
    const { attempts, signOut } = readCookies(context.headers.cookie, parts.names)
    const fresh = asked || signOut !== ''
    if (parts.loopGuard.isLoop(attempts)) {
      context.setCookies = [...context.setCookies, ...parts.loopGuard.forget(attempts)]
      throw new GatewayError('ERR_LOGIN_LOOP', {
        found: { sign_ins: 'one after the other', session_cookie: 'none' },
        wanted: { session_cookie: parts.names.session },
      })
    }
    context.returnTo = returnTo
    const present = parts.loopGuard.others(attempts)
    const { attempt, codeChallenge, cookies } = await parts.attempts.start(returnTo, present)
    const { authorization, askingPrompt } = await parts.endpoints()
    const { clientId, redirectUri, scopes } = parts
    const { state, nonce } = attempt
    const url = authorizationUrl({
      ...{ endpoint: authorization, clientId, redirectUri, scopes, state, nonce, codeChallenge },
      prompt: fresh ? askingPrompt : undefined,
    })
    context.setCookies = [...context.setCookies, ...cookies]
    parts.reply.redirect(context, 302, url)
  }

  return {
    /** `/auth/login?return_to=…`; a visitor who is signed in is sent straight back. */
    login: (context: RequestContext) =>
      begin(context, readReturnTo(parameter(context, 'return_to'), base, environmentAt) ?? start),

    /** Trac's `/login`: with `?referer=`, else the Referer. Its own links lead there, also those in feeds for programs. */
    tracLogin(context: RequestContext): Promise<void> {
      const asked = parameter(context, 'referer')
      const returnTo =
        readReturnTo(asked, base, environmentAt) ??
        readReferer(asked, parts.origin, base, environmentAt) ??
        readReferer(context.headers.referer, parts.origin, base, environmentAt) ??
        environmentLink(base, context.tracPrefix)
      if (context.identity.via !== undefined) {
        parts.reply.redirect(context, 302, returnTo)
        return Promise.resolve()
      }
      const query = new URLSearchParams({ return_to: returnTo })
      parts.reply.redirect(context, 302, `${base}/auth/login?${query.toString()}`)
      return Promise.resolve()
    },
  }
}
