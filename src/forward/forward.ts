/** Sends one request to its upstream and its answer back; nothing is decided here any more. */
import type { Readable } from 'node:stream'
import { GatewayError } from '../core/errors.js'
import type { Milliseconds, Timers } from '../core/clock.js'
import type { FlowLimits } from '../core/flow-meter.js'
import type { RequestContext } from '../request/context.js'
import { hasBody } from '../request/headers.js'
import { watchBody } from './body-watch.js'
import type { Connection } from './connections.js'
import type { ProveIdentity } from './identity-proof.js'
import { Relay } from './relay.js'
import type { RelayEvents } from './relay.js'
import { upstreamHeaders } from './request-headers.js'
import { clientHeaders } from './response-headers.js'
import type { ResponseRules } from './response-headers.js'
import type { createSpool } from './spool.js'
import { createTunnel } from './tunnel.js'
import type { Tunnel } from './tunnel.js'
import type { Upstream } from './upstream.js'

/** What forwarding needs besides the upstreams. */
export interface ForwardParts {
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly spool: ReturnType<typeof createSpool>
  readonly proveIdentity: ProveIdentity
  readonly responseRules: ResponseRules
  readonly bodyLimits: FlowLimits
  readonly timers: Timers
  readonly isAlive: (context: RequestContext) => boolean
  readonly onTunnel: (change: 1 | -1) => void
  readonly refuse: (context: RequestContext, error: unknown) => void
  readonly onAnswer: (upstream: string, context: RequestContext, milliseconds: Milliseconds) => void
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

/** Methods that carry no body here: whatever came with them stays on this side. */
function isBodiless(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** Takes out a type that came without a value: beside another one Trac's servers would join the two. */
function dropEmptyType(list: string[]): void {
  const at = list.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'content-type')
  if (at >= 0) list.splice(at, 2)
}

/** Whether bytes of the request are still to come: the next request can't be told from them. */
function hasUnreadBody({ request, headers }: RequestContext): boolean {
  return !request.complete && hasBody(headers)
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
    })
  }

  /** Forwards one request that has passed every stage. */
  handle(context: RequestContext): void {
    const upstream = this.#parts.upstreams.get(context.route.upstream)
    if (upstream === undefined) throw new GatewayError('ERR_INTERNAL')
    // The client left while its credential was looked at: nobody would be told any more.
    if (context.response.destroyed) return
    const { method, headers, upgradeSocket } = context
    if (upgradeSocket !== undefined) this.#tunnel(context, upgradeSocket, upstream)
    else if (isBodiless(method)) this.dispatch(context, upstream, noBody, method === 'GET')
    else if (hasBody(headers)) this.#sendBody(context, upstream)
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
    attempt.begin(relay)
    connection.client.dispatch(
      {
        path: target.sent,
        method,
        headers: this.#headersFor(context, upstream, outgoing),
        body: outgoing.body,
        headersTimeout: route.timeouts.firstByte ?? upstream.timeouts.firstByte,
        bodyTimeout: route.timeouts.idle ?? upstream.timeouts.idle,
        // Never `false`: it would keep a connection that undici itself knows to be unsafe.
        ...(reusable ? {} : { reset: true }),
      },
      relay,
    )
  }

  /** Tells the client of a fault, and the log and metrics of an upstream's. */
  fail(context: RequestContext, upstream: Upstream, fault: GatewayError): void {
    // A client that leaves in the middle of its body looks like an upstream's fault from here.
    const { request, response } = context
    const left = (request.destroyed && !request.complete) || response.destroyed
    const error = left ? new GatewayError('ERR_CLIENT_GONE', { cause: fault }) : fault
    context.code = error.code
    context.cause = error.details.cause
    if (error.status >= 500) this.#parts.onError(upstream.name, error)
    // A truncated answer must not look complete.
    if (response.headersSent) response.destroy()
    else this.#parts.refuse(context, error)
  }

  /** The head of the upstream's answer as the client gets it. */
  answerHead(
    context: RequestContext,
    upstream: Upstream,
    raw: readonly Buffer[],
    milliseconds: Milliseconds,
  ): string[] {
    this.#parts.onAnswer(upstream.name, context, milliseconds)
    const headers = this.#answerHeaders(context, upstream, raw)
    if (hasUnreadBody(context)) headers.push('Connection', 'close')
    return headers
  }

  #headersFor(context: RequestContext, upstream: Upstream, outgoing: OutgoingBody): string[] {
    const { length } = outgoing
    const proof = this.#parts.proveIdentity(context, upstream.sign, length ?? 0)
    const list = upstreamHeaders(context, upstream.headerRules, proof)
    if (length === undefined) return list
    list.push('Content-Length', String(length))
    if (upstream.isTrac && context.headers.contentType === '') {
      dropEmptyType(list)
      const type = length === 0 ? 'x-www-form-urlencoded' : 'octet-stream'
      list.push('Content-Type', `application/${type}`)
    }
    return list
  }

  #answerHeaders(context: RequestContext, upstream: Upstream, raw: readonly Buffer[]): string[] {
    const { identity, route } = context
    return clientHeaders(raw, this.#parts.responseRules, {
      requestId: context.id,
      personal: identity.via !== undefined && route.access !== 'public',
      byCookie: identity.via === 'session',
      declaresTypes: upstream.isTrac,
      setCookies: context.setCookies,
    })
  }

  /** Streams the body, or collects it first if its length is not known; watched for slowness. */
  #sendBody(context: RequestContext, upstream: Upstream): void {
    const { request, response, headers } = context
    const { bodyLimits, timers } = this.#parts
    if (headers.expectContinue) response.writeContinue()
    const tooSlow = new GatewayError('ERR_CLIENT_TIMEOUT')
    const stop = watchBody(request, bodyLimits, timers, () => {
      if (context.relay !== undefined) context.relay.abort(tooSlow)
      // Its connection ends with the answer, and with it the collecting.
      else this.#parts.refuse(context, tooSlow)
    })
    response.once('close', stop)
    if (headers.chunked) {
      void this.#collectAndSend(context, upstream)
      return
    }
    const outgoing = { body: request, length: headers.contentLength, release: nothing }
    this.dispatch(context, upstream, outgoing, false)
  }

  async #collectAndSend(context: RequestContext, upstream: Upstream): Promise<void> {
    const { request, response, route, identity, address } = context
    const owner = identity.principal.user || address
    const isOver = () => response.headersSent || response.destroyed
    try {
      const { length, body, release } = await this.#parts.spool(request, owner, route.bodyLimit)
      // Nobody would be told any more that the client left.
      if (isOver()) release()
      else {
        const outgoing = { length, body: length === 0 ? null : body, release }
        this.dispatch(context, upstream, outgoing, false)
      }
    } catch (error) {
      if (!isOver()) this.#parts.refuse(context, error)
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
  #relay: Relay | undefined

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

  begin(relay: Relay): void {
    this.#relay = relay
    this.#context.relay = relay
    this.#context.response.once('close', this.#gone)
  }

  readonly #gone = (): void => this.#relay?.abort(new GatewayError('ERR_CLIENT_GONE'))

  headers(_status: number, raw: readonly Buffer[]): string[] {
    const milliseconds = performance.now() - this.#startedAt
    return this.#forward.answerHead(this.#context, this.#upstream, raw, milliseconds)
  }

  done(used: Connection): void {
    this.#context.response.off('close', this.#gone)
    this.#outgoing.release()
    this.#upstream.connections.release(used)
  }

  failed(used: Connection, error: GatewayError, started: boolean, untouched: boolean): void {
    this.#context.response.off('close', this.#gone)
    this.#upstream.connections.discard(used)
    if (this.#reusable && untouched && !started && error.status === 502) {
      this.#forward.dispatch(this.#context, this.#upstream, this.#outgoing, false)
      return
    }
    this.#outgoing.release()
    this.#forward.fail(this.#context, this.#upstream, error)
  }
}
