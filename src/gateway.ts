/** One running gateway: the public listener, the admin listener and what runs beside them, started and stopped together. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import type { Logger } from 'pino'
import type { Address, Config } from './config/schema.js'
import { watchCertificate } from './edge/certificate.js'
import type { CertificateWatch } from './edge/certificate.js'
import { parsePublicUrl } from './edge/entrance.js'
import type { Milliseconds, Now } from './identity.js'
import { createAdmin } from './observe/admin.js'
import { createListener } from './listener.js'
import type { Listener } from './listener.js'
import { createMetrics } from './observe/metrics.js'
import { createReadiness } from './observe/readiness.js'
import type { Readiness } from './observe/readiness.js'
import { createRooms } from './rooms.js'
import type { Rooms, Surroundings } from './rooms.js'
import { createWay } from './server.js'
import { openKeeping } from './session/keeping.js'

/** What a gateway is started with. */
export interface GatewayOptions {
  readonly config: Config
  readonly logger: Logger
  readonly now?: Now
  readonly random?: () => number
}

/** A gateway that listens. */
export interface Gateway {
  readonly rooms: Rooms
  readonly readiness: Readiness
  /** Where the two listeners are; text of a Unix socket's path, or host and port. */
  readonly publicAddress: string | AddressInfo
  readonly adminAddress: string | AddressInfo
  /** Reads the certificate of `server.tls` again now. */
  reload(): void
  /** Takes no more work, lets what runs finish within `server.timeouts.shutdown`, then ends. */
  close(): Promise<void>
}

/** How often a part that was not reached yet is tried again. */
const retryEvery: Milliseconds = 2000

/** Node's timers hold no longer span. */
const longestTimer: Milliseconds = 2 ** 31 - 1

/** The version in package.json, which stands two levels up in both the sources and the build. */
export function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
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

/** Whether anything listens at an upstream's address. */
function canConnect(url: string, timeout: Milliseconds): Promise<boolean> {
  return new Promise((resolve) => {
    const { hostname, port, protocol } = new URL(url.startsWith('unix:') ? 'http://x' : url)
    const socket = url.startsWith('unix:')
      ? connect({ path: url.slice(5) })
      : connect({
          host: hostname.replace(/^\[|\]$/g, ''),
          port: Number(port) || (protocol === 'https:' ? 443 : 80),
        })
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

/** Starts a gateway: it listens at once, and is ready when keys and Trac have been reached. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, logger, now = Date.now, random = Math.random } = options
  const { identity, server } = config
  const metrics = createMetrics({ version: readVersion() })
  const shared = config.session.store === 'redis'
  const readiness = createReadiness(['keys', 'upstream', ...(shared ? (['store'] as const) : [])])
  const keeping = openKeeping(config, now, {
    onStore: (ok) => (ok ? readiness.reached('store') : readiness.missed('store')),
    onFault: (cause) => logger.warn({ cause }, 'the connection to Redis failed'),
  })
  const { revocations } = keeping
  const around: Surroundings = {
    logger,
    metrics,
    keeping,
    address: parsePublicUrl(server.publicUrl),
    now,
    random,
    onKeys: (ok) => (ok ? readiness.reached('keys') : readiness.missed('keys')),
    onUpstream: (ok) => (ok ? readiness.reached('upstream') : readiness.missed('upstream')),
  }
  const rooms = createRooms(config, around)
  const way = await createWay(rooms, around)
  const listener = createListener(config)
  listener.handTo((request, response) => way.routing(request, response))
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
      metrics.sessions.set(rooms.sessions.size)
      const { fetchedAt } = rooms.issuers.main.keys
      if (fetchedAt !== undefined) metrics.jwksAge.set((now() - fetchedAt) / 1000)
    },
  })
  // What is open would keep a process alive that serves nothing.
  const abandon = (error: unknown): never => {
    admin.close()
    keeping.close()
    throw error
  }
  const adminAddress = await listen(admin, config.admin.listen).catch(abandon)
  const publicAddress = await listen(listener.server, server.listen).catch(abandon)
  metrics.configGeneration.set(1)
  const certificate = watchTls(config, listener, readiness, logger)
  const stops = watchParts(rooms, around, readiness, identity.keys.maxAge)
  logger.info({ public: publicAddress, admin: adminAddress, url: server.publicUrl }, 'listening')

  return {
    rooms,
    readiness,
    publicAddress,
    adminAddress,
    reload: () => certificate?.reload(),
    async close() {
      readiness.drain()
      certificate?.close()
      for (const stop of stops) stop()
      await listener.close(server.timeouts.shutdown)
      for (const upstream of rooms.upstreams.values()) upstream.connections.close()
      await way.close()
      keeping.close()
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
): CertificateWatch | undefined {
  if (server.tls === undefined) return undefined
  return watchCertificate(server.tls, {
    present(pair) {
      listener.present(pair)
      logger.info('a new certificate is served')
    },
    onFault(cause) {
      const isOver = cause === undefined
      readiness.note('certificate', isOver ? '' : 'the new certificate is refused')
      if (!isOver) logger.error({ cause, code: 'ERR_CERTIFICATE_REFUSED' }, 'the old one is served')
    },
  })
}

/** Reaches for keys and Trac until both were there once, then fetches keys ahead of their end. */
function watchParts(
  rooms: Rooms,
  around: Surroundings,
  readiness: Readiness,
  keysMaxAge: Milliseconds,
): readonly (() => void)[] {
  const { all, main } = rooms.issuers
  const { trac } = rooms.config.upstreams
  const refreshAll = () => {
    for (const issuer of all) void issuer.keys.refresh()
  }
  const timer = setInterval(refreshAll, Math.min(keysMaxAge, longestTimer))
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
      () => around.logger.info('keys are known'),
    ),
    untilReached(
      async () => trac !== undefined && canConnect(trac.url, trac.timeouts.connect),
      () => around.onUpstream(true),
    ),
  ]
}
