/** Steps 8 and 11 to 13 of a request's way: the route, where it came from, whether it may, how large it is. */
import { GatewayError } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import type { RequestContext, Stage } from '../request/context.js'
import type { Identity } from '../core/identity.js'
import type { Route } from '../request/route.js'
import { isSameOrigin, safeMethods } from './csrf.js'
import { decide } from './decide.js'
import { readQuery } from '../trac/query.js'
import type { Router } from './router.js'

/** A decision as the audit log and the counter want it. */
export interface DecisionRecord {
  readonly context: RequestContext
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
  readonly answerPreflight: (context: RequestContext) => void
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

function refusal(
  code: ErrorCode,
  missing: readonly string[],
  context: RequestContext,
): GatewayError {
  const detail = explain(code, missing)
  return new GatewayError(code, {
    ...(detail === undefined ? {} : { detail }),
    ...(code === 'ERR_SCOPE_REQUIRED' ? { scopes: missing } : {}),
    ...(context.identity?.via === 'bearer' ? { bearer: true } : {}),
  })
}

/** A preflight is judged as the method it asks for (Fetch §4.8). */
function preflightMethod(context: RequestContext): string | undefined {
  const { origin = '', preflightMethod: method = '' } = context.headers ?? {}
  return context.method === 'OPTIONS' && origin !== '' && method !== '' ? method : undefined
}

/** Builds the steps. */
export function createPolicy(parts: PolicyParts) {
  const { router } = parts
  const inShadow = (context: RequestContext) =>
    parts.mode === 'shadow' || context.route?.mode === 'shadow'

  const record = (context: RequestContext, result: 'allow' | ErrorCode): void =>
    parts.record({
      context,
      route: context.routeName,
      result,
      mode: inShadow(context) ? 'shadow' : 'enforce',
    })

  /** Refuses, or in shadow mode counts what it would have refused and lets it pass. */
  const refuse = (context: RequestContext, error: GatewayError): void => {
    record(context, error.code)
    if (!inShadow(context)) throw error
    if (error.code === 'ERR_ROUTE_DENIED' && parts.mode !== 'shadow') throw error
    context.shadowed ??= error.code
  }

  const matchRoute: Stage = (context) => {
    // It would echo the signature, and a forwarded token, to whoever asks (RFC 9110 §9.3.8).
    if (context.method === 'TRACE') throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: [] })
    const asked = preflightMethod(context)
    const method = asked ?? context.method
    const { route, ...other } = router(method, context.path, context.target?.query ?? '')
    if (route === undefined) {
      const allow = 'allow' in other ? other.allow : []
      const error =
        allow.length > 0
          ? new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow })
          : new GatewayError('ERR_ROUTE_UNKNOWN')
      record(context, error.code)
      if (parts.mode !== 'shadow') throw error
      context.shadowed = error.code
    }
    context.route = route ?? parts.unmatched
    context.routeName = context.route.name
    context.preflight = asked !== undefined
    if (context.method !== 'OPTIONS' || context.route.upstream !== 'trac') return undefined
    // Trac runs the view of any method it does not know, so OPTIONS never gets there.
    parts.answerPreflight(context)
    return 'answered'
  }

  /**
   * Trac's remote calls look at no verb: a GET whose content is said to be JSON or XML is a call like any other.
   * A browser's link, image or navigation says no type.
   */
  const isRead = ({ method, route, headers }: RequestContext): boolean =>
    safeMethods.has(method) && (route?.upstream !== 'trac' || headers?.contentType === '')

  const csrf: Stage = (context) => {
    const { method, route, headers, identity, target } = context
    if (route?.upstream === 'trac' && safeMethods.has(method)) {
      // Trac saves an edited comment on GET, without a form token; older Pythons also split at ';'.
      const query = target?.query ?? ''
      if (query !== '' && readQuery(query, '&;').has('edit_comment')) {
        refuse(context, new GatewayError('ERR_UNSAFE_GET'))
      }
    }
    if (identity?.via !== 'session' || headers === undefined || isRead(context)) return
    if (!isSameOrigin(headers, parts.publicOrigin)) {
      refuse(context, new GatewayError('ERR_CROSS_SITE'))
    }
  }

  const access: Stage = (context) => {
    const { route, identity = parts.anonymous } = context
    if (route === undefined) throw new GatewayError('ERR_ROUTE_UNKNOWN')
    if (context.preflight) {
      if (route.access === 'deny') throw new GatewayError('ERR_ROUTE_DENIED')
      return
    }
    const decision = decide(route, identity)
    if (!decision.allow) refuse(context, refusal(decision.code, decision.missing, context))
    else if (context.shadowed === undefined) record(context, 'allow')
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
