/** Joins the stages, the own endpoints and forwarding of one generation into what handles requests. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { createAuthenticate } from '../authenticate/authenticate.js'
import { createLiveness } from '../authenticate/liveness.js'
import { createSessionCredential } from '../authenticate/session-credential.js'
import { Policy, isOptionsForTrac } from '../authorize/policy.js'
import { FileCache } from '../cache/file-cache.js'
import { GatewayError } from '../core/errors.js'
import { principalKey } from '../core/identity.js'
import { addressKey } from '../core/network.js'
import { createOwnStages } from '../edge/own-endpoint.js'
import { createPreconditions } from '../edge/preconditions.js'
import { createCounter } from '../edge/rate-limit.js'
import type { Counter, Counters, CreateCount, RateLimit } from '../edge/rate-limit.js'
import { Reply, hstsValue } from '../edge/reply.js'
import { Compression } from '../forward/compression.js'
import { Forward } from '../forward/forward.js'
import { createIdentityProof } from '../forward/identity-proof.js'
import type { ProveIdentity } from '../forward/identity-proof.js'
import { createPluginJudge } from '../forward/plugin-proof.js'
import type { JudgePlugin } from '../forward/plugin-proof.js'
import type { ResponseRules } from '../forward/response-headers.js'
import { createSpool } from '../forward/spool.js'
import type { LogLine, grantsFields } from '../observe/log-fields.js'
import { createClientResolver, createTrust } from '../request/client-address.js'
import type { Stage } from '../request/context.js'
import { createRequestReader } from '../request/read-request.js'
import { createRequestNames } from '../request/request-id.js'
import { createAccessLog } from './access-log.js'
import type { Explain } from './ask/report.js'
import type { AccessLog } from './access-log.js'
import { createAudit } from './audit.js'
import type { Audit } from './audit.js'
import type { AppContext } from './context.js'
import { createEndpoints, findEndpoint } from './endpoints.js'
import { FastifyAdapter } from './fastify.js'
import { pipelineOf } from './pipeline.js'
import type { Stages } from './pipeline.js'
import type { Services } from './services.js'
import { tellFault } from './tell-fault.js'
import { upstreamName } from './upstreams.js'

/** Handles the requests of one generation. */
export interface Application {
  handle(request: IncomingMessage, response: ServerResponse, upgradeSocket?: Duplex): void
  /** Answers what was refused before it was a request: as page or JSON, with its line and its metric. */
  refuse(request: IncomingMessage, response: ServerResponse, error: GatewayError): void
  /** Says what would become of a request; see {@link Explain}. */
  readonly explain: Explain
  close(): Promise<void>
}

/** Builds it. */
export async function createApplication(services: Services, app: AppContext): Promise<Application> {
  const { config, anonymous } = services
  const { address } = app
  const { server } = config
  const adapter = await FastifyAdapter.create(app.storage.redis)
  const hsts = hstsValue(address, server.hsts)
  const reply = createReply(services, app)
  const { trac } = config.upstreams
  const audit = config.log.audit ? createAuditOf(services, app) : undefined
  const accessLog = createAccessLog(app.logger, app.metrics, address, audit, (ok, fault) =>
    app.onUpstream(ok, trac && upstreamName('trac', trac.url), tellFault(fault)),
  )
  const count: CreateCount = (limit) => adapter.count(limit)
  const counters = createCounters(count, services)
  const proveIdentity = createProof(services, app)
  const passing = {
    judgePlugin: createPluginJudge(app.now, app.onPlugin),
    responseRules: { cookiePrefix: services.names.prefix, hsts },
  }
  const stages = {
    ...createStages(services, app, { count, reply, accessLog, counters }),
    keptFiles: createFileCache(services, app, passing).answer,
  }
  const endpoints = createEndpoints(services, app, {
    reply,
    accessLog,
    counters,
    proveIdentity,
    original: pipelineOf('original', stages),
  })
  const forward = createForward(services, app, { reply, accessLog, proveIdentity, ...passing })
  const readRequest = createRequestReader({
    base: address.base,
    targetLimit: server.limits.target,
    names: createRequestNames(),
    resolveClient: createClientResolver(
      createTrust(server.trustedProxies),
      'path' in server.listen,
    ),
    endpointAt: findEndpoint(endpoints),
    anonymous,
  })
  await adapter.serve({
    own: pipelineOf('own', stages),
    forwarded: pipelineOf('forwarded', stages),
    forward: (context) => forward.handle(context),
    refuse: (context, error) => reply.refuse(context, error),
    bodyTimeout: server.timeouts.bodyIdle,
    timers: app.timers,
  })
  return {
    handle(request, response, upgradeSocket) {
      const context = readRequest(request, response, upgradeSocket)
      accessLog.open(context)
      adapter.handle(context)
    },
    refuse(request, response, error) {
      const context = readRequest(request, response, undefined)
      accessLog.open(context)
      reply.refuse(context, error)
    },
    explain: createExplain(services, app, (limit) => adapter.look(limit)),
    close: () => adapter.close(),
  }
}

