/** Builds the stages of one generation, and what they share with our own endpoints: for requests, and for whoever asks about one. */
import { createAuthenticate } from '../authenticate/authenticate.js'
import { createSessionCredential } from '../authenticate/session-credential.js'
import { Policy, isOptionsForTrac } from '../authorize/policy.js'
import { GatewayError } from '../core/errors.js'
import { principalKey } from '../core/identity.js'
import { addressKey } from '../core/network.js'
import { createOwnStages } from '../edge/own-endpoint.js'
import { createPreconditions } from '../edge/preconditions.js'
import { createPages } from '../edge/page.js'
import { createCounter } from '../edge/rate-limit.js'
import type { Counter, Counters, CreateCount, RateLimit } from '../edge/rate-limit.js'
import { Reply, hstsValue } from '../edge/reply.js'
import { createIdentityProof } from '../forward/identity-proof.js'
import type { ProveIdentity } from '../forward/identity-proof.js'
import type { Stage } from '../request/context.js'
import { environmentLink } from '../request/environment.js'
import { tracLoginRoute, tracLogoutRoute } from '../trac/routes.js'
import type { AccessLog } from './access-log.js'
import type { AppContext } from './context.js'
import type { Stages } from './pipeline.js'
import type { RequestSpans } from './request-spans.js'
import type { Services } from './services.js'

/** Writes our own answers. */
export function createReply({ config, formTargets }: Services, { address }: AppContext): Reply {
  return new Reply({
    address,
    hsts: hstsValue(address, config.server.hsts),
    formTargets,
    pages: createPages(config.pages),
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
  /** Undefined: nothing is traced. */
  readonly spans?: RequestSpans | undefined
}

/** Builds the stages, for requests and for whoever asks what would become of one. */
export function createStages(
  services: JudgingServices,
  app: AppContext,
  parts: StageParts,
): JudgingStages {
  const { config, names } = services
  const { metrics, address } = app
  const { reply, accessLog, counters, spans } = parts
  const untraced = createAuthenticate({
    bearer: services.bearer,
    personal: services.personal,
    webhooks: services.webhooks,
    publicOrigin: address.origin,
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
  const authenticate = spans === undefined ? untraced : spans.credential(untraced)
  const policy = new Policy({
    router: services.router,
    publicOrigin: address.origin,
    mode: config.mode,
    base: address.base,
    hasEnvironments: config.environments !== undefined,
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
    ...policyStages(policy, spans),
    answerMoved(context) {
      if (context.moved === undefined) return undefined
      reply.redirect(context, 302, context.moved)
      return 'answered'
    },
    /** Who is signed in with us has nothing to do at Trac's own login (`legacyAuth`): they go to ours. */
    answerSignIn(context) {
      const { routeName, identity, target } = context
      if (identity.via === undefined) return undefined
      if (routeName === tracLoginRoute) {
        const start = environmentLink(address.base, context.tracPrefix)
        const returnTo = new URLSearchParams(target.query).get('referer') ?? start
        const query = new URLSearchParams({ return_to: returnTo })
        reply.redirect(context, 302, `${address.base}/auth/login?${query.toString()}`)
      } else if (routeName === tracLogoutRoute) {
        reply.redirect(context, 307, `${address.base}/auth/logout`)
      } else return undefined
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

function policyStages(policy: Policy, spans: RequestSpans | undefined) {
  const { matchRoute, environment, csrf, access, upgrades, bodyLimits } = policy
  const stages = { matchRoute, environment, csrf, access, upgrades, bodyLimits }
  if (spans === undefined) return stages
  // A decision is made at the first of the two, or at the second or after it.
  return { ...stages, matchRoute: spans.judging(matchRoute), csrf: spans.judging(csrf) }
}

/** One counter for each row that has a limit of its own. */
function createRouteLimits(count: CreateCount, { routes }: Pick<Services, 'routes'>): Stage {
  const byRoute = new Map<string, Counter>()
  for (const { name, rateLimit } of routes) {
    if (rateLimit === undefined) continue
    const limit = { ...rateLimit, name: `route:${name}` }
    byRoute.set(name, createCounter(count(limit), limit))
  }
  return ({ route, identity, address, isClaimed }) => {
    const counter = byRoute.get(route.name)
    if (counter === undefined) return undefined
    const isKnown = route.rateLimit?.by === 'principal' && identity.via !== undefined && !isClaimed
    return counter.hit(isKnown ? principalKey(identity.principal) : addressKey(address))
  }
}
