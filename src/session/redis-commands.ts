/** What Redis does in one step: scripts, as typed commands of the client. */
import type { Cluster, Redis, Result } from 'ioredis'
import type { Milliseconds } from '../core/clock.js'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    /** Writes the first version of a session. */
    createSession(
      key: string,
      version: number,
      value: string,
      life: Milliseconds,
    ): Result<number, Context>
    /** Writes over an older version only; 0 if there is none. */
    replaceSession(
      key: string,
      version: number,
      value: string,
      life: Milliseconds,
    ): Result<number, Context>
    /** Removes a session unless it is newer; 0 if it is. */
    removeSession(key: string, version: number): Result<number, Context>
    /** The time of the server that has this key, in microseconds. */
    serverTime(key: string): Result<number, Context>
    /** Gives a lock back if it is still its owner's. */
    releaseLock(key: string, owner: string): Result<number, Context>
  }
}

const scripts = {
  createSession: `
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`,
  // A session that was ended does not come back, and who lost a race overwrites nothing.
  replaceSession: `
local stored = redis.call('HGET', KEYS[1], 'v')
if not stored or tonumber(stored) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`,
  removeSession: `
local stored = redis.call('HGET', KEYS[1], 'v')
if stored and tonumber(stored) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
return 1`,
  serverTime: `
local time = redis.call('TIME')
return time[1] * 1000000 + time[2]`,
  releaseLock: `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`,
}

/** Teaches a client the commands above. */
export function defineCommands(client: Redis | Cluster): void {
  for (const [name, lua] of Object.entries(scripts)) {
    client.defineCommand(name, { numberOfKeys: 1, lua })
  }
}
