/** What the provider is asked for: code → tokens, refresh, revocation, userinfo; its refusals told apart from its failures. */
import {
  ClientSecretBasic,
  ClientSecretPost,
  None,
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  customFetch,
  refreshTokenGrantRequest,
  revocationRequest,
  validateAuthResponse,
} from 'oauth4webapi'
import type { Client, ClientAuth, TokenEndpointRequestOptions } from 'oauth4webapi'
import { GatewayError } from '../core/errors.js'
import { randomText } from '../core/random.js'
import type { ProviderFetch } from './provider-fetch.js'
import type { Endpoints, FindEndpoints } from './provider-endpoints.js'

/** What a token endpoint gave. Nothing in it is verified yet. */
export interface TokenAnswer {
  readonly accessToken: string
  readonly idToken: string | undefined
  readonly refreshToken: string | undefined
  /** Seconds. */
  readonly expiresIn: number | undefined
}

/** The client that this gateway is at the provider. */
export interface TokenClientOptions {
  readonly clientId: string
  readonly clientSecret: string | undefined
  readonly redirectUri: string
  readonly insecure: boolean
  readonly endpoints: FindEndpoints
  readonly fetch: ProviderFetch
  /** Hears what became of each refresh token that was to be revoked. */
  readonly onRevocation?: (result: RevocationResult) => void
}

/** What became of it; `unsupported`: the provider has no endpoint for that. */
export type RevocationResult = 'ok' | 'failed' | 'unsupported'

/** What a token endpoint said to a code that it never gave (RFC 6749 §5.2). */
export interface CodeRefusal {
  readonly status: number
  /** The code of the error; empty text if there is none. */
  readonly error: string
  /** Code and description as they may be shown. */
  readonly words: string
}

/** Characters that a token or a claim of an answer may have. */
const maxTextLength = 64 * 1024

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= maxTextLength
    ? value
    : undefined
}

/** Characters of an `error_description` that are logged. */
const maxDescription = 200

/** What may be a code, a token or part of one. */
const secretLike = /[A-Za-z0-9_-]{24,}/g

/**
 * An error of OAuth as it may be logged: its code and its description (RFC 6749 §4.1.2.1, §5.2), without what could
 * repeat a secret, break a line or fill the log.
 */
export function errorWords(error: string, description?: unknown): string {
  const code = /^[a-z][a-z_]{0,39}$/.test(error) ? error : 'an error'
  if (typeof description !== 'string') return code
  const text = description
    .slice(0, 4 * maxDescription)
    .replace(/[^\x20-\x7e\p{L}\p{N}]+/gu, ' ')
    .replace(secretLike, '…')
    .trim()
  return text === '' ? code : `${code}: ${text.slice(0, maxDescription)}`
}

async function readJson(response: Response): Promise<Record<string, unknown>> {
  try {
    const value: unknown = await response.json()
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (cause) {
    throw new GatewayError('ERR_PROVIDER_ANSWER', { cause })
  }
  throw new GatewayError('ERR_PROVIDER_ANSWER', { cause: new Error('the answer is no object') })
}

/**
 * Reads an answer of the token endpoint (RFC 6749 §5).
 * Only `invalid_grant` is final: anything else may work the next time.
 */
async function readTokens(response: Response): Promise<TokenAnswer> {
  const body = await readJson(response)
  if (response.status !== 200) {
    const error = optionalText(body['error']) ?? ''
    const words = errorWords(error, body['error_description'])
    const cause = new Error(`the token endpoint answered ${response.status} ${words}`)
    if (error === 'invalid_grant') throw new GatewayError('ERR_REFRESH_REFUSED', { cause })
    throw new GatewayError('ERR_PROVIDER_ANSWER', { cause })
  }
  const accessToken = optionalText(body['access_token'])
  const type = optionalText(body['token_type'])
  if (accessToken === undefined || type?.toLowerCase() !== 'bearer') {
    throw new GatewayError('ERR_PROVIDER_ANSWER', { cause: new Error('no Bearer token in it') })
  }
  const expiresIn = Number(body['expires_in'])
  return {
    accessToken,
    idToken: optionalText(body['id_token']),
    refreshToken: optionalText(body['refresh_token']),
    expiresIn: Number.isFinite(expiresIn) && expiresIn > 0 ? expiresIn : undefined,
  }
}

function chooseAuth(secret: string | undefined, endpoints: Endpoints): ClientAuth {
  if (secret === undefined) return None()
  const methods = endpoints.server.token_endpoint_auth_methods_supported
  const post = methods?.includes('client_secret_post') && !methods.includes('client_secret_basic')
  return post ? ClientSecretPost(secret) : ClientSecretBasic(secret)
}

/** The token lacks the name, and so does what was asked for it. */
function noUserinfo(endpoint: string, found: number | string): GatewayError {
  return new GatewayError('ERR_NAME_UNKNOWN', {
    found: { [endpoint]: found },
    wanted: { [endpoint]: 200, key: 'identity.claims.username' },
  })
}

/** Cognito's GetUser, for access tokens that lack `openid`: attributes by name, as userinfo has them. */
async function getUser(endpoint: string, accessToken: string, fetch: ProviderFetch) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'AWSCognitoIdentityProviderService.GetUser',
    },
    body: JSON.stringify({ AccessToken: accessToken }),
  })
  if (response.status !== 200) throw noUserinfo('GetUser', response.status)
  const { Username, UserAttributes } = await readJson(response)
  const claims: Record<string, unknown> = { 'cognito:username': Username }
  for (const item of Array.isArray(UserAttributes) ? (UserAttributes as unknown[]) : []) {
    const { Name, Value } = item as { Name?: unknown; Value?: unknown }
    if (typeof Name === 'string') claims[Name] = Value
  }
  return claims
}

