/** One running gateway: the public listener, the admin listener and what runs beside them, started and stopped together. */
import type { Server } from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'
import type { Logger } from 'pino'
import { isSameConfig } from '../config/fixed.js'
import type { Address } from '../config/kinds/listen-address.js'
import { ConfigProblems } from '../config/problems.js'
import type { Config } from '../config/schema.js'
import { realTimers, wait } from '../core/clock.js'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { giveBackMemory } from '../core/give-back-memory.js'
import { readVersion } from '../core/version.js'
import { createAwaitedAnswers } from '../endpoints/refresh.js'
import { watchCertificate } from '../http/certificate.js'
import type { CertificateEvents, CertificateWatch } from '../http/certificate.js'
import { createListener } from '../http/listener.js'
import type { Feed, Listener } from '../http/listener.js'
import { createAdmin } from '../observe/admin.js'
import type { AdminParts } from '../observe/admin.js'
import { applyLogSettings } from '../observe/logger.js'
import { createMetrics } from '../observe/metrics.js'
import { readMetrics } from '../observe/metrics-sum.js'
import type { MetricData } from '../observe/metrics-sum.js'
import { createReadiness, degradedCauses } from '../observe/readiness.js'
import { RecentTrouble } from '../observe/recent-trouble.js'
import type { Readiness } from '../observe/readiness.js'
import { createProviderFetch } from '../oidc/provider-fetch.js'
import { openStorage } from '../session/storage.js'
import type { StorageBounds } from '../session/storage.js'
import { Arrivals } from './arrivals.js'
import { WishFault, readWish } from './ask/wish.js'
import { createNameCommands, openNames } from './names.js'
import type { AppContext, OnReach } from './context.js'
import { Generation } from './generation.js'
import { openTokens } from './personal-tokens.js'
import { createPluginTrouble } from './plugin-trouble.js'
import type { Services } from './services.js'
import { openTracing } from './tracing.js'
import { answerStatus } from './status/answer.js'
import { ConfigurationRecord } from './status/configuration-record.js'

/** What a gateway is started with. */
export interface GatewayOptions {
  readonly config: Config
  readonly logger: Logger
  readonly now?: Now
  readonly timers?: Timers
  readonly random?: () => number
  /** One of several processes: it listens nowhere. Who started it hands it connections, and asks by {@link Gateway.admin}. */
  readonly worker?: WorkerPlace
  /** How long the public address may wait for Redis: whoever comes with a cookie before that is refused. Not at all by default. */
  readonly awaitStore?: Milliseconds
  /** Smaller bounds than its own, for a test that reaches one. */
  readonly bounds?: StorageBounds & { readonly names?: number | undefined }
}

/** The place of a process among those that serve together. */
export interface WorkerPlace {
  /** From 1. */
  readonly number: number
  /** The others serve already: it has started when it is ready, and after so long at the latest. */
  readonly awaitReady: Milliseconds
}

/** A configuration that is ready to be served. */
export interface Prepared {
  /** Serves by it from now on. @returns whether it is another one at all */
  take(): Promise<boolean>
  /** Gives it up. */
  drop(): Promise<void>
}

/** A gateway that listens. */
export interface Gateway {
  /** What serves now: another after a reload. */
  readonly services: Services
  readonly readiness: Readiness
  /** Where the two listeners are; text of a Unix socket's path, or host and port. */
  readonly publicAddress: string | AddressInfo
  readonly adminAddress: string | AddressInfo
  /** What the admin listener serves. */
  readonly admin: AdminParts
  /** Takes connections, where {@link GatewayOptions.worker} is given. */
  readonly feed: Feed | undefined
  /** What a scrape reads, as data. */
  readMetrics(): Promise<MetricData>
  /**
   * Makes another configuration ready, and serves by the one before until it is taken; one at a time.
   * @throws FixedChangeError or ERR_PROVIDER_UNAVAILABLE; then everything is as it was
   */
  prepare(config: Config): Promise<Prepared>
  /**
   * Prepares and takes another configuration; what runs ends under the one it began with.
   * @returns whether it is another one at all
   * @throws what {@link prepare} throws
   */
  reload(config: Config): Promise<boolean>
  /** Tells log, metrics and `/readyz` of a configuration that is not served, and why. */
  refuseReload(cause: unknown): void
  /** Reads the certificate of `server.tls` again now. */
  reloadCertificate(): void
  /**
   * Is not ready from now on, takes new connections for `server.timeouts.drain`, lets what runs finish within
   * `server.timeouts.shutdown`, then ends.
   * @param drain in the place of `server.timeouts.drain`
   */
  close(drain?: Milliseconds): Promise<void>
}

