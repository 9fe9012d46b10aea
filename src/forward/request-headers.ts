/** The headers an upstream receives: what a client may not say is dropped, and what we say is set, in one function. */
import { isRead } from '../core/methods.js'
import type { RequestContext } from '../request/context.js'
import type { OfText } from '../request/last-text.js'
import { rememberNames } from './by-name.js'
import { connectionNames } from './connection-names.js'
import { isToldToUpstream } from './identity-proof.js'
import type { IdentityProof } from './identity-proof.js'

/**
 * Dropped, whatever they hold. Each group says what goes wrong if one is kept.
 * @see RFC 9110 §7.6.1
 */
const dropped: ReadonlySet<string> = new Set([
  // Framing and the connection are ours on either side: kept, two hops disagree where a message ends.
  ...['connection', 'content-length', 'expect', 'http2-settings', 'keep-alive', 'proxy-connection'],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade'],
  // Ours to say: kept, a client writes its own address, scheme, host or request id.
  ...['host', 'forwarded', 'via', 'x-request-id', 'traceparent', 'x-real-ip', 'x-client-ip'],
  ...['cf-connecting-ip', 'true-client-ip', 'x-cluster-client-ip'],
  // Credentials for us, rewritten or kept back.
  ...[
    'authorization',
    'cookie',
    'proxy-authenticate',
    'proxy-authorization',
    'proxy-authentication-info',
  ],
  // Identity that some server or plugin believes: kept, anybody is anybody.
  ...['remote-user', 'remote-name', 'remote-email', 'remote-groups', 'remote-addr', 'auth-user'],
  ...['x-remote-user', 'x-remote-name', 'x-remote-email', 'x-remote-groups', 'x-remote-group'],
  ...['x-auth-user', 'x-authenticated-user', 'x-user', 'x-webauth-user', 'x-proxy-user'],
  // Targets that some framework prefers to the request line: kept, policy judges another path than is served.
  ...['x-original-url', 'x-original-uri', 'x-original-method', 'x-rewrite-url', 'x-rewrite-uri'],
  ...['script-name', 'path-info', 'x-script-name', 'x-http-method', 'x-http-method-override'],
  ...['x-method-override'],
  // CGI turns it into HTTP_PROXY, by which libraries choose a proxy (httpoxy).
  'proxy',
])

const droppedPrefixes = ['x-forwarded-', 'x-trac-', 'x-auth-request-', 'x-envoy-', 'x-amzn-oidc-']

/** Whether a client's header, by its lower-case name, goes no further. WSGI servers fold `_` to `-`. */
export function isDropped(name: string): boolean {
  if (dropped.has(name) || name.includes('_')) return true
  return droppedPrefixes.some((prefix) => name.startsWith(prefix))
}

/** What is said to one upstream, made once at start. */
export interface UpstreamHeaderRules {
  /** `Host` as the upstream sees it: that of the public address. */
  readonly host: string
  readonly proto: 'http' | 'https'
  /** Names us, and the key that we sign with by its fingerprint (RFC 9110 §7.6.3). */
  readonly via: string
  readonly foreignCookies: OfText<string>
  /** The same, and Trac's own. */
  readonly legacyCookies: OfText<string>
  readonly forwardAccessToken: boolean
}

const drops = rememberNames(isDropped)

/**
 * Builds the flat list for an upstream: the client's headers less the dropped ones, then ours.
 * Nothing a client sends can come after or beside what is set here.
 * @param withoutBody what came as a body stays here
 */
export function upstreamHeaders(
  context: RequestContext,
  headerRules: UpstreamHeaderRules,
  { identityHeaders, signature, version }: IdentityProof,
  withoutBody: boolean,
): string[] {
  const raw = context.request.rawHeaders
  const named = connectionNames(raw)
  const list: string[] = ['Host', headerRules.host]
  // The type of a body that is not sent on: Trac's RPC would wait for it, whatever the method.
  const typed = isRead(context.method) && withoutBody && context.headers.contentType !== ''
  const { webhook } = context.route
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    // The secret itself.
    if (webhook === 'gitlab' && name.toLowerCase() === 'x-gitlab-token') continue
    if (drops(name) || (named !== undefined && named.has(name.toLowerCase()))) continue
    if (typed && name.toLowerCase() === 'content-type') continue
    list.push(name, raw[i + 1]!)
  }
  const cookiesOf = context.isLegacy ? headerRules.legacyCookies : headerRules.foreignCookies
  const brought = webhook === undefined ? context.headers.cookie : ''
  const cookie = cookiesOf(brought, context.request.socket)
  if (cookie !== '') list.push('Cookie', cookie)
  const accessToken =
    headerRules.forwardAccessToken && isToldToUpstream(context)
      ? (context.identity.accessToken ?? context.bearerToken)
      : undefined
  if (accessToken !== undefined) list.push('Authorization', `Bearer ${accessToken}`)
  // No Bearer token: it would have been judged. What is neither that nor Basic means nothing to Trac.
  const isBasic = context.isLegacy && /^basic /i.test(context.headers.authorization)
  if (isBasic) list.push('Authorization', context.headers.authorization)
  list.push(
    'X-Forwarded-For',
    context.address,
    'X-Forwarded-Proto',
    headerRules.proto,
    'X-Forwarded-Host',
    headerRules.host,
    'X-Request-Id',
    context.id,
    'Traceparent',
    context.traceparent,
    'Via',
    headerRules.via,
  )
  const { groups = '', kind = '' } = identityHeaders
  // Nobody is named to Trac where it is to look by itself.
  if (kind !== 'legacy') {
    list.push('X-Trac-User', identityHeaders.user, 'X-Trac-Perms', identityHeaders.perms)
  }
  if (version === 2 && groups !== '') list.push('X-Trac-Groups', groups)
  if (version === 2 && kind !== '') list.push('X-Trac-Kind', kind)
  if (identityHeaders.email !== '') list.push('X-Trac-Email', identityHeaders.email)
  if (identityHeaders.name !== '') list.push('X-Trac-Name', identityHeaders.name)
  if (signature !== '') list.push('X-Trac-Signature', signature)
  return list
}
