/**
 * Says what would become of a request. It runs the stages that serve, in their order, over services that change nothing
 * (`read-only.ts`), on a request that nobody sent (`arrival.ts`), and ends where forwarding would begin.
 */
import type { DecisionRecord } from '../../authorize/policy.js'
import { createTrace } from '../../authorize/router.js'
import { whyLeftOut } from '../../authorize/grants.js'
import { queryText } from '../../authorize/route-text.js'
import { GatewayError } from '../../core/errors.js'
import type { Identity } from '../../core/identity.js'
import type { CreateCount } from '../../edge/rate-limit.js'
import type { Reply } from '../../edge/reply.js'
import { bringsBody, outgoingHeaders } from '../../forward/forward.js'
import { noEndpoint } from '../../request/context.js'
import type { RequestContext, Stage } from '../../request/context.js'
import { isRead } from '../../core/methods.js'
import { createClientResolver, createTrust } from '../../request/client-address.js'
import { createRequestReader } from '../../request/read-request.js'
import { createRequestNames } from '../../request/request-id.js'
import { deleteSession } from '../../session/cookies.js'
import type { OpenSession } from '../../session/open-session.js'
import type { AppContext } from '../context.js'
import { createEndpoints, findEndpoint } from '../endpoints.js'
import { stageNamesOf } from '../pipeline.js'
import type { Services } from '../services.js'
import { createCounters, createProof, createReply, createStages } from '../stages.js'
import type { JudgingStages } from '../stages.js'
import { arrive, toPairs } from './arrival.js'
import type { Arrival } from './arrival.js'
import { credentialOf, describedCredential, identityOf } from './described.js'
import { Unasked, createReadOnly } from './read-only.js'
import type { Decided, Explain, PassedRow, Report, Step, ToldIdentity } from './report.js'
import { passedDetail } from './step-details.js'
import { openAnswer } from './own-answer.js'
import { judgeWish } from './wish.js'
import type { Wish } from './wish.js'

type StageName = keyof JudgingStages

/** Whether a stage judges; the others answer what may pass. */
const judges = (name: ReturnType<typeof stageNamesOf>[number]): name is StageName =>
  name !== 'keptFiles'

/** Names of headers whose values are secrets. */
const secretHeaders: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'set-cookie',
  'x-trac-signature',
])

const hideSecrets = (pairs: Report['headers']): Report['headers'] =>
  pairs.map(([name, value]) =>
    secretHeaders.has(name.toLowerCase()) && value !== '' ? [name, '[set]'] : [name, value],
  )

/** What is heard while the stages run for one wish. */
interface Hearing {
  /** Whoever the wish describes. */
  described: Identity | GatewayError | undefined
  readonly besides: string[]
  readonly decisions: DecisionRecord[]
}

const whatWould = {
  mark: 'the session cookie would be set anew, since the session is used',
  reseal: 'the session cookie would be sealed with the first secret',
  renew: 'the session is due: new tokens would be asked for at the provider',
} as const

/** One explainer answers one wish after the other. */
class Explainer {
  readonly #services: Services
  readonly #readOnly: ReturnType<typeof createReadOnly>
  readonly #unasked = new Unasked()
  readonly #reply: Reply
  readonly #stages: JudgingStages
  readonly #trace: ReturnType<typeof createTrace>
  readonly #proveIdentity: ReturnType<typeof createProof>
  readonly #read: ReturnType<typeof createRequestReader>
  #hearing: Hearing = { described: undefined, besides: [], decisions: [] }

