/** The gateway's own endpoints as one table: path, methods, rate limit, credential, handler. */
import { isSameOrigin } from '../authorize/csrf.js'
import { assignedInEnvironments } from '../config/topics/environment-keys.js'
import { itemsOf } from '../config/draft.js'
import type { Counters } from '../edge/rate-limit.js'
import type { Reply } from '../edge/reply.js'
import { createBackchannel } from '../endpoints/backchannel-logout.js'
import { createCallback } from '../endpoints/callback.js'
import { createClientScript } from '../endpoints/client-script.js'
import { createEnvironmentList } from '../endpoints/environments.js'
import { createHealthz } from '../endpoints/healthz.js'
import { createLogin } from '../endpoints/login.js'
import { createLogoutPage } from '../endpoints/logout-page.js'
import { createLogout } from '../endpoints/logout.js'
import { createRefresh } from '../endpoints/refresh.js'
import { createSessionPage } from '../endpoints/session.js'
import { createSignedOut } from '../endpoints/signed-out.js'
import { day } from '../endpoints/token-wish.js'
import type { TokenChoices } from '../endpoints/token-wish.js'
import { TokenPages } from '../endpoints/tokens.js'
import { createVerify, verifyPath } from '../endpoints/verify.js'
import type { ProveIdentity } from '../forward/identity-proof.js'
import type { LogLine, tokenFields } from '../observe/log-fields.js'
import { createLogoutVerifier } from '../oidc/logout-token.js'
import { noEndpoint } from '../request/context.js'
import type { Endpoint, RequestContext, Stage } from '../request/context.js'
import type { Environment } from '../request/environment.js'
import { foreignCookies } from '../session/cookies.js'
import { LoginStates } from '../sign-in/login-state.js'
import { LoopGuard } from '../sign-in/loop-guard.js'
import { newTokenPath, tokensPath } from '../sign-in/return-to.js'
import { ProviderLogout } from '../sign-in/provider-logout.js'
import { expandActions } from '../trac/permissions.js'
import { builtinPrefix, builtinRows } from '../trac/routes.js'
import type { AccessLog } from './access-log.js'
import type { AppContext } from './context.js'
import { allMethods } from './fastify.js'
import { TokenEndings } from './personal-tokens.js'
import type { Services } from './services.js'

/** What the endpoints need besides the services. */
export interface EndpointParts {
  readonly reply: Reply
  readonly accessLog: Pick<AccessLog, 'signIn'>
  readonly counters: Counters
  readonly proveIdentity: ProveIdentity
  /** The stages that judge the original request at `/auth/verify`. */
  readonly original: readonly Stage[]
}

const read = ['GET', 'HEAD']
const readOrPost = ['GET', 'HEAD', 'POST']

/** Builds the table. */
export function createEndpoints(
  services: Services,
  app: AppContext,
  parts: EndpointParts,
): readonly Endpoint[] {
  const { login, tracLogin, callback } = signInHandlers(services, app, parts)
  const { logout, session, signedOut, list } = signOutHandlers(services, app, parts)
  const refresh = refreshHandler(services, app, parts)
  const script = createClientScript(parts.reply)
  const backchannel = backchannelHandler(services, app, parts)
  const healthz = createHealthz(parts.reply, app.isStopping, (context) =>
    app.arrivals.note(context),
  )
  const verify = verifyHandler(services, app, parts)
  // OpenID Connect Back-Channel Logout 1.0 §2.8 knows 200 and 400.
  const always400 = { bodyFault: 'ERR_LOGOUT_TOKEN_INVALID' } as const
  const byAnyHost = { anyHost: 'everybody' } as const
  // A front proxy may call us by an inner name.
  const byTrusted = {
    below: true,
    anyHost: services.config.server.forwardAuth === undefined ? 'nobody' : 'trusted',
  } as const
  const { config } = services
  const tracs =
    config.upstreams['trac']?.legacyAuth === true ? [] : tracEndpoints(tracLogin, logout)
  // prettier-ignore
  return [
    // path                      label          methods     limit        credential handler
    row('/auth/healthz',            'healthz',      read,       'none',      'unread',  healthz, byAnyHost),
    row('/auth/login',              'login',        read,       'address',   'lenient', login),
    row('/auth/callback',           'callback',     ['GET'],    'address',   'lenient', callback),
    row('/auth/refresh',            'refresh',      ['POST'],   'body',      'unread',  refresh),
    row('/auth/logout',             'logout',       readOrPost, 'principal', 'lenient', logout),
    row('/auth/signed-out',         'signed-out',   read,       'none',      'unread',  signedOut),
    row('/auth/session',            'session',      read,       'principal', 'strict',  session),
    row('/auth/client.js',          'client.js',    read,       'none',      'unread',  script),
    row('/auth/backchannel-logout', 'backchannel',  ['POST'],   'address',   'unread',  backchannel, always400),
    row(verifyPath,                 'verify',       allMethods, 'none',      'unread',  verify, byTrusted),
    ...tracs,
    ...(isListed(config) ? [row('/', 'environments', read, 'principal', 'strict', list)] : []),
    ...tokenEndpoints(services, app, parts),
  ]
}

