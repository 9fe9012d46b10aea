/**
 * Several processes that serve together (`workers`): the primary opens the addresses, hands connections to its workers in
 * turn, starts one anew that ended, and answers the admin listener for all of them. It serves no request itself.
 */
import cluster from 'node:cluster'
import type { Server as HttpServer } from 'node:http'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import { adminHosts, listen } from '../../app/gateway.js'
import { FixedChangeError } from '../../app/generation.js'
import { fixedChanges } from '../../config/fixed.js'
import type { Loaded } from '../../config/load.js'
import type { Config } from '../../config/schema.js'
import { backOff } from '../../core/back-off.js'
import { wait } from '../../core/clock.js'
import type { Milliseconds, Timer, Timers } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import { takeWaiting } from '../../http/listener.js'
import { createAdmin } from '../../observe/admin.js'
import { MetricsSum } from '../../observe/metrics-sum.js'
import { applyLogSettings, partsOf } from '../../observe/logger.js'
import type { Readiness } from '../../observe/readiness.js'
import type { Serving } from '../start.js'
import { WorkerGone, WorkerLink } from './link.js'
import { toFault } from './messages.js'
import type { Task, Tasks } from './messages.js'
import { loadRemembering } from './remembered-files.js'
import type { RememberedFiles } from './remembered-files.js'

/** What it works with. */
export interface PrimaryParts {
  /** Of gateway.yaml. */
  readonly path: string
  readonly env: NodeJS.ProcessEnv
  readonly logger: Logger
  readonly timers: Timers
  readonly random: () => number
  /** How long the first ones may wait for Redis. */
  readonly awaitStore: Milliseconds
}

/** Until one that ended is started anew: the first time, and at most. */
const firstPause: Milliseconds = 200
const maxPause: Milliseconds = 30_000
/** One that served for so long did not end because of how it was started. */
const goodLife: Milliseconds = 60_000
/** One that is started anew takes connections when it is ready, and after so long at the latest. */
const awaitReady: Milliseconds = 10_000
/** A worker that says nothing for so many looks hangs: systemd's watchdog for one process has the same span. */
const lookEvery: Milliseconds = 5000
const maxSilentLooks = 6
/** Connections that may wait while no worker serves. */
const maxHeld = 1000
/** A scrape waits for a worker's answer for so long; then it has what that one told before. */
const maxScrape: Milliseconds = 2000

