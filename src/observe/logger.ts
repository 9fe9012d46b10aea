/** The log: JSON lines; what must never stand in one is cut off here, whatever a caller hands over. */
import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'

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

/** ISO 8601 with milliseconds; many lines share one, so the last text is kept. */
function createTimestamp(): () => string {
  let last = 0
  let text = ''
  return () => {
    const now = new Date()
    if (now.getTime() !== last) {
      last = now.getTime()
      text = `,"time":"${now.toISOString()}"`
    }
    return text
  }
}

/**
 * Lines wait for this many bytes or {@link flushEvery}, whatever comes first: a write costs more than a line.
 * Not more of them, since sonic-boom measures all that wait at each line.
 */
const batch = 4096
/** Milliseconds. */
const flushEvery = 250

/**
 * Builds the logger; `level` is a level of pino. Nothing is filtered out of a line by name: lines are built here
 * from named fields, an error's foreign fields are never copied, and texts of errors are scrubbed of tokens.
 */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: createTimestamp(),
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { cause: describeError, err: describeError },
  }
  const out =
    destination ??
    pino.destination({
      dest: 1,
      sync: false,
      minLength: batch,
      periodicFlush: flushEvery,
    })
  return pino(options, out)
}
