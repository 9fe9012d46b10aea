/**
 * Tells systemd when this process serves, what it waits for, that it lives and that it stops (sd_notify(3)). Node has no
 * datagram sockets of Unix, so systemd's own program says it.
 */
import { execFile } from 'node:child_process'
import type { Logger } from 'pino'
import type { Milliseconds, Timer, Timers } from '../core/clock.js'
import type { Readiness } from '../observe/readiness.js'

/** What it works with. */
export interface ServiceManagerParts {
  readonly env: NodeJS.ProcessEnv
  readonly logger: Logger
  readonly timers: Timers
  readonly readiness: Pick<Readiness, 'report'>
}

/** What the process tells. */
export interface ServiceManager {
  /** It serves no more, but for what runs. */
  stopping(): void
  /** Tells nothing any more. */
  close(): void
}

/** How often the status is looked at; it is told when it changed. */
const statusEvery: Milliseconds = 2000
/** Characters of a status line, which `systemctl status` shows. */
const maxStatus = 500
/** Beyond that systemd's program hangs. */
const maxTelling: Milliseconds = 10_000

const nobody: ServiceManager = { stopping: () => undefined, close: () => undefined }

/** The time within which systemd wants to hear of us, when it is this process that it means. */
function watchdogOf({ WATCHDOG_USEC: micro, WATCHDOG_PID: pid }: NodeJS.ProcessEnv) {
  if (micro === undefined || !/^\d{1,15}$/.test(micro)) return undefined
  if (pid !== undefined && pid !== String(process.pid)) return undefined
  return Number(micro) / 1000
}

function statusOf({ report }: Pick<Readiness, 'report'>): string {
  const { ready, waiting, degraded } = report()
  const state = ready ? 'ready' : `waiting for ${waiting.join(', ')}`
  return [state, ...degraded].join('; ').replaceAll(/\s+/g, ' ').slice(0, maxStatus)
}

/**
 * Tells that it serves, and goes on until it is closed. Somebody to tell is there only with `NOTIFY_SOCKET`. It serves as
 * soon as it listens: a provider that is down must not make systemd end a process that waits for it.
 */
export function tellServiceManager(parts: ServiceManagerParts): ServiceManager {
  const { env, logger, timers, readiness } = parts
  const { NOTIFY_SOCKET: socket, PATH } = env
  if (socket === undefined || socket === '') return nobody
  let silent = false
  const tell = (...assignments: readonly string[]): void => {
    const options = { env: { NOTIFY_SOCKET: socket, PATH }, timeout: maxTelling }
    execFile('systemd-notify', assignments, options, (cause) => {
      if (cause === null || silent) return
      silent = true
      logger.warn(
        { cause },
        'systemd could not be told: NotifyAccess=all and systemd-notify are needed',
      )
    })
  }
  let told = statusOf(readiness)
  tell('READY=1', `STATUS=${told}`)
  const running: Timer[] = []
  const every = (span: Milliseconds, work: () => void): void => {
    const timer = timers.setInterval(work, span)
    timer.unref()
    running.push(timer)
  }
  every(statusEvery, () => {
    const status = statusOf(readiness)
    if (status === told) return
    told = status
    tell(`STATUS=${status}`)
  })
  const watchdog = watchdogOf(env)
  // A loop that hangs says nothing, and is started anew.
  if (watchdog !== undefined) every(watchdog / 3, () => tell('WATCHDOG=1'))
  return {
    stopping: () => tell('STOPPING=1', 'STATUS=stopping'),
    close() {
      for (const timer of running) timers.clearInterval(timer)
    },
  }
}
