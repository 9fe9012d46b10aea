/** Steps 8 and 11 to 13 of a request's way: the route, where it came from, whether it may, how large it is. */
import { GatewayError } from '../errors.js'
import type { ErrorCode } from '../errors.js'
import type { Exchange, Stage } from '../exchange.js'
import type { Identity } from '../identity.js'
import type { Route } from '../route.js'
import { isSameOrigin, safeMethods } from './csrf.js'
import { decide } from './decide.js'
import { readQuery } from './query.js'
import type { Router } from './router.js'

/** A decision as the audit log and the counter want it. */
export interface DecisionRecord {
  readonly exchange: Exchange
  readonly route: string
  readonly result: 'allow' | ErrorCode
  readonly mode: 'enforce' | 'shadow'
}

/** What the policy is made of. */
export interface PolicyParts {
  readonly router: Router
  readonly publicOrigin: string
  readonly anonymous: Identity
  /** The whole gateway's mode; in `shadow` even what no row matches goes to Trac. */
  readonly mode: 'enforce' | 'shadow'
  /** The row for unmatched requests in global shadow mode. */
  readonly unmatched: Route
  /** Answers 204 without CORS headers: no other origin is let in. */
  readonly answerPreflight: (exchange: Exchange) => void
  readonly record: (decision: DecisionRecord) => void
}

/** A sentence for the person, naming what would have been needed. */
function explain(code: ErrorCode, missing: readonly string[]): string | undefined {
  const names = missing.join(' or ')
  if (code === 'ERR_PERMISSION_REQUIRED') return `This needs the permission ${names}.`
  if (code === 'ERR_GROUP_REQUIRED') return `This needs the group ${names}.`
  if (code === 'ERR_SCOPE_REQUIRED') return `This needs the scope ${missing.join(' ')}.`
  return undefined
}

function refusal(code: ErrorCode, missing: readonly string[], exchange: Exchange): GatewayError {
  const detail = explain(code, missing)
  return new GatewayError(code, {
    ...(detail === undefined ? {} : { detail }),
    ...(code === 'ERR_SCOPE_REQUIRED' ? { scopes: missing } : {}),
    ...(exchange.identity?.via === 'bearer' ? { bearer: true } : {}),
  })
}

/** A preflight is judged as the method it asks for (Fetch §4.8). */
function preflightMethod(exchange: Exchange): string | undefined {
  const { origin = '', preflightMethod: method = '' } = exchange.headers ?? {}
  return exchange.method === 'OPTIONS' && origin !== '' && method !== '' ? method : undefined
}

/** Builds the steps. */
export function createPolicy(parts: PolicyParts) {
  const { router } = parts
  const inShadow = (exchange: Exchange) =>
    parts.mode === 'shadow' || exchange.route?.mode === 'shadow'

  const record = (exchange: Exchange, result: 'allow' | ErrorCode): void =>
    parts.record({
      exchange,
      route: exchange.routeName,
      result,
      mode: inShadow(exchange) ? 'shadow' : 'enforce',
    })

  /** Refuses, or in shadow mode counts what it would have refused and lets it pass. */
  const refuse = (exchange: Exchange, error: GatewayError): void => {
    record(exchange, error.code)
    if (!inShadow(exchange)) throw error
    if (error.code === 'ERR_ROUTE_DENIED' && parts.mode !== 'shadow') throw error
    exchange.shadowed ??= error.code
  }

  const matchRoute: Stage = (exchange) => {
    // It would echo the signature, and a forwarded token, to whoever asks (RFC 9110 §9.3.8).
    if (exchange.method === 'TRACE') throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: [] })
    const asked = preflightMethod(exchange)
    const method = asked ?? exchange.method
    const { route, ...other } = router(method, exchange.path, exchange.target?.query ?? '')
    if (route === undefined) {
      const allow = 'allow' in other ? other.allow : []
      const error =
        allow.length > 0
          ? new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow })
          : new GatewayError('ERR_ROUTE_UNKNOWN')
      record(exchange, error.code)
      if (parts.mode !== 'shadow') throw error
      exchange.shadowed = error.code
    }
    exchange.route = route ?? parts.unmatched
    exchange.routeName = exchange.route.name
    exchange.preflight = asked !== undefined
    if (exchange.method !== 'OPTIONS' || exchange.route.upstream !== 'trac') return undefined
    // Trac runs the view of any method it does not know, so OPTIONS never gets there.
    parts.answerPreflight(exchange)
    return 'answered'
  }

  /**
   * Trac's remote calls look at no verb: a GET whose content is said to be JSON or XML is a call like any other.
   * A browser's link, image or navigation says no type.
   */
  const isRead = ({ method, route, headers }: Exchange): boolean =>
    safeMethods.has(method) && (route?.upstream !== 'trac' || headers?.contentType === '')

  const csrf: Stage = (exchange) => {
    const { method, route, headers, identity, target } = exchange
    if (route?.upstream === 'trac' && safeMethods.has(method)) {
      // Trac saves an edited comment on GET, without a form token; older Pythons also split at ';'.
      const query = target?.query ?? ''
      if (query !== '' && readQuery(query, '&;').has('edit_comment')) {
        refuse(exchange, new GatewayError('ERR_UNSAFE_GET'))
      }
    }
    if (identity?.via !== 'session' || headers === undefined || isRead(exchange)) return
    if (!isSameOrigin(headers, parts.publicOrigin)) {
      refuse(exchange, new GatewayError('ERR_CROSS_SITE'))
    }
  }

  const access: Stage = (exchange) => {
    const { route, identity = parts.anonymous } = exchange
    if (route === undefined) throw new GatewayError('ERR_ROUTE_UNKNOWN')
    if (exchange.preflight) {
      if (route.access === 'deny') throw new GatewayError('ERR_ROUTE_DENIED')
      return
    }
    const decision = decide(route, identity)
    if (!decision.allow) refuse(exchange, refusal(decision.code, decision.missing, exchange))
    else if (exchange.shadowed === undefined) record(exchange, 'allow')
  }

  /** A browser sends its own origin with every WebSocket and cookies with any: only our pages may (RFC 6455 §10.2). */
  const upgrades: Stage = ({ tunnel, route, headers, identity }) => {
    if (tunnel === undefined) return
    const websocket = headers?.upgrade.toLowerCase() === 'websocket'
    if (!websocket || route?.websocket !== true) throw new GatewayError('ERR_UPGRADE_REFUSED')
    const origin = headers?.origin ?? ''
    const ours = origin === parts.publicOrigin || (origin === '' && identity?.via !== 'session')
    if (!ours) throw new GatewayError('ERR_CROSS_SITE')
  }

  const bodyLimits: Stage = ({ route, headers }) => {
    if (headers === undefined || route === undefined) throw new GatewayError('ERR_INTERNAL')
    if (headers.contentLength > route.bodyLimit) throw new GatewayError('ERR_BODY_TOO_LARGE')
  }

  return { matchRoute, csrf, access, upgrades, bodyLimits }
}
