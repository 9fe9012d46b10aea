/** The stages that apply the route policy: which row, where the request came from, whether it may, how large it is. */
import { GatewayError } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import type { RequestContext, Stage } from '../request/context.js'
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
  /** The whole gateway's mode; in `shadow` even what no row matches goes to Trac. */
  readonly mode: 'enforce' | 'shadow'
  /** The row for unmatched requests in global shadow mode. */
  readonly unmatched: Route
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
    ...(context.identity.via === 'bearer' ? { bearer: true } : {}),
  })
}

/** A preflight is judged as the method it asks for (Fetch §4.8). */
function preflightMethod({ method, headers }: RequestContext): string | undefined {
  const isPreflight =
    method === 'OPTIONS' && headers.origin !== '' && headers.preflightMethod !== ''
  return isPreflight ? headers.preflightMethod : undefined
}

/** The stages, in the order in which they run. */
export class Policy {
  readonly #parts: PolicyParts

  constructor(parts: PolicyParts) {
    this.#parts = parts
  }

  #inShadow(context: RequestContext): boolean {
    return this.#parts.mode === 'shadow' || context.route.mode === 'shadow'
  }

  #record(context: RequestContext, result: 'allow' | ErrorCode): void {
    this.#parts.record({
      context,
      route: context.routeName,
      result,
      mode: this.#inShadow(context) ? 'shadow' : 'enforce',
    })
  }

  /** Refuses, or in shadow mode counts what it would have refused and lets it pass. */
  #refuse(context: RequestContext, error: GatewayError): void {
    this.#record(context, error.code)
    if (!this.#inShadow(context)) throw error
    if (error.code === 'ERR_ROUTE_DENIED' && this.#parts.mode !== 'shadow') throw error
    context.shadowed ??= error.code
  }

  readonly matchRoute: Stage = (context) => {
    // It would echo the signature, and a forwarded token, to whoever asks (RFC 9110 §9.3.8).
    if (context.method === 'TRACE') throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: [] })
    const asked = preflightMethod(context)
    const match = this.#parts.router(asked ?? context.method, context.path, context.target.query)
    if (match.route === undefined) {
      const error =
        match.allow.length > 0
          ? new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: match.allow })
          : new GatewayError('ERR_ROUTE_UNKNOWN')
      this.#record(context, error.code)
      if (this.#parts.mode !== 'shadow') throw error
      context.shadowed = error.code
    }
    context.route = match.route ?? this.#parts.unmatched
    context.routeName = context.route.name
    context.preflight = asked !== undefined
  }

  /** Trac saves an edited comment on GET, without a form token; older Pythons also split a query at ';'. */
  #writesOnGet({ method, route, target }: RequestContext): boolean {
    if (route.upstream !== 'trac' || !safeMethods.has(method) || target.query === '') return false
    return readQuery(target.query, '&;').has('edit_comment')
  }

  /**
   * Trac's remote calls look at no verb: a GET whose content is said to be JSON or XML is a call like any other.
   * A browser's link, image or navigation says no type.
   */
  #isRead({ method, route, headers }: RequestContext): boolean {
    return safeMethods.has(method) && (route.upstream !== 'trac' || headers.contentType === '')
  }

  readonly csrf: Stage = (context) => {
    if (this.#writesOnGet(context)) this.#refuse(context, new GatewayError('ERR_UNSAFE_GET'))
    if (context.identity.via !== 'session' || this.#isRead(context)) return
    if (!isSameOrigin(context.headers, this.#parts.publicOrigin)) {
      this.#refuse(context, new GatewayError('ERR_CROSS_SITE'))
    }
  }

  readonly access: Stage = (context) => {
    const { route, identity } = context
    if (context.preflight) {
      if (route.access === 'deny') throw new GatewayError('ERR_ROUTE_DENIED')
      return
    }
    const decision = decide(route, identity)
    if (!decision.allow) this.#refuse(context, refusal(decision.code, decision.missing, context))
    else if (context.shadowed === undefined) this.#record(context, 'allow')
  }

  /** A browser sends its own origin with every WebSocket and cookies with any: only our pages may (RFC 6455 §10.2). */
  readonly upgrades: Stage = ({ upgradeSocket, route, headers, identity }) => {
    if (upgradeSocket === undefined) return
    if (headers.upgrade.toLowerCase() !== 'websocket' || !route.websocket) {
      throw new GatewayError('ERR_UPGRADE_REFUSED')
    }
    const { origin } = headers
    const ours =
      origin === this.#parts.publicOrigin || (origin === '' && identity.via !== 'session')
    if (!ours) throw new GatewayError('ERR_CROSS_SITE')
  }

  readonly bodyLimits: Stage = ({ route, headers }) => {
    if (headers.contentLength > route.bodyLimit) throw new GatewayError('ERR_BODY_TOO_LARGE')
  }
}

/** Trac runs the view of any method it does not know, so OPTIONS never gets there. */
export function isOptionsForTrac({ method, route }: RequestContext): boolean {
  return method === 'OPTIONS' && route.upstream === 'trac'
}
