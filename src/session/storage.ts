/** Where sessions and revocations are kept: in the cookie with a file or memory beside it, or in Redis for all replicas. */
import type { Config } from '../config/schema.js'
import type { Now } from '../core/clock.js'
import { nameCookies } from './cookies.js'
import { connectRedis } from './redis.js'
import type { RedisLink } from './redis.js'
import { createSharedLog } from './redis-revocations.js'
import { createRedisStore } from './redis-store.js'
import { createRevocationFile, createRevocations } from './revocations.js'
import { createSessionMemory } from './memory.js'
import type { SessionMemory } from './memory.js'
import type { Revocations } from './revocations.js'
import type { Sealer } from './seal.js'
import { createCookieStore } from './store.js'
import type { SessionStore } from './store.js'

/** What outlives a request, and perhaps the process. */
export interface Storage {
  readonly revocations: Revocations
  readonly memory: SessionMemory
  /** Counts for all replicas; undefined: each process for itself. */
  readonly redis: RedisLink | undefined
  store(sealer: Sealer): SessionStore
  close(): void
}

/** What is heard of Redis. */
export interface StorageEvents {
  readonly onStore: (reached: boolean) => void
  readonly onFault: (cause: unknown) => void
}

/** Opens it. A revocation file that can't be read throws; a Redis that can't be reached is waited for. */
export function openStorage(config: Config, now: Now, events: StorageEvents): Storage {
  const { session, identity, server } = config
  const { maxTokenLife } = identity
  const memory = createSessionMemory(now)
  if (session.store === 'cookie' || session.redis === undefined) {
    const path = session.revocationFile
    const log = path === undefined ? undefined : createRevocationFile(path, now)
    return {
      revocations: createRevocations(now, maxTokenLife, log),
      memory,
      redis: undefined,
      store: createCookieStore,
      close: () => undefined,
    }
  }
  // Named after the cookie, so that two gateways on one Redis don't meet either.
  const { stem } = nameCookies(server.publicUrl.url, identity.issuer, identity.clientId)
  const link = connectRedis({
    address: session.redis.url,
    authority: session.redis.authority?.value,
    prefix: `trac-gateway:${stem}:`,
    onFault: events.onFault,
  })
  const life = Math.max(maxTokenLife, session.maxAge)
  const log = createSharedLog({ link, now, life, onState: events.onStore })
  const revocations = createRevocations(now, maxTokenLife, log)
  const { idleTimeout, maxAge } = session
  return {
    revocations,
    memory,
    redis: link,
    store: (sealer) => createRedisStore({ link, sealer, idleTimeout, maxAge, now }),
    close() {
      log.close()
      link.close()
    },
  }
}
