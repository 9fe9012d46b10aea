/** A whole sign-in with an address of this machine to come back to (RFC 8252 §7.3): code, PKCE, nonce, ID token. */
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { once } from 'node:events'
import type { Milliseconds } from '../../core/clock.js'
import { readAuthorization } from '../../endpoints/callback.js'
import { TokenClient } from '../../oidc/token-client.js'
import { authorizationUrl } from '../../sign-in/authorization-url.js'
import { LoginStates } from '../../sign-in/login-state.js'
import { tryAuthorization } from './client.js'
import { bad, good, hintOf, notTried, wordsOf } from './row.js'
import type { Row } from './row.js'
import type { Site } from './site.js'
import { rowsOfToken } from './token.js'

const check = 'sign-in'

/** How long somebody may take at the provider. */
const maxSignIn: Milliseconds = 300_000

const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>trac-gateway doctor</title>
<p>The sign-in is back. Look into the terminal; this window can be closed.</p></html>`

/** The query of the one request that comes back. */
function wayBack(server: Server, path: string, app: Site['app']): Promise<URLSearchParams> {
  return new Promise((resolve, reject) => {
    const timer = app.timers.setTimeout(
      () => reject(new Error('nobody came back from the provider within five minutes')),
      maxSignIn,
    )
    timer.unref()
    server.on('request', (request, response) => {
      const url = new URL(request.url ?? '/', 'http://localhost')
      const isBack = url.pathname === path && url.searchParams.has('state')
      response.writeHead(isBack ? 200 : 404, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'",
        connection: 'close',
      })
      response.end(isBack ? page : '')
      if (!isBack) return
      app.timers.clearTimeout(timer)
      resolve(url.searchParams)
    })
  })
}

async function signIn(site: Site, server: Server, redirectUri: string): Promise<readonly Row[]> {
  const { app, services, config } = site
  const { identity } = config
  const { clientId, scopes } = identity
  const attempts = new LoginStates({
    sealer: services.loginSealer,
    names: services.names,
    issuer: identity.issuer,
    now: site.now,
    revocations: app.storage.revocations,
  })
  const { attempt, codeChallenge } = await attempts.start('/', [])
  const { authorization: endpoint } = await services.endpoints()
  const { state, nonce } = attempt
  const back = wayBack(server, new URL(redirectUri).pathname, app)
  site.signIn?.open(
    authorizationUrl({ endpoint, clientId, redirectUri, scopes, state, nonce, codeChallenge }),
  )
  const callback = await readAuthorization(
    { endpoints: services.endpoints, clientId },
    attempt,
    await back,
  )
  const tokens = new TokenClient({
    clientId,
    clientSecret: identity.clientSecret,
    redirectUri,
    insecure: identity.issuer.startsWith('http:'),
    endpoints: services.endpoints,
    fetch: app.fetch,
  })
  const answer = await tokens.redeem(callback, attempt.verifier)
  await services.checks.signIn(answer, attempt)
  const renews = answer.refreshToken === undefined ? 'no refresh token' : 'a refresh token'
  const first =
    answer.refreshToken === undefined
      ? bad(
          check,
          `it worked, but ${renews} came`,
          'a refresh token, else a session ends with its first tokens',
          'let the provider give the client refresh tokens; many want the scope offline_access in identity.scopes',
        )
      : good(check, `it worked: an ID token, and ${renews}`)
  return [first, ...(await rowsOfToken(site, answer.idToken ?? ''))]
}

/** Lets somebody sign in, if that was asked for. */
export async function checkSignIn(site: Site): Promise<readonly Row[]> {
  if (site.signIn === undefined) return [notTried(check, 'not asked for: --sign-in')]
  const redirectUri = `http://localhost:${site.signIn.port}/callback`
  const server = createServer()
  try {
    const { verdict, words } = await tryAuthorization(site, redirectUri)
    if (verdict !== 'taken') {
      const found = `the provider does not let a sign-in come back to ${redirectUri} (${words})`
      const todo = `register ${redirectUri} for the client while you try it (--sign-in-port changes the port)`
      return [bad(check, found, 'an address of this machine to come back to', todo)]
    }
    server.listen(site.signIn.port, 'localhost')
    await once(server, 'listening')
    return await signIn(site, server, redirectUri)
  } catch (fault) {
    const todo = hintOf(fault, 'take another port (--sign-in-port), or try again')
    return [bad(check, wordsOf(fault), 'a sign-in that comes back', todo)]
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
