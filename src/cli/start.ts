/** `trac-gateway start`: serves until it is told to stop, and follows its configuration. */
import type { Logger } from 'pino'
import { loadConfig } from '../config/load.js'
import type { Loaded } from '../config/load.js'
import { ConfigProblems, formatWarning } from '../config/problems.js'
import { startGateway } from '../app/gateway.js'
import type { Gateway } from '../app/gateway.js'
import { realTimers } from '../core/clock.js'
import type { Milliseconds } from '../core/clock.js'
import { createLogger } from '../observe/logger.js'
import type { Readiness } from '../observe/readiness.js'
import { tellServiceManager } from './service-manager.js'
import type { ServiceManager } from './service-manager.js'
import { watchFiles } from './watch-files.js'

/** What the process brings. */
export interface StartOptions {
  readonly env: NodeJS.ProcessEnv
  /** Takes the text for a person; standard error by default. */
  readonly print?: (text: string) => void
  readonly logger?: Logger
}

/** A balancer without probes sends people as soon as the address is open: Redis is reached before, if it is there. */
const awaitStore: Milliseconds = 2000

/** What serves: a gateway in this process, or workers that are started by it. */
export interface Serving extends Pick<
  Gateway,
  'reload' | 'refuseReload' | 'reloadCertificate' | 'close'
> {
  readonly readiness: Pick<Readiness, 'report'>
  /** Reads gateway.yaml and its files again. @throws ConfigProblems */
  load(): Loaded
}

/** A gateway that follows its configuration. */
export interface Started {
  /** Reads configuration and certificate again now; what is wrong with them is logged, and the old ones serve on. */
  reload(): Promise<void>
  /** @param drain how long new connections are still taken, in the place of `server.timeouts.drain` */
  close(drain?: Milliseconds): Promise<void>
}

/**
 * Loads a configuration, starts it, and follows its files from then on.
 * @returns undefined if it can't be started; why has been printed
 */
export async function start(path: string, options: StartOptions): Promise<Started | undefined> {
  const print = options.print ?? ((text) => void process.stderr.write(text))
  try {
    const loaded = loadConfig(path, { env: options.env })
    const logger =
      options.logger ?? createLogger(loaded.config.log.level, undefined, loaded.config.log.format)
    const warn = ({ warnings }: Loaded): void => {
      for (const warning of warnings) logger.warn({ file: path }, formatWarning(warning))
    }
    warn(loaded)
    const serving = await serve(path, loaded, logger, options.env)
    const { readiness } = serving
    const manager = tellServiceManager({ env: options.env, logger, timers: realTimers, readiness })
    return follow(serving, manager, loaded, warn)
  } catch (error) {
    print(`${explain(error)}\n`)
    return undefined
  }
}

/** Starts what the configuration asks for. */
async function serve(
  path: string,
  { config }: Loaded,
  logger: Logger,
  env: NodeJS.ProcessEnv,
): Promise<Serving> {
  if (config.workers === 1) {
    const gateway = await startGateway({ config, logger, awaitStore })
    return Object.assign(gateway, { load: () => loadConfig(path, { env }) })
  }
  const { startWorkers } = await import('./workers/primary.js')
  return await startWorkers({
    ...{ path, env, logger, awaitStore },
    timers: realTimers,
    random: Math.random,
  })
}

/** Hands every new configuration to what serves, all of it or nothing. */
function follow(
  serving: Serving,
  manager: ServiceManager,
  first: Loaded,
  onTaken: (loaded: Loaded) => void,
): Started {
  const reloadConfig = async (): Promise<void> => {
    try {
      const loaded = serving.load()
      watch.follow(loaded.files)
      if (await serving.reload(loaded.config)) onTaken(loaded)
    } catch (error) {
      serving.refuseReload(error)
    }
  }
  const watch = watchFiles(() => void reloadConfig())
  watch.follow(first.files)
  return {
    async reload() {
      serving.reloadCertificate()
      await reloadConfig()
    },
    async close(drain) {
      watch.close()
      manager.stopping()
      await serving.close(drain)
      manager.close()
    },
  }
}

function explain(error: unknown): string {
  if (error instanceof ConfigProblems) return error.message
  const { code, address, port, message, path } = error as NodeJS.ErrnoException & {
    address?: string
    port?: number
  }
  const where = port === undefined || port < 0 ? (path ?? address ?? '') : `${address}:${port}`
  if (where === '') return message
  if (code === 'EADDRINUSE') return `${where} is in use: stop what listens there, or change listen`
  if (code === 'EACCES') return `${where} may not be used by this user: change its owner or mode`
  if (code === 'ENOENT') return `${where} can’t be made: its folder does not exist`
  if (code === 'EADDRNOTAVAIL') return `${where} is no address of this machine: change listen`
  if (code === 'EROFS') return `${where} is on a file system that is read-only`
  return message
}
