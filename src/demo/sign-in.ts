/** A headless OAuth client: signs a person in at the demo's provider by plain HTTP, for scripts and tests. */
import { createHash, randomBytes } from 'node:crypto'
import type { Person } from './people.js'
import type { DemoProvider } from './provider.js'

/** The tokens of one sign-in; `idToken` is empty text without the `openid` scope. */
export interface Tokens {
  idToken: string
  accessToken: string
  refreshToken: string
}

/** How to sign in; everything has a default. */
export interface SignInOptions {
  /** Default: the provider's first client. */
  clientId?: string
  /** Default: the client's first registered address. Nothing is sent there. */
  redirectUri?: string
  /** Default `openid email profile`. */
  scope?: string
  /** Default: a random one; not sent without the `openid` scope. */
  nonce?: string
  /** Cookies to begin with and to keep: a jar used twice is one browser. Default: a new one. */
  jar?: CookieJar
}

/** Redirects and forms that one sign-in may take at most. */
const stepLimit = 10

/** The cookies of one browser, by name and path; enough for one host. */
export class CookieJar {
  readonly #cookies = new Map<string, { name: string; value: string; path: string }>()

  /** Keeps what an answer sets, and drops what it deletes. */
  keep(url: URL, response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
      const name = pair.slice(0, pair.indexOf('='))
      const value = pair.slice(pair.indexOf('=') + 1)
      const attribute = (wanted: string): string | undefined =>
        attributes
          .find((entry) => entry.toLowerCase().startsWith(`${wanted}=`))
          ?.slice(wanted.length + 1)
      const path = attribute('path') ?? url.pathname
      const expires = attribute('expires')
      const ended = attribute('max-age') === '0' || (expires && Date.parse(expires) <= 0)
      const key = `${name};${path}`
      if (ended || value === '') this.#cookies.delete(key)
      else this.#cookies.set(key, { name, value, path })
    }
  }

  /** The `Cookie` header for an address; empty text if none. */
  header(url: URL): string {
    return [...this.#cookies.values()]
      .filter(({ path }) => isBelow(url.pathname, path))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  }
}

/** RFC 6265 §5.1.4. */
function isBelow(path: string, cookiePath: string): boolean {
  if (path === cookiePath) return true
  return path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`)
}

/**
 * Runs the code flow with PKCE for a person and returns the tokens.
 *
 * @throws An error that says at which step the provider did something else.
 */
export async function signIn(
  provider: DemoProvider,
  person: Pick<Person, 'email' | 'password'>,
  options: SignInOptions = {},
): Promise<Tokens> {
  const client = clientOf(provider, options.clientId)
  const redirectUri = options.redirectUri ?? client.redirectUris[0]
  if (redirectUri === undefined) throw new Error(`client ${client.clientId} has no redirect URI`)
  const codeVerifier = randomBytes(32).toString('base64url')
  const state = randomBytes(16).toString('base64url')
  const scope = options.scope ?? 'openid email profile'
  const nonce = options.nonce ?? randomBytes(16).toString('base64url')
  const start = new URL('/oauth2/authorize', provider.origin)
  start.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: redirectUri,
    scope,
    state,
    ...(scope.split(' ').includes('openid') ? { nonce } : {}),
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString()
  const callback = await walk(start, redirectUri, person, options.jar ?? new CookieJar())
  if (callback.searchParams.get('state') !== state) throw new Error('the state came back changed')
  const code = callback.searchParams.get('code')
  if (code === null) throw new Error(`the provider refused: ${callback.searchParams.toString()}`)
  const answer = await requestTokens(provider, client, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: codeVerifier,
  })
  return {
    idToken: answer.id_token ?? '',
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token ?? '',
  }
}

/** What the token endpoint answers. */
export interface TokenAnswer {
  access_token: string
  id_token: string | undefined
  refresh_token: string | undefined
  expires_in: number
  token_type: string
}

type Client = DemoProvider['clients'][number]

function clientOf(provider: DemoProvider, clientId = provider.clientId): Client {
  const client = provider.clients.find((candidate) => candidate.clientId === clientId)
  if (client === undefined) throw new Error(`the provider has no client ${clientId}`)
  return client
}

/** Posts to the token endpoint as `client`; a client with a secret sends it as Basic. */
export async function requestTokens(
  provider: DemoProvider,
  client: Client,
  parameters: Record<string, string>,
): Promise<TokenAnswer> {
  const { clientId, clientSecret } = client
  const basic = Buffer.from(`${clientId}:${clientSecret ?? ''}`).toString('base64')
  const response = await fetch(new URL('/oauth2/token', provider.origin), {
    method: 'POST',
    headers: clientSecret === undefined ? {} : { Authorization: `Basic ${basic}` },
    body: new URLSearchParams({ ...parameters, client_id: clientId }),
  })
  const body: unknown = await response.json()
  if (!response.ok) throw new TokenRefused(response.status, String(field(body, 'error')))
  const optional = (name: string): string | undefined => {
    const value = field(body, name)
    return typeof value === 'string' ? value : undefined
  }
  return {
    access_token: optional('access_token') ?? '',
    id_token: optional('id_token'),
    refresh_token: optional('refresh_token'),
    expires_in: Number(field(body, 'expires_in')),
    token_type: optional('token_type') ?? '',
  }
}

/** A member of a parsed JSON object. */
function field(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined
}

/** The token endpoint said no; `code` is OAuth's `error`. */
export class TokenRefused extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string) {
    super(`the token endpoint answered ${status} ${code}`)
    this.status = status
    this.code = code
  }
}

/** Follows redirects and fills in the login form until the provider leads to `redirectUri`. */
async function walk(
  start: URL,
  redirectUri: string,
  person: Pick<Person, 'email' | 'password'>,
  jar: CookieJar,
): Promise<URL> {
  let url = start
  let form: URLSearchParams | undefined
  for (let step = 0; step < stepLimit; step += 1) {
    const response = await fetch(url, {
      method: form === undefined ? 'GET' : 'POST',
      headers: { Cookie: jar.header(url), Accept: 'text/html' },
      redirect: 'manual',
      ...(form === undefined ? {} : { body: form }),
    })
    jar.keep(url, response)
    const text = await response.text()
    const location = response.headers.get('location')
    if (location !== null) {
      url = new URL(location, url)
      form = undefined
      if (url.href.split('?')[0] === redirectUri.split('?')[0]) return url
    } else if (response.status === 200 && text.includes('id="sign-in"') && form === undefined) {
      form = new URLSearchParams({ email: person.email, password: person.password })
    } else {
      throw new Error(`the provider answered ${response.status} at ${url.pathname}`)
    }
  }
  throw new Error('the provider redirects without end')
}
