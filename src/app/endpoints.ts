/** The gateway's own endpoints as one table: path, methods, limits, credential, handler (deploy/docs/reference/endpoints.md). */
import type { RequestContext } from '../request/context.js'
import { isSameOrigin } from '../authorize/csrf.js'
import type { PublicUrl } from '../core/public-url.js'
import type { Counter } from '../edge/rate-limit.js'
import type { ErrorCode } from '../core/errors.js'
import { isNavigation, wantsPage } from '../edge/reply.js'
import type { Reply } from '../edge/reply.js'
import { LoginStates } from '../sign-in/login-state.js'
import { createBackchannel } from '../endpoints/backchannel-logout.js'
import { createCallback } from '../endpoints/callback.js'
import { createClientScript } from '../endpoints/client-script.js'
import { createLogin } from '../endpoints/login.js'
import { createLogoutPage } from '../endpoints/logout-page.js'
import { createLogout } from '../endpoints/logout.js'
import { LoopGuard } from '../sign-in/loop-guard.js'
import { createRefresh } from '../endpoints/refresh.js'
import { createSessionPage } from '../endpoints/session.js'
import { createLogoutVerifier } from '../oidc/logout-token.js'
import type { Services, AppContext } from './services.js'

/** Who is asked for before the handler runs: nobody, anybody who can be recognised, or whoever a bad token names too. */
export type EndpointCredential = 'unread' | 'lenient' | 'strict'

/** One own endpoint. */
export interface Endpoint {
  /** Below the base path, exactly. */
  readonly path: string
  /** The label of logs and metrics. */
  readonly name: string
  readonly methods: readonly string[]
  /** How `rateLimit.auth` counts: by client address (`withBody`: then only, since a class behind one address renews its sessions by cookie), by who asks, or not at all. */
  readonly limited: 'all' | 'withBody' | 'person' | 'none'
  readonly credential: EndpointCredential
  /** What a body that can't be taken is answered with, where a standard knows no 413 or 415. */
  readonly bodyFault?: ErrorCode
  readonly handle: (context: RequestContext, body: Buffer) => Promise<void>
}

/** Builds the table. */
export function createEndpoints(
  services: Services,
  app: AppContext,
  address: PublicUrl,
  reply: Reply,
  counters: { readonly failures: Counter; readonly bySession: Counter },
): readonly Endpoint[] {
  const { config, names, endpoints, tokens, checks, sessions, sessionCookies } = services
  const { identity } = config
  const { metrics, now } = app
  const { revocations } = app.storage
  const { base } = address
  const clientId = identity.clientId
  const attempts = new LoginStates(services.loginSealer, names, identity.issuer, now)
  const loopGuard = new LoopGuard(names)
  const sameOrigin = (context: RequestContext): boolean =>
    context.headers !== undefined && isSameOrigin(context.headers, address.origin)
  const common = { base, clientId, endpoints, tokens, sessions, names, loopGuard }

  const { login, tracLogin } = createLogin({
    ...common,
    attempts,
    origin: address.origin,
    redirectUri: `${address.url}/auth/callback`,
    scopes: identity.scopes,
    isNavigation,
    redirect: reply.redirect,
  })
  const callback = createCallback({
    ...common,
    sessionCookies,
    checks,
    attempts,
    redirect: reply.redirect,
    now,
    onLogin: (result) => metrics.logins.inc({ result }),
  })
  const refresh = createRefresh({
    ...common,
    sessionCookies,
    checks,
    acceptsTokens: identity.clientSecret === undefined || identity.publicRefresh,
    isSameOrigin: sameOrigin,
    now,
    json: reply.json,
    ...counters,
    onRefresh: (who, result) => metrics.refreshes.inc({ for: who, result }),
  })
  const onProviderFault = (context: RequestContext, cause: unknown): void => {
    context.cause = cause
  }
  const logoutPage = createLogoutPage({
    endpoints,
    knownTargets: services.formTargets,
    send: reply.send,
    onProviderFault,
  })
  const { logout, signedOut } = createLogout({
    ...common,
    checks,
    endSignIn: (identifiers) => revocations.endSignIn(identifiers, now() + identity.maxTokenLife),
    signedOutUrl: `${address.url}/auth/signed-out`,
    maxTokenLife: identity.maxTokenLife,
    isSameOrigin: sameOrigin,
    page: reply.page,
    logoutPage,
    send: reply.send,
    onLogout: (kind) => metrics.logouts.inc({ kind }),
    onProviderFault,
  })
  const session = createSessionPage({ base, page: logoutPage, json: reply.json, wantsPage })
  const backchannel = createBackchannel({
    verify: createLogoutVerifier(services.issuers.main, clientId, {
      ...identity,
      publicUrl: address.url,
      now,
    }),
    revocations,
    issuer: identity.issuer,
    life: identity.maxTokenLife,
    now,
    json: reply.json,
    onLogout: (kind) => metrics.logouts.inc({ kind }),
  })
  const script = createClientScript(reply.send)

  const row = (
    path: string,
    name: string,
    methods: readonly string[],
    limited: Endpoint['limited'],
    credential: EndpointCredential,
    handle: Endpoint['handle'],
  ): Endpoint => ({ path, name: `auth:${name}`, methods, limited, credential, handle })

  const read = ['GET', 'HEAD']
  const readOrPost = ['GET', 'HEAD', 'POST']
  return [
    row('/auth/login', 'login', read, 'all', 'lenient', login),
    row('/auth/callback', 'callback', ['GET'], 'all', 'lenient', callback),
    row('/auth/refresh', 'refresh', ['POST'], 'withBody', 'unread', refresh),
    row('/auth/logout', 'logout', readOrPost, 'person', 'lenient', logout),
    row('/auth/signed-out', 'signed-out', read, 'none', 'unread', signedOut),
    row('/auth/session', 'session', read, 'person', 'strict', session),
    row('/auth/client.js', 'client.js', read, 'none', 'unread', script),
    {
      ...row('/auth/backchannel-logout', 'backchannel', ['POST'], 'all', 'unread', backchannel),
      // OpenID Connect Back-Channel Logout 1.0 §2.8 knows 200 and 400.
      bodyFault: 'ERR_LOGOUT_TOKEN_INVALID',
    },
    row('/login', 'trac-login', read, 'none', 'unread', tracLogin),
    row('/login/', 'trac-login', read, 'none', 'unread', tracLogin),
    row('/logout', 'trac-logout', readOrPost, 'person', 'lenient', logout),
    row('/logout/', 'trac-logout', readOrPost, 'person', 'lenient', logout),
  ]
}
