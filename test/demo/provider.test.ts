/** The look-alike looks like Cognito: claims, refresh, revocation, userinfo, GetUser, logout. */
import { takePoolKeys } from '../fixtures/rsa-keys.js'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { CognitoJwtVerifier } from 'aws-jwt-verify'
import type { Jwks } from 'aws-jwt-verify/jwk'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import type { JSONWebKeySet } from 'jose'
import { createPeople } from '../../src/demo/people.js'
import { createDemoClient } from '../../src/demo/provider-pool.js'
import type { DemoProviderOptions } from '../../src/demo/provider-pool.js'
import { startProvider } from '../../src/demo/provider.js'
import type { DemoProvider } from '../../src/demo/provider.js'
import { CookieJar, TokenRefused, requestTokens, signIn } from '../../src/demo/sign-in.js'
import { freePort } from '../fixtures/ports.js'

const redirectUri = 'http://localhost:1/trac/auth/callback'
const logoutUri = 'http://localhost:1/trac/auth/signed-out'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const userAdminScope = 'aws.cognito.signin.user.admin'

async function start(
  test: Pick<Test, 'teardown'>,
  options: DemoProviderOptions = {},
): Promise<DemoProvider> {
  const client = createDemoClient({ redirectUris: [redirectUri], logoutUris: [logoutUri] })
  const keys = await takePoolKeys()
  const provider = await startProvider({ clients: [client], keys, ...options })
  test.teardown(() => provider.stop())
  return provider
}

function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index]
  if (item === undefined) throw new Error(`a list without item ${index}`)
  return item
}

function first<Item>(items: readonly Item[]): Item {
  return at(items, 0)
}

async function json(response: Response): Promise<Record<string, unknown>> {
  return Object(await response.json())
}

async function keysOf(provider: DemoProvider): Promise<JSONWebKeySet & Jwks> {
  return Object(await (await fetch(provider.jwksUri)).json())
}

async function refresh(
  provider: DemoProvider,
  refreshToken: string,
): ReturnType<typeof requestTokens> {
  return requestTokens(provider, first(provider.clients), {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
  })
}

/** What every request for a code names. */
const codeFlow = ({ clientId }: DemoProvider) => ({
  client_id: clientId,
  response_type: 'code',
  redirect_uri: redirectUri,
})

function revoke(provider: DemoProvider, token: string): Promise<Response> {
  return fetch(`${provider.origin}/oauth2/revoke`, {
    method: 'POST',
    body: new URLSearchParams({ token, client_id: provider.clientId }),
  })
}

function userInfo(provider: DemoProvider, accessToken: string): Promise<Response> {
  const headers = { Authorization: `Bearer ${accessToken}` }
  return fetch(`${provider.origin}/oauth2/userInfo`, { headers })
}

function getUser(provider: DemoProvider, accessToken: string): Promise<Response> {
  return fetch(`${provider.origin}/`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/x-amz-json-1.1',
      'X-Amz-Target': 'AWSCognitoIdentityProviderService.GetUser',
    },
    body: JSON.stringify({ AccessToken: accessToken }),
  })
}

/** The `error` of a refused token request, with its status. */
async function refusal(request: Promise<unknown>): Promise<string> {
  try {
    await request
    return 'not refused'
  } catch (error) {
    if (error instanceof TokenRefused) return `${error.status} ${error.code}`
    throw error
  }
}

await t.test(
  'discovery names the endpoints that Cognito has, and no end_session_endpoint',
  async (t) => {
    const provider = await start(t)
    t.match(provider.issuer, /^http:\/\/127\.0\.0\.1:\d+\/us-east-1_Example$/)
    const found = await json(await fetch(`${provider.issuer}/.well-known/openid-configuration`))
    t.match(found, {
      issuer: provider.issuer,
      jwks_uri: `${provider.issuer}/.well-known/jwks.json`,
      authorization_endpoint: `${provider.origin}/oauth2/authorize`,
      token_endpoint: `${provider.origin}/oauth2/token`,
      revocation_endpoint: `${provider.origin}/oauth2/revoke`,
      userinfo_endpoint: `${provider.origin}/oauth2/userInfo`,
      id_token_signing_alg_values_supported: ['RS256'],
    })
    t.notOk('end_session_endpoint' in found)
    t.equal(provider.counts.discovery, 1)
  },
)