/** Writes our own answers. */
export function createReply({ config, formTargets }: Services, { address }: AppContext): Reply {
  return new Reply({
    address,
    hsts: hstsValue(address, config.server.hsts),
    formTargets,
    contact: config.pages.contact,
  })
}

/** Says who a request is from. */
export function createProof({ config, anonymous }: Services, app: AppContext): ProveIdentity {
  return createIdentityProof({
    host: app.address.host,
    anonymous: anonymous.principal.identityHeaders,
    minimumRate: config.server.timeouts.bodyMinimumRate,
    now: app.now,
  })
}

/** The explainer of a generation: built when somebody asks for the first time, since hardly anybody does. */
function createExplain(services: Services, app: AppContext, look: CreateCount): Explain {
  let explain: Promise<Explain> | undefined
  return async (wish) => {
    explain ??= import('./ask/explain.js').then((one) => one.createExplain(services, app, look))
    return (await explain)(wish)
  }
}

function createAuditOf({ routes, config }: Services, { logger }: AppContext): Audit {
  return createAudit(routes, config.log.auditQuery, ({ queryNames, ...grants }) => {
    const line: LogLine<typeof grantsFields> = { ...grants, query_names: queryNames }
    logger.info(line, 'grants')
  })
}

/** The limits that are not a route's. */
export function createCounters(count: CreateCount, { config }: Pick<Services, 'config'>): Counters {
  const { auth, failures } = config.rateLimit
  const counterOf = (limit: RateLimit) => createCounter(count(limit), limit)
  return {
    byAddress: counterOf({ ...auth, name: 'address' }),
    byPrincipal: counterOf({ ...auth, name: 'principal' }),
    failures: counterOf({ ...failures, name: 'failures' }),
  }
}

/** The services that judge: sessions are only looked for. */
export type JudgingServices = Omit<Services, 'sessions'> & {
  readonly sessions: Pick<Services['sessions'], 'find'>
}

/** The stages that judge; what comes after them answers. */
export type JudgingStages = Omit<Stages, 'keptFiles'>

/** What stages are built with. */
export interface StageParts {
  readonly count: CreateCount
  readonly reply: Reply
  readonly accessLog: Pick<AccessLog, 'decision'>
  readonly counters: Counters
}

/** What forwarding and the files in memory do alike with an upstream's answer. */
interface PassingParts {
  readonly judgePlugin: JudgePlugin
  readonly responseRules: ResponseRules
}

