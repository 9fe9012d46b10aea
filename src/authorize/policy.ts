/** The stages that apply the route policy: which row, where the request came from, whether it may, how large it is. */
import type { Detail } from '../core/details.js'
import { GatewayError } from '../core/errors.js'
import type { ErrorCode, ErrorDetails } from '../core/errors.js'
import type { Identity, Principal } from '../core/identity.js'
import type { RequestContext, Stage } from '../request/context.js'
import type { Route } from '../request/route.js'
import { noRoute } from '../request/route.js'
import { hasBody } from '../request/headers.js'
import { encodePath, parseTarget } from '../request/target.js'
import { isSameNaming, namingOf, queryAt } from '../trac/addresses.js'
import { anyView } from '../trac/permissions.js'
import { judgeQuery, readQuery } from '../trac/query.js'
import { isSameOrigin, safeMethods } from './csrf.js'
import { decide } from './decide.js'
import type { Decision } from './decide.js'
import type { RouteMatch, Router } from './router.js'

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
  /** The base path, empty text for none. */
  readonly base: string
  /** Whether there are several environments. */
  readonly hasEnvironments: boolean
  /** Bytes that a target may have. */
  readonly targetLimit: number
  /** The whole gateway's mode; in `shadow` even what no row matches goes to Trac. */
  readonly mode: 'enforce' | 'shadow'
  /** The row for unmatched requests in global shadow mode. */
  readonly unmatched: Route
  readonly record: (decision: DecisionRecord) => void
}

/** Whether a program's token came: of the provider, or a personal one. */
const isByToken = ({ via }: Identity): boolean => via === 'bearer' || via === 'token'

/** A sentence for the person, naming what would have been needed. */
function explain(code: ErrorCode, missing: readonly string[]): Detail | undefined {
  switch (code) {
    case 'ERR_PERMISSION_REQUIRED': {
      const anyViewText = { text: 'detail.any_view' } as const
      const names = missing.map((name) => (name === anyView ? anyViewText : name))
      return { text: 'detail.permission', values: { names } }
    }
    case 'ERR_GROUP_REQUIRED':
      return { text: 'detail.group', values: { names: missing } }
    case 'ERR_SCOPE_REQUIRED':
      return { text: 'detail.scope', values: { names: missing.join(' ') } }
    default:
      return undefined
  }
}

/** What was there of what was missing; anonymous visitors are told to sign in, and there is nothing to tell of them. */
function missingFacts(
  code: ErrorCode,
  missing: readonly string[],
  { groups, scopes }: Principal,
): Pick<ErrorDetails, 'found' | 'wanted'> {
  switch (code) {
    case 'ERR_PERMISSION_REQUIRED':
      return { found: { groups: [...groups] }, wanted: { permission: missing } }
    case 'ERR_GROUP_REQUIRED':
      return { found: { groups: [...groups] }, wanted: { groups: missing } }
    case 'ERR_SCOPE_REQUIRED':
      return { found: { scopes: [...scopes] }, wanted: { scopes: missing } }
    default:
      return {}
  }
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
    ...missingFacts(code, missing, context.identity.principal),
    ...(isByToken(context.identity) ? { bearer: true } : {}),
  })
}

/**
 * A preflight is judged as the method it asks for (Fetch §4.8). It has no body: with one, it is an OPTIONS like any other
 * method, and needs a row and a credential.
 */
function preflightMethod({ method, headers }: RequestContext): string | undefined {
  const isPreflight =
    method === 'OPTIONS' &&
    headers.origin !== '' &&
    headers.preflightMethod !== '' &&
    !hasBody(headers)
  return isPreflight ? headers.preflightMethod : undefined
}

/** Whom Trac judges by itself comes in anywhere but where nobody does. */
function asBefore({ access }: Route): Decision {
  if (access === 'deny') return { allow: false, code: 'ERR_ROUTE_DENIED', missing: [] }
  return { allow: true }
}

/** What is told of a path that lies in no environment. */
function nowhere({ path }: RequestContext): ErrorDetails {
  const [, first = ''] = path.split('/')
  return { found: { environment: first }, wanted: { key: 'environments' } }
}

/** The stages, in the order in which they run. */
export class Policy {
  readonly #parts: PolicyParts

  constructor(parts: PolicyParts) {
    this.#parts = parts
  }

