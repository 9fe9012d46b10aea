/** Every Bearer token that must not pass, through a running gateway; and what a token that passed is asked each time. */
import { takeRsaKey } from '../fixtures/rsa-keys.js'
import { t } from '../fixtures/tap.js'
import { secretOf } from '../fixtures/config.js'
import type { Test } from 'tap'
import { rawExchange } from '../fixtures/gateway.js'
import {
  createScriptedCurveKey,
  createScriptedKey,
  signScripted,
} from '../fixtures/scripted-keys.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Sent } from '../fixtures/visitor.js'

const { provider, upstream, clock, gateway, url, names } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  api: true,
  overlay: {
    identity: {
      acceptClients: ['second-client'],
      machines: { 'machine-client': { username: 'ci-bot', groups: [], scopes: [] } },
    },
    admin: { token: { fromEnv: 'SESSION' } },
    routes: [
      { name: 'open', path: '/open/**', access: 'public' },
      { name: 'scoped', path: '/scoped', require: { scopes: ['trac/write'] } },
      { name: 'api', path: '/api/**', upstream: 'api' },
    ],
  },
})
const { provider: otherPool } = await stage(t, {
  provider: 'scripted',
  providerOptions: { path: '/us-east-1_Other' },
  gateway: false,
})

const seconds = () => Math.floor(clock() / 1000)
const stranger = await createScriptedKey('key-1')
const curveKey = await createScriptedCurveKey('key-1')
const client = new Visitor()

/** Asks with a Bearer token, without cookies. */
const ask = (path: string, token: string, sent: Sent = {}) =>
  client.fetch(url + path, {
    cookie: '',
    ...sent,
    headers: { authorization: `Bearer ${token}`, ...sent.headers },
  })

/** The token with one character changed, counted from the start or the end of a part. */
function tamper(token: string, part: 0 | 1 | 2, at: number): string {
  const parts = token.split('.')
  const text = parts[part]!
  const i = at < 0 ? text.length + at : at
  const other = text[i] === 'A' ? 'B' : 'A'
  parts[part] = text.slice(0, i) + other + text.slice(i + 1)
  return parts.join('.')
}

/** The payload of another token under the signature of a usual one. */
function swapPayload(other: string): string {
  const [header, , signature] = id().split('.')
  return [header, other.split('.')[1], signature].join('.')
}

/** The sealed values that a sign-in leaves in a browser. */
async function sealedValues(): Promise<{ readonly attempt: string; readonly session: string }> {
  const visitor = new Visitor()
  await visitor.open(`${url}/auth/login`)
  const attempt = [...visitor.cookies(url).values()][0]!
  await visitor.signIn(`${url}/auth/login`, { email: '', password: '' })
  const session = [...visitor.cookies(url)].find(([name]) => name.endsWith('-s'))![1]
  return { attempt, session }
}
const sealed = await sealedValues()

const id = (claims = {}, options = {}) => provider.sign('id', claims, options)
const access = (claims = {}, options = {}) => provider.sign('access', claims, options)
const publicPem = provider.keys[0]!.publicKey.export({ type: 'spki', format: 'pem' })
const publicDer = provider.keys[0]!.publicKey.export({ type: 'spki', format: 'der' })
const publicJwk = JSON.stringify(provider.keys[0]!.publicJwk)
const own = await takeRsaKey()
const ownJwk = own.publicKey.export({ format: 'jwk' })

