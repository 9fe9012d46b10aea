/** The signing keys of one issuer: fetched ahead of need, kept while the provider is down (OpenID Connect Core §10.1.1). */
import type { CryptoKey, JWSHeaderParameters } from 'jose'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { SingleFlight } from '../core/single-flight.js'
import { keySetLimit } from './provider-fetch.js'
import type { ProviderFetch } from './provider-fetch.js'
import { readKeySet } from './key-set.js'
import type { KeySet } from './key-set.js'

/** What a key source needs. */
export interface KeyOptions {
  readonly jwksUri: () => Promise<string>
  readonly algorithms: readonly string[]
  readonly maxAge: Milliseconds
  readonly coolDown: Milliseconds
  readonly fetch: ProviderFetch
  readonly now: Now
  readonly onFetch: (result: 'ok' | 'failed', cause?: unknown) => void
  /** Keys kept from an earlier run, and where to keep the next ones. */
  readonly cache?: KeyCache
}

/** Where the key set outlives the process. */
export interface KeyCache {
  read(): string | undefined
  write(text: string): void
  /** It could not be written, which takes nothing from the keys in use. */
  onFault(cause: unknown): void
}

/** Where the key for a token is found. */
export interface KeySource {
  /**
   * The key for a token's header. An unknown `kid` is worth one fetch in a cool-down, however many tokens bring it.
   * @throws {@link GatewayError} ERR_TOKEN_KEY_UNKNOWN, ERR_TOKEN_ALGORITHM, ERR_PROVIDER_UNAVAILABLE
   */
  find(header: JWSHeaderParameters): Promise<CryptoKey>
  /** Counts the changes of the key set; part of the key of every cache of verified tokens. */
  readonly generation: number
  /** When the keys in use were fetched; undefined until some were. */
  readonly fetchedAt: Milliseconds | undefined
  /** Fetches now, once for all who ask at the same time; never rejects. */
  refresh(): Promise<void>
}

/** There is one thing to fetch. */
const flight = 'key set'

/** The keys of one issuer; nothing is fetched until {@link refresh} or the first token. */
export class IssuerKeys implements KeySource {
  readonly #options: KeyOptions
  readonly #fetches = new SingleFlight<void>()
  #keys: KeySet = new Map()
  /** What the keys were read from. */
  #text: string | undefined
  #generation = 0
  #fetchedAt: Milliseconds | undefined
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(options: KeyOptions) {
    this.#options = options
  }

  get generation(): number {
    return this.#generation
  }

  get fetchedAt(): Milliseconds | undefined {
    return this.#fetchedAt
  }

  refresh(): Promise<void> {
    this.#askedAt = this.#options.now()
    return this.#fetches.run(flight, () => this.#load())
  }

  async find({ kid = '', alg = '' }: JWSHeaderParameters): Promise<CryptoKey> {
    if (!this.#keys.has(kid)) await this.#lookForUnknown()
    else if (this.#isOld() && this.#isCool()) void this.refresh()
    if (this.#keys.size === 0) throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', { retryAfter: 5 })
    const byAlgorithm = this.#keys.get(kid)
    if (byAlgorithm === undefined) throw new GatewayError('ERR_TOKEN_KEY_UNKNOWN')
    const key = byAlgorithm.get(alg)
    if (key === undefined) throw new GatewayError('ERR_TOKEN_ALGORITHM')
    return key
  }

  async #lookForUnknown(): Promise<void> {
    const running = this.#fetches.current(flight)
    if (running !== undefined) await running
    else if (this.#isCool()) await this.refresh()
  }

  #isOld(): boolean {
    return this.#options.now() - (this.#fetchedAt ?? 0) > this.#options.maxAge
  }

  #isCool(): boolean {
    return this.#options.now() - this.#askedAt > this.#options.coolDown
  }

  async #load(): Promise<void> {
    const { onFetch, now } = this.#options
    try {
      const fresh = await this.#fetch()
      await this.#use(fresh)
      this.#fetchedAt = now()
      onFetch('ok')
      this.#keep(fresh)
    } catch (cause) {
      onFetch('failed', cause)
      await this.#useKept()
    }
  }

  async #fetch(): Promise<string> {
    const { fetch, jwksUri } = this.#options
    const init = { headers: { accept: 'application/json' } }
    const response = await fetch(await jwksUri(), init, keySetLimit)
    if (response.status !== 200) throw new Error(`the key set answered ${response.status}`)
    return response.text()
  }

  async #use(text: string): Promise<void> {
    if (text === this.#text) return
    this.#keys = await readKeySet(text, this.#options.algorithms)
    this.#text = text
    this.#generation++
  }

  /** The keys of an earlier run serve until some can be fetched. */
  async #useKept(): Promise<void> {
    if (this.#keys.size > 0) return
    const kept = this.#options.cache?.read()
    if (kept !== undefined) await this.#use(kept).catch(() => undefined)
  }

  #keep(text: string): void {
    const { cache } = this.#options
    try {
      cache?.write(text)
    } catch (cause) {
      cache?.onFault(cause)
    }
  }
}
