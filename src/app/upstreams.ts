/** The upstreams of one configuration, each with its connections, its header rules and its signer. */
import type { Config } from '../config/schema.js'
import { createConnections } from '../forward/connections.js'
import type { Upstream } from '../forward/upstream.js'
import { foreignCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import { createSigner } from '../trac/signature.js'
import type { AppContext } from './context.js'

/** Builds them, by name; no connection is opened yet. */
export function createUpstreams(
  config: Config,
  app: AppContext,
  names: CookieNames,
): ReadonlyMap<string, Upstream> {
  const upstreams = new Map<string, Upstream>()
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const [key] = upstream.signingKeys
    const connections = createConnections({
      address: upstream.url,
      connectTimeout: upstream.timeouts.connect,
      onCount: (change) => app.metrics.upstreamConnections.inc({ upstream: name }, change),
    })
    upstreams.set(name, {
      name,
      isTrac: name === 'trac',
      address: upstream.url,
      connections,
      headerRules: {
        host: app.address.host,
        proto: app.address.secure ? 'https' : 'http',
        foreignCookies: (header) => foreignCookies(header, names),
        forwardAccessToken: upstream.forwardAccessToken,
      },
      sign: key === undefined ? undefined : createSigner(key),
      timeouts: upstream.timeouts,
    })
  }
  return upstreams
}