/** Tokens that must be refused, each with the code that says why; one that holds later is made when it is sent. */
const refused: readonly (readonly [string, string | (() => string), string])[] = [
  ['of another issuer', id({ iss: 'https://idp.example.org' }), 'ERR_TOKEN_ISSUER'],
  ['of an issuer with a slash too many', id({ iss: `${provider.issuer}/` }), 'ERR_TOKEN_ISSUER'],
  ['without issuer', id({ iss: undefined }), 'ERR_TOKEN_ISSUER'],
  ['whose issuer is a list', id({ iss: [provider.issuer] }), 'ERR_TOKEN_ISSUER'],
  ['of another pool', otherPool.sign('access'), 'ERR_TOKEN_ISSUER'],
  [
    'of another pool that names ours',
    otherPool.sign('id', { iss: provider.issuer }),
    'ERR_TOKEN_SIGNATURE',
  ],
  ['for another client (ID token)', id({ aud: 'other-client' }), 'ERR_TOKEN_CLIENT'],
  ['for another client (access token)', access({ client_id: 'other' }), 'ERR_TOKEN_CLIENT'],
  ['without client', access({ client_id: undefined }), 'ERR_TOKEN_CLIENT'],
  ['whose client is a list', access({ client_id: [provider.clientId] }), 'ERR_TOKEN_CLIENT'],
  ['for two audiences', id({ aud: [provider.clientId, 'other'] }), 'ERR_TOKEN_USE'],
  ['without audience', id({ aud: undefined }), 'ERR_TOKEN_USE'],
  ['of access with an audience', access({ aud: provider.clientId }), 'ERR_TOKEN_USE'],
  ['without token_use', id({ token_use: undefined }), 'ERR_TOKEN_USE'],
  ['of another token_use', id({ token_use: 'refresh' }), 'ERR_TOKEN_USE'],
  ['of access that says it is an ID token', access({ token_use: 'id' }), 'ERR_TOKEN_USE'],
  ['of identity that says it is for access', id({ token_use: 'access' }), 'ERR_TOKEN_USE'],
  ['of identity for a machine', id({ aud: 'machine-client' }), 'ERR_TOKEN_USE'],

  ['with an unknown kid', id({}, { kid: 'key-9' }), 'ERR_TOKEN_KEY_UNKNOWN'],
  ['without kid', id({}, { kid: null }), 'ERR_TOKEN_KEY_UNKNOWN'],
  ['whose kid is a number', id({}, { header: { kid: 1 } }), 'ERR_TOKEN_KEY_UNKNOWN'],
  ['with another key of the same kid', id({}, { key: stranger }), 'ERR_TOKEN_SIGNATURE'],
  ['with a curve key of the same kid', id({}, { key: curveKey }), 'ERR_TOKEN_ALGORITHM'],
  ['with alg none and no signature', id({}, { alg: 'none' }), 'ERR_TOKEN_MALFORMED'],
  ['with alg none and a signature', `${id({}, { alg: 'none' })}AAAA`, 'ERR_TOKEN_ALGORITHM'],
  [
    'with alg None and a signature',
    `${id({}, { alg: 'none', header: { alg: 'None' } })}AAAA`,
    'ERR_TOKEN_ALGORITHM',
  ],
  ['without alg', id({}, { header: { alg: undefined } }), 'ERR_TOKEN_ALGORITHM'],
  ['whose alg is a list', id({}, { header: { alg: ['RS256'] } }), 'ERR_TOKEN_ALGORITHM'],
  ['by HMAC over the public key as PEM', hmac(Buffer.from(publicPem)), 'ERR_TOKEN_ALGORITHM'],
  ['by HMAC over the public key as DER', hmac(publicDer), 'ERR_TOKEN_ALGORITHM'],
  ['by HMAC over the public key as JWK', hmac(Buffer.from(publicJwk)), 'ERR_TOKEN_ALGORITHM'],
  ['by HMAC over nothing', hmac(new Uint8Array()), 'ERR_TOKEN_ALGORITHM'],
  ['by RS512, which is not allowed', id({}, { alg: 'RS512' }), 'ERR_TOKEN_ALGORITHM'],
  ['by PS256, which is not allowed', id({}, { alg: 'PS256' }), 'ERR_TOKEN_ALGORITHM'],
  [
    'by PS256 that says RS256',
    id({}, { alg: 'PS256', header: { alg: 'RS256' } }),
    'ERR_TOKEN_SIGNATURE',
  ],
  ['that brings its own key as jwk', forged({ jwk: ownJwk }), 'ERR_TOKEN_SIGNATURE'],
  [
    'that says where its key is (jku)',
    forged({ jku: `${otherPool.origin}/keys` }),
    'ERR_TOKEN_SIGNATURE',
  ],
  [
    'that says where its key is (x5u)',
    forged({ x5u: `${otherPool.origin}/keys` }),
    'ERR_TOKEN_SIGNATURE',
  ],
  [
    'with an unknown critical header',
    id({}, { header: { crit: ['x'], x: 1 } }),
    'ERR_TOKEN_ALGORITHM',
  ],
  [
    'whose payload is said not to be encoded',
    id({}, { header: { b64: false, crit: ['b64'] } }),
    'ERR_TOKEN_MALFORMED',
  ],

  [
    'with a byte order mark before its claims',
    payload(`\uFEFF${claimsText({})}`),
    'ERR_TOKEN_MALFORMED',
  ],
  ['that is a logout token', id({ events: {} }), 'ERR_TOKEN_USE'],
  ['that is an answer of sign-in', id({ code: 'x', state: 'y' }), 'ERR_TOKEN_USE'],
  ['of another explicit type', id({}, { header: { typ: 'logout+jwt' } }), 'ERR_TOKEN_USE'],

  ['that has expired', id({ iat: seconds() - 3700, exp: seconds() - 100 }), 'ERR_TOKEN_EXPIRED'],
  ['that expired 31 seconds ago', id({ exp: seconds() - 31 }), 'ERR_TOKEN_EXPIRED'],
  ['without exp', id({ exp: undefined }), 'ERR_TOKEN_CLAIMS'],
  ['with exp null', id({ exp: null }), 'ERR_TOKEN_CLAIMS'],
  ['with exp 1e300', id({ exp: 1e300 }), 'ERR_TOKEN_TIME'],
  ['with exp "9"', id({ exp: '9' }), 'ERR_TOKEN_CLAIMS'],
  ['with exp as text in the future', id({ exp: String(seconds() + 600) }), 'ERR_TOKEN_CLAIMS'],
  ['with exp beyond all numbers', raw('"exp":1e999'), 'ERR_TOKEN_CLAIMS'],
  ['without iat', id({ iat: undefined }), 'ERR_TOKEN_CLAIMS'],
  ['with iat as text', id({ iat: String(seconds()) }), 'ERR_TOKEN_CLAIMS'],
  ['with iat in the future', () => id({ iat: seconds() + 60 }), 'ERR_TOKEN_TIME'],
  ['with iat before all time', id({ iat: -1e300 }), 'ERR_TOKEN_CLAIMS'],
  ['with nbf in the future', () => id({ nbf: seconds() + 60 }), 'ERR_TOKEN_TIME'],
  ['with nbf as text', id({ nbf: '1' }), 'ERR_TOKEN_CLAIMS'],
  ['that lives longer than a day', id({ exp: seconds() + 86_500 }), 'ERR_TOKEN_TIME'],
  ['without sub', id({ sub: undefined }), 'ERR_TOKEN_CLAIMS'],
  ['with an empty sub', id({ sub: '' }), 'ERR_TOKEN_CLAIMS'],
  ['whose sub is a number', id({ sub: 7 }), 'ERR_TOKEN_CLAIMS'],

  ['with a changed header', tamper(id(), 0, 20), 'ERR_TOKEN_MALFORMED'],
  [
    'with a changed payload',
    swapPayload(id({ 'cognito:groups': ['admins'] })),
    'ERR_TOKEN_SIGNATURE',
  ],
  ['with a changed signature', tamper(id(), 2, 40), 'ERR_TOKEN_SIGNATURE'],
  ['without signature', id().replace(/[^.]+$/, ''), 'ERR_TOKEN_MALFORMED'],
  ['of two parts', id().split('.').slice(0, 2).join('.'), 'ERR_TOKEN_MALFORMED'],
  ['of four parts', `${id()}.AAAA`, 'ERR_TOKEN_MALFORMED'],
  ['whose payload is a list', payload('[]'), 'ERR_TOKEN_MALFORMED'],
  ['whose payload is no JSON', payload('{"iss":'), 'ERR_TOKEN_MALFORMED'],
  ['that is a word', 'x', 'ERR_TOKEN_MALFORMED'],
  [
    'that is a refresh token',
    'refresh-5e3c7d0a-8d8f-4a5e-9a55-6f1e7b92c322',
    'ERR_TOKEN_MALFORMED',
  ],
  ['that is the sealed state of a sign-in', sealed.attempt, 'ERR_TOKEN_MALFORMED'],
  ['that is a sealed session', sealed.session, 'ERR_TOKEN_MALFORMED'],
]

