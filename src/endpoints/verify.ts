/** `/auth/verify`: another proxy asks whether a request may pass, and in whose name (deploy/forward-auth/README.md). */
import { GatewayError } from '../core/errors.js'
import { RequestContext } from '../request/context.js'
import type { Stage } from '../request/context.js'
import type { IdentityHeaders } from '../core/identity.js'
import { belowBase, parseTarget } from '../request/target.js'

/** How the front proxy tells of the original request. */
export type Dialect = 'nginx' | 'traefik' | 'caddy' | 'envoy'

/** What the endpoint needs. */
export interface ForwardAuthParts {
  /** Undefined: the endpoint does not exist. */
  readonly dialect: Dialect | undefined
  readonly base: string
  readonly host: string
  readonly proto: 'http' | 'https'
  /** Bytes of the original target. */
  readonly targetLimit: number
  /** The rules that the original request is judged by, in their order. */
  readonly steps: readonly Stage[]
  /** The wire identity for a judged request, and its signature for the upstream of its route. */
  readonly identityHeadersOf: (original: RequestContext) => IdentityHeaders
  readonly sign: (original: RequestContext, identityHeaders: IdentityHeaders) => string
  /** The cookies that the upstream may see. */
  readonly foreignCookies: (header: string) => string
  readonly send: (
    context: RequestContext,
    status: number,
    headers: readonly string[],
    body: string,
  ) => void
  /** Sends a navigation to sign in, answers with a page or in JSON, as for a forwarded request. */
  readonly refuse: (context: RequestContext, error: GatewayError) => void
}

/** Where Envoy's `path_prefix` puts the original target. */
export const verifyPath = '/auth/verify'

/** nginx and Caddy read a header of an answer as one text, so a session in chunks comes by numbered ones, too. */
const numbersCookies: ReadonlySet<Dialect | undefined> = new Set(['nginx', 'caddy'])

/**
 * Front proxies know three answers: whatever else was wrong with the original is a no.
 * @param direct whether the client itself gets it, who is told to wait
 */
function toVerdict(error: GatewayError, direct: boolean): GatewayError {
  const { code, status, message } = error
  if (status === 401 || status === 403 || status >= 500) return error
  if (status === 429 && direct) return error
  return new GatewayError('ERR_ROUTE_DENIED', { cause: code, detail: message })
}

interface Original {
  readonly method: string
  readonly target: string
}

/** A header that came once and whole: a list of two is two proxies' word. */
function single(value: string): string {
  if (value === '' || /[,\s]/.test(value)) throw new GatewayError('ERR_ROUTE_DENIED')
  return value
}

/** Builds the endpoint; whoever is not a trusted proxy finds nothing there. */
export function createForwardAuth(parts: ForwardAuthParts) {
  const prefix = parts.base + verifyPath

  const readOriginal = (context: RequestContext): Original => {
    const { headers, target } = context
    if (headers === undefined || target === undefined) throw new GatewayError('ERR_ROUTE_DENIED')
    const inPath = target.path.length > prefix.length
    if (parts.dialect === 'envoy') {
      if (!inPath) throw new GatewayError('ERR_ROUTE_DENIED')
      return { method: context.method, target: target.sent.slice(prefix.length) }
    }
    if (inPath) throw new GatewayError('ERR_ROUTE_DENIED')
    const host = single(headers.forwardedHost).toLowerCase()
    const proto = single(headers.forwardedProto).toLowerCase()
    if (host !== parts.host || proto !== parts.proto) throw new GatewayError('ERR_ROUTE_DENIED')
    // A target may hold commas; one that was doubled has a space after one, which no target may hold.
    return { method: single(headers.forwardedMethod), target: headers.forwardedUri }
  }

  const restore = (context: RequestContext): RequestContext => {
    const { method, target: raw } = readOriginal(context)
    const target = parseTarget(raw, parts.targetLimit)
    if ('code' in target) throw new GatewayError('ERR_ROUTE_DENIED', { cause: target.code })
    const original = new RequestContext(
      context.request,
      context.response,
      context.startedAt,
      raw,
      target,
      method,
    )
    const path = belowBase(target.path, parts.base)
    if (path === undefined) throw new GatewayError('ERR_ROUTE_DENIED')
    // Proxies keep `Connection` to themselves: `Upgrade` alone tells of a handshake, and there is no tunnel here.
    const handshake = context.headers?.upgrade.toLowerCase() === 'websocket'
    const { socket } = context.request
    Object.assign(original, {
      id: context.id,
      traceparent: context.traceparent,
      headers: context.headers,
      address: context.address,
      secure: context.secure,
      trusted: true,
      tunnel: handshake ? { socket, head: Buffer.alloc(0) } : undefined,
      path,
    })
    return original
  }

  /** Whether the front proxy hands a refusal to the client as it is; Envoy does, and its query is the original's. */
  const isDirect = (context: RequestContext): boolean =>
    parts.dialect === 'envoy' ||
    new URLSearchParams(context.target?.query ?? '').get('login') === 'redirect'

  const refuse = (context: RequestContext, original: RequestContext, error: GatewayError): void => {
    const { headers } = original
    const direct = isDirect(context)
    // Redirects and pages are for browsers; a front proxy that makes its own wants the code.
    if (headers !== undefined && !direct)
      original.headers = { ...headers, accept: '', fetchMode: '' }
    parts.refuse(original, toVerdict(error, direct))
    context.code = error.code
    context.cause = original.cause
  }

  const allow = (original: RequestContext): void => {
    const identityHeaders = parts.identityHeadersOf(original)
    const headers = [
      ...['X-Trac-User', identityHeaders.user, 'X-Trac-Perms', identityHeaders.perms],
      ...['X-Trac-Email', identityHeaders.email, 'X-Trac-Name', identityHeaders.name],
      ...['X-Trac-Signature', parts.sign(original, identityHeaders)],
      // Some proxies replace a header but cannot edit it: these are the cookies without ours.
      ...['Cookie', parts.foreignCookies(original.headers?.cookie ?? '')],
    ]
    if (numbersCookies.has(parts.dialect)) {
      original.setCookies.forEach((cookie, i) => headers.push(`X-Set-Cookie-${i + 1}`, cookie))
    }
    parts.send(original, 200, headers, '')
  }

  return async (context: RequestContext): Promise<void> => {
    if (parts.dialect === undefined || !context.trusted) {
      throw new GatewayError('ERR_ROUTE_UNKNOWN')
    }
    let original = context
    try {
      original = restore(context)
      for (const step of parts.steps) await step(original)
      allow(original)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      refuse(context, original, error)
    } finally {
      context.identity = original.identity
    }
  }
}
