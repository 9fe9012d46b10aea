/** The look-alike's flows, by oidc-provider: code, refresh, client credentials, revocation. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { exportJWK } from 'jose'
// The package's main file only adds a warning about Node 20, where it works.
import { Provider } from 'oidc-provider/lib/provider.js'
import type { ClientMetadata, Grant, OidcContext } from 'oidc-provider/lib/provider.js'
import { problemPage } from './login-page.js'
import { personScopes } from './provider-pool.js'
import type { DemoClient, Pool } from './provider-pool.js'
import { createStore } from './provider-store.js'
import { accessTokenHash } from './provider-tokens.js'
import type { Claims } from './provider-tokens.js'

/** Symbols in a refresh token: about as long as Cognito's, which matters to cookies that carry it. */
const refreshTokenSymbols = 1750
/** Stands in for the address that a client needs but has not been given yet. */
const noAddress = 'http://localhost:1/not-registered'

/** oidc-provider and its request handler. */
export interface OidcCallback {
  provider: Provider
  handle: (req: IncomingMessage, res: ServerResponse) => Promise<void>
}

/** Builds oidc-provider for a pool. */
export async function createOidcCallback(pool: Pool): Promise<OidcCallback> {
  const privateJwk = await exportJWK(pool.mint.keys.id.privateKey)
  const { settings } = pool
  const machineScopes = pool.clients.flatMap((client) => client.scopes)
  const provider: Provider = new Provider(pool.mint.issuer, {
    adapter: createStore(pool.now, (id) => clientMetadata(pool.client(id))),
    jwks: { keys: [{ ...privateJwk, alg: 'RS256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: [...new Set([...personScopes, ...machineScopes])],
    claims: { openid: ['sub'], email: ['email'], phone: ['phone_number'], profile: ['name'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    routes: {
      authorization: '/oauth2/authorize',
      jwks: '/unused/jwks',
      revocation: '/oauth2/revoke',
      token: '/oauth2/token',
    },
    ttl: {
      AccessToken: () => settings.accessTokenLifetime,
      AuthorizationCode: 300,
      ClientCredentials: () => settings.accessTokenLifetime,
      Grant: () => settings.refreshTokenLifetime,
      IdToken: () => settings.idTokenLifetime,
      Interaction: 900,
      RefreshToken: () => settings.refreshTokenLifetime,
      Session: () => settings.sessionLifetime,
    },
    interactions: { url: (_ctx, { uid }) => `/login/${uid}` },
    formats: {
      bitsOfOpaqueRandomness: (_ctx, { kind }) =>
        kind === 'RefreshToken' ? 6 * refreshTokenSymbols : 256,
    },
    findAccount: (_ctx, sub) => findAccount(pool, sub),
    loadExistingGrant: (ctx) => grantEverything(pool, provider, ctx),
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    rotateRefreshToken: () => settings.rotateRefreshTokens,
    renderError(ctx, { error, error_description: description }) {
      ctx.type = 'html'
      ctx.body = problemPage(`${error}: ${description ?? 'no further description'}`)
    },
  })
  provider.on('grant.revoked', (_ctx, grantId) => {
    pool.revokedOrigins.add(pool.signIns.get(grantId)?.originJti)
    pool.signIns.delete(grantId)
  })
  provider.use((ctx, next) => lookLikeCognito(pool, ctx, next))
  return { provider, handle: provider.callback() }
}

function clientMetadata(client: DemoClient | undefined): ClientMetadata | undefined {
  if (client === undefined) return undefined
  const { clientId, clientSecret, redirectUris, scopes, machine = false } = client
  return {
    client_id: clientId,
    ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
    token_endpoint_auth_method: clientSecret === undefined ? 'none' : 'client_secret_basic',
    grant_types: machine ? ['client_credentials'] : ['authorization_code', 'refresh_token'],
    response_types: machine ? [] : ['code'],
    redirect_uris: machine ? [] : redirectUris.length > 0 ? [...redirectUris] : [noAddress],
    scope: scopes.join(' '),
  }
}

function findAccount(pool: Pool, sub: string): { accountId: string; claims(): Claims } | undefined {
  return pool.person(sub) && { accountId: sub, claims: () => ({ sub }) }
}

/** Consents for the person, with a grant of its own for each sign-in, as Cognito has one origin_jti. */
async function grantEverything(
  pool: Pool,
  provider: Provider,
  { oidc }: OidcContext,
): Promise<Grant | undefined> {
  if (oidc?.account === undefined) return undefined
  const { accountId } = oidc.account
  const grant = new provider.Grant({ accountId, clientId: oidc.client.clientId })
  grant.addOIDCScope(oidc.params?.['scope'] ?? '')
  const grantId = await grant.save()
  pool.signIns.set(grantId, {
    originJti: randomUUID(),
    eventId: randomUUID(),
    authTime: oidc.session.loginTs ?? pool.mint.seconds(),
  })
  return grant
}

/** Turns what oidc-provider answers into what Cognito answers. */
async function lookLikeCognito(
  pool: Pool,
  ctx: OidcContext,
  next: () => Promise<void>,
): Promise<void> {
  await next()
  const location = ctx.response.get('Location')
  if (location?.startsWith('http')) {
    const url = new URL(location)
    url.searchParams.delete('iss')
    ctx.set('Location', url.href)
  }
  if (ctx.oidc?.route === 'token' && ctx.status === 200) ctx.body = await tokenAnswer(pool, ctx)
}

/** Signs the tokens anew with Cognito's claims, and leaves out what Cognito leaves out. */
async function tokenAnswer(pool: Pool, ctx: OidcContext): Promise<Record<string, unknown>> {
  const { mint, settings } = pool
  const given = typeof ctx.body === 'string' ? {} : ctx.body
  const { AccessToken, AuthorizationCode, ClientCredentials, RefreshToken } =
    ctx.oidc?.entities ?? {}
  const usual = { expires_in: settings.accessTokenLifetime, token_type: 'Bearer' }
  if (ClientCredentials !== undefined) {
    const clientId = ClientCredentials.clientId ?? ''
    const scope = ClientCredentials.scope ?? pool.client(clientId)?.scopes.join(' ') ?? ''
    const claims = mint.machineClaims(clientId, scope, settings.accessTokenLifetime)
    return { access_token: await mint.sign(claims, 'access'), ...usual }
  }
  const person = pool.person(AccessToken?.accountId)
  const signIn = pool.signIns.get(AccessToken?.grantId ?? '')
  if (AccessToken === undefined || person === undefined || signIn === undefined) {
    throw new Error('a token answer without a sign-in')
  }
  const clientId = AccessToken.clientId ?? ''
  const accessToken = await mint.sign(
    settings.alterClaims(
      mint.accessClaims(
        person,
        clientId,
        AccessToken.scope ?? '',
        settings.accessTokenLifetime,
        signIn,
      ),
      'access',
      person,
    ),
    'access',
  )
  const idClaims = {
    at_hash: accessTokenHash(accessToken),
    nonce: AuthorizationCode?.nonce,
    ...mint.idClaims(person, clientId, settings.idTokenLifetime, signIn),
  }
  const keepsRefreshToken = AuthorizationCode === undefined && !settings.rotateRefreshTokens
  return {
    ...(given['id_token'] === undefined
      ? {}
      : { id_token: await mint.sign(settings.alterClaims(idClaims, 'id', person), 'id') }),
    access_token: accessToken,
    ...(RefreshToken === undefined || keepsRefreshToken
      ? {}
      : { refresh_token: given['refresh_token'] }),
    ...usual,
  }
}
