/** The one table of what can go wrong: code → status, the client's word, the text for a person. */
import { detailTexts, sayDetail } from './details.js'
import type { Detail } from './details.js'

/** A row of {@link errors}. `error` is the short word of the JSON answer, `text` what a person reads. */
export interface ErrorRow {
  readonly status: number
  readonly error: string
  readonly text: string
}

const row = (status: number, error: string, text: string): ErrorRow => ({ status, error, text })

/** Every refusal and fault this gateway answers with. deploy/docs/reference/errors.md is generated from it. */
export const errors = {
  ERR_FRAMING_AMBIGUOUS: row(400, 'bad_request', 'The request could be read in two ways.'),
  ERR_REQUEST_MALFORMED: row(400, 'bad_request', 'The request is not valid HTTP/1.1.'),
  ERR_HEADER_INVALID: row(400, 'bad_request', 'A header of the request is malformed.'),
  ERR_HEADER_REPEATED: row(400, 'bad_request', 'A header that may come once came twice.'),
  ERR_TARGET_FORM: row(400, 'bad_request', 'The request target is not a path.'),
  ERR_TARGET_TOO_LONG: row(400, 'bad_request', 'The address is too long.'),
  ERR_TARGET_CHARACTER: row(400, 'bad_request', 'The address has a character that is not allowed.'),
  ERR_TARGET_ENCODING: row(
    400,
    'bad_request',
    'The address is not correctly percent-encoded UTF-8.',
  ),
  ERR_TARGET_SLASH: row(
    400,
    'bad_request',
    'The address has an encoded, doubled or backward slash.',
  ),
  ERR_TARGET_DOTS: row(400, 'bad_request', 'The address has a "." or ".." segment.'),
  ERR_QUERY_ENCODING: row(400, 'bad_request', 'The query is not correctly percent-encoded UTF-8.'),
  ERR_QUERY_AMBIGUOUS: row(
    400,
    'bad_request',
    'The query has a ";" that some servers read as a separator. Write it as %3B.',
  ),
  ERR_CREDENTIAL_MALFORMED: row(400, 'bad_request', 'The Authorization header is malformed.'),
  ERR_BODY_MALFORMED: row(400, 'bad_request', 'The body is not what this address expects.'),
  ERR_CREDENTIAL_MISSING: row(
    400,
    'bad_request',
    'Neither a refresh token nor a session came with it.',
  ),
  ERR_LOGOUT_TOKEN_INVALID: row(400, 'invalid_request', 'The logout token is not valid.'),
  ERR_CALLBACK_MALFORMED: row(
    400,
    'bad_request',
    'This address is only for coming back from sign-in.',
  ),
  ERR_LOGIN_UNKNOWN: row(
    400,
    'bad_request',
    'This sign-in was not started in this browser, or it took longer than ten minutes.',
  ),
  ERR_LOGIN_DENIED: row(403, 'forbidden', 'The sign-in was cancelled or refused at the provider.'),
  ERR_LOGIN_LOOP: row(
    400,
    'bad_request',
    'Sign-in was asked for again and again. The browser may not keep our cookie.',
  ),
  ERR_LOGIN_REQUIRED: row(401, 'unauthorized', 'Please sign in.'),
  ERR_CREDENTIAL_NOT_ACCEPTED: row(
    401,
    'unauthorized',
    'This address does not accept the kind of credential that came with the request.',
  ),
  ERR_SESSION_ENDED: row(401, 'unauthorized', 'The session has ended. Please sign in again.'),
  ERR_SESSION_FINAL: row(
    401,
    'unauthorized',
    'The session can no longer be renewed. Please sign in again.',
  ),
  ERR_REFRESH_REFUSED: row(401, 'unauthorized', 'The provider refused the refresh token.'),
  ERR_TOKEN_MALFORMED: row(401, 'unauthorized', 'The token is not a signed JWT.'),
  ERR_TOKEN_ALGORITHM: row(
    401,
    'unauthorized',
    'The token is signed with an algorithm not allowed here.',
  ),
  ERR_TOKEN_KEY_UNKNOWN: row(
    401,
    'unauthorized',
    'The token is signed with a key the provider does not list.',
  ),
  ERR_TOKEN_SIGNATURE: row(401, 'unauthorized', 'The signature of the token is not valid.'),
  ERR_TOKEN_ISSUER: row(401, 'unauthorized', 'The token comes from an issuer not known here.'),
  ERR_TOKEN_CLIENT: row(401, 'unauthorized', 'The token was made for another client.'),
  ERR_TOKEN_USE: row(401, 'unauthorized', 'The token is of a kind not accepted here.'),
  ERR_TOKEN_EXPIRED: row(401, 'unauthorized', 'The token has expired.'),
  ERR_TOKEN_TIME: row(401, 'unauthorized', 'The token is not valid now, or for too long.'),
  ERR_TOKEN_CLAIMS: row(
    401,
    'unauthorized',
    'The token lacks a claim, or has one of the wrong shape.',
  ),
  ERR_TOKEN_REVOKED: row(401, 'unauthorized', 'The token was revoked, or its sign-in has ended.'),
  ERR_TOKEN_SUBJECT: row(401, 'unauthorized', 'The token is about somebody else.'),
  ERR_TOKEN_UNKNOWN: row(
    401,
    'unauthorized',
    'There is no such personal token. It was revoked, has ended long ago, or is not whole.',
  ),
  ERR_TOKEN_USER: row(
    401,
    'unauthorized',
    'The user name is not that of the personal token’s owner.',
  ),
  ERR_TOKEN_OWNER: row(
    401,
    'unauthorized',
    'The owner of the personal token has not signed in for too long. It counts again when they have.',
  ),
  ERR_TOKEN_NONCE: row(401, 'unauthorized', 'The token does not belong to this sign-in.'),
  ERR_WEBHOOK_SIGNATURE: row(
    401,
    'unauthorized',
    'The delivery of the webhook is not signed, or not with a secret known here.',
  ),
  ERR_WEBHOOK_REPLAYED: row(
    401,
    'unauthorized',
    'The delivery of the webhook came before, or was signed at another time.',
  ),
  ERR_MACHINE_UNKNOWN: row(401, 'unauthorized', 'This machine client is not listed here.'),
  ERR_MACHINE_SCOPE: row(401, 'unauthorized', 'The machine client lacks a scope it must bring.'),
  ERR_NAME_REFUSED: row(401, 'unauthorized', 'The user name in the token cannot be used here.'),
  ERR_NAME_RESERVED: row(
    401,
    'unauthorized',
    'The user name in the token is reserved for somebody else.',
  ),
  ERR_NAME_TAKEN: row(
    401,
    'unauthorized',
    'The user name in the token belongs to another account already. An administrator can settle whose it is.',
  ),
  ERR_NAME_UNKNOWN: row(401, 'unauthorized', 'No user name could be found for the token.'),
  ERR_PERMISSION_REQUIRED: row(403, 'forbidden', 'This needs a permission that you do not have.'),
  ERR_GROUP_REQUIRED: row(403, 'forbidden', 'This needs a group that you are not in.'),
  ERR_SCOPE_REQUIRED: row(403, 'insufficient_scope', 'The token lacks a scope that this needs.'),
  ERR_TOKEN_ROUTE: row(403, 'forbidden', 'The personal token was not made for this address.'),
  ERR_NAVIGATION_REQUIRED: row(
    403,
    'forbidden',
    'This page can only be opened in a window of its own, by a browser of 2023 or later.',
  ),
  ERR_FORM_STALE: row(
    403,
    'forbidden',
    'The form is too old, or was made for another session. Please open it again.',
  ),
  ERR_SIGN_IN_OLD: row(
    403,
    'forbidden',
    'The sign-in provider did not ask you to sign in again, and your last sign-in is too long ago for this.',
  ),
  ERR_ROUTE_DENIED: row(403, 'forbidden', 'This address is closed.'),
  ERR_CROSS_SITE: row(403, 'forbidden', 'The request came from another site.'),
  ERR_UNSAFE_GET: row(
    403,
    'forbidden',
    'This address would change something, so it must be a POST.',
  ),
  ERR_HTTPS_REQUIRED: row(403, 'forbidden', 'This address is only served over HTTPS.'),
  ERR_UPGRADE_REFUSED: row(403, 'forbidden', 'This address does not take WebSocket connections.'),
  ERR_REFRESH_DISABLED: row(
    403,
    'forbidden',
    'Refresh tokens are not redeemed here, since the client has a secret (identity.publicRefresh).',
  ),
  ERR_ROUTE_UNKNOWN: row(404, 'not_found', 'There is nothing at this address.'),
  ERR_METHOD_NOT_ALLOWED: row(405, 'method_not_allowed', 'This address does not take that method.'),
  ERR_CLIENT_TIMEOUT: row(408, 'request_timeout', 'The request took too long to arrive.'),
  ERR_LENGTH_REQUIRED: row(411, 'length_required', 'The body must come with its length.'),
  ERR_BODY_TOO_LARGE: row(413, 'payload_too_large', 'The body is larger than allowed here.'),
  ERR_MEDIA_TYPE: row(415, 'unsupported_media_type', 'The body is of a type not accepted here.'),
  ERR_HOST_UNKNOWN: row(421, 'misdirected_request', 'This host name is not served here.'),
  ERR_PROXY_UNTRUSTED: row(
    421,
    'misdirected_request',
    'The request came through a proxy that is not listed in server.trustedProxies.',
  ),
  ERR_SCHEME_UNKNOWN: row(
    421,
    'misdirected_request',
    'The proxy in front does not say whether you came over HTTPS.',
  ),
  ERR_RATE_LIMITED: row(429, 'too_many_requests', 'Too many requests. Please wait a moment.'),
  ERR_HEADER_TOO_LARGE: row(431, 'headers_too_large', 'The headers of the request are too large.'),
  ERR_SESSION_TOO_LARGE: row(
    431,
    'headers_too_large',
    'What the provider says about you does not fit into a cookie.',
  ),
  ERR_CLIENT_GONE: row(499, 'client_closed_request', 'The client went away.'),
  ERR_INTERNAL: row(500, 'internal_error', 'Something went wrong here.'),
  ERR_UPSTREAM_UNREACHABLE: row(
    502,
    'bad_gateway',
    'The application behind this address cannot be reached.',
  ),
  ERR_UPSTREAM_RESET: row(
    502,
    'bad_gateway',
    'The application behind this address closed the connection too early.',
  ),
  ERR_UPSTREAM_ANSWER: row(
    502,
    'bad_gateway',
    'The application behind this address gave no valid answer.',
  ),
  ERR_PROVIDER_ANSWER: row(502, 'bad_gateway', 'The sign-in provider gave no valid answer.'),
  ERR_PROVIDER_ISSUER: row(
    502,
    'bad_gateway',
    'The sign-in provider has another name than the one configured here.',
  ),
  ERR_PROVIDER_UNAVAILABLE: row(
    503,
    'unavailable',
    'The sign-in provider cannot be reached right now.',
  ),
  ERR_STORE_UNAVAILABLE: row(503, 'unavailable', 'The session store cannot be reached right now.'),
  ERR_REVOCATIONS_FULL: row(
    503,
    'unavailable',
    'The list of what was ended is full, so copies of the cookie and the tokens may work until they end.',
  ),
  ERR_SESSION_BUSY: row(
    503,
    'unavailable',
    'The gateway is busy with this session. Please try again in a moment.',
  ),
  ERR_TOKENS_FULL: row(503, 'unavailable', 'No more personal tokens can be made here.'),
  ERR_NAMES_FULL: row(503, 'unavailable', 'No more user names can be taken in here.'),
  ERR_UPSTREAM_BUSY: row(
    503,
    'unavailable',
    'Too many requests wait for the application behind this address. Please try again.',
  ),
  ERR_SPOOL_FULL: row(503, 'unavailable', 'Too many uploads at the same time. Please try again.'),
  ERR_UPSTREAM_TIMEOUT: row(
    504,
    'gateway_timeout',
    'The application behind this address took too long.',
  ),
} as const satisfies Record<string, ErrorRow>