  #record(context: RequestContext, result: 'allow' | ErrorCode, mode = context.route.mode): void {
    this.#parts.record({ context, route: context.routeName, result, mode })
  }

  /** Refuses, or in shadow mode counts what it would have refused and lets it pass. */
  #refuse(context: RequestContext, error: GatewayError): void {
    this.#record(context, error.code)
    if (context.route.mode !== 'shadow') throw error
    if (error.code === 'ERR_ROUTE_DENIED' && this.#parts.mode !== 'shadow') throw error
    context.shadowed ??= error.code
  }

  readonly matchRoute: Stage = (context) => {
    // It would echo the signature, and a forwarded token, to whoever asks (RFC 9110 §9.3.8).
    if (context.method === 'TRACE') throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: [] })
    const asked = preflightMethod(context)
    const { path, target } = context
    const match = this.#parts.router(asked ?? context.method, path, target.query)
    if (path.includes('\\') && match.route?.backslash !== true) {
      throw new GatewayError('ERR_TARGET_SLASH')
    }
    context.route = match.route ?? this.#withoutRoute(context, match)
    context.routeName = context.route.name
    context.preflight = asked !== undefined
    // What goes elsewhere has nothing to do with what somebody may do in one Trac of several.
    if (match.route !== undefined && match.route.upstream !== 'trac')
      context.environment = undefined
    if (context.route.upstream === 'trac' && context.route.access !== 'deny') {
      this.#readNames(context)
    }
  }

  /** What no row has is refused, or in the gateway's shadow mode judged by a row that asks for nothing. */
  #withoutRoute(context: RequestContext, match: RouteMatch): Route {
    const { mode, unmatched, hasEnvironments } = this.#parts
    // Who somebody is in an environment that nobody configured is not known, in shadow mode neither.
    const isNowhere = hasEnvironments && context.environment === undefined
    const allow = 'allow' in match ? match.allow : []
    const error =
      allow.length > 0
        ? new GatewayError('ERR_METHOD_NOT_ALLOWED', {
            allow,
            found: { method: context.method },
            wanted: { methods: allow },
          })
        : new GatewayError('ERR_ROUTE_UNKNOWN', isNowhere ? nowhere(context) : {})
    this.#record(context, error.code, mode)
    if (mode !== 'shadow' || isNowhere) throw error
    context.shadowed = error.code
    return unmatched
  }

  /** An object of Trac is judged at its own address: whatever else names it leads there, or nowhere. */
  #readNames(context: RequestContext): void {
    if (context.preflight) return
    const { method, tracPath: path, tracPrefix, target } = context
    const naming = judgeQuery(
      target.query,
      (values) => namingOf(method, path, target.query !== '', values),
      isSameNaming,
    )
    if (naming.kind === 'hidden') {
      this.#refuse(
        context,
        new GatewayError('ERR_ROUTE_DENIED', { detail: { text: 'detail.in_path' } }),
      )
    } else if (naming.kind === 'shows') {
      context.shows = tracPrefix + naming.path
    } else if (naming.kind === 'moved') {
      const query = queryAt(naming, target.query)
      const address =
        this.#parts.base + encodePath(tracPrefix + naming.path) + (query && `?${query}`)
      const read = parseTarget(address, this.#parts.targetLimit)
      if ('code' in read) throw new GatewayError(read.code)
      context.moved = read.sent
    }
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

  /** Trac sends whoever asks at `/intertrac` to any address that the query says. */
  #leadsAway({ tracPath, route, target, headers }: RequestContext): boolean {
    if (route.upstream !== 'trac' || !/^\/intertrac(?:\/|$)/.test(tracPath)) return false
    const isOurs = headers.fetchSite === 'same-origin' || headers.fetchSite === 'none'
    return !isOurs && readQuery(target.query, '&;').has('link')
  }

  /** Somebody is who they may be in the environment that is asked for. */
  readonly environment: Stage = (context) => {
    const { environment, identity } = context
    if (environment !== undefined) context.identity = environment.identityOf(identity)
  }

  readonly csrf: Stage = (context) => {
    if (this.#writesOnGet(context)) this.#refuse(context, new GatewayError('ERR_UNSAFE_GET'))
    if (this.#leadsAway(context)) this.#refuse(context, new GatewayError('ERR_CROSS_SITE'))
    if (context.identity.via !== 'session' || this.#isRead(context)) return
    if (!isSameOrigin(context.headers, this.#parts.publicOrigin)) {
      this.#refuse(context, new GatewayError('ERR_CROSS_SITE'))
    }
  }

  readonly access: Stage = (context) => {
    if (context.preflight) {
      if (context.route.access === 'deny') throw new GatewayError('ERR_ROUTE_DENIED')
      return
    }
    const decision = context.isLegacy ? asBefore(context.route) : this.#judge(context)
    if (!decision.allow) this.#refuse(context, refusal(decision.code, decision.missing, context))
    else if (context.shadowed === undefined) this.#record(context, 'allow')
  }

  /** By the row, and by that of a second object that the page shows. */
  #judge({ route, identity, shows }: RequestContext): Decision {
    const decision = decide(route, identity)
    if (!decision.allow || shows === undefined) return decision
    return decide(this.#parts.router('GET', shows, '').route ?? noRoute, identity)
  }

  /** A browser sends its own origin with every WebSocket and cookies with any: only our pages may (RFC 6455 §10.2). */
  readonly upgrades: Stage = ({ upgradeSocket, route, headers, identity }) => {
    if (upgradeSocket === undefined) return
    if (headers.upgrade.toLowerCase() !== 'websocket' || !route.websocket) {
      throw new GatewayError('ERR_UPGRADE_REFUSED')
    }
    const { origin } = headers
    const ours = origin === this.#parts.publicOrigin || (origin === '' && isByToken(identity))
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
