/** What the stages of a request's way have learnt about it so far: each adds a fact, the next ones read it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ErrorCode, GatewayError } from '../core/errors.js'
import type { Identity } from '../core/identity.js'
import type { Route } from './route.js'
import type { BadTarget, Target } from './target.js'

/** The headers that stages ask for, read from the wire in one pass; empty text if absent. */
export interface RequestHeaders {
  host: string
  authorization: string
  /** All `Cookie` fields, joined as RFC 6265bis allows. */
  cookie: string
  origin: string
  referer: string
  accept: string
  fetchSite: string
  fetchMode: string
  requestedWith: boolean
  contentType: string
  /** Bytes; -1 if the header is absent. */
  contentLength: number
  chunked: boolean
  expectContinue: boolean
  upgrade: string
  preflightMethod: string
  requestId: string
  traceparent: string
  forwarded: string
  forwardedFor: string
  forwardedProto: string
  forwardedHost: string
  forwardedMethod: string
  forwardedUri: string
}

/** How a credential was looked up, for the authentication histogram. */
export type CacheUse = 'hit' | 'miss' | 'none'

/** Set-Cookie values, or what makes them when the head of the answer is written: a slow answer must not bring back an older session. */
export type SetCookies = readonly string[] | (() => readonly string[])

/** One request and everything known of it. */
export class RequestContext {
  readonly request: IncomingMessage
  /** The method that is judged and sent on. */
  readonly method: string
  readonly response: ServerResponse
  /** The socket of a request that asks for an upgrade, and what came after its headers. */
  tunnel: { readonly socket: Duplex; readonly head: Buffer } | undefined = undefined
  /** Whether 101 was answered on that socket. */
  upgraded = false
  /** `performance.now()` when the request's headers had arrived. */
  readonly startedAt: number
  /** As it stood on the wire: `request.url` is rewritten for the router. */
  readonly rawTarget: string
  readonly target: Target | undefined
  /** Why there is no target. */
  readonly targetFault: ErrorCode | undefined
  headers: RequestHeaders | undefined
  id = ''
  traceparent = ''
  /** The client's address behind trusted proxies. */
  address = ''
  /** Whether the client reached us, or a trusted proxy, over HTTPS. */
  secure = false
  /** Whether the peer is one of `server.trustedProxies`. */
  trusted = false
  /** The decoded path below the base path. */
  path = ''
  /** The row that judges it; its name is the metric's label. */
  route: Route | undefined
  /** The label of own endpoints and of requests that matched nothing. */
  routeName = 'none'
  identity: Identity | undefined
  /** Whether the request is a CORS preflight that is judged as another method. */
  preflight = false
  #setCookies: SetCookies = []
  /** What the answer that leads to sign-in should carry besides: a session that can't be renewed goes there. */
  leaveCookies: readonly string[] = []
  cache: CacheUse = 'none'
  /** The code of the refusal or fault that answered, for log and metrics. */
  code: ErrorCode | undefined
  /** What shadow mode let pass. */
  shadowed: ErrorCode | undefined
  cause: unknown = undefined
  /** Breaks off the exchange with the upstream, once there is one. */
  breakOff: ((error: GatewayError) => void) | undefined = undefined
  upstreamMilliseconds: number | undefined = undefined

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    startedAt: number,
    rawTarget: string,
    target: Target | BadTarget,
    method = request.method ?? '',
  ) {
    this.request = request
    this.method = method
    this.response = response
    this.startedAt = startedAt
    this.rawTarget = rawTarget
    this.target = 'code' in target ? undefined : target
    this.targetFault = 'code' in target ? target.code : undefined
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

/**
 * One step of the way. It adds facts to the exchange, throws a GatewayError to refuse, or answers by itself
 * and says so with `answered`; nothing later runs then.
 */
export type Stage = (context: RequestContext) => StageResult | Promise<StageResult>

/** What a stage leaves behind: nothing, so that the next one runs, or the answer. */
export type StageResult = void | 'answered'
