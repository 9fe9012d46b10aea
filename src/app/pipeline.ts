/** The way of a request, as one list, on Fastify and @fastify/http-proxy. */
import { METHODS } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import { createPolicy } from '../authorize/policy.js'
import { createClientResolver, createTrust } from '../request/client-address.js'
import { createPreconditions } from '../edge/preconditions.js'
import { addressKey, createCounter, createLimiter } from '../edge/rate-limit.js'
import type { Counter, Limiter } from '../edge/rate-limit.js'
import { createReply, hsts } from '../edge/reply.js'
import { createRequestNames } from '../request/request-id.js'
import { createEndpoints } from './endpoints.js'
import type { Endpoint } from './endpoints.js'
import { GatewayError } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import { RequestContext } from '../request/context.js'
import type { Stage, StageResult } from '../request/context.js'
import { createForward } from '../forward/forward.js'
import { createSpool } from '../forward/spool.js'
import { createAuthenticate } from '../authenticate/authenticate.js'
import { createSessionCredential } from '../authenticate/session.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { Identity } from '../core/identity.js'
import { createForwardAuth, verifyPath } from '../endpoints/verify.js'
import { createAccessLog } from './access-log.js'
import type { Services, AppContext } from './services.js'
import { kTunnel } from '../http/listener.js'
import type { Upgrading } from '../http/listener.js'
import { foreignCookies, readCookies } from '../session/cookies.js'
import { belowBase, parseTarget } from '../request/target.js'
import type { BadTarget, Target } from '../request/target.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Everything the stages know of the request. */
    context: RequestContext
  }
}

/** A stage, with Fastify's request for the one library that asks for it. */
type Step = (context: RequestContext, request: FastifyRequest) => StageResult | Promise<StageResult>

/** What `rewriteUrl` learnt before there was an exchange. */
interface Arrival {
  readonly rawTarget: string
  readonly target: Target | BadTarget
  readonly startedAt: number
}

const kArrival = Symbol('arrival')
type Arriving = Upgrading & { [kArrival]?: Arrival }

/** What Node's parser lets in, each judged by the policy; CONNECT is answered by the listener. */
const allMethods = METHODS.filter((method) => method !== 'CONNECT') as HTTPMethods[]

/** Bytes of a body that one of our own endpoints takes. */
const ownBodyLimit = 16 * 1024

