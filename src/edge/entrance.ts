/** Steps 1 to 6 of a request's way: what needs no policy and no identity to be refused (design §2). */
import { GatewayError } from '../errors.js'
import { belowBase } from '../target.js'
import type { Exchange, RequestHeaders, Stage } from '../exchange.js'
import type { Client } from './client.js'
import { scanHeaders } from './headers.js'
import type { Reply } from './reply.js'
import type { createRequestNames } from './request-id.js'

/** The gateway's own address, taken apart. */
export interface PublicAddress {
  readonly url: string
  readonly origin: string
  /** As it stands in `Host`: without the scheme's own port. */
  readonly host: string
  /** The base path, empty text for none. */
  readonly base: string
  readonly secure: boolean
}

/** Takes `server.publicUrl` apart. */
export function parsePublicUrl(publicUrl: string): PublicAddress {
  const url = new URL(publicUrl)
  return {
    url: publicUrl,
    origin: url.origin,
    host: url.host,
    base: url.pathname.replace(/\/$/, ''),
    secure: url.protocol === 'https:',
  }
}

/** What the entrance needs. */
export interface EntranceParts {
  readonly address: PublicAddress
  readonly names: ReturnType<typeof createRequestNames>
  readonly resolveClient: (
    socket: Exchange['request']['socket'],
    headers: NonNullable<Exchange['headers']>,
  ) => Client
  readonly reply: Reply
  /** Where a trusted proxy asks about requests: it may call us by an inner name. */
  readonly verifyPath: string | undefined
}

/** Builds the six steps, in their order. */
export function createEntrance(parts: EntranceParts) {
  const { address, names, resolveClient, reply } = parts
  const defaultPort = address.secure ? ':443' : ':80'
  const healthPath = `${address.base}/auth/healthz`

  /** A refusal has a name too, if not the one that was brought. */
  const readHeaders = (exchange: Exchange): RequestHeaders => {
    try {
      return scanHeaders(exchange.request)
    } catch (error) {
      exchange.id = names.id('')
      exchange.traceparent = names.trace('')
      throw error
    }
  }

  const framing: Stage = (exchange) => {
    const headers = readHeaders(exchange)
    exchange.id = names.id(headers.requestId)
    exchange.traceparent = names.trace(headers.traceparent)
    const { socket, httpVersion } = exchange.request
    if (headers.host === '' && httpVersion !== '1.0') throw new GatewayError('ERR_HEADER_INVALID')
    const client = resolveClient(socket, headers)
    exchange.headers = headers
    exchange.address = client.address
    exchange.secure = client.secure
    exchange.trusted = client.trusted
  }

  const canonicalPath: Stage = (exchange) => {
    if (exchange.target === undefined) {
      throw new GatewayError(exchange.targetFault ?? 'ERR_TARGET_FORM')
    }
  }

  /** For balancers that reach only this port: no details, and no rule that they could fail. */
  const health: Stage = (exchange) => {
    if (exchange.target?.path !== healthPath) return undefined
    exchange.routeName = 'auth:healthz'
    const { method } = exchange.request
    if (method !== 'GET' && method !== 'HEAD') {
      throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: ['GET', 'HEAD'] })
    }
    reply.send(exchange, 200, ['Content-Type', 'text/plain; charset=utf-8'], 'ok\n')
    return 'answered'
  }

  /** A foreign Host would end up in the links and redirects that Trac writes. */
  const host: Stage = (exchange) => {
    const received = (exchange.headers?.host ?? '').toLowerCase()
    if (received === address.host || received === address.host + defaultPort) return
    const path = exchange.target?.path ?? ''
    if (parts.verifyPath !== undefined && exchange.trusted && path.startsWith(parts.verifyPath)) {
      return
    }
    throw new GatewayError('ERR_HOST_UNKNOWN', { detail: `This gateway serves ${address.url}.` })
  }

  const scheme: Stage = (exchange) => {
    if (!address.secure || exchange.secure) return undefined
    const { forwardedProto = '', forwarded = '' } = exchange.headers ?? {}
    if (!exchange.trusted && /https/i.test(forwardedProto + forwarded)) {
      throw new GatewayError('ERR_PROXY_UNTRUSTED', {
        detail:
          `The proxy in front of this gateway, ${exchange.address}, says that you came over HTTPS, ` +
          'but it is not listed in server.trustedProxies.',
      })
    }
    const { method } = exchange.request
    if (method !== 'GET' && method !== 'HEAD') throw new GatewayError('ERR_HTTPS_REQUIRED')
    reply.redirect(exchange, 308, address.origin + (exchange.target?.sent ?? ''))
    return 'answered'
  }

  const basePath: Stage = (exchange) => {
    const path = exchange.target?.path ?? ''
    const below = belowBase(path, address.base)
    if (below !== undefined) {
      exchange.path = below
      return undefined
    }
    if (path !== '/') {
      throw new GatewayError('ERR_ROUTE_UNKNOWN', {
        detail: `Everything here is below ${address.url}.`,
      })
    }
    reply.redirect(exchange, 302, `${address.base}/`)
    return 'answered'
  }

  return { framing, canonicalPath, health, host, scheme, basePath }
}
