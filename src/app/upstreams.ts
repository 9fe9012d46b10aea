/** The upstreams of one configuration, each with its connections, its header rules and its signer. */
import type { Config } from '../config/schema.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import { createConnections } from '../forward/connections.js'
import { Gate } from '../forward/gate.js'
import type { Upstream } from '../forward/upstream.js'
import { interim } from '../forward/upstream-socket.js'
import { rememberLast } from '../request/last-text.js'
import { foreignCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import { createSigner, keyFingerprint } from '../trac/signature.js'
import type { AppContext } from './context.js'

/** An upstream as `/readyz` calls it. */
export const upstreamName = (name: string, { url }: UpstreamAddress): string =>
  `upstream ${name} (${url})`

/** Which of the upstreams are Tracs that get requests. */
export function tracsOf({ environments }: Pick<Config, 'environments'>): readonly string[] {
  if (environments === undefined) return ['trac']
  return [...new Set(Object.values(environments).map(({ upstream }) => upstream))]
}

/** Builds them, by name; no connection is opened yet. */
export function createUpstreams(
  config: Config,
  app: AppContext,
  names: CookieNames,
): ReadonlyMap<string, Upstream> {
  const upstreams = new Map<string, Upstream>()
  // A row of the operator's own may lead to `trac` though no environment does.
  const tracs = new Set(['trac', ...tracsOf(config)])
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const [key] = upstream.signingKeys
    const connections = createConnections({
      address: upstream.url,
      connectTimeout: upstream.timeouts.connect,
      interim: tracs.has(name) ? interim.trac : interim.others,
      client: upstream.client,
      timers: app.timers,
      onCount: (change) => app.metrics.upstreamConnections.inc({ upstream: name }, change),
    })
    const { queue } = config.server.timeouts
    const gateOf = (max: number) =>
      new Gate({ max, queue }, app.timers, (change) =>
        app.metrics.upstreamWaiting.inc({ upstream: name }, change),
      )
    upstreams.set(name, {
      name,
      isTrac: tracs.has(name),
      address: upstream.url,
      connections,
      requests: gateOf(upstream.maxConnections),
      tunnels: gateOf(upstream.maxTunnels),
      headerRules: {
        host: app.address.host,
        via: `1.1 trac-gateway${key === undefined ? '' : ` (key ${key.id} ${keyFingerprint(key)})`}`,
        proto: app.address.secure ? 'https' : 'http',
        foreignCookies: rememberLast((header) => foreignCookies(header, names)),
        legacyCookies: rememberLast((header) => foreignCookies(header, names, true)),
        forwardAccessToken: upstream.forwardAccessToken,
      },
      sign: key === undefined ? undefined : createSigner(key, upstream.signature === 'v2' ? 2 : 1),
      answerKey: tracs.has(name) ? key : undefined,
      timeouts: upstream.timeouts,
    })
  }
  return upstreams
}
