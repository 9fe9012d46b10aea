/** Builds everything that one configuration becomes. What is built here never changes while it serves. */
import { createAdmit } from '../authenticate/admit.js'
import { createBadTokens } from '../authenticate/bad-tokens.js'
import type { BadTokens } from '../authenticate/bad-tokens.js'
import { createBearer } from '../authenticate/bearer.js'
import type { SettleName } from '../authenticate/own-name.js'
import { anonymousPrincipal, personPrincipal } from '../authenticate/principals.js'
import { createUserinfo } from '../authenticate/userinfo.js'
import { createWebhooks } from '../authenticate/webhooks.js'
import { FileStore } from '../cache/store.js'
import { compileRoutes, routeDefaultsOf, unmatchedRoute } from '../authorize/compile-routes.js'
import { anonymousGrants } from '../authorize/grants.js'
import { createRouter } from '../authorize/router.js'
import type { Config } from '../config/schema.js'
import type { Identity, Principal, Profile } from '../core/identity.js'
import { TokenClient } from '../oidc/token-client.js'
import { createClientCheck, createVerifier } from '../oidc/verify-token.js'
import type { Route } from '../request/route.js'
import { nameCookies } from '../session/cookies.js'
import { Endings } from '../session/endings.js'
import { createSealer } from '../session/sealer.js'
import type { Purpose } from '../session/sealer.js'
import { SessionCookies } from '../session/session-cookies.js'
import { Sessions } from '../session/sessions.js'
import type { TokenIdentifiers } from '../session/token-identifiers.js'
import { TokenChecks } from '../sign-in/token-response.js'
import { toIdentityHeaders } from '../trac/identity-headers.js'
import type { AppContext } from './context.js'
import { createEnvironments } from './environments.js'
import { createIssuers } from './issuers.js'
import type { Provider } from './issuers.js'
import { createPeople } from './people.js'
import { TokenEndings, createProofs, createTokenLookup } from './personal-tokens.js'
import { createUpstreams } from './upstreams.js'

/** Everything that one configuration becomes. */
export type Services = ReturnType<typeof createServices>

/**
 * Builds the services; opens no connection and reads no clock.
 * @param previous what served until now: what is known of the provider is taken over if it is still the same
 */
export function createServices(
  config: Config,
  app: AppContext,
  previous?: Provider,
  badTokens = createBadTokens(config.rateLimit.badTokens, app.now),
) {
  const { identity } = config
  const names = nameCookies(app.address.url, identity.issuer, identity.clientId)
  const policy = createPolicyServices(config)
  const tokens = createTokenServices(config, app, policy.routes, previous, badTokens)
  const sessions = createSessionServices(config, app, tokens)
  return {
    config,
    names,
    /** Origins that a sign-out form may lead to, as far as they are known before the provider was asked. */
    formTargets: [new URL(identity.cognito?.domain ?? identity.issuer).origin],
    ...policy,
    ...tokens,
    webhooks: createWebhooks(config.routes, {
      parts: tokens.people.get(identity.issuer)!.parts,
      issuer: identity.issuer,
      anonymous: policy.anonymous,
      badTokens,
      used: app.storage.usedDeliveries,
      now: app.now,
    }),
    sessions,
    sessionCookies: new SessionCookies(sessions, names),
    endings: createEndings(config, app, tokens, sessions),
    upstreams: createUpstreams(config, app, names),
    files: new FileStore(),
    loginSealer: sealerFor('login', config, app),
    tokenFormSealer: sealerFor('token-form', config, app),
  }
}

/** The rows of the policy, and who is nobody. */
function createPolicyServices(config: Config) {
  const defaults = routeDefaultsOf(config)
  const routes = compileRoutes(config.routes, config.builtinTracRoutes, defaults)
  const anonymous: Identity = {
    principal: anonymousPrincipal(toIdentityHeaders, anonymousGrants(config.permissions)),
    via: undefined,
    expiresAt: Number.POSITIVE_INFINITY,
    accessToken: undefined,
  }
  const environmentAt = createEnvironments(config)
  const router = createRouter(routes, config.environments && environmentAt)
  return { routes, router, unmatched: unmatchedRoute(defaults), anonymous, environmentAt }
}

