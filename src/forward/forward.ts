/** Sends one request to its upstream and its answer back; nothing is decided here any more. */
import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { GatewayError } from '../core/errors.js'
import type { Milliseconds, Timers } from '../core/clock.js'
import type { FlowLimits } from '../core/flow-meter.js'
import { principalKey } from '../core/identity.js'
import { isRead } from '../core/methods.js'
import { addressKey } from '../core/network.js'
import type { RequestContext } from '../request/context.js'
import { hasBody } from '../request/headers.js'
import { watchBody } from './body-watch.js'
import type { Compression } from './compression.js'
import type { Connection, UpstreamRequest } from './connection.js'
import { isToldToUpstream } from './identity-proof.js'
import type { IdentityProof, ProveIdentity } from './identity-proof.js'
import type { JudgePlugin } from './plugin-proof.js'
import { Relay } from './relay.js'
import type { RelayEvents } from './relay.js'
import { upstreamHeaders } from './request-headers.js'
import { clientHeaders } from './response-headers.js'
import type { ResponseRules } from './response-headers.js'
import type { createSpool } from './spool.js'
import { createTunnel } from './tunnel.js'
import type { Tunnel } from './tunnel.js'
import type { Upstream } from './upstream.js'

/** Judges the signature of a webhook's body: of each chunk as it comes, then of the whole. */
export interface BodyProof {
  readonly update: (chunk: Buffer) => void
  /** @throws {@link GatewayError} (rejects) ERR_WEBHOOK_SIGNATURE, ERR_WEBHOOK_REPLAYED, ERR_STORE_UNAVAILABLE */
  readonly finish: () => Promise<void>
}

/** What forwarding needs besides the upstreams. */
export interface ForwardParts {
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly spool: ReturnType<typeof createSpool>
  readonly proveIdentity: ProveIdentity
  readonly proveBody: (context: RequestContext) => BodyProof
  readonly responseRules: ResponseRules
  readonly bodyLimits: FlowLimits
  readonly timers: Timers
  readonly isAlive: (context: RequestContext) => boolean
  readonly onTunnel: (change: 1 | -1) => void
  readonly refuse: (context: RequestContext, error: unknown) => void
  readonly onAnswer: (upstream: string, context: RequestContext, milliseconds: Milliseconds) => void
  readonly judgePlugin: JudgePlugin
  /** Undefined where `compression` is off. */
  readonly compression: Compression | undefined
  readonly onError: (upstream: string, error: GatewayError) => void
}

/** The body as it goes upstream. */
interface OutgoingBody {
  readonly body: Buffer | Readable | null
  /** Bytes; undefined for a request without a body. */
  readonly length: number | undefined
  release(): void
}

const nothing = () => undefined
const noBody: OutgoingBody = { body: null, length: undefined, release: nothing }
const emptyBody: OutgoingBody = { ...noBody, length: 0 }

/** Whether a body is sent on. Trac's servers would take that of a GET for the next request, and its RPC waits for it. */
export function bringsBody(
  { method, headers }: Pick<RequestContext, 'method' | 'headers'>,
  { isTrac }: Pick<Upstream, 'isTrac'>,
): boolean {
  return hasBody(headers) && !(isTrac && isRead(method))
}

/** The body as a stream of its own: undici destroys what it reads from, and the client's connection would go with it. */
function passageOf(request: IncomingMessage): PassThrough {
  const passage = new PassThrough()
  passage.on('error', nothing)
  request.pipe(passage)
  request.once('close', () => {
    if (!request.complete) passage.destroy(new Error('the client left'))
  })
  // What nobody wants any more is thrown away, so that its client comes to read the answer.
  passage.once('close', () => {
    request.unpipe(passage)
    request.resume()
  })
  return passage
}

/** Whether an answer has no end of its own (https://html.spec.whatwg.org/#server-sent-events). */
function isEventStream(headers: readonly string[]): boolean {
  const at = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'content-type')
  return at >= 0 && headers[at + 1]!.toLowerCase().startsWith('text/event-stream')
}

/** Takes out a type that came without a value: beside another one Trac's servers would join the two. */
function dropEmptyType(list: string[]): void {
  const at = list.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'content-type')
  if (at >= 0) list.splice(at, 2)
}

/** Methods that say so where they bring no content (RFC 9110 §8.6); undici leaves the length away of all others. */
const methodsWithContent: ReadonlySet<string> = new Set([
  'POST',
  'PUT',
  'PATCH',
  'QUERY',
  'PROPFIND',
  'PROPPATCH',
])

/** The headers for an upstream, with those of the body: `length` is undefined where none is sent on. */
export function outgoingHeaders(
  context: RequestContext,
  upstream: Upstream,
  proof: IdentityProof,
  length: number | undefined,
): string[] {
  const list = upstreamHeaders(context, upstream.headerRules, proof, length === undefined)
  if (length === undefined) return list
  if (length > 0 || methodsWithContent.has(context.method)) {
    list.push('Content-Length', String(length))
  }
  if (upstream.isTrac && context.headers.contentType === '') {
    dropEmptyType(list)
    const type = length === 0 ? 'x-www-form-urlencoded' : 'octet-stream'
    list.push('Content-Type', `application/${type}`)
  }
  return list
}