await t.test('the ID token has the claims of a pool where people sign in by e-mail', async (t) => {
  const provider = await start(t)
  const ivan = at(provider.people, 1)
  const { idToken } = await signIn(provider, ivan, { nonce: 'a nonce' })
  const claims = decodeJwt(idToken)
  t.match(claims, {
    iss: provider.issuer,
    aud: provider.clientId,
    sub: ivan.sub,
    token_use: 'id',
    'cognito:username': uuid,
    'cognito:groups': ['instructors'],
    email: 'ivan@example.edu',
    email_verified: true,
    name: 'Ivan Instructor',
    nonce: 'a nonce',
    trac_permissions: ['LEARNING_PARTICIPATE'],
    origin_jti: uuid,
    event_id: uuid,
    jti: uuid,
    at_hash: String,
    auth_time: Number,
    iat: Number,
    exp: Number,
  })
  t.equal(Number(claims.exp) - Number(claims.iat), 3600)
  t.notOk('client_id' in claims || 'username' in claims || 'scope' in claims)
})

await t.test(
  'the access token has client_id and username, and neither aud nor e-mail',
  async (t) => {
    const provider = await start(t)
    const ivan = at(provider.people, 1)
    const { idToken, accessToken } = await signIn(provider, ivan)
    const claims = decodeJwt(accessToken)
    t.match(claims, {
      iss: provider.issuer,
      sub: ivan.sub,
      client_id: provider.clientId,
      token_use: 'access',
      username: ivan.username,
      'cognito:groups': ['instructors'],
      scope: 'openid email profile',
      origin_jti: decodeJwt(idToken)['origin_jti'],
      event_id: decodeJwt(idToken)['event_id'],
      jti: uuid,
      version: 2,
      auth_time: Number,
    })
    const forbidden = ['aud', 'email', 'name', 'cognito:username', 'trac_permissions', 'nonce']
    for (const claim of forbidden) t.notOk(claim in claims, `no ${claim}`)
  },
)

await t.test('the header has kid and alg only, with a key of its own for each kind', async (t) => {
  const provider = await start(t)
  const { idToken, accessToken } = await signIn(provider, first(provider.people))
  const idHeader = decodeProtectedHeader(idToken)
  const accessHeader = decodeProtectedHeader(accessToken)
  t.same(Object.keys(idHeader).toSorted(), ['alg', 'kid'])
  t.same(Object.keys(accessHeader).toSorted(), ['alg', 'kid'])
  t.equal(idHeader.alg, 'RS256')
  t.not(idHeader.kid, accessHeader.kid)
  const jwks = await keysOf(provider)
  t.same(
    jwks.keys.map(({ kid, alg, use, kty, d }) => ({ kid, alg, use, kty, d })),
    [idHeader.kid, accessHeader.kid].map((kid) => ({
      kid,
      alg: 'RS256',
      use: 'sig',
      kty: 'RSA',
      d: undefined,
    })),
  )
  await t.resolves(jwtVerify(idToken, createLocalJWKSet(jwks)))
  await t.resolves(jwtVerify(accessToken, createLocalJWKSet(jwks)))
})

await t.test(
  'a person without groups has no cognito:groups claim, and without permissions none',
  async (t) => {
    const provider = await start(t)
    const sam = at(provider.people, 2)
    sam.groups = []
    const { idToken, accessToken } = await signIn(provider, sam)
    t.notOk('cognito:groups' in decodeJwt(idToken))
    t.notOk('trac_permissions' in decodeJwt(idToken))
    t.notOk('cognito:groups' in decodeJwt(accessToken))
  },
)

await t.test(
  "AWS's own verifier takes both tokens of a sign-in, each as its kind only",
  async (t) => {
    const iss = 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Example'
    const provider = await start(t, { alterClaims: (claims) => ({ ...claims, iss }) })
    const { idToken, accessToken } = await signIn(provider, first(provider.people))
    const verifier = CognitoJwtVerifier.create({ userPoolId: 'us-east-1_Example' })
    verifier.cacheJwks(await keysOf(provider))
    const { clientId } = provider
    const id = await verifier.verify(idToken, { tokenUse: 'id', clientId })
    t.equal(id['cognito:username'], first(provider.people).username)
    const access = await verifier.verify(accessToken, { tokenUse: 'access', clientId })
    t.equal(access.username, first(provider.people).username)
    await t.rejects(verifier.verify(accessToken, { tokenUse: 'id', clientId }))
    await t.rejects(verifier.verify(idToken, { tokenUse: 'access', clientId }))
    await t.rejects(verifier.verify(idToken, { tokenUse: 'id', clientId: 'another' }))
  },
)