function hmac(key: Uint8Array): string {
  return id({}, { key, header: { alg: 'HS256', kid: 'key-1' } })
}
/** Signed with a key of one's own under a kid of the provider's. */
function forged(header: Record<string, unknown>): string {
  return id({}, { key: { ...stranger, ...own }, header })
}
/** Usual claims with one member as it stands in the text, which JSON.stringify would not write. */
function raw(member: string): string {
  const claims = Buffer.from(id({ exp: undefined }).split('.')[1]!, 'base64url').toString()
  return payload(claims.replace(/\}$/, `,${member}}`))
}
function payload(text: string): string {
  return signScripted(text, { key: provider.keys[0]! })
}

async function checkRefusal(t: Test, token: string, code: string, path: string, cookie = '') {
  const before = upstream.received.length
  const answer = await ask(path, token, { cookie })
  t.equal(answer.status, 401, path)
  t.match(answer.json(), {
    error: 'unauthorized',
    code,
    message: /./,
    request_id: /./,
    auth_url: `${url}/auth/login`,
  })
  t.equal(answer.headers['www-authenticate'], 'Bearer realm="Trac", error="invalid_token"')
  t.equal(answer.headers['cache-control'], 'no-store')
  t.equal(upstream.received.length, before, 'nothing reached the upstream')
}