/** What is known of tokens: who makes them, how they are verified, and who brings one. */
function createTokenServices(
  config: Config,
  app: AppContext,
  routes: readonly Route[],
  previous: Provider | undefined,
  badTokens: BadTokens,
) {
  const { identity } = config
  const { address, now } = app
  const { revocations } = app.storage
  const isRevoked = (identifiers: TokenIdentifiers, user: string) =>
    revocations.isRevoked(identifiers, user)
  const { endpoints, issuers } = createIssuers(config, app, previous)
  const verify = createVerifier(issuers.all, { ...identity, publicUrl: address.url, now })
  const tokens = new TokenClient({
    clientId: identity.clientId,
    clientSecret: identity.clientSecret,
    redirectUri: `${address.url}/auth/callback`,
    insecure: identity.issuer.startsWith('http:'),
    endpoints,
    fetch: app.fetch,
    onRevocation: (result) => app.metrics.revocations.inc({ kind: 'refresh_token', result }),
  })
  const people = createPeople(config, routes, tellLeftOut(app))
  const main = people.get(identity.issuer)!
  const { admit, profileOf, groupsOf } = createAdmit({
    verify,
    people,
    machines: identity.machines,
    userinfo:
      identity.username.userinfo === 'never'
        ? undefined
        : createUserinfo((token, scopes) => tokens.userinfo(token, scopes), now),
    byEmail: identity.username.emailLocalPart !== false,
  })
  const facts = { clientId: identity.clientId, scopes: new Set<string>() }
  const { nameRegistry } = app
  /** Who is refused under a name was not seen under it: whoever ends that name means its owner. */
  const note = (principal: Principal): Principal => {
    if (nameRegistry.holds(principal)) app.storage.state.seen.note(principal.user, principal)
    return principal
  }
  const settleName: SettleName = (principal) => {
    const settled = nameRegistry.settle(principal)
    return settled instanceof Promise ? settled.then(note) : settled
  }
  const principalBy = (kind: 'session' | 'token') => (profile: Profile) =>
    note(personPrincipal(main.parts, profile, main.source, facts, kind))
  const toPrincipal = principalBy('session')
  const checks = new TokenChecks({
    verify,
    isForUs: createClientCheck(issuers.main, address.url),
    issuer: identity.issuer,
    clientId: identity.clientId,
    readProfile: profileOf,
    groupsOf,
    nameOf: (profile) => toPrincipal(profile).user,
    admit: async (profile) => settleName(toPrincipal(profile)),
    isRevoked,
    hasEnded: (session, user) => revocations.hasEnded(session, user),
    now,
  })
  const bearer = createBearer<TokenIdentifiers>({
    async admit(token) {
      const admitted = await admit(token)
      note(admitted.principal)
      return admitted
    },
    settle: settleName,
    isRevoked,
    revocationGeneration: () => revocations.generation,
    keyGeneration: () => issuers.all.reduce((sum, issuer) => sum + issuer.keys.generation, 0),
    now,
    onVerified: (result) => app.metrics.tokenVerifications.inc({ result }),
    badTokens,
  })
  const personal = createTokenLookup(config, app, {
    badTokens,
    settle: settleName,
    toPrincipal: principalBy('token'),
  })
  const noteProof = createProofs(config, app, toPrincipal)
  return {
    ...{ endpoints, issuers, tokens, checks, people, badTokens, bearer, toPrincipal, settleName },
    ...{ personal, noteProof },
    /** Reads one token: what it is, whom it lets in, and all groups that it names. */
    reading: { verify, admit, groupsOf },
  }
}

/** Actions that are told of as left out; whoever can write the claim could make up any number. */
const maxToldActions = 50

/** Tells of each claimed action that `permissions.fromClaims` leaves out, once. */
function tellLeftOut({ logger }: AppContext): (action: string) => void {
  const told = new Set<string>()
  return (action) => {
    if (told.has(action) || told.size >= maxToldActions) return
    told.add(action)
    logger.warn(
      { action },
      `a claim names ${action}, which permissions.fromClaims leaves out; to grant it, write [nonAdmin, ${action}] there`,
    )
  }
}

function createSessionServices(
  { identity, session, upstreams }: Config,
  app: AppContext,
  { checks, tokens, toPrincipal, noteProof }: ReturnType<typeof createTokenServices>,
): Sessions {
  const { storage, metrics, logger } = app
  return new Sessions({
    store: storage.store(sealerFor('session', { identity, session }, app)),
    state: storage.state,
    revocations: storage.revocations,
    toPrincipal,
    renew: async (refreshToken, subject) => {
      const renewed = await checks.renewal(await tokens.refresh(refreshToken), subject)
      if (!('awaits' in renewed)) noteProof(subject, renewed.profile)
      return renewed
    },
    now: app.now,
    timers: app.timers,
    random: app.random,
    issuer: identity.issuer,
    idleTimeout: session.idleTimeout,
    maxAge: session.maxAge,
    renewAt: session.renewAt,
    keepAccessToken: Object.values(upstreams).some((upstream) => upstream.forwardAccessToken),
    onRenewal: (result, cause) => {
      metrics.refreshes.inc({ for: 'session', result })
      if (result !== 'ok') logger.warn({ cause }, 'a session could not be renewed')
    },
  })
}

/** Ends everything of a person, for an operator. */
function createEndings(
  { identity, session }: Config,
  { storage, tokenStore, now, logger }: AppContext,
  { tokens }: ReturnType<typeof createTokenServices>,
  sessions: Sessions,
): Endings {
  return new Endings({
    revocations: storage.revocations,
    sessions,
    seen: storage.state.seen,
    issuer: identity.issuer,
    shared: session.store === 'redis',
    tolerance: identity.clockTolerance,
    now,
    revokeToken: (refreshToken) => tokens.revoke(refreshToken),
    endTokens: async (subjects, user) =>
      tokenStore === undefined
        ? 0
        : await new TokenEndings(tokenStore, storage, now).endAll(subjects, user),
    onFault: (cause) => logger.warn({ cause }, 'a refresh token could not be revoked'),
  })
}

/** Seals for one purpose; what was sealed for another gateway or client does not open. */
function sealerFor(
  purpose: Purpose,
  { identity, session }: Pick<Config, 'identity' | 'session'>,
  { address }: AppContext,
) {
  return createSealer(purpose, {
    secrets: session.secrets,
    publicUrl: address.url,
    issuer: identity.issuer,
    clientId: identity.clientId,
  })
}
