/** The names of all replicas, in Redis or Valkey: without expiry, given in one step, and known here once they were seen. */
import type { Milliseconds, Timer, Timers } from '../core/clock.js'
import type { NameEntry } from '../core/identity.js'
import { SingleFlight } from '../core/single-flight.js'
import { readKept } from '../session/redis-link.js'
import type { RedisLink } from '../session/redis-link.js'
import { byName, keyOf, maxNames, maxNamesEach, personOf, toEntry } from './name-store.js'
import type { Claimed, NameStore } from './name-store.js'

/** What one replica released, the others know within this. */
const lookEvery: Milliseconds = 500
/** Names that are put back at a time after Redis lost them. */
const pageSize = 500

/** An entry as Redis holds it; later releases read it, too. */
const write = ({ name, issuer, subject }: NameEntry): string =>
  JSON.stringify([name, issuer, subject])

const read = (written: string): NameEntry => readKept(() => toEntry(JSON.parse(written)))

/** The store; it looks for changes by itself until it is closed. */
export class RedisNames implements NameStore {
  readonly max: number
  readonly #link: RedisLink
  readonly #timers: Timers
  readonly #key: string
  /** Pairs that were seen; bounded by what Redis holds, and emptied when another replica released one. */
  readonly #seen = new Map<string, NameEntry>()
  readonly #claims = new SingleFlight<Claimed>()
  #changes = ''
  #timer: Timer | undefined
  #closed = false

  constructor(link: RedisLink, timers: Timers, max = maxNames) {
    this.max = max
    this.#link = link
    this.#timers = timers
    this.#key = `${link.prefix}names`
    void this.#lookAgainAndAgain()
  }

  get size(): number {
    return this.#seen.size
  }

  known(key: string): NameEntry | undefined {
    return this.#seen.get(key)
  }

  async find(key: string): Promise<NameEntry | undefined> {
    const written = await this.#read(key)
    return written === null ? undefined : read(written)
  }

  claim(entry: NameEntry): Promise<Claimed> {
    return this.#claims.run(write(entry), () => this.#claim(entry))
  }

  async release(key: string): Promise<NameEntry | undefined> {
    const written = await this.#read(key)
    if (written === null) return undefined
    const entry = read(written)
    const done = await this.#link.ask((client) =>
      client.releaseName(this.#key, key, written, personOf(entry)),
    )
    this.#seen.delete(key)
    return done === 1 ? entry : this.release(key)
  }

  async list(): Promise<readonly NameEntry[]> {
    const entries = new Map<string, NameEntry>()
    let cursor = '0'
    do {
      const [next, fields] = await this.#link.ask((client) =>
        client.hscan(this.#key, cursor, 'MATCH', 'n *', 'COUNT', 1000),
      )
      for (let i = 1; i < fields.length; i += 2) {
        const entry = read(fields[i]!)
        entries.set(keyOf(entry), entry)
      }
      cursor = next
    } while (cursor !== '0')
    return byName(entries.values())
  }

  close(): void {
    this.#closed = true
    this.#timers.clearTimeout(this.#timer)
  }

  #read(key: string): Promise<string | null> {
    return this.#link.ask((client) => client.hget(this.#key, `n ${key}`))
  }

  async #claim(entry: NameEntry): Promise<Claimed> {
    const key = keyOf(entry)
    const asked = this.#changes
    const [state, text = ''] = await this.#link.ask((client) =>
      client.claimName(this.#key, key, write(entry), personOf(entry), this.max, maxNamesEach),
    )
    const earlier = text.split('\n').filter(Boolean)
    if (state === 'full') return { refused: 'full' }
    if (state === 'many') return { refused: 'many', earlier }
    const held = state === 'held' ? read(text) : entry
    // An answer from before a release must not come in after it.
    if (asked === this.#changes && this.#seen.size < this.max) this.#seen.set(key, held)
    return { entry: held, earlier: state === 'held' ? [] : earlier }
  }

  async #lookAgainAndAgain(): Promise<void> {
    // What is known here goes on while Redis is away.
    await this.#look().catch(() => undefined)
    if (this.#closed) return
    this.#timer = this.#timers.setTimeout(() => void this.#lookAgainAndAgain(), lookEvery)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    const known = this.#seen.size
    const [changes, count] = await this.#link.ask((client) =>
      client.hmget(this.#key, 'changes', 'count'),
    )
    const isSame = (changes ?? '') === this.#changes
    this.#changes = changes ?? ''
    if (isSame && Number(count ?? 0) >= known) return
    const seen = [...this.#seen.values()]
    this.#seen.clear()
    // A Redis that has fewer than were seen here lost some, as one does that keeps nothing on disk: they are put back.
    if (changes === null || isSame) await this.#putBack(seen)
  }

  async #putBack(entries: readonly NameEntry[]): Promise<void> {
    for (let i = 0; i < entries.length; i += pageSize) {
      const page = entries.slice(i, i + pageSize)
      await Promise.all(page.map((entry) => this.#claim(entry)))
    }
  }
}
