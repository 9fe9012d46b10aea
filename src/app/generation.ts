/** What serves: the way of requests by one configuration and what runs beside it, until another takes its place. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { fixedChanges, isSameConfig } from '../config/fixed.js'
import type { Config } from '../config/schema.js'
import { GatewayError } from '../core/errors.js'
import type { Milliseconds } from '../core/clock.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import type { Readiness } from '../observe/readiness.js'
import { createServices } from './services.js'
import type { Services, AppContext } from './services.js'
import { createPipeline } from './pipeline.js'

/** A new configuration changes what only a new process can. */
export class FixedChangeError extends Error {
  /** @param keys such as `server.listen` */
  constructor(keys: readonly string[]) {
    super(`${keys.join(', ')}: a change there needs a restart`)
    this.name = 'FixedChangeError'
  }
}

/** What serves now. */
export interface Serving {
  readonly services: Services
  handle(request: IncomingMessage, response: ServerResponse): void
  /** Reaches for keys and Trac, and keeps the keys fresh. */
  start(): void
  /**
   * Serves by another configuration from now on; what runs ends under the one it began with. One at a time.
   * @throws {@link FixedChangeError} or ERR_PROVIDER_UNAVAILABLE; then everything is as it was
   */
  replace(next: Config): Promise<'replaced' | 'same'>
  end(): Promise<void>
}

/** One configuration made ready. */
interface Prepared {
  readonly services: Services
  readonly way: FastifyInstance
}

/** How often a part that was not reached yet is tried again. */
const retryEvery: Milliseconds = 2000

/** Node's timers hold no longer span. */
const maxTimer: Milliseconds = 2 ** 31 - 1

/** Makes the first configuration ready to serve. */
export async function createServing(
  config: Config,
  app: AppContext,
  readiness: Readiness,
): Promise<Serving> {
  let current = await prepare(config, app, undefined)
  let stops: readonly (() => void)[] = []

  const start = (): void => {
    stops = watchParts(current.services, app, readiness)
    app.metrics.configGeneration.inc()
  }
  const stop = (): void => {
    for (const each of stops) each()
  }

  return {
    get services() {
      return current.services
    },
    handle: (request, response) => current.way.routing(request, response),
    start,
    async replace(next) {
      const earlier = current
      if (isSameConfig(earlier.services.config, next)) return 'same'
      const changes = fixedChanges(earlier.services.config, next)
      if (changes.length > 0) throw new FixedChangeError(changes)
      current = await prepare(next, app, earlier.services)
      stop()
      start()
      await retire(earlier)
      return 'replaced'
    },
    async end() {
      stop()
      await retire(current)
    },
  }
}

/** In the place of another configuration, the keys must be known before. */
async function prepare(
  config: Config,
  app: AppContext,
  earlier: Services | undefined,
): Promise<Prepared> {
  const services = createServices(config, app, earlier)
  if (earlier !== undefined) {
    const known = new Set(earlier.issuers.all.map(({ keys }) => keys))
    const fresh = services.issuers.all.filter(({ keys }) => !known.has(keys))
    await Promise.all(fresh.map(({ keys }) => keys.refresh()))
    if (fresh.some(({ main, keys }) => main && keys.generation === 0)) {
      throw new GatewayError('ERR_PROVIDER_UNAVAILABLE')
    }
  }
  return { services, way: await createPipeline(services, app) }
}

/** Connections to upstreams that are in use close when their answer is complete. */
async function retire({ services, way }: Prepared): Promise<void> {
  for (const upstream of services.upstreams.values()) upstream.connections.close()
  await way.close()
}

/** Whether anything listens at an upstream's address. */
function canConnect(address: UpstreamAddress, timeout: Milliseconds): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
    )
    const end = (reached: boolean): void => {
      socket.destroy()
      resolve(reached)
    }
    socket.setTimeout(timeout, () => end(false))
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

/** Tries at once and then again and again until it worked or was stopped. */
function untilReached(attempt: () => Promise<boolean>, onReached: () => void): () => void {
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const run = async (): Promise<void> => {
    const reached = await attempt()
    if (stopped) return
    if (reached) {
      onReached()
      return
    }
    timer = setTimeout(() => void run(), retryEvery)
    timer.unref()
  }
  void run()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}

/** Reaches for keys and Trac until both were there once, then fetches keys ahead of their end. */
function watchParts(
  services: Services,
  app: AppContext,
  readiness: Readiness,
): readonly (() => void)[] {
  const { all, main } = services.issuers
  const { trac } = services.config.upstreams
  const { maxAge } = services.config.identity.keys
  const refreshAll = () => {
    for (const issuer of all) void issuer.keys.refresh()
  }
  const timer = setInterval(refreshAll, Math.min(maxAge, maxTimer))
  timer.unref()
  refreshAll()
  return [
    () => clearInterval(timer),
    untilReached(
      async () => {
        await main.keys.refresh()
        // Keys kept from an earlier run serve as well; the provider is still waited for.
        if (main.keys.generation > 0) readiness.serves('keys')
        return main.keys.fetchedAt !== undefined
      },
      () => app.logger.info('keys are known'),
    ),
    untilReached(
      async () => trac !== undefined && canConnect(trac.url, trac.timeouts.connect),
      () => app.onUpstream(true),
    ),
  ]
}
