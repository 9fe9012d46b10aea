/** `/auth/verify`: a front proxy asks whether a request may pass, and in whose name. */
import { GatewayError } from '../core/errors.js'
import type { Facts } from '../core/errors.js'
import { comparableHost } from '../core/host.js'
import { isRead } from '../core/methods.js'
import type { PublicUrl } from '../core/public-url.js'
import type { Reply } from '../edge/reply.js'
import type { ProveIdentity } from '../forward/identity-proof.js'
import { schemeOf } from '../request/client-address.js'
import { RequestContext, noEndpoint } from '../request/context.js'
import type { Stage } from '../request/context.js'
import type { EnvironmentAt } from '../request/environment.js'
import { belowBase, parseTarget } from '../request/target.js'
import { readQuery } from '../trac/query.js'
import type { Signer } from '../trac/signature.js'

/** How the front proxy tells of the original request. */
export type Dialect = 'nginx' | 'traefik' | 'caddy' | 'envoy'

/** What the endpoint needs. */
export interface VerifyParts {
  /** Undefined: the endpoint does not exist. */
  readonly dialect: Dialect | undefined
  readonly address: PublicUrl
  /** Bytes of the original target. */
  readonly targetLimit: number
  readonly environmentAt: EnvironmentAt
  /** The stages that the original request is judged by, in their order. */
  readonly stages: readonly Stage[]
  readonly proveIdentity: ProveIdentity
  /** Signs for an upstream, by its name. */
  readonly signerOf: (upstream: string) => Signer | undefined
  /** The cookies that the upstream may see. */
  readonly foreignCookies: (header: string) => string
  readonly reply: Reply
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
  const { found, wanted } = error.details
  return new GatewayError('ERR_ROUTE_DENIED', {
    cause: code,
    detail: message,
    ...(found === undefined ? {} : { found }),
    ...(wanted === undefined ? {} : { wanted }),
  })
}

interface Original {
  readonly method: string
  readonly target: string
  /** Whether its visitor came by plain HTTP where only HTTPS is served. */
  readonly insecure: boolean
}

/** What the front proxy told of the original that can't be judged. */
function badOriginal(found: Facts, wanted: Facts, cause?: string): GatewayError {
  const details = cause === undefined ? {} : { cause }
  return new GatewayError('ERR_ROUTE_DENIED', { found, wanted, ...details })
}

/** A header that came once and whole: a list of two is two proxies' word. */
function single(name: string, value: string): string {
  if (value === '' || /[,\s]/.test(value)) {
    throw badOriginal({ [name]: value }, { [name]: 'exactly one value, sent by the front proxy' })
  }
  return value
}

/** Reads the original request from what the front proxy tells of it, in its dialect. */
function createOriginalReader({ address, dialect, targetLimit, environmentAt }: VerifyParts) {
  const prefix = address.base + verifyPath
  const ownScheme = address.secure ? 'https' : 'http'

  /** Whether the original came by plain HTTP; a scheme that is not ours in another way is refused. */
  const isInsecure = (forwardedProto: string): boolean => {
    // Envoy's file for a gateway on loopback may leave it out: there is nothing to tell.
    if (dialect === 'envoy' && !address.secure && forwardedProto === '') return false
    const scheme = schemeOf(single('x-forwarded-proto', forwardedProto))
    if (scheme === undefined || (scheme === 'https' && !address.secure)) {
      throw badOriginal({ 'x-forwarded-proto': forwardedProto }, { scheme: ownScheme })
    }
    return address.secure && scheme === 'http'
  }

  const readOriginal = ({ headers, target, method }: RequestContext): Original => {
    const inPath = target.path.length > prefix.length
    if (inPath !== (dialect === 'envoy')) {
      const found = { original: inPath ? 'in the path' : 'in headers' }
      throw badOriginal(found, { 'server.forwardAuth': dialect })
    }
    // Envoy hands the original's own Host on.
    const host = inPath ? headers.host : single('x-forwarded-host', headers.forwardedHost)
    if (comparableHost(host, ownScheme) !== address.host) {
      throw badOriginal({ host }, { host: address.host }, 'ERR_HOST_UNKNOWN')
    }
    const insecure = isInsecure(headers.forwardedProto)
    if (inPath) return { method, target: target.sent.slice(prefix.length), insecure }
    // A target may hold commas; one that was doubled has a space after one, which no target may hold.
    return {
      method: single('x-forwarded-method', headers.forwardedMethod),
      target: headers.forwardedUri,
      insecure,
    }
  }

  /** The context of the original request. */
  const restore = (
    context: RequestContext,
    { method, target: rawTarget }: Original,
  ): RequestContext => {
    const target = parseTarget(rawTarget, targetLimit)
    if ('code' in target) {
      const found = { target: rawTarget.split('?', 1)[0] }
      throw badOriginal(found, { target: 'as the client sent it' }, target.code)
    }
    const path = belowBase(target.path, address.base)
    if (path === undefined) throw badOriginal({ path: target.path }, { path: `${address.base}/…` })
    // Proxies keep `Connection` to themselves: `Upgrade` alone tells of a handshake, and there is no tunnel here.
    const isHandshake = context.headers.upgrade.toLowerCase() === 'websocket'
    return new RequestContext({
      request: context.request,
      response: context.response,
      method,
      startedAt: context.startedAt,
      rawTarget,
      headers: context.headers,
      headersFault: undefined,
      target,
      targetFault: undefined,
      id: context.id,
      traceparent: context.traceparent,
      address: context.address,
      scheme: context.scheme,
      trusted: true,
      path,
      isBelowBase: true,
      environment: environmentAt(path),
      upgradeSocket: isHandshake ? context.request.socket : undefined,
      endpoint: noEndpoint,
      identity: context.identity,
    })
  }

  return { readOriginal, restore }
}

