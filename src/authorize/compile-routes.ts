/** From rows of `gateway.yaml` and of the built-in table to compiled routes: once, at start. */
import type { Config } from '../config/schema.js'
import type { RouteConfig } from '../config/topics/routes.js'
import type { Milliseconds } from '../core/clock.js'
import { credentialKinds } from '../core/identity.js'
import type { Via } from '../core/identity.js'
import { conditionsOf } from '../request/route.js'
import type { Requirement, Route } from '../request/route.js'
import type { TracRoute } from '../trac/routes.js'
import { pluginsRow, takesBackslash, tracLoginRoutes, tracRoutes } from '../trac/routes.js'

/** What rows that say nothing fall back to. */
export interface RouteDefaults {
  readonly mode: 'enforce' | 'shadow'
  /** Bytes. */
  readonly bodyLimit: number
  /** `upstreams.trac.legacyAuth`; absent: false. */
  readonly legacyAuth?: boolean
  /** Whether the first segment of a path names an environment of Trac; absent: false. */
  readonly environments?: boolean
}

/** What the rows of a configuration fall back to. */
export function routeDefaultsOf({
  mode,
  server,
  upstreams,
  environments,
}: Pick<Config, 'mode' | 'server' | 'upstreams' | 'environments'>): RouteDefaults {
  const { legacyAuth = false } = upstreams['trac'] ?? {}
  return {
    mode,
    bodyLimit: server.limits.body,
    legacyAuth,
    environments: environments !== undefined,
  }
}

const allCredentials: ReadonlySet<Via> = new Set(credentialKinds)

function timeoutsOf(given: { readonly firstByte?: Milliseconds; readonly idle?: Milliseconds }) {
  const { firstByte, idle } = given
  return {
    ...(firstByte === undefined ? {} : { firstByte }),
    ...(idle === undefined ? {} : { idle }),
  }
}

const webhookMethods: ReadonlySet<string> = new Set(['POST'])
const webhookCredentials: ReadonlySet<Via> = new Set(['webhook'])

function fromConfig(row: RouteConfig, defaults: RouteDefaults): Route {
  const isWebhook = row.webhook !== undefined
  const methods = row.methods === undefined ? undefined : new Set<string>(row.methods)
  return {
    name: row.name,
    path: row.path,
    except: [],
    unknownOnly: false,
    trailingSlash: false,
    backslash: row.backslash,
    methods: isWebhook ? webhookMethods : methods,
    query: conditionsOf(row.query),
    upstream: row.upstream,
    credentials: isWebhook ? webhookCredentials : new Set<Via>(row.credentials),
    basic: row.basic === 'token',
    legacyAuth: !isWebhook && (row.legacyAuth ?? false),
    webhook: row.webhook?.form,
    access: row.access,
    require: row.require,
    mode: row.mode ?? defaults.mode,
    rateLimit: row.rateLimit,
    bodyLimit: row.bodyLimit,
    timeouts: timeoutsOf(row.timeouts),
    websocket: row.websocket,
    cache: row.cache === 'shared' ? 'target' : 'off',
  }
}

function requirementOf(row: TracRoute): Requirement | undefined {
  const { anyPermission, allPermissions, somebody = false } = row
  if (anyPermission === undefined && allPermissions === undefined && !somebody) return undefined
  return { anyPermission, allPermissions, anyGroup: undefined, scopes: undefined, somebody }
}

/** A path of Trac's in whichever environment. */
const inAnyEnvironment = (path: string): string => (path === '/' ? '/*' : `/*${path}`)

function fromTable(row: TracRoute, defaults: RouteDefaults): Route {
  const placed = defaults.environments === true ? inAnyEnvironment : (path: string) => path
  return {
    name: row.name,
    path: placed(row.path),
    except: (row.except ?? []).map(placed),
    unknownOnly: row.unknownOnly ?? false,
    // Trac itself leads to the page without it.
    trailingSlash: true,
    backslash: takesBackslash(row),
    methods: new Set(row.methods),
    query: conditionsOf(row.query),
    upstream: 'trac',
    credentials: allCredentials,
    basic: false,
    legacyAuth: defaults.legacyAuth ?? false,
    webhook: undefined,
    access: row.closed === true ? 'deny' : 'optional',
    require: requirementOf(row),
    mode: defaults.mode,
    rateLimit: undefined,
    bodyLimit: defaults.bodyLimit,
    timeouts: {},
    websocket: false,
    cache: row.files === true ? 'path' : 'off',
  }
}

/**
 * All rows in the order in which they are tried: the operator's own, then Trac's.
 * @param builtin whether there are built-in ones; `strict`, and with environments: without the row for plugins' pages
 */
export function compileRoutes(
  rows: readonly RouteConfig[],
  builtin: boolean | 'strict',
  defaults: RouteDefaults,
): readonly Route[] {
  const all = defaults.legacyAuth === true ? [...tracLoginRoutes, ...tracRoutes] : tracRoutes
  const table = builtin === false ? [] : all
  // Beside other environments any path could be one of a Trac that has another policy: what is not known stays closed.
  const isStrict = builtin === 'strict' || defaults.environments === true
  const kept = table.filter(({ name }) => !isStrict || name !== pluginsRow)
  return [
    ...rows.map((row) => fromConfig(row, defaults)),
    ...kept.map((row) => fromTable(row, defaults)),
  ]
}

/** What a request that no row matched is judged as in global shadow mode: Trac's, with no limits of its own. */
export function unmatchedRoute(defaults: RouteDefaults): Route {
  return fromTable({ name: 'none', path: '/**', methods: [] }, defaults)
}
