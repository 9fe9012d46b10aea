/** `routes`, `mode` and `builtinTracRoutes`: the policy. */
import { credentialKinds } from '../../core/identity.js'
import { commonMethods, davMethods } from '../../core/methods.js'
import { entriesOf, itemsOf } from '../draft.js'
import type { Draft } from '../draft.js'
import {
  choice,
  computed,
  count,
  flag,
  leaf,
  list,
  optional,
  record,
  shape,
  text,
  value,
} from '../key.js'
import type { Resolved } from '../key.js'
import { duration } from '../kinds/duration.js'
import { action, group, scope } from '../kinds/names.js'
import { pathPattern } from '../kinds/path-pattern.js'
import { size } from '../kinds/size.js'
import { conditionsOf, routeModes } from '../../request/route.js'
import { overlapsOf, reachOf } from '../../request/row-reach.js'
import type { ReachRow } from '../../request/row-reach.js'
import { tracRoutes } from '../../trac/routes.js'
import { suggest } from '../problems.js'
import type { Path, Report } from '../problems.js'
import type { Rule, Topic } from '../topic.js'
import type { EnvironmentsPart } from './environment-keys.js'
import type { ServerPart } from './server.js'
import type { UpstreamsPart } from './upstreams.js'
import { webhook } from './webhook-keys.js'

const methods = [...commonMethods, ...davMethods] as const

const parameter = leaf<boolean | readonly string[]>({
  anyOf: [
    { type: 'boolean' },
    { type: 'string', wanted: 'text' },
    { type: 'array', minItems: 1, items: { type: 'string', wanted: 'text' } },
  ],
  wanted: 'a value, a list of values, true (present) or false (absent)',
  description: 'A value, one of a list, `true` (present) or `false` (absent).',
})

const require = shape('What somebody must bring besides. All that is named here must be there.', {
  anyPermission: optional(
    list(action, { description: 'One of these permissions.', minItems: 1 }),
    'not asked',
  ),
  allPermissions: optional(
    list(action, { description: 'All of these permissions.', minItems: 1 }),
    'not asked',
  ),
  anyGroup: optional(
    list(group, { description: 'One of these groups.', minItems: 1 }),
    'not asked',
  ),
  scopes: optional(
    list(scope, {
      description: 'All of these scopes. Access tokens have them, ID tokens have none.',
      minItems: 1,
    }),
    'not asked',
  ),
})

const rateLimit = shape('How often it may be asked for.', {
  max: count('Requests in a period.'),
  per: duration('The period.', '1m', { min: '1s', max: '1d' }),
  by: choice(
    'Whose requests are counted together: those of a person or machine, or those of a client address.',
    ['principal', 'address'],
    'principal',
  ),
})

const route = shape('One rule.', {
  name: text('Its name in logs and metrics. It is unique, and not `none` or `trac:…`.', {
    maxLength: 64,
    pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]*$',
    wanted: 'a short name of letters, digits, . _ : or -',
  }),
  path: value(
    pathPattern,
    'The path below the base path. `*` is one segment or a part of one, `**` any number of segments: `/api/**` is `/api`, too.',
    { examples: ['/api/**', '/ticket/*'] },
  ),
  methods: optional(
    list(choice('A method.', methods), {
      description: 'Methods that it matches. GET stands for HEAD, too.',
      minItems: 1,
    }),
    'every method',
  ),
  query: optional(
    record('parameter', parameter, {
      description:
        'Query parameters that the request must have: a value, one of a list, `true` (present) or `false` (absent). Such a route matches only GET and HEAD, since for POST Trac reads the body.',
      examples: [{ action: 'edit' }],
    }),
    'any query',
  ),
  upstream: text('Which of `upstreams` gets it.', {
    default: 'trac',
    wanted: 'a name of upstreams',
  }),
  credentials: list(choice('A kind of credential.', credentialKinds), {
    description:
      'Kinds of credential that it accepts: tokens of the provider (`bearer`), sessions, personal tokens (`token`). `[bearer]` is for an API that only programs call.',
    default: [...credentialKinds],
    minItems: 1,
  }),
  basic: optional(
    choice(
      '`token`: a personal token may also come as the password of HTTP Basic, for programs that can’t send it in another way. The user name is that of its owner.',
      ['token'],
    ),
    'HTTP Basic is no credential',
  ),
  legacyAuth: optional(
    flag('As `legacyAuth` of the upstream, for this rule.', false),
    'that of the upstream',
  ),
  webhook: optional(webhook, 'no webhook'),
  access: choice(
    'Whether one must be signed in. `optional` welcomes anonymous visitors, `deny` closes it.',
    ['public', 'optional', 'authenticated', 'deny'],
    'authenticated',
  ),
  require: optional(require, 'nothing besides `access`'),
  mode: optional(
    choice('`shadow` counts and logs what this rule says, but lets pass.', routeModes),
    'the `mode` of the gateway',
  ),
  rateLimit: optional(rateLimit, 'no limit'),
  bodyLimit: computed(size('The largest request body.'), '`server.limits.body`'),
  timeouts: shape('Limits other than those of the upstream.', {
    firstByte: computed(duration('To the first byte of the answer.'), 'that of the upstream'),
    idle: computed(duration('Between two bytes of the answer.'), 'that of the upstream'),
  }),
  backslash: flag(
    'Whether the path may have a `\\`, written `%5C`, as names of milestones and attachments in Trac may. For Trac alone.',
    false,
  ),
  websocket: flag('Whether WebSocket connections are let through.', false),
  cache: optional(
    choice(
      '`shared`: GETs are answered from memory, as an anonymous visitor gets them. For what is the same for everybody whom the rule lets in.',
      ['shared'],
    ),
    'nothing is kept',
  ),
})