/** Runs steps in order; one that has to wait makes the rest wait, one that answers ends it. */
function runSteps(
  steps: readonly Step[],
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
  from = 0,
): void {
  try {
    for (let i = from; i < steps.length; i++) {
      const result = steps[i]!(request.context, request)
      if (result instanceof Promise) {
        result.then(
          (late) => {
            if (late === 'answered') reply.hijack()
            else runSteps(steps, request, reply, done, i + 1)
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

/** Fastify's own refusals of a body become ours. */
const fastifyFaults: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'ERR_BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'ERR_FRAMING_AMBIGUOUS',
}

function fromFastify(error: unknown, bodyFault: ErrorCode | undefined): unknown {
  const code = fastifyFaults[String((error as { code?: unknown }).code)]
  return code === undefined ? error : new GatewayError(bodyFault ?? code, { cause: error })
}

/**
 * Builds the way of a request for one configuration. It never listens by itself: the listener hands it what comes
 * in by `routing`, so that a reload is one assignment.
 */
export async function createPipeline(
  services: Services,
  app: AppContext,
): Promise<FastifyInstance> {
  const { config, names, anonymous } = services
  const { address, metrics, now } = app
  const { server } = config
  const accessLog = createAccessLog(app.logger, metrics, config.log.audit, app.onUpstream)
  const reply = createReply({
    publicUrl: address.url,
    base: address.base,
    formTargets: services.formTargets,
  })
  /** Where the router takes a request: an own endpoint by its name, everything else to the proxy at `/`. */
  const rewriteUrl = (raw: Arriving): string => {
    const rawTarget = raw.url ?? ''
    const target = parseTarget(rawTarget, server.limits.target)
    raw[kArrival] = { rawTarget, target, startedAt: performance.now() }
    if ('code' in target) return '/'
    const below = belowBase(target.path, address.base)
    if (below === undefined) return '/'
    if (below.startsWith(`${verifyPath}/`)) return verifyPath
    return ownPaths.has(below) || below === verifyPath ? below : '/'
  }

  const fastify = Fastify({
    logger: false,
    rewriteUrl,
    exposeHeadRoutes: false,
  })
  for (const method of allMethods) {
    if (!fastify.supportedMethods.includes(method)) fastify.addHttpMethod(method, { hasBody: true })
  }
  fastify.decorateRequest('context', null as unknown as RequestContext)
  fastify.setErrorHandler((error, request, fastifyReply) => {
    fastifyReply.hijack()
    const { context } = request
    reply.refuse(context, fromFastify(error, bodyFaults.get(context.routeName)))
  })
  fastify.setNotFoundHandler((request, fastifyReply) => {
    fastifyReply.hijack()
    reply.refuse(request.context, new GatewayError('ERR_ROUTE_UNKNOWN'))
  })
  const { redis } = app.storage
  await fastify.register(rateLimit, {
    global: false,
    // Counting must not take anybody's requests away: without Redis nothing is counted for a while.
    ...(redis === undefined
      ? {}
      : { redis: redis.client, nameSpace: `${redis.prefix}limit:`, skipOnError: true }),
  })
  const canCount = () => redis?.isReady() ?? true
  const { auth, failures } = config.rateLimit
  const counters = {
    failures: createCounter(fastify, { ...failures, name: 'failures' }, canCount),
    bySession: createCounter(fastify, { ...auth, name: 'session' }, canCount),
  }
  const table = createEndpoints(services, app, address, reply, counters)
  const ownPaths = new Set(table.map((endpoint) => endpoint.path))
  const bodyFaults = new Map(table.map((endpoint) => [endpoint.name, endpoint.bodyFault]))

  // ── The way of a request ────────────────────────────────────────────────────────────────────────
  const preconditions = createPreconditions({
    address,
    names: createRequestNames(),
    verifyPath: server.forwardAuth === undefined ? undefined : address.base + verifyPath,
    resolveClient: createClientResolver(
      createTrust(server.trustedProxies),
      'path' in server.listen,
    ),
    reply,
  })
  const identify = createAuthenticate({
    anonymous,
    bearer: services.bearer,
    session: createSessionCredential(services.sessions, names, services.sessionCookies, now),
    onDropped: (scheme) => metrics.droppedCredentials.inc({ scheme }),
    observe: (credential, cache, result, seconds) =>
      metrics.authenticationDuration(credential, cache, result)(seconds),
  })
  const policy = createPolicy({
    router: services.router,
    publicOrigin: address.origin,
    anonymous,
    mode: config.mode,
    unmatched: services.unmatched,
    answerPreflight: (context) => reply.send(context, 204, [], ''),
    record: accessLog.decision,
  })
  const limits = createRouteLimits(fastify, services, canCount)
  const forwardAuth = createVerify(services, app, identify, limits, reply)
  const forward = createForward({
    upstreams: services.upstreams,
    spool: createSpool({ directory: server.spoolDirectory, total: server.limits.spool }),
    anonymousHeaders: anonymous.principal.identityHeaders,
    responseRules: {
      cookiePrefix: names.prefix,
      hsts: address.secure ? hsts : undefined,
    },
    bodyLimits: { idle: server.timeouts.bodyIdle, minimumRate: server.timeouts.bodyMinimumRate },
    now,
    isAlive: createLiveness(services, now),
    onTunnel: (change) => metrics.tunnels.inc(change),
    refuse: reply.refuse,
    onAnswer: accessLog.upstreamAnswer,
    onError: accessLog.upstreamError,
  })

  /** Every request, own endpoints included (steps 1 to 6 of deploy/docs/requests.md#order-of-checks). */
  const everyone: readonly Step[] = [
    preconditions.framing,
    preconditions.canonicalPath,
    preconditions.health,
    preconditions.host,
    preconditions.scheme,
    preconditions.basePath,
  ]
  /** What is not an own endpoint (steps 8 to 13); step 14 is the handler. */
  const forwarded: readonly Step[] = [
    policy.matchRoute,
    identify,
    limits,
    policy.csrf,
    policy.access,
    policy.upgrades,
    policy.bodyLimits,
  ]

  fastify.addHook('onRequest', (request, fastifyReply, done) => {
    const raw = request.raw as Arriving
    const { target, startedAt, rawTarget } = raw[kArrival]!
    request.context = new RequestContext(raw, fastifyReply.raw, startedAt, rawTarget, target)
    request.context.tunnel = raw[kTunnel]
    accessLog.open(request.context)
    // Fastify would refuse what is no media type, and QUERY without one. Here `rawHeaders` alone are read; a GET is
    // spared the object that Node makes of them when it is first asked for.
    if (raw.method !== 'GET') raw.headers['content-type'] = 'application/octet-stream'
    runSteps(everyone, request, fastifyReply, done)
  })

  await fastify.register(async (own) => {
    own.removeAllContentTypeParsers()
    own.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: ownBodyLimit },
      (_request, body, done) => done(null, body),
    )
    const limited = createLimiter(
      own,
      (request) => request.context,
      {
        ...auth,
        name: 'auth',
        keyOf: (context) => addressKey(context.address),
      },
      canCount,
    )
    for (const endpoint of [...table, forwardAuth]) {
      const steps = ownSteps(endpoint, limited, counters.bySession, identify, anonymous, reply)
      addEndpoint(own, endpoint, steps, server.timeouts.bodyIdle, reply.refuse)
    }
  })

  await fastify.register(async (proxied) => {
    proxied.addHook('onRequest', (request, fastifyReply, done) => {
      runSteps(forwarded, request, fastifyReply, done)
    })
    // Fastify would read a body of text/plain by itself, and nothing of it would be left to forward.
    proxied.removeAllContentTypeParsers()
    // The constant target keeps http-proxy's own reading of paths out: the canonical one is in the exchange.
    await proxied.register(httpProxy, {
      upstream: 'http://upstream.invalid',
      routes: ['/'],
      httpMethods: allMethods,
      disableRequestLogging: true,
      handler: (request, fastifyReply) => {
        fastifyReply.hijack()
        forward(request.context)
        return fastifyReply
      },
    })
  })
  // ────────────────────────────────────────────────────────────────────────────────────────────────
  await fastify.ready()
  return fastify
}

/** `/auth/verify`: the same rules as a forwarded request's, for one that another proxy will forward. */
function createVerify(
  services: Services,
  app: AppContext,
  identify: Stage,
  limits: Step,
  reply: ReturnType<typeof createReply>,
): Endpoint {
  const { config, anonymous } = services
  const { address, now } = app
  const policy = createPolicy({
    router: services.router,
    publicOrigin: address.origin,
    anonymous,
    mode: config.mode,
    unmatched: services.unmatched,
    answerPreflight: () => {
      throw new GatewayError('ERR_METHOD_NOT_ALLOWED')
    },
    record: createAccessLog(app.logger, app.metrics, config.log.audit, () => undefined).decision,
  })
  const handle = createForwardAuth({
    dialect: config.server.forwardAuth,
    base: address.base,
    host: address.host,
    proto: address.secure ? 'https' : 'http',
    targetLimit: config.server.limits.target,
    steps: [
      policy.matchRoute,
      identify,
      // The limiter asks a request for its exchange and its route's settings: the original is not Fastify's.
      (context) => limits(context, { context, routeOptions: {} } as FastifyRequest),
      policy.csrf,
      policy.access,
      policy.upgrades,
    ],
    identityHeadersOf: ({ route, identity = anonymous }) =>
      (route?.access === 'public' ? anonymous : identity).principal.identityHeaders,
    sign: ({ route, target, method }, identityHeaders) => {
      const sign = services.upstreams.get(route?.upstream ?? '')?.sign
      const readOnly = method === 'GET' || method === 'HEAD'
      const slowest = (route?.bodyLimit ?? 0) / config.server.timeouts.bodyMinimumRate
      const bodySeconds = readOnly ? 0 : 30 + Math.ceil(slowest)
      const { path = '', query = '' } = target ?? {}
      const signed = { method, host: address.host, path, query }
      return sign?.(signed, identityHeaders, Math.floor(now() / 1000), bodySeconds) ?? ''
    },
    foreignCookies: (header) => foreignCookies(header, services.names),
    send: reply.send,
    refuse: reply.refuse,
  })
  return {
    path: verifyPath,
    name: 'auth:verify',
    methods: allMethods,
    limited: 'none',
    credential: 'unread',
    handle,
  }
}

/** Whether the credential of an exchange that is long under way still holds. */
function createLiveness({ bearer, sessions, names }: Services, now: Now) {
  return ({ identity, headers }: RequestContext): boolean => {
    if (identity?.via === undefined) return true
    if (identity.via === 'session') {
      return sessions.isAlive(readCookies(headers?.cookie ?? '', names).session)
    }
    if (now() >= identity.expiresAt) return false
    try {
      const { known } = bearer(identity.accessToken ?? '')
      // Forgotten here, so it is being verified: the next look will tell.
      if (known instanceof Promise) known.catch(() => undefined)
      return true
    } catch {
      return false
    }
  }
}

/** One limiter for each row that has a limit of its own. */
function createRouteLimits(
  fastify: FastifyInstance,
  services: Services,
  canCount: () => boolean,
): Step {
  const byRoute = new Map<string, Limiter>()
  for (const { name, rateLimit: limit } of services.routes) {
    if (limit === undefined) continue
    byRoute.set(
      name,
      createLimiter(
        fastify,
        (request) => request.context,
        {
          name: `route ${name}`,
          max: limit.max,
          per: limit.per,
          keyOf: ({ identity, address }) =>
            limit.by === 'principal' && identity?.via !== undefined
              ? `${identity.principal.issuer} ${identity.principal.subject}`
              : addressKey(address),
        },
        canCount,
      ),
    )
  }
  return (context, request) => byRoute.get(context.routeName)?.(context, request)
}

/** Step 7: an own endpoint's method, its rate, and who it is that asks. */
function ownSteps(
  endpoint: Endpoint,
  limited: Limiter,
  bySession: Counter,
  identify: Step,
  anonymous: Services['anonymous'],
  reply: ReturnType<typeof createReply>,
): readonly Step[] {
  const method: Step = (context) => {
    context.routeName = endpoint.name
    const asked = context.method
    if (endpoint.methods.includes(asked)) {
      if (context.headers?.expectContinue === true) context.response.writeContinue()
      return undefined
    }
    if (asked === 'OPTIONS' && context.headers?.preflightMethod !== '') {
      reply.send(context, 204, [], '')
      return 'answered'
    }
    throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: endpoint.methods })
  }
  /** Sign-in and our pages never fail because of a credential. */
  const lenient: Step = async (context, request) => {
    try {
      await identify(context, request)
    } catch {
      context.identity = anonymous
    }
  }
  const steps: Step[] = [method]
  if (endpoint.limited === 'all') steps.push(limited)
  if (endpoint.limited === 'withBody') {
    steps.push((context, request) => (hasBody(context) ? limited(context, request) : undefined))
  }
  if (endpoint.credential === 'strict') steps.push(identify)
  if (endpoint.credential === 'lenient') steps.push(lenient)
  if (endpoint.limited === 'person') steps.push(({ identity }) => countPerson(bySession, identity))
  return steps
}

/** Who is nobody costs nothing here. */
function countPerson(
  bySession: Counter,
  identity: Identity | undefined,
): Promise<void> | undefined {
  if (identity?.via === undefined) return undefined
  return bySession.take(`${identity.principal.issuer} ${identity.principal.subject}`)
}

function hasBody({ headers }: RequestContext): boolean {
  return headers?.chunked === true || (headers?.contentLength ?? 0) > 0
}

/** Registers an endpoint; `patience` is how long its small body may take to arrive. */
function addEndpoint(
  fastify: FastifyInstance,
  endpoint: Endpoint,
  steps: readonly Step[],
  timeout: Milliseconds,
  refuse: (context: RequestContext, error: GatewayError) => void,
): void {
  fastify.route({
    url: endpoint.path,
    method: allMethods,
    onRequest: (request, reply, done) => runSteps(steps, request, reply, done),
    preParsing: (request, reply, _payload, done) => {
      const { raw, context } = request
      if (hasBody(context)) {
        // Whatever of the body comes then finds the answer given, and Fastify goes no further.
        const late = () => refuse(context, new GatewayError('ERR_CLIENT_TIMEOUT'))
        const timer = setTimeout(late, timeout)
        const stop = (): void => clearTimeout(timer)
        raw.once('end', stop)
        reply.raw.once('close', stop)
      }
      done()
    },
    handler: async (request, reply) => {
      const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0)
      await endpoint.handle(request.context, body)
      reply.hijack()
      return reply
    },
  })
}
