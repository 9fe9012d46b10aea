/** One configuration made ready to serve. A reload makes the next generation out of the previous one and swaps the two. */
import type { Duplex } from 'node:stream'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { outcomesOf } from '../authorize/outcomes.js'
import { fixedChanges } from '../config/fixed.js'
import type { Config } from '../config/schema.js'
import { GatewayError } from '../core/errors.js'
import type { Readiness } from '../observe/readiness.js'
import type { AppContext } from './context.js'
import { createApplication } from './application.js'
import type { Application } from './application.js'
import { startProbes } from './probes.js'
import { createServices } from './services.js'
import type { Services } from './services.js'

/** A new configuration changes what only a new process can. */
export class FixedChangeError extends Error {
  readonly keys: readonly string[]

  /** @param keys such as `server.listen` */
  constructor(keys: readonly string[]) {
    super(`${keys.join(', ')}: a change there needs a restart`)
    this.name = 'FixedChangeError'
    this.keys = keys
  }
}

/** What serves by one configuration, and what runs beside it. */
export class Generation {
  readonly services: Services
  readonly #application: Application
  readonly #app: AppContext
  #stopProbes: () => void = () => undefined

  private constructor(services: Services, application: Application, app: AppContext) {
    this.services = services
    this.#application = application
    this.#app = app
  }

  /** The first one of a process: it may serve before the provider was reached. */
  static async first(config: Config, app: AppContext): Promise<Generation> {
    const services = createServices(config, app)
    return new Generation(services, await createApplication(services, app), app)
  }

  /**
   * The next one, which knows what this one knows of the provider. This one serves until it is retired.
   * @throws {@link FixedChangeError} — it changes what only a new process can
   * @throws {@link GatewayError} ERR_PROVIDER_UNAVAILABLE — no key of the main issuer is to be had
   */
  async next(config: Config): Promise<Generation> {
    const changes = fixedChanges(this.services.config, config)
    if (changes.length > 0) throw new FixedChangeError(changes)
    const services = createServices(config, this.#app, this.services)
    await knowNewKeys(services, this.services)
    return new Generation(services, await createApplication(services, this.#app), this.#app)
  }

  /** Serves one request; `upgradeSocket` is that of a WebSocket handshake. */
  handle(request: IncomingMessage, response: ServerResponse, upgradeSocket?: Duplex): void {
    this.#application.handle(request, response, upgradeSocket)
  }

  /** Answers what was refused before it was a request. */
  refuse(request: IncomingMessage, response: ServerResponse, error: GatewayError): void {
    this.#application.refuse(request, response, error)
  }

  /** Says what would become of a request. */
  get explain(): Application['explain'] {
    return this.#application.explain
  }

  /** Reaches for keys and Trac, and keeps the keys fresh. */
  start(readiness: Readiness): void {
    this.#stopProbes = startProbes(this.services, this.#app, readiness)
    const { config, routes, unmatched, upstreams } = this.services
    this.#app.metrics.begin({
      upstreams: upstreams.keys(),
      environments: Object.keys(config.environments ?? {}),
      routes: [...routes, unmatched].map((route) => ({
        name: route.name,
        mode: route.mode,
        outcomes: outcomesOf(route),
      })),
    })
    this.#app.metrics.configGeneration.inc()
  }

  /** Takes no more requests. Those that run end by this configuration, and their connections close with them. */
  async retire(): Promise<void> {
    this.#stopProbes()
    for (const upstream of this.services.upstreams.values()) upstream.connections.close()
    await this.#application.close()
  }
}

/** Fetches the keys that the previous generation did not have. */
async function knowNewKeys(services: Services, previous: Services): Promise<void> {
  const known = new Set(previous.issuers.all.map(({ keys }) => keys))
  const fresh = services.issuers.all.filter(({ keys }) => !known.has(keys))
  await Promise.all(fresh.map(({ keys }) => keys.refresh()))
  if (fresh.some(({ main, keys }) => main && keys.generation === 0)) {
    throw new GatewayError('ERR_PROVIDER_UNAVAILABLE')
  }
}