const mode = choice(
  '`shadow` counts and logs the whole policy, but lets pass. It is for the roll-out.',
  routeModes,
  'enforce',
)

const routes = list(route, {
  description:
    'Rules of your own. The first one that matches counts, then the built-in ones for Trac, then 404.',
  default: [],
})

const builtinTracRoutes = leaf<boolean | 'strict'>({
  anyOf: [{ type: 'boolean' }, { type: 'string', enum: ['strict'] }],
  wanted: 'true or false, or strict',
  description:
    'Whether the built-in rules for Trac’s pages come after your own. `strict` leaves out the last one, which lets pages of Trac’s plugins through for whoever may view anything. `trac-gateway routes` prints them all.',
  default: true,
})

/** One of `routes`. A `query` value is a list, `true` (present) or `false` (absent). */
export type RouteConfig = Resolved<typeof route>
/** `mode` of the gateway and of a route. */
export type Mode = Resolved<typeof mode>

/** What the rules of routes look at. */
export interface RoutesPart {
  readonly routes: readonly RouteConfig[]
  readonly builtinTracRoutes: boolean | 'strict'
}

/** Judges one route; `at` is its place. */
type RouteRule<T> = (
  route: Draft<RouteConfig>,
  at: Path,
  report: Report,
  draft: Draft<T & RoutesPart>,
) => void

/** A rule that judges each route by itself. */
const forEachRoute =
  <T>(rule: RouteRule<T>): Rule<T & RoutesPart> =>
  (draft, report) => {
    const { routes } = draft as Draft<RoutesPart>
    for (const [index, one] of itemsOf(routes)) rule(one, ['routes', index], report, draft)
  }

const checkNames: Rule<RoutesPart> = ({ routes }, report) => {
  const names = new Set<string>()
  for (const [index, { name }] of itemsOf(routes)) {
    if (name === undefined) continue
    const at = ['routes', index, 'name']
    if (names.has(name)) report(at, `${name} a second time`, 'a unique name')
    if (name === 'none' || name.startsWith('trac:')) {
      report(at, name, 'another name: none and trac:… are our own')
    }
    names.add(name)
  }
}