/** How often it is looked whether a worker is ready. */
const lookForReady: Milliseconds = 20

/** Opens a server at an address. @throws Error — it can't be opened there */
export function listen(server: NetServer, address: Address): Promise<string | AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolve(server.address() ?? '')
    })
  })
}

/** Names by which the admin listener may be asked. */
export function adminHosts({ hosts, listen: place }: Config['admin']): ReadonlySet<string> {
  const names = 'host' in place ? [...hosts, place.host] : hosts
  return new Set(names.map((name) => name.toLowerCase()))
}

/** Starts a gateway: it listens at once, and is ready when keys and Trac have been reached. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, logger, worker } = options
  const opened = openApp(options)
  const { app } = opened
  const listener = createListener(config, app.timers)
  const generation = await Generation.first(config, app)
  const gateway = new RunningGateway(opened, listener, generation, worker)
  if (worker !== undefined) {
    await gateway.beginAsWorker(config, worker)
    return gateway
  }
  await gateway.listen(config, options.awaitStore ?? 0)
  const { publicAddress, adminAddress } = gateway
  const { url } = config.server.publicUrl
  logger.info({ public: publicAddress, admin: adminAddress, url }, 'listening')
  return gateway
}

/** What outlives a reload. */
interface Opened {
  readonly app: AppContext
  readonly readiness: Readiness
  /** Sends the spans that wait, within this time. */
  readonly closeTracing: (limit: Milliseconds) => Promise<void>
}

/** Opens what outlives a reload. */
function openApp(options: GatewayOptions): Opened {
  const { config, logger, now = Date.now, random = Math.random } = options
  const { timers = realTimers, bounds = {} } = options
  const isShared = config.session.store === 'redis'
  const readiness = createReadiness(['keys', 'upstream', ...(isShared ? ['store' as const] : [])])
  const report =
    (part: Parameters<Readiness['reached']>[0]): OnReach =>
    (ok, name, why) =>
      ok ? readiness.reached(part) : readiness.missed(part, name, why)
  const metrics = createMetrics({ version: readVersion() })
  const onDropped = (count: number): void => {
    metrics.revocationsDropped.inc(count)
    readiness.note('revocations', 'the list of revocations is full: sign-outs are not kept')
    logger.error({ count }, 'the list of revocations is full: what these should end may go on')
  }
  const storage = openStorage(
    config,
    now,
    {
      onStore: report('store'),
      onFault: (cause) => logger.warn({ cause }, 'the connection to Redis failed'),
      onDropped,
      onPlace: () => readiness.note('revocations', ''),
    },
    timers,
    bounds,
  )
  const ask = createProviderFetch(timers, now)
  const traces = openTracing(config, {
    ...{ now, timers, random, metrics },
    onFault: (cause) => logger.warn({ cause }, 'spans could not be sent to tracing.endpoint'),
  })
  const app = {
    logger,
    metrics,
    trouble: new RecentTrouble(now),
    storage,
    nameRegistry: openNames(config, storage.redis, { logger, metrics, timers, max: bounds.names }),
    tokenStore: openTokens(config, storage.redis, now, timers),
    address: config.server.publicUrl,
    now,
    timers,
    random,
    isStopping: () => readiness.draining,
    tracing: traces?.tracing,
    fetch: traces === undefined ? ask : traces.tracing.around(ask),
    awaited: createAwaitedAnswers(now),
    arrivals: new Arrivals(now),
    onKeys: report('keys'),
    onUpstream: report('upstream'),
    onPlugin: createPluginTrouble(logger, readiness),
  }
  return { app, readiness, closeTracing: async (limit) => await traces?.close(limit) }
}

/** What would become of a request under the configuration that is served. */
async function explainTo(generation: Generation, question: unknown): Promise<unknown> {
  try {
    return await generation.explain(readWish(question))
  } catch (error) {
    if (!(error instanceof WishFault)) throw error
    throw new GatewayError('ERR_BODY_MALFORMED', { detail: error.message })
  }
}