/** Starts as many as the configuration says. @throws what the first of them could not do; then none is left */
export async function startWorkers(parts: PrimaryParts): Promise<Serving> {
  cluster.setupPrimary({ serialization: 'advanced', stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const { loaded, files } = loadRemembering(parts.path, parts.env)
  const group = new WorkerGroup(parts, loaded.config, files)
  await group.start()
  return group
}

class WorkerGroup implements Serving {
  readonly readiness: Pick<Readiness, 'report'> = { report: () => this.#report() }
  readonly #parts: PrimaryParts
  readonly #links = new Map<number, WorkerLink>()
  readonly #sum = new MetricsSum()
  readonly #admin: HttpServer
  /** What is accepted here is served by a worker. Node's own way loses what comes while its last worker closes. */
  readonly #server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined)
    this.#hand(socket)
  })
  /** Connections that wait until a worker serves; the next one beyond {@link maxHeld} is ended. */
  readonly #held: Socket[] = []
  /** How often in a row each ended too early, and when it was started. */
  readonly #failures = new Map<number, number>()
  readonly #pauses = new Set<Timer>()
  #config: Config
  #files: RememberedFiles
  /** What was read last, and is not taken yet. */
  #read: RememberedFiles
  #draining = false
  #started = false
  #turn = 0
  /** How many looks in a row each has said nothing. */
  #silent: ReadonlyMap<WorkerLink, number> = new Map()
  #looking: Timer | undefined
  /** Starts and reloads, one after the other: all have the same configuration. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(parts: PrimaryParts, config: Config, files: RememberedFiles) {
    this.#parts = parts
    this.#config = config
    this.#files = files
    this.#read = files
    this.#admin = this.#createAdmin()
  }

  async start(): Promise<void> {
    const { logger, timers, awaitStore } = this.#parts
    const { admin, server, workers } = this.#config
    const numbers = Array.from({ length: workers }, (_, index) => index + 1)
    try {
      const adminAddress = await listen(this.#admin, admin.listen)
      const publicAddress = await listen(this.#server, server.listen)
      await Promise.all(numbers.map((number) => this.#launch(number, awaitStore)))
      const { url } = server.publicUrl
      logger.info({ workers, public: publicAddress, admin: adminAddress, url }, 'workers listen')
    } catch (error) {
      this.#draining = true
      for (const link of this.#links.values()) link.kill()
      for (const socket of this.#held) socket.destroy()
      this.#server.close()
      this.#admin.close()
      throw error
    }
    this.#started = true
    this.#looking = timers.setInterval(() => this.#look(), lookEvery)
    this.#looking.unref()
  }

  /** Reads the files again; what it gives is what the next {@link reload} hands to the workers. */
  load(): Loaded {
    const { loaded, files } = loadRemembering(this.#parts.path, this.#parts.env)
    this.#read = files
    return loaded
  }

  reload(config: Config): Promise<boolean> {
    const files = this.#read
    return this.#inTurn(() => this.#replace(config, files))
  }

  refuseReload(cause: unknown): void {
    void this.#askAll('refuse', toFault(cause))
  }

  reloadCertificate(): void {
    void this.#askAll('reloadCertificate', undefined)
  }

  async close(drain?: Milliseconds): Promise<void> {
    const { timers } = this.#parts
    this.#draining = true
    for (const pause of this.#pauses) timers.clearTimeout(pause)
    const span = drain ?? this.#config.server.timeouts.drain
    const links = [...this.#links.values()]
    const closed = links.map(async (link) => {
      // One that does not serve yet has nothing to end.
      if (link.serves) await link.ask('close', span).catch(() => undefined)
      link.release()
      await link.gone
    })
    if (span > 0) await wait(timers, span)
    await takeWaiting(this.#server)
    this.#server.close()
    for (const socket of this.#held) socket.destroy()
    await this.#askAll('end', undefined)
    await Promise.all(closed)
    timers.clearInterval(this.#looking)
    this.#admin.closeAllConnections()
    await new Promise((resolve) => this.#admin.close(resolve))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => undefined)
    return done
  }

  /** All of them or none: a worker serves by the new one only when each has it ready. */
  async #replace(config: Config, files: RememberedFiles): Promise<boolean> {
    const changes = fixedChanges(this.#config, config)
    if (changes.length > 0) throw new FixedChangeError(changes)
    const links = this.#serving
    const outcomes = await Promise.allSettled(links.map((link) => link.ask('prepare', files)))
    const refused = outcomes.flatMap((outcome, index) => {
      if (outcome.status === 'fulfilled' || outcome.reason instanceof WorkerGone) return []
      return [{ worker: links[index]!.number, cause: outcome.reason as Error }]
    })
    const [first] = refused
    if (first !== undefined) {
      await this.#askAll('drop', undefined)
      const workers = refused.map(({ worker }) => worker)
      this.#parts.logger.error({ workers, cause: first.cause }, 'workers refuse the configuration')
      throw first.cause
    }
    this.#config = config
    this.#files = files
    applyLogSettings(this.#parts.logger, config.log)
    return (await this.#askAll('take', undefined)).includes(true)
  }

  /** Starts one; it is there when it takes connections. */
  async #launch(number: number, awaitMost: Milliseconds): Promise<void> {
    const log = partsOf(this.#parts.logger)?.out ?? process.stdout
    const link = new WorkerLink(number, cluster.fork(), log)
    this.#links.set(number, link)
    const { timers } = this.#parts
    const startedAt = timers.monotonic()
    void link.gone.then((how) => this.#onGone(link, how, timers.monotonic() - startedAt))
    const files = this.#files
    await link.listens
    try {
      await link.ask('begin', { number, awaitReady: awaitMost, files })
      link.serves = true
      for (const socket of this.#held.splice(0)) this.#hand(socket)
    } catch (error) {
      link.kill()
      throw error
    }
  }

  async #onGone(link: WorkerLink, how: string, lived: Milliseconds): Promise<void> {
    const { number } = link
    if (this.#links.get(number) === link) this.#links.delete(number)
    await this.#sum.left(number)
    if (this.#draining || !this.#started) return
    const { logger, timers, random } = this.#parts
    const failures = lived > goodLife ? 1 : (this.#failures.get(number) ?? 0) + 1
    this.#failures.set(number, failures)
    const pause = backOff(failures, firstPause, maxPause, random())
    logger.error({ worker: number, how, pause }, 'a worker ended; it is started anew')
    this.#sum.restarted()
    const timer = timers.setTimeout(() => {
      this.#pauses.delete(timer)
      void this.#inTurn(() => this.#relaunch(number))
    }, pause)
    this.#pauses.add(timer)
  }

  async #relaunch(number: number): Promise<void> {
    if (this.#draining) return
    const { logger } = this.#parts
    try {
      await this.#launch(number, awaitReady)
      logger.info({ worker: number }, 'a worker serves again')
    } catch (cause) {
      // It has ended with that, and is started anew once more.
      logger.error({ worker: number, cause }, 'a worker can’t be started')
    }
  }

  /** Ends workers that hang; whoever stops this process itself for a while makes no worker silent. */
  #look(): void {
    const silent = new Map<WorkerLink, number>()
    for (const link of this.#links.values()) {
      const looks = link.wasHeard ? 0 : (this.#silent.get(link) ?? 0) + 1
      link.wasHeard = false
      silent.set(link, looks)
      if (looks < maxSilentLooks) continue
      this.#parts.logger.error({ worker: link.number }, 'a worker hangs, and is ended')
      link.kill()
    }
    this.#silent = silent
  }

  get #serving(): readonly WorkerLink[] {
    return [...this.#links.values()].filter(({ serves }) => serves)
  }

  /** Hands a connection to the next worker, or to the next of those that are less busy. */
  #hand(socket: Socket): void {
    const serving = this.#serving
    const least = Math.min(...serving.map(({ untaken }) => untaken))
    const idle = serving.filter(({ untaken }) => untaken === least)
    const link = idle[this.#turn++ % idle.length]
    if (link !== undefined) link.hand(socket)
    else if (this.#draining || this.#held.length >= maxHeld) socket.destroy()
    else this.#held.push(socket)
  }

  /** What those answer that are there. */
  async #askAll<T extends Task>(
    task: T,
    of: Parameters<Tasks[T]>[0],
  ): Promise<readonly Awaited<ReturnType<Tasks[T]>>[]> {
    const asked = this.#serving.map((link) => link.ask(task, of))
    const outcomes = await Promise.allSettled(asked)
    return outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  }

  /** Asks one of them, the next one each time. */
  #askOne<T extends Task>(task: T, of: Parameters<Tasks[T]>[0]): ReturnType<Tasks[T]> {
    const serving = this.#serving
    const link = serving[this.#turn++ % serving.length]
    if (link === undefined) throw new GatewayError('ERR_INTERNAL', { cause: 'no worker serves' })
    return link.ask(task, of)
  }

  #report(): ReturnType<Readiness['report']> {
    const states = this.#serving.flatMap(({ state }) => (state === undefined ? [] : [state.report]))
    const ready = !this.#draining && states.some((one) => one.ready)
    const waits = states.filter((one) => ready && !one.ready).length
    const missing = this.#config.workers - this.#serving.length
    return {
      ready,
      waiting: ready ? [] : [...new Set(states.flatMap(({ waiting }) => waiting))],
      degraded: [
        ...new Set(states.flatMap(({ degraded }) => degraded)),
        ...(waits > 0 ? [`${waits} of ${this.#config.workers} workers are not ready`] : []),
        ...(missing > 0 ? [`${missing} of ${this.#config.workers} workers do not serve`] : []),
      ],
    }
  }

  async #scrape(): Promise<string> {
    const { timers } = this.#parts
    const scrape = async (link: WorkerLink): Promise<void> => {
      const metrics = await link.ask('metrics', undefined).catch(() => undefined)
      if (metrics !== undefined && this.#links.get(link.number) === link) {
        this.#sum.told(link.number, metrics)
      }
    }
    let limit: Timer | undefined
    const tooLong = new Promise<void>((resolve) => {
      limit = timers.setTimeout(resolve, maxScrape)
    })
    await Promise.race([Promise.all(this.#serving.map(scrape)), tooLong])
    timers.clearTimeout(limit)
    return await this.#sum.text(this.#serving.length < this.#config.workers)
  }

  #createAdmin(): HttpServer {
    const { admin } = this.#config
    return createAdmin({
      hosts: adminHosts(admin),
      token: admin.token,
      metrics: {
        registry: { metrics: () => this.#scrape(), contentType: this.#sum.contentType },
      },
      beforeScrape: () => undefined,
      readiness: this.readiness,
      status: (asker) => this.#askOne('status', asker),
      revoke: (user) => this.#askOne('revoke', user),
      names: (command) => this.#askOne('names', command),
      explain: (question) => this.#askOne('explain', question),
      arrival: async (value) => {
        // What is announced may arrive at any of them.
        const answers = await this.#askAll('arrival', value)
        return (
          answers.find((one) => one !== undefined && 'arrived' in one && one.arrived !== null) ??
          answers[0]
        )
      },
    })
  }
}