await t.test(
  'a refresh answers without refresh_token, and the old one goes on working',
  async (t) => {
    const provider = await start(t)
    const ivan = at(provider.people, 1)
    const tokens = await signIn(provider, ivan)
    ivan.groups = ['students']
    const answer = await refresh(provider, tokens.refreshToken)
    t.equal(answer.refresh_token, undefined)
    t.equal(answer.token_type, 'Bearer')
    t.equal(answer.expires_in, 3600)
    const claims = decodeJwt(answer.id_token ?? '')
    t.match(claims, {
      sub: ivan.sub,
      origin_jti: decodeJwt(tokens.idToken)['origin_jti'],
      auth_time: decodeJwt(tokens.idToken)['auth_time'],
      'cognito:groups': ['students'],
    })
    t.notOk('nonce' in claims)
    t.not(claims.jti, decodeJwt(tokens.idToken).jti)
    await t.resolves(refresh(provider, tokens.refreshToken))
    t.equal(provider.counts.token, 3)
  },
)

await t.test(
  'with rotation each answer brings a new refresh token, and reuse ends the grant',
  async (t) => {
    const provider = await start(t, { rotateRefreshTokens: true })
    const tokens = await signIn(provider, first(provider.people))
    const second = await refresh(provider, tokens.refreshToken)
    t.ok(second.refresh_token)
    t.not(second.refresh_token, tokens.refreshToken)
    t.equal(await refusal(refresh(provider, tokens.refreshToken)), '400 invalid_grant')
    t.equal(await refusal(refresh(provider, second.refresh_token ?? '')), '400 invalid_grant')
    t.equal((await userInfo(provider, second.access_token)).status, 401)
  },
)

await t.test(
  'a revoked refresh token is refused, and its access tokens at userInfo and GetUser',
  async (t) => {
    const provider = await start(t)
    const alice = first(provider.people)
    const scope = `openid ${userAdminScope}`
    const ended = await signIn(provider, alice, { scope })
    const other = await signIn(provider, alice, { scope })
    const answer = await revoke(provider, ended.refreshToken)
    t.equal(answer.status, 200)
    t.equal(await answer.text(), '')
    t.equal(await refusal(refresh(provider, ended.refreshToken)), '400 invalid_grant')
    t.equal((await userInfo(provider, ended.accessToken)).status, 401)
    t.equal((await getUser(provider, ended.accessToken)).status, 400)
    await t.resolves(refresh(provider, other.refreshToken), 'another sign-in is not touched')
    t.equal((await userInfo(provider, other.accessToken)).status, 200)
  },
)

await t.test('revocation takes refresh tokens only; an unknown one is no error', async (t) => {
  const provider = await start(t)
  const { accessToken } = await signIn(provider, first(provider.people))
  const structured = await revoke(provider, accessToken)
  t.equal(structured.status, 400)
  t.equal((await json(structured))['error'], 'unsupported_token_type')
  t.equal((await revoke(provider, 'unknown')).status, 200)
})

await t.test('two sign-ins in one browser share the session but not the origin_jti', async (t) => {
  let seconds = Math.floor(Date.now() / 1000)
  const provider = await start(t, { now: () => seconds * 1000 })
  const jar = new CookieJar()
  const one = await signIn(provider, first(provider.people), { jar })
  seconds += 60
  const two = await signIn(provider, { email: '', password: '' }, { jar })
  t.equal(decodeJwt(two.idToken)['auth_time'], seconds - 60)
  t.equal(decodeJwt(two.idToken).iat, seconds)
  t.equal(decodeJwt(two.idToken).sub, decodeJwt(one.idToken).sub)
  t.equal(decodeJwt(two.idToken)['auth_time'], decodeJwt(one.idToken)['auth_time'])
  t.not(decodeJwt(two.idToken)['origin_jti'], decodeJwt(one.idToken)['origin_jti'])
})

