/** Tokens of providers other than Cognito, by OpenID Connect and RFC 9068. */
import { importJWK } from 'jose'
import type { CryptoKey } from 'jose'
import { t } from '../fixtures/tap.js'
import type { GatewayError } from '../../src/core/errors.js'
import { signatureKey } from '../../src/oidc/signature.js'
import { createVerifier } from '../../src/oidc/verify-token.js'
import type { Issuer } from '../../src/oidc/verify-token.js'
import {
  createScriptedCurveKey,
  createScriptedKey,
  signScripted,
} from '../fixtures/scripted-keys.js'

const rsa = await createScriptedKey('rsa')
const curve = await createScriptedCurveKey('curve')
const now = 1_700_000_000_000
const publicUrl = 'https://trac.example.edu/trac'

async function keyFor({ publicJwk }: typeof rsa, algorithm: string) {
  return signatureKey((await importJWK(publicJwk, algorithm)) as CryptoKey, algorithm)
}
const [rsaKey, curveKey] = [await keyFor(rsa, 'RS256'), await keyFor(curve, 'ES256')]

function issuer(name: string, more: Partial<Issuer> = {}): Issuer {
  return {
    issuer: name,
    cognito: false,
    main: true,
    clients: new Set(['web', 'second']),
    machines: new Set(['robot']),
    keys: {
      generation: 1,
      fetchedAt: now,
      inUse: [],
      isOld: false,
      fault: undefined,
      findNewer: () => Promise.reject(new Error('no key without kid is known')),
      refresh: () => Promise.resolve(),
      withoutFetching: () => {
        throw new Error('nobody only looks here')
      },
      find: ({ kid }) => Promise.resolve(kid === 'curve' ? curveKey : rsaKey),
    },
    ...more,
  }
}
const main = issuer('https://idp.example.edu')
const cognito = issuer('https://cognito.example', { cognito: true, main: false })
const verify = createVerifier([main, cognito], {
  algorithms: ['RS256', 'ES256'],
  clockTolerance: 30_000,
  maxTokenLife: 86_400_000,
  publicUrl,
  now: () => now,
})

function token(claims: object, header: Record<string, unknown> = {}, key = rsa): string {
  const iat = now / 1000 - 10
  const usual = { iss: main.issuer, sub: 'alice', iat, exp: iat + 600 }
  return signScripted({ ...usual, ...claims }, { key, header })
}
/** What a token is, in a word, or the code of its refusal. */
const judge = (text: string) =>
  verify(text).then(
    ({ use, clientId, machine }) => `${use} ${clientId}${machine ? ' machine' : ''}`,
    (error: GatewayError) => error.code,
  )

