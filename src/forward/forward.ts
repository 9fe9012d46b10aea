/** Step 14: one request goes to its upstream and the answer comes back; nothing is decided here any more. */
import type { Readable } from 'node:stream'
import { GatewayError } from '../core/errors.js'
import type { RequestContext } from '../request/context.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { IdentityHeaders } from '../core/identity.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import { watchBody } from './body-watch.js'
import type { BodyLimits } from './body-watch.js'
import type { Signer } from '../trac/signature.js'
import type { Connection, Connections } from './connections.js'
import { Relay } from './relay.js'
import { upstreamHeaders } from './request-headers.js'
import type { UpstreamHeaderRules } from './request-headers.js'
import { createTunnel } from './tunnel.js'
import { clientHeaders } from './response-headers.js'
import type { ResponseRules } from './response-headers.js'
import type { createSpool } from './spool.js'

/** An upstream with everything that was made for it at start. */
export interface Upstream {
  readonly name: string
  /** Trac's servers want a type for every body, even an empty one (deploy/docs/trac.md#headers-and-bodies); Trac names one for all it serves. */
  readonly isTrac: boolean
  readonly address: UpstreamAddress
  readonly connections: Connections
  readonly headerRules: UpstreamHeaderRules
  readonly sign: Signer | undefined
  readonly timeouts: { readonly firstByte: Milliseconds; readonly idle: Milliseconds }
}

/** What forwarding needs besides the upstreams. */
export interface ForwardParts {
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly spool: ReturnType<typeof createSpool>
  readonly anonymousHeaders: IdentityHeaders
  readonly responseRules: ResponseRules
  readonly bodyLimits: BodyLimits
  readonly now: Now
  readonly isAlive: (context: RequestContext) => boolean
  readonly onTunnel: (change: 1 | -1) => void
  readonly refuse: (context: RequestContext, error: unknown) => void
  readonly onAnswer: (upstream: string, context: RequestContext, milliseconds: number) => void
  readonly onError: (upstream: string, error: GatewayError) => void
}

/** The body as it goes upstream. */
interface Outgoing {
  readonly body: Buffer | Readable | null
  /** Bytes; undefined for a request without a body. */
  readonly length: number | undefined
  release(): void
}

const nothing = () => undefined
const noBody: Outgoing = { body: null, length: undefined, release: nothing }

/** Methods that carry no body here: whatever came with them stays on this side. */
function hasNoBody(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** Takes out a type that came without a value: beside another one Trac's servers would join the two. */
function dropEmptyType(list: string[]): void {
  const at = list.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'content-type')
  if (at >= 0) list.splice(at, 2)
}

/** Whether bytes of the request are still to come: the next request can't be told from them. */
function hasUnreadBody({ request, headers }: RequestContext): boolean {
  return !request.complete && (headers?.chunked === true || (headers?.contentLength ?? 0) > 0)
}

