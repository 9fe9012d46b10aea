/** Builds every room out of one configuration and joins them; what is built here never changes while it serves. */
import type { Logger } from 'pino'
import { createGrants, anonymousGrants } from '../authorize/grants.js'
import { compileRoutes, unmatchedRoute } from '../authorize/compile-routes.js'
import { createRouter } from '../authorize/router.js'
import { forbiddenNames } from '../config/topics/identity/user-names.js'
import type { Config } from '../config/schema.js'
import { createSigner } from '../trac/signature.js'
import { createConnections } from '../forward/connections.js'
import type { Upstream } from '../forward/upstream.js'
import { toIdentityHeaders } from '../trac/identity-headers.js'
import type { Now } from '../core/clock.js'
import type { Identity, Profile } from '../core/identity.js'
import { createAdmit } from '../authenticate/admit.js'
import type { IssuerPeople } from '../authenticate/admit.js'
import { createBearer } from '../authenticate/bearer.js'
import { createNaming } from '../trac/user-names.js'
import { anonymousPrincipal, personPrincipal } from '../authenticate/principals.js'
import { createUserinfo } from '../authenticate/userinfo.js'
import { TokenChecks } from '../sign-in/token-response.js'
import { createIssuers } from './issuers.js'
import type { Provider } from './issuers.js'
import type { Metrics } from '../observe/metrics.js'
import { providerFetch } from '../oidc/fetch.js'
import { createTokenClient } from '../oidc/tokens.js'
import { createVerifier } from '../oidc/verify.js'
import type { PublicUrl } from '../core/public-url.js'
import { foreignCookies, nameCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { Storage } from '../session/storage.js'
import type { TokenIdentifiers } from '../session/token-identifiers.js'
import { createSealer } from '../session/sealer.js'
import { Sessions } from '../session/sessions.js'
import { SessionCookies } from '../session/session-cookies.js'
import type { Route } from '../request/route.js'

/** What the rooms share with the process. */
export interface AppContext {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly storage: Storage
  readonly address: PublicUrl
  readonly now: Now
  readonly random: () => number
  /** Whether the keys of the main issuer, or Trac, could be reached just now. */
  readonly onKeys: (ok: boolean) => void
  readonly onUpstream: (ok: boolean) => void
}

/** Groups that mean something: only these are kept in sessions. */
function knownGroupsOf(config: Config, routes: readonly Route[]): Set<string> {
  return new Set([
    ...Object.keys(config.permissions.groups),
    ...routes.flatMap((route) => route.require?.anyGroup ?? []),
  ])
}

/** How the people of each issuer are named and what they may do. */
function createPeople(config: Config, routes: readonly Route[]) {
  const { identity, permissions } = config
  const knownGroups = knownGroupsOf(config, routes)
  const naming = createNaming({
    aliases: identity.username.aliases,
    emailLocalPart: identity.username.emailLocalPart,
    case: identity.username.case,
    machineNames: Object.values(identity.machines).map((machine) => machine.username),
    forbidden: forbiddenNames(config),
    email: identity.email,
    prefixes: identity.additionalIssuers.map((other) => other.prefix),
  })
  const people = new Map<string, IssuerPeople>()
  people.set(identity.issuer, {
    source: { issuer: identity.issuer, main: true, prefix: '' },
    claims: identity.claims,
    knownGroups,
    parts: { naming, grants: createGrants(permissions), toIdentityHeaders },
  })
  for (const other of identity.additionalIssuers) {
    const rules = { ...permissions, groups: other.groups, fromClaims: 'none' as const }
    people.set(other.issuer, {
      source: { issuer: other.issuer, main: false, prefix: other.prefix },
      claims: { ...other.claims, permissions: [] },
      knownGroups: new Set([...Object.keys(other.groups), ...knownGroups]),
      parts: { naming, grants: createGrants(rules), toIdentityHeaders },
    })
  }
  return people
}

function createUpstreams(
  config: Config,
  app: AppContext,
  names: CookieNames,
): Map<string, Upstream> {
  const upstreams = new Map<string, Upstream>()
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const [key] = upstream.signingKeys
    const connections = createConnections({
      address: upstream.url,
      connectTimeout: upstream.timeouts.connect,
      onCount: (change) => app.metrics.upstreamConnections.inc({ upstream: name }, change),
    })
    upstreams.set(name, {
      name,
      isTrac: name === 'trac',
      address: upstream.url,
      connections,
      headerRules: {
        host: app.address.host,
        proto: app.address.secure ? 'https' : 'http',
        foreignCookies: (header) => foreignCookies(header, names),
        forwardAccessToken: upstream.forwardAccessToken,
      },
      sign: key === undefined ? undefined : createSigner(key),
      timeouts: upstream.timeouts,
    })
  }
  return upstreams
}

