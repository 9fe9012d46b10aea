/** The headers a client receives from an upstream: hop-by-hop and what only the gateway may say are taken out. */
import { tracCookie } from '../session/cookies.js'
import { rememberNames } from './by-name.js'
import { connectionNames } from './connection-names.js'

/** What the filter depends on. */
export interface ResponseRules {
  /** What the names of our cookies begin with: an upstream may not set one. */
  readonly cookiePrefix: string
  /** The value of our own HSTS; undefined: the upstream's counts. */
  readonly hsts: string | undefined
}

/** What is known of the request that is answered. */
export interface ResponseFacts {
  readonly requestId: string
  /** Answered to somebody who is signed in: no shared cache may keep it. */
  readonly personal: boolean
  /** Its credential is one that browsers send by themselves: no other origin may read it. */
  readonly byCookie: boolean
  /** Trac may set the cookie of its own login. */
  readonly byTrac: boolean
  /** The upstream names the right type of all that it serves: a browser needs not look for another one. */
  readonly declaresTypes: boolean
  readonly setCookies: readonly string[]
}

/** @see RFC 9110 §7.6.1 */
const dropped: ReadonlySet<string> = new Set([
  ...[
    'connection',
    'keep-alive',
    'proxy-authenticate',
    'proxy-authentication-info',
    'proxy-connection',
  ],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade'],
  // Says what runs behind us, and to whom else to talk.
  ...['server', 'x-powered-by', 'alt-svc', 'x-request-id', 'x-sendfile', 'x-accel-redirect'],
])

function cookieIsOurs(value: string, prefix: string, byTrac: boolean): boolean {
  // `=name=value` sets a cookie without a name, which comes back as `name=value` (RFC 6265bis §5.6).
  const pair = value.replace(/^[\s=]+/, '')
  const name = pair.split(/[=;]/, 1)[0]!.trim()
  return (name === tracCookie && !byTrac) || name.startsWith(prefix)
}

/** What tells caches between us and the client, by names of their own, to keep an answer: nginx, Akamai, RFC 9213. */
function isForSharedCaches(name: string): boolean {
  return (
    name === 'surrogate-control' ||
    name === 'x-accel-expires' ||
    name === 'edge-control' ||
    name.endsWith('cdn-cache-control')
  )
}

const directives = /(?:"(?:[^"\\]|\\.)*"|[^,"])+/g

/** The directives of `Cache-Control`, whose values may be quoted and have commas then (RFC 9111 §5.2). */
export function directivesOf(value: string): string[] {
  return (value.match(directives) ?? [])
    .map((directive) => directive.trim())
    .filter((directive) => directive !== '')
}

/** What lets a shared cache keep it. `private` with names of headers lets it keep all the others. */
const shares = /^(?:public|s-maxage|private\s*=)/i
const isPersonal = /^(?:private|no-store)$/i

/** `Cache-Control` of an answer that is somebody's own. */
function personalCacheControl(value: string): string {
  const kept = directivesOf(value).filter((directive) => !shares.test(directive))
  return (kept.some((one) => isPersonal.test(one)) ? kept : ['private', ...kept]).join(', ')
}

/** What a field is to us, by its name. */
type Kind =
  | 'any'
  | 'dropped'
  | 'cookie'
  | 'hsts'
  | 'for shared caches'
  | 'cors'
  | 'cache control'
  | 'type options'

const kindsByName: Readonly<Record<string, Kind>> = {
  'set-cookie': 'cookie',
  'strict-transport-security': 'hsts',
  'cache-control': 'cache control',
  'x-content-type-options': 'type options',
}

const kindOf = rememberNames((lower): Kind => {
  if (dropped.has(lower) || lower.startsWith('x-trac-')) return 'dropped'
  if (isForSharedCaches(lower)) return 'for shared caches'
  if (lower.startsWith('access-control-')) return 'cors'
  return Object.hasOwn(kindsByName, lower) ? kindsByName[lower]! : 'any'
})

/** Whether a field goes on to the client. */
function isKept(
  kind: Kind,
  value: string,
  { cookiePrefix, hsts }: ResponseRules,
  { personal, byCookie, byTrac, setCookies }: ResponseFacts,
): boolean {
  switch (kind) {
    case 'dropped':
      return false
    case 'cookie':
      return !cookieIsOurs(value, cookiePrefix, byTrac)
    case 'hsts':
      return hsts === undefined
    case 'for shared caches':
      return !personal
    case 'cors':
      return !byCookie
    case 'cache control':
      return setCookies.length === 0
    default:
      return true
  }
}

/** Builds the flat list for `writeHead` from the raw one as it came. */
export function clientHeaders(
  raw: readonly string[],
  rules: ResponseRules,
  facts: ResponseFacts,
): string[] {
  const list: string[] = ['X-Request-Id', facts.requestId]
  const named = connectionNames(raw)
  let cached = false
  let typed = !facts.declaresTypes
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const kind = kindOf(name)
    let value = raw[i + 1]!
    if (kind !== 'any' && !isKept(kind, value, rules, facts)) continue
    if (named !== undefined && named.has(name.toLowerCase())) continue
    if (kind === 'cache control') {
      cached = true
      if (facts.personal) value = personalCacheControl(value)
    } else if (kind === 'type options') typed = true
    list.push(name, value)
  }
  if (!typed) list.push('X-Content-Type-Options', 'nosniff')
  if (facts.setCookies.length > 0) list.push('Cache-Control', 'no-store')
  else if (facts.personal && !cached) list.push('Cache-Control', 'private')
  if (rules.hsts !== undefined) list.push('Strict-Transport-Security', rules.hsts)
  for (const cookie of facts.setCookies) list.push('Set-Cookie', cookie)
  return list
}