await t.test(
  'a token of each kind passes, so that the refusals below mean something',
  async (t) => {
    const listed = id({ aud: [provider.clientId] })
    for (const token of [id(), access(), id({ aud: 'second-client' }), listed]) {
      for (const path of ['/api/x', '/wiki/Start', '/open/x', '/auth/session']) {
        t.equal((await ask(path, token)).status, 200, path)
      }
    }
    t.equal((await ask('/api/x', id({ exp: seconds() - 25 }))).status, 200, 'within the tolerance')
    t.equal((await ask('/api/x', id({ nbf: seconds() + 25 }))).status, 200, 'within the tolerance')
    t.equal((await ask('/api/x', payload(claimsText({})))).status, 200, 'a token of text')
  },
)
function claimsText(claims: object): string {
  return Buffer.from(id(claims).split('.')[1]!, 'base64url').toString()
}

for (const [what, given, code] of refused) {
  await t.test(`a token ${what} is refused`, async (t) => {
    const token = typeof given === 'string' ? given : given()
    await checkRefusal(t, token, code, '/api/x')
    await checkRefusal(t, token, code, '/open/x')
    await checkRefusal(t, token, code, '/auth/session')
    await checkRefusal(t, token, code, '/wiki/Start', `${names.session}=${sealed.session}`)
  })
}

await t.test('nothing that a token names is fetched', (t) => {
  t.same(
    Object.values(otherPool.counts).filter((count) => count > 0),
    [],
  )
  t.end()
})

await t.test(
  'no bit of a signature can be changed, not even those that decoding drops',
  async (t) => {
    const token = id()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const last of alphabet) {
      const changed = token.slice(0, -1) + last
      const { status } = await ask('/api/x', changed)
      t.equal(status, changed === token ? 200 : 401, last)
    }
  },
)

await t.test('a credential that can be read in two ways is 400', async (t) => {
  const good = id()
  const cases: readonly (readonly [string, string])[] = [
    ['Authorization: Bearer', 'ERR_CREDENTIAL_MALFORMED'],
    ['Authorization: Bearer ', 'ERR_CREDENTIAL_MALFORMED'],
    [`Authorization: Bearer ${good} ${good}`, 'ERR_CREDENTIAL_MALFORMED'],
    [`Authorization: Bearer ${good},${good}`, 'ERR_CREDENTIAL_MALFORMED'],
    [`Authorization: Bearer "${good}"`, 'ERR_CREDENTIAL_MALFORMED'],
    [`Authorization: Bearer\t${good}`, 'ERR_CREDENTIAL_MALFORMED'],
    [`Authorization: Bearer=${good}`, 'ERR_CREDENTIAL_MALFORMED'],
    [`Authorization: Bearer ${good}\r\nAuthorization: Bearer ${good}`, 'ERR_HEADER_REPEATED'],
    [`Authorization: Basic eDp5\r\nAuthorization: Bearer ${good}`, 'ERR_HEADER_REPEATED'],
    [`Authorization:\r\nAuthorization: Bearer ${good}`, 'ERR_HEADER_REPEATED'],
    [`Authorization: Bearer ${good}\r\nAuthorization:`, 'ERR_HEADER_REPEATED'],
  ]
  const before = upstream.received.length
  for (const [header, code] of cases) {
    const text = await rawExchange(
      gateway.port,
      `GET /trac/open/x HTTP/1.1\r\nHost: localhost:${gateway.port}\r\n${header}\r\nConnection: close\r\n\r\n`,
    )
    t.match(text, /^HTTP\/1\.1 400 /, header.slice(0, 30))
    t.match(text, `"code":"${code}"`)
  }
  t.equal(upstream.received.length, before)
  for (const scheme of ['bearer', 'BEARER', 'Bearer ']) {
    const headers = { authorization: `${scheme} ${good}` }
    t.equal((await client.fetch(`${url}/api/x`, { cookie: '', headers })).status, 200)
  }
})

await t.test(
  'Basic and other schemes are no credential; they are dropped and counted',
  async (t) => {
    for (const [scheme, authorization] of [
      ['basic', 'Basic YWxpY2U6c2VjcmV0'],
      ['other', 'Digest username="alice"'],
    ] as const) {
      const sent = { cookie: '', headers: { authorization } }
      t.equal((await client.fetch(`${url}/wiki/Start`, sent)).status, 200)
      t.equal(upstream.lastHeaders()['authorization'], undefined)
      t.equal(upstream.lastHeaders()['x-trac-user'], '')
      const refusal = await client.fetch(`${url}/api/x`, sent)
      t.equal(refusal.status, 401)
      t.equal(refusal.headers['www-authenticate'], 'Bearer realm="Trac"', 'no error of a token')
      const metrics = await gateway.metrics()
      t.match(metrics, `trac_gateway_dropped_credentials_total{scheme="${scheme}"} 2`)
    }
  },
)

