/**
 * Judges lines of the audit log by another policy. Routes and permissions are judged by the code that serves; what a line
 * does not tell counts as unknown, and is never guessed.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { compileRoutes, routeDefaultsOf, unmatchedRoute } from '../../authorize/compile-routes.js'
import { anonymousGrants, createGrants } from '../../authorize/grants.js'
import type { Grants } from '../../authorize/grants.js'
import { Policy } from '../../authorize/policy.js'
import type { DecisionRecord } from '../../authorize/policy.js'
import { createRouter, createTrace } from '../../authorize/router.js'
import type { Config } from '../../config/schema.js'
import { GatewayError } from '../../core/errors.js'
import type { Granted, Identity, Via } from '../../core/identity.js'
import { isRead } from '../../core/methods.js'
import { isText } from '../../core/json-values.js'
import { RequestContext, noEndpoint } from '../../request/context.js'
import { noHeaders } from '../../request/headers.js'
import type { Route } from '../../request/route.js'
import { isPlainLine, readEcs } from '../../observe/log-format.js'
import type { EnvironmentAt } from '../../request/environment.js'
import { belowBase } from '../../request/target.js'
import { tracActions } from '../../trac/permissions.js'
import { maxValue } from '../audit.js'
import { maxPathLength } from '../access-log.js'
import { createEnvironments } from '../environments.js'

/** One line of the log, as far as it is looked at. */
interface Line {
  readonly msg?: unknown
  readonly time?: unknown
  readonly user?: unknown
  readonly via?: unknown
  readonly method?: unknown
  readonly path?: unknown
  readonly route?: unknown
  readonly result?: unknown
  readonly mode?: unknown
  readonly groups?: unknown
  readonly scopes?: unknown
  readonly permissions?: unknown
  readonly query?: unknown
  readonly actions?: unknown
  readonly claimed?: unknown
  readonly query_names?: unknown
}

/** Outcomes that change in one way, for one user at one route. */
export interface Change {
  /** The route that judged it then, and the one that does now. */
  readonly route: string
  readonly newRoute: string
  /** Empty for nobody. */
  readonly user: string
  /** `allow`, an `ERR_…` code, or `shadow ERR_…` for what shadow mode lets through. */
  readonly was: string
  readonly now: string
  readonly example: string
  count: number
}

/** What came of a log. */
export interface Replayed {
  readonly lines: number
  readonly decisions: number
  readonly same: number
  readonly changed: number
  /** Lines of decisions in the form for people (`log.format: plain`), which are not read. */
  readonly plain: number
  /** How many are not known, by what the line lacks. */
  readonly unknown: Readonly<Record<string, number>>
  /** The most frequent first. */
  readonly changes: readonly Change[]
  /** Changes beyond the most that are told apart. */
  readonly untold: number
}

/** What stands behind a fingerprint of permissions. */
interface Seen {
  readonly actions: readonly string[]
  /** Undefined: a release before this one did not tell. */
  readonly claimed: readonly string[] | undefined
  readonly queryNames: ReadonlySet<string> | undefined
}

/** Fingerprints and identities remembered: about 2 KB each; beyond it all are forgotten. */
const maxSeen = 20_000
/** Changes told apart; beyond it they are counted together. */
const maxChanges = 50_000

/** Stands for whoever made a token that a line tells of. */
const noIssuer = ''

const wordOf = (value: unknown): string => (isText(value) ? value : '')
const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter(isText) : []

/** A line can't be judged; the message says what it lacks. */
class Unknown extends Error {}

const routeCodes: ReadonlySet<string> = new Set(['ERR_ROUTE_UNKNOWN', 'ERR_METHOD_NOT_ALLOWED'])
const originCodes: ReadonlySet<string> = new Set(['ERR_CROSS_SITE', 'ERR_UNSAFE_GET'])

const outcomeOf = (result: string, mode: unknown): string =>
  result !== 'allow' && mode === 'shadow' ? `shadow ${result}` : result

/** A new outcome, and the route that gives it. */
interface Judged {
  readonly outcome: string
  readonly route: string
}

