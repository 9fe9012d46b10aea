/** Where revocations outlive the process, and the lines they are written in. */
import type { Milliseconds } from '../core/clock.js'
import { isText, isTexts } from '../core/json-values.js'

/** One revocation, or the lift of one. */
export interface Revocation {
  readonly key: string
  /** If set, only tokens not later than this are revoked, by the provider's clock. A lift counts for tokens from then on. */
  readonly before: Milliseconds | undefined
  /** When it can no longer matter. */
  readonly until: Milliseconds
  /** When it was entered. Of a lift: when the sign-in attempt began that brought it. */
  readonly at: Milliseconds
  /** If set, a session whose first ID token is later is not meant, by the provider's clock. */
  readonly issuedBy?: Milliseconds | undefined
  /** Kinds of identifiers that the ended sign-in had besides this one; a token that has one of them is judged by that. */
  readonly told?: readonly string[]
}

/** Where revocations outlive the process. */
export interface RevocationLog {
  /**
   * Hands over what is kept, each line at least once: before it returns, or, if others write as well, later and again.
   * `at` is when the line was written, or later.
   */
  start(learn: (line: string, at: Milliseconds) => void): void
  /** Keeps a line before it is answered. @throws {@link GatewayError} ERR_STORE_UNAVAILABLE */
  append(line: string): Promise<void>
  /**
   * Undefined if what others wrote is known here, but for the last second; else resolves when it is.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — it can't be known now
   */
  catchUp(): Promise<void> | undefined
  /** Resolves when all is known here that was written before. @throws as {@link RevocationLog.catchUp} */
  readNow(): Promise<void>
  /**
   * From time to time: what still matters, so that the log need not keep more for long.
   * @param lines makes them; only called if they are wanted
   */
  compact?(count: number, lines: () => readonly string[]): void
  /** The time by the one clock of all who write, as exact as that is. @throws as {@link RevocationLog.catchUp} */
  time(): Promise<Milliseconds>
}

/** What a line says beyond what release 0.1 wrote. */
interface More {
  readonly issued?: Milliseconds
  readonly told?: readonly string[]
}

/**
 * The line of a revocation. Release 0.1 reads its first three parts, and what it makes of them is never less strict; a
 * key that it does not know is nothing to it.
 */
export function formatRevocation({ key, until, before, at, issuedBy, told }: Revocation): string {
  const more: More = {
    ...(issuedBy === undefined ? {} : { issued: issuedBy }),
    ...(told === undefined || told.length === 0 ? {} : { told }),
  }
  const parts = [key, until, before ?? 0, at]
  return JSON.stringify(Object.keys(more).length === 0 ? parts : [...parts, more])
}

/** The parts of a line; release 0.1 wrote the first three. */
type Written = readonly [
  key: string,
  until: Milliseconds,
  before: Milliseconds,
  at?: Milliseconds,
  more?: More,
]

/** A damaged part would end something else, or nothing. */
function isWritten(value: unknown): value is Written {
  if (!Array.isArray(value)) return false
  const [key, until, before, at = 0, more = {}] = value as readonly unknown[]
  if (typeof more !== 'object' || more === null) return false
  const { issued = 0, told = [] } = more as Readonly<Record<string, unknown>>
  const areInstants = [until, before, at, issued].every(Number.isFinite)
  return isText(key) && areInstants && isTexts(told)
}

/**
 * The revocation of a line. Release 0.1 did not write when it was entered: `writtenAt` stands for that.
 * @throws Error — a line that can't be read could have been one: rather no start than a sign-out forgotten
 */
export function parseRevocation(line: string, writtenAt: Milliseconds): Revocation {
  try {
    const written: unknown = JSON.parse(line)
    if (!isWritten(written)) throw new Error('no revocation')
    const [key, until, before, at, more] = written
    return {
      key,
      until,
      before: before || undefined,
      at: at ?? (before || writtenAt),
      ...(more?.issued === undefined ? {} : { issuedBy: more.issued }),
      ...(more?.told === undefined ? {} : { told: more.told }),
    }
  } catch (cause) {
    throw new Error('a line of the kept revocations cannot be read', { cause })
  }
}