await t.test('each kind of token is told by its own rules', async (t) => {
  const access = { typ: 'at+jwt' }
  const theirs = { iss: cognito.issuer, token_use: 'id' }
  const cases: readonly (readonly [string, object, Record<string, unknown>, string])[] = [
    ['an ID token', { aud: 'web' }, {}, 'id web'],
    ['an ID token with typ', { aud: ['web'] }, { typ: 'JWT' }, 'id web'],
    ['another accepted client', { aud: 'second' }, {}, 'id second'],
    ['with azp', { aud: ['web', 'api'], azp: 'web' }, {}, 'id web'],
    ['two audiences without azp', { aud: ['web', 'api'] }, {}, 'ERR_TOKEN_CLIENT'],
    ['azp that is no audience', { aud: 'web', azp: 'second' }, {}, 'ERR_TOKEN_CLIENT'],
    ['azp of a stranger', { aud: ['web', 'x'], azp: 'x' }, {}, 'ERR_TOKEN_CLIENT'],
    ['azp that is no text', { aud: 'web', azp: 7 }, {}, 'ERR_TOKEN_CLIENT'],
    ['another client', { aud: 'x' }, {}, 'ERR_TOKEN_CLIENT'],
    ['no audience', {}, {}, 'ERR_TOKEN_CLIENT'],
    ['an audience of numbers', { aud: [7] }, {}, 'ERR_TOKEN_CLIENT'],

    ['RFC 9068 for the client', { aud: 'web', client_id: 'web' }, access, 'access web'],
    ['RFC 9068 for us', { aud: publicUrl, client_id: 'web' }, access, 'access web'],
    [
      'RFC 9068 with a long typ',
      { aud: publicUrl, client_id: 'web' },
      { typ: 'application/AT+JWT' },
      'access web',
    ],
    ['RFC 9068 for an API', { aud: 'https://api', client_id: 'web' }, access, 'ERR_TOKEN_CLIENT'],
    ['RFC 9068 of a stranger', { aud: publicUrl, client_id: 'x' }, access, 'ERR_TOKEN_CLIENT'],
    ['RFC 9068 without client', { aud: publicUrl }, access, 'ERR_TOKEN_CLIENT'],
    ['a machine', { aud: publicUrl, client_id: 'robot' }, access, 'access robot machine'],
    ['a machine’s ID token', { aud: 'robot' }, {}, 'ERR_TOKEN_USE'],

    ['Keycloak’s access token', { typ: 'Bearer', azp: 'web' }, { typ: 'JWT' }, 'access web'],
    ['Keycloak’s of a stranger', { typ: 'Bearer', azp: 'x' }, {}, 'ERR_TOKEN_CLIENT'],
    ['Keycloak’s ID token', { typ: 'ID', aud: 'web', azp: 'web' }, {}, 'id web'],
    ['Keycloak’s refresh token', { typ: 'Refresh', aud: 'web' }, {}, 'ERR_TOKEN_USE'],
    ['Keycloak’s offline token', { typ: 'Offline', aud: 'web' }, {}, 'ERR_TOKEN_USE'],
    // As their documents have them (deploy/docs/guides/providers.md).
    ['Entra’s for its own client', { ver: '2.0', aud: 'web', azp: 'web' }, {}, 'id web'],
    ['Entra’s for another', { ver: '2.0', aud: 'web', azp: 'second' }, {}, 'ERR_TOKEN_CLIENT'],
    ['Entra’s of a machine', { ver: '2.0', aud: 'robot', azp: 'robot' }, {}, 'ERR_TOKEN_USE'],
    ['Okta’s access token', { ver: 1, aud: 'api://default', cid: 'web' }, {}, 'ERR_TOKEN_CLIENT'],
    ['a logout token', { aud: 'web' }, { typ: 'logout+jwt' }, 'ERR_TOKEN_USE'],
    ['a proof of possession', { aud: 'web' }, { typ: 'dpop+jwt' }, 'ERR_TOKEN_USE'],
    ['Cognito’s form', { token_use: 'access', client_id: 'web' }, {}, 'ERR_TOKEN_CLIENT'],
    ['Cognito’s ID token', { ...theirs, aud: 'web' }, {}, 'id web'],
    ['Cognito’s with a list of one', { ...theirs, aud: ['web'] }, {}, 'id web'],
    ['Cognito’s with a list of two', { ...theirs, aud: ['web', 'second'] }, {}, 'ERR_TOKEN_USE'],
    ['Cognito’s with a client twice', { ...theirs, aud: ['web', 'web'] }, {}, 'ERR_TOKEN_USE'],
    ['Cognito’s with a list of a stranger', { ...theirs, aud: ['x'] }, {}, 'ERR_TOKEN_CLIENT'],
    ['Cognito’s with an empty list', { ...theirs, aud: [] }, {}, 'ERR_TOKEN_USE'],
    ['Cognito’s with a list of numbers', { ...theirs, aud: [7] }, {}, 'ERR_TOKEN_USE'],
    ['this form at Cognito', { iss: cognito.issuer, aud: 'web' }, {}, 'ERR_TOKEN_USE'],
  ]
  for (const [what, claims, header, expected] of cases) {
    t.equal(await judge(token(claims, header)), expected, what)
  }
})

await t.test('a token of another kind is no ID token, whatever the dialect', async (t) => {
  const logout = { 'http://schemas.openid.net/event/backchannel-logout': {} }
  const kinds: readonly (readonly [string, object, Record<string, unknown>])[] = [
    ['a logout token without typ', { events: logout }, {}],
    ['a logout token that says JWT', { events: logout }, { typ: 'JWT' }],
    ['a logout token by its typ', {}, { typ: 'logout+jwt' }],
    ['a security event', { events: { 'urn:example:event': {} } }, { typ: 'secevent+jwt' }],
    ['an empty set of events', { events: {} }, {}],
    ['an answer with a code', { code: 'abc' }, {}],
    ['an answer with a state', { state: 'abc' }, {}],
    ['an answer of introspection', { token_introspection: { active: true } }, {}],
    ['introspection by its typ', {}, { typ: 'token-introspection+jwt' }],
    ['userinfo by a typ of its own', {}, { typ: 'userinfo+jwt' }],
    ['a proof of possession', {}, { typ: 'dpop+jwt' }],
    ['an access token by its typ', {}, { typ: 'at+jwt' }],
    ['a typ that is empty', {}, { typ: '' }],
    ['a typ that is a number', {}, { typ: 7 }],
    ['a typ that is a list', {}, { typ: ['JWT'] }],
    ['a typ that is null', {}, { typ: null }],
  ]
  const dialects = [
    { aud: 'web' },
    { iss: cognito.issuer, token_use: 'id', aud: 'web' },
    { iss: cognito.issuer, token_use: 'id', aud: ['web'] },
  ]
  for (const dialect of dialects) {
    t.equal(await judge(token(dialect)), 'id web')
    t.equal(await judge(token(dialect, { typ: 'application/jwt' })), 'id web')
    for (const [what, claims, header] of kinds) {
      const isAccess = header['typ'] === 'at+jwt' && !('iss' in dialect)
      const expected = isAccess ? 'ERR_TOKEN_CLIENT' : 'ERR_TOKEN_USE'
      t.equal(await judge(token({ ...dialect, ...claims }, header)), expected, what)
    }
  }
  const access = { iss: cognito.issuer, token_use: 'access', client_id: 'web' }
  t.equal(await judge(token(access, { typ: 'at+jwt' })), 'access web')
  t.equal(await judge(token({ ...access, events: logout })), 'ERR_TOKEN_USE')
  t.equal(await judge(token({ ...access, state: 'Ohio' })), 'access web', 'a claim like any other')
})

