/** `GET /auth/login` and Trac's own `/login`: off to the provider, with state, nonce and PKCE (design §2). */
import { GatewayError } from '../errors.js'
import type { Exchange } from '../exchange.js'
import type { FindEndpoints } from '../oidc/provider.js'
import { readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { Attempts } from './attempts.js'
import { challengeOf } from './attempts.js'
import type { LoopBreaker } from './loop-breaker.js'
import { readReferer, readReturnTo } from './return-to.js'

/** What sign-in needs. */
export interface LoginParts {
  readonly origin: string
  readonly base: string
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly endpoints: FindEndpoints
  readonly attempts: Attempts
  readonly loopBreaker: LoopBreaker
  readonly names: CookieNames
  readonly isNavigation: (exchange: Exchange) => boolean
  readonly redirect: (exchange: Exchange, status: 302 | 303, location: string) => void
}

/** A parameter of the query that came exactly once; the empty text otherwise. */
export function parameter(exchange: Exchange, name: string): string {
  const values = new URLSearchParams(exchange.target?.query ?? '').getAll(name)
  return values.length === 1 ? values[0]! : ''
}

/** Builds the two endpoints. */
export function createLogin(parts: LoginParts) {
  const { base } = parts
  const start = `${base}/`

  const authorizeUrl = async (state: string, nonce: string, verifier: string, fresh: boolean) => {
    const { authorization } = await parts.endpoints()
    const url = new URL(authorization)
    url.searchParams.set('response_type', 'code')
    url.searchParams.set('client_id', parts.clientId)
    url.searchParams.set('redirect_uri', parts.redirectUri)
    url.searchParams.set('scope', parts.scopes.join(' '))
    url.searchParams.set('state', state)
    url.searchParams.set('nonce', nonce)
    url.searchParams.set('code_challenge', challengeOf(verifier))
    url.searchParams.set('code_challenge_method', 'S256')
    if (fresh) url.searchParams.set('prompt', 'login')
    return url.href
  }

  const begin = async (exchange: Exchange, returnTo: string): Promise<void> => {
    const fresh = parameter(exchange, 'prompt') === 'login'
    if (exchange.identity?.via === 'session' && !fresh) {
      parts.redirect(exchange, 302, returnTo)
      return
    }
    // A script's request would leave a cookie each time and die at the provider's origin.
    if (!parts.isNavigation(exchange)) throw new GatewayError('ERR_LOGIN_REQUIRED')
    const { attempts } = readCookies(exchange.headers?.cookie ?? '', parts.names)
    if (parts.loopBreaker.isLoop(attempts)) {
      exchange.setCookies = [...exchange.setCookies, ...parts.loopBreaker.forget(attempts)]
      throw new GatewayError('ERR_LOGIN_LOOP')
    }
    const present = parts.loopBreaker.others(attempts)
    const { attempt, cookies } = await parts.attempts.start(returnTo, present)
    const url = await authorizeUrl(attempt.state, attempt.nonce, attempt.verifier, fresh)
    exchange.setCookies = [...exchange.setCookies, ...cookies]
    parts.redirect(exchange, 302, url)
  }

  return {
    /** `/auth/login?return_to=…`; a visitor who is signed in is sent straight back. */
    login: (exchange: Exchange) =>
      begin(exchange, readReturnTo(parameter(exchange, 'return_to'), base) ?? start),

    /** Trac's `/login`: with `?referer=`, else the Referer. */
    tracLogin(exchange: Exchange): Promise<void> {
      const asked = parameter(exchange, 'referer')
      const returnTo =
        readReturnTo(asked, base) ??
        readReferer(asked, parts.origin, base) ??
        readReferer(exchange.headers?.referer ?? '', parts.origin, base)
      const query = new URLSearchParams({ return_to: returnTo ?? start })
      parts.redirect(exchange, 302, `${base}/auth/login?${query.toString()}`)
      return Promise.resolve()
    },
  }
}
