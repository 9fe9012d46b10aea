/** The gate of all replicas, in Redis and by its clock; the rules are those of {@link MemoryRenewalGate}. */
import type { Milliseconds } from '../core/clock.js'
import { fingerprint } from '../core/fingerprint.js'
import type { RedisLink } from './redis-link.js'
import type { RenewalGate, Setback } from './renewal-gate.js'

/** Waits are kept in Redis, one key a session, and end by themselves. */
export class RedisRenewalGate implements RenewalGate {
  readonly #link: RedisLink
  /** What is between braces puts all of its keys into one slot of a cluster, where one script may use two of them. */
  readonly #prefix: string

  constructor(link: RedisLink) {
    this.#link = link
    this.#prefix = `${link.prefix}{renewal}:`
  }

  enter(id: string): Promise<Milliseconds> {
    const [gate, wait, name] = this.#keysOf(id)
    return this.#link.ask((client) => client.enterRenewal(gate, wait, name))
  }

  failed(id: string, { kind, asked, jitter }: Setback): Promise<Milliseconds> {
    const [gate, wait, name] = this.#keysOf(id)
    return this.#link.ask((client) =>
      client.failRenewal(gate, wait, name, kind, asked ?? 0, jitter),
    )
  }

  async answered(id: string): Promise<void> {
    const [gate, wait] = this.#keysOf(id)
    await this.#link.ask((client) => client.answerRenewal(gate, wait))
  }

  /** The handle itself is never stored. */
  #keysOf(id: string): readonly [gate: string, wait: string, name: string] {
    const name = fingerprint(id, 'base64url')
    return [`${this.#prefix}gate`, `${this.#prefix}wait:${name}`, name]
  }
}
