/** The signing keys of one issuer: fetched ahead of need, kept while the provider is down (OpenID Connect Core §10.1.1). */
import type { JWSHeaderParameters } from 'jose'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { ErrorDetails } from '../core/errors.js'
import { SingleFlight } from '../core/single-flight.js'
import { keySetLimit } from './provider-fetch.js'
import type { ProviderFetch } from './provider-fetch.js'
import { readKeySet, unnamed } from './key-set.js'
import type { KeySet } from './key-set.js'
import type { SignatureKey } from './signature.js'

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

/** Who brought a token: whoever asks us, or the token endpoint itself in its answer. */
export type TokenOrigin = 'client' | 'provider'

/** Where the key for a token is found. */
export interface KeySource {
  /**
   * The key for a token's header. An unknown `kid` of a client's token is worth one fetch in a cool-down, however many
   * tokens bring it. One that the token endpoint just gave is worth a fetch of its own, so that no forged token can hold
   * up a provider's new key. A fetch that failed says nothing of a `kid`.
   * @throws {@link GatewayError} ERR_TOKEN_KEY_UNKNOWN, ERR_TOKEN_ALGORITHM, ERR_PROVIDER_UNAVAILABLE
   */
  find(header: JWSHeaderParameters, origin?: TokenOrigin): Promise<SignatureKey>
  /**
   * The key that took the place of one without `kid` whose signature did not fit; it is looked for like an unknown `kid`.
   * @throws {@link GatewayError} ERR_TOKEN_KEY_UNKNOWN — it is still the same one; and as {@link KeySource.find}
   */
  findNewer(
    failed: SignatureKey,
    header: JWSHeaderParameters,
    origin?: TokenOrigin,
  ): Promise<SignatureKey>
  /** Counts the changes of the key set; part of the key of every cache of verified tokens. */
  readonly generation: number
  /** When the keys in use were fetched; undefined until some were. */
  readonly fetchedAt: Milliseconds | undefined
  /** The keys in use: each with its `kid` (empty text for none) and the allowed algorithms that it verifies. */
  readonly inUse: readonly { readonly kid: string; readonly algorithms: readonly string[] }[]
  /** Whether they were never fetched, or longer ago than a key set may be used unasked. */
  readonly isOld: boolean
  /** Why the latest fetch failed; undefined if it did not. */
  readonly fault: unknown
  /** Fetches now, once for all who ask at the same time; never rejects. */
  refresh(): Promise<void>
  /** The same keys without ever fetching: where this source would ask the provider, the other one throws what `ask` gives. */
  withoutFetching(ask: () => Error): KeySource
}

/** There is one thing to fetch. */
const flight = 'key set'

const namesNoKey = 'The token does not name the key that it is signed with (kid).'

