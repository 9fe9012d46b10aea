/** Who a request is from: Bearer (or a personal token) first, then the session cookie, else anonymous; never a half identity (deploy/docs/requests.md#credentials). */
import { GatewayError } from '../core/errors.js'
import type { RequestContext, SetCookies } from '../request/context.js'
import { rememberLast } from '../request/last-text.js'
import type { Identity } from '../core/identity.js'
import { bringsTracCookie } from '../session/cookies.js'
import { asBearerFault, isPersonal, readAuthorization } from './bearer.js'
import type { BearerLookup, PresentedToken } from './bearer.js'
import { createPersonalCredential } from './personal-credential.js'
import type { Timed } from './personal-credential.js'
import type { PersonalLookup } from './personal-token.js'
import type { Webhooks } from './webhooks.js'

/** What the cookies of a request led to. */
export interface CookieOutcome {
  /** Undefined: as if no cookie had come. */
  readonly identity: Identity | undefined
  /** What every answer should carry. */
  readonly setCookies: SetCookies
  /** What the answer that goes to sign-in should carry besides. */
  readonly signInCookies: readonly string[]
  readonly warm: boolean
}

/** What the neighbours bring. */
export interface AuthenticateParts<T> {
  readonly bearer: BearerLookup<T>
  /** Undefined: there are no personal tokens. */
  readonly personal: PersonalLookup | undefined
  readonly webhooks: Pick<Webhooks, 'claim'>
  /** Where our own pages are, for what must not come from a page. */
  readonly publicOrigin: string
  /** Undefined: no session cookie came. @throws {@link GatewayError} ERR_STORE_UNAVAILABLE, ERR_PROVIDER_UNAVAILABLE */
  readonly session: (
    cookieHeader: string,
    connection: object | undefined,
  ) => CookieOutcome | Promise<CookieOutcome> | undefined
  readonly onDropped: (scheme: string) => void
  readonly observe: (credential: string, cache: string, result: string, seconds: number) => void
}

/** Builds the stage. It answers a promise only if something has to be looked up elsewhere. */
export function createAuthenticate<T>(parts: AuthenticateParts<T>) {
  const readCredential = rememberLast(readAuthorization)

  const timed: Timed = (context, credential, startedAt, result) => {
    parts.observe(credential, context.cache, result, (performance.now() - startedAt) / 1000)
  }
  const personal =
    parts.personal && createPersonalCredential(parts.personal, parts.publicOrigin, timed)

  const byBearer = (context: RequestContext, token: PresentedToken): void | Promise<void> => {
    const startedAt = performance.now()
    const failed = (error: unknown): never => {
      timed(context, 'bearer', startedAt, error instanceof GatewayError ? error.code : 'fault')
      throw asBearerFault(error)
    }
    const done = ({ identity }: { readonly identity: Identity }): void => {
      context.identity = identity
      context.bearerToken = token.token
      timed(context, 'bearer', startedAt, 'ok')
    }
    try {
      const { known, hit } = parts.bearer(token, context.address)
      context.cache = hit ? 'hit' : 'miss'
      return known instanceof Promise ? known.then(done, failed) : done(known)
    } catch (error) {
      return failed(error)
    }
  }

  const bySession = (context: RequestContext, cookie: string): void | Promise<void> => {
    const startedAt = performance.now()
    const done = (outcome: CookieOutcome): void => {
      context.cache = outcome.warm ? 'hit' : 'miss'
      if (outcome.identity !== undefined) context.identity = outcome.identity
      context.setCookies = outcome.setCookies
      context.signInCookies = outcome.signInCookies
      timed(context, 'session', startedAt, outcome.identity === undefined ? 'ended' : 'ok')
    }
    const outcome = parts.session(cookie, context.request.socket)
    if (outcome === undefined) return undefined
    if (!(outcome instanceof Promise)) return done(outcome)
    return outcome.then(done, (error: unknown) => {
      timed(context, 'session', startedAt, error instanceof GatewayError ? error.code : 'fault')
      throw error
    })
  }

  return (context: RequestContext): void | Promise<void> => {
    // No other credential counts there, and none is read.
    if (context.route.webhook !== undefined) return parts.webhooks.claim(context)
    const { authorization, cookie } = context.headers
    if (context.preflight) return undefined
    let isBasic = false
    if (authorization !== '') {
      const read = readCredential(authorization, context.request.socket)
      if ('token' in read) {
        const isOurs = personal !== undefined && isPersonal(read)
        return isOurs ? personal.asBearer(context, read) : byBearer(context, read)
      }
      isBasic = read.scheme === 'basic'
      if (isBasic && context.route.basic && personal !== undefined) return personal.asBasic(context)
      if (!isBasic || !context.route.legacyAuth) parts.onDropped(isBasic ? 'basic' : 'other')
    }
    const found = bySession(context, cookie)
    if (!context.route.legacyAuth || !(isBasic || bringsTracCookie(cookie))) return found
    // Only if no session of ours opened: who has signed in with us is not asked by Trac, too.
    const asBefore = () => void (context.isLegacy = context.identity.via === undefined)
    return found instanceof Promise ? found.then(asBefore) : asBefore()
  }
}