/** Whether bytes of the request are still to come: the next request can't be told from them. */
function hasUnreadBody({ request, headers }: RequestContext): boolean {
  return !request.complete && hasBody(headers)
}

/** Whether the upstream answered before it had been sent the whole body: the rest of it is given up. */
function isGivenUp({ body }: OutgoingBody): boolean {
  return body instanceof Readable && !body.readableEnded
}

/** Forwards the requests of one gateway. */
export class Forward {
  readonly #parts: ForwardParts
  readonly #tunnel: Tunnel

  constructor(parts: ForwardParts) {
    this.#parts = parts
    this.#tunnel = createTunnel({
      headersFor: (context, upstream) => this.#headersFor(context, upstream, noBody),
      clientHeaders: (context, upstream, raw) => this.#answerHeaders(context, upstream, raw),
      isAlive: parts.isAlive,
      fail: (context, upstream, error) => this.fail(context, upstream, error),
      onOpen: parts.onTunnel,
      timers: parts.timers,
    })
  }

  /** Forwards one request that has passed every stage. */
  handle(context: RequestContext): void {
    const upstream = this.#parts.upstreams.get(context.upstream)
    if (upstream === undefined) throw new GatewayError('ERR_INTERNAL')
    // The client left while its credential was looked at: nobody would be told any more.
    if (context.response.destroyed) return
    if (context.isClaimed || (context.headers.chunked && bringsBody(context, upstream))) {
      void this.#collectAndSend(context, upstream)
    } else this.#enter(context, upstream, undefined)
  }

  /** Begins it as soon as it has a place at its upstream. */
  #enter(context: RequestContext, upstream: Upstream, collected: OutgoingBody | undefined): void {
    const gate = context.upgradeSocket === undefined ? upstream.requests : upstream.tunnels
    if (!gate.take(context)) {
      gate.wait(
        context,
        () => this.#begin(context, upstream, collected),
        (error) => this.#parts.refuse(context, error),
      )
      return
    }
    try {
      this.#begin(context, upstream, collected)
    } catch (error) {
      gate.release(context)
      throw error
    }
  }

  #begin(context: RequestContext, upstream: Upstream, collected: OutgoingBody | undefined): void {
    const { method, response, upgradeSocket } = context
    if (upgradeSocket !== undefined) {
      response.once('close', () => upstream.tunnels.release(context))
      this.#tunnel(context, upgradeSocket, upstream)
    } else if (collected !== undefined) this.dispatch(context, upstream, collected, false)
    else if (bringsBody(context, upstream)) this.#stream(context, upstream)
    else if (isRead(method)) this.dispatch(context, upstream, noBody, method === 'GET')
    else this.dispatch(context, upstream, emptyBody, false)
  }

  /**
   * Sends it once. Only a GET without a body may share a connection (`reusable`); one whose kept connection had
   * quietly ended is sent once more, on a fresh one.
   */
  dispatch(
    context: RequestContext,
    upstream: Upstream,
    outgoing: OutgoingBody,
    reusable: boolean,
  ): void {
    const { method, response, route, target } = context
    const connection = upstream.connections.take(reusable)
    const attempt = new Attempt(this, context, upstream, outgoing, reusable)
    const relay = new Relay(response, connection, method === 'HEAD', attempt)
    context.relay = relay
    const { timeouts } = route
    const request: UpstreamRequest = {
      method,
      path: target.sent,
      headers: this.#headersFor(context, upstream, outgoing),
      body: outgoing.body,
      firstByte: timeouts.firstByte ?? upstream.timeouts.firstByte,
      idle: timeouts.idle ?? upstream.timeouts.idle,
    }
    connection.send(request, relay)
  }

  /** Tells the client of a fault, and the log and metrics of an upstream's. */
  fail(context: RequestContext, upstream: Upstream, fault: GatewayError): void {
    // A client that leaves in the middle of its body looks like an upstream's fault from here.
    const { request, response } = context
    const left = (request.destroyed && !request.complete) || response.destroyed
    const error = left ? new GatewayError('ERR_CLIENT_GONE', { cause: fault }) : fault
    context.code = error.code
    context.cause = error.details.cause
    // A full gate is ours, not the upstream's.
    const isUpstreams = error.status >= 500 && error.code !== 'ERR_UPSTREAM_BUSY'
    if (isUpstreams) this.#parts.onError(upstream.name, error)
    // A truncated answer must not look complete.
    if (response.headersSent) response.destroy()
    else this.#parts.refuse(context, error)
  }

  /** The head of the upstream's answer as the client gets it. */
  answerHead(
    context: RequestContext,
    upstream: Upstream,
    outgoing: OutgoingBody,
    status: number,
    raw: readonly string[],
    milliseconds: Milliseconds,
  ): string[] {
    this.#parts.onAnswer(upstream.name, context, milliseconds)
    this.#parts.judgePlugin(context, upstream, status, raw)
    const headers = this.#answerHeaders(context, upstream, raw)
    if (isEventStream(headers)) {
      upstream.tunnels.takeOrRefuse(context)
      upstream.requests.release(context)
    }
    if (hasUnreadBody(context) || isGivenUp(outgoing)) headers.push('Connection', 'close')
    this.#parts.compression?.apply(context, status, headers)
    return headers
  }

  #headersFor(context: RequestContext, upstream: Upstream, outgoing: OutgoingBody): string[] {
    const { length } = outgoing
    const proof = this.#parts.proveIdentity(context, upstream.sign, length ?? 0)
    context.signature = proof.signature
    return outgoingHeaders(context, upstream, proof, length)
  }

  #answerHeaders(context: RequestContext, upstream: Upstream, raw: readonly string[]): string[] {
    return clientHeaders(raw, this.#parts.responseRules, {
      requestId: context.id,
      personal: context.via !== undefined && isToldToUpstream(context),
      byCookie: context.isAmbient,
      byTrac: context.isLegacy,
      declaresTypes: upstream.isTrac,
      setCookies: context.setCookies,
    })
  }

  /** Lets a body come, and watches it for slowness. */
  #welcomeBody(context: RequestContext): void {
    const { request, response, headers } = context
    const { bodyLimits, timers } = this.#parts
    if (headers.expectContinue) response.writeContinue()
    const stop = watchBody(request, bodyLimits, timers, () => {
      const tooSlow = new GatewayError('ERR_CLIENT_TIMEOUT')
      if (context.relay !== undefined) context.relay.abort(tooSlow)
      // Its connection ends with the answer, and with it the collecting.
      else this.#parts.refuse(context, tooSlow)
    })
    response.once('close', stop)
  }

  #stream(context: RequestContext, upstream: Upstream): void {
    this.#welcomeBody(context)
    const { request, headers } = context
    const outgoing = {
      body: passageOf(request),
      length: headers.contentLength,
      release: nothing,
    }
    this.dispatch(context, upstream, outgoing, false)
  }

  /** Collects a body whose length is not known, or whose signature is to be judged, before it takes a place. */
  async #collectAndSend(context: RequestContext, upstream: Upstream): Promise<void> {
    const { request, response, route, identity, address } = context
    this.#welcomeBody(context)
    const { isClaimed } = context
    // Who is only claimed takes nothing of anybody's share.
    const isNobody = isClaimed || identity.via === undefined
    const owner = isNobody ? addressKey(address) : principalKey(identity.principal)
    const isOver = () => response.headersSent || response.destroyed
    try {
      const proof = isClaimed ? this.#parts.proveBody(context) : undefined
      const spooled = await this.#parts.spool(request, owner, route.bodyLimit, proof?.update)
      const { length, body, release } = spooled
      await proof?.finish().catch((error: unknown) => {
        release()
        throw error
      })
      // Nobody would be told any more that the client left.
      if (isOver()) release()
      else {
        // It may leave, or be refused, while it waits.
        response.once('close', release)
        this.#enter(context, upstream, { length, body: length === 0 ? null : body, release })
      }
    } catch (error) {
      if (!isOver()) this.#parts.refuse(context, error)
      // The rest of the body, so that its client comes to read why.
      request.resume()
    }
  }
}

