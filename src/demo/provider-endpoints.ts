/** What the look-alike answers itself: discovery, keys, login form, userinfo, GetUser, `/logout`. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Provider } from 'oidc-provider/lib/provider.js'
import { loginPage, problemPage } from './login-page.js'
import type { Endpoint, Pool } from './provider-pool.js'
import { userAdminScope } from './provider-pool.js'
import type { OidcCallback } from './provider-oidc.js'
import type { Claims } from './provider-tokens.js'

/** Bytes of a form or JSON body that are read. */
const bodyLimit = 64 * 1024
/** Answers one request. */
export async function route(
  pool: Pool,
  { provider, handle }: OidcCallback,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const url = new URL(req.url ?? '/', pool.origin)
  const endpoint = endpointOf(pool, req, url.pathname)
  pool.counts[endpoint] += 1
  switch (endpoint) {
    case 'discovery':
      return sendJson(res, 200, discovery(pool))
    case 'jwks':
      return sendJson(res, 200, pool.mint.jwks)
    case 'authorize':
    case 'token':
    case 'revoke':
      await handle(req, res)
      return
    case 'login':
      return login(pool, provider, req, res)
    case 'userInfo':
      return userInfo(pool, req, res)
    case 'getUser':
      return getUser(pool, req, res)
    case 'logout':
      return logout(pool, provider, url, req, res)
    case 'other':
      return sendPage(res, 404, problemPage('There is no such page.'))
  }
}

function endpointOf(pool: Pool, req: IncomingMessage, path: string): Endpoint {
  const { method } = req
  const wellKnown = `${pool.poolPath}/.well-known`
  if (path === `${wellKnown}/openid-configuration`) return 'discovery'
  if (path === `${wellKnown}/jwks.json`) return 'jwks'
  if (path === '/oauth2/authorize' || path.startsWith('/oauth2/authorize/')) return 'authorize'
  if (path === '/oauth2/token') return 'token'
  if (path === '/oauth2/revoke') return 'revoke'
  if (path === '/oauth2/userInfo') return 'userInfo'
  if (path.startsWith('/login/')) return 'login'
  if (path === '/logout' && method === 'GET') return 'logout'
  if (path === '/' && method === 'POST') return 'getUser'
  return 'other'
}

/** What Cognito publishes, `end_session_endpoint` left out: its `/logout` is not OpenID Connect's. */
function discovery({ origin, mint }: Pool): Record<string, unknown> {
  return {
    authorization_endpoint: `${origin}/oauth2/authorize`,
    id_token_signing_alg_values_supported: ['RS256'],
    issuer: mint.issuer,
    jwks_uri: `${mint.issuer}/.well-known/jwks.json`,
    response_types_supported: ['code', 'token'],
    revocation_endpoint: `${origin}/oauth2/revoke`,
    scopes_supported: ['openid', 'email', 'phone', 'profile'],
    subject_types_supported: ['public'],
    token_endpoint: `${origin}/oauth2/token`,
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    userinfo_endpoint: `${origin}/oauth2/userInfo`,
  }
}