await t.test('a known token is judged by the policy each time', async (t) => {
  const weak = access({ scope: 'openid' })
  const strong = access({ scope: 'openid trac/write' })
  t.equal((await ask('/api/x', weak)).status, 200)
  const refusal = await ask('/scoped', weak)
  t.equal(refusal.status, 403)
  t.match(refusal.json(), { error: 'insufficient_scope', code: 'ERR_SCOPE_REQUIRED' })
  t.match(refusal.headers['www-authenticate'], 'error="insufficient_scope"')
  t.equal((await ask('/scoped', strong)).status, 200)
  t.equal((await ask('/scoped', weak)).status, 403)
  t.equal((await ask('/scoped', id({ scope: 'trac/write' }))).status, 403, 'ID tokens have none')
})

await t.test('a known token is refused the moment its user is revoked', async (t) => {
  const sub = '6f0c1d2e-0000-4000-8000-00000000000a'
  const [token, later] = [
    id({ sub, 'cognito:username': 'Ruth' }),
    access({ sub, username: 'Ruth' }),
  ]
  t.equal((await ask('/api/x', token)).status, 200)
  t.equal((await ask('/api/x', later)).status, 200)
  const answer = await fetch(`${gateway.adminUrl}/revoke`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secretOf('s')}` },
    body: JSON.stringify({ user: 'ruth' }),
  })
  t.match(await answer.json(), {
    revoked: 'ruth',
    durable: false,
    sessions: 0,
    subjects: [{ subject: sub }],
  })
  await checkRefusal(t, token, 'ERR_TOKEN_REVOKED', '/api/x')
  await checkRefusal(t, later, 'ERR_TOKEN_REVOKED', '/open/x')
  t.equal((await ask('/api/x', id())).status, 200, 'others go on')
})

await t.test('a known token ends when it says, and is not forgotten before', async (t) => {
  clock.stop()
  const token = id({ exp: seconds() + 600 })
  t.equal((await ask('/api/x', token)).status, 200)
  clock.advance(590_000)
  t.equal((await ask('/api/x', token)).status, 200)
  clock.advance(39_000)
  t.equal((await ask('/api/x', token)).status, 200, 'within the tolerance')
  clock.advance(2_000)
  await checkRefusal(t, token, 'ERR_TOKEN_EXPIRED', '/api/x')
})

await t.test('an unknown kid causes one fetch of keys a cool-down, however many ask', async (t) => {
  const flood = (n: number) =>
    Promise.all(Array.from({ length: n }, (_, i) => ask('/api/x', id({}, { kid: `made-up-${i}` }))))
  clock.advance(31_000)
  const before = provider.counts.jwks
  for (const { status } of await flood(60)) t.equal(status, 401)
  t.equal(provider.counts.jwks, before + 1)
  await flood(20)
  t.equal(provider.counts.jwks, before + 1, 'none within the cool-down')
  clock.advance(31_000)
  await flood(20)
  t.equal(provider.counts.jwks, before + 2)
})

await t.test(
  'new keys are found, and tokens of keys that are gone end, known or not',
  async (t) => {
    const [old] = provider.keys
    const before = id()
    t.equal((await ask('/api/x', before)).status, 200)
    provider.keys = [await createScriptedKey('key-2')]
    clock.advance(31_000)
    t.equal((await ask('/api/x', id())).status, 200, 'the new key is looked for')
    await checkRefusal(t, before, 'ERR_TOKEN_KEY_UNKNOWN', '/api/x')
    provider.keys = [old!]
    clock.advance(31_000)
    t.equal((await ask('/api/x', id())).status, 200)
  },
)

await t.test('while the provider is down the known keys go on serving', async (t) => {
  await provider.stop()
  clock.advance(2 * 3_600_000)
  const fresh = () => id({ iat: seconds(), exp: seconds() + 600 })
  for (let i = 0; i < 3; i++) t.equal((await ask('/api/x', fresh())).status, 200)
  const unknown = await ask(
    '/api/x',
    id({ iat: seconds(), exp: seconds() + 600 }, { kid: 'key-9' }),
  )
  t.equal(unknown.status, 503, 'what can’t be looked for is the provider’s fault')
  await provider.restart()
})
