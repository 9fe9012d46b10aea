/** What is written down of a request when it is over: one line, one audit line a decision, one observation each. */
import type { Logger } from 'pino'
import type { DecisionRecord } from './authorize/policy.js'
import type { GatewayError } from './errors.js'
import type { Exchange } from './exchange.js'
import type { Metrics } from './observe/metrics.js'

/** Status texts, made once: a metric's label is text. */
const statusTexts = Array.from({ length: 600 }, (_, status) => String(status))
/** Methods with a label of their own; clients may send any. */
const methodLabels: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
])

/** Characters of a path in the log. */
const longestPath = 500

/** The path alone: a query can hold a code, a state or a search that is nobody's business. */
function loggedPath(exchange: Exchange): string {
  const path = exchange.target?.path ?? exchange.rawTarget.split('?', 1)[0]!
  return path.slice(0, longestPath)
}

/** Creates the journal. */
export function createJournal(
  logger: Logger,
  metrics: Metrics,
  audit: boolean,
  onUpstream: (ok: boolean) => void,
) {
  const close = (exchange: Exchange): void => {
    const { method, response, identity } = exchange
    const milliseconds = performance.now() - exchange.startedAt
    const gone = !response.writableFinished && !exchange.upgraded
    const answered = response.headersSent ? response.statusCode : 499
    const status = exchange.upgraded ? 101 : answered
    metrics.requestDuration(
      exchange.routeName,
      methodLabels.has(method) ? method : 'other',
      statusTexts[status] ?? 'other',
    )(milliseconds / 1000)
    const line = {
      request_id: exchange.id,
      traceparent: exchange.traceparent,
      client: exchange.address,
      method,
      path: loggedPath(exchange),
      route: exchange.routeName,
      status,
      ms: Math.round(milliseconds * 1000) / 1000,
      upstream_ms: exchange.upstreamMilliseconds,
      user: identity?.principal.user || undefined,
      via: identity?.via,
      code: exchange.code ?? (gone ? 'ERR_CLIENT_GONE' : undefined),
      shadow: exchange.shadowed,
      cause: exchange.cause,
    }
    if (status >= 500) logger.error(line, 'request')
    else logger.info(line, 'request')
  }

  return {
    /** Begins the record of a request; it is written when the answer is over, however it ends. */
    open(exchange: Exchange): void {
      exchange.response.once('close', () => close(exchange))
    },
    decision({ exchange, route, result, mode }: DecisionRecord): void {
      metrics.decisions(route, result, mode)(1)
      if (!audit) return
      logger.info(
        {
          request_id: exchange.id,
          user: exchange.identity?.principal.user || undefined,
          via: exchange.identity?.via,
          method: exchange.method,
          path: loggedPath(exchange),
          route,
          result,
          mode,
        },
        'decision',
      )
    },
    upstreamAnswer(upstream: string, exchange: Exchange, milliseconds: number): void {
      exchange.upstreamMilliseconds = Math.round(milliseconds * 1000) / 1000
      metrics.upstreamDuration(upstream)(milliseconds / 1000)
      if (upstream === 'trac') onUpstream(true)
    },
    upstreamError(upstream: string, error: GatewayError): void {
      metrics.upstreamErrors.inc({ upstream, code: error.code })
      if (upstream === 'trac') onUpstream(false)
    },
  }
}