/** Everything that one configuration becomes. */
export type Services = ReturnType<typeof createServices>

/**
 * Builds the rooms; opens no connection and reads no clock.
 * @param earlier what served until now: what is known of the provider is taken over where it still holds
 */
export function createServices(config: Config, app: AppContext, earlier?: Provider) {
  const { identity, session, permissions, server } = config
  const { address, now, metrics, storage } = app
  const { revocations } = storage
  const defaults = { mode: config.mode, bodyLimit: server.limits.body }
  const routes = compileRoutes(config.routes, config.builtinTracRoutes, defaults)
  const names = nameCookies(address.url, identity.issuer, identity.clientId)
  const insecure = identity.issuer.startsWith('http:')
  const { endpoints, issuers } = createIssuers(config, app, earlier)
  const verify = createVerifier(issuers.all, {
    algorithms: identity.algorithms,
    clockTolerance: identity.clockTolerance,
    maxTokenLife: identity.maxTokenLife,
    publicUrl: address.url,
    now,
  })
  const tokens = createTokenClient({
    clientId: identity.clientId,
    clientSecret: identity.clientSecret,
    redirectUri: `${address.url}/auth/callback`,
    insecure,
    endpoints,
    fetch: providerFetch,
  })
  const people = createPeople(config, routes)
  const main = people.get(identity.issuer)!
  const { admit, profileOf } = createAdmit({
    verify,
    people,
    machines: identity.machines,
    userinfo:
      identity.username.userinfo === 'never' ? undefined : createUserinfo(tokens.userinfo, now),
    byEmail: identity.username.emailLocalPart !== false,
  })
  const facts = { clientId: identity.clientId, scopes: new Set<string>() }
  const toPrincipal = (profile: Profile) => personPrincipal(main.parts, profile, main.source, facts)
  const checks = new TokenChecks({
    verify,
    issuer: identity.issuer,
    clientId: identity.clientId,
    readProfile: profileOf,
    nameOf: (profile) => toPrincipal(profile).user,
    isRevoked: (identifiers, user) => revocations.isRevoked(identifiers, user),
    now,
  })
  const sealContext = {
    secrets: session.secrets,
    publicUrl: address.url,
    issuer: identity.issuer,
    clientId: identity.clientId,
  }
  const sessions = new Sessions({
    store: storage.store(createSealer('session', sealContext)),
    state: storage.state,
    revocations,
    toPrincipal,
    renew: async (refreshToken, subject) =>
      checks.renewal(await tokens.refresh(refreshToken), subject),
    now,
    random: app.random,
    issuer: identity.issuer,
    idleTimeout: session.idleTimeout,
    maxAge: session.maxAge,
    renewAt: session.renewAt,
    keepAccessToken: Object.values(config.upstreams).some((up) => up.forwardAccessToken),
    onRenewal: (result, cause) => {
      metrics.refreshes.inc({ for: 'session', result })
      if (result !== 'ok') app.logger.warn({ cause }, 'a session could not be renewed')
    },
  })
  const anonymous: Identity = {
    principal: anonymousPrincipal(toIdentityHeaders, anonymousGrants(permissions)),
    via: undefined,
    expiresAt: Number.POSITIVE_INFINITY,
    accessToken: undefined,
  }
  const bearer = createBearer<TokenIdentifiers>({
    admit,
    isRevoked: (identifiers, user) => revocations.isRevoked(identifiers, user),
    revocationGeneration: () => revocations.generation,
    keyGeneration: () => issuers.all.reduce((sum, issuer) => sum + issuer.keys.generation, 0),
    now,
    onVerified: (result) => metrics.tokenVerifications.inc({ result }),
  })
  return {
    config,
    /** Origins that a sign-out form may lead to, as far as they are known before the provider was asked. */
    formTargets: [new URL(identity.cognito?.domain ?? identity.issuer).origin],
    routes,
    router: createRouter(routes),
    unmatched: unmatchedRoute(defaults),
    names,
    endpoints,
    issuers,
    tokens,
    checks,
    sessions,
    sessionCookies: new SessionCookies(sessions, names),
    bearer,
    anonymous,
    upstreams: createUpstreams(config, app, names),
    loginSealer: createSealer('login', sealContext),
  }
}