/** Builds the stages, for requests and for whoever asks what would become of one. */
export function createStages(
  services: JudgingServices,
  app: AppContext,
  parts: StageParts,
): JudgingStages {
  const { config, names } = services
  const { metrics, address } = app
  const { reply, accessLog, counters } = parts
  const authenticate = createAuthenticate({
    bearer: services.bearer,
    session: createSessionCredential(
      services.sessions,
      names,
      services.sessionCookies,
      services.settleName,
      app.now,
    ),
    onDropped: (scheme) => metrics.droppedCredentials.inc({ scheme }),
    observe: (credential, cache, result, seconds) =>
      metrics.authenticationDuration(credential, cache, result)(seconds),
  })
  const policy = new Policy({
    router: services.router,
    publicOrigin: address.origin,
    mode: config.mode,
    base: address.base,
    targetLimit: config.server.limits.target,
    unmatched: services.unmatched,
    record: accessLog.decision,
  })
  return {
    ...createPreconditions({
      address,
      reply,
      onNamelessClient: (peer) =>
        app.logger.warn(
          { client: peer },
          'a trusted proxy sends no X-Forwarded-For: all of its visitors count as one address, with one rate limit',
        ),
    }),
    ...createOwnStages({ reply, authenticate, ...counters }),
    ...policyStages(policy),
    answerMoved(context) {
      if (context.moved === undefined) return undefined
      reply.redirect(context, 302, context.moved)
      return 'answered'
    },
    answerPreflight(context) {
      if (!isOptionsForTrac(context)) return undefined
      // Without CORS headers: no other origin is let in.
      reply.send(context, 204, [], '')
      return 'answered'
    },
    refusePreflight(context) {
      if (isOptionsForTrac(context)) throw new GatewayError('ERR_METHOD_NOT_ALLOWED')
    },
    authenticate,
    rateLimit: createRouteLimits(parts.count, services),
  }
}

function createFileCache(services: Services, app: AppContext, passing: PassingParts): FileCache {
  const { config, upstreams, files, anonymous } = services
  const { now, timers, metrics } = app
  return new FileCache({
    ...passing,
    store: files,
    upstreams,
    anonymous: anonymous.principal.identityHeaders,
    newId: () => createRequestNames().id(''),
    ...config.cache,
    compresses: config.compression === 'on',
    now,
    timers,
    onRequest: (answer) => metrics.fileRequests(answer)(1),
    onFill: (answer) => metrics.fileFills.inc({ answer }),
  })
}

function policyStages({ matchRoute, csrf, access, upgrades, bodyLimits }: Policy) {
  return { matchRoute, csrf, access, upgrades, bodyLimits }
}

/** One counter for each row that has a limit of its own. */
function createRouteLimits(count: CreateCount, { routes }: Pick<Services, 'routes'>): Stage {
  const byRoute = new Map<string, Counter>()
  for (const { name, rateLimit } of routes) {
    if (rateLimit === undefined) continue
    const limit = { ...rateLimit, name: `route:${name}` }
    byRoute.set(name, createCounter(count(limit), limit))
  }
  return ({ route, identity, address }) => {
    const counter = byRoute.get(route.name)
    if (counter === undefined) return undefined
    const isKnown = route.rateLimit?.by === 'principal' && identity.via !== undefined
    return counter.hit(isKnown ? principalKey(identity.principal) : addressKey(address))
  }
}

/** What forwarding shares with our own answers. */
interface ForwardParts extends PassingParts {
  readonly reply: Reply
  readonly accessLog: AccessLog
  readonly proveIdentity: ProveIdentity
}

function createForward(
  services: Services,
  app: AppContext,
  { reply, accessLog, proveIdentity, ...passing }: ForwardParts,
): Forward {
  const { limits, timeouts, spoolDirectory } = services.config.server
  return new Forward({
    upstreams: services.upstreams,
    spool: createSpool({ directory: spoolDirectory, total: limits.spool }),
    proveIdentity,
    bodyLimits: { idle: timeouts.bodyIdle, minimumRate: timeouts.bodyMinimumRate },
    timers: app.timers,
    isAlive: createLiveness(services.bearer, services.sessions, services.names, app.now),
    onTunnel: (change) => app.metrics.tunnels.inc(change),
    refuse: (context, error) => reply.refuse(context, error),
    onAnswer: accessLog.upstreamAnswer,
    ...passing,
    compression: services.config.compression === 'on' ? new Compression(app.timers) : undefined,
    onError: accessLog.upstreamError,
  })
}
