/** A compiled row of the route policy: pure data, made once at start or reload. */
import type { Milliseconds } from '../core/clock.js'
import type { Via } from '../core/identity.js'
import { isRead } from '../core/methods.js'

/** Who may come: `deny` refuses everyone, `optional` also welcomes anonymous visitors. */
export type Access = 'public' | 'optional' | 'authenticated' | 'deny'

/** Whether what a row says holds, or is only counted and logged. */
export const routeModes = ['enforce', 'shadow'] as const

/** What a route asks of the principal. All groups given must hold. */
export interface Requirement {
  readonly anyPermission: readonly string[] | undefined
  readonly allPermissions: readonly string[] | undefined
  readonly anyGroup: readonly string[] | undefined
  readonly scopes: readonly string[] | undefined
  /** Whether it must be somebody: who has signed in, or, where anonymous visitors may view anything, anybody. */
  readonly somebody?: boolean
}

/** A route's own rate limit: `max` requests in `per`. */
export interface RouteRateLimit {
  readonly max: number
  readonly per: Milliseconds
  readonly by: 'principal' | 'address'
}

/** How a delivery of a webhook is proven. */
export type WebhookForm = 'github' | 'gitlab' | 'standard'

/** One row, in the order in which rows are tried. */
export interface Route {
  readonly name: string
  readonly path: string
  /** Paths that it does not match although `path` fits. */
  readonly except: readonly string[]
  /** Whether it matches only what no row before it has by path, whatever their methods and conditions. */
  readonly unknownOnly: boolean
  /** Whether one slash at the end of a path that has none in `path` matches, too. */
  readonly trailingSlash: boolean
  /** Whether a path may have a `\`. */
  readonly backslash: boolean
  /** Absent: every method. GET implies HEAD. */
  readonly methods: ReadonlySet<string> | undefined
  /** Conditions on the query; rows that have some match only GET and HEAD. */
  readonly query: ReadonlyMap<string, QueryCondition> | undefined
  readonly upstream: string
  readonly credentials: ReadonlySet<Via>
  /** Whether a personal token may come as the password of HTTP Basic. */
  readonly basic: boolean
  /** Whether what Trac itself knows people by, HTTP Basic and `trac_auth`, goes through to it. */
  readonly legacyAuth: boolean
  /** For deliveries of a webhook, which no other credential counts for: how they are proven. */
  readonly webhook: WebhookForm | undefined
  readonly access: Access
  readonly require: Requirement | undefined
  readonly mode: (typeof routeModes)[number]
  readonly rateLimit: RouteRateLimit | undefined
  /** Bytes. */
  readonly bodyLimit: number
  /** Time limits towards the upstream that differ from the upstream's own. */
  readonly timeouts: { readonly firstByte?: Milliseconds; readonly idle?: Milliseconds }
  readonly websocket: boolean
  /** Whether answers are kept in memory: by their whole target, or by path alone where no query means anything. */
  readonly cache: 'off' | 'target' | 'path'
}

/** `true`: present, `false`: absent, else one of the values. */
export type QueryCondition = boolean | ReadonlySet<string>

/** Conditions on the query as a configuration writes them; undefined for none. */
export function conditionsOf(
  query: Readonly<Record<string, string | boolean | readonly string[]>> | undefined,
): ReadonlyMap<string, QueryCondition> | undefined {
  if (query === undefined) return undefined
  return new Map(
    Object.entries(query).map(([name, wanted]): [string, QueryCondition] => {
      if (typeof wanted === 'boolean') return [name, wanted]
      return [name, new Set(typeof wanted === 'string' ? [wanted] : wanted)]
    }),
  )
}

/** Whether a row is for a method. Rows with conditions on the query are for reading alone: for POST Trac reads the body. */
export function takesMethod(
  { methods, query }: Pick<Route, 'methods' | 'query'>,
  method: string,
): boolean {
  if (query !== undefined && !isRead(method)) return false
  if (methods === undefined) return true
  return methods.has(method) || (method === 'HEAD' && methods.has('GET'))
}

/** The row of a request that no row was found for yet: it lets nobody pass and leads nowhere. */
export const noRoute: Route = Object.freeze({
  name: 'none',
  path: '',
  except: [],
  unknownOnly: false,
  trailingSlash: false,
  backslash: false,
  methods: new Set<string>(),
  query: undefined,
  upstream: '',
  credentials: new Set<Via>(),
  basic: false,
  legacyAuth: false,
  webhook: undefined,
  access: 'deny',
  require: undefined,
  mode: 'enforce',
  rateLimit: undefined,
  bodyLimit: 0,
  timeouts: {},
  websocket: false,
  cache: 'off',
})