class RunningGateway implements Gateway {
  readonly readiness: Readiness
  publicAddress: string | AddressInfo = ''
  adminAddress: string | AddressInfo = ''
  readonly #app: AppContext
  readonly #closeTracing: Opened['closeTracing']
  readonly #listener: Listener
  readonly #configuration: ConfigurationRecord
  readonly #startedAt: Milliseconds
  #generation: Generation
  #admin: Server | undefined
  #certificate: CertificateWatch | undefined
  readonly admin: AdminParts
  feed: Feed | undefined
  readonly #worker: WorkerPlace | undefined
  #stopGivingBack = (): void => undefined
  /** One reload at a time. */
  #reloading: Promise<unknown> = Promise.resolve()

  constructor(
    opened: Opened,
    listener: Listener,
    generation: Generation,
    worker: WorkerPlace | undefined,
  ) {
    const { app, readiness } = opened
    this.#app = app
    this.#closeTracing = opened.closeTracing
    this.#worker = worker
    this.readiness = readiness
    this.#listener = listener
    this.#generation = generation
    this.#configuration = new ConfigurationRecord(app.now)
    this.#startedAt = app.now()
    this.admin = this.#createAdminParts(generation.services.config.admin)
    listener.handTo(
      (request, response, upgradeSocket) =>
        this.#generation.handle(request, response, upgradeSocket),
      (request, response, error) => this.#generation.refuse(request, response, error),
    )
  }

  readMetrics(): Promise<MetricData> {
    this.admin.beforeScrape()
    return readMetrics(this.#app.metrics.registry)
  }

  get services(): Services {
    return this.#generation.services
  }

  /** Opens both listeners. If one can't be opened, nothing is left that would keep the process alive. */
  async listen({ admin, server }: Config, awaitStore: Milliseconds): Promise<void> {
    const adminServer = createAdmin(this.admin)
    this.#admin = adminServer
    try {
      this.adminAddress = await listen(adminServer, admin.listen)
      this.#startServing(this.#generation)
      await this.#waitUntil(() => !this.readiness.report().waiting.includes('store'), awaitStore)
      this.publicAddress = await listen(this.#listener.server, server.listen)
    } catch (error) {
      adminServer.close()
      await this.#generation.retire()
      this.#app.nameRegistry.close()
      this.#app.tokenStore?.close()
      this.#app.storage.close()
      throw error
    }
    this.#beginBeside(server)
  }

  /** Begins what runs beside the requests. */
  #beginBeside({ tls }: Config['server']): void {
    this.#certificate = this.#watchCertificate(tls)
    this.#stopGivingBack = giveBackMemory(this.#app.timers)
  }

  /** Waits until it is so, and for `limit` at most. */
  async #waitUntil(isSo: () => boolean, limit: Milliseconds): Promise<void> {
    for (let waited = 0; waited < limit && !isSo(); waited += lookForReady) {
      await wait(this.#app.timers, lookForReady)
    }
  }

  /** Reaches for keys and Trac before anybody comes. */
  async beginAsWorker({ server }: Config, { awaitReady }: WorkerPlace): Promise<void> {
    this.feed = this.#listener.feed()
    this.#startServing(this.#generation)
    this.#beginBeside(server)
    await this.#waitUntil(() => this.readiness.report().ready, awaitReady)
  }

  reload(config: Config): Promise<boolean> {
    const reloaded = this.#reloading.then(async () => (await this.prepare(config)).take())
    this.#reloading = reloaded.catch(() => undefined)
    return reloaded
  }

  async prepare(config: Config): Promise<Prepared> {
    const previous = this.#generation
    const isSame = isSameConfig(previous.services.config, config)
    const next = isSame ? previous : await previous.next(config)
    return {
      take: () => this.#take(next),
      drop: async () => {
        if (!isSame) await next.retire()
      },
    }
  }

  async #take(next: Generation): Promise<boolean> {
    const previous = this.#generation
    const { config } = next.services
    const isSame = next === previous
    this.readiness.note('configuration', '')
    this.#configuration.accepted()
    if (isSame) {
      // Whoever asks for it has put new files there, too.
      previous.services.files.clear()
      return false
    }
    this.#generation = next
    this.#listener.limitReading(config)
    this.#startServing(next)
    const { logger } = this.#app
    applyLogSettings(logger, config.log)
    logger.info('a new configuration is served')
    await previous.retire()
    return true
  }

