/** The spans of a request: laid round the stages where a generation is built, so that without `tracing` none is looked for. */
import type { DecisionRecord } from '../authorize/policy.js'
import type { Milliseconds } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { Forward } from '../forward/forward.js'
import type { Metrics } from '../observe/metrics.js'
import type { Trace, Tracing } from '../observe/tracing.js'
import type { RequestContext, Stage } from '../request/context.js'
import { loggedPath, methodLabelOf, statusLabelOf, statusOf } from './access-log.js'
import type { AccessLog } from './access-log.js'

/** What is known of a request that is recorded, besides its context. */
interface Recorded {
  readonly trace: Trace
  /** Since when the policy looks at it. */
  judgedAt: Milliseconds
  /** Since when it is an upstream's. */
  forwardedAt: Milliseconds | undefined
}

/** Whether a fault is the upstream's, rather than the client's. */
const isUpstreams = (code: string | undefined): boolean =>
  code?.startsWith('ERR_UPSTREAM_') ?? false

const codeOf = (error: unknown): string => (error instanceof GatewayError ? error.code : 'fault')

/** Records requests. */
export class RequestSpans {
  readonly #tracing: Tracing
  readonly #exemplars: Metrics['exemplars']
  /** By their answers: the original request of `/auth/verify` has the same as the one that asks. */
  readonly #recorded = new WeakMap<object, Recorded>()

  constructor(tracing: Tracing, { exemplars }: Pick<Metrics, 'exemplars'>) {
    this.#tracing = tracing
    this.#exemplars = exemplars
  }

  /** Handles a request within its trace, which ends with the answer. */
  handle(context: RequestContext, work: () => void): void {
    const trace = this.#tracing.begin(context.headers.traceparent, context.traceparent)
    if (trace === undefined) {
      work()
      return
    }
    const recorded = { trace, judgedAt: context.startedAt, forwardedAt: undefined }
    this.#recorded.set(context.response, recorded)
    context.response.once('close', () => this.#end(context, recorded))
    this.#tracing.within(trace, work)
  }

  /** Records how long it takes to find out who a request is from. */
  credential(stage: Stage): Stage {
    return (context) => {
      const recorded = this.#recorded.get(context.response)
      if (recorded === undefined) return stage(context)
      const startedAt = performance.now()
      const end = (code?: string): void =>
        recorded.trace.part(startedAt, {
          name: 'credential',
          kind: 'internal',
          attributes: {
            'trac_gateway.via': context.via,
            'trac_gateway.cache': context.cache,
            'error.type': code,
          },
        })
      const failed = (error: unknown): never => {
        end(codeOf(error))
        throw error
      }
      let result: ReturnType<Stage>
      try {
        result = stage(context)
      } catch (error) {
        return failed(error)
      }
      if (!(result instanceof Promise)) {
        end()
        return result
      }
      return result.then((late) => {
        end()
        return late
      }, failed)
    }
  }

  /** Notes when the policy begins to look at a request; the decision ends it. */
  judging(stage: Stage): Stage {
    return (context) => {
      const recorded = this.#recorded.get(context.response)
      if (recorded !== undefined) recorded.judgedAt = performance.now()
      return stage(context)
    }
  }

  /** A log that has decisions recorded, too. */
  besideLog({ decision }: Pick<AccessLog, 'decision'>): Pick<AccessLog, 'decision'> {
    return {
      decision: (record) => {
        this.#decision(record)
        decision(record)
      },
    }
  }

  #decision({ context, route, result, mode }: DecisionRecord): void {
    const recorded = this.#recorded.get(context.response)
    recorded?.trace.part(recorded.judgedAt, {
      name: 'decision',
      kind: 'internal',
      attributes: {
        'trac_gateway.route': route,
        'trac_gateway.result': result,
        'trac_gateway.mode': mode,
      },
    })
  }

  /** Forwards a request, and notes when. */
  forward(context: RequestContext, forward: Pick<Forward, 'handle'>): void {
    const recorded = this.#recorded.get(context.response)
    if (recorded !== undefined) recorded.forwardedAt = performance.now()
    forward.handle(context)
  }

  #end(context: RequestContext, { trace, forwardedAt }: Recorded): void {
    const { method, code } = context
    const status = statusOf(context)
    if (forwardedAt !== undefined) {
      // Its id is the one that the upstream was told.
      const [, , spanId] = context.traceparent.split('-')
      const { upstream, upstreamMilliseconds } = context
      const work = {
        name: `${method} ${upstream}`,
        kind: 'client',
        failed: isUpstreams(code) || (upstreamMilliseconds !== undefined && status >= 400),
        attributes: {
          'http.request.method': method,
          'trac_gateway.upstream': upstream,
          'trac_gateway.first_byte_ms': upstreamMilliseconds,
          'http.response.status_code': upstreamMilliseconds === undefined ? undefined : status,
          'error.type': isUpstreams(code) ? code : undefined,
        },
      } as const
      trace.part(forwardedAt, work, spanId)
    }
    const labels = [context.routeName, methodLabelOf(method), statusLabelOf(status)]
    const seconds = (performance.now() - context.startedAt) / 1000
    this.#exemplars.note(labels, seconds, trace.traceId, trace.now())
    trace.end(context.startedAt, {
      name: `${method} ${context.routeName}`,
      kind: 'server',
      failed: status >= 500,
      attributes: {
        'http.request.method': method,
        'url.path': loggedPath(context),
        'url.scheme': context.scheme,
        'client.address': context.address,
        'http.response.status_code': status,
        'error.type': code,
        'trac_gateway.request_id': context.id,
        'trac_gateway.route': context.routeName,
        'trac_gateway.via': context.isClaimed ? undefined : context.via,
        'trac_gateway.cache': context.fromCache,
      },
    })
  }
}