/** One sending of a request: what its relay tells. */
class Attempt implements RelayEvents {
  readonly #forward: Forward
  readonly #context: RequestContext
  readonly #upstream: Upstream
  readonly #outgoing: OutgoingBody
  readonly #reusable: boolean
  readonly #startedAt = performance.now()

  constructor(
    forward: Forward,
    context: RequestContext,
    upstream: Upstream,
    outgoing: OutgoingBody,
    reusable: boolean,
  ) {
    this.#forward = forward
    this.#context = context
    this.#upstream = upstream
    this.#outgoing = outgoing
    this.#reusable = reusable
  }

  headers(status: number, raw: readonly string[]): string[] {
    const milliseconds = performance.now() - this.#startedAt
    return this.#forward.answerHead(
      this.#context,
      this.#upstream,
      this.#outgoing,
      status,
      raw,
      milliseconds,
    )
  }

  done(used: Connection): void {
    this.#outgoing.release()
    this.#upstream.connections.release(used)
    this.#leave()
  }

  failed(used: Connection, error: GatewayError, started: boolean, untouched: boolean): void {
    this.#upstream.connections.discard(used)
    if (this.#reusable && untouched && !started && error.status === 502) {
      this.#forward.dispatch(this.#context, this.#upstream, this.#outgoing, false)
      return
    }
    this.#outgoing.release()
    this.#forward.fail(this.#context, this.#upstream, error)
    this.#leave()
  }

  /** Gives its place to who is next. */
  #leave(): void {
    this.#upstream.requests.release(this.#context)
    this.#upstream.tunnels.release(this.#context)
  }
}