  #startServing(generation: Generation): void {
    generation.start(this.readiness)
    this.#configuration.taken()
    this.#app.trouble.keepOnly(new Set(generation.services.upstreams.keys()))
  }

  refuseReload(cause: unknown): void {
    const { metrics, now, logger } = this.#app
    metrics.configLastFailure.set(now() / 1000)
    this.readiness.note('configuration', 'the new configuration is refused')
    this.#configuration.refused(cause)
    const told = cause instanceof ConfigProblems ? cause.message : cause
    logger.error({ cause: told }, 'the new configuration is refused; the one before is served')
  }

  reloadCertificate(): void {
    this.#certificate?.reload()
  }

  async close(drain?: Milliseconds): Promise<void> {
    this.readiness.drain()
    this.#stopGivingBack()
    this.#certificate?.close()
    this.#app.logger.info('stopping')
    const { timeouts } = this.services.config.server
    const limits = { drain: drain ?? timeouts.drain, shutdown: timeouts.shutdown }
    const { timers } = this.#app
    const end = timers.monotonic() + timeouts.shutdown
    await Promise.all([this.#listener.stop(limits), this.#reloading])
    await this.#generation.retire()
    // With Redis this is a question, which must be asked before the connection ends.
    await this.#app.tokenStore?.flush().catch(() => undefined)
    this.#app.tokenStore?.close()
    this.#app.nameRegistry.close()
    this.#app.storage.close()
    await this.#closeTracing(Math.max(0, end - timers.monotonic()))
    this.#admin?.closeAllConnections()
    await new Promise<void>((resolve) => this.#admin?.close(() => resolve()) ?? resolve())
  }

  #createAdminParts(admin: Config['admin']): AdminParts {
    const { metrics, nameRegistry, logger, now } = this.#app
    return {
      hosts: adminHosts(admin),
      status: (asker) =>
        answerStatus(
          {
            app: this.#app,
            services: this.services,
            readiness: this.readiness,
            configuration: this.#configuration,
            startedAt: this.#startedAt,
            worker: this.#worker?.number,
          },
          asker,
        ),
      metrics,
      openMetrics: this.#app.tracing && ((text: string) => metrics.exemplars.openMetrics(text)),
      readiness: this.readiness,
      token: admin.token,
      revoke: async (user) => {
        // A registry that can't be asked is no reason not to end what is known here.
        const owner = await nameRegistry.find(user).catch(() => undefined)
        const count = (result: 'ok' | 'failed') => metrics.revocations.inc({ kind: 'user', result })
        const known = owner === undefined ? [] : [owner]
        const ending = await this.services.endings.endUser(user, known).catch((error: unknown) => {
          count('failed')
          throw error
        })
        count('ok')
        logger.info({ user, sessions: ending.sessions }, 'revoked')
        return ending
      },
      names: createNameCommands(nameRegistry, (owner) => this.services.endings.endSubject(owner)),
      explain: (question) => explainTo(this.#generation, question),
      arrival: (value) => this.#app.arrivals.ask(value),
      beforeScrape: () => {
        metrics.names.set(nameRegistry.size)
        const { sessions, issuers, files } = this.services
        metrics.sessions.set(sessions.size)
        metrics.fileBytes.set(files.bytes)
        const { fetchedAt } = issuers.main.keys
        metrics.jwksAge.set(fetchedAt === undefined ? Infinity : (now() - fetchedAt) / 1000)
        metrics.ready.set(Number(this.readiness.report().ready))
        const causes = this.readiness.causes()
        for (const cause of degradedCauses)
          metrics.degraded.set({ cause }, Number(causes.has(cause)))
      },
    }
  }

  /** Serves a new certificate once its files have one; a pair that does not fit is told, and the old one stays. */
  #watchCertificate(tls: Config['server']['tls']): CertificateWatch | undefined {
    if (tls === undefined) return undefined
    const { logger, timers } = this.#app
    const events: CertificateEvents = {
      present: (pair) => {
        this.#listener.present(pair)
        logger.info('a new certificate is served')
      },
      onFault: (cause) => {
        const isOver = cause === undefined
        this.readiness.note('certificate', isOver ? '' : 'the new certificate is refused')
        if (isOver) return
        logger.error({ cause, code: 'ERR_CERTIFICATE_REFUSED' }, 'the old one is served')
      },
    }
    return watchCertificate(tls, events, timers)
  }
}
