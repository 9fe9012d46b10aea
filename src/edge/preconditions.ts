/** What needs no policy and no identity to be refused: the form of the request, Host, scheme, base path (deploy/docs/requests.md#order-of-checks). */
import { GatewayError } from '../core/errors.js'
import type { PublicUrl } from '../core/public-url.js'
import type { Stage } from '../request/context.js'
import type { Reply } from './reply.js'

/** What the stages need. */
export interface PreconditionParts {
  readonly address: PublicUrl
  readonly reply: Reply
}

/** Builds the stages. */
export function createPreconditions({ address, reply }: PreconditionParts) {
  const hosts: ReadonlySet<string> = new Set([
    address.host,
    address.host + (address.secure ? ':443' : ':80'),
  ])

  const framing: Stage = ({ headersFault }) => {
    if (headersFault !== undefined) throw headersFault
  }

  const canonicalPath: Stage = ({ targetFault }) => {
    if (targetFault !== undefined) throw targetFault
  }

  /** A foreign Host would end up in the links and redirects that Trac writes. */
  const host: Stage = ({ headers, endpoint, trusted }) => {
    if (hosts.has(headers.host) || hosts.has(headers.host.toLowerCase())) return
    if (endpoint.anyHost === 'everybody' || (endpoint.anyHost === 'trusted' && trusted)) return
    throw new GatewayError('ERR_HOST_UNKNOWN', { detail: `This gateway serves ${address.url}.` })
  }

  const scheme: Stage = (context) => {
    if (!address.secure || context.secure) return undefined
    if (context.endpoint.anyHost === 'everybody') return undefined
    const { forwardedProto, forwarded } = context.headers
    if (!context.trusted && /https/i.test(forwardedProto + forwarded)) {
      throw new GatewayError('ERR_PROXY_UNTRUSTED', {
        detail:
          `The proxy in front of this gateway, ${context.address}, says that you came over HTTPS, ` +
          'but it is not listed in server.trustedProxies.',
      })
    }
    if (context.method !== 'GET' && context.method !== 'HEAD') {
      throw new GatewayError('ERR_HTTPS_REQUIRED')
    }
    reply.redirect(context, 308, address.origin + context.target.sent)
    return 'answered'
  }

  const basePath: Stage = (context) => {
    if (context.isBelowBase) return undefined
    if (context.target.path !== '/') {
      throw new GatewayError('ERR_ROUTE_UNKNOWN', {
        detail: `Everything here is below ${address.url}.`,
      })
    }
    reply.redirect(context, 302, `${address.base}/`)
    return 'answered'
  }

  return { framing, canonicalPath, host, scheme, basePath }
}
