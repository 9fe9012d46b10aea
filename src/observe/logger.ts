/** The log: lines of one form. What must never stand in one is taken out here, whatever a caller hands over. */
import { writeSync } from 'node:fs'
import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'
import type { Facts } from '../core/errors.js'
import { neutral, renderers } from './log-format.js'
import type { LogFormat } from './log-format.js'
import { createLogOutput } from './log-output.js'

/** A JWT, JWE or long handle inside any text: an error of a library may quote one. */
const secretText = /\b[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_.-]+/g

/** An error as it is logged: name, code, message and its chain of causes, without foreign fields. */
export function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? scrub(error) : undefined
  const code = (error as { code?: unknown }).code
  return {
    type: error.name,
    message: scrub(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.cause === undefined || depth > 4
      ? {}
      : { cause: describeError(error.cause, depth + 1) }),
    ...(depth === 0 && error.stack !== undefined ? { stack: scrub(error.stack) } : {}),
  }
}

function scrub(text: string): string {
  return text.replaceAll(secretText, '[token]').slice(0, 4000)
}

/** Characters of a text, and entries of a list, that a line shows of what came from outside. */
const maxFactLength = 300
const maxFacts = 50

/** A value of the facts of a refusal, as it is logged: cut, without control characters or anything like a token. */
function cleanFact(value: unknown): unknown {
  if (typeof value === 'string') {
    return scrub(value.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')).slice(0, maxFactLength)
  }
  if (typeof value === 'number' || typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.slice(0, maxFacts).map(cleanFact)
  return value === undefined ? undefined : typeof value
}

/** The facts of a refusal as they are logged. */
export function cleanFacts(facts: Facts | undefined): Facts | undefined {
  if (facts === undefined) return undefined
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, cleanFact(value)]))
}

/** The time of a line: ISO 8601 with milliseconds. */
interface LogClock {
  readonly iso: () => string
  /** `,"time":"…"` of now, and which worker it is. */
  readonly member: () => string
  /** What `member` has besides the time. */
  readonly worker: number | undefined
}

/** Many lines share one time, so the last text is kept. */
function createLogClock(worker: number | undefined): LogClock {
  const behind = worker === undefined ? '' : `,"worker":${worker}`
  let last = 0
  let second = 0
  /** Of this second, up to the point. */
  let begin = ''
  let iso = ''
  let member = ''
  const update = (): void => {
    const now = new Date()
    const time = now.getTime()
    if (time === last) return
    last = time
    const milliseconds = time % 1000
    if (time - milliseconds !== second) {
      second = time - milliseconds
      begin = now.toISOString().slice(0, -'000Z'.length)
    }
    iso = `${begin}${String(milliseconds).padStart(3, '0')}Z`
    member = `,"time":"${iso}"${behind}`
  }
  return {
    worker,
    iso() {
      update()
      return iso
    },
    member() {
      update()
      return member
    },
  }
}

/** What the lines of a logger are made of, for those that are put together without pino. */
export interface LoggerParts {
  readonly out: DestinationStream
  readonly clock: LogClock
  /** What becomes of pino's lines. */
  format: LogFormat
}

const parts = new WeakMap<Logger, LoggerParts>()

/** The parts of a logger that {@link createLogger} made; undefined for any other, such as a child of one. */
export function partsOf(logger: Logger): LoggerParts | undefined {
  return parts.get(logger)
}

/** Makes what is logged of a value under a name of its own. */
const serializers = { cause: describeError, err: describeError }

/** Whether a field's value is changed before it is logged. */
export function isSerialized(name: string): boolean {
  return Object.hasOwn(serializers, name)
}

/** A field's value as it is logged. */
export function serialize(name: string, value: unknown): unknown {
  return isSerialized(name) && value !== undefined ? describeError(value) : value
}

/** Says it on standard error, the only place that is left. */
function tellOfLostLog(fault: NodeJS.ErrnoException): void {
  const text = `trac-gateway: the log can’t be written (${fault.code ?? fault.message}); the gateway goes on without it\n`
  try {
    writeSync(2, text)
  } catch {
    // Nobody reads that either.
  }
}

/** A line of pino in the form that the log has. */
function reformed(text: string, format: LogFormat): string {
  if (format === 'json') return neutral(text)
  const { level, time, msg, ...fields } = JSON.parse(text) as Readonly<Record<string, unknown>>
  return renderers[format]({
    level: String(level),
    time: String(time),
    message: typeof msg === 'string' ? msg : '',
    fields,
  })
}

/** What of a configuration the log follows. */
export interface LogSettings {
  readonly level: string
  readonly format: LogFormat
}

/** Gives a logger of {@link createLogger} another level and form; lines that are put together elsewhere have their own. */
export function applyLogSettings(logger: Logger, { level, format }: LogSettings): void {
  logger.level = level
  const own = parts.get(logger)
  if (own !== undefined) own.format = format
}

/**
 * Builds the logger; `level` is a level of pino. Nothing is filtered out of a line by name: lines are built here
 * from named fields, an error's foreign fields are never copied, and texts of errors are scrubbed of tokens.
 * @param worker the number of this process among several that serve together; each line has it
 */
export function createLogger(
  level: string,
  destination?: DestinationStream,
  format: LogFormat = 'json',
  worker?: number,
): Logger {
  const clock = createLogClock(worker)
  const options = {
    level,
    base: null,
    timestamp: clock.member,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers,
  }
  const own: LoggerParts = { out: destination ?? createLogOutput(1, tellOfLostLog), clock, format }
  const logger = pino(options, { write: (line) => own.out.write(reformed(line, own.format)) })
  parts.set(logger, own)
  return logger
}
