/** A personal token as it comes with a request: as Bearer token, or as the password of HTTP Basic. */
import { GatewayError } from '../core/errors.js'
import type { Identity } from '../core/identity.js'
import type { RequestContext } from '../request/context.js'
import { rememberLast } from '../request/last-text.js'
import { checkUser, readBasic, refusePages } from './basic.js'
import { asBearerFault } from './bearer.js'
import type { PresentedToken } from './bearer.js'
import { unknownToken } from './personal-token.js'
import type { PersonalLookup } from './personal-token.js'

/** Observes how long it took to find out who a request is from; `startedAt` as of `performance.now()`. */
export type Timed = (
  context: RequestContext,
  credential: string,
  startedAt: number,
  result: string,
) => void

/**
 * Builds the two ways.
 * @param publicOrigin where our own pages are, for what must not come from a page
 */
export function createPersonalCredential(
  lookup: PersonalLookup,
  publicOrigin: string,
  timed: Timed,
) {
  const readOfBasic = rememberLast(readBasic)

  /** @param user the name that came beside it, with HTTP Basic */
  const find = (
    context: RequestContext,
    token: PresentedToken,
    user?: string,
  ): void | Promise<void> => {
    const startedAt = performance.now()
    const failed = (error: unknown): never => {
      timed(context, 'token', startedAt, error instanceof GatewayError ? error.code : 'fault')
      throw user === undefined ? asBearerFault(error) : error
    }
    const done = ({ identity }: { readonly identity: Identity }): void => {
      context.identity = identity
      timed(context, 'token', startedAt, 'ok')
    }
    try {
      const { known, hit } = lookup(token, context.address, (identity) => {
        if (user !== undefined) checkUser(user, identity)
      })
      context.cache = hit ? 'hit' : 'miss'
      return known instanceof Promise ? known.then(done, failed) : done(known)
    } catch (error) {
      return failed(error)
    }
  }

  return {
    asBearer: (context: RequestContext, token: PresentedToken) => find(context, token),

    /** Like a Bearer token: it is read before the cookie, and a bad one is refused. */
    asBasic(context: RequestContext): void | Promise<void> {
      refusePages(context.headers, publicOrigin)
      context.isBasic = true
      const read = readOfBasic(context.headers.authorization, context.request.socket)
      if (read === undefined) throw unknownToken('a malformed header')
      return find(context, read.password, read.user)
    },
  }
}
