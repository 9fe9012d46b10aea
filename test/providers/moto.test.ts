/** moto: tokens with Amazon's own form of issuer and `origin_jti` hold every rule for Cognito's tokens. */
import { t } from '../fixtures/tap.js'
import { person, refreshAt, signInAt, startMoto } from '../fixtures/cognito-servers.js'
import { realTimers } from '../../src/core/clock.js'
import { createProviderFetch } from '../../src/oidc/provider-fetch.js'
import { IssuerKeys } from '../../src/oidc/issuer-keys.js'
import { createVerifier } from '../../src/oidc/verify-token.js'
import { identifiersOf } from '../../src/session/token-identifiers.js'

await t.test('tokens of moto verify, before and after a refresh by its own API', async (t) => {
  const moto = await startMoto(t)
  const issuer = `https://cognito-idp.us-east-1.amazonaws.com/${moto.userPoolId}`
  const keys = new IssuerKeys({
    // The keys of that issuer are at moto's port instead.
    jwksUri: async () => `${moto.endpoint}/${moto.userPoolId}/.well-known/jwks.json`,
    algorithms: ['RS256'],
    maxAge: 3_600_000,
    coolDown: 30_000,
    fetch: createProviderFetch(realTimers, Date.now),
    now: Date.now,
    onFetch: () => undefined,
  })
  const rules = {
    algorithms: ['RS256'],
    clockTolerance: 30_000,
    maxTokenLife: 86_400_000,
    publicUrl: 'https://trac.example.edu',
    now: Date.now,
  }
  const issuerOf = (client: string) => ({
    issuer,
    cognito: true,
    main: true,
    clients: new Set([client]),
    machines: new Set<string>(),
    keys,
  })
  const verify = createVerifier([issuerOf(moto.clientId)], rules)
  const first = await signInAt(moto)
  t.notMatch(first.refreshToken, /^ey/, 'an opaque refresh token')
  const second = await refreshAt(moto, first.refreshToken)
  for (const tokens of [first, second]) {
    const access = await verify(tokens.accessToken)
    t.match(access, { use: 'access', clientId: moto.clientId, machine: false })
    t.equal(access.claims['username'], moto.username)
    const id = await verify(tokens.idToken)
    t.match(id, { use: 'id', clientId: moto.clientId })
    t.equal(id.claims['cognito:username'], moto.username)
    t.equal(id.subject, access.subject)
    for (const { claims } of [access, id]) {
      t.same([...(claims['cognito:groups'] as string[])].toSorted(), person.groups)
      t.match(identifiersOf(issuer, claims).ids, [/^origin_jti /])
    }
  }
  const other = createVerifier([issuerOf('another-client')], rules)
  await t.rejects(other(first.accessToken), { code: 'ERR_TOKEN_CLIENT' })
  await t.rejects(other(first.idToken), { code: 'ERR_TOKEN_CLIENT' })
})
