/** Reads a request off the wire into its context: target, headers, client, ids. Nothing is judged here but the form. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../core/errors.js'
import type { Identity } from '../core/identity.js'
import type { Client } from './client-address.js'
import { RequestContext } from './context.js'
import type { Endpoint } from './context.js'
import type { Environment, EnvironmentAt } from './environment.js'
import { noHeaders, scanHeaders } from './headers.js'
import type { RequestHeaders } from './headers.js'
import type { createRequestNames } from './request-id.js'
import { belowBase, noTarget, parseTarget } from './target.js'
import type { BadTarget } from './target.js'

/** What reading depends on. */
export interface RequestReaderParts {
  /** The base path, empty text for none. */
  readonly base: string
  /** Bytes that a target may have as it is sent on. */
  readonly targetLimit: number
  readonly names: ReturnType<typeof createRequestNames>
  readonly resolveClient: (socket: Socket, headers: RequestHeaders) => Client
  /** The own endpoint at a path below the base path, in this environment; or `noEndpoint`. */
  readonly endpointAt: (path: string, environment: Environment | undefined) => Endpoint
  readonly environmentAt: EnvironmentAt
  readonly anonymous: Identity
}

/** Reads one request; never throws: what is wrong with it stands in the context. */
export type ReadRequest = (
  request: IncomingMessage,
  response: ServerResponse,
  upgradeSocket: Duplex | undefined,
) => RequestContext

/** A header that counts once and came twice, or a message whose end two parsers could see elsewhere. */
function readHeaders(request: IncomingMessage): [RequestHeaders, GatewayError | undefined] {
  try {
    const headers = scanHeaders(request)
    // HTTP/1.0 knows no Host (RFC 9112 §3.2 asks for it from 1.1 on).
    if (headers.host === '' && request.httpVersion !== '1.0') {
      return [
        noHeaders,
        new GatewayError('ERR_HEADER_INVALID', { found: { header: 'host', value: '' } }),
      ]
    }
    return [headers, undefined]
  } catch (error) {
    if (error instanceof GatewayError) return [noHeaders, error]
    throw error
  }
}

function targetFault({ code }: BadTarget, raw: string, limit: number): GatewayError {
  if (code !== 'ERR_TARGET_TOO_LONG') return new GatewayError(code)
  const wanted = { bytes: limit, key: 'server.limits.target' }
  return new GatewayError(code, { found: { bytes: raw.length }, wanted })
}

/** Builds the reader. */
export function createRequestReader(parts: RequestReaderParts): ReadRequest {
  const { names, base, anonymous, environmentAt } = parts
  return (request, response, upgradeSocket) => {
    const startedAt = performance.now()
    const rawTarget = request.url ?? ''
    const read = parseTarget(rawTarget, parts.targetLimit)
    const target = 'code' in read ? noTarget : read
    const path = target === noTarget ? undefined : belowBase(target.path, base)
    const environment = environmentAt(path ?? '')
    const [headers, headersFault] = readHeaders(request)
    const client = parts.resolveClient(request.socket, headers)
    return new RequestContext({
      request,
      response,
      method: request.method ?? '',
      startedAt,
      rawTarget,
      headers,
      headersFault,
      target,
      targetFault: 'code' in read ? targetFault(read, rawTarget, parts.targetLimit) : undefined,
      id: names.id(headers.requestId),
      traceparent: names.trace(headers.traceparent),
      address: client.address,
      scheme: client.scheme,
      trusted: client.trusted,
      path: path ?? '',
      isBelowBase: path !== undefined,
      environment,
      upgradeSocket,
      endpoint: parts.endpointAt(path ?? '', environment),
      identity: anonymous,
    })
  }
}
