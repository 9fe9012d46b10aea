/**
 * The one place that knows Fastify and its plugins: it takes a request context through the stages of its pipeline, reads
 * the small body of an own endpoint, and lends @fastify/rate-limit what it wants to see.
 *
 * Fastify never judges a request by itself here. Two routes are all it has: `/own` for our endpoints and `/` for what is
 * forwarded, and `rewriteUrl` sends each request to one of them by what its context says.
 */
import { METHODS } from 'node:http'
import type { IncomingMessage } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { Milliseconds, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import { fingerprint } from '../core/fingerprint.js'
import { maxCountedKeys } from '../edge/rate-limit.js'
import type { CountRequests, RateLimit } from '../edge/rate-limit.js'
import { noEndpoint } from '../request/context.js'
import type { RequestContext, Stage } from '../request/context.js'
import { hasBody } from '../request/headers.js'
import type { RedisLink } from '../session/redis-link.js'

/** What is served. */
export interface Pipelines {
  /** The stages of a request for an own endpoint; its handler runs after them. */
  readonly own: readonly Stage[]
  /** The stages of every other request; `forward` runs after them. */
  readonly forwarded: readonly Stage[]
  readonly forward: (context: RequestContext) => void
  readonly refuse: (context: RequestContext, error: unknown) => void
  /** How long the small body of an own endpoint may take to arrive. */
  readonly bodyTimeout: Milliseconds
  readonly timers: Timers
}

const kContext = Symbol('context')

/** A request on its way through Fastify. */
type Received = IncomingMessage & { [kContext]?: RequestContext }

/** What Node's parser lets in, each judged by the policy; CONNECT is answered by the listener. */
export const allMethods = METHODS.filter((method) => method !== 'CONNECT') as HTTPMethods[]

/** Bytes of a body that one of our own endpoints takes. */
const ownBodyLimit = 16 * 1024

/** Fastify's own refusals of a body, as ours. */
const bodyFaults: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'ERR_BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'ERR_FRAMING_AMBIGUOUS',
}

function contextOf({ raw }: FastifyRequest): RequestContext {
  return (raw as Received)[kContext]!
}

function fromFastify(error: unknown, { endpoint }: RequestContext): unknown {
  const code = bodyFaults[String((error as { code?: unknown }).code)]
  if (code === undefined) return error
  return new GatewayError(endpoint.bodyFault ?? code, { cause: error })
}

/** Runs stages in order; one that has to wait makes the rest wait, one that answers ends it. */
function runStages(
  stages: readonly Stage[],
  context: RequestContext,
  reply: FastifyReply,
  done: (error?: Error) => void,
  from = 0,
): void {
  try {
    for (let i = from; i < stages.length; i++) {
      const result = stages[i]!(context)
      if (result instanceof Promise) {
        result.then(
          (late) => {
            if (late === 'answered') reply.hijack()
            else runStages(stages, context, reply, done, i + 1)
          },
          (error: unknown) => done(error as Error),
        )
        return
      }
      if (result === 'answered') {
        reply.hijack()
        return
      }
    }
  } catch (error) {
    done(error as Error)
    return
  }
  done()
}

/**
 * No route has a schema: without these Fastify loads what compiles them (Ajv, fast-json-stringify), a tenth of the CPU of
 * a start.
 */
const noSchemas = {
  buildValidator: () => failOnSchema,
  buildSerializer: () => failOnSchema,
}

function failOnSchema(): never {
  throw new Error('routes have no schemas here')
}

type Counted = (error: Error | null, result?: { current: number; ttl: Milliseconds }) => void

/**
 * The counts of all replicas. The plugin's own store names its keys after the method and address of a route, which a
 * limit that is checked by hand has none of.
 */
function createLimitStore({ client, prefix }: RedisLink) {
  const tell = (count: Promise<[number, Milliseconds]>, counted: Counted): void => {
    count.then(
      ([current, ttl]) => counted(null, { current, ttl }),
      (error: unknown) => counted(error as Error),
    )
  }
  return class LimitStore {
    incr(key: string, counted: Counted, per: Milliseconds): void {
      tell(client.countRequest(`${prefix}limit:${key}`, per), counted)
    }

    read(key: string, counted: Counted): void {
      tell(client.readCount(`${prefix}limit:${key}`), counted)
    }

    child(): this {
      return this
    }
  }
}

/** Fastify with its plugins: first it counts for the stages, then it serves them. */
export class FastifyAdapter {
  readonly #fastify: FastifyInstance
  readonly #canCount: () => boolean
  /** By the name of their limit: as many as the configuration has limits. */
  readonly #counts = new Map<string, CountRequests>()

  private constructor(fastify: FastifyInstance, canCount: () => boolean) {
    this.#fastify = fastify
    this.#canCount = canCount
  }