/** The pages of personal tokens, where there are any. */
function tokenEndpoints(
  services: Services,
  app: AppContext,
  parts: EndpointParts,
): readonly Endpoint[] {
  const pages = tokenHandlers(services, app, parts)
  if (pages === undefined) return []
  // prettier-ignore
  return [
    row(tokensPath,                 'tokens',       read,       'principal', 'strict',  (context) => pages.list(context)),
    row(newTokenPath,               'new-token',    readOrPost, 'principal', 'strict',  (context, body) => pages.make(context, body)),
    row(`${tokensPath}/revoke`,     'revoke-token', ['POST'],   'principal', 'strict',  (context, body) => pages.revoke(context, body)),
  ]
}

/** Whether the base path shows the list of environments: a row of one's own can show something else there. */
const isListed = ({ environments, routes }: Services['config']): boolean =>
  environments !== undefined && !routes.some(({ path }) => path === '/')

/** Trac's own addresses for signing in and out, unless they are still Trac's (`legacyAuth`). */
function tracEndpoints(login: Endpoint['handle'], logout: Endpoint['handle']): readonly Endpoint[] {
  const inTrac = { inTrac: true } as const
  // prettier-ignore
  return [
    row('/login',                   'trac-login',   read,       'none',      'lenient', login, inTrac),
    row('/login/',                  'trac-login',   read,       'none',      'lenient', login, inTrac),
    row('/logout',                  'trac-logout',  readOrPost, 'principal', 'lenient', logout, inTrac),
    row('/logout/',                 'trac-logout',  readOrPost, 'principal', 'lenient', logout, inTrac),
  ]
}

function row(
  path: string,
  label: string,
  methods: readonly string[],
  limit: Endpoint['limit'],
  credential: Endpoint['credential'],
  handle: Endpoint['handle'],
  more: Partial<Pick<Endpoint, 'below' | 'anyHost' | 'bodyFault' | 'inTrac'>> = {},
): Endpoint {
  return {
    path,
    name: `auth:${label}`,
    methods,
    limit,
    credential,
    anyHost: 'nobody',
    ...more,
    handle,
  }
}

/** Finds the row for a path below the base path, or in an environment. */
export function findEndpoint(
  table: readonly Endpoint[],
): (path: string, environment: Environment | undefined) => Endpoint {
  const inTrac = new Map(table.filter((one) => one.inTrac === true).map((one) => [one.path, one]))
  const byPath = new Map(table.map((endpoint) => [endpoint.path, endpoint]))
  const byPrefix = table
    .filter(({ below }) => below === true)
    .map((endpoint) => ({ prefix: `${endpoint.path}/`, endpoint }))
  return (path, environment) =>
    byPath.get(path === '' ? '/' : path) ??
    byPrefix.find(({ prefix }) => path.startsWith(prefix))?.endpoint ??
    (environment && inTrac.get(environment.path)) ??
    noEndpoint
}

/** What several endpoints need. */
function commonParts(
  services: Services,
  { address, timers }: AppContext,
  { reply }: EndpointParts,
) {
  const { config, names, endpoints, tokens, checks, sessions, sessionCookies } = services
  return {
    base: address.base,
    environmentAt: services.environmentAt,
    clientId: config.identity.clientId,
    endpoints,
    tokens,
    checks,
    sessions,
    sessionCookies,
    names,
    loopGuard: new LoopGuard(names),
    reply,
    timers,
    isSameOrigin: ({ headers }: RequestContext): boolean => isSameOrigin(headers, address.origin),
  }
}

function signInHandlers(services: Services, app: AppContext, parts: EndpointParts) {
  const { address, metrics } = app
  const { identity } = services.config
  const common = commonParts(services, app, parts)
  const { revocations } = app.storage
  const attempts = new LoginStates({
    sealer: services.loginSealer,
    names: services.names,
    issuer: identity.issuer,
    now: app.now,
    revocations,
  })
  return {
    ...createLogin({
      ...common,
      attempts,
      origin: address.origin,
      redirectUri: `${address.url}/auth/callback`,
      scopes: identity.scopes,
    }),
    callback: createCallback({
      ...common,
      attempts,
      revocations,
      usedAttempts: app.storage.usedAttempts,
      now: app.now,
      onLogin: (result) => metrics.logins.inc({ result }),
      onSignIn: (context, { identity, record: { profile } }, groups) => {
        parts.accessLog.signIn(context, identity.principal, groups)
        services.noteProof(profile.subject, profile)
      },
    }),
  }
}