await t.test('a token that two readers could read differently is malformed', async (t) => {
  const iat = now / 1000 - 10
  const claims = { iss: main.issuer, sub: 'alice', aud: 'web', iat, exp: iat + 600 }
  const text = JSON.stringify(claims)
  const sign = (payload: string, header = {}) => signScripted(payload, { key: rsa, header })
  t.equal(await judge(sign(text)), 'id web')
  t.equal(await judge(sign(`\uFEFF${text}`)), 'ERR_TOKEN_MALFORMED', 'a mark before the JSON')
  for (const header of [
    { zip: 'DEF' },
    { enc: 'A256GCM' },
    { b64: false },
    { b64: true },
    { b64: false, crit: ['b64'] },
  ]) {
    t.equal(await judge(sign(text, header)), 'ERR_TOKEN_MALFORMED', JSON.stringify(header))
  }
  const marked = Buffer.from('\uFEFF{"alg":"RS256","kid":"rsa"}').toString('base64url')
  t.equal(await judge(sign(text).replace(/^[^.]+/, marked)), 'ERR_TOKEN_MALFORMED')
  const broken = Buffer.from(text.replace('alice', 'ali~e'))
  broken[broken.indexOf('~')] = 0xff
  const cut = sign(text).replace(/\.[^.]+\./, `.${broken.toString('base64url')}.`)
  t.equal(await judge(cut), 'ERR_TOKEN_MALFORMED', 'bytes that are not UTF-8')
})

await t.test('scopes belong to access tokens alone', async (t) => {
  const scope = 'openid  trac/write '
  const access = token({ aud: 'web', client_id: 'web', scope }, { typ: 'at+jwt' })
  t.same([...(await verify(access)).scopes], ['openid', 'trac/write'])
  t.same([...(await verify(token({ aud: 'web', scope }))).scopes], [])
  const list = token({ aud: 'web', client_id: 'web', scope: ['x'] }, { typ: 'at+jwt' })
  t.same([...(await verify(list)).scopes], [])
})

await t.test('a key verifies by its own algorithm', async (t) => {
  t.equal(await judge(token({ aud: 'web' }, {}, curve)), 'id web')
})

await t.test('a token that is far too long is not looked at', async (t) => {
  const long = token({ aud: 'web', padding: 'x'.repeat(33_000) })
  t.equal(await judge(long), 'ERR_TOKEN_MALFORMED')
})

await t.test('what a token says refuses it before any key is looked for', async (t) => {
  let asked = 0
  const find = () => {
    asked++
    return Promise.resolve(rsaKey)
  }
  const cheap = createVerifier([issuer(main.issuer, { keys: { ...main.keys, find } })], {
    algorithms: ['RS256'],
    clockTolerance: 30_000,
    maxTokenLife: 86_400_000,
    publicUrl,
    now: () => now,
  })
  const seconds = now / 1000
  const cases: readonly (readonly [object, Record<string, unknown>, string])[] = [
    [{ iss: 'https://other.example' }, {}, 'ERR_TOKEN_ISSUER'],
    [{}, { alg: 'ES256' }, 'ERR_TOKEN_ALGORITHM'],
    [{ exp: seconds - 31 }, {}, 'ERR_TOKEN_EXPIRED'],
    [{ nbf: seconds + 31 }, {}, 'ERR_TOKEN_TIME'],
    [{ iat: seconds + 31 }, {}, 'ERR_TOKEN_TIME'],
    [{ exp: seconds + 90_000 }, {}, 'ERR_TOKEN_TIME'],
    [{ sub: 7 }, {}, 'ERR_TOKEN_CLAIMS'],
    [{ aud: 'x' }, {}, 'ERR_TOKEN_CLIENT'],
    [{}, { typ: 'logout+jwt' }, 'ERR_TOKEN_USE'],
  ]
  for (const [claims, header, code] of cases) {
    await t.rejects(cheap(token({ aud: 'web', ...claims }, header)), { code })
  }
  t.equal(asked, 0)
  await cheap(token({ aud: 'web' }))
  t.equal(asked, 1)
})
