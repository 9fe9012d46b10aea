/** The names of one process: in memory, and in a file beside it if there is one. */
import type { NameEntry } from '../core/identity.js'
import type { NamesFile } from './names-file.js'
import { byName, keyOf, maxNames, maxNamesEach, personOf } from './name-store.js'
import type { Claimed, NameStore } from './name-store.js'

/** The store. */
export class LocalNames implements NameStore {
  readonly max: number
  readonly #file: NamesFile | undefined
  /** By folded name. Bounded by {@link max}; only an operator takes one out. */
  readonly #names = new Map<string, NameEntry>()
  /** By person: their folded names, oldest first. */
  readonly #people = new Map<string, readonly string[]>()

  /** @throws Error — the file can't be read or written */
  constructor(file?: NamesFile, max = maxNames) {
    this.max = max
    this.#file = file
    for (const entry of file?.start() ?? []) this.#add(entry)
  }

  get size(): number {
    return this.#names.size
  }

  known(key: string): NameEntry | undefined {
    return this.#names.get(key)
  }

  async find(key: string): Promise<NameEntry | undefined> {
    return this.#names.get(key)
  }

  // Nothing here waits between the look and the write, so that nobody can come between.
  async claim(entry: NameEntry): Promise<Claimed> {
    const held = this.#names.get(keyOf(entry))
    if (held !== undefined) return { entry: held, earlier: [] }
    if (this.#names.size >= this.max) return { refused: 'full' }
    const earlier = this.#people.get(personOf(entry)) ?? []
    if (earlier.length >= maxNamesEach) return { refused: 'many', earlier }
    this.#file?.append({ entry })
    this.#add(entry)
    return { entry, earlier }
  }

  async release(key: string): Promise<NameEntry | undefined> {
    const held = this.#names.get(key)
    if (held === undefined) return undefined
    this.#file?.append({ entry: held, released: true })
    this.#names.delete(key)
    const person = personOf(held)
    const left = (this.#people.get(person) ?? []).filter((one) => one !== key)
    if (left.length === 0) this.#people.delete(person)
    else this.#people.set(person, left)
    return held
  }

  async list(): Promise<readonly NameEntry[]> {
    return byName(this.#names.values())
  }

  close(): void {
    this.#file?.close()
  }

  #add(entry: NameEntry): void {
    const [key, person] = [keyOf(entry), personOf(entry)]
    if (this.#names.has(key)) return
    this.#names.set(key, entry)
    if (person !== '') this.#people.set(person, [...(this.#people.get(person) ?? []), key])
  }
}
