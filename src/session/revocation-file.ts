/** Revocations in a file of lines, each on disk before its sign-out is answered. For one process. */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { replaceFile } from '../core/replace-file.js'
import { formatRevocation, parseRevocation } from './revocation-log.js'
import type { RevocationLog } from './revocation-log.js'

function readLines(path: string): readonly string[] {
  try {
    // A last line without its end was cut by a crash before anybody was told it was kept.
    return readFileSync(path, 'utf8').split('\n').slice(0, -1).filter(Boolean)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw cause
  }
}

const rewrite = (path: string, lines: readonly string[]): void =>
  replaceFile(path, lines.map((line) => `${line}\n`).join(''))

/** Lines that the file may have beyond twice those that matter. */
const slack = 10_000

/** The log of `session.revocationFile`. */
export class RevocationFile implements RevocationLog {
  readonly #path: string
  readonly #now: Now
  #file: number | undefined
  /** Lines of the file. */
  #written = 0

  constructor(path: string, now: Now) {
    this.#path = path
    this.#now = now
  }

  /** Reads it, drops what has run out, and writes down of the rest when it was entered, at the latest. */
  start(learn: (line: string, at: Milliseconds) => void): void {
    const now = this.#now()
    const lines = readLines(this.#path)
    for (const line of lines) learn(line, now)
    const live = lines.map((line) => parseRevocation(line, now)).filter(({ until }) => until >= now)
    rewrite(this.#path, live.map(formatRevocation))
    this.#written = live.length
  }

  append(line: string): Promise<void> {
    try {
      this.#file ??= openSync(this.#path, 'a', 0o600)
      writeSync(this.#file, `${line}\n`)
      fsyncSync(this.#file)
      this.#written++
      return Promise.resolve()
    } catch (cause) {
      return Promise.reject(new GatewayError('ERR_STORE_UNAVAILABLE', { cause }))
    }
  }

  /** Writes the file anew when most of it matters no more. A disk that is full leaves it as it is. */
  compact(count: number, lines: () => readonly string[]): void {
    if (this.#written <= 2 * count + slack) return
    try {
      rewrite(this.#path, lines())
    } catch {
      return
    }
    this.#written = count
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  catchUp(): undefined {
    return undefined
  }

  readNow(): Promise<void> {
    return Promise.resolve()
  }

  time(): Promise<Milliseconds> {
    return Promise.resolve(this.#now())
  }
}