await t.test('userInfo answers email_verified as text, and no groups', async (t) => {
  const provider = await start(t)
  const alice = first(provider.people)
  const { accessToken } = await signIn(provider, alice)
  const answer = await userInfo(provider, accessToken)
  t.equal(answer.status, 200)
  t.same(await json(answer), {
    sub: alice.sub,
    email: 'alice@example.edu',
    email_verified: 'true',
    name: 'Alice Admin',
    username: alice.username,
  })
})

await t.test('userInfo refuses what is not an access token with openid', async (t) => {
  const provider = await start(t)
  const alice = first(provider.people)
  const { idToken } = await signIn(provider, alice)
  const withoutOpenid = await signIn(provider, alice, { scope: userAdminScope })
  t.equal(withoutOpenid.idToken, '')
  const expired = await provider.mint({ exp: 1 }, { use: 'access', person: alice })
  for (const token of [idToken, withoutOpenid.accessToken, expired, 'nonsense', '']) {
    const answer = await userInfo(provider, token)
    t.equal(answer.status, 401)
    t.equal((await json(answer))['error'], 'invalid_token')
  }
})

await t.test('GetUser answers with name and attributes', async (t) => {
  const provider = await start(t)
  const alice = first(provider.people)
  const { accessToken } = await signIn(provider, alice, { scope: userAdminScope })
  const answer = await getUser(provider, accessToken)
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('content-type'), 'application/x-amz-json-1.1')
  t.same(await json(answer), {
    Username: alice.username,
    UserAttributes: [
      { Name: 'sub', Value: alice.sub },
      { Name: 'email_verified', Value: 'true' },
      { Name: 'name', Value: 'Alice Admin' },
      { Name: 'email', Value: 'alice@example.edu' },
    ],
  })
  t.equal(provider.counts.getUser, 1)
})

await t.test('GetUser refuses other tokens as Cognito does', async (t) => {
  const provider = await start(t)
  const { idToken, accessToken } = await signIn(provider, first(provider.people))
  const cases = [
    { token: accessToken, message: 'Access Token does not have required scopes' },
    { token: idToken, message: 'Invalid Access Token' },
    { token: '', message: 'Invalid Access Token' },
  ]
  for (const { token, message } of cases) {
    const answer = await getUser(provider, token)
    t.equal(answer.status, 400)
    t.same(await json(answer), { __type: 'NotAuthorizedException', message })
  }
})

await t.test('/logout ends the session and leads to a registered address', async (t) => {
  const provider = await start(t)
  const alice = first(provider.people)
  const jar = new CookieJar()
  await signIn(provider, alice, { jar })
  const query = new URLSearchParams({ client_id: provider.clientId, logout_uri: logoutUri })
  const url = new URL(`/logout?${query.toString()}`, provider.origin)
  const sent = { Cookie: jar.header(new URL('/', provider.origin)) }
  t.match(sent.Cookie, /_session=/)
  const answer = await fetch(url, { redirect: 'manual', headers: sent })
  t.equal(answer.status, 302)
  t.equal(answer.headers.get('location'), logoutUri)
  const before = provider.counts.login
  await signIn(provider, alice, { jar: copyOf(sent.Cookie, provider) })
  t.equal(provider.counts.login, before + 2, 'the old cookie no longer signs anybody in')
})

/** A browser that still has the cookies of a header. */
function copyOf(header: string, provider: DemoProvider): CookieJar {
  const jar = new CookieJar()
  const headers = header
    .split('; ')
    .map((pair): [string, string] => ['Set-Cookie', `${pair}; Path=/`])
  jar.keep(new URL(provider.origin), new Response(null, { headers }))
  return jar
}

await t.test('/logout compares the address exactly', async (t) => {
  const provider = await start(t)
  const { clientId } = provider
  const cases: Record<string, string>[] = [
    {},
    { client_id: clientId },
    { client_id: clientId, logout_uri: `${logoutUri}/` },
    { client_id: clientId, logout_uri: `${logoutUri}?x` },
    { client_id: clientId, logout_uri: redirectUri },
    { client_id: 'another', logout_uri: logoutUri },
  ]
  for (const query of cases) {
    const url = new URL(`/logout?${new URLSearchParams(query).toString()}`, provider.origin)
    const answer = await fetch(url, { redirect: 'manual' })
    t.equal(answer.status, 400, JSON.stringify(query))
    t.equal(answer.headers.get('location'), null)
  }
})

