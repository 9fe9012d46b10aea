/** Joins the stages, the own endpoints and forwarding of one generation into what handles requests. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { createLiveness } from '../authenticate/liveness.js'
import { FileCache } from '../cache/file-cache.js'
import type { GatewayError } from '../core/errors.js'
import { letGo, skipNoBody } from '../core/node-internals.js'
import type { CreateCount } from '../edge/rate-limit.js'
import { hstsValue } from '../edge/reply.js'
import type { Reply } from '../edge/reply.js'
import { Compression } from '../forward/compression.js'
import { Forward } from '../forward/forward.js'
import type { ProveIdentity } from '../forward/identity-proof.js'
import { createPluginJudge } from '../forward/plugin-proof.js'
import type { JudgePlugin } from '../forward/plugin-proof.js'
import type { ResponseRules } from '../forward/response-headers.js'
import { createSpool } from '../forward/spool.js'
import type { LogLine, grantsFields } from '../observe/log-fields.js'
import { hasBody } from '../request/headers.js'
import { createClientResolver, createTrust } from '../request/client-address.js'
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
import { hasTokenEnded } from './personal-tokens.js'
import { pipelineOf } from './pipeline.js'
import { createReach } from './reach.js'
import { RequestSpans } from './request-spans.js'
import type { Services } from './services.js'
import { createCounters, createProof, createReply, createStages } from './stages.js'

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
  const audit = config.log.audit ? createAuditOf(services, app) : undefined
  const { logger, metrics, trouble } = app
  const accessLog = createAccessLog(
    logger,
    metrics,
    trouble,
    address,
    audit,
    createReach(config, app.onUpstream),
    config.log.format,
  )
  const spans = app.tracing === undefined ? undefined : new RequestSpans(app.tracing, app.metrics)
  const count: CreateCount = (limit) => adapter.count(limit)
  const counters = createCounters(count, services)
  const proveIdentity = createProof(services, app)
  const passing = {
    judgePlugin: createPluginJudge(app.now, app.onPlugin),
    responseRules: { cookiePrefix: services.names.prefix, hsts },
  }
  const stages = {
    ...createStages(services, app, {
      ...{ count, reply, counters, spans },
      accessLog: spans === undefined ? accessLog : spans.besideLog(accessLog),
    }),
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
    names: app.tracing === undefined ? createRequestNames() : app.tracing.names,
    resolveClient: createClientResolver(
      createTrust(server.trustedProxies),
      'path' in server.listen,
    ),
    endpointAt: findEndpoint(endpoints),
    environmentAt: services.environmentAt,
    anonymous,
  })
  await adapter.serve({
    own: pipelineOf('own', stages),
    forwarded: pipelineOf('forwarded', stages),
    forward:
      spans === undefined
        ? (context) => forward.handle(context)
        : (context) => spans.forward(context, forward),
    refuse: (context, error) => reply.refuse(context, error),
    bodyTimeout: server.timeouts.bodyIdle,
    timers: app.timers,
  })
  const begin: typeof readRequest = (request, response, upgradeSocket) => {
    const context = readRequest(request, response, upgradeSocket)
    if (!hasBody(context.headers)) skipNoBody(request)
    // The one listener of most requests. Node emits it once, so nothing is gained by `once`, which costs more.
    response.on('close', () => {
      accessLog.close(context)
      context.relay?.clientLeft()
      letGo(request)
    })
    return context
  }
  return {
    handle(request, response, upgradeSocket) {
      const context = begin(request, response, upgradeSocket)
      if (spans === undefined) adapter.handle(context)
      else spans.handle(context, () => adapter.handle(context))
    },
    refuse(request, response, error) {
      const context = begin(request, response, undefined)
      if (spans === undefined) reply.refuse(context, error)
      else spans.handle(context, () => reply.refuse(context, error))
    },
    explain: createExplain(services, app, (limit) => adapter.look(limit)),
    close: () => adapter.close(),
  }
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

/** What forwarding and the files in memory do alike with an upstream's answer. */
interface PassingParts {
  readonly judgePlugin: JudgePlugin
  readonly responseRules: ResponseRules
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
    proveBody: (context) => services.webhooks.prove(context),
    bodyLimits: { idle: timeouts.bodyIdle, minimumRate: timeouts.bodyMinimumRate },
    timers: app.timers,
    isAlive: createLiveness(
      services.bearer,
      hasTokenEnded(app.storage.revocations),
      services.sessions,
      services.names,
      app.now,
    ),
    onTunnel: (change) => app.metrics.tunnels.inc(change),
    refuse: (context, error) => reply.refuse(context, error),
    onAnswer: accessLog.upstreamAnswer,
    ...passing,
    compression: services.config.compression === 'on' ? new Compression(app.timers) : undefined,
    onError: accessLog.upstreamError,
  })
}
