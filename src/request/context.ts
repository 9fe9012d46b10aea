/** The request context: what is known of one request. It is complete when the first stage runs; stages add to it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ErrorCode, Facts, GatewayError } from '../core/errors.js'
import type { Identity, Via } from '../core/identity.js'
import type { Scheme } from './client-address.js'
import type { Environment } from './environment.js'
import type { RequestHeaders } from './headers.js'
import type { Route } from './route.js'
import { noRoute } from './route.js'
import type { Target } from './target.js'

/** How a credential can be looked up, for the authentication histogram. */
export const cacheUses = ['hit', 'miss', 'none'] as const
/** One of them. */
export type CacheUse = (typeof cacheUses)[number]

/**
 * Set-Cookie values, or what makes them when the head of the answer is written: a slow answer must not bring back an
 * older session.
 */
export type SetCookies = readonly string[] | (() => readonly string[])

/** Something under way for a request that can be ended early. */
export interface Abortable {
  abort(reason: GatewayError): void
  /** The client's connection is closed; it may be over long since. */
  clientLeft(): void
}

/** A place among the requests that an upstream gets at once. */
export interface Place {
  /** Who gave it. */
  readonly gate: object
}

const noPlaces: readonly Place[] = Object.freeze([])

/** One request and everything that is known of it. */
export class RequestContext {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The method that is judged and sent on. */
  readonly method: string
  /** `performance.now()` when the headers had arrived. */
  readonly startedAt: number
  /** The target as it stood on the wire; `request.url` is rewritten for the router. */
  readonly rawTarget: string
  /** With a `headersFault` all headers count as absent. */
  readonly headers: RequestHeaders
  /** Why the headers are refused; where its message ends is not known then. */
  readonly headersFault: GatewayError | undefined
  /** Canonical. With a `targetFault` it is {@link noTarget}. */
  readonly target: Target
  readonly targetFault: GatewayError | undefined
  readonly id: string
  readonly traceparent: string
  /** The client's address behind trusted proxies. */
  readonly address: string
  /** How the client came to us, or to the first trusted proxy; undefined if the proxy does not say. */
  readonly scheme: Scheme | undefined
  /** Whether the peer is one of `server.trustedProxies`. */
  readonly trusted: boolean
  /** The decoded path below the base path; the empty text for the base path itself, and outside it. */
  readonly path: string
  readonly isBelowBase: boolean
  /** The environment of Trac that `path` lies in; undefined for what goes elsewhere, and where there is one alone. */
  environment: Environment | undefined
  /** The socket of a WebSocket handshake, which waits for its verdict. */
  readonly upgradeSocket: Duplex | undefined
  /** The own endpoint at this path; `noEndpoint` for what is forwarded. */
  readonly endpoint: Endpoint
  /** Whether 101 was answered on `upgradeSocket`. */
  upgraded = false
  /** The row that judges it; `noRoute` lets nobody pass. */
  route: Route = noRoute
  /** The label of logs and metrics: the route's name, or the own endpoint's. */
  routeName = noRoute.name
  /** Who it is from: nobody until a credential is found. */
  identity: Identity
  /** Whether nobody's identity was proven, and Trac is to look at its own cookie or at HTTP Basic (`legacyAuth`). */
  isLegacy = false
  /** Whether a personal token came as the password of HTTP Basic. */
  isBasic = false
  /** Whether the signature of a webhook's delivery was found good. */
  isProven = false
  /** The token that proved the identity, if a Bearer token of the provider did; it may be passed on. */
  bearerToken: string | undefined = undefined
  /** Whether the request is a CORS preflight that is judged as another method. */
  preflight = false
  /** The address, in Trac, of the object that the query names: where a redirect leads. */
  moved: string | undefined = undefined
  /** The path of a second object that the page shows a part of. */
  shows: string | undefined = undefined
  /** Cookies that only the answer which leads to sign-in carries. */
  signInCookies: readonly string[] = []
  /** The page that a sign-in was asked for, canonical: where another try should lead; empty if none is known. */
  returnTo = ''
  cache: CacheUse = 'none'
  /** The code of the refusal or fault that answered, for log and metrics. */
  code: ErrorCode | undefined
  /** What shadow mode let pass. */
  shadowed: ErrorCode | undefined
  cause: unknown = undefined
  /** What whoever asked was told of a refusal. */
  reason: string | undefined = undefined
  /** The facts of the refusal, for the log. */
  found: Facts | undefined = undefined
  wanted: Facts | undefined = undefined
  /** The relay to the upstream, once there is one. Kept as the object itself: a closure here costs a sixth of all CPU. */
  relay: Abortable | undefined = undefined
  /** Places that it has at its upstream. */
  places: readonly Place[] = noPlaces
  upstreamMilliseconds: number | undefined = undefined
  /** How it was answered from files in memory; undefined if it was not. */
  fromCache: string | undefined = undefined
  /** What was signed for the upstream; empty text before, and for one without keys. */
  signature = ''
  #setCookies: SetCookies = []

