/** What one process lends to every configuration that it serves, one after the other. */
import type { Logger } from 'pino'
import type { Now, Timers } from '../core/clock.js'
import type { PublicUrl } from '../core/public-url.js'
import type { Arrivals } from './arrivals.js'
import type { AwaitedAnswers } from '../endpoints/refresh.js'
import type { NameRegistry } from '../names/registry.js'
import type { PluginState } from '../forward/plugin-proof.js'
import type { Metrics } from '../observe/metrics.js'
import type { RecentTrouble } from '../observe/recent-trouble.js'
import type { Tracing } from '../observe/tracing.js'
import type { ProviderFetch } from '../oidc/provider-fetch.js'
import type { Storage } from '../session/storage.js'
import type { TokenStore } from '../tokens/token-store.js'

/** Hears whether a part could be reached. */
export type OnReach = (ok: boolean, name?: string, why?: string) => void

/** It outlives a reload. */
export interface AppContext {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly trouble: RecentTrouble
  readonly storage: Storage
  readonly nameRegistry: NameRegistry
  /** Undefined: there is no place where personal tokens could be kept. */
  readonly tokenStore: TokenStore | undefined
  readonly address: PublicUrl
  readonly now: Now
  readonly timers: Timers
  readonly random: () => number
  readonly isStopping: () => boolean
  /** Undefined: nothing is traced. */
  readonly tracing: Tracing | undefined
  /** Asks the provider. */
  readonly fetch: ProviderFetch
  /** Requests that an operator has announced. */
  readonly arrivals: Arrivals
  /** What it gave that can't be verified yet. */
  readonly awaited: AwaitedAnswers
  /** Whether the keys of the main issuer, or Trac, could be reached just now; if not, which they are and why. */
  readonly onKeys: OnReach
  readonly onUpstream: OnReach
  /** Whether Trac answers with our plugin. */
  readonly onPlugin: (state: PluginState, environment: string) => void
}
