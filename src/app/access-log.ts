/** What is written down of a request when it is over: one line, one audit line a decision, one observation each. */
import type { Logger } from 'pino'
import type { DecisionRecord } from '../authorize/policy.js'
import type { Milliseconds } from '../core/clock.js'
import { errorHints } from '../core/error-hints.js'
import { GatewayError } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import type { Principal } from '../core/identity.js'
import { commonMethods } from '../core/methods.js'
import type { PublicUrl } from '../core/public-url.js'
import type { RequestContext } from '../request/context.js'
import { createLineWriter } from '../observe/line-writer.js'
import { decisionFields, requestFields } from '../observe/log-fields.js'
import type { LogLine, signInFields } from '../observe/log-fields.js'
import type { LogFormat } from '../observe/log-format.js'
import { cleanFacts } from '../observe/logger.js'
import type { Metrics } from '../observe/metrics.js'
import type { RecentTrouble } from '../observe/recent-trouble.js'
import type { Audit } from './audit.js'
import type { NoteReach } from './reach.js'
import { refusalFacts } from './refusal-facts.js'

/** Status texts, made once: a metric's label is text. */
const statusTexts = Array.from({ length: 600 }, (_, status) => String(status))
/** Methods with a label of their own; clients may send any. */
const methodLabels: ReadonlySet<string> = new Set(commonMethods)

/** Writes down each request when it is over. */
export type AccessLog = ReturnType<typeof createAccessLog>

/** Groups that the line of a sign-in shows, and characters of each. */
const maxGroups = 100
const maxGroupLength = 255
/** Characters of a path in the log. */
export const maxPathLength = 500

/** The path alone, as it is told: a query can hold a code, a state or a search that is nobody's business. */
export function loggedPath(context: RequestContext): string {
  const { target, targetFault, rawTarget } = context
  const path = targetFault === undefined ? target.path : rawTarget.split('?', 1)[0]!
  return path.slice(0, maxPathLength)
}

/** Endpoints where a refusal means that somebody could not sign in. */
const signInEndpoints: ReadonlySet<string> = new Set(['auth:login', 'auth:callback'])
/** Refusals that only a change of the proxy in front, or of our trust in it, can end. */
const operatorsCodes: ReadonlySet<ErrorCode> = new Set([
  'ERR_SCHEME_UNKNOWN',
  'ERR_PROXY_UNTRUSTED',
])

/** What an operator should see without looking for it: faults, people who could not sign in, a proxy that says too little. */
function levelOf({ code, endpoint }: RequestContext, status: number): 'error' | 'warn' | 'info' {
  if (status >= 500) return 'error'
  if (code === undefined) return 'info'
  return signInEndpoints.has(endpoint.name) || operatorsCodes.has(code) ? 'warn' : 'info'
}

/** Why an answer did not reach its end: cut by us, or left by its client. */
function endOf({ errored }: RequestContext['response']): ErrorCode {
  return errored instanceof GatewayError ? errored.code : 'ERR_CLIENT_GONE'
}

/** The status that a request has ended with: 499 where its client left before an answer, 101 for a WebSocket. */
export function statusOf({ response, upgraded }: RequestContext): number {
  if (upgraded) return 101
  return response.headersSent ? response.statusCode : 499
}

/** The label of a status. */
export const statusLabelOf = (status: number): string => statusTexts[status] ?? 'other'

/** The label of a method. */
export const methodLabelOf = (method: string): string =>
  methodLabels.has(method) ? method : 'other'

/** Counts a request by what the configuration names. */
function count(
  metrics: Metrics,
  { method, routeName, environment }: RequestContext,
  status: string,
  milliseconds: Milliseconds,
): void {
  metrics.requestDuration(routeName, methodLabelOf(method), status)(milliseconds / 1000)
  if (environment !== undefined) metrics.environmentRequests(environment.key, status)(1)
}

/** Creates the access log. */
export function createAccessLog(
  logger: Logger,
  metrics: Metrics,
  trouble: RecentTrouble,
  address: PublicUrl,
  audit: Audit | undefined,
  onReach: NoteReach,
  format: LogFormat,
) {
  const writeRequest = createLineWriter(logger, requestFields, 'request', format)
  const writeDecision = createLineWriter(logger, decisionFields, 'decision', format)

  const close = (context: RequestContext): void => {
    const { method, response, identity } = context
    const milliseconds = performance.now() - context.startedAt
    const gone = !response.writableFinished && !context.upgraded
    const status = statusOf(context)
    count(metrics, context, statusLabelOf(status), milliseconds)
    const level = levelOf(context, status)
    const code = context.code ?? (gone ? endOf(response) : undefined)
    if (code !== undefined) {
      const { id, routeName } = context
      const user = context.isClaimed ? '' : identity.principal.user
      trouble.refused(code, { status, requestId: id, route: routeName, user })
    }
    const facts = refusalFacts(context, address)
    writeRequest(level, {
      request_id: context.id,
      traceparent: context.traceparent,
      client: context.address,
      method,
      path: loggedPath(context),
      route: context.routeName,
      status,
      ms: Math.round(milliseconds * 1000) / 1000,
      upstream_ms: context.upstreamMilliseconds,
      cache: context.fromCache,
      user: (!context.isClaimed && identity.principal.user) || undefined,
      via: context.isClaimed ? undefined : context.via,
      token: identity.token?.name,
      code,
      reason: context.reason,
      hint: level === 'info' || code === undefined ? undefined : errorHints[code],
      shadow: context.shadowed,
      found: cleanFacts(facts.found),
      wanted: cleanFacts(facts.wanted),
      cause: context.cause,
    })
  }

  return {
    /** Writes down a request whose answer is over, however it ended. */
    close,
    signIn(context: RequestContext, principal: Principal, groups: readonly string[]): void {
      const line: LogLine<typeof signInFields> = {
        request_id: context.id,
        client: context.address,
        user: principal.user,
        sub: principal.subject,
        issuer: principal.issuer,
        groups: groups.slice(0, maxGroups).map((group) => group.slice(0, maxGroupLength)),
      }
      logger.info(line, 'sign-in')
    },
    decision({ context, route, result, mode }: DecisionRecord): void {
      metrics.decisions(route, result, mode)(1)
      if (audit === undefined) return
      const { groups, scopes, permissions } = audit.of(context.identity.principal)
      writeDecision('info', {
        request_id: context.id,
        user: context.identity.principal.user || undefined,
        via: context.via,
        token: context.identity.token?.name,
        method: context.method,
        path: loggedPath(context),
        route,
        result,
        mode,
        groups: groups.length === 0 ? undefined : groups,
        scopes: scopes.length === 0 ? undefined : scopes,
        permissions,
        query: audit.query(context.target.query),
      })
    },
    upstreamAnswer(upstream: string, context: RequestContext, milliseconds: number): void {
      context.upstreamMilliseconds = Math.round(milliseconds * 1000) / 1000
      metrics.upstreamDuration(upstream)(milliseconds / 1000)
      trouble.answered(upstream)
      onReach(upstream)
    },
    upstreamError(upstream: string, error: GatewayError): void {
      metrics.upstreamErrors.inc({ upstream, code: error.code })
      trouble.failed(upstream, error.code)
      onReach(upstream, error)
    },
  }
}
