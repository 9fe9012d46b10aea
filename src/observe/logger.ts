/** The log: JSON lines; what must never stand in one is cut off here, whatever a caller hands over. */
import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'

/** Field names of which a value is never written, at any depth that we log. */
const secretFields = [
  'authorization',
  'cookie',
  'token',
  'refresh_token',
  'access_token',
  'id_token',
  'client_secret',
  'code_verifier',
  'set-cookie',
]

const redacted = secretFields.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`])

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

/** Builds the logger; `level` is a level of pino. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redacted, censor: '[redacted]' },
    serializers: { cause: describeError, err: describeError },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