const checkUpstream = forEachRoute<UpstreamsPart>(({ upstream }, at, report, { upstreams }) => {
  if (upstreams === undefined || upstream === undefined || upstream in upstreams) return
  const known = Object.keys(upstreams)
  const near = suggest(upstream, known)
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`
  report([...at, 'upstream'], upstream, `one of ${known.join(', ')}${hint}`)
})

const checkRequire = forEachRoute<object>(({ access, require }, at, report) => {
  if (require === undefined) return
  if (access === 'public') {
    report([...at, 'require'], 'require on a public route', 'access: optional or authenticated')
  }
  if (Object.values(require).every((rule) => rule === undefined)) {
    report([...at, 'require'], 'nothing required', 'one of its keys, or no require')
  }
})

const isReading = (method: string | undefined): boolean => method === 'GET' || method === 'HEAD'

const checkQuery = forEachRoute<object>(({ query, methods }, at, report) => {
  if (query === undefined || (methods?.some(isReading) ?? true)) return
  report(
    [...at, 'query'],
    `query with ${methods?.join(', ')}`,
    'GET or HEAD among the methods: no other method is judged by its query',
  )
})

/** The path as Trac's own: within the environment, where there are several. */
const pathInTrac = (path: string, { environments }: Draft<EnvironmentsPart>): string =>
  environments === undefined ? path : path.replace(/^\/[^/]+(?=\/)/, '')

const warnOfPath = forEachRoute<ServerPart & UpstreamsPart & EnvironmentsPart>(
  (route, at, warn, draft) => {
    const { path = '' } = route
    const { server, upstreams } = draft
    const base = server?.publicUrl?.base ?? ''
    if (base !== '' && (path === base || path.startsWith(`${base}/`))) {
      warn([...at, 'path'], path, `the path below ${base}, since the base path is not part of it`)
    }
    const isTracs = upstreams?.['trac']?.legacyAuth === true
    const within = pathInTrac(path, draft)
    if (/^\/auth(?:\/|$)/.test(path) || (!isTracs && /^\/(?:login|logout)\/?$/.test(within))) {
      warn([...at, 'path'], path, 'another path: these are our own and never come to a route')
    }
  },
)

const warnOfMethods = forEachRoute<object>(({ methods, query, upstream }, at, warn) => {
  const never = methods?.filter((method) => !isReading(method)) ?? []
  if (query !== undefined && never.length > 0 && never.length < (methods?.length ?? 0)) {
    warn([...at, 'methods'], `${never.join(', ')} with query`, 'GET and HEAD: no other can match')
  }
  if (methods?.includes('OPTIONS') === true && upstream === 'trac') {
    warn([...at, 'methods'], 'OPTIONS', 'no OPTIONS: it never goes to Trac')
  }
})

const warnOfRequire = forEachRoute<object>(({ access, require }, at, warn) => {
  if (access === 'deny' && require !== undefined) {
    warn([...at, 'require'], 'require on a closed route', 'no require: nobody comes in')
  }
})

const checkBackslash = forEachRoute<object>(({ backslash, upstream }, at, report) => {
  if (backslash !== true || upstream === undefined || upstream === 'trac') return
  report([...at, 'backslash'], `backslash with the upstream ${upstream}`, 'it for Trac alone')
})

/** A rule for every path stands before the built-in ones, which then never match. */
const warnOfShadowing: Rule<RoutesPart & EnvironmentsPart> = (draft, warn) => {
  const { routes, builtinTracRoutes } = draft
  if (builtinTracRoutes === false) return
  for (const [index, { path = '', query, access, methods }] of itemsOf(routes)) {
    if (!/^(?:\/\*\*)+$/.test(pathInTrac(path, draft)) || query !== undefined || access === 'deny')
      continue
    const hidden = tracRoutes.filter((row) =>
      row.methods.every((method) => methods?.some((one) => one === method) ?? true),
    )
    if (hidden.length === 0) continue
    const names = hidden.map(({ name }) => name).join(', ')
    const wanted = `a narrower path, or builtinTracRoutes: false. Never reached: ${names}`
    warn(['routes', index, 'path'], `${path} before every built-in rule`, wanted)
  }
}

/** What of a rule says which requests it takes; what could not be read takes nothing. */
function toReachRow(one: Draft<RouteConfig>): ReachRow {
  const { name = '', path = '/', query, webhook } = one
  const methods = webhook === undefined ? one.methods : (['POST'] as const)
  const conditions = entriesOf(query).map(
    ([key, wanted]) =>
      [
        key,
        typeof wanted === 'object' ? wanted.filter((text) => text !== undefined) : wanted,
      ] as const,
  )
  return {
    name,
    path,
    methods: methods && new Set(methods.filter((method) => method !== undefined)),
    query: query && conditionsOf(Object.fromEntries(conditions)),
  }
}

/** A rule that no request comes to: those before it take them all. */
const warnOfDeadRows: Rule<RoutesPart> = ({ routes }, warn) => {
  const rows = itemsOf(routes)
  const reaches = reachOf(rows.map(([, one]) => toReachRow(one)))
  for (const [i, { state, by }] of reaches.entries()) {
    const [index = i] = rows[i] ?? []
    if (state !== 'dead') continue
    const names = by.join(', ')
    warn(
      ['routes', index],
      `a rule that no request reaches: ${names} takes them`,
      `it before ${names}`,
    )
  }
}

/** What two rules must differ in for their order to matter. */
const demandsOf = ({
  access,
  require,
  upstream,
  credentials,
  basic,
  mode,
  websocket,
  webhook,
}: Draft<RouteConfig>) =>
  JSON.stringify([
    ...[access, require, upstream, credentials, basic, mode, websocket],
    webhook?.username,
  ])

/** Neither rule is a special case of the other, so that whoever reads one may not think of the other. */
const warnOfOverlaps: Rule<RoutesPart> = ({ routes }, warn) => {
  const rows = itemsOf(routes)
  for (const [earlier, later] of overlapsOf(rows.map(([, one]) => toReachRow(one)))) {
    const [, first] = rows[earlier]!
    const [index, second] = rows[later]!
    if (demandsOf(first) === demandsOf(second)) continue
    warn(
      ['routes', index, 'path'],
      `${second.path}, some of whose requests ${first.name} takes (${first.path})`,
      'paths, methods or queries that no request fits both of, or the stricter rule first',
    )
  }
}

/** Keys that a rule of this kind never looks at. */
const unusedBy = {
  public: ['credentials'],
  deny: ['credentials', 'bodyLimit', 'timeouts', 'websocket'],
} as const

const warnOfUnusedKeys: Rule<RoutesPart & { mode: Mode }> = ({ routes, mode }, warn, given) => {
  for (const [index, { access }] of itemsOf(routes)) {
    if (access !== 'public' && access !== 'deny') continue
    // The gateway's shadow mode lets even these through.
    if (access === 'deny' && mode === 'shadow') continue
    for (const key of unusedBy[access]) {
      const at = ['routes', index, key]
      if (given(at))
        warn(at, `${key} with access: ${access}`, `no ${key}: it changes nothing there`)
    }
  }
}

/** Rules that anybody passes who brings what Trac itself is to look at. */
const warnOfLegacyAuth: Rule<RoutesPart & UpstreamsPart> = (draft, warn) => {
  const { routes, builtinTracRoutes, upstreams } = draft
  const wanted = 'it for the time of a move only: then Trac alone judges whoever brings one of them'
  const open = 'HTTP Basic or trac_auth pass this rule unjudged'
  for (const [index, { legacyAuth, upstream = '', access, webhook: hook }] of itemsOf(routes)) {
    if (access === 'deny' || hook !== undefined) continue
    if (!(legacyAuth ?? upstreams?.[upstream]?.legacyAuth)) continue
    warn(['routes', index, 'legacyAuth'], open, wanted)
  }
  if (builtinTracRoutes === false || upstreams?.['trac']?.legacyAuth !== true) return
  const names = tracRoutes.filter(({ closed }) => closed !== true).map(({ name }) => name)
  const found = `HTTP Basic or trac_auth pass the built-in rules unjudged: ${names.join(', ')}`
  warn(['upstreams', 'trac', 'legacyAuth'], found, wanted)
}

/** The front proxy would have to pass on what we take out. */
const checkLegacyAuth: Rule<RoutesPart & UpstreamsPart & ServerPart> = (draft, report) => {
  const { routes, upstreams, server } = draft
  if (server?.forwardAuth === undefined) return
  const found = `legacyAuth with server.forwardAuth: ${server.forwardAuth}`
  const wanted = 'the gateway as a proxy, for the time of a move'
  for (const [name, { legacyAuth }] of entriesOf(upstreams)) {
    if (legacyAuth === true) report(['upstreams', name, 'legacyAuth'], found, wanted)
  }
  for (const [index, { legacyAuth }] of itemsOf(routes)) {
    if (legacyAuth === true) report(['routes', index, 'legacyAuth'], found, wanted)
  }
}

/** An upstream that no rule leads to. */
const warnOfUnusedUpstreams: Rule<RoutesPart & UpstreamsPart & EnvironmentsPart> = (
  draft,
  warn,
) => {
  const { routes, builtinTracRoutes, upstreams, environments } = draft
  const used = new Set<string | undefined>(itemsOf(routes).map(([, { upstream }]) => upstream))
  if (builtinTracRoutes !== false) used.add('trac')
  for (const [, { upstream }] of entriesOf(environments)) used.add(upstream)
  for (const [name] of entriesOf(upstreams)) {
    if (used.has(name)) continue
    warn(
      ['upstreams', name],
      `${name}, to which no rule leads`,
      'a rule with it, or no such upstream',
    )
  }
}

/** Objects that Trac also finds by another way than their path, so that a rule on one of them is no wall. */
const foundElsewhere: readonly (readonly [path: RegExp, why: string])[] = [
  [/^\/milestone\/(.+)$/, 'a POST to /milestone names the milestone in its body'],
  [/^\/report\/(.+)$/, 'a POST to /report names the report in its body'],
  [/^\/ticket\/(.+)$/, 'lists show its ticket, and /batchmodify names tickets in its body'],
  [
    /^\/(?:browser|export|file|log|changeset)\/(.+)$/,
    '/changeset and /diff find files by new_path and old_path',
  ],
  [/^\/wiki\/(WikiStart)$/, '/ and /wiki show WikiStart, too'],
  [
    /^\/wiki\/(?!WikiStart$)(.+)$/,
    'a POST to another page names it in its body, as template (which shows its text) or as new_name',
  ],
]

const warnOfSingleObjects = forEachRoute<EnvironmentsPart>((route, at, warn, draft) => {
  const { path = '', upstream, access, require } = route
  const opens = access === 'public' || (access === 'optional' && require === undefined)
  if (upstream !== 'trac' || opens) return
  for (const [pattern, why] of foundElsewhere) {
    const name = pattern.exec(pathInTrac(path, draft))?.[1]
    if (name === undefined || /^[*/]+$/.test(name)) continue
    const policy = 'a rule in Trac’s own AuthzPolicy (AuthzSourcePolicy for a repository), too'
    warn([...at, 'path'], `a rule for ${path} alone`, `${policy}: ${why}`)
  }
})

/** Fills in what a route takes over from the server and its upstream. */
export function completeRoutes({
  routes,
  server,
  upstreams,
}: RoutesPart & ServerPart & UpstreamsPart): readonly RouteConfig[] {
  return routes.map((route) => {
    const limits = upstreams[route.upstream]?.timeouts
    const { firstByte, idle } = route.timeouts
    return {
      ...route,
      bodyLimit: route.bodyLimit ?? server.limits.body,
      legacyAuth: route.legacyAuth ?? upstreams[route.upstream]?.legacyAuth ?? false,
      timeouts: {
        firstByte: firstByte ?? limits?.firstByte ?? 0,
        idle: idle ?? limits?.idle ?? 0,
      },
      query: route.query && completeQuery(route.query),
    }
  })
}

/** A single value is a list of one; such a list has no other meaning. */
function completeQuery(query: NonNullable<RouteConfig['query']>): RouteConfig['query'] {
  const lists: Record<string, boolean | readonly string[]> = Object.create(null)
  for (const [name, value] of Object.entries(query)) {
    lists[name] = typeof value === 'string' ? [value] : value
  }
  return lists
}

/** The policy. */
export const routesTopic = {
  keys: { mode, routes, builtinTracRoutes },
  checks: [checkNames, checkUpstream, checkRequire, checkQuery, checkBackslash, checkLegacyAuth],
  warnings: {
    'route-path': warnOfPath,
    'route-methods': warnOfMethods,
    'route-require': warnOfRequire,
    'route-hides-builtin': warnOfShadowing,
    'route-single-object': warnOfSingleObjects,
    'legacy-auth': warnOfLegacyAuth,
    'route-dead': warnOfDeadRows,
    'route-order': warnOfOverlaps,
    'route-unused-key': warnOfUnusedKeys,
    'unused-upstream': warnOfUnusedUpstreams,
  },
} satisfies Topic<
  { mode: typeof mode; routes: typeof routes; builtinTracRoutes: typeof builtinTracRoutes },
  RoutesPart & ServerPart & UpstreamsPart & EnvironmentsPart & { mode: Mode }
>