  constructor(received: ReceivedRequest) {
    this.request = received.request
    this.response = received.response
    this.method = received.method
    this.startedAt = received.startedAt
    this.rawTarget = received.rawTarget
    this.headers = received.headers
    this.headersFault = received.headersFault
    this.target = received.target
    this.targetFault = received.targetFault
    this.id = received.id
    this.traceparent = received.traceparent
    this.address = received.address
    this.scheme = received.scheme
    this.trusted = received.trusted
    this.path = received.path
    this.isBelowBase = received.isBelowBase
    this.environment = received.environment
    this.upgradeSocket = received.upgradeSocket
    this.endpoint = received.endpoint
    this.identity = received.identity
  }

  /** The path as Trac reads it: within its environment. */
  get tracPath(): string {
    return this.environment === undefined ? this.path : this.environment.path
  }

  /** What stands before {@link tracPath}, below the base path. */
  get tracPrefix(): string {
    return this.environment === undefined ? '' : this.environment.prefix
  }

  /** The name of the upstream that gets it: rows for Trac lead to that of the environment. */
  get upstream(): string {
    const { upstream } = this.route
    return this.environment !== undefined && upstream === 'trac'
      ? this.environment.upstream
      : upstream
  }

  /** By which credential it comes; undefined: by none that counts. */
  get via(): Via | 'legacy' | undefined {
    return this.isLegacy ? 'legacy' : this.identity.via
  }

  /** Whether its credential is one that a browser sends by itself, whoever's page asks: a cookie, or HTTP Basic. */
  get isAmbient(): boolean {
    return this.isLegacy || this.isBasic || this.identity.via === 'session'
  }

  /** Whether it is a webhook's delivery whose signature was not found good yet: whose it is was only claimed. */
  get isClaimed(): boolean {
    return this.route.webhook !== undefined && !this.isProven
  }

  /** What every answer should carry; settled the first time it is asked for, when the answer begins. */
  get setCookies(): readonly string[] {
    if (typeof this.#setCookies === 'function') this.#setCookies = this.#setCookies()
    return this.#setCookies
  }

  set setCookies(cookies: SetCookies) {
    this.#setCookies = cookies
  }
}

/** What is known before any stage ran. */
export type ReceivedRequest = Pick<
  RequestContext,
  | ('request' | 'response' | 'method' | 'startedAt' | 'rawTarget' | 'headers' | 'headersFault')
  | ('target' | 'targetFault' | 'id' | 'traceparent' | 'address' | 'scheme' | 'trusted')
  | ('path' | 'isBelowBase' | 'environment' | 'upgradeSocket' | 'endpoint' | 'identity')
>

/**
 * One check of a request. It adds facts to the context, throws a GatewayError to refuse, or answers by itself and
 * returns `answered`; nothing later runs then.
 */
export type Stage = (context: RequestContext) => StageResult | Promise<StageResult>

/** What a stage returns: nothing, so that the next one runs, or that it has answered. */
export type StageResult = void | 'answered'

/** One of the gateway's own endpoints: a row of the table in `app/endpoints.ts`. */
export interface Endpoint {
  /** Below the base path. */
  readonly path: string
  /** Whether everything below `path` is this endpoint too. */
  readonly below?: boolean
  /** Whether it is Trac's own address, so that each environment has it, too. */
  readonly inTrac?: boolean
  /** The label of logs and metrics. */
  readonly name: string
  readonly methods: readonly string[]
  /**
   * How `rateLimit.auth` counts: by client address (`address`; `body`: only requests with a body, since a class behind one
   * address renews its sessions by cookie), by who asks (`principal`), or not at all.
   */
  readonly limit: 'address' | 'body' | 'principal' | 'none'
  /**
   * Who is looked for before the handler runs: nobody, whoever can be recognised (`lenient`: a bad credential is nobody's),
   * or whoever the credential names, which must be good (`strict`).
   */
  readonly credential: 'unread' | 'lenient' | 'strict'
  /** Who may call it by any Host and scheme: everybody, trusted proxies, or nobody. */
  readonly anyHost: 'everybody' | 'trusted' | 'nobody'
  /** What a body that can't be taken is answered with, where a standard knows no 413. */
  readonly bodyFault?: ErrorCode
  readonly handle: (context: RequestContext, body: Buffer) => Promise<void>
}

/** The endpoint of a request that is forwarded. */
export const noEndpoint: Endpoint = Object.freeze({
  path: '',
  name: 'none',
  methods: [],
  limit: 'none',
  credential: 'unread',
  anyHost: 'nobody',
  handle: () => Promise.reject(new Error('noEndpoint has no handler')),
})
