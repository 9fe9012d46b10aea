/**
 * Locks in Redis that end by themselves. By hand: libraries such as Redlock ask a majority of independent servers,
 * which nobody has here. One key with an owner is enough, because what must not be lost is fenced by the version of the
 * record: a lock that ran out under its owner costs an exchange at the provider, never a session.
 */
import { randomText } from '../core/random.js'
import type { Milliseconds } from '../core/clock.js'
import type { RedisLink } from './redis-link.js'

/** A lock outlives every time limit of an exchange at the provider (10 s a request, two of them). */
export const lockLife: Milliseconds = 30_000

/** Gives a lock back; never rejects, since the lock ends anyway. */
export type Release = () => Promise<void>

/** Locks a key; undefined if somebody else has it. */
export async function acquireLock(link: RedisLink, key: string): Promise<Release | undefined> {
  const owner = randomText(16, 'base64url')
  const answer = await link.ask((client) => client.set(key, owner, 'PX', lockLife, 'NX'))
  if (answer !== 'OK') return undefined
  return async () => {
    await link.ask((client) => client.releaseLock(key, owner)).catch(() => 0)
  }
}