function signOutHandlers(services: Services, app: AppContext, parts: EndpointParts) {
  const { address, metrics } = app
  const { revocations } = app.storage
  const common = commonParts(services, app, parts)
  const signedOutUrl = `${address.url}/auth/signed-out`
  const logoutPage = createLogoutPage({ ...common, knownTargets: services.formTargets })
  return {
    logout: createLogout({
      ...common,
      signedOutUrl,
      revocations,
      logoutPage,
      providerLogout: new ProviderLogout({
        ...common,
        signedOutUrl,
        endSignIn: (identifiers, at) => revocations.endSignIn(identifiers, at),
      }),
      onLogout: (kind, result) => metrics.logouts.inc({ kind, result }),
    }),
    session: createSessionPage({ ...common, page: logoutPage }),
    list: createEnvironmentList({
      ...common,
      page: logoutPage,
      url: address.url,
      environments: services.config.environments ?? {},
      router: services.router,
    }),
    signedOut: createSignedOut(common),
  }
}

function refreshHandler(services: Services, app: AppContext, parts: EndpointParts) {
  const { clientSecret, publicRefresh } = services.config.identity
  return createRefresh({
    ...commonParts(services, app, parts),
    awaited: app.awaited,
    acceptsTokens: clientSecret === undefined || publicRefresh,
    now: app.now,
    failures: parts.counters.failures,
    bySession: parts.counters.byPrincipal,
    onRefresh: (who, result) => app.metrics.refreshes.inc({ for: who, result }),
  })
}

function backchannelHandler(services: Services, app: AppContext, { reply }: EndpointParts) {
  const { identity } = services.config
  const { address, metrics, now } = app
  return createBackchannel({
    verify: createLogoutVerifier(services.issuers.main, identity.clientId, {
      ...identity,
      publicUrl: address.url,
      now,
    }),
    revocations: app.storage.revocations,
    issuer: identity.issuer,
    now,
    reply,
    onLogout: (kind, result) => metrics.logouts.inc({ kind, result }),
  })
}

/** The rows that a personal token may be for; all built-in ones together first. */
function rowsForTokens({ routes }: Services): TokenChoices['routes'] {
  const rows = routes.filter(
    ({ access, credentials }) =>
      access !== 'deny' && access !== 'public' && credentials.has('token'),
  )
  const hasBuiltin = rows.some(({ name }) => name.startsWith(builtinPrefix))
  return [
    ...(hasBuiltin ? [{ name: builtinRows, path: '' }] : []),
    ...rows.map(({ name, path }) => ({ name, path })),
  ]
}

/** What the environments grant, to whomever. */
function actionsElsewhere(config: Services['config']): readonly string[] {
  const named = assignedInEnvironments(config).flatMap((list) =>
    itemsOf(list).map(([, action]) => action),
  )
  return [...expandActions(named)]
}

function tokenHandlers(services: Services, app: AppContext, parts: EndpointParts) {
  const { tokens, identity } = services.config
  const { tokenStore: store, storage, logger, metrics, now } = app
  if (tokens === undefined || store === undefined) return undefined
  const endings = new TokenEndings(store, storage, now)
  return new TokenPages({
    ...commonParts(services, app, parts),
    store,
    end: (owner, id) => endings.end(owner, id),
    choices: {
      routes: rowsForTokens(services),
      elsewhere: actionsElsewhere(services.config),
      normalDays: Math.floor(tokens.defaultAge / day),
      maxDays: Math.floor(tokens.maxAge / day),
    },
    perUser: tokens.perUser,
    issuer: identity.issuer,
    tolerance: identity.clockTolerance,
    formSealer: services.tokenFormSealer,
    making: parts.counters.failures,
    now,
    onEvent: (event, context, token) => {
      metrics.personalTokens.inc({ event })
      const { user, subject, issuer } = context.identity.principal
      const line: LogLine<typeof tokenFields> = {
        request_id: context.id,
        client: context.address,
        user,
        sub: subject,
        issuer,
        token: token.name,
        token_id: token.id,
        expires: new Date(token.expiresAt).toISOString(),
        routes: token.routes,
        permissions: token.permissions,
      }
      logger.info(line, `personal token ${event}`)
    },
    onRefused: () => metrics.personalTokens.inc({ event: 'refused' }),
  })
}

function verifyHandler(services: Services, { address }: AppContext, parts: EndpointParts) {
  const { server } = services.config
  return createVerify({
    dialect: server.forwardAuth,
    address,
    environmentAt: services.environmentAt,
    targetLimit: server.limits.target,
    stages: parts.original,
    proveIdentity: parts.proveIdentity,
    signerOf: (upstream) => services.upstreams.get(upstream)?.sign,
    foreignCookies: (header) => foreignCookies(header, services.names),
    reply: parts.reply,
  })
}