/** A code of the table; the log field `code` and the metric label `result` carry the same word. */
export type ErrorCode = keyof typeof errors

/** Named values of a refusal, for the log alone: what came in a token or header, never a secret, a token or a code. */
export type Facts = Readonly<Record<string, unknown>>

/** What a refusal can tell beside its code. `cause` is for the log alone, `detail` for the person. */
export interface ErrorDetails {
  readonly cause?: unknown
  /**
   * What was missing or wrong, in place of the code's text; never a secret, never upstream text. A sentence that only
   * operators and authors of programs need is English in itself.
   */
  readonly detail?: Detail | string
  /** What was found, and what was wanted instead, under the same names: `{ issuer: … }`. The log cuts and cleans it. */
  readonly found?: Facts
  readonly wanted?: Facts
  /** Seconds for `Retry-After` (RFC 9110 §10.2.3). */
  readonly retryAfter?: number
  /** How a provider failed: `down` where nothing answers for it, `busy` where it asks to be left alone for a while (429). */
  readonly provider?: 'down' | 'busy'
  /** Methods for `Allow` (RFC 9110 §10.2.1). */
  readonly allow?: readonly string[]
  /** Whether the request carried a Bearer token, so that the challenge names it (RFC 6750 §3.1). */
  readonly bearer?: boolean
  /** Scopes for the challenge of `insufficient_scope` (RFC 6750 §3). */
  readonly scopes?: readonly string[]
}

function messageOf(code: ErrorCode, detail: ErrorDetails['detail']): string {
  if (detail === undefined) return errors[code].text
  return typeof detail === 'string' ? detail : sayDetail(detail, detailTexts)
}

/** The one error class: a code of the table, its status, and what the log and the person are told. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly details: ErrorDetails

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    // A refusal is an answer: the log has its code and facts, and nobody asks for the line that made it. To find that
    // out costs more than the rest of a refusal; a cause brings a stack of its own.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(messageOf(code, details.detail), 'cause' in details ? { cause: details.cause } : {})
    Error.stackTraceLimit = stackTraceLimit
    this.name = 'GatewayError'
    this.code = code
    this.status = errors[code].status
    this.details = details
  }
}

/** The same refusal with more facts; its own stand. Whatever else was thrown stays as it is. */
export function withFacts(error: unknown, found: Facts, wanted: Facts = {}): unknown {
  if (!(error instanceof GatewayError)) return error
  const { details } = error
  return new GatewayError(error.code, {
    ...details,
    found: { ...found, ...details.found },
    wanted: { ...wanted, ...details.wanted },
  })
}
