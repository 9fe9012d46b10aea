/** `/auth/verify`: another proxy asks whether a request may pass, and in whose name (design §4, Forward-auth). */
import { GatewayError, errors } from '../errors.js'
import { Exchange } from '../exchange.js'
import type { Stage } from '../exchange.js'
import type { WireIdentity } from '../identity.js'
import { belowBase, parseTarget } from '../target.js'

/** How the front proxy tells of the original request. */
export type Dialect = 'nginx' | 'traefik' | 'caddy' | 'envoy'

/** What the endpoint needs. */
export interface ForwardAuthParts {
  /** Undefined: the endpoint does not exist. */
  readonly dialect: Dialect | undefined
  readonly base: string
  readonly host: string
  readonly proto: 'http' | 'https'
  /** Bytes of the original target. */
  readonly targetLimit: number
  /** The rules that the original request is judged by, in their order. */
  readonly steps: readonly Stage[]
  /** The wire identity for a judged request, and its signature for the upstream of its route. */
  readonly wireOf: (original: Exchange) => WireIdentity
  readonly sign: (original: Exchange, wire: WireIdentity) => string
  readonly isNavigation: (exchange: Exchange) => boolean
  readonly loginUrl: (returnTo: string) => string
  readonly send: (
    exchange: Exchange,
    status: number,
    headers: readonly string[],
    body: string,
  ) => void
  readonly redirect: (exchange: Exchange, status: 302, location: string) => void
}

/** Where Envoy's `path_prefix` puts the original target. */
export const verifyPath = '/auth/verify'

interface Original {
  readonly method: string
  readonly target: string
}

/** A header that came once and whole: a list of two is two proxies' word. */
function single(value: string): string {
  if (value === '' || /[,\s]/.test(value)) throw new GatewayError('ERR_ROUTE_DENIED')
  return value
}

/** Builds the endpoint; whoever is not a trusted proxy finds nothing there. */
export function createForwardAuth(parts: ForwardAuthParts) {
  const prefix = parts.base + verifyPath

  const readOriginal = (exchange: Exchange): Original => {
    const { headers, target } = exchange
    if (headers === undefined || target === undefined) throw new GatewayError('ERR_ROUTE_DENIED')
    const inPath = target.path.length > prefix.length
    if (parts.dialect === 'envoy') {
      if (!inPath) throw new GatewayError('ERR_ROUTE_DENIED')
      return { method: exchange.method, target: target.sent.slice(prefix.length) }
    }
    if (inPath) throw new GatewayError('ERR_ROUTE_DENIED')
    const host = single(headers.forwardedHost).toLowerCase()
    const proto = single(headers.forwardedProto).toLowerCase()
    if (host !== parts.host || proto !== parts.proto) throw new GatewayError('ERR_ROUTE_DENIED')
    // A target may hold commas; one that was doubled has a space after one, which no target may hold.
    return { method: single(headers.forwardedMethod), target: headers.forwardedUri }
  }

  const judge = async (exchange: Exchange): Promise<Exchange> => {
    const { method, target: raw } = readOriginal(exchange)
    const target = parseTarget(raw, parts.targetLimit)
    if ('code' in target) throw new GatewayError('ERR_ROUTE_DENIED', { cause: target.code })
    const original = new Exchange(
      exchange.request,
      exchange.response,
      exchange.startedAt,
      raw,
      target,
      method,
    )
    const path = belowBase(target.path, parts.base)
    if (path === undefined) throw new GatewayError('ERR_ROUTE_DENIED')
    Object.assign(original, {
      id: exchange.id,
      traceparent: exchange.traceparent,
      headers: exchange.headers,
      address: exchange.address,
      secure: exchange.secure,
      trusted: true,
      tunnel: exchange.tunnel,
      path,
    })
    try {
      for (const step of parts.steps) await step(original)
      return original
    } finally {
      exchange.setCookies = original.setCookies
      exchange.identity = original.identity
    }
  }

  const refuse = (exchange: Exchange, error: GatewayError, returnTo: string): void => {
    exchange.code = error.code
    const asked = new URLSearchParams(exchange.target?.query ?? '').get('login') === 'redirect'
    if (error.code === 'ERR_LOGIN_REQUIRED' && asked && parts.isNavigation(exchange)) {
      parts.redirect(exchange, 302, parts.loginUrl(returnTo))
      return
    }
    // Front proxies know three answers; whatever else was wrong with the original is a no.
    const status = error.status === 401 || error.status >= 500 ? error.status : 403
    const headers = ['Content-Type', 'application/json; charset=utf-8']
    if (status === 401) headers.push('WWW-Authenticate', 'Bearer realm="Trac"')
    const body = { error: errors[error.code].error, code: error.code, message: error.message }
    parts.send(exchange, status, headers, `${JSON.stringify(body)}\n`)
  }

  return async (exchange: Exchange): Promise<void> => {
    if (parts.dialect === undefined || !exchange.trusted) {
      throw new GatewayError('ERR_ROUTE_UNKNOWN')
    }
    try {
      const original = await judge(exchange)
      const wire = parts.wireOf(original)
      const headers = [
        ...['X-Trac-User', wire.user, 'X-Trac-Perms', wire.perms],
        ...['X-Trac-Email', wire.email, 'X-Trac-Name', wire.name],
        ...['X-Trac-Signature', parts.sign(original, wire)],
      ]
      parts.send(exchange, 200, headers, '')
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      refuse(exchange, error, exchange.headers?.forwardedUri ?? '')
    }
  }
}
