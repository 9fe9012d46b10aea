/**
 * Locks in Redis that end by themselves. By hand: libraries such as Redlock ask a majority of independent servers,
 * which nobody has here. One key with an owner is enough, because what must not be lost is fenced by the version of the
 * record: a lock that ran out under its owner costs an exchange at the provider, never a session.
 */
import { randomText } from '../core/random.js'
import type { Milliseconds, Timers } from '../core/clock.js'
import type { RedisLink } from './redis-link.js'

/** A lock whose owner was killed is free after this. */
export const lockLife: Milliseconds = 6000
/** An owner that lives keeps its lock alive so often: two of three may fail. */
const keepEvery: Milliseconds = 2000

/** Gives a lock back; never rejects, since the lock ends anyway. */
export type Release = () => Promise<void>

/** Locks a key, for as long as this process lives or until it is given back; undefined if somebody else has it. */
export async function acquireLock(
  link: RedisLink,
  timers: Timers,
  key: string,
): Promise<Release | undefined> {
  const owner = randomText(16)
  const answer = await link.ask((client) => client.set(key, owner, 'PX', lockLife, 'NX'))
  if (answer !== 'OK') return undefined
  const keep = () => {
    // Redis may be away for a moment; a lock that ran out meanwhile is another's, and is not taken from it.
    link.ask((client) => client.extendLock(key, owner, lockLife)).catch(() => 0)
  }
  const timer = timers.setInterval(keep, keepEvery)
  timer.unref()
  return async () => {
    timers.clearInterval(timer)
    await link.ask((client) => client.releaseLock(key, owner)).catch(() => 0)
  }
}
