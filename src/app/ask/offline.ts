/** Asks a configuration that no gateway serves: with its keys and secrets, and without what only a process knows. */
import type { Config } from '../../config/schema.js'
import { realTimers } from '../../core/clock.js'
import { createAwaitedAnswers } from '../../endpoints/refresh.js'
import { createLogger } from '../../observe/logger.js'
import { createMetrics } from '../../observe/metrics.js'
import { RecentTrouble } from '../../observe/recent-trouble.js'
import { createProviderFetch } from '../../oidc/provider-fetch.js'
import { openStorage } from '../../session/storage.js'
import { Arrivals } from '../arrivals.js'
import type { AppContext } from '../context.js'
import { openNames } from '../names.js'
import { createServices } from '../services.js'
import { createExplain } from './explain.js'
import type { Explain } from './report.js'

/** The configuration without the places where a gateway keeps what it knows: they are its own. */
export function withoutPlaces(config: Config): Config {
  const { identity, session } = config
  return {
    ...config,
    identity: { ...identity, username: { ...identity.username, namesFile: undefined } },
    session: { ...session, store: 'cookie', revocationFile: undefined },
  }
}

/** Nobody hears of anything. */
const nothing = () => undefined

/** How the provider is asked, and what is heard of it. */
export type OfflineParts = Partial<Pick<AppContext, 'fetch' | 'now'>>

/** A process that starts no gateway; without a `fetch` it does not ask the provider. */
export function createOfflineApp(config: Config, parts: OfflineParts = {}): AppContext {
  const { now = Date.now } = parts
  const logger = createLogger('silent', { write: nothing })
  const metrics = createMetrics({ version: '' }, false)
  const timers = realTimers
  const events = { onStore: nothing, onFault: nothing, onDropped: nothing, onPlace: nothing }
  return {
    logger,
    metrics,
    trouble: new RecentTrouble(now),
    storage: openStorage(config, now, events, timers),
    tokenStore: undefined,
    nameRegistry: openNames(config, undefined, { logger, metrics, timers, max: undefined }),
    address: config.server.publicUrl,
    now,
    timers,
    random: Math.random,
    isStopping: () => false,
    tracing: undefined,
    fetch: () => Promise.reject(new Error('the provider is not asked')),
    awaited: createAwaitedAnswers(now),
    arrivals: new Arrivals(now),
    onKeys: nothing,
    onUpstream: nothing,
    onPlugin: nothing,
    ...parts,
  }
}

/** Builds it. Without `isOnline` the keys are those of `identity.keys.cacheFile`, if there is one. */
export async function explainOffline(config: Config, isOnline: boolean): Promise<Explain> {
  const placeless = withoutPlaces(config)
  const app = createOfflineApp(
    placeless,
    isOnline ? { fetch: createProviderFetch(realTimers, Date.now) } : {},
  )
  const services = createServices(placeless, app)
  await Promise.all(services.issuers.all.map(({ keys }) => keys.refresh()))
  // Nothing was counted yet, so that no limit is reached.
  return createExplain(services, app, () => () => Promise.resolve(undefined))
}
