/** Names in a file of lines, each on disk before its owner is served. For one process. */
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { GatewayError } from '../core/errors.js'
import type { NameEntry } from '../core/identity.js'
import { replaceFile } from '../core/replace-file.js'
import { keyOf } from './name-store.js'

/** What a line tells. */
export interface NameChange {
  readonly entry: NameEntry
  /** Whether the name was taken from its owner. */
  readonly released?: boolean
}

/** Lines that no longer count before the file is written anew, at the next start. */
const maxDeadLines = 1000

/** The line of a change; later releases read it, too. */
function formatChange({ entry: { name, issuer, subject }, released = false }: NameChange): string {
  return `${JSON.stringify(released ? ['-', name] : ['+', name, issuer, subject])}\n`
}

function parseLine(line: string): NameChange {
  const parts: unknown = JSON.parse(line)
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === 'string')) {
    throw new Error('no list of texts')
  }
  const [sign, name = '', issuer = '', subject = ''] = parts
  if ((sign !== '+' && sign !== '-') || name === '') throw new Error('no name')
  return { entry: { name, issuer, subject }, released: sign === '-' }
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

/** The file of `identity.username.namesFile`. */
export class NamesFile {
  readonly #path: string
  #file = -1
  /** Bytes that are known to be whole lines. */
  #length = 0

  constructor(path: string) {
    this.#path = path
  }

  /**
   * Opens it and reads what is kept; without a file it begins one.
   * @throws Error — it can't be read or written, or a line is no line of ours: rather no start than a name given twice
   */
  start(): readonly NameEntry[] {
    try {
      return this.#open()
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      const why = code === 'ENOENT' ? `there is no folder ${dirname(this.#path)}` : message
      throw new Error(`identity.username.namesFile ${this.#path} can't be used: ${why}`, { cause })
    }
  }

  /**
   * Writes a change and waits until it is on disk.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — it is not, and no part of it either
   */
  append(change: NameChange): void {
    const line = Buffer.from(formatChange(change))
    try {
      if (writeSync(this.#file, line) < line.length) throw new Error('the disk took a part of it')
      fsyncSync(this.#file)
      this.#length += line.length
    } catch (cause) {
      this.#cut()
      throw new GatewayError('ERR_STORE_UNAVAILABLE', { cause, retryAfter: 10 })
    }
  }

  /** Closes it. */
  close(): void {
    if (this.#file >= 0) closeSync(this.#file)
    this.#file = -1
  }

  /** Takes back what was written of a line that is not kept. */
  #cut(): void {
    try {
      ftruncateSync(this.#file, this.#length)
    } catch {
      // The next start cuts it.
    }
  }

  #open(): readonly NameEntry[] {
    this.#file = openSync(this.#path, 'a', 0o600)
    const bytes = readFileSync(this.#path)
    // A last line without its end was cut by a crash before anybody was served by it.
    const whole = bytes.subarray(0, bytes.lastIndexOf('\n') + 1)
    ftruncateSync(this.#file, whole.length)
    this.#length = whole.length
    fsyncSync(this.#file)
    syncFolder(this.#path)
    return this.#read(whole.toString('utf8').split('\n').slice(0, -1))
  }

  #read(lines: readonly string[]): readonly NameEntry[] {
    const kept = new Map<string, NameEntry>()
    for (const [index, line] of lines.entries()) {
      const { entry, released } = this.#parse(line, index + 1)
      const key = keyOf(entry)
      if (released === true) kept.delete(key)
      // Who stands first has it, should two processes ever have written.
      else if (!kept.has(key)) kept.set(key, entry)
    }
    if (lines.length - kept.size > maxDeadLines) this.#rewrite([...kept.values()])
    return [...kept.values()]
  }

  #parse(line: string, number: number): NameChange {
    try {
      return parseLine(line)
    } catch (cause) {
      throw new Error(`line ${number} is no name`, { cause })
    }
  }

  #rewrite(entries: readonly NameEntry[]): void {
    const text = entries.map((entry) => formatChange({ entry })).join('')
    replaceFile(this.#path, text)
    syncFolder(this.#path)
    closeSync(this.#file)
    this.#file = openSync(this.#path, 'a', 0o600)
    this.#length = Buffer.byteLength(text)
  }
}
