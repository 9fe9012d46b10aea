/** The client at the provider: its id, its secret, and the two addresses that must be registered for it. */
import { realTimers } from '../../core/clock.js'
import { randomText } from '../../core/random.js'
import type { CodeRefusal } from '../../oidc/token-client.js'
import { authorizationUrl } from '../../sign-in/authorization-url.js'
import { ProviderLogout } from '../../sign-in/provider-logout.js'
import { bad, good, notTried, wordsOf } from './row.js'
import type { Row } from './row.js'
import type { Site } from './site.js'

/** Characters of an error page that are looked at. */
const maxPage = 64 * 1024

/** What a provider made of an address that a browser would be sent to. */
export interface Heard {
  readonly verdict: 'taken' | 'client' | 'address' | 'scope' | 'refused'
  /** Its own words, as far as they are known. */
  readonly words: string
}

/** Errors by which a provider says that all is well, but that a person is needed (OpenID Connect Core §3.1.2.6). */
const needsPerson = /^(?:login|interaction|consent|account_selection)_required$/

function judgeError(error: string, words: string): Heard {
  if (needsPerson.test(error)) return { verdict: 'taken', words: '' }
  const text = `${error} ${words}`.toLowerCase()
  const shown = words === '' ? error : words
  if (/redirect|logout_uri|logout uri/.test(text)) return { verdict: 'address', words: shown }
  if (/scope/.test(text)) return { verdict: 'scope', words: shown }
  if (/client/.test(text)) return { verdict: 'client', words: shown }
  return { verdict: 'refused', words: shown }
}

/** The text of a page. */
function textOf(page: string): string {
  return page
    .slice(0, maxPage)
    .replaceAll(/<(script|style|head)\b.*?<\/\1>/gis, ' ')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, 200)
}

/** Opens an address at the provider as a browser without cookies would. @throws ERR_PROVIDER_… */
export async function openAtProvider({ app }: Site, url: string): Promise<Heard> {
  const answer = await app.fetch(url, { headers: { accept: 'text/html' } })
  const location = answer.headers.get('location')
  if (location !== null) {
    const { searchParams } = new URL(location, url)
    const error = searchParams.get('error') ?? ''
    if (error === '') return { verdict: 'taken', words: '' }
    return judgeError(error, searchParams.get('error_description') ?? '')
  }
  if (answer.status < 400) return { verdict: 'taken', words: '' }
  return judgeError(`status ${answer.status}`, textOf(await answer.text()))
}

/** The request by which a sign-in would begin; no person is asked, and nothing is kept of it. */
export async function tryAuthorization(site: Site, redirectUri: string): Promise<Heard> {
  const { clientId, scopes } = site.config.identity
  const { authorization: endpoint } = await site.services.endpoints()
  const [state, nonce, codeChallenge] = [24, 24, 32].map((n) => randomText(n)) as [
    ...[string, string, string],
  ]
  const url = authorizationUrl({
    ...{ endpoint, clientId, redirectUri, scopes, state, nonce, codeChallenge },
    prompt: 'none',
  })
  return openAtProvider(site, url)
}

const clientCheck = 'provider.client'

function wrongId(site: Site, words: string): Row {
  const { clientId } = site.config.identity
  return bad(
    clientCheck,
    `the provider does not know the client ${clientId} (${words})`,
    'the id of a client with the authorization code flow',
    'copy the client’s id from the provider to identity.clientId',
  )
}

function wrongSecret(site: Site, words: string): Row {
  const { clientId, clientSecret } = site.config.identity
  const has = clientSecret !== undefined
  return bad(
    clientCheck,
    `the token endpoint refuses the client ${clientId} ${has ? 'with its secret' : 'without a secret'} (${words})`,
    'the credentials that the client has at the provider',
    has
      ? 'copy the client’s secret from the provider anew to identity.clientSecret; if it is a public client there, leave identity.clientSecret out'
      : 'the client has a secret there: set identity.clientSecret; or the id in identity.clientId is wrong',
  )
}

