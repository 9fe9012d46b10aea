/** WebSocket tunnels: the upstream is dialled before 101 is answered, and the tunnel ends with the session. */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../core/errors.js'
import type { RequestContext } from '../request/context.js'
import type { Milliseconds, Timers } from '../core/clock.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import type { Upstream } from './upstream.js'

/** What a tunnel needs. */
export interface TunnelParts {
  /** The headers the upstream receives, signed, without the upgrade's own. */
  readonly headersFor: (context: RequestContext, upstream: Upstream) => string[]
  /** The upstream's headers as the client may see them. */
  readonly clientHeaders: (
    context: RequestContext,
    upstream: Upstream,
    raw: readonly string[],
  ) => string[]
  /** Whether the token or session behind the request is still good. */
  readonly isAlive: (context: RequestContext) => boolean
  readonly fail: (context: RequestContext, upstream: Upstream, error: GatewayError) => void
  readonly onOpen: (change: 1 | -1) => void
  readonly timers: Timers
}

/** How often it is asked whether the session still lives. */
const watchEvery: Milliseconds = 1000

function target(address: UpstreamAddress) {
  if (address.kind === 'unix') return { request: httpRequest, at: { socketPath: address.path } }
  const { host, port, serverName, tls } = address
  return { request: tls ? httpsRequest : httpRequest, at: { host, port, servername: serverName } }
}

/** Carries bytes both ways until either side, or the session, ends. */
function join(
  client: Duplex,
  upstream: Duplex,
  isAlive: () => boolean,
  timers: Timers,
  onEnd: () => void,
): void {
  const timer = timers.setInterval(() => {
    if (!isAlive()) end()
  }, watchEvery)
  timer.unref()
  let over = false
  const end = (): void => {
    if (over) return
    over = true
    timers.clearInterval(timer)
    client.destroy()
    upstream.destroy()
    onEnd()
  }
  for (const side of [client, upstream]) {
    side.on('error', end)
    side.on('close', end)
  }
  client.pipe(upstream)
  upstream.pipe(client)
}

/** Handles an upgrade request that has passed the policy. */
export type Tunnel = (context: RequestContext, client: Duplex, upstream: Upstream) => void

/** Builds the handler. */
export function createTunnel(parts: TunnelParts): Tunnel {
  const accept = (
    context: RequestContext,
    client: Duplex,
    upstream: Upstream,
    answer: IncomingMessage,
    upstreamSocket: Duplex,
    head: Buffer,
  ): void => {
    const { response } = context
    if (client.destroyed) {
      upstreamSocket.destroy()
      return
    }
    const headers = parts.clientHeaders(context, upstream, answer.rawHeaders)
    let text = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
    for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
    context.upgraded = true
    response.detachSocket(context.request.socket)
    client.write(`${text}\r\n`, 'latin1')
    if (head.length > 0) client.write(head)
    parts.onOpen(1)
    join(
      client,
      upstreamSocket,
      () => parts.isAlive(context),
      parts.timers,
      () => {
        parts.onOpen(-1)
        response.emit('close')
      },
    )
  }

  /** An upstream that does not upgrade answers like any other, on a connection that ends with it. */
  const decline = (context: RequestContext, upstream: Upstream, answer: IncomingMessage): void => {
    const headers = parts.clientHeaders(context, upstream, answer.rawHeaders)
    context.response.writeHead(answer.statusCode ?? 502, [...headers, 'Connection', 'close'])
    answer.pipe(context.response)
    answer.once('close', () => {
      // A truncated answer must not look complete.
      if (!answer.complete) context.response.destroy()
    })
  }

  return (context, client, upstream) => {
    const { request, at } = target(upstream.address)
    const fault = (cause: unknown): void =>
      parts.fail(context, upstream, new GatewayError('ERR_UPSTREAM_UNREACHABLE', { cause }))
    const dialled = request({
      ...at,
      method: 'GET',
      path: context.target.sent,
      headers: [
        ...parts.headersFor(context, upstream),
        ...['Connection', 'Upgrade', 'Upgrade', 'websocket'],
      ],
      agent: false,
      setHost: false,
      timeout: upstream.timeouts.firstByte,
    })
    const gone = (): void => void dialled.destroy()
    context.response.once('close', gone)
    dialled.once('timeout', () => {
      dialled.destroy()
      parts.fail(context, upstream, new GatewayError('ERR_UPSTREAM_TIMEOUT'))
    })
    dialled.once('error', fault)
    dialled.once('response', (answer) => decline(context, upstream, answer))
    dialled.once('upgrade', (answer, socket, head) => {
      dialled.off('error', fault)
      // The bytes that follow would be read as another protocol on either side (RFC 9110 §7.8).
      if (answer.headers.upgrade?.toLowerCase() !== 'websocket') {
        socket.destroy()
        parts.fail(context, upstream, new GatewayError('ERR_UPSTREAM_ANSWER'))
        return
      }
      context.response.off('close', gone)
      socket.setTimeout(0)
      accept(context, client, upstream, answer, socket, head)
    })
    dialled.end()
  }
}
