/** Steps 1 to 6 of a request's way: what needs no policy and no identity to be refused (deploy/docs/requests.md#order-of-checks). */
import { GatewayError } from '../core/errors.js'
import type { PublicUrl } from '../core/public-url.js'
import { belowBase } from '../request/target.js'
import type { RequestContext, RequestHeaders, Stage } from '../request/context.js'
import type { Client } from '../request/client-address.js'
import { scanHeaders } from '../request/headers.js'
import type { Reply } from './reply.js'
import type { createRequestNames } from '../request/request-id.js'

/** What the entrance needs. */
export interface PreconditionParts {
  readonly address: PublicUrl
  readonly names: ReturnType<typeof createRequestNames>
  readonly resolveClient: (
    socket: RequestContext['request']['socket'],
    headers: NonNullable<RequestContext['headers']>,
  ) => Client
  readonly reply: Reply
  /** Where a trusted proxy asks about requests: it may call us by an inner name. */
  readonly verifyPath: string | undefined
}

/** Builds the six steps, in their order. */
export function createPreconditions(parts: PreconditionParts) {
  const { address, names, resolveClient, reply } = parts
  const defaultPort = address.secure ? ':443' : ':80'
  const healthPath = `${address.base}/auth/healthz`

  /** A refusal has a name too, if not the one that was brought. */
  const readHeaders = (context: RequestContext): RequestHeaders => {
    try {
      return scanHeaders(context.request)
    } catch (error) {
      context.id = names.id('')
      context.traceparent = names.trace('')
      throw error
    }
  }

  const framing: Stage = (context) => {
    const headers = readHeaders(context)
    context.id = names.id(headers.requestId)
    context.traceparent = names.trace(headers.traceparent)
    const { socket, httpVersion } = context.request
    if (headers.host === '' && httpVersion !== '1.0') throw new GatewayError('ERR_HEADER_INVALID')
    const client = resolveClient(socket, headers)
    context.headers = headers
    context.address = client.address
    context.secure = client.secure
    context.trusted = client.trusted
  }

  const canonicalPath: Stage = (context) => {
    if (context.target === undefined) {
      throw new GatewayError(context.targetFault ?? 'ERR_TARGET_FORM')
    }
  }

  /** For balancers that reach only this port: no details, and no rule that they could fail. */
  const health: Stage = (context) => {
    if (context.target?.path !== healthPath) return undefined
    context.routeName = 'auth:healthz'
    const { method } = context.request
    if (method !== 'GET' && method !== 'HEAD') {
      throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: ['GET', 'HEAD'] })
    }
    reply.send(context, 200, ['Content-Type', 'text/plain; charset=utf-8'], 'ok\n')
    return 'answered'
  }

  /** A foreign Host would end up in the links and redirects that Trac writes. */
  const host: Stage = (context) => {
    const received = (context.headers?.host ?? '').toLowerCase()
    if (received === address.host || received === address.host + defaultPort) return
    const path = context.target?.path ?? ''
    if (parts.verifyPath !== undefined && context.trusted && path.startsWith(parts.verifyPath)) {
      return
    }
    throw new GatewayError('ERR_HOST_UNKNOWN', { detail: `This gateway serves ${address.url}.` })
  }

  const scheme: Stage = (context) => {
    if (!address.secure || context.secure) return undefined
    const { forwardedProto = '', forwarded = '' } = context.headers ?? {}
    if (!context.trusted && /https/i.test(forwardedProto + forwarded)) {
      throw new GatewayError('ERR_PROXY_UNTRUSTED', {
        detail:
          `The proxy in front of this gateway, ${context.address}, says that you came over HTTPS, ` +
          'but it is not listed in server.trustedProxies.',
      })
    }
    const { method } = context.request
    if (method !== 'GET' && method !== 'HEAD') throw new GatewayError('ERR_HTTPS_REQUIRED')
    reply.redirect(context, 308, address.origin + (context.target?.sent ?? ''))
    return 'answered'
  }

  const basePath: Stage = (context) => {
    const path = context.target?.path ?? ''
    const below = belowBase(path, address.base)
    if (below !== undefined) {
      context.path = below
      return undefined
    }
    if (path !== '/') {
      throw new GatewayError('ERR_ROUTE_UNKNOWN', {
        detail: `Everything here is below ${address.url}.`,
      })
    }
    reply.redirect(context, 302, `${address.base}/`)
    return 'answered'
  }

  return { framing, canonicalPath, health, host, scheme, basePath }
}
