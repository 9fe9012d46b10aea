/** One of several processes that serve together: it does what its primary asks, and ends when that one has gone. */
import type { Socket } from 'node:net'
import { startGateway } from '../../app/gateway.js'
import type { Gateway, Prepared } from '../../app/gateway.js'
import type { Milliseconds } from '../../core/clock.js'
import { createLogger } from '../../observe/logger.js'
import { fromFault, toFault } from './messages.js'
import type { FromPrimary, FromWorker, Tasks, WorkerState } from './messages.js'
import { loadRemembered } from './remembered-files.js'

/** How often it says how it stands. */
const tellEvery: Milliseconds = 500

/** A process with a parent that listens. */
export type WorkerProcess = Pick<NodeJS.Process, 'on' | 'send'>

/** Waits for what the primary asks; Node's cluster ends the process when the primary has gone. */
export function work(path: string, env: NodeJS.ProcessEnv, own: WorkerProcess): void {
  // A terminal and systemd signal each process; the primary says in which order things are done.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) own.on(signal, () => undefined)
  const tell = (message: FromWorker): void => void own.send?.(message)
  const worker = new Worker(path, env)
  const tasks = worker.tasks()
  own.on('message', (message: FromPrimary, socket?: Socket) => {
    if ('connection' in message) {
      worker.take(socket)
      tell({ took: true })
      return
    }
    const { id, task, of } = message
    // Each task knows the form of its question, which the primary's types hold to.
    const run = tasks[task] as (of: unknown) => Promise<unknown>
    run(of).then(
      (value) => {
        tell({ state: worker.state })
        tell({ id, value })
      },
      (error: unknown) => tell({ id, fault: toFault(error) }),
    )
  })
  // What came before somebody listened is lost.
  tell({ state: undefined })
  setInterval(() => tell({ state: worker.state }), tellEvery).unref()
}

class Worker {
  readonly #path: string
  readonly #env: NodeJS.ProcessEnv
  #gateway: Gateway | undefined
  #prepared: Prepared | undefined

  constructor(path: string, env: NodeJS.ProcessEnv) {
    this.#path = path
    this.#env = env
  }

  get state(): WorkerState | undefined {
    const readiness = this.#gateway?.readiness
    return readiness && { report: readiness.report(), causes: [...readiness.causes()] }
  }

  take(socket: Socket | undefined): void {
    if (socket !== undefined) this.#gateway?.feed?.take(socket)
  }

  tasks(): Tasks {
    return {
      begin: async ({ number, awaitReady, files }) => {
        const { config } = loadRemembered(this.#path, this.#env, files)
        const logger = createLogger(config.log.level, undefined, config.log.format, number)
        this.#gateway = await startGateway({ config, logger, worker: { number, awaitReady } })
      },
      prepare: async (files) => {
        const { config } = loadRemembered(this.#path, this.#env, files)
        this.#prepared = await this.#running.prepare(config)
      },
      take: async () => (await this.#takePrepared()?.take()) ?? false,
      drop: async () => await this.#takePrepared()?.drop(),
      refuse: (fault) => Promise.resolve(this.#running.refuseReload(fromFault(fault))),
      reloadCertificate: () => Promise.resolve(this.#running.reloadCertificate()),
      close: (drain) => this.#running.close(drain),
      end: () => Promise.resolve(this.#running.feed?.end()),
      metrics: () => this.#running.readMetrics(),
      status: (asker) => this.#running.admin.status(asker),
      revoke: (user) => this.#running.admin.revoke(user),
      names: (command) => this.#running.admin.names(command),
      explain: (question) => this.#running.admin.explain(question),
      arrival: (value) => Promise.resolve(this.#running.admin.arrival(value)),
    }
  }

  /** What is ready, once: taken, it is what serves, and must not be given up. */
  #takePrepared(): Prepared | undefined {
    const prepared = this.#prepared
    this.#prepared = undefined
    return prepared
  }

  get #running(): Gateway {
    if (this.#gateway === undefined) throw new Error('it has not begun')
    return this.#gateway
  }
}
