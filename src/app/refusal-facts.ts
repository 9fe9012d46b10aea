/** Facts of a refusal that stand in the request itself, for the log: nothing here is a credential. */
import type { ErrorCode, Facts } from '../core/errors.js'
import type { PublicUrl } from '../core/public-url.js'
import { noEndpoint } from '../request/context.js'
import type { RequestContext } from '../request/context.js'

/** What was found and what was wanted. */
export interface RefusalFacts {
  readonly found: Facts | undefined
  readonly wanted: Facts | undefined
}

type Read = (context: RequestContext, address: PublicUrl) => RefusalFacts

/**
 * Where the facts of a code come from: the request, read here; whoever throws it (`thrown`), since nobody else knows them; or
 * nowhere (`none`), since no operator causes it and none can mend it.
 */
export type FactSource = Read | 'thrown' | 'none'

/** A fault in a few words: its code, of the innermost cause that has one, else what it says. */
function faultOf(cause: unknown): string | undefined {
  if (typeof cause === 'string') return cause
  if (!(cause instanceof Error)) return undefined
  const inner = cause.cause instanceof Error ? faultOf(cause.cause) : undefined
  const { code } = cause as NodeJS.ErrnoException
  return inner ?? (typeof code === 'string' ? code : cause.message)
}

const timeoutKey = (name: string): string => `server.timeouts.${name}`

const framing: Read = ({ request: { rawHeaders } }) => ({
  found: { headers: rawHeaders.filter((_, i) => i % 2 === 0) },
  wanted: { framing: 'one Content-Length, or Transfer-Encoding: chunked' },
})

const target: Read = ({ rawTarget }) => ({
  found: { target: rawTarget.split('?', 1)[0], bytes: rawTarget.length },
  wanted: { target: 'a path as the client sent it, percent-encoded once' },
})

const credential: Read = ({ identity, route }) => ({
  found: { credential: identity.via },
  wanted: { credential: [...route.credentials] },
})

const provider: Read = ({ cause }) => ({
  found: { fault: faultOf(cause) },
  wanted: { answer: 'a valid one of the provider, within 10 s' },
})

const upstream: Read = ({ cause, upstream: name }) => ({
  found: { upstream: name, fault: faultOf(cause) },
  wanted: { answer: 'a valid one within its time limits', key: `upstreams.${name}` },
})

