/** What happens to the gateways and to Redis during a soak, and which failures that explains. */
import { setTimeout as pause } from 'node:timers/promises'
import type { RedisServer } from '../fixtures/redis.js'
import { nothing } from './client.js'
import type { Disturbance, Failure, Records, What } from './records.js'
import type { Replicas } from './replicas.js'

/** Something that is to be done. Seconds since the start. */
export interface Planned {
  readonly at: number
  readonly what: What
}

/** The replica that is killed; the other one lives from the beginning to the end. */
const mortal = 1
/** How long Redis and the killed replica stay away, in seconds. */
const away = { redis: 3, kill: 10 }
/** Redis is back, but a replica may try again only a second later, and give up a command after another 1.5. */
const redisGrace = 2.5
/** What a killed replica held of a session is free after six seconds (deploy/docs/guides/redis.md). */
const lockGrace = 7
/** Nothing happens so close to the end, so that it is seen whether all works again. */
const quiet = 12

/** A round of a disturbance of each kind takes so long, in seconds. */
export const roundOf = (seconds: number): number => Math.min(300, Math.max(50, seconds / 12))

/** When what happens. A replica dies in the first third alone: after that its memory is looked at, for half an hour of an hour. */
export function planOf(seconds: number): Planned[] {
  const round = roundOf(seconds)
  const plan: Planned[] = []
  for (let n = 0; n * round < seconds; n++) {
    const at = (part: number) => (n + part) * round
    plan.push({ at: at(0.12), what: n % 2 === 0 ? 'reload' : 'refused reload' })
    plan.push({ at: at(0.3), what: 'redis' })
    if (n === 0 || at(0.6) < seconds / 3) plan.push({ at: at(0.6), what: 'kill' })
  }
  return plan.filter(({ at, what }) => at + (what === 'kill' ? away.kill : 0) + quiet < seconds)
}

/** How each is done; the result is until when it may be the cause of a failure. */
const doing: Readonly<
  Record<What, (records: Records, replicas: Replicas, redis: RedisServer) => Promise<number>>
> = {
  async reload(records, replicas) {
    await replicas.reload()
    return records.now()
  },
  async 'refused reload'(records, replicas) {
    await replicas.reloadBroken()
    return records.now()
  },
  async redis(records, _, redis) {
    await redis.stop()
    await pause(away.redis * 1000)
    await redis.start()
    return records.now() + redisGrace
  },
  async kill(records, replicas) {
    await replicas.kill(mortal)
    return records.now() + lockGrace
  },
}

/** Does all that is planned, one after the other, until it is told to end. */
export async function disturb(
  plan: readonly Planned[],
  records: Records,
  replicas: Replicas,
  redis: RedisServer,
  ended: AbortSignal,
): Promise<void> {
  for (const { at, what } of plan) {
    await pause(Math.max(0, at - records.now()) * 1000, undefined, { signal: ended }).catch(
      () => undefined,
    )
    if (ended.aborted) return
    if (what === 'kill') await replicas.busy(mortal)
    const replica = what === 'kill' ? mortal : undefined
    const disturbance: Disturbance = { what, replica, from: records.now(), until: Infinity }
    records.disturbances.push(disturbance)
    try {
      disturbance.until = await doing[what](records, replicas, redis)
    } catch (error) {
      disturbance.until = records.now()
      const words = error instanceof Error ? error.message : String(error)
      const span = { from: disturbance.from, to: disturbance.until }
      records.fail({ ...nothing, ...span, client: what, words })
    }
    // A replica that is away is started again before anything else happens.
    if (what === 'kill') {
      await pause(away.kill * 1000)
      await replicas.restart(mortal)
    }
  }
}

/**
 * Whether a disturbance is the cause of a failure. A reload never is.
 *
 * - Redis away: people with a cookie are told so (503 with Retry-After), and so is who signs in or redeems a refresh token.
 *   Whoever has a Bearer token notices nothing.
 * - A replica killed: its connections break, and a session that it was renewing is busy (503 with Retry-After).
 */
export function explains(disturbance: Disturbance, failure: Failure): boolean {
  const { what, replica, from, until } = disturbance
  if (failure.to < from || failure.from > until) return false
  const isBusy = failure.status === 503 && failure.retryAfter && failure.code === 'ERR_SESSION_BUSY'
  if (what === 'redis') {
    const isAway = failure.status === 503 && failure.retryAfter
    return !failure.isBearer && (isBusy || (isAway && failure.code === 'ERR_STORE_UNAVAILABLE'))
  }
  // Later ones find another replica.
  const isCut = failure.status === 0 && failure.replica === replica && failure.from <= from
  return what === 'kill' && (isBusy || isCut)
}

/** Each failure with what caused it, or undefined. */
export function causesOf({
  failures,
  disturbances,
}: Records): Map<Failure, Disturbance | undefined> {
  return new Map(
    failures.map((failure) => [failure, disturbances.find((one) => explains(one, failure))]),
  )
}
