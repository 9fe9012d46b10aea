/** What needs no policy and no identity to be refused: the form of the request, Host, scheme, base path (deploy/docs/requests.md#order-of-checks). */
import { GatewayError } from '../core/errors.js'
import { comparableHost } from '../core/host.js'
import { isRead } from '../core/methods.js'
import type { PublicUrl } from '../core/public-url.js'
import { namesClient, saidScheme } from '../request/client-address.js'
import type { RequestContext, Stage } from '../request/context.js'
import type { Reply } from './reply.js'

/** What the stages need. */
export interface PreconditionParts {
  readonly address: PublicUrl
  readonly reply: Reply
  /** A trusted proxy that does not say whom it asks for; told once. */
  readonly onNamelessClient: (peer: string) => void
}

/** Characters of a header's value that a text repeats. */
const maxQuoted = 40

/** Why it is not known how the visitor came, and what mends it; undefined if it is known. */
function schemeFault({ trusted, scheme, headers, address }: RequestContext) {
  if (trusted) {
    if (scheme !== undefined) return undefined
    const { forwardedProto } = headers
    const said =
      forwardedProto === ''
        ? 'does not say how you came'
        : `says "${forwardedProto.slice(0, maxQuoted)}" in X-Forwarded-Proto`
    const detail = `The proxy in front of this gateway ${said}. It must send X-Forwarded-Proto: https, or http.`
    return new GatewayError('ERR_SCHEME_UNKNOWN', { detail, cause: detail })
  }
  // A redirect would lead its visitor to the same address. Who says anything else came by plain HTTP, as a browser's own
  // proxy does, which adds `X-Forwarded-For`.
  if (scheme === 'https' || saidScheme(headers) !== 'https') return undefined
  const detail =
    `The proxy in front of this gateway, ${address}, says that you came over HTTPS, but it is not listed in ` +
    'server.trustedProxies, so what it says does not count.'
  return new GatewayError('ERR_PROXY_UNTRUSTED', { detail, cause: detail })
}

/** Builds the stages. */
export function createPreconditions({ address, reply, onNamelessClient }: PreconditionParts) {
  let toldNameless = false

  const framing: Stage = ({ headersFault }) => {
    if (headersFault !== undefined) throw headersFault
  }

  const canonicalPath: Stage = ({ targetFault }) => {
    if (targetFault !== undefined) throw targetFault
  }

  /** A foreign Host would end up in the links and redirects that Trac writes. */
  const host: Stage = ({ headers, endpoint, trusted, scheme }) => {
    if (headers.host === address.host) return
    // A plain request to the port of plain HTTP is the next stage's.
    const expected = address.secure ? (scheme ?? 'https') : 'http'
    if (comparableHost(headers.host, expected) === address.host) return
    if (endpoint.anyHost === 'everybody' || (endpoint.anyHost === 'trusted' && trusted)) return
    throw new GatewayError('ERR_HOST_UNKNOWN', {
      detail: { text: 'detail.host', values: { url: address.url } },
      found: { host: headers.host },
      wanted: { host: address.host },
    })
  }

  /** All visitors of a proxy that does not name them have one address, and one rate limit. */
  const noticeNameless = ({ trusted, headers, address: peer }: RequestContext): void => {
    if (!trusted || toldNameless || namesClient(headers)) return
    toldNameless = true
    onNamelessClient(peer)
  }

  const scheme: Stage = (context) => {
    // A balancer's own question comes from nobody else.
    if (context.endpoint.anyHost === 'everybody') return undefined
    noticeNameless(context)
    // It is told of another request, and judges how that one came.
    if (context.endpoint.anyHost === 'trusted' && context.trusted) return undefined
    if (!address.secure || context.scheme === 'https') return undefined
    const fault = schemeFault(context)
    if (fault !== undefined) throw fault
    if (!isRead(context.method)) {
      throw new GatewayError('ERR_HTTPS_REQUIRED')
    }
    reply.redirect(context, 308, address.origin + context.target.sent)
    return 'answered'
  }

  const basePath: Stage = (context) => {
    if (context.isBelowBase) return undefined
    if (context.target.path !== '/') {
      throw new GatewayError('ERR_ROUTE_UNKNOWN', {
        detail: { text: 'detail.below', values: { url: address.url } },
      })
    }
    reply.redirect(context, 302, `${address.base}/`)
    return 'answered'
  }

  return { framing, canonicalPath, host, scheme, basePath }
}
