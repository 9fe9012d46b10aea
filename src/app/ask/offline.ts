/** Asks a configuration that no gateway serves: with its keys and secrets, and without what only a process knows. */
import type { Config } from '../../config/schema.js'
import { realTimers } from '../../core/clock.js'
import { createAwaitedAnswers } from '../../endpoints/refresh.js'
import { createLogger } from '../../observe/logger.js'
import { createMetrics } from '../../observe/metrics.js'
import { RecentTrouble } from '../../observe/recent-trouble.js'
import { createProviderFetch } from '../../oidc/provider-fetch.js'
import { openStorage } from '../../session/storage.js'
import type { AppContext } from '../context.js'
import { openNames } from '../names.js'
import { createServices } from '../services.js'
import { createExplain } from './explain.js'
import type { Explain } from './report.js'

/** The configuration without the places where a gateway keeps what it knows: they are its own. */
function withoutPlaces(config: Config): Config {
  const { identity, session } = config
  return {
    ...config,
    identity: { ...identity, username: { ...identity.username, namesFile: undefined } },
    session: { ...session, store: 'cookie', revocationFile: undefined },
  }
}

/** Nobody hears of anything. */
const nothing = () => undefined

function createApp(config: Config, isOnline: boolean): AppContext {
  const now = Date.now
  const logger = createLogger('silent')
  const metrics = createMetrics({ version: '' }, false)
  const timers = realTimers
  const events = { onStore: nothing, onFault: nothing, onDropped: nothing, onPlace: nothing }
  return {
    logger,
    metrics,
    trouble: new RecentTrouble(now),
    storage: openStorage(config, now, events, timers),
    nameRegistry: openNames(config, undefined, { logger, metrics, timers, max: undefined }),
    address: config.server.publicUrl,
    now,
    timers,
    random: Math.random,
    isStopping: () => false,
    fetch: isOnline
      ? createProviderFetch(timers, now)
      : () => Promise.reject(new Error('the provider is not asked')),
    awaited: createAwaitedAnswers(now),
    onKeys: nothing,
    onUpstream: nothing,
    onPlugin: nothing,
  }
}

/** Builds it. Without `isOnline` the keys are those of `identity.keys.cacheFile`, if there is one. */
export async function explainOffline(config: Config, isOnline: boolean): Promise<Explain> {
  const placeless = withoutPlaces(config)
  const app = createApp(placeless, isOnline)
  const services = createServices(placeless, app)
  await Promise.all(services.issuers.all.map(({ keys }) => keys.refresh()))
  // Nothing was counted yet, so that no limit is reached.
  return createExplain(services, app, () => () => Promise.resolve(undefined))
}