/** Builds the endpoint; whoever is not a trusted proxy finds nothing there. */
export function createVerify(parts: VerifyParts) {
  const { address, dialect, reply } = parts
  const { readOriginal, restore } = createOriginalReader(parts)

  /**
   * Whether the front proxy hands a refusal to the client as it is. Envoy does, and its query is the original's; nginx
   * never does: to its `auth_request` a redirect is an error.
   */
  const isDirect = (context: RequestContext): boolean =>
    dialect === 'envoy' ||
    (dialect !== 'nginx' && readQuery(context.target.query).get('login') === 'redirect')

  /** Leads the client to another address of the original. */
  const redirect = (original: RequestContext, status: 302 | 308, location: string): void => {
    if (dialect === 'nginx') throw new GatewayError('ERR_ROUTE_DENIED', { cause: location })
    reply.redirect(original, status, location)
  }

  /** By plain HTTP nothing of the original is judged: it comes again over HTTPS, or is refused. */
  const answerInsecure = (original: RequestContext): void => {
    const { method, target } = original
    if (!isRead(method)) throw new GatewayError('ERR_HTTPS_REQUIRED')
    redirect(original, 308, address.origin + target.sent)
  }

  const refuse = (context: RequestContext, original: RequestContext, error: GatewayError): void => {
    const direct = isDirect(context)
    // Redirects and pages are for browsers; a front proxy that makes its own wants the code.
    reply.refuse(original, toVerdict(error, direct), direct ? 'asker' : 'program')
    context.code = error.code
    context.cause = original.cause
    context.found = error.details.found
    context.wanted = error.details.wanted
  }

  const allow = (original: RequestContext): void => {
    const { route, method, upstream } = original
    const sign = parts.signerOf(upstream)
    const proof = parts.proveIdentity(original, sign, isRead(method) ? 0 : route.bodyLimit)
    const { user, perms, email, name, groups = '', kind = '' } = proof.identityHeaders
    const isTold = proof.version === 2
    const headers = [
      ...['X-Trac-User', user, 'X-Trac-Perms', perms],
      ...['X-Trac-Email', email, 'X-Trac-Name', name],
      ...['X-Trac-Groups', isTold ? groups : '', 'X-Trac-Kind', isTold ? kind : ''],
      ...['X-Trac-Signature', proof.signature],
      // Some proxies replace a header but cannot edit it: these are the cookies without ours.
      ...['Cookie', parts.foreignCookies(original.headers.cookie)],
    ]
    if (numbersCookies.has(dialect)) {
      original.setCookies.forEach((cookie, i) => headers.push(`X-Set-Cookie-${i + 1}`, cookie))
    }
    reply.send(original, 200, headers, '')
  }

  const judge = async (original: RequestContext): Promise<void> => {
    for (const stage of parts.stages) {
      await stage(original)
      if (original.moved !== undefined) {
        redirect(original, 302, original.moved)
        return
      }
    }
    allow(original)
  }

  return async (context: RequestContext): Promise<void> => {
    // No path of ours has one; Envoy's original may, and is judged for it.
    if (dialect !== 'envoy' && context.path.includes('\\')) {
      throw new GatewayError('ERR_TARGET_SLASH')
    }
    if (dialect === undefined || !context.trusted) throw new GatewayError('ERR_ROUTE_UNKNOWN')
    let original = context
    try {
      const asked = readOriginal(context)
      original = restore(context, asked)
      if (asked.insecure) answerInsecure(original)
      else await judge(original)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      refuse(context, original, error)
    } finally {
      context.identity = original.identity
    }
  }
}
