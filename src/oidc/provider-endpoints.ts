/** Where the endpoints of the main provider are: Cognito's by rule, others' by discovery (OpenID Connect Discovery 1.0). */
import {
  discoveryRequest,
  processDiscoveryResponse,
  allowInsecureRequests,
  customFetch,
} from 'oauth4webapi'
import type { AuthorizationServer } from 'oauth4webapi'
import { backOff } from '../core/back-off.js'
import { GatewayError } from '../core/errors.js'
import type { Milliseconds, Now } from '../core/clock.js'
import { SingleFlight } from '../core/single-flight.js'
import type { ProviderFetch } from './provider-fetch.js'

/** How the provider's own session is ended. */
export type ProviderLogout =
  | { readonly kind: 'cognito'; readonly endpoint: string }
  | { readonly kind: 'oidc'; readonly endpoint: string }
  | { readonly kind: 'none' }

/** What has the provider ask the person, whatever it remembers (OpenID Connect Core §3.1.2.1). */
export type AskingPrompt = 'login' | 'select_account'

/** The provider's endpoints; those that it may lack are undefined. */
export interface Endpoints {
  readonly server: AuthorizationServer
  readonly authorization: string
  readonly token: string
  readonly jwks: string
  readonly userinfo: string | undefined
  readonly revocation: string | undefined
  readonly logout: ProviderLogout
  readonly askingPrompt: AskingPrompt
  /** Whether the callback must carry `iss` (RFC 9207 §3). */
  readonly sendsIssuer: boolean
  /** Cognito's user API, for access tokens without `openid`. */
  readonly getUser: string | undefined
}

/** Finds the endpoints; what was found is kept for an hour. */
export type FindEndpoints = () => Promise<Endpoints>

/** What is known before anything was asked. */
export interface ProviderOptions {
  readonly issuer: string
  /** Cognito's sign-in origin; undefined for other providers. */
  readonly cognitoDomain: string | undefined
  /** Plain `http://` is allowed only where the configuration's checks let it. */
  readonly insecure: boolean
  readonly fetch: ProviderFetch
  readonly now: Now
  readonly random: () => number
}

const discoveryMaxAge: Milliseconds = 3_600_000
/** A discovery that failed is tried again after this at first, and after twice as long each time. */
export const firstRetry: Milliseconds = 2000
export const maxRetry: Milliseconds = 30_000

/** Cognito's endpoints follow from its domain and its issuer; nothing needs to be asked. */
function cognitoEndpoints(issuer: string, domain: string): Endpoints {
  const authorization = `${domain}/oauth2/authorize`
  const token = `${domain}/oauth2/token`
  const revocation = `${domain}/oauth2/revoke`
  const jwks = `${issuer}/.well-known/jwks.json`
  return {
    server: {
      issuer,
      authorization_endpoint: authorization,
      token_endpoint: token,
      revocation_endpoint: revocation,
      jwks_uri: jwks,
    },
    authorization,
    token,
    jwks,
    userinfo: `${domain}/oauth2/userInfo`,
    revocation,
    logout: { kind: 'cognito', endpoint: `${domain}/logout` },
    askingPrompt: 'login',
    sendsIssuer: false,
    getUser: `${new URL(issuer).origin}/`,
  }
}

/** An address to ask, or to send a browser to; whatever else a provider writes there is read as nothing. */
function usable(value: unknown, insecure: boolean): string | undefined {
  if (typeof value !== 'string' || !URL.canParse(value)) return undefined
  const { protocol } = new URL(value)
  return protocol === 'https:' || (insecure && protocol === 'http:') ? value : undefined
}

/**
 * The name in the document must be the configured one to the letter, as tokens carry it (OpenID Connect Discovery 1.0
 * §4.3); the library compares addresses, for which a slash at the end of an origin is nothing.
 */
async function checkName(wanted: string, response: Response): Promise<void> {
  const document: unknown = await response.json().catch(() => undefined)
  const { issuer: named } = (document ?? {}) as { issuer?: unknown }
  if (typeof named !== 'string' || named === wanted) return
  throw new GatewayError('ERR_PROVIDER_ISSUER', {
    detail: `the provider names itself ${named.slice(0, 300)}, and the configuration ${wanted}`,
    found: { issuer: named },
    wanted: { issuer: wanted },
  })
}

/** Google lists no values in its discovery document; its reference has these. */
const google = {
  issuer: 'https://accounts.google.com',
  prompts: ['none', 'consent', 'select_account'],
}

/**
 * `login`, unless the provider lists what it knows and that is not there: it may refuse any other value, and then nobody
 * who has signed out could sign in again.
 * @see Initiating User Registration via OpenID Connect 1.0 §4.2
 */
function askingPromptOf(server: AuthorizationServer): AskingPrompt {
  const { issuer, prompt_values_supported: listed } = server
  const prompts = issuer === google.issuer ? google.prompts : listed
  const lacksLogin = Array.isArray(prompts) && !prompts.includes('login')
  return lacksLogin && prompts.includes('select_account') ? 'select_account' : 'login'
}

async function discover(options: ProviderOptions): Promise<Endpoints> {
  const issuer = new URL(options.issuer)
  const response = await discoveryRequest(issuer, {
    [customFetch]: (url: string, init: RequestInit) => options.fetch(url, init),
    [allowInsecureRequests]: options.insecure,
  } as unknown as Parameters<typeof discoveryRequest>[1])
  await checkName(options.issuer, response.clone())
  const server = await processDiscoveryResponse(issuer, response).catch((cause: unknown) => {
    throw new GatewayError('ERR_PROVIDER_ANSWER', { cause })
  })
  const optional = (name: string) => usable(server[name], options.insecure)
  const required = (name: string): string => {
    const value = optional(name)
    if (value !== undefined) return value
    const cause = new Error(`discovery has no usable ${name}`)
    throw new GatewayError('ERR_PROVIDER_ANSWER', { cause })
  }
  const end = optional('end_session_endpoint')
  return {
    server,
    authorization: required('authorization_endpoint'),
    token: required('token_endpoint'),
    jwks: required('jwks_uri'),
    userinfo: optional('userinfo_endpoint'),
    revocation: optional('revocation_endpoint'),
    logout: end === undefined ? { kind: 'none' } : { kind: 'oidc', endpoint: end },
    askingPrompt: askingPromptOf(server),
    sendsIssuer: server.authorization_response_iss_parameter_supported === true,
    getUser: undefined,
  }
}

/**
 * Builds the finder; askers at the same time share one request. An old answer serves while it is had anew, and nobody
 * waits for that.
 */
export function createEndpointFinder(options: ProviderOptions): FindEndpoints {
  const { cognitoDomain, now, random } = options
  if (cognitoDomain !== undefined) {
    const endpoints = cognitoEndpoints(options.issuer, cognitoDomain)
    return () => Promise.resolve(endpoints)
  }
  let found: Endpoints | undefined
  let dueAt = Number.NEGATIVE_INFINITY
  let failures = 0
  const discovering = new SingleFlight<Endpoints>()
  const ask = async (): Promise<Endpoints> => {
    try {
      found = await discover(options)
      dueAt = now() + discoveryMaxAge
      failures = 0
      return found
    } catch (error) {
      dueAt = now() + backOff(++failures, firstRetry, maxRetry, random())
      throw error
    }
  }
  return async () => {
    if (found !== undefined && now() < dueAt) return found
    const asked = discovering.run(options.issuer, ask)
    if (found === undefined) return asked
    // What it fails by is told where the keys are fetched: they lie where discovery says.
    asked.catch(() => undefined)
    return found
  }
}