  /**
   * Creates it. It never listens by itself: {@link handle} gives it each request, so that a reload is one assignment.
   * @param redis counts for all replicas; undefined: this process for itself
   */
  static async create(redis: RedisLink | undefined): Promise<FastifyAdapter> {
    const fastify = Fastify({
      logger: false,
      exposeHeadRoutes: false,
      schemaController: { compilersFactory: noSchemas },
      rewriteUrl: (raw) => ((raw as Received)[kContext]!.endpoint === noEndpoint ? '/' : '/own'),
    })
    for (const method of allMethods) {
      if (!fastify.supportedMethods.includes(method)) {
        fastify.addHttpMethod(method, { hasBody: true })
      }
    }
    await fastify.register(rateLimit, {
      global: false,
      // Counting must not take anybody's requests away: without Redis nothing is counted for a while.
      ...(redis === undefined ? {} : { store: createLimitStore(redis), skipOnError: true }),
    })
    return new FastifyAdapter(fastify, () => redis?.isReady() ?? true)
  }

  /** As {@link count}, for whoever only looks: a request that would be beyond the limit is told so, and none is counted. */
  look(limit: RateLimit): CountRequests {
    return async (key) => {
      const state = await this.#counts.get(limit.name)?.(key, false)
      return state && { ...state, isExceeded: state.remaining === 0 }
    }
  }

  /** Makes the counting of one limit. */
  count(limit: RateLimit): CountRequests {
    const count = this.#createCount(limit)
    this.#counts.set(limit.name, count)
    return count
  }

  #createCount(limit: RateLimit): CountRequests {
    // The plugin asks a request for its key and its route's settings, and for nothing else.
    const requestOf = (key: string) =>
      ({
        // Who is counted is nobody's business who can read Redis, and takes no more memory by having a long name.
        key: `${limit.name}:${fingerprint(key, 'base64url')}`,
        routeOptions: {},
      }) as unknown as FastifyRequest
    // It takes `cache` for each limit, though its types name it for the whole plugin only.
    const options = {
      max: limit.max,
      timeWindow: limit.per,
      keyGenerator: (request: FastifyRequest) => (request as unknown as { key: string }).key,
      cache: maxCountedKeys,
    }
    const count = this.#fastify.createRateLimit(options)
    return async (key, increment) => {
      if (!this.#canCount()) return undefined
      const state = await count(requestOf(key), { increment })
      // Allowed whatever it has done: only an allow list does that, and there is none.
      return state.isAllowed ? undefined : state
    }
  }

  /** Serves the pipelines from now on. */
  async serve(pipelines: Pipelines): Promise<void> {
    const fastify = this.#fastify
    fastify.setErrorHandler((error, request, reply) => {
      reply.hijack()
      const context = contextOf(request)
      pipelines.refuse(context, fromFastify(error, context))
    })
    await fastify.register((scope) => this.#addOwn(scope, pipelines))
    await fastify.register((scope) => this.#addForwarded(scope, pipelines))
    await fastify.ready()
  }

  /** Takes one request. */
  handle(context: RequestContext): void {
    const { request, response } = context
    ;(request as Received)[kContext] = context
    // Fastify would refuse what is no media type, and QUERY without one. Here `rawHeaders` alone are read; a GET is
    // spared the object that Node makes of them when it is first asked for.
    if (request.method !== 'GET') request.headers['content-type'] = 'application/octet-stream'
    this.#fastify.routing(request, response)
  }

  close(): Promise<void> {
    return this.#fastify.close()
  }

  #addOwn(scope: FastifyInstance, pipelines: Pipelines): Promise<void> {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: ownBodyLimit },
      (_request, body, done) => done(null, body),
    )
    scope.route({
      url: '/own',
      method: allMethods,
      onRequest: (request, reply, done) =>
        runStages(pipelines.own, contextOf(request), reply, done),
      preParsing: (request, _reply, _payload, done) => {
        const context = contextOf(request)
        if (hasBody(context.headers)) limitBodyTime(context, pipelines)
        done()
      },
      handler: async (request, reply) => {
        const context = contextOf(request)
        const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0)
        await context.endpoint.handle(context, body)
        reply.hijack()
        return reply
      },
    })
    return Promise.resolve()
  }

  async #addForwarded(scope: FastifyInstance, pipelines: Pipelines): Promise<void> {
    scope.addHook('onRequest', (request, reply, done) =>
      runStages(pipelines.forwarded, contextOf(request), reply, done),
    )
    // Fastify would read a body of text/plain by itself, and nothing of it would be left to forward.
    scope.removeAllContentTypeParsers()
    // The constant target keeps http-proxy's own reading of paths out: the canonical one is in the context.
    await scope.register(httpProxy, {
      upstream: 'http://upstream.invalid',
      routes: ['/'],
      httpMethods: allMethods,
      disableRequestLogging: true,
      // Here and not as http-proxy's `handler`, which is called after three URLs were parsed for a target nobody uses,
      // and where a fault after `hijack()` is lost.
      preHandler: (request, reply, done) => {
        const context = contextOf(request)
        try {
          pipelines.forward(context)
          reply.hijack()
        } catch (error) {
          done(error as Error)
        }
      },
    })
  }
}

/** Whatever of a body comes too late finds the answer given, and Fastify goes no further. */
function limitBodyTime(context: RequestContext, pipelines: Pipelines): void {
  const { request, response } = context
  const { timers } = pipelines
  const late = () => pipelines.refuse(context, new GatewayError('ERR_CLIENT_TIMEOUT'))
  const timer = timers.setTimeout(late, pipelines.bodyTimeout)
  const stop = (): void => timers.clearTimeout(timer)
  request.once('end', stop)
  response.once('close', stop)
}
