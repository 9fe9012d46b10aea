/** `trac-gateway start`: serves until it is told to stop. */
import type { Logger } from 'pino'
import { loadConfig } from '../config/load.js'
import { ConfigProblems, formatProblem } from '../config/problems.js'
import { startGateway } from '../gateway.js'
import type { Gateway } from '../gateway.js'
import { createLogger } from '../observe/logger.js'

/** What the process brings. */
export interface StartOptions {
  readonly env: NodeJS.ProcessEnv
  /** Takes the text for a person; standard error by default. */
  readonly print?: (text: string) => void
  readonly logger?: Logger
}

/**
 * Loads a configuration and starts it.
 * @returns undefined if it can't be started; why has been printed
 */
export async function start(path: string, options: StartOptions): Promise<Gateway | undefined> {
  const print = options.print ?? ((text) => void process.stderr.write(text))
  try {
    const { config, warnings } = loadConfig(path, { env: options.env })
    const logger = options.logger ?? createLogger(config.log.level)
    for (const warning of warnings) logger.warn({ file: path }, formatProblem(warning))
    return await startGateway({ config, logger })
  } catch (error) {
    print(`${explain(error)}\n`)
    return undefined
  }
}

function explain(error: unknown): string {
  if (error instanceof ConfigProblems) return error.problems.map(formatProblem).join('\n')
  const { code, address, port, message, path } = error as NodeJS.ErrnoException & {
    address?: string
    port?: number
  }
  const where = port === undefined ? (path ?? address ?? '') : `${address}:${port}`
  if (code === 'EADDRINUSE') return `${where} is in use: stop what listens there, or change listen`
  if (code === 'EACCES') return `${where} may not be used by this user`
  return message
}