/** Holds lines against a policy; memory stays as it is however many come. */
export class Replay {
  readonly #base: string
  readonly #environmentAt: EnvironmentAt
  readonly #policy: Policy
  readonly #trace: ReturnType<typeof createTrace>
  /** Names that rows ask for. */
  readonly #asked: ReadonlySet<string>
  readonly #grants: Grants
  readonly #anonymous: Granted
  readonly #takesClaims: boolean
  readonly #machines: ReadonlyMap<string, readonly string[]>
  readonly #request = new IncomingMessage(new Socket())
  readonly #response = new ServerResponse(this.#request)
  #decided: DecisionRecord | undefined
  readonly #seen = new Map<string, Seen>()
  readonly #identities = new Map<string, Identity>()
  readonly #changes = new Map<string, Change>()
  readonly #unknown = new Map<string, number>()
  #lines = 0
  #decisions = 0
  #plain = 0
  #same = 0
  #changed = 0
  #untold = 0

  constructor(config: Config) {
    const { permissions, identity, server } = config
    const { origin, base } = server.publicUrl
    const defaults = routeDefaultsOf(config)
    const routes = compileRoutes(config.routes, config.builtinTracRoutes, defaults)
    this.#base = base
    const foreign = identity.additionalIssuers.flatMap(({ prefix, groups }) =>
      Object.entries(groups).map(([name, actions]) => [prefix + name, actions] as const),
    )
    const rules = {
      ...permissions,
      groups: { ...permissions.groups, ...Object.fromEntries(foreign) },
    }
    // A line does not tell whose tokens they were: groups of all issuers stand together, with their prefixes.
    this.#environmentAt = createEnvironments(config, new Map([[noIssuer, rules]]))
    const environmentAt = config.environments && this.#environmentAt
    this.#trace = createTrace(routes, environmentAt)
    this.#asked = new Set(routes.flatMap(({ query }) => [...(query?.keys() ?? [])]))
    this.#policy = new Policy({
      router: createRouter(routes, environmentAt),
      hasEnvironments: environmentAt !== undefined,
      publicOrigin: origin,
      base,
      targetLimit: server.limits.target,
      mode: config.mode,
      unmatched: unmatchedRoute(defaults),
      record: (decision) => (this.#decided = decision),
    })
    this.#grants = createGrants(rules)
    this.#anonymous = anonymousGrants(permissions)
    this.#takesClaims = permissions.fromClaims !== 'none'
    this.#machines = new Map(
      Object.values(identity.machines).map(({ username, groups }) => [username, groups]),
    )
  }

  /** Takes one line of the log; `since`: decisions before it are not judged. */
  take(text: string, since = ''): void {
    this.#lines++
    if (!lineOfInterest.test(text)) {
      if (isPlainLine(text, 'decision')) this.#plain++
      return
    }
    const line = parse(text)
    if (line === undefined) return
    if (line.msg === 'grants') this.#learn(line)
    else if (line.msg === 'decision' && !(isText(line.time) && line.time < since)) this.#judge(line)
  }

  /** What came of all lines. */
  result(): Replayed {
    return {
      lines: this.#lines,
      decisions: this.#decisions,
      plain: this.#plain,
      same: this.#same,
      changed: this.#changed,
      unknown: Object.fromEntries(this.#unknown),
      changes: [...this.#changes.values()].toSorted((a, b) => b.count - a.count),
      untold: this.#untold,
    }
  }

  #learn({ permissions, actions, claimed, query_names: names }: Line): void {
    if (!isText(permissions)) return
    if (this.#seen.size >= maxSeen) this.#seen.clear()
    this.#seen.set(permissions, {
      actions: textsOf(actions),
      claimed: Array.isArray(claimed) ? textsOf(claimed) : undefined,
      queryNames: Array.isArray(names) ? new Set(textsOf(names)) : undefined,
    })
  }

  #judge(line: Line): void {
    this.#decisions++
    const was = outcomeOf(wordOf(line.result), line.mode)
    try {
      const { outcome: now, route } = this.#outcomeNow(line)
      if (now === was) this.#same++
      else this.#tell(line, was, now, route)
    } catch (error) {
      if (!(error instanceof Unknown)) throw error
      this.#unknown.set(error.message, (this.#unknown.get(error.message) ?? 0) + 1)
    }
  }

  #tell({ route, user, method, path }: Line, was: string, now: string, newRoute: string): void {
    this.#changed++
    const name = wordOf(user)
    const key = JSON.stringify([route, newRoute, name, was, now])
    const known = this.#changes.get(key)
    if (known !== undefined) known.count++
    else if (this.#changes.size >= maxChanges) this.#untold++
    else {
      const example = `${wordOf(method)} ${wordOf(path)}`
      this.#changes.set(key, {
        route: wordOf(route),
        newRoute,
        user: name,
        was,
        now,
        example,
        count: 1,
      })
    }
  }

  #outcomeNow(line: Line): Judged {
    const context = this.#contextOf(line)
    const result = wordOf(line.result)
    this.#decided = undefined
    const refused = attempt(() => this.#policy.matchRoute(context))
    this.#needQuery(line, context)
    if (refused !== undefined) return this.#recorded(refused, context)
    // In the gateway's shadow mode a request without a row goes on.
    if (this.#decided !== undefined) return this.#recorded(undefined, context)
    const { route } = context
    if (originCodes.has(result))
      return { outcome: outcomeOf(result, route.mode), route: route.name }
    if (routeCodes.has(result)) return wherever(route)
    return this.#accessNow(line, context, result)
  }

  /** The outcome of access and `require`: where claims are not told, what both none and all of them lead to. */
  #accessNow(line: Line, context: RequestContext, result: string): Judged {
    if (line.via === 'legacy' && !context.route.legacyAuth) {
      throw new Unknown('who came by HTTP Basic or trac_auth')
    }
    if (line.via === 'token') throw new Unknown('what a personal token was made for')
    if (line.via === 'webhook') throw new Unknown('the groups of the webhook’s rule')
    context.isLegacy = line.via === 'legacy'
    const claims = this.#claimsOf(line)
    const [first, ...others] = claims.map((claimed) => {
      context.identity = this.#identityOf(line, claimed)
      void this.#policy.environment(context)
      this.#decided = undefined
      const refused = attempt(() => this.#policy.access(context))
      return this.#recorded(refused, context)
    })
    if (first === undefined || others.some(({ outcome }) => outcome !== first.outcome)) {
      throw new Unknown('what the permissions claim named')
    }
    // What was closed may have been so by what the query or the body named.
    if (
      result === 'ERR_ROUTE_DENIED' &&
      first.route === line.route &&
      context.route.access !== 'deny'
    ) {
      throw new Unknown('what the query or the body named')
    }
    return first
  }

  #recorded(refused: GatewayError | undefined, { route, routeName }: RequestContext): Judged {
    const decided = this.#decided
    if (decided !== undefined) {
      return { outcome: outcomeOf(decided.result, decided.mode), route: decided.route }
    }
    return {
      outcome: refused?.code ?? 'allow',
      route: refused === undefined ? route.name : routeName,
    }
  }

  #contextOf({ method, path, query }: Line): RequestContext {
    if (!isText(method) || !isText(path)) throw new Unknown('a method and a path')
    if (path.length >= maxPathLength) throw new Unknown('the whole path')
    const below = belowBase(path, this.#base)
    if (below === undefined) throw new Unknown('a path below the base path of now')
    const values = typeof query === 'object' && query !== null ? Object.entries(query) : []
    const pairs = values.map(([name, value]) => {
      if (!isText(value) || value.length >= maxValue) {
        throw new Unknown('a whole value of the query')
      }
      return `${encodeText(name)}=${encodeText(value)}`
    })
    return new RequestContext({
      request: this.#request,
      response: this.#response,
      method,
      startedAt: 0,
      rawTarget: path,
      headers: noHeaders,
      headersFault: undefined,
      target: { path, query: pairs.join('&'), sent: path },
      targetFault: undefined,
      id: '',
      traceparent: '',
      address: '',
      scheme: 'https',
      trusted: false,
      path: below,
      isBelowBase: true,
      environment: this.#environmentAt(below),
      upgradeSocket: undefined,
      endpoint: noEndpoint,
      identity: this.#identityOf({}, []),
    })
  }

  /** Rows that ask for a name of the query which the line can't tell of leave it open. */
  #needQuery({ permissions, query }: Line, { method, path, target }: RequestContext): void {
    if (this.#asked.size === 0 || !isRead(method)) return
    const told = isText(permissions) ? this.#seen.get(permissions)?.queryNames : undefined
    const given = new Set(typeof query === 'object' && query !== null ? Object.keys(query) : [])
    const isOpen = (name: string) => told?.has(name) !== true && !given.has(name)
    if (![...this.#asked].some(isOpen)) return
    const rows = this.#trace(method, path, target.query)
    const depends = rows.some(
      ({ route, verdict }) =>
        (verdict === 'query' || verdict === 'taken') &&
        [...(route.query?.keys() ?? [])].some(isOpen),
    )
    if (depends)
      throw new Unknown('names of the query that no route asked for then (log.auditQuery)')
  }

  /** What the claim may have named: one list if that is known, else the least and the most. */
  #claimsOf({ via, permissions }: Line): readonly (readonly string[])[] {
    if (!isText(via) || !this.#takesClaims) return [[]]
    const seen = isText(permissions) ? this.#seen.get(permissions) : undefined
    if (seen?.claimed !== undefined) return [seen.claimed]
    return [[], seen?.actions ?? Object.keys(tracActions)]
  }

  #identityOf({ user, via, groups, scopes }: Line, claimed: readonly string[]): Identity {
    const name = wordOf(user)
    const key = JSON.stringify([name, via, groups, scopes, claimed])
    const known = this.#identities.get(key)
    if (known !== undefined) return known
    const isAnonymous = via !== 'bearer' && via !== 'session'
    const theirs = this.#machines.get(name) ?? textsOf(groups)
    const granted = isAnonymous ? this.#anonymous : this.#grants(theirs, claimed)
    const made = toIdentity(name, isAnonymous ? undefined : via, theirs, textsOf(scopes), granted)
    if (this.#identities.size >= maxSeen) this.#identities.clear()
    this.#identities.set(key, made)
    return made
  }
}

/** Percent-encodes a text; half of a character, which JSON can hold, is none (RFC 8259 §8.2). */
const encodeText = (text: string): string =>
  encodeURIComponent(text.replaceAll(/\p{Cs}/gu, '\ufffd'))

/** Lines of `json` and of `ecs`. */
const lineOfInterest = /"(?:msg|message)":"(?:decision|grants)"/

function parse(text: string): Line | undefined {
  const start = text.indexOf('{')
  try {
    const value: unknown = JSON.parse(start <= 0 ? text : text.slice(start))
    if (typeof value !== 'object' || value === null) return undefined
    return readEcs(value as Readonly<Record<string, unknown>>) ?? value
  } catch {
    return undefined
  }
}

function attempt(work: () => unknown): GatewayError | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
}

/** What a row says to whoever it is: of a request without a row the line does not tell who sent it. */
function wherever({ access, mode, name: route }: Route): Judged {
  if (access === 'public') return { outcome: 'allow', route }
  if (access === 'deny') return { outcome: outcomeOf('ERR_ROUTE_DENIED', mode), route }
  throw new Unknown('who sent what no route took then')
}

function toIdentity(
  user: string,
  via: Via | undefined,
  groups: readonly string[],
  scopes: readonly string[],
  granted: Granted,
): Identity {
  return {
    principal: {
      kind: via === undefined ? 'anonymous' : 'person',
      user,
      nameKey: undefined,
      email: undefined,
      name: undefined,
      issuer: noIssuer,
      subject: user,
      clientId: '',
      groups: new Set(groups),
      scopes: new Set(scopes),
      ...granted,
      identityHeaders: { user: '', perms: '', email: '', name: '' },
    },
    via,
    expiresAt: Number.POSITIVE_INFINITY,
    accessToken: undefined,
  }
}
