/** The fields of the log lines that people search in, and their names in each form; the reference is generated from them. */

/** The line `request`: one when a request is over. A field without a value is left out of the line. */
export const requestFields = {
  request_id: 'The id that the client, Trac and every error page are told as `X-Request-Id`.',
  traceparent: 'The W3C trace context that goes upstream.',
  client: 'The address of the client; from `X-Forwarded-For` only behind a trusted proxy.',
  method: 'The method.',
  path: 'The path, at most 500 characters. The query is never logged.',
  route: 'The name of the route that matched, `none` if nothing did, or the own endpoint.',
  status: 'The status of the answer; 499 when the client left before it, 101 for a WebSocket.',
  ms: 'Milliseconds from the headers of the request to the end of the answer.',
  upstream_ms: 'Milliseconds until the upstream’s answer began.',
  cache:
    'How a file was answered from memory: `hit`, `stale` (once more, while it is asked for again), or `fill` (asked for just now).',
  user: 'The Trac user name of the identity.',
  via: 'Which credential the identity came from: `bearer`, `session`, `token` (a personal one) or `webhook` (in a line `decision` not proven yet: the line `request` of the same id says whether it was); `legacy` where Trac itself is to look.',
  token: 'What its owner calls the personal token.',
  code: 'The `ERR_…` code of a refusal or fault.',
  reason: 'What whoever asked was told of it.',
  hint: 'What an operator can do about it; on lines of level `warn` and `error`.',
  shadow: 'The code of what would have been refused, were the route not in shadow mode.',
  found:
    'What a refusal found, where that tells its cause: issuer, Host, names of claims, groups, times. Cut after 300 characters a value.',
  wanted: 'What it wanted instead, under the same names.',
  cause: 'The error behind a refusal or fault: type, message, code and its own causes.',
} as const

/** The line `sign-in`: one when somebody has signed in. */
export const signInFields = {
  request_id: 'As in the line `request` of the callback.',
  client: 'The address of the client.',
  user: 'The Trac user name.',
  sub: 'The subject at the provider.',
  issuer: 'The provider.',
  groups: 'All groups that the provider sent, those that mean nothing here too.',
} as const

/** The lines `personal token made` and `personal token revoked`: one each, when its owner has done so. */
export const tokenFields = {
  request_id: 'As in the line `request`.',
  client: 'The address of the client.',
  user: 'The Trac user name of the owner.',
  sub: 'The subject at the provider.',
  issuer: 'The provider.',
  token: 'What the owner calls it.',
  token_id: 'Its id, which is no secret.',
  expires: 'When it ends.',
  routes: 'The rows of the policy that it is for; absent: wherever its owner may go.',
  permissions: 'Beyond these it may do nothing; absent: whatever its owner may do.',
} as const

/** The line `decision`: one for each decision of the policy, if `log.audit` is on. */
export const decisionFields = {
  request_id: 'As in the line `request`.',
  user: 'The Trac user name of the identity.',
  via: 'As in the line `request`.',
  token: 'As in the line `request`.',
  method: 'The method.',
  path: 'As in the line `request`.',
  route: 'The name of the route that matched, or `none`.',
  result: '`allow`, or the `ERR_…` code of the refusal.',
  mode: '`enforce` or `shadow`.',
  groups: 'The groups that counted.',
  scopes: 'The scopes of the token.',
  permissions:
    'Which permissions there were, as a fingerprint: the line `grants` with the same one says what stands behind it.',
  query:
    'The values of those names of the query that some route or `log.auditQuery` asks for, each cut after 200 characters.',
} as const

/** The line `grants`: one for each new set of permissions that a decision saw. */
export const grantsFields = {
  permissions: 'The fingerprint.',
  actions: 'All permissions behind it, meta actions expanded.',
  claimed: 'What the permissions claim named, those that count for nothing here too.',
  query_names:
    'The names whose values `query` has in its decisions: one that is not in a line did not come.',
} as const

/** A line with all its fields, and no other. */
export type LogLine<Fields> = { readonly [Name in keyof Fields]: unknown }

/**
 * What a field is called in Elastic Common Schema, whichever line it is in; one that the schema has no name for is called
 * `trac_gateway.` and its own.
 */
const ecsNames: Readonly<Record<string, string>> = {
  time: '@timestamp',
  level: 'log.level',
  msg: 'message',
  request_id: 'http.request.id',
  traceparent: 'trace.id',
  client: 'client.ip',
  method: 'http.request.method',
  path: 'url.path',
  status: 'http.response.status_code',
  ms: 'event.duration',
  user: 'user.name',
  sub: 'user.id',
  groups: 'user.roles',
  code: 'error.code',
  reason: 'event.reason',
  cause: 'error.message',
}

const ecsPrefix = 'trac_gateway.'
const fieldsByEcsName = new Map(Object.entries(ecsNames).map(([field, ecs]) => [ecs, field]))

/** The name of a field in Elastic Common Schema. */
export function ecsNameOf(field: string): string {
  return Object.hasOwn(ecsNames, field) ? ecsNames[field]! : ecsPrefix + field
}

/** Our own name of a field of that schema. */
export function fieldOfEcs(name: string): string {
  const field = fieldsByEcsName.get(name)
  return field ?? (name.startsWith(ecsPrefix) ? name.slice(ecsPrefix.length) : name)
}

/** Fields that stand in a plain line by their value alone, before all others, with what stands behind it. */
export const shownBare: Readonly<Record<string, string>> = {
  method: '',
  path: '',
  status: '',
  ms: 'ms',
}