function judgeRefusal(site: Site, refusal: CodeRefusal, authorized: Heard | undefined): Row {
  const { error, words, status } = refusal
  if (error === 'invalid_grant') {
    return good(clientCheck, `the token endpoint takes the client ${site.config.identity.clientId}`)
  }
  if (error === 'unauthorized_client' && status !== 401) {
    const todo = 'allow the authorization code grant for the client at the provider'
    return bad(
      clientCheck,
      `the client may not redeem codes (${words})`,
      'a client with the authorization code flow',
      todo,
    )
  }
  // Keycloak calls wrong credentials `unauthorized_client`, by 401.
  if (status === 401 || error === 'invalid_client') {
    // A provider that begins a sign-in for this id knows it: then the secret is what is wrong.
    return authorized?.verdict === 'client'
      ? wrongId(site, authorized.words)
      : wrongSecret(site, words)
  }
  return notTried(clientCheck, `the token endpoint says neither yes nor no: ${status} ${words}`)
}

const callbackOf = ({ app }: Site): string => `${app.address.url}/auth/callback`

function callbackRow(site: Site, { verdict, words }: Heard): Row {
  const check = 'provider.callback'
  const url = callbackOf(site)
  const { scopes } = site.config.identity
  if (verdict === 'taken') return good(check, `the provider takes ${url}`)
  if (verdict === 'address') {
    const found = `the provider does not take ${url} (${words})`
    return bad(check, found, 'this address to come back to', `register ${url} for the client`)
  }
  if (verdict === 'scope') {
    const found = `the provider refuses the scopes ${scopes.join(' ')} (${words})`
    const todo = 'allow them for the client, or shorten identity.scopes'
    return bad(check, found, 'scopes that the client may ask for', todo)
  }
  if (verdict === 'client') return notTried(check, `the client is refused first; register ${url}`)
  return bad(check, `a sign-in is refused: ${words}`, 'a sign-in', `register ${url} for the client`)
}

async function signedOutRow(site: Site): Promise<Row> {
  const check = 'provider.sign-out'
  const { app, services, config } = site
  const signedOutUrl = `${app.address.url}/auth/signed-out`
  const out = new ProviderLogout({
    clientId: config.identity.clientId,
    signedOutUrl,
    endpoints: services.endpoints,
    tokens: services.tokens,
    checks: services.checks,
    endSignIn: () => Promise.resolve(),
    timers: realTimers,
  })
  // Nobody is signed in there: the address is all that is looked at.
  const { url, back } = await out.end(undefined, site.now(), () => undefined)
  if (back === 'never') return good(check, 'the provider has no log-out: nothing to register')
  const { verdict, words } = await openAtProvider(site, url)
  if (verdict === 'taken') return good(check, `the provider takes ${signedOutUrl}`)
  if (verdict === 'client') {
    return notTried(check, `the client is refused first; register ${signedOutUrl} too`)
  }
  const found = `the provider does not take ${signedOutUrl} after sign-out (${words})`
  const wanted = 'this address to come back to after sign-out'
  return bad(check, found, wanted, `register ${signedOutUrl} as post-logout address of the client`)
}

const attempt = async <T>(work: () => Promise<T>): Promise<T | Error> => {
  try {
    return await work()
  } catch (fault) {
    return fault instanceof Error ? fault : new Error(String(fault))
  }
}

/** The client by a made-up code, and both addresses by what the provider does with them. */
export async function checkClient(site: Site): Promise<readonly Row[]> {
  const register = `register ${callbackOf(site)} and ${site.app.address.url}/auth/signed-out`
  const authorized = await attempt(() => tryAuthorization(site, callbackOf(site)))
  const refusal = await attempt(() => site.services.tokens.redeemMadeUp())
  const left = await attempt(() => signedOutRow(site))
  return [
    refusal instanceof Error
      ? notTried(clientCheck, wordsOf(refusal))
      : judgeRefusal(site, refusal, authorized instanceof Error ? undefined : authorized),
    authorized instanceof Error
      ? notTried('provider.callback', `${wordsOf(authorized)}; ${register}`)
      : callbackRow(site, authorized),
    left instanceof Error ? notTried('provider.sign-out', wordsOf(left)) : left,
  ]
}
