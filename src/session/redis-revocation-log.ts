/** Revocations that all replicas share: a stream in Redis, published at once and read twice a second. */
import type { Milliseconds, Now, Timer, Timers } from '../core/clock.js'
import { SingleFlight } from '../core/single-flight.js'
import type { RedisLink } from './redis-link.js'
import type { RevocationLog } from './revocation-log.js'

/** What the shared log is built with. */
export interface RedisLogOptions {
  readonly link: RedisLink
  readonly now: Now
  readonly timers: Timers
  /** How long a revocation can matter. */
  readonly life: Milliseconds
  /** Hears whether Redis could be reached just now. */
  readonly onState: (reached: boolean) => void
}

/** Revocations are known here within this; without that certainty no cookie may be believed. */
const maxLag: Milliseconds = 1000
const readEvery: Milliseconds = 400
/** After a failed read not every request tries the next one at once. */
const pauseAfterFault: Milliseconds = 300
/** A stream's ids follow its server's clock; after a failover another clock counts, so a little is read twice. */
const overlap: Milliseconds = 10_000
/** Entries read at once. */
const pageSize = 5000

/** When an entry was written, by the server's clock. */
function timeOf(id: string): Milliseconds {
  return Number(id.split('-', 1)[0])
}

/** The log; it reads by itself until it is closed. */
export class RedisRevocationLog implements RevocationLog {
  readonly #options: RedisLogOptions
  readonly #key: string
  readonly #channel: string
  readonly #reads = new SingleFlight<void>()
  #learn: (line: string, at: Milliseconds) => void = () => undefined
  /** The stream's id of the last entry that was read. */
  #last = '0-0'
  /** Everything that was written before this is known here. */
  #knownAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY
  #fault: unknown
  #timer: Timer | undefined
  #closed = false

  constructor(options: RedisLogOptions) {
    this.#options = options
    this.#key = `${options.link.prefix}revocations`
    this.#channel = `${options.link.prefix}revoked`
  }

  start(learn: (line: string, at: Milliseconds) => void): void {
    this.#learn = learn
    this.#options.link.subscribe(this.#channel, () => void this.#tryReading())
    void this.#readAgainAndAgain()
  }

  async append(line: string): Promise<void> {
    const { link, now, life } = this.#options
    const horizon = `${Math.max(0, now() - life)}`
    await link.ask((client) => client.xadd(this.#key, 'MINID', '~', horizon, '*', 'e', line))
    await link.ask((client) => client.pexpire(this.#key, life))
    // A message that is lost costs nothing but the time until the next read.
    await link.ask((client) => client.publish(this.#channel, '1')).catch(() => 0)
  }

  catchUp(): Promise<void> | undefined {
    const at = this.#options.timers.monotonic()
    if (at - this.#knownAt < maxLag) return undefined
    if (at - this.#failedAt < pauseAfterFault) return Promise.reject(this.#fault)
    return this.#readOnce()
  }

  readNow(): Promise<void> {
    // One that is under way may have passed what was written since it began.
    const current = this.#reads.current(this.#key)
    return current === undefined
      ? this.#readOnce()
      : current.catch(() => undefined).then(() => this.#readOnce())
  }

  /** That of the server which has the stream, so that it is one clock for all. */
  async time(): Promise<Milliseconds> {
    return (await this.#options.link.ask((client) => client.serverTime(this.#key))) / 1000
  }

  /** Stops reading. */
  close(): void {
    this.#closed = true
    this.#options.timers.clearTimeout(this.#timer)
  }

  async #readAgainAndAgain(): Promise<void> {
    await this.#tryReading()
    if (this.#closed) return
    this.#timer = this.#options.timers.setTimeout(() => void this.#readAgainAndAgain(), readEvery)
    this.#timer.unref()
  }

  #tryReading(): Promise<void> {
    return this.#readOnce().catch(() => undefined)
  }

  #readOnce(): Promise<void> {
    return this.#reads.run(this.#key, () => this.#read())
  }

  async #read(): Promise<void> {
    const { timers, onState } = this.#options
    const askedAt = timers.monotonic()
    try {
      const since = timeOf(this.#last) - overlap
      await this.#readPages(since > 0 ? `${since}-0` : '-')
      this.#knownAt = askedAt
      onState(true)
    } catch (error) {
      this.#failedAt = timers.monotonic()
      this.#fault = error
      onState(false)
      throw error
    }
  }

  async #readPages(from: string): Promise<void> {
    let start = from
    for (;;) {
      const page = await this.#options.link.ask((client) =>
        client.xrange(this.#key, start, '+', 'COUNT', pageSize),
      )
      for (const [id, fields] of page) {
        this.#last = id
        this.#learn(fields[1] ?? '', timeOf(id))
      }
      if (page.length < pageSize) return
      start = `(${this.#last}`
    }
  }
}