/** Fetches a minute for keys of tokens that came from the token endpoint. */
const ownFetches = 10
const minute: Milliseconds = 60_000

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
  /** Why the latest fetch failed: what is not known here may be known there. */
  #fault: unknown = undefined
  /** When the latest of {@link ownFetches} were made. */
  #ownFetchesAt: Milliseconds[] = []

  constructor(options: KeyOptions) {
    this.#options = options
  }

  get generation(): number {
    return this.#generation
  }

  get fetchedAt(): Milliseconds | undefined {
    return this.#fetchedAt
  }

  get fault(): unknown {
    return this.#fault
  }

  get inUse() {
    return [...this.#keys].map(([kid, byAlgorithm]) => ({
      kid,
      algorithms: [...byAlgorithm.keys()],
    }))
  }

  get isOld(): boolean {
    return this.#options.now() - (this.#fetchedAt ?? 0) > this.#options.maxAge
  }

  refresh(): Promise<void> {
    this.#askedAt = this.#options.now()
    return this.#fetches.run(flight, () => this.#load())
  }

  async find({ kid = unnamed, alg = '' }: JWSHeaderParameters, origin: TokenOrigin = 'client') {
    if (!this.#keys.has(kid)) await this.#lookFor(() => this.#keys.has(kid), origin)
    else if (this.isOld && this.#isCool()) void this.refresh()
    return this.#known(kid, alg)
  }

  async findNewer(
    failed: SignatureKey,
    { alg = '' }: JWSHeaderParameters,
    origin: TokenOrigin = 'client',
  ) {
    const isNewer = () => this.#keys.get(unnamed)?.get(alg) !== failed
    await this.#lookFor(isNewer, origin)
    if (!isNewer()) throw this.#unknown(unnamed, {})
    return this.#known(unnamed, alg)
  }

  withoutFetching(ask: () => Error): KeySource {
    const mayAsk = () =>
      this.#fetchedAt === undefined || this.#fetches.current(flight) !== undefined || this.#isCool()
    const state = () => ({
      generation: this.#generation,
      fetchedAt: this.#fetchedAt,
      inUse: this.inUse,
    })
    return {
      find: async ({ kid = unnamed, alg = '' }) => {
        if (!this.#keys.has(kid) && mayAsk()) throw ask()
        return this.#known(kid, alg)
      },
      findNewer: async (failed, { alg = '' }) => {
        if (this.#keys.get(unnamed)?.get(alg) !== failed) return this.#known(unnamed, alg)
        throw mayAsk() ? ask() : this.#unknown(unnamed, {})
      },
      refresh: () => Promise.resolve(),
      withoutFetching: (other) => this.withoutFetching(other),
      get generation() {
        return state().generation
      },
      get fetchedAt() {
        return state().fetchedAt
      },
      get inUse() {
        return state().inUse
      },
      isOld: false,
      fault: undefined,
    }
  }

  #known(kid: string, alg: string): SignatureKey {
    if (this.#keys.size === 0) throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', { retryAfter: 5 })
    const byAlgorithm = this.#keys.get(kid)
    if (byAlgorithm === undefined) {
      throw this.#unknown(kid, kid === unnamed ? { detail: namesNoKey } : {})
    }
    const key = byAlgorithm.get(alg)
    if (key === undefined) throw new GatewayError('ERR_TOKEN_ALGORITHM')
    return key
  }

  /** The refusal of a key that is not known: for good only where the provider could be asked. */
  #unknown(kid: string, details: ErrorDetails): GatewayError {
    if (this.#fault === undefined) return new GatewayError('ERR_TOKEN_KEY_UNKNOWN', details)
    const cause = new Error(`no key ${JSON.stringify(kid)} is known, and the latest fetch failed`)
    const left = this.#askedAt + this.#options.coolDown - this.#options.now()
    const retryAfter = Math.max(1, Math.ceil(left / 1000))
    return new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause, retryAfter })
  }

  /** Fetches until it is found, as far as whoever brought the token may cause that. */
  async #lookFor(isFound: () => boolean, origin: TokenOrigin): Promise<void> {
    const running = this.#fetches.current(flight)
    if (running !== undefined) {
      // It may have begun before the provider showed its new key.
      await running
      if (isFound()) return
    }
    if (this.#mayFetch(origin)) await this.refresh()
  }

  #mayFetch(origin: TokenOrigin): boolean {
    // Who comes while a fetch is in flight shares it, and it is counted once.
    if (this.#fetches.current(flight) !== undefined) return true
    return origin === 'provider' ? this.#countOwnFetch() : this.#isCool()
  }

  #countOwnFetch(): boolean {
    const at = this.#options.now()
    const recent = this.#ownFetchesAt.filter((earlier) => at - earlier < minute)
    const isAllowed = recent.length < ownFetches
    this.#ownFetchesAt = isAllowed ? [...recent, at] : recent
    return isAllowed
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
      this.#fault = undefined
      onFetch('ok')
      this.#keep(fresh)
    } catch (cause) {
      this.#fault = cause
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
