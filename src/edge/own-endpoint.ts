/** The stages of an own endpoint: its method, its rate limit, and who it is that asks. Its row says which of them apply. */
import { GatewayError } from '../core/errors.js'
import { principalKey } from '../core/identity.js'
import { addressKey } from '../core/network.js'
import type { Stage } from '../request/context.js'
import { hasBody } from '../request/headers.js'
import type { Counter } from './rate-limit.js'
import type { Reply } from './reply.js'

/** What the stages need. */
export interface OwnEndpointParts {
  readonly reply: Reply
  readonly authenticate: Stage
  /** Counts by client address. */
  readonly byAddress: Counter
  /** Counts by who asks. */
  readonly byPrincipal: Counter
}

/** The stages, in the order in which they run. */
export interface OwnStages {
  readonly ownMethod: Stage
  readonly ownRateLimit: Stage
  readonly ownCredential: Stage
  readonly ownPersonLimit: Stage
}

/** Builds the stages. */
export function createOwnStages(parts: OwnEndpointParts): OwnStages {
  const { reply, authenticate, byAddress, byPrincipal } = parts
  return {
    ownMethod(context) {
      const { endpoint, method, headers } = context
      context.routeName = endpoint.name
      if (endpoint.methods.includes(method)) {
        if (headers.expectContinue) context.response.writeContinue()
        return undefined
      }
      if (method === 'OPTIONS' && headers.preflightMethod !== '') {
        reply.send(context, 204, [], '')
        return 'answered'
      }
      throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: endpoint.methods })
    },

    ownRateLimit({ endpoint, headers, address }) {
      const isCounted =
        endpoint.limit === 'address' || (endpoint.limit === 'body' && hasBody(headers))
      return isCounted ? byAddress.hit(addressKey(address)) : undefined
    },

    async ownCredential(context) {
      const { credential } = context.endpoint
      if (credential === 'unread') return
      try {
        await authenticate(context)
      } catch (error) {
        // Sign-in and our pages never fail because of a credential.
        if (credential === 'strict') throw error
      }
    },

    /** Who is nobody costs nothing here. */
    ownPersonLimit({ endpoint, identity }) {
      if (endpoint.limit !== 'principal' || identity.via === undefined) return undefined
      return byPrincipal.hit(principalKey(identity.principal))
    },
  }
}