  constructor(services: Services, app: AppContext, look: CreateCount) {
    this.#services = services
    this.#readOnly = createReadOnly(services, app, this.#unasked)
    const asking = this.#readOnly.app
    this.#reply = createReply(services, asking)
    this.#proveIdentity = createProof(services, asking)
    this.#trace = createTrace(
      services.routes,
      services.config.environments && services.environmentAt,
    )
    const counters = createCounters(look, services)
    const reply = this.#reply
    const accessLog = {
      decision: (record: DecisionRecord) => void this.#hearing.decisions.push(record),
      signIn: () => undefined,
    }
    this.#stages = createStages(this.#judging(), asking, {
      count: look,
      reply,
      accessLog,
      counters,
    })
    const { server } = services.config
    this.#read = createRequestReader({
      base: app.address.base,
      targetLimit: server.limits.target,
      names: createRequestNames(),
      resolveClient: createClientResolver(
        createTrust(server.trustedProxies),
        'path' in server.listen,
      ),
      endpointAt: findEndpoint(
        createEndpoints(this.#readOnly.services, asking, {
          reply,
          accessLog,
          counters,
          proveIdentity: this.#proveIdentity,
          original: [],
        }),
      ),
      environmentAt: services.environmentAt,
      anonymous: services.anonymous,
    })
  }

  /** The services as the stages see them: who is described comes in by a credential that nobody can send. */
  #judging() {
    const { services } = this.#readOnly
    const { bearer, toPrincipal } = services
    const real = this.#services.sessions
    const open = (identity: Identity) => {
      // Of a session that is good as it is, only whose it is gets looked at.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return { session: { identity } as OpenSession, fresh: false }
    }
    const described = (): Identity => {
      const found = this.#hearing.described
      if (found instanceof GatewayError) throw found
      if (found === undefined) throw new GatewayError('ERR_TOKEN_MALFORMED')
      return found
    }
    return {
      ...services,
      bearer: ((presented, address) => {
        if (presented.token !== describedCredential) return bearer(presented, address)
        const identifiers = { issuer: '', ids: [], subject: '' }
        const identity = described()
        const { user } = identity.principal
        return { known: { identity, identifiers, user, checkedAt: 0 }, hit: false }
      }) as Services['bearer'],
      sessions: {
        find: async (value: string) => {
          if (value === describedCredential) return open(described())
          const { found, would, isOpen } = await real.look(value, toPrincipal)
          if (isOpen) throw this.#unasked.note('new tokens for the session, at the provider')
          if (would !== 'nothing') this.#hearing.besides.push(whatWould[would])
          return found
        },
      },
      sessionCookies: this.#cookies(),
    }
  }

  /** The cookies that an answer owes, without a claim on their deletion. */
  #cookies(): Services['sessionCookies'] {
    const { sessions, names } = this.#services
    const cookies: Pick<Services['sessionCookies'], 'begun' | 'current' | 'gone'> = {
      begun: () => [],
      current: () => [],
      gone: ({ session, sessionNames }, since) =>
        sessions.mayDelete(session, since) ? deleteSession(names, sessionNames) : [],
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return cookies as Services['sessionCookies']
  }

  async explain(wish: Wish): Promise<Report> {
    const { config, names } = this.#services
    const { user, via = 'session', token, cookie, online = false } = judgeWish(wish)
    this.#unasked.isOnline = online
    this.#unasked.take()
    const described = user === undefined ? undefined : await this.#describe({ ...wish, user })
    this.#hearing = { described, besides: [], decisions: [] }
    const credential = [
      ...(user === undefined ? [] : [credentialOf(via, names.session)]),
      ...(token === undefined ? [] : [['Authorization', `Bearer ${token}`] as const]),
      ...(cookie === undefined ? [] : [['Cookie', cookie] as const]),
    ]
    const arrival = arrive(wish, config, credential)
    const context = this.#read(arrival.request, arrival.response, arrival.upgradeSocket)
    const steps = await this.#run(context, arrival)
    return this.#report(wish, context, arrival, steps)
  }

  async #describe(wish: Wish & { readonly user: string }): Promise<Identity | GatewayError> {
    const { services, app } = this.#readOnly
    try {
      return await identityOf(wish, services, app)
    } catch (error) {
      if (error instanceof GatewayError) return error
      throw error
    }
  }

  async #run(context: RequestContext, arrival: Arrival): Promise<readonly Step[]> {
    const pipeline = context.endpoint === noEndpoint ? 'forwarded' : 'own'
    const names = stageNamesOf(pipeline).filter(judges)
    const steps: Step[] = []
    for (const name of names) {
      const isOver = steps.some(({ outcome }) => outcome !== 'passed' && outcome !== 'shadow')
      if (isOver) steps.push({ name, outcome: 'not reached', detail: '' })
      else steps.push(await this.#step(name, this.#stageOf(name, arrival), context, arrival))
    }
    return context.endpoint === noEndpoint
      ? steps
      : [...steps, await this.#own(context, arrival, steps)]
  }

  /** What an own endpoint does once its checks have passed. */
  async #own(context: RequestContext, arrival: Arrival, before: readonly Step[]): Promise<Step> {
    const name = 'ownAnswer'
    const isOver = before.some(({ outcome }) => outcome !== 'passed')
    if (isOver) return { name, outcome: 'not reached', detail: '' }
    const open = openAnswer(context)
    if (open !== undefined) return { name, outcome: 'not judged', detail: open }
    const handle: Stage = () => context.endpoint.handle(context, Buffer.alloc(0))
    return await this.#step(name, handle, context, arrival)
  }

  /** What the listener refuses comes before the first check. */
  #stageOf(name: StageName, { fault }: Arrival): Stage {
    if (fault === undefined) return this.#stages[name]
    return () => {
      throw fault
    }
  }

  async #step(
    name: Step['name'],
    stage: Stage,
    context: RequestContext,
    arrival: Arrival,
  ): Promise<Step> {
    const before = this.#hearing.decisions.length
    let thrown: unknown
    try {
      await stage(context)
    } catch (error) {
      thrown = error
    }
    const missing = this.#unasked.take()
    if (missing.length > 0) {
      const detail = `it depends on ${missing.join(', ')}; --online asks there`
      return { name, outcome: 'unknown', detail }
    }
    if (thrown !== undefined) {
      this.#reply.refuse(context, thrown)
      const { code = 'ERR_INTERNAL', reason = '' } = context
      return { name, outcome: 'refused', code, detail: reason }
    }
    const answered = arrival.answered()
    if (answered !== undefined) {
      const { status } = answered
      return { name, outcome: 'answered', detail: `${status} ${locationOf(answered) ?? ''}`.trim() }
    }
    const excused = this.#hearing.decisions.slice(before).find(({ result }) => result !== 'allow')
    if (excused !== undefined && excused.result !== 'allow') {
      const detail = `${excused.result} in enforce mode; let through in shadow mode`
      return { name, outcome: 'shadow', code: excused.result, detail }
    }
    return { name, outcome: 'passed', detail: passedDetail(name, context, this.#services) }
  }

  #report(wish: Wish, context: RequestContext, arrival: Arrival, steps: readonly Step[]): Report {
    const { targetFault, identity, isBelowBase, path } = context
    const { principal } = identity
    const { environment } = context
    const { permissions, environments } = this.#services.config
    const overlay = environments?.[environment?.key ?? '']?.permissions
    const fromClaims = overlay?.fromClaims ?? permissions.fromClaims
    const unwritten = (wish.permissions ?? []).filter((name) => !principal.claimed.includes(name))
    return {
      method: context.method,
      target: wish.target,
      ...(targetFault === undefined && isBelowBase ? { path: path === '' ? '/' : path } : {}),
      ...(environment === undefined ? {} : { environment: environment.name }),
      assumed: arrival.assumed,
      identity: toldIdentity(identity),
      permissions: principal.grants,
      leftOut: [...principal.leftOut, ...(identity.via === undefined ? [] : unwritten)].map(
        (action) => ({
          action,
          why: whyLeftOut(fromClaims, action) ?? 'it is not the main issuer’s',
        }),
      ),
      rows: this.#rows(context),
      steps,
      ...this.#decide(context, arrival, steps),
      notJudged: notJudged(context, steps),
      besides: [...this.#hearing.besides, ...this.#besides(context), ...keptFiles(context)],
    }
  }

  /** What a real request would change. */
  #besides({ identity, endpoint }: RequestContext): readonly string[] {
    const { principal, via } = identity
    if (via === undefined || this.#readOnly.app.nameRegistry.holds(principal)) return []
    const isNew = endpoint === noEndpoint || endpoint.credential !== 'unread'
    return isNew ? [`the name ${principal.user} would be entered as theirs`] : []
  }

  /** The rows before the one that takes it, and why they do not. */
  #rows({
    endpoint,
    targetFault,
    headersFault,
    isBelowBase,
    ...context
  }: RequestContext): readonly PassedRow[] {
    const isJudged = targetFault === undefined && headersFault === undefined && isBelowBase
    if (endpoint !== noEndpoint || !isJudged) return []
    const { method, path, target } = context
    const asked = context.preflight ? context.headers.preflightMethod : method
    return rowsOf(this.#trace, asked, path, target.query)
  }

  #decide(
    context: RequestContext,
    arrival: Arrival,
    steps: readonly Step[],
  ): Pick<Report, 'decision' | 'headers'> {
    const { routeName: route, code, reason, shadowed, endpoint } = context
    const shadow = shadowed === undefined ? {} : { shadow: shadowed }
    const last = steps.find(({ outcome }) => outcome !== 'passed' && outcome !== 'shadow')
    if (last?.outcome === 'unknown') {
      return { decision: { outcome: 'unknown', route, message: last.detail }, headers: [] }
    }
    const answered = arrival.answered()
    if (answered !== undefined) {
      const { status, headers } = answered
      const location = locationOf(answered)
      const decision: Decided = {
        outcome: code === undefined ? 'answer' : 'refuse',
        status,
        route,
        ...(code === undefined ? {} : { code }),
        ...(reason === undefined ? {} : { message: reason }),
        ...(location === undefined ? {} : { location }),
        ...shadow,
      }
      return { decision, headers: hideSecrets(headers) }
    }
    if (endpoint !== noEndpoint) {
      return { decision: { outcome: 'own', route, ...shadow }, headers: [] }
    }
    const { upstream } = context
    return {
      decision: { outcome: 'forward', route, upstream, ...shadow },
      headers: hideSecrets(toPairs(this.#sentHeaders(context))),
    }
  }

  /** What the upstream would get. */
  #sentHeaders(context: RequestContext): readonly string[] {
    const upstream = this.#readOnly.services.upstreams.get(context.upstream)
    if (upstream === undefined) return []
    const { headers, method, upgradeSocket } = context
    const brings = bringsBody(context, upstream)
    const isBodiless = upgradeSocket !== undefined || (isRead(method) && !brings)
    // Of a body in chunks the length is counted when it is here; until then it counts as one byte.
    const uncounted = brings && headers.chunked
    const known = uncounted ? 1 : Math.max(0, headers.contentLength)
    const length = isBodiless ? undefined : known
    // Nothing is sent.
    context.isProven = true
    const proof = this.#proveIdentity(context, upstream.sign, length ?? 0)
    const list = outgoingHeaders(context, upstream, proof, length)
    return uncounted ? list.with(list.indexOf('Content-Length') + 1, '[counted]') : list
  }
}

