/** Sign-in attempts, and signed deliveries of webhooks, that were used: each serves once, whatever somebody sends again. */
import type { Milliseconds, Now } from '../core/clock.js'
import { fingerprint } from '../core/fingerprint.js'
import type { RedisLink } from './redis-link.js'

/** Remembers attempts by their `state`. */
export interface UsedAttempts {
  /**
   * Uses an attempt; false if it was used before.
   * @throws {@link GatewayError} (rejects) ERR_STORE_UNAVAILABLE — where replicas share them in Redis
   */
  use(state: string): Promise<boolean>
  /** Takes it back: the provider never answered. */
  release(state: string): Promise<void>
}

/** By then the attempt itself has ended, however late it was used. */
const life: Milliseconds = 10 * 60_000
/** Attempts in memory, of about 150 bytes each. Beyond it the oldest is dropped. */
export const maxUsed = 100_000

/** Those of one process. */
export class MemoryUsedAttempts implements UsedAttempts {
  readonly #now: Now
  /** When each was used, by the hash of its state; in that order, since all are kept for the same time. */
  readonly #usedAt = new Map<string, Milliseconds>()

  constructor(now: Now) {
    this.#now = now
  }

  use(state: string): Promise<boolean> {
    const now = this.#now()
    const key = fingerprint(state)
    this.#dropWhile((at) => now - at > life)
    if (this.#usedAt.has(key)) return Promise.resolve(false)
    // Only an attempt that a provider answered takes the place of another one, not a cookie that is put back.
    this.#dropWhile(() => this.#usedAt.size >= maxUsed)
    this.#usedAt.set(key, now)
    return Promise.resolve(true)
  }

  release(state: string): Promise<void> {
    this.#usedAt.delete(fingerprint(state))
    return Promise.resolve()
  }

  /** Drops the oldest ones, as long as it is so. */
  #dropWhile(isSo: (usedAt: Milliseconds) => boolean): void {
    for (const [key, at] of this.#usedAt) {
      if (!isSo(at)) return
      this.#usedAt.delete(key)
    }
  }
}

/** Those of all replicas. */
export class RedisUsedAttempts implements UsedAttempts {
  readonly #link: RedisLink

  constructor(link: RedisLink) {
    this.#link = link
  }

  async use(state: string): Promise<boolean> {
    const key = this.#key(state)
    return (await this.#link.ask((client) => client.set(key, '1', 'PX', life, 'NX'))) === 'OK'
  }

  async release(state: string): Promise<void> {
    await this.#link.ask((client) => client.del(this.#key(state)))
  }

  #key(state: string): string {
    return `${this.#link.prefix}used:${fingerprint(state, 'base64url')}`
  }
}
