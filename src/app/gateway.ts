/** One running gateway: the public listener, the admin listener and what runs beside them, started and stopped together. */
import { readFileSync } from 'node:fs'
import type { AddressInfo, Server } from 'node:net'
import type { Logger } from 'pino'
import type { Address } from '../config/kinds/listen-address.js'
import type { Config } from '../config/schema.js'
import { watchCertificate } from '../http/certificate.js'
import type { CertificateEvents, CertificateWatch } from '../http/certificate.js'
import { realTimers } from '../core/clock.js'
import type { Now, Timers } from '../core/clock.js'
import { createAdmin } from '../observe/admin.js'
import { createListener } from '../http/listener.js'
import type { Listener } from '../http/listener.js'
import { createMetrics } from '../observe/metrics.js'
import { createReadiness } from '../observe/readiness.js'
import type { Readiness } from '../observe/readiness.js'
import type { Services, AppContext } from './services.js'
import { createServing } from './generation.js'
import { openStorage } from '../session/storage.js'

/** What a gateway is started with. */
export interface GatewayOptions {
  readonly config: Config
  readonly logger: Logger
  readonly now?: Now
  /** For what looks at connections and files from time to time. */
  readonly timers?: Timers
  readonly random?: () => number
}

/** A gateway that listens. */
export interface Gateway {
  /** What serves now: another after a reload. */
  readonly services: Services
  readonly readiness: Readiness
  /** Where the two listeners are; text of a Unix socket's path, or host and port. */
  readonly publicAddress: string | AddressInfo
  readonly adminAddress: string | AddressInfo
  /**
   * Serves by another configuration from now on; what runs ends under the one it began with.
   * @returns whether it is another one at all
   * @throws FixedChangeError or ERR_PROVIDER_UNAVAILABLE; then everything is as it was
   */
  take(config: Config): Promise<boolean>
  /** Tells log, metrics and `/readyz` of a configuration that is not served, and why. */
  refuse(cause: unknown): void
  /** Reads the certificate of `server.tls` again now. */
  reloadCertificate(): void
  /** Takes no more work, lets what runs finish within `server.timeouts.shutdown`, then ends. */
  close(): Promise<void>
}

/** The version in package.json, which stands two levels up in both the sources and the build. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

function listen(server: Server, address: Address): Promise<string | AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolve(server.address() ?? '')
    })
  })
}

/** Starts a gateway: it listens at once, and is ready when keys and Trac have been reached. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, logger, now = Date.now, timers = realTimers, random = Math.random } = options
  const { server } = config
  const metrics = createMetrics({ version: readVersion() })
  const shared = config.session.store === 'redis'
  const readiness = createReadiness(['keys', 'upstream', ...(shared ? (['store'] as const) : [])])
  const storage = openStorage(config, now, {
    onStore: (ok) => (ok ? readiness.reached('store') : readiness.missed('store')),
    onFault: (cause) => logger.warn({ cause }, 'the connection to Redis failed'),
  })
  const { revocations } = storage
  const app: AppContext = {
    logger,
    metrics,
    storage,
    address: server.publicUrl,
    now,
    random,
    onKeys: (ok) => (ok ? readiness.reached('keys') : readiness.missed('keys')),
    onUpstream: (ok) => (ok ? readiness.reached('upstream') : readiness.missed('upstream')),
  }
  const listener = createListener(config, timers)
  const serving = await createServing(config, app, readiness)
  listener.handTo(serving.handle)
  const admin = createAdmin({
    metrics,
    readiness,
    token: config.admin.token,
    async revoke(user) {
      await revocations.endUser(user)
      metrics.revocations.inc({ kind: 'user' })
      logger.info({ user }, 'revoked')
      return { durable: revocations.durable }
    },
    beforeScrape() {
      metrics.sessions.set(serving.services.sessions.size)
      const { fetchedAt } = serving.services.issuers.main.keys
      if (fetchedAt !== undefined) metrics.jwksAge.set((now() - fetchedAt) / 1000)
    },
  })
  // What is open would keep a process alive that serves nothing.
  const abandon = (error: unknown): never => {
    admin.close()
    storage.close()
    throw error
  }
  const adminAddress = await listen(admin, config.admin.listen).catch(abandon)
  const publicAddress = await listen(listener.server, server.listen).catch(abandon)
  serving.start()
  const certificate = watchTls(config, listener, readiness, logger, timers)
  logger.info(
    { public: publicAddress, admin: adminAddress, url: server.publicUrl.url },
    'listening',
  )

  let turn: Promise<unknown> = Promise.resolve()
  return {
    get services() {
      return serving.services
    },
    readiness,
    publicAddress,
    adminAddress,
    reloadCertificate: () => certificate?.reload(),
    take(next) {
      const taken = turn.then(async () => {
        const outcome = await serving.replace(next)
        readiness.note('configuration', '')
        if (outcome === 'same') return false
        logger.level = next.log.level
        logger.info('a new configuration is served')
        return true
      })
      turn = taken.catch(() => undefined)
      return taken
    },
    refuse(cause) {
      metrics.configLastFailure.set(now() / 1000)
      readiness.note('configuration', 'the new configuration is refused')
      logger.error({ cause }, 'the new configuration is refused; the one before is served')
    },
    async close() {
      readiness.drain()
      certificate?.close()
      await turn
      await listener.close(serving.services.config.server.timeouts.shutdown)
      await serving.end()
      storage.close()
      admin.closeAllConnections()
      await new Promise<void>((resolve) => admin.close(() => resolve()))
    },
  }
}

/** Serves a new certificate once its files have one; a pair that does not fit is told, and the old one stays. */
function watchTls(
  { server }: Config,
  listener: Listener,
  readiness: Readiness,
  logger: Logger,
  timers: Timers,
): CertificateWatch | undefined {
  if (server.tls === undefined) return undefined
  const events: CertificateEvents = {
    present(pair) {
      listener.present(pair)
      logger.info('a new certificate is served')
    },
    onFault(cause) {
      const isOver = cause === undefined
      readiness.note('certificate', isOver ? '' : 'the new certificate is refused')
      if (!isOver) logger.error({ cause, code: 'ERR_CERTIFICATE_REFUSED' }, 'the old one is served')
    },
  }
  return watchCertificate(server.tls, events, timers)
}
