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
    /** Gives a name to whoever comes first; answers `held`, `new`, `full` or `many`, and what goes with it. */
    claimName(
      key: string,
      name: string,
      entry: string,
      person: string,
      maxNames: number,
      maxEach: number,
    ): Result<readonly [string, string?], Context>
    /** Takes a name from its owner, if that is still who has it. */
    releaseName(key: string, name: string, entry: string, person: string): Result<number, Context>
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
  // One hash holds all: `n <name>` its owner, `p <person>` their names, `count` how many, `changes` how many were taken.
  claimName: `
local held = redis.call('HGET', KEYS[1], 'n ' .. ARGV[1])
if held then return {'held', held} end
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '0')
if count >= tonumber(ARGV[4]) then return {'full'} end
local earlier = ''
if ARGV[3] ~= '' then
  earlier = redis.call('HGET', KEYS[1], 'p ' .. ARGV[3]) or ''
  local _, had = string.gsub(earlier, '\\n', '')
  if had >= tonumber(ARGV[5]) then return {'many', earlier} end
  redis.call('HSET', KEYS[1], 'p ' .. ARGV[3], earlier .. ARGV[1] .. '\\n')
end
redis.call('HSET', KEYS[1], 'n ' .. ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], 'count', 1)
return {'new', earlier}`,
  releaseName: `
if redis.call('HGET', KEYS[1], 'n ' .. ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'n ' .. ARGV[1])
redis.call('HINCRBY', KEYS[1], 'count', -1)
redis.call('HINCRBY', KEYS[1], 'changes', 1)
local left = ''
for one in string.gmatch(redis.call('HGET', KEYS[1], 'p ' .. ARGV[3]) or '', '[^\\n]+') do
  if one ~= ARGV[1] then left = left .. one .. '\\n' end
end
if left == '' then redis.call('HDEL', KEYS[1], 'p ' .. ARGV[3])
else redis.call('HSET', KEYS[1], 'p ' .. ARGV[3], left) end
return 1`,
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
