/** Step 14: one request goes to its upstream and the answer comes back; nothing is decided here any more. */
import type { Readable } from 'node:stream'
import { GatewayError } from '../errors.js'
import type { Exchange } from '../exchange.js'
import type { Milliseconds, Now, WireIdentity } from '../identity.js'
import { watchBody } from './body-watch.js'
import type { BodyLimits } from './body-watch.js'
import type { Signer } from './assertion.js'
import type { Connection, Connections } from './connections.js'
import { Relay } from './relay.js'
import { upstreamHeaders } from './request-headers.js'
import type { UpstreamVoice } from './request-headers.js'
import { createTunnel } from './tunnel.js'
import { clientHeaders } from './response-headers.js'
import type { ResponseRules } from './response-headers.js'
import type { createSpool } from './spool.js'

/** An upstream with everything that was made for it at start. */
export interface Upstream {
  readonly name: string
  /** Trac's servers want a type for every body, even an empty one (trac.md §6); Trac names one for all it serves. */
  readonly isTrac: boolean
  readonly url: string
  readonly connections: Connections
  readonly voice: UpstreamVoice
  readonly sign: Signer | undefined
  readonly timeouts: { readonly firstByte: Milliseconds; readonly idle: Milliseconds }
}

/** What forwarding needs besides the upstreams. */
export interface ForwardParts {
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly spool: ReturnType<typeof createSpool>
  readonly anonymousWire: WireIdentity
  readonly responseRules: ResponseRules
  readonly bodyLimits: BodyLimits
  readonly now: Now
  readonly isAlive: (exchange: Exchange) => boolean
  readonly onTunnel: (change: 1 | -1) => void
  readonly refuse: (exchange: Exchange, error: unknown) => void
  readonly onAnswer: (upstream: string, exchange: Exchange, milliseconds: number) => void
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
function hasUnreadBody({ request, headers }: Exchange): boolean {
  return !request.complete && (headers?.chunked === true || (headers?.contentLength ?? 0) > 0)
}

/** Builds the handler. */
export function createForward(parts: ForwardParts) {
  const { now } = parts

  const fail = (exchange: Exchange, upstream: Upstream, fault: GatewayError): void => {
    // A client that leaves in the middle of its body looks like an upstream's fault from here.
    const { request, response } = exchange
    const left = (request.destroyed && !request.complete) || response.destroyed
    const error = left ? new GatewayError('ERR_CLIENT_GONE', { cause: fault }) : fault
    exchange.code = error.code
    exchange.cause = error.details.cause
    if (error.status >= 500) parts.onError(upstream.name, error)
    if (exchange.response.headersSent) {
      // A truncated answer must not look complete.
      exchange.response.destroy()
    } else {
      parts.refuse(exchange, error)
    }
  }

  const headersFor = (exchange: Exchange, upstream: Upstream, outgoing: Outgoing): string[] => {
    const { route, target, identity } = exchange
    const anonymous = route?.access === 'public' || identity === undefined || exchange.preflight
    const wire = anonymous ? parts.anonymousWire : identity.principal.wire
    const length = outgoing.length ?? 0
    // As long as the slowest allowed client may take to send it.
    const bodySeconds = length === 0 ? 0 : 30 + Math.ceil(length / parts.bodyLimits.minimumRate)
    const signed = {
      method: exchange.method,
      host: upstream.voice.host,
      path: target?.path ?? '',
      query: target?.query ?? '',
    }
    const signature = upstream.sign?.(signed, wire, Math.floor(now() / 1000), bodySeconds) ?? ''
    const list = upstreamHeaders(exchange, upstream.voice, wire, signature)
    if (outgoing.length !== undefined) {
      list.push('Content-Length', String(outgoing.length))
      if (upstream.isTrac && exchange.headers?.contentType === '') {
        dropEmptyType(list)
        const type = outgoing.length === 0 ? 'x-www-form-urlencoded' : 'octet-stream'
        list.push('Content-Type', `application/${type}`)
      }
    }
    return list
  }

  const answerHeaders = (
    exchange: Exchange,
    upstream: Upstream,
    raw: readonly Buffer[],
  ): string[] =>
    clientHeaders(raw, parts.responseRules, {
      requestId: exchange.id,
      personal: exchange.identity?.via !== undefined && exchange.route?.access !== 'public',
      byCookie: exchange.identity?.via === 'session',
      declaresTypes: upstream.isTrac,
      setCookies: exchange.setCookies,
    })

  const tunnel = createTunnel({
    headersFor: (exchange, upstream) => headersFor(exchange, upstream, noBody),
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
    exchange: Exchange,
    upstream: Upstream,
    outgoing: Outgoing,
    reusable: boolean,
  ): void => {
    const { method, response, route, target } = exchange
    const connection = upstream.connections.take(reusable)
    const startedAt = performance.now()
    const relay = new Relay(response, connection, method === 'HEAD', {
      headers(_status, raw) {
        parts.onAnswer(upstream.name, exchange, performance.now() - startedAt)
        const headers = answerHeaders(exchange, upstream, raw)
        if (hasUnreadBody(exchange)) headers.push('Connection', 'close')
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
          dispatch(exchange, upstream, outgoing, false)
          return
        }
        outgoing.release()
        fail(exchange, upstream, error)
      },
    })
    const gone = (): void => relay.abort(new GatewayError('ERR_CLIENT_GONE'))
    response.once('close', gone)
    exchange.breakOff = (error) => relay.abort(error)
    connection.client.dispatch(
      {
        path: target?.sent ?? '/',
        method,
        headers: headersFor(exchange, upstream, outgoing),
        body: outgoing.body,
        headersTimeout: route?.timeouts.firstByte ?? upstream.timeouts.firstByte,
        bodyTimeout: route?.timeouts.idle ?? upstream.timeouts.idle,
        // Never `false`: it would keep a connection that undici itself knows to be unsafe.
        ...(reusable ? {} : { reset: true }),
      },
      relay,
    )
  }

  const collect = async (exchange: Exchange): Promise<Outgoing> => {
    const { request, route, identity } = exchange
    const owner = identity?.principal.user || exchange.address
    const limit = route?.bodyLimit ?? 0
    const { length, body, release } = await parts.spool(request, owner, limit)
    return { length, body: length === 0 ? null : body, release }
  }

  /** Reads or streams the body, watched for slowness. */
  const sendBody = (exchange: Exchange, upstream: Upstream, chunked: boolean): void => {
    const { request, response, headers } = exchange
    if (headers?.expectContinue === true) response.writeContinue()
    const tooSlow = new GatewayError('ERR_CLIENT_TIMEOUT')
    const stop = watchBody(request, parts.bodyLimits, now, () => {
      if (exchange.breakOff !== undefined) exchange.breakOff(tooSlow)
      // Its connection ends with the answer, and with it the collecting.
      else parts.refuse(exchange, tooSlow)
    })
    response.once('close', stop)
    if (!chunked) {
      const length = headers?.contentLength ?? 0
      dispatch(exchange, upstream, { body: request, length, release: nothing }, false)
      return
    }
    const isOver = () => response.headersSent || response.destroyed
    collect(exchange)
      .then((outgoing) => {
        // Nobody would be told any more that the client left.
        if (isOver()) outgoing.release()
        else dispatch(exchange, upstream, outgoing, false)
      })
      .catch((error: unknown) => {
        if (!isOver()) parts.refuse(exchange, error)
      })
  }

  return (exchange: Exchange): void => {
    const upstream = parts.upstreams.get(exchange.route?.upstream ?? '')
    if (upstream === undefined) throw new GatewayError('ERR_INTERNAL')
    const { method, headers, response } = exchange
    // The client left while its credential was looked at: nobody would be told any more.
    if (response.destroyed) return
    const chunked = headers?.chunked === true
    if (exchange.tunnel !== undefined) tunnel(exchange, upstream)
    else if (hasNoBody(method)) dispatch(exchange, upstream, noBody, method === 'GET')
    else if (chunked || (headers?.contentLength ?? 0) > 0) sendBody(exchange, upstream, chunked)
    else dispatch(exchange, upstream, { ...noBody, length: 0 }, false)
  }
}