/** Builds the handler. */
export function createForward(parts: ForwardParts) {
  const { now } = parts

  const fail = (context: RequestContext, upstream: Upstream, fault: GatewayError): void => {
    // A client that leaves in the middle of its body looks like an upstream's fault from here.
    const { request, response } = context
    const left = (request.destroyed && !request.complete) || response.destroyed
    const error = left ? new GatewayError('ERR_CLIENT_GONE', { cause: fault }) : fault
    context.code = error.code
    context.cause = error.details.cause
    if (error.status >= 500) parts.onError(upstream.name, error)
    if (context.response.headersSent) {
      // A truncated answer must not look complete.
      context.response.destroy()
    } else {
      parts.refuse(context, error)
    }
  }

  const headersFor = (
    context: RequestContext,
    upstream: Upstream,
    outgoing: Outgoing,
  ): string[] => {
    const { route, target, identity } = context
    const anonymous = route?.access === 'public' || identity === undefined || context.preflight
    const identityHeaders = anonymous ? parts.anonymousHeaders : identity.principal.identityHeaders
    const length = outgoing.length ?? 0
    // As long as the slowest allowed client may take to send it.
    const bodySeconds = length === 0 ? 0 : 30 + Math.ceil(length / parts.bodyLimits.minimumRate)
    const signed = {
      method: context.method,
      host: upstream.headerRules.host,
      path: target?.path ?? '',
      query: target?.query ?? '',
    }
    const signature =
      upstream.sign?.(signed, identityHeaders, Math.floor(now() / 1000), bodySeconds) ?? ''
    const list = upstreamHeaders(context, upstream.headerRules, identityHeaders, signature)
    if (outgoing.length !== undefined) {
      list.push('Content-Length', String(outgoing.length))
      if (upstream.isTrac && context.headers?.contentType === '') {
        dropEmptyType(list)
        const type = outgoing.length === 0 ? 'x-www-form-urlencoded' : 'octet-stream'
        list.push('Content-Type', `application/${type}`)
      }
    }
    return list
  }

  const answerHeaders = (
    context: RequestContext,
    upstream: Upstream,
    raw: readonly Buffer[],
  ): string[] =>
    clientHeaders(raw, parts.responseRules, {
      requestId: context.id,
      personal: context.identity?.via !== undefined && context.route?.access !== 'public',
      byCookie: context.identity?.via === 'session',
      declaresTypes: upstream.isTrac,
      setCookies: context.setCookies,
    })

  const tunnel = createTunnel({
    headersFor: (context, upstream) => headersFor(context, upstream, noBody),
    clientHeaders: answerHeaders,
    isAlive: parts.isAlive,
    fail,
    onOpen: parts.onTunnel,
  })

  /**
   * Sends it once. Only a GET without a body may share a connection (`reusable`); one whose kept connection had
   * quietly ended is sent once more, on a fresh one.
   */
  const dispatch = (
    context: RequestContext,
    upstream: Upstream,
    outgoing: Outgoing,
    reusable: boolean,
  ): void => {
    const { method, response, route, target } = context
    const connection = upstream.connections.take(reusable)
    const startedAt = performance.now()
    const relay = new Relay(response, connection, method === 'HEAD', {
      headers(_status, raw) {
        parts.onAnswer(upstream.name, context, performance.now() - startedAt)
        const headers = answerHeaders(context, upstream, raw)
        if (hasUnreadBody(context)) headers.push('Connection', 'close')
        return headers
      },
      done(used: Connection) {
        response.off('close', gone)
        outgoing.release()
        upstream.connections.release(used)
      },
      failed(used: Connection, error, started, untouched) {
        response.off('close', gone)
        upstream.connections.discard(used)
        if (reusable && untouched && !started && error.status === 502) {
          dispatch(context, upstream, outgoing, false)
          return
        }
        outgoing.release()
        fail(context, upstream, error)
      },
    })
    const gone = (): void => relay.abort(new GatewayError('ERR_CLIENT_GONE'))
    response.once('close', gone)
    context.breakOff = (error) => relay.abort(error)
    connection.client.dispatch(
      {
        path: target?.sent ?? '/',
        method,
        headers: headersFor(context, upstream, outgoing),
        body: outgoing.body,
        headersTimeout: route?.timeouts.firstByte ?? upstream.timeouts.firstByte,
        bodyTimeout: route?.timeouts.idle ?? upstream.timeouts.idle,
        // Never `false`: it would keep a connection that undici itself knows to be unsafe.
        ...(reusable ? {} : { reset: true }),
      },
      relay,
    )
  }

  const collect = async (context: RequestContext): Promise<Outgoing> => {
    const { request, route, identity } = context
    const owner = identity?.principal.user || context.address
    const limit = route?.bodyLimit ?? 0
    const { length, body, release } = await parts.spool(request, owner, limit)
    return { length, body: length === 0 ? null : body, release }
  }

  /** Reads or streams the body, watched for slowness. */
  const sendBody = (context: RequestContext, upstream: Upstream, chunked: boolean): void => {
    const { request, response, headers } = context
    if (headers?.expectContinue === true) response.writeContinue()
    const tooSlow = new GatewayError('ERR_CLIENT_TIMEOUT')
    const stop = watchBody(request, parts.bodyLimits, now, () => {
      if (context.breakOff !== undefined) context.breakOff(tooSlow)
      // Its connection ends with the answer, and with it the collecting.
      else parts.refuse(context, tooSlow)
    })
    response.once('close', stop)
    if (!chunked) {
      const length = headers?.contentLength ?? 0
      dispatch(context, upstream, { body: request, length, release: nothing }, false)
      return
    }
    const isOver = () => response.headersSent || response.destroyed
    collect(context)
      .then((outgoing) => {
        // Nobody would be told any more that the client left.
        if (isOver()) outgoing.release()
        else dispatch(context, upstream, outgoing, false)
      })
      .catch((error: unknown) => {
        if (!isOver()) parts.refuse(context, error)
      })
  }

  return (context: RequestContext): void => {
    const upstream = parts.upstreams.get(context.route?.upstream ?? '')
    if (upstream === undefined) throw new GatewayError('ERR_INTERNAL')
    const { method, headers, response } = context
    // The client left while its credential was looked at: nobody would be told any more.
    if (response.destroyed) return
    const chunked = headers?.chunked === true
    if (context.tunnel !== undefined) tunnel(context, upstream)
    else if (hasNoBody(method)) dispatch(context, upstream, noBody, method === 'GET')
    else if (chunked || (headers?.contentLength ?? 0) > 0) sendBody(context, upstream, chunked)
    else dispatch(context, upstream, { ...noBody, length: 0 }, false)
  }
}
