/** Names in a file of lines, each on disk before its owner is served. For one process. */
import { DurableLines } from '../core/durable-lines.js'
import type { NameEntry } from '../core/identity.js'
import { keyOf, toEntry } from './name-store.js'

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
  const [sign, ...entry] = Array.isArray(parts) ? (parts as unknown[]) : []
  if (sign !== '+' && sign !== '-') throw new Error('no change')
  return { entry: toEntry(entry), released: sign === '-' }
}

/** The file of `identity.username.namesFile`. */
export class NamesFile {
  readonly #lines: DurableLines

  constructor(path: string) {
    this.#lines = new DurableLines(path, 'identity.username.namesFile')
  }

  /**
   * Opens it and reads what is kept; without a file it begins one.
   * @throws Error — it can't be read or written, or a line is no line of ours: rather no start than a name given twice
   */
  start(): readonly NameEntry[] {
    return this.#lines.start((lines) => this.#read(lines))
  }

  /** As {@link DurableLines.append}. */
  append(change: NameChange): void {
    this.#lines.append(formatChange(change))
  }

  /** Closes it. */
  close(): void {
    this.#lines.close()
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
    if (lines.length - kept.size > maxDeadLines) {
      this.#lines.rewrite([...kept.values()].map((entry) => formatChange({ entry })).join(''))
    }
    return [...kept.values()]
  }

  #parse(line: string, number: number): NameChange {
    try {
      return parseLine(line)
    } catch (cause) {
      throw new Error(`line ${number} is no name`, { cause })
    }
  }
}
