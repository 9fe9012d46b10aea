/** cognito-local, with Amazon's own client library: its tokens open Trac, and are renewed through the gateway. */
import { AuthenticationDetails, CognitoUser, CognitoUserPool } from 'amazon-cognito-identity-js'
import type { CognitoUserSession } from 'amazon-cognito-identity-js'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { person, refreshAt, signInAt, startCognitoLocal } from '../fixtures/cognito-servers.js'
import { freePort } from '../fixtures/ports.js'
import { redeemAt } from '../fixtures/refresh.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

async function start(t: Test) {
  const port = await freePort()
  const cognito = await startCognitoLocal(t, [`http://localhost:${port}/trac/auth/callback`])
  const { url } = await stage(t, {
    issuer: `http://localhost:${cognito.port}/${cognito.userPoolId}`,
    clientId: cognito.clientId,
    cognitoDomain: cognito.endpoint,
    upstream: true,
    api: true,
    port,
  })
  const who = async (token: string) => {
    const answer = await fetch(`${url}/auth/session`, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  const refresh = (refreshToken: string) => redeemAt(url, refreshToken)
  return { cognito, url, who, refresh }
}

await t.test(
  'access and ID token of cognito-local are one person with one set of groups',
  async (t) => {
    const { cognito, who } = await start(t)
    const { accessToken, idToken, refreshToken } = await signInAt(cognito)
    for (const token of [accessToken, idToken]) {
      const { status, body } = await who(token)
      t.equal(status, 200)
      t.equal(body['user'], cognito.username)
      t.same([...(body['groups'] as string[])].toSorted(), person.groups)
    }
    const renewed = await refreshAt(cognito, refreshToken)
    t.match(await who(renewed.accessToken), { status: 200, body: { user: cognito.username } })
    t.equal((await who(`${accessToken.slice(0, -4)}AAAA`)).status, 401)
  },
)

await t.test('the refresh token of Amazon’s client library is redeemed here', async (t) => {
  const { cognito, who, refresh } = await start(t)
  const pool = new CognitoUserPool({
    UserPoolId: cognito.userPoolId,
    ClientId: cognito.clientId,
    endpoint: cognito.endpoint,
  })
  const user = new CognitoUser({ Username: person.email, Pool: pool })
  user.setAuthenticationFlowType('USER_PASSWORD_AUTH')
  const session = await new Promise<CognitoUserSession>((resolve, reject) => {
    const details = new AuthenticationDetails({
      Username: person.email,
      Password: person.password,
    })
    user.authenticateUser(details, { onSuccess: resolve, onFailure: reject })
  })
  t.match(await who(session.getAccessToken().getJwtToken()), { status: 200 })
  const { status, body } = await refresh(session.getRefreshToken().getToken())
  t.equal(status, 200)
  t.match(body, {
    token_type: 'Bearer',
    expires_in: 3600,
    access_token: String,
    id_token: String,
  })
  t.notOk('refresh_token' in body, 'it does not rotate')
  for (const name of ['access_token', 'id_token']) {
    t.match(await who(String(body[name])), { status: 200, body: { user: cognito.username } })
  }
  const again = await new Promise<CognitoUserSession>((resolve, reject) => {
    user.refreshSession(session.getRefreshToken(), (error: unknown, fresh: CognitoUserSession) => {
      if (error !== null) reject(error)
      else resolve(fresh)
    })
  })
  t.match(await who(again.getIdToken().getJwtToken()), { status: 200 })
  t.equal((await refresh('no-such-token')).status, 401)
})

await t.test('a code flow that does not carry the nonce signs nobody in', async (t) => {
  const { url } = await start(t)
  const visitor = new Visitor()
  const form = await visitor.follow(`${url}/auth/login`)
  t.match(form.text, '<form method="POST" action="/oauth2/authorize">')
  const fields = new URLSearchParams({ username: person.email, password: person.password })
  for (const [, name, value] of form.text.matchAll(/name="([^"]+)" value="([^"]*)"/g)) {
    fields.set(name!, value!.replaceAll('&amp;', '&'))
  }
  const back = await visitor.submit(new URL('/oauth2/authorize', form.url), fields.toString())
  t.equal(new URL(back.location).pathname, '/trac/auth/callback')
  const page = await visitor.open(back.location)
  t.equal(page.status, 401)
  t.match(page.text, /Sign-in|sign-in/)
  t.same(
    page.setCookies.filter((line) => /-s=[^;]/.test(line)),
    [],
  )
})
