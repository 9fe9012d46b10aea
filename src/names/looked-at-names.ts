/** A store of names that gives none away: it tells what would become of a claim. */
import type { NameEntry } from '../core/identity.js'
import { keyOf, maxNamesEach, personOf } from './name-store.js'
import type { Claimed, NameStore } from './name-store.js'

/** Looks into another store and leaves it as it is. */
export class LookedAtNames implements NameStore {
  readonly max: number
  readonly #store: NameStore

  constructor(store: NameStore) {
    this.max = store.max
    this.#store = store
  }

  get size(): number {
    return this.#store.size
  }

  known(key: string): NameEntry | undefined {
    return this.#store.known(key)
  }

  find(key: string): Promise<NameEntry | undefined> {
    return this.#store.find(key)
  }

  async claim(entry: NameEntry): Promise<Claimed> {
    const held = await this.#store.find(keyOf(entry))
    if (held !== undefined) return { entry: held, earlier: [] }
    if (this.size >= this.max) return { refused: 'full' }
    const person = personOf(entry)
    const theirs = (await this.#store.list()).filter((one) => personOf(one) === person)
    const earlier = theirs.map(keyOf)
    return earlier.length >= maxNamesEach ? { refused: 'many', earlier } : { entry, earlier }
  }

  release(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  list(): Promise<readonly NameEntry[]> {
    return this.#store.list()
  }

  close(): void {
    // Its owner closes it.
  }
}