async function login(
  pool: Pool,
  provider: Provider,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  try {
    await provider.interactionDetails(req, res)
  } catch {
    return sendPage(res, 400, problemPage('This sign-in has expired. Go back and sign in again.'))
  }
  if (req.method !== 'POST') return sendPage(res, 200, loginPage())
  const form = new URLSearchParams(await readBody(req))
  const email = form.get('email') ?? ''
  const person = pool.people.find(
    (candidate) =>
      candidate.email.toLowerCase() === email.trim().toLowerCase() &&
      timingSafeEqual(digest(candidate.password), digest(form.get('password') ?? '')),
  )
  if (person === undefined) {
    return sendPage(res, 403, loginPage(email, 'Incorrect e-mail or password.'))
  }
  await provider.interactionFinished(req, res, {
    login: { accountId: person.sub, remember: true, ts: pool.mint.seconds() },
  })
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Cognito's userinfo: `email_verified` is text there, and there are no groups. */
async function userInfo(pool: Pool, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const token = /^Bearer ([^ ]+)$/i.exec(req.headers.authorization ?? '')?.[1]
  const claims = token === undefined ? undefined : await verifyLive(pool, token)
  const person = pool.person(claims?.['sub'])
  if (person === undefined || !hasScope(claims, 'openid')) {
    const description =
      person === undefined
        ? 'Access token is expired, disabled, or deleted, or the user has globally signed out.'
        : 'Access token does not contain openid scope'
    res.setHeader('WWW-Authenticate', 'Bearer error="invalid_token"')
    return sendJson(res, 401, { error: 'invalid_token', error_description: description })
  }
  return sendJson(res, 200, {
    sub: person.sub,
    email_verified: String(person.emailVerified),
    email: person.email,
    name: person.name,
    username: person.username,
    ...person.claims,
  })
}

/** Cognito's GetUser API: needs its own scope, and answers errors with a `__type`. */
async function getUser(pool: Pool, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const refuse = (type: string, message: string): void => {
    res.setHeader('x-amzn-ErrorType', `${type}:`)
    res.setHeader('x-amzn-ErrorMessage', message)
    sendJson(res, 400, { __type: type, message }, 'application/x-amz-json-1.1')
  }
  if (req.headers['x-amz-target'] !== 'AWSCognitoIdentityProviderService.GetUser') {
    return refuse('UnknownOperationException', '')
  }
  const claims = await verifyLive(pool, accessTokenOf(await readBody(req)))
  if (claims === undefined) return refuse('NotAuthorizedException', 'Invalid Access Token')
  if (!hasScope(claims, userAdminScope)) {
    return refuse('NotAuthorizedException', 'Access Token does not have required scopes')
  }
  const person = pool.person(claims['sub'])
  if (person === undefined) return refuse('UserNotFoundException', 'User does not exist.')
  const attributes = {
    sub: person.sub,
    email_verified: person.emailVerified,
    name: person.name,
    email: person.email,
    ...person.claims,
  }
  const body = {
    UserAttributes: Object.entries(attributes).map(([Name, value]) => ({
      Name,
      Value: String(value),
    })),
    Username: person.username,
  }
  return sendJson(res, 200, body, 'application/x-amz-json-1.1')
}

function accessTokenOf(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed !== 'object' || parsed === null || !('AccessToken' in parsed)) return ''
    return String(parsed.AccessToken)
  } catch {
    return ''
  }
}

/** The claims of an access token of ours that was not revoked. */
async function verifyLive(pool: Pool, token: string): Promise<Claims | undefined> {
  const claims = await pool.mint.verifyAccess(token)
  return pool.revokedOrigins.has(claims?.['origin_jti'] ?? token) ? undefined : claims
}

function hasScope(claims: Claims | undefined, scope: string): boolean {
  const granted = claims?.['scope']
  return typeof granted === 'string' && granted.split(' ').includes(scope)
}

/**
 * Cognito's `/logout`: ends the browser's session here, then leads to a `logout_uri` of the allow
 * list, or with `redirect_uri` and `response_type` to a new sign-in.
 */
async function logout(
  pool: Pool,
  provider: Provider,
  url: URL,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const client = pool.client(url.searchParams.get('client_id'))
  const logoutUri = url.searchParams.get('logout_uri')
  const again = url.searchParams.has('redirect_uri') && url.searchParams.has('response_type')
  if (client === undefined) return sendPage(res, 400, problemPage('Unknown client_id.'))
  if (logoutUri === null ? !again : !client.logoutUris.includes(logoutUri)) {
    return sendPage(res, 400, problemPage('The logout_uri is not registered for this client.'))
  }
  const session = await provider.Session.get(provider.createContext(req, res))
  if (session.accountId !== undefined) await session.destroy()
  const name = provider.cookieName('session')
  res.writeHead(302, {
    Location: logoutUri ?? `/oauth2/authorize${url.search}`,
    'Set-Cookie': [name, `${name}.sig`].map(
      (cookie) => `${cookie}=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly`,
    ),
    'Cache-Control': 'no-store',
  })
  res.end()
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bodyLimit) throw new Error('body too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Writes a JSON answer. */
export function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  type = 'application/json',
): void {
  const text = JSON.stringify(body)
  res.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) })
  res.end(text)
}

function sendPage(res: ServerResponse, status: number, html: string): void {
  res.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(html),
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'same-origin',
    // No form-action: Chromium would hold the redirect back to the gateway against it.
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
  })
  res.end(html)
}