/** The requests this gateway makes at the provider. Every method rejects with {@link GatewayError} ERR_PROVIDER_…. */
export class TokenClient {
  readonly #options: TokenClientOptions
  readonly #client: Client
  readonly #transport: TokenEndpointRequestOptions

  constructor(options: TokenClientOptions) {
    this.#options = options
    this.#client = { client_id: options.clientId }
    this.#transport = {
      [customFetch]: (url: string, init: RequestInit) => options.fetch(url, init),
      [allowInsecureRequests]: options.insecure,
    }
  }

  /** Redeems a code. `callback` comes from `validateAuthResponse` of oauth4webapi. */
  redeem(callback: URLSearchParams, codeVerifier: string): Promise<TokenAnswer> {
    const { redirectUri } = this.#options
    return this.#ask(async ({ server }, auth) =>
      readTokens(
        await authorizationCodeGrantRequest(
          server,
          this.#client,
          auth,
          callback,
          redirectUri,
          codeVerifier,
          this.#transport,
        ),
      ),
    )
  }

  /**
   * Asks for tokens with a code that nobody was given. A provider looks at the client first, so that the refusal tells a
   * wrong client from a right one.
   */
  redeemMadeUp(): Promise<CodeRefusal> {
    return this.#ask(async ({ server }, auth) => {
      const [code, state, verifier] = [24, 24, 32].map((bytes) => randomText(bytes)) as [
        string,
        string,
        string,
      ]
      const parameters = new URLSearchParams({ code, state, iss: server.issuer })
      const callback = validateAuthResponse(server, this.#client, parameters, state)
      const response = await authorizationCodeGrantRequest(
        ...([server, this.#client, auth, callback] as const),
        this.#options.redirectUri,
        verifier,
        this.#transport,
      )
      const body = await readJson(response)
      const error = optionalText(body['error']) ?? ''
      const words = errorWords(error, body['error_description'])
      return { status: response.status, error, words }
    })
  }

  /** Exchanges a refresh token (RFC 6749 §6). @throws ERR_REFRESH_REFUSED — the provider's final word */
  refresh(refreshToken: string): Promise<TokenAnswer> {
    return this.#ask(async ({ server }, auth) =>
      readTokens(
        await refreshTokenGrantRequest(server, this.#client, auth, refreshToken, this.#transport),
      ),
    )
  }

  /** Revokes a refresh token (RFC 7009); false if the provider can't or did not. */
  async revoke(refreshToken: string): Promise<boolean> {
    let result: RevocationResult = 'failed'
    try {
      result = await this.#revoke(refreshToken)
    } finally {
      this.#options.onRevocation?.(result)
    }
    return result === 'ok'
  }

  #revoke(refreshToken: string): Promise<RevocationResult> {
    return this.#ask(async ({ server, revocation }, auth) => {
      if (revocation === undefined) return 'unsupported'
      const response = await revocationRequest(server, this.#client, auth, refreshToken, {
        ...this.#transport,
        additionalParameters: { token_type_hint: 'refresh_token' },
      })
      return response.status === 200 ? 'ok' : 'failed'
    })
  }

  /**
   * Asks who an access token is about.
   * @throws {@link GatewayError} ERR_NAME_UNKNOWN — the provider does not say
   */
  userinfo(
    accessToken: string,
    scopes: ReadonlySet<string>,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { fetch } = this.#options
    return this.#ask(async ({ getUser: userApi, userinfo }) => {
      if (userApi !== undefined && !scopes.has('openid'))
        return getUser(userApi, accessToken, fetch)
      if (userinfo === undefined) throw noUserinfo('userinfo', 'not offered by the provider')
      const response = await fetch(userinfo, {
        headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json' },
      })
      if (response.status !== 200) throw noUserinfo('userinfo', response.status)
      return readJson(response)
    })
  }

  /** oauth4webapi throws its own errors for requests it can't make; the faults of the fetch pass through. */
  async #ask<T>(work: (endpoints: Endpoints, auth: ClientAuth) => Promise<T>): Promise<T> {
    try {
      const endpoints = await this.#options.endpoints()
      return await work(endpoints, chooseAuth(this.#options.clientSecret, endpoints))
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause
      throw new GatewayError('ERR_PROVIDER_ANSWER', { cause })
    }
  }
}