await t.test('/logout with redirect_uri and response_type leads to a new sign-in', async (t) => {
  const provider = await start(t)
  const query = new URLSearchParams(codeFlow(provider))
  const answer = await fetch(`${provider.origin}/logout?${query.toString()}`, {
    redirect: 'manual',
  })
  t.equal(answer.status, 302)
  t.equal(answer.headers.get('location'), `/oauth2/authorize?${query.toString()}`)
})

await t.test('the login page can be used with a keyboard and says what went wrong', async (t) => {
  const provider = await start(t)
  const query = new URLSearchParams({
    ...codeFlow(provider),
    scope: 'openid',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  })
  const jar = new CookieJar()
  const authorize = new URL(`/oauth2/authorize?${query.toString()}`, provider.origin)
  const redirect = await fetch(authorize, { redirect: 'manual' })
  jar.keep(authorize, redirect)
  const login = new URL(redirect.headers.get('location') ?? '', provider.origin)
  const headers = { Cookie: jar.header(login) }
  const page = await (await fetch(login, { headers })).text()
  for (const part of [
    '<label for="email">',
    '<label for="password">',
    'lang="en"',
    '<button id="submit"',
  ])
    t.ok(page.includes(part), part)
  const email = '"><script>'
  const body = new URLSearchParams({ email, password: 'wrong' })
  const again = await fetch(login, { method: 'POST', headers, body })
  t.equal(again.status, 403)
  const text = await again.text()
  t.ok(text.includes('role="alert"'))
  t.notOk(text.includes('<script>'))
  t.equal((await fetch(login)).status, 400, 'without its cookie the page is nobody’s')
})

await t.test('a wrong code verifier and an unregistered address get nothing', async (t) => {
  const provider = await start(t)
  const alice = first(provider.people)
  await t.rejects(signIn(provider, { email: alice.email, password: 'wrong' }), /answered 403/)
  await t.rejects(signIn(provider, alice, { redirectUri: `${redirectUri}/x` }), /answered 400/)
  const query = new URLSearchParams({
    ...codeFlow(provider),
    scope: 'openid',
    state: 's',
  })
  const answer = await fetch(`${provider.origin}/oauth2/authorize?${query.toString()}`, {
    redirect: 'manual',
  })
  const location = new URL(answer.headers.get('location') ?? '')
  t.match(location.searchParams.get('error'), 'invalid_request', 'PKCE is required')
  t.equal(location.searchParams.get('state'), 's')
  t.equal(location.searchParams.get('iss'), null)
})

await t.test('a client with a secret must show it, as Basic or in the body', async (t) => {
  const client = {
    ...createDemoClient({ redirectUris: [redirectUri] }),
    clientSecret: 'a secret of some length',
  }
  const provider = await start(t, { clients: [client] })
  const { refreshToken } = await signIn(provider, first(provider.people))
  const parameters = { grant_type: 'refresh_token', refresh_token: refreshToken }
  const bare = { ...createDemoClient({}), clientId: client.clientId }
  t.equal(await refusal(requestTokens(provider, bare, parameters)), '401 invalid_client')
  const wrong = { ...client, clientSecret: 'wrong' }
  t.equal(await refusal(requestTokens(provider, wrong, parameters)), '401 invalid_client')
  const posted = { ...parameters, client_secret: client.clientSecret }
  await t.resolves(requestTokens(provider, bare, posted))
})

