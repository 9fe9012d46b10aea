/** Where sessions and revocations are kept: in the cookie with a file or memory beside it, or in Redis for all replicas. */
import type { Config } from '../config/schema.js'
import { realTimers } from '../core/clock.js'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import { CookieStore } from './cookie-store.js'
import { nameCookies } from './cookies.js'
import { createProcessState } from './process-state.js'
import type { ProcessState } from './process-state.js'
import { connectRedis } from './redis-link.js'
import type { RedisLink } from './redis-link.js'
import { RedisRenewalGate } from './redis-renewal-gate.js'
import { RedisRevocationLog } from './redis-revocation-log.js'
import { RedisStore } from './redis-store.js'
import { RevocationFile } from './revocation-file.js'
import { Revocations } from './revocations.js'
import type { RevocationBounds } from './revocations.js'
import type { Sealer } from './sealer.js'
import type { SessionStore } from './session-store.js'
import { MemoryUsedAttempts, RedisUsedAttempts } from './used-attempts.js'
import type { UsedAttempts } from './used-attempts.js'

/** What outlives a request, and perhaps the process. */
export interface Storage {
  readonly revocations: Revocations
  readonly state: ProcessState
  readonly usedAttempts: UsedAttempts
  /** Signed deliveries of webhooks: each counts once. Apart from sign-ins, so that neither takes the other's place. */
  readonly usedDeliveries: UsedAttempts
  /** Counts for all replicas; undefined: each process for itself. */
  readonly redis: RedisLink | undefined
  store(sealer: Sealer): SessionStore
  close(): void
}

/** What is heard of Redis. */
export interface StorageEvents {
  readonly onStore: (reached: boolean) => void
  readonly onFault: (cause: unknown) => void
  /** So many revocations had no place in the list; and: there is place again. */
  readonly onDropped: (count: number) => void
  readonly onPlace: () => void
}

/** Bounds that a test makes smaller. */
export interface StorageBounds {
  readonly revocations?: number | undefined
}

/** Opens it. A revocation file that can't be read throws; a Redis that can't be reached is waited for. */
export function openStorage(
  config: Config,
  now: Now,
  events: StorageEvents,
  timers: Timers = realTimers,
  bounds: StorageBounds = {},
): Storage {
  const { revocations: max } = bounds
  const told = { ...events, ...(max === undefined ? {} : { max }) }
  return config.session.store === 'redis' && config.session.redis !== undefined
    ? openRedis(config, config.session.redis, now, told, timers)
    : openHere(config, now, told)
}

type Told = StorageEvents & RevocationBounds

/** How long a revocation can matter: a token lives for so long, and a session that nobody may use any more. */
function revocationLife({ session, identity }: Config): Milliseconds {
  return Math.max(identity.maxTokenLife, Math.min(session.idleTimeout, session.maxAge))
}

function openHere(config: Config, now: Now, events: Told): Storage {
  const { session } = config
  const path = session.revocationFile
  const log = path === undefined ? undefined : new RevocationFile(path, now)
  return {
    revocations: new Revocations(now, revocationLife(config), log, events),
    state: createProcessState(now),
    usedAttempts: new MemoryUsedAttempts(now),
    usedDeliveries: new MemoryUsedAttempts(now),
    redis: undefined,
    store: (sealer) => new CookieStore(sealer),
    close: () => undefined,
  }
}

/** Connects to the Redis of a configuration, in the background. */
export function connectStore(
  { server, identity }: Pick<Config, 'server' | 'identity'>,
  redis: NonNullable<Config['session']['redis']>,
  onFault: (cause: unknown) => void,
): RedisLink {
  // Named after the cookie, so that two gateways on one Redis don't meet either.
  const { stem } = nameCookies(server.publicUrl.url, identity.issuer, identity.clientId)
  return connectRedis({
    address: redis.url,
    authority: redis.authority?.value,
    prefix: `trac-gateway:${stem}:`,
    onFault,
  })
}

function openRedis(
  config: Config,
  redis: NonNullable<Config['session']['redis']>,
  now: Now,
  events: Told,
  timers: Timers,
): Storage {
  const { session, identity } = config
  const link = connectStore(config, redis, events.onFault)
  const { idleTimeout, maxAge } = session
  const life = Math.max(identity.maxTokenLife, maxAge)
  const log = new RedisRevocationLog({ link, now, timers, life, onState: events.onStore })
  return {
    revocations: new Revocations(now, revocationLife(config), log, events),
    state: createProcessState(now, new RedisRenewalGate(link)),
    usedAttempts: new RedisUsedAttempts(link),
    usedDeliveries: new RedisUsedAttempts(link),
    redis: link,
    store: (sealer) => new RedisStore({ link, sealer, idleTimeout, maxAge, now, timers }),
    close() {
      log.close()
      link.close()
    },
  }
}