/** Every code, so that a new one needs its line here. */
export const factSources: Readonly<Record<ErrorCode, FactSource>> = {
  ERR_FRAMING_AMBIGUOUS: framing,
  ERR_REQUEST_MALFORMED: 'thrown',
  ERR_HEADER_INVALID: 'thrown',
  ERR_HEADER_REPEATED: 'thrown',
  ERR_TARGET_FORM: target,
  ERR_TARGET_TOO_LONG: 'thrown',
  ERR_TARGET_CHARACTER: target,
  ERR_TARGET_ENCODING: target,
  ERR_TARGET_SLASH: target,
  ERR_TARGET_DOTS: target,
  ERR_QUERY_ENCODING: target,
  ERR_QUERY_AMBIGUOUS: target,
  ERR_CREDENTIAL_MALFORMED: 'none',
  ERR_BODY_MALFORMED: 'none',
  ERR_CREDENTIAL_MISSING: 'none',
  ERR_LOGOUT_TOKEN_INVALID: 'thrown',
  ERR_CALLBACK_MALFORMED: 'thrown',
  ERR_LOGIN_UNKNOWN: 'thrown',
  ERR_LOGIN_DENIED: 'thrown',
  ERR_LOGIN_LOOP: 'thrown',
  // The everyday answers to people who are not signed in, or not any more.
  ERR_LOGIN_REQUIRED: 'none',
  ERR_SESSION_ENDED: 'none',
  ERR_SESSION_FINAL: 'none',
  ERR_REFRESH_REFUSED: 'none',
  ERR_TOKEN_REVOKED: 'none',
  ERR_CREDENTIAL_NOT_ACCEPTED: credential,
  ERR_TOKEN_MALFORMED: () => ({
    found: { token: 'not three parts of base64url' },
    wanted: { token: 'a signed JWT' },
  }),
  ERR_TOKEN_ALGORITHM: 'thrown',
  ERR_TOKEN_KEY_UNKNOWN: 'thrown',
  ERR_TOKEN_SIGNATURE: 'thrown',
  ERR_TOKEN_ISSUER: 'thrown',
  ERR_TOKEN_CLIENT: 'thrown',
  ERR_TOKEN_USE: 'thrown',
  ERR_TOKEN_EXPIRED: 'thrown',
  ERR_TOKEN_TIME: 'thrown',
  ERR_TOKEN_CLAIMS: 'thrown',
  ERR_TOKEN_SUBJECT: 'thrown',
  ERR_TOKEN_UNKNOWN: 'thrown',
  ERR_TOKEN_USER: 'thrown',
  ERR_TOKEN_OWNER: 'thrown',
  ERR_TOKEN_NONCE: 'thrown',
  ERR_WEBHOOK_SIGNATURE: 'thrown',
  ERR_WEBHOOK_REPLAYED: 'thrown',
  ERR_MACHINE_UNKNOWN: 'thrown',
  ERR_MACHINE_SCOPE: 'thrown',
  ERR_NAME_REFUSED: 'thrown',
  ERR_NAME_RESERVED: 'thrown',
  ERR_NAME_TAKEN: 'thrown',
  ERR_NAME_UNKNOWN: 'thrown',
  ERR_PERMISSION_REQUIRED: 'thrown',
  ERR_GROUP_REQUIRED: 'thrown',
  ERR_SCOPE_REQUIRED: 'thrown',
  ERR_TOKEN_ROUTE: ({ identity, routeName }) => ({
    found: { routes: [...(identity.token?.routes ?? [])] },
    wanted: { routes: [routeName] },
  }),
  ERR_NAVIGATION_REQUIRED: ({ headers, request }) => ({
    found: {
      sec_fetch_mode: headers.fetchMode,
      sec_fetch_dest: request.headers['sec-fetch-dest'],
    },
    wanted: { sec_fetch_mode: 'navigate', sec_fetch_dest: 'document' },
  }),
  ERR_FORM_STALE: 'none',
  ERR_SIGN_IN_OLD: 'thrown',
  ERR_ROUTE_DENIED: ({ routeName, route }) => ({
    found: { route: routeName, access: route.access },
    wanted: { access: ['public', 'optional', 'authenticated'] },
  }),
  ERR_CROSS_SITE: ({ headers }, { origin }) => ({
    found: { origin: headers.origin, sec_fetch_site: headers.fetchSite },
    wanted: { origin, sec_fetch_site: 'same-origin' },
  }),
  ERR_UNSAFE_GET: 'none',
  ERR_HTTPS_REQUIRED: ({ scheme }) => ({ found: { scheme }, wanted: { scheme: 'https' } }),
  ERR_UPGRADE_REFUSED: ({ headers, route }) => ({
    found: { upgrade: headers.upgrade, websocket: route.websocket },
    wanted: { upgrade: 'websocket', websocket: true },
  }),
  ERR_REFRESH_DISABLED: () => ({
    found: { key: 'identity.publicRefresh', value: false },
    wanted: { key: 'identity.publicRefresh', value: true },
  }),
  ERR_ROUTE_UNKNOWN: ({ method, target, isBelowBase }, { base }) => ({
    found: { method, path: target.path },
    wanted: { path: isBelowBase ? 'one of a route' : `${base}/…` },
  }),
  ERR_METHOD_NOT_ALLOWED: ({ method, endpoint, route }) => ({
    found: { method },
    wanted: { methods: [...(endpoint === noEndpoint ? (route.methods ?? []) : endpoint.methods)] },
  }),
  ERR_CLIENT_TIMEOUT: ({ headers, request }) => ({
    found: { content_length: headers.contentLength, received: request.complete },
    wanted: { keys: ['headers', 'bodyIdle', 'bodyMinimumRate', 'clientRead'].map(timeoutKey) },
  }),
  ERR_LENGTH_REQUIRED: 'none',
  ERR_BODY_TOO_LARGE: ({ headers, route }) => ({
    found: { bytes: headers.contentLength < 0 ? undefined : headers.contentLength },
    wanted: { bytes: route.bodyLimit === 0 ? undefined : route.bodyLimit },
  }),
  ERR_MEDIA_TYPE: ({ headers }) => ({
    found: { content_type: headers.contentType },
    wanted: { content_type: 'application/json' },
  }),
  ERR_HOST_UNKNOWN: 'thrown',
  ERR_PROXY_UNTRUSTED: ({ address }) => ({
    found: { proxy: address },
    wanted: { key: 'server.trustedProxies', value: [address] },
  }),
  ERR_SCHEME_UNKNOWN: ({ headers }) => ({
    found: { x_forwarded_proto: headers.forwardedProto, forwarded: headers.forwarded },
    wanted: { x_forwarded_proto: ['https', 'http'] },
  }),
  ERR_RATE_LIMITED: 'thrown',
  ERR_HEADER_TOO_LARGE: 'thrown',
  ERR_SESSION_TOO_LARGE: 'thrown',
  ERR_CLIENT_GONE: 'none',
  // A fault of the gateway: the cause says which.
  ERR_INTERNAL: 'none',
  ERR_UPSTREAM_UNREACHABLE: upstream,
  ERR_UPSTREAM_RESET: upstream,
  ERR_UPSTREAM_ANSWER: upstream,
  ERR_UPSTREAM_TIMEOUT: upstream,
  ERR_UPSTREAM_BUSY: 'thrown',
  ERR_PROVIDER_ANSWER: provider,
  ERR_PROVIDER_ISSUER: 'thrown',
  ERR_PROVIDER_UNAVAILABLE: provider,
  ERR_STORE_UNAVAILABLE: ({ cause }) => ({
    found: { fault: faultOf(cause) },
    wanted: {
      keys: [
        'session.redis',
        'session.revocationFile',
        'identity.username.namesFile',
        'tokens.file',
      ],
    },
  }),
  ERR_REVOCATIONS_FULL: () => ({
    found: { revocations: 'the list is full' },
    wanted: { revocations: 'fewer, or kept in Redis', key: 'session.store' },
  }),
  // Somebody else is at it, here or at another replica; it passes.
  ERR_SESSION_BUSY: 'none',
  ERR_TOKENS_FULL: () => ({
    found: { tokens: 'the file is full' },
    wanted: { tokens: 'fewer, or kept in Redis', key: 'session.store' },
  }),
  ERR_NAMES_FULL: 'thrown',
  ERR_SPOOL_FULL: 'thrown',
}

/** The facts that the refusal brought, and those that the request shows. */
export function refusalFacts(context: RequestContext, address: PublicUrl): RefusalFacts {
  const { found, wanted, code } = context
  if (code === undefined || (found !== undefined && wanted !== undefined)) return { found, wanted }
  const source = factSources[code]
  if (typeof source === 'string') return { found, wanted }
  const shown = source(context, address)
  return { found: found ?? shown.found, wanted: wanted ?? shown.wanted }
}
