/** What an operator does about a refusal or fault: one or two short sentences for the log and for the table of errors. */
import type { ErrorCode } from './errors.js'

const byToken = 'Compare `found` and `wanted` in the line of the log.'
const encoded =
  'Whoever made the link must encode it (RFC 3986 §2.1). A proxy in front must pass targets on as they come.'

/** By code; a new code needs its hint here. */
export const errorHints: Readonly<Record<ErrorCode, string>> = {
  ERR_FRAMING_AMBIGUOUS:
    'No browser sends that. If a proxy in front does, let it send one `Content-Length` or chunks.',
  ERR_REQUEST_MALFORMED:
    '`found` says what the parser met. TLS or HTTP/2 at this port: correct the proxy in front, or set `server.tls`.',
  ERR_HEADER_INVALID:
    '`found` has the header, or `cause` what the parser met: the client, or a proxy on the way, must send it as its standard says.',
  ERR_HEADER_REPEATED: 'A client or a proxy in front adds a header that is there already.',
  ERR_TARGET_FORM: 'A proxy in front must pass on a path, not a whole address.',
  ERR_TARGET_TOO_LONG: 'Raise `server.limits.target` if such addresses are legitimate.',
  ERR_TARGET_CHARACTER: encoded,
  ERR_TARGET_ENCODING: encoded,
  ERR_TARGET_SLASH: encoded,
  ERR_TARGET_DOTS: encoded,
  ERR_QUERY_ENCODING: encoded,
  ERR_QUERY_AMBIGUOUS:
    'Whoever made the link must write `&` between parameters and encode `;` in a value as `%3B`.',
  ERR_CREDENTIAL_MALFORMED: 'The client must send `Authorization: Bearer` and one token.',
  ERR_BODY_MALFORMED:
    'The client must send the form or the JSON that the endpoint takes: see deploy/docs/reference/endpoints.md.',
  ERR_CREDENTIAL_MISSING: 'The client must send `{"refresh_token": …}`, or its session cookie.',
  ERR_LOGOUT_TOKEN_INVALID: '`cause` says which rule the token of the provider breaks.',
  ERR_CALLBACK_MALFORMED:
    'Something other than the provider leads there, or it sends another `iss`: see `cause`.',
  ERR_LOGIN_UNKNOWN:
    'One by itself is a bookmark or an old tab. If nobody can sign in, the cookie of the attempt is lost: people come by another host name than `server.publicUrl`, or a proxy drops `Set-Cookie`.',
  ERR_LOGIN_DENIED:
    '`cause` has the provider’s word: the person cancelled, or may not use this client there.',
  ERR_LOGIN_LOOP:
    'The browser does not keep the session cookie: look for a proxy that drops or renames `Set-Cookie`.',
  ERR_LOGIN_REQUIRED: 'Nothing, unless the route should be open: see `trac-gateway routes`.',
  ERR_CREDENTIAL_NOT_ACCEPTED: 'The route’s `credentials` leave this kind out.',
  ERR_SESSION_ENDED: 'Nothing: the person signs in again.',
  ERR_SESSION_FINAL: 'Nothing: the provider refused to renew, and the person signs in again.',
  ERR_REFRESH_REFUSED: 'Nothing: the refresh token has ended or was revoked at the provider.',
  ERR_TOKEN_MALFORMED: 'The client sends something else than a JWT, such as an opaque token.',
  ERR_TOKEN_ALGORITHM: `${byToken} Set \`identity.algorithms\`, or change the client at the provider.`,
  ERR_TOKEN_KEY_UNKNOWN:
    'If it lasts, the token comes from another provider, or the keys can’t be fetched: see `/readyz`.',
  ERR_TOKEN_SIGNATURE: 'Somebody changed the token, or it comes from another provider.',
  ERR_TOKEN_ISSUER: `${byToken} \`identity.issuer\` must spell the issuer as tokens do, to the slash at its end.`,
  ERR_TOKEN_CLIENT: `${byToken} Set \`identity.clientId\`, or add the client to \`identity.acceptClients\`.`,
  ERR_TOKEN_USE: `${byToken} With Cognito set \`identity.cognito\`.`,
  ERR_TOKEN_EXPIRED: `${byToken} If \`ahead\` is far from 0 for new tokens, set the clocks (NTP).`,
  ERR_TOKEN_TIME: `${byToken} \`ahead\`: set the clocks (NTP), or \`identity.clockTolerance\`. \`life\`: raise \`identity.maxTokenLife\`.`,
  ERR_TOKEN_CLAIMS: `${byToken} The provider must put \`exp\`, \`iat\` and \`sub\` into its tokens.`,
  ERR_TOKEN_REVOKED: 'Nothing: somebody signed out or was ended by `trac-gateway revoke`.',
  ERR_TOKEN_SUBJECT: 'The provider mixes two people up. Tell whoever runs it.',
  ERR_TOKEN_UNKNOWN:
    'The client has an old token, or a part of one: its owner makes a new one at `/auth/tokens`.',
  ERR_TOKEN_USER: 'The client must send the name that Trac knows the owner by, as `wanted` has it.',
  ERR_TOKEN_OWNER:
    'The owner signs in once. If they do so too rarely for that, raise `tokens.ownerSeen`.',
  ERR_TOKEN_NONCE: 'A sign-in of another browser was replayed, or the provider drops `nonce`.',
  ERR_WEBHOOK_SIGNATURE:
    'Give the sender one of the route’s `webhook.secrets`, and the route the `form` of that sender: `found` has what came.',
  ERR_WEBHOOK_REPLAYED:
    'Nothing, if it came twice. If `ahead` is far from 0 for new deliveries, set the clocks (NTP).',
  ERR_MACHINE_UNKNOWN: 'List the client in `identity.machines`.',
  ERR_MACHINE_SCOPE: 'Give the client the scopes of its entry in `identity.machines`.',
  ERR_NAME_REFUSED:
    'Change the name at the provider, or give the person another by `identity.username.aliases`.',
  ERR_NAME_RESERVED: 'Two people would have one name: give one of them an alias.',
  ERR_NAME_TAKEN:
    'Give one of the two an alias (`identity.username.aliases`), or free the name: `trac-gateway names release NAME`.',
  ERR_NAME_UNKNOWN:
    'The token lacks the claim of `identity.claims.username`: `found.claims` has those that came.',
  ERR_PERMISSION_REQUIRED:
    'Grant it in `permissions.groups`, or see at `/auth/session` which groups the person has; `trac-gateway explain` says what would give it.',
  ERR_GROUP_REQUIRED: 'Put the person into the group at the provider, or change the route.',
  ERR_SCOPE_REQUIRED: 'Give the client the scope at the provider, or change the route.',
  ERR_TOKEN_ROUTE:
    'Its owner makes a token that is for this route, too: `found` has those of this one.',
  ERR_NAVIGATION_REQUIRED:
    'A script or a frame asked, or a browser without `Sec-Fetch-Mode` and `Sec-Fetch-Dest`; or a proxy in front drops these headers.',
  ERR_FORM_STALE: 'Nothing: the person opens the page again.',
  ERR_SIGN_IN_OLD:
    'Let the provider honour `prompt=login`, and put the right `auth_time` into ID tokens: compare `found` and `wanted`.',
  ERR_ROUTE_DENIED: 'A route with `access: deny` matched: see `route` and `trac-gateway routes`.',
  ERR_CROSS_SITE:
    'If these are your own pages, they are at another origin than `server.publicUrl`: compare `found` and `wanted`.',
  ERR_UNSAFE_GET: 'The client must send this as a POST. Trac itself would write at a GET here.',
  ERR_HTTPS_REQUIRED: 'The client must use `https://`.',
  ERR_UPGRADE_REFUSED: 'Set `websocket: true` on the route, if it should take WebSockets.',
  ERR_REFRESH_DISABLED:
    'Set `identity.publicRefresh: true` only if anybody may redeem refresh tokens here.',
  ERR_ROUTE_UNKNOWN:
    'Add a route if the page should be reached, or the environment to `environments`: `trac-gateway routes` has them all.',
  ERR_METHOD_NOT_ALLOWED: 'Add the method to a route if it should be taken.',
  ERR_CLIENT_TIMEOUT:
    'A slow line, or a client that holds connections: `server.timeouts.headers` and `bodyIdle`.',
  ERR_LENGTH_REQUIRED: 'The client must send `Content-Length`.',
  ERR_BODY_TOO_LARGE:
    'Raise the route’s `bodyLimit` or `server.limits.body`. Trac has a limit of its own.',
  ERR_MEDIA_TYPE: 'The client must send the `Content-Type` that the endpoint takes.',
  ERR_HOST_UNKNOWN:
    'Set `server.publicUrl` to the address that people use, or let the proxy in front pass `Host` on. Health checks belong on `/auth/healthz`.',
  ERR_PROXY_UNTRUSTED: 'Add the proxy’s address (`client`) to `server.trustedProxies`.',
  ERR_SCHEME_UNKNOWN:
    'Let the proxy in front send `X-Forwarded-Proto: https` (nginx: `proxy_set_header X-Forwarded-Proto $scheme;`).',
  ERR_RATE_LIMITED:
    '`found.limit` says which limit it was, of `rateLimit` or a route: raise it if people run into it. If all of them have one `client`, the proxy in front sends no `X-Forwarded-For`.',
  ERR_HEADER_TOO_LARGE:
    'Other applications on this host set too many cookies: delete them, or raise `server.limits.header`.',
  ERR_SESSION_TOO_LARGE:
    'Ask for fewer claims, or keep sessions in Redis (`session.store: redis`).',
  ERR_CLIENT_GONE: 'Nothing.',
  ERR_INTERNAL: 'A fault of this gateway: report it with `cause`.',
  ERR_UPSTREAM_UNREACHABLE:
    'Start the application, or correct `upstreams.*.url`: `cause` says why.',
  ERR_UPSTREAM_RESET: 'Look into the log of the application at this time.',
  ERR_UPSTREAM_ANSWER:
    '`cause` says what was wrong with its answer: mend the application. If it can’t be mended, `client: undici` at the upstream is less strict.',
  ERR_PROVIDER_ANSWER:
    '`cause` says what came: for `invalid_client` compare `identity.clientId` and `clientSecret`, for `redirect_uri` the addresses registered there.',
  ERR_PROVIDER_ISSUER:
    'Write `identity.issuer` as `found` has it, or correct the provider’s own address (behind its proxy).',
  ERR_PROVIDER_UNAVAILABLE: 'Start the provider, or open the way to it: `cause` says what failed.',
  ERR_STORE_UNAVAILABLE:
    '`cause` says why: start Redis or open the way to it, or make `session.revocationFile` writable.',
  ERR_REVOCATIONS_FULL:
    'A million sign-outs within `identity.maxTokenLife`: shorten that, and look in the log for whoever signs in and out again and again.',
  ERR_SESSION_BUSY:
    'Usually nothing: it ends within seconds. If it lasts, the provider’s token endpoint is slow, or another replica hangs: see their logs.',
  ERR_TOKENS_FULL:
    'The file of `tokens.file` is full: keep tokens in Redis, or make them live shorter.',
  ERR_NAMES_FULL:
    'Release names of people who have left: `trac-gateway names list`, `names release`.',
  ERR_UPSTREAM_BUSY:
    'The application is too slow for so many requests: raise `upstreams.*.maxConnections` or `server.timeouts.queue`, or give it more workers.',
  ERR_SPOOL_FULL: 'Raise `server.limits.spool`, if the disk has the space.',
  ERR_UPSTREAM_TIMEOUT:
    'Raise `timeouts.firstByte` of the route or the upstream, or find what is slow.',
}
