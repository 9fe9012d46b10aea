/** Where revocations outlive the process, and the lines they are written in. */
import type { Milliseconds } from '../core/clock.js'

/** One revocation. */
export interface Revocation {
  readonly key: string
  /** If set, only what is not later than this is revoked. */
  readonly before: Milliseconds | undefined
  /** When it can no longer matter. */
  readonly until: Milliseconds
}

/** Where revocations outlive the process. */
export interface RevocationLog {
  /**
   * Hands over what is kept, each line at least once: before it returns, or, if others write as well, later and again.
   */
  start(learn: (line: string) => void): void
  /** Keeps a line before it is answered. @throws {@link GatewayError} ERR_STORE_UNAVAILABLE */
  append(line: string): Promise<void>
  /**
   * Undefined if what others wrote is known here; else resolves when it is.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — it can't be known now
   */
  catchUp(): Promise<void> | undefined
}

/** The line of a revocation; earlier releases read and write the same. */
export function formatRevocation({ key, until, before }: Revocation): string {
  return JSON.stringify([key, until, before ?? 0])
}

/** The revocation of a line. A line that can't be read could have been one: rather no start than a sign-out forgotten. */
export function parseRevocation(line: string): Revocation {
  try {
    const [key, until, before] = JSON.parse(line) as [string, number, number]
    return { key, until, before: before || undefined }
  } catch (cause) {
    throw new Error('a line of the kept revocations cannot be read', { cause })
  }
}
