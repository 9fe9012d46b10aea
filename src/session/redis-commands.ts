/** What Redis does in one step: scripts, as typed commands of the client. */
import type { Cluster, Redis, Result } from 'ioredis'
import { jitterPart } from '../core/back-off.js'
import type { Milliseconds } from '../core/clock.js'
import { downAfter, downWithin, maxWait, minWait, probeLife, probePause } from './renewal-gate.js'

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
    /** Keeps a personal token of an owner; answers `kept`, `many` or `named`. */
    addToken(
      key: string,
      id: string,
      token: string,
      name: string,
      expiresAt: Milliseconds,
      owner: string,
      provenAt: Milliseconds,
      maxEach: number,
      now: Milliseconds,
    ): Result<'kept' | 'many' | 'named', Context>
    /** Removes a personal token; 0 if there is none. */
    removeToken(key: string, id: string): Result<number, Context>
    /** Removes all personal tokens of an owner; answers their ids. */
    removeTokens(key: string): Result<readonly string[], Context>
    /** Notes that an owner of personal tokens proved who they are; without `owner`, with nothing new. */
    proveOwner(
      key: string,
      at: Milliseconds,
      owner: string,
      step: Milliseconds,
    ): Result<number, Context>
    /** Notes the hour in which a personal token was used, if it is still there. */
    noteTokenUse(key: string, id: string, hour: number): Result<number, Context>
    /** Gives a lock back if it is still its owner's. */
    releaseLock(key: string, owner: string): Result<number, Context>
    /** Lets a lock live on if it is still its owner's; 0 if it is not. */
    extendLock(key: string, owner: string, life: Milliseconds): Result<number, Context>
    /** As {@link RenewalGate.enter}. */
    enterRenewal(gate: string, wait: string, name: string): Result<Milliseconds, Context>
    /** As {@link RenewalGate.failed}; `asked` is 0 where nothing was asked. */
    failRenewal(
      gate: string,
      wait: string,
      name: string,
      kind: string,
      asked: Milliseconds,
      jitter: number,
    ): Result<Milliseconds, Context>
    /** As {@link RenewalGate.answered}. */
    answerRenewal(gate: string, wait: string): Result<number, Context>
    /** Counts a request; the count, and how long it stands. */
    countRequest(key: string, per: Milliseconds): Result<[number, Milliseconds], Context>
    /** The count as it is, and how long it stands. */
    readCount(key: string): Result<[number, Milliseconds], Context>
  }
}

/** The time of Redis in milliseconds, in Lua. */
const now = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/** A gate or a wait that nobody touches is forgotten after this, on top of what it waits for. */
const forgottenAfter: Milliseconds = 600_000

/** Scripts that work on one key. */
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
  // A hash for each owner: `owner` and `proven`, `t <id>` each token, `u <id>` the hour in which it was last used.
  addToken: `
local now, last, count = tonumber(ARGV[8]), tonumber(ARGV[4]), 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 2) == 't ' then
    local one = cjson.decode(fields[i + 1])
    if one.exp <= now then redis.call('HDEL', KEYS[1], fields[i], 'u ' .. one.id)
    elseif one.name == ARGV[3] then return 'named'
    else
      count = count + 1
      last = math.max(last, one.exp)
    end
  end
end
if count >= tonumber(ARGV[7]) then return 'many' end
redis.call('HSET', KEYS[1], 't ' .. ARGV[1], ARGV[2], 'owner', ARGV[5], 'proven', ARGV[6])
redis.call('PEXPIREAT', KEYS[1], last)
return 'kept'`,
  removeToken: `
local removed = redis.call('HDEL', KEYS[1], 't ' .. ARGV[1])
redis.call('HDEL', KEYS[1], 'u ' .. ARGV[1])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 't ' then return removed end
end
redis.call('DEL', KEYS[1])
return removed`,
  removeTokens: `
local ids = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 't ' then table.insert(ids, string.sub(field, 3)) end
end
redis.call('DEL', KEYS[1])
return ids`,
  proveOwner: `
local known = redis.call('HMGET', KEYS[1], 'owner', 'proven')
if not known[1] or tonumber(ARGV[1]) < tonumber(known[2]) then return 0 end
local isSame = ARGV[2] == '' or ARGV[2] == known[1]
if isSame and ARGV[1] - known[2] < tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], 'proven', ARGV[1])
if not isSame then redis.call('HSET', KEYS[1], 'owner', ARGV[2]) end
return 1`,
  noteTokenUse: `
if redis.call('HEXISTS', KEYS[1], 't ' .. ARGV[1]) == 0 then return 0 end
return redis.call('HSET', KEYS[1], 'u ' .. ARGV[1], ARGV[2])`,
  releaseLock: `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`,
  extendLock: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`,
  countRequest: `
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}`,
  readCount: `