await t.test('client credentials give an access token that names no person', async (t) => {
  const machine = {
    clientId: '9example87654321',
    clientSecret: 'machine secret',
    redirectUris: [],
    logoutUris: [],
    scopes: ['trac/read', 'trac/write'],
    machine: true,
  }
  const provider = await start(t, { clients: [createDemoClient({}), machine] })
  const grant = { grant_type: 'client_credentials' }
  const all = await requestTokens(provider, machine, grant)
  t.same(
    Object.keys(all)
      .filter((key) => Reflect.get(all, key) !== undefined)
      .toSorted(),
    ['access_token', 'expires_in', 'token_type'],
  )
  const claims = decodeJwt(all.access_token)
  t.match(claims, {
    iss: provider.issuer,
    sub: machine.clientId,
    client_id: machine.clientId,
    token_use: 'access',
    scope: 'trac/read trac/write',
  })
  for (const claim of ['username', 'aud', 'origin_jti']) t.notOk(claim in claims)
  const one = await requestTokens(provider, machine, { ...grant, scope: 'trac/write' })
  t.equal(decodeJwt(one.access_token)['scope'], 'trac/write')
  t.equal(
    await refusal(requestTokens(provider, machine, { ...grant, scope: 'openid' })),
    '400 invalid_scope',
  )
  t.equal(
    await refusal(requestTokens(provider, first(provider.clients), grant)),
    '400 invalid_request',
  )
})

await t.test('mint signs the usual claims, changed at will, with the real key', async (t) => {
  const provider = await start(t)
  const alice = first(provider.people)
  const jwks = createLocalJWKSet(await keysOf(provider))
  const usual = await provider.mint({}, { use: 'access', person: alice })
  t.match((await jwtVerify(usual, jwks)).payload, {
    sub: alice.sub,
    client_id: provider.clientId,
    username: alice.username,
  })
  const odd = await provider.mint(
    { exp: undefined, 'custom:role': 'admin' },
    { header: { typ: 'JWT' } },
  )
  const { payload, protectedHeader } = await jwtVerify(odd, jwks)
  t.equal(payload['custom:role'], 'admin')
  t.notOk('exp' in payload)
  t.equal(protectedHeader.typ, 'JWT')
})

await t.test('keys rotate, and the old ones can be forgotten', async (t) => {
  const provider = await start(t)
  const kids = async (): Promise<unknown[]> => {
    const { keys } = await keysOf(provider)
    return keys.map(({ kid }) => kid)
  }
  const before = await kids()
  await provider.rotateKeys()
  const both = await kids()
  t.same(both.slice(2), before)
  const { idToken } = await signIn(provider, first(provider.people))
  t.equal(decodeProtectedHeader(idToken).kid, both[0])
  await provider.rotateKeys({ forgetOld: true })
  const after = await kids()
  t.equal(after.length, 2)
  t.notOk(after.some((kid) => both.includes(kid)))
})

await t.test('the same pool can come back on its port with its keys', async (t) => {
  const one = await start(t, { port: await freePort() })
  const token = await one.mint({}, { person: first(one.people) })
  await one.stop()
  await t.rejects(fetch(one.jwksUri))
  const two = await start(t, { port: Number(new URL(one.origin).port), keys: one.keys })
  t.equal(two.issuer, one.issuer)
  const jwks = await keysOf(two)
  await t.resolves(jwtVerify(token, createLocalJWKSet(jwks)))
})

await t.test(
  'tokens follow the given clock and life, and alterClaims has the last word',
  async (t) => {
    const provider = await start(t, { now: () => Date.parse('2030-01-01T00:00:00Z') })
    provider.settings.idTokenLifetime = 5
    provider.settings.alterClaims = (claims, use) => ({
      ...claims,
      email: undefined,
      ...(use === 'id' ? { 'custom:role': 'admin' } : {}),
    })
    const { idToken } = await signIn(provider, first(provider.people))
    const claims = decodeJwt(idToken)
    t.equal(claims.iat, Date.parse('2030-01-01T00:00:00Z') / 1000)
    t.equal(Number(claims.exp) - Number(claims.iat), 5)
    t.equal(claims['custom:role'], 'admin')
    t.notOk('email' in claims)
  },
)

await t.test('the demo has one person for each group, with UUID and e-mail address', async (t) => {
  const people = createPeople()
  t.same(
    people.map(({ groups }) => groups),
    [['admins'], ['instructors'], ['students']],
  )
  for (const { username, sub, email } of people) {
    t.match(username, uuid)
    t.equal(sub, username)
    t.match(email, /^[a-z]+@example\.edu$/)
  }
  t.equal(new Set(people.map(({ sub }) => sub)).size, 3)
})