/** What could end it otherwise, and is not looked at. */
function notJudged({ headers, route }: RequestContext, steps: readonly Step[]): readonly string[] {
  const open = steps.find(({ outcome }) => outcome === 'not judged')
  const isOver = steps.some(({ outcome }) => outcome !== 'passed' && outcome !== 'shadow')
  return [
    ...(open === undefined ? [] : [`what the endpoint itself does: ${open.detail}`]),
    ...(route.webhook === undefined || route.webhook === 'gitlab' || isOver
      ? []
      : ['the signature of the body, and whether the delivery came before']),
    ...(headers.chunked && !isOver
      ? [`the length of the body, which comes in chunks: over ${route.bodyLimit} bytes it is 413`]
      : []),
  ]
}

/** Files that are kept in memory are fetched without a client's headers. */
const keptFiles = ({ route, method, endpoint }: RequestContext): readonly string[] =>
  endpoint === noEndpoint && route.cache !== 'off' && isRead(method)
    ? [
        'once it may pass, the answer may come from memory; it is fetched there as for an anonymous visitor',
      ]
    : []

const locationOf = ({ headers }: { readonly headers: Report['headers'] }): string | undefined =>
  headers.find(([name]) => name === 'Location')?.[1]

function toldIdentity({ principal, via }: Identity): ToldIdentity {
  const { user, email, name, groups, scopes } = principal
  return {
    user,
    via: via ?? 'none',
    ...(email === undefined ? {} : { email }),
    ...(name === undefined ? {} : { name }),
    groups: [...groups],
    scopes: [...scopes],
  }
}

/** Rows that did not take a request, with the condition that did not hold. */
function rowsOf(
  trace: ReturnType<typeof createTrace>,
  method: string,
  path: string,
  query: string,
): readonly PassedRow[] {
  try {
    return trace(method, path, query).flatMap(({ route, verdict: why }) => {
      if (why === 'taken') return []
      const details = {
        path: `the path is not ${route.path}`,
        'known path': 'a row before it has the path',
        method: `the method is none of ${[...(route.methods ?? ['GET', 'HEAD'])].join(', ')}`,
        query: `the query is not ${queryText(route)}`,
      }
      return [{ name: route.name, path: route.path, why, detail: details[why] }]
    })
  } catch {
    // A query that can't be read is refused by the check that matches.
    return []
  }
}

/** Builds it for the services of one configuration; `look` tells counts without counting. */
export function createExplain(services: Services, app: AppContext, look: CreateCount): Explain {
  const explainer = new Explainer(services, app, look)
  let running: Promise<unknown> = Promise.resolve()
  return (wish) => {
    const next = running.then(() => explainer.explain(wish))
    running = next.catch(() => undefined)
    return next
  }
}