return {tonumber(redis.call('GET', KEYS[1]) or 0), math.max(0, redis.call('PTTL', KEYS[1]))}`,
}

/** Scripts that work on the gate of all renewals and on the wait of one session. */
const gateScripts = {
  enterRenewal: `${now}
local wait = redis.call('HMGET', KEYS[2], 'until', 'at', 'down')
local gate = redis.call('HMGET', KEYS[1], 'down', 'probe', 'next', 'answered')
local free = tonumber(wait[1] or 0)
if wait[3] == '1' and tonumber(gate[4] or 0) >= tonumber(wait[2]) then
  free = math.min(free, tonumber(wait[2]) + ${minWait})
end
if now < free then return free - now end
if gate[1] ~= '1' then return 0 end
free = math.max(tonumber(gate[2] or 0), tonumber(gate[3] or 0))
if now < free then return math.min(free - now, ${minWait}) end
redis.call('HSET', KEYS[1], 'prober', ARGV[1], 'probe', now + ${probeLife})
return 0`,
  failRenewal: `${now}
local failures = redis.call('HINCRBY', KEYS[2], 'failures', 1)
local wait = tonumber(ARGV[3])
if wait == 0 then
  wait = math.floor(${minWait} * 2 ^ (failures - 1) * (1 + ${jitterPart} * tonumber(ARGV[4])))
  wait = math.min(wait, ${maxWait})
end
local down = ARGV[2] == 'down' and 1 or 0
redis.call('HSET', KEYS[2], 'until', now + wait, 'at', now, 'down', down)
redis.call('PEXPIRE', KEYS[2], wait + ${forgottenAfter})
if ARGV[2] == 'unverified' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'answered', now)
end
if down == 1 then
  local missed, count = ARGV[1] .. ' ' .. now, 1
  for name, at in string.gmatch(redis.call('HGET', KEYS[1], 'missed') or '', '(%S+) (%S+)') do
    if name ~= ARGV[1] and now - at < ${downWithin} and count < ${downAfter} then
      missed, count = missed .. ' ' .. name .. ' ' .. at, count + 1
    end
  end
  redis.call('HSET', KEYS[1], 'missed', missed)
  if count == ${downAfter} then redis.call('HSET', KEYS[1], 'down', 1) end
end
if redis.call('HGET', KEYS[1], 'prober') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'prober', 'probe')
end
redis.call('HSET', KEYS[1], 'next', now + ${probePause})
redis.call('PEXPIRE', KEYS[1], ${forgottenAfter})
return wait`,
  // Where nothing failed lately there is no gate, and nothing is written.
  answerRenewal: `${now}
redis.call('DEL', KEYS[2])
if redis.call('DEL', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'answered', now)
  redis.call('PEXPIRE', KEYS[1], ${forgottenAfter})
end
return 1`,
}

/** Teaches a client the commands above. */
export function defineCommands(client: Redis | Cluster): void {
  for (const [name, lua] of Object.entries(scripts)) {
    client.defineCommand(name, { numberOfKeys: 1, lua })
  }
  for (const [name, lua] of Object.entries(gateScripts)) {
    client.defineCommand(name, { numberOfKeys: 2, lua })
  }
}
