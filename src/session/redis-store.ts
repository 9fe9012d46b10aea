/** Sessions in Redis or Valkey, behind a handle of 256 bits that only the browser has (deploy/docs/guides/redis.md). */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { GatewayError } from '../core/errors.js'
import { fingerprint } from '../core/fingerprint.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { RedisLink } from './redis.js'
import type { Sealer } from './seal.js'
import type { SessionRecord, SessionStore } from './store.js'

/** What the store is built with. */
export interface RedisStoreOptions {
  readonly link: RedisLink
  readonly sealer: Sealer
  readonly idleTimeout: Milliseconds
  readonly maxAge: Milliseconds
  readonly now: Now
}

/** A lock outlives every time limit of an exchange at the provider (10 s a request, two of them). */
const lockLife: Milliseconds = 30_000
/** How often one who waits for another's exchange looks, at first and at last. */
const lookLeast: Milliseconds = 40
const lookMost: Milliseconds = 400
/** For so long whoever sends a sign-in's callback again gets the same session. */
const doneLife: Milliseconds = 60_000
/** For so long a renewal that is done at the provider is tried to be written: its lock lasts a little longer. */
const insistFor: Milliseconds = 20_000
const insistEvery: Milliseconds = 250

const handleForm = /^[A-Za-z0-9_-]{43}$/

/** Written only over an older version: a session that was ended does not come back, and no loser overwrites. */
const replaceScript = `
local stored = redis.call('HGET', KEYS[1], 'v')
if not stored or tonumber(stored) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`
const withdrawScript = `
local stored = redis.call('HGET', KEYS[1], 'v')
if stored and tonumber(stored) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
return 1`
const unlockScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`

/** Builds the store. A value is sealed as in a cookie and names its own handle: neither reading nor swapping values helps anybody. */
export function createRedisStore(options: RedisStoreOptions): SessionStore {
  const { link, sealer, now } = options
  // The handle itself is never stored: who reads the keys has no cookie.
  const keyOf = (kind: 'session' | 'lock' | 'begun' | 'beginning', handle: string): string =>
    `${link.prefix}${kind}:${fingerprint(handle, 'base64url')}`
  /** Until whichever limit comes first. */
  const lifeOf = ({ start, seen }: SessionRecord): Milliseconds => {
    const end = Math.min(start * 1000 + options.maxAge, seen * 1000 + options.idleTimeout)
    return Math.max(1000, end - now())
  }
  const versionOf = async (handle: string): Promise<number | undefined> => {
    const text = await link.ask((client) => client.hget(keyOf('session', handle), 'v'))
    return text === null ? undefined : Number(text)
  }
  const create = async (record: SessionRecord): Promise<boolean> => {
    const key = keyOf('session', record.id)
    const value = await sealer.seal(record)
    await link.ask((client) =>
      client.eval(
        `redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2]) redis.call('PEXPIRE', KEYS[1], ARGV[3]) return 1`,
        1,
        key,
        record.v,
        value,
        lifeOf(record),
      ),
    )
    return true
  }
  const replace = async (record: SessionRecord): Promise<boolean> => {
    const value = await sealer.seal(record)
    const done = await link.ask((client) =>
      client.eval(replaceScript, 1, keyOf('session', record.id), record.v, value, lifeOf(record)),
    )
    return done === 1
  }

  /** Takes a lock that ends by itself; undefined if somebody has it, else what gives it back. */
  const lock = async (key: string): Promise<(() => Promise<void>) | undefined> => {
    const owner = randomBytes(16).toString('base64url')
    const taken = await link.ask((client) => client.set(key, owner, 'PX', lockLife, 'NX'))
    if (taken !== 'OK') return undefined
    return async () => {
      await link.ask((client) => client.eval(unlockScript, 1, key, owner)).catch(() => 0)
    }
  }

  const begunAs = async (name: string): Promise<string | undefined> => {
    const sealed = await link.ask((client) => client.get(keyOf('begun', name)))
    const opened = sealed === null ? undefined : await sealer.open(sealed)
    return (opened?.value as { handle: string } | undefined)?.handle
  }

  return {
    shared: true,
    copyLife: 5000,
    createId: () => randomBytes(32).toString('base64url'),

    async open(handle) {
      if (!handleForm.test(handle)) return undefined
      const sealed = await link.ask((client) => client.hget(keyOf('session', handle), 'd'))
      const opened = sealed === null ? undefined : await sealer.open(sealed)
      if (opened === undefined) return undefined
      const record = opened.value as SessionRecord
      return record.id === handle ? { record, stale: opened.stale } : undefined
    },

    async write(record, insist) {
      const until = performance.now() + (insist ? insistFor : 0)
      for (;;) {
        try {
          const written = record.v === 1 ? await create(record) : await replace(record)
          return written ? record.id : undefined
        } catch (error) {
          if (performance.now() >= until) throw error
          await pause(insistEvery)
        }
      }
    },

    async remove(record) {
      await link.ask((client) => client.del(keyOf('session', record.id)))
    },

    async withdraw(record) {
      const done = await link.ask((client) =>
        client.eval(withdrawScript, 1, keyOf('session', record.id), record.v),
      )
      return done === 1 ? 'removed' : 'changed'
    },

    async alone(record, waits, work) {
      const key = keyOf('lock', record.id)
      const until = performance.now() + lockLife + lookMost
      for (let look = lookLeast; ; look = Math.min(look * 2, lookMost)) {
        const release = await lock(key)
        if (release !== undefined) {
          try {
            // Somebody may have finished between our look and our lock.
            return (await versionOf(record.id)) === record.v ? await work() : 'changed'
          } finally {
            await release()
          }
        }
        if (!waits) return 'busy'
        if (performance.now() > until) throw new GatewayError('ERR_STORE_UNAVAILABLE')
        await pause(look)
        if ((await versionOf(record.id)) !== record.v) return 'changed'
      }
    },

    async once(name, begin) {
      const until = performance.now() + lockLife
      for (;;) {
        const before = await begunAs(name)
        if (before !== undefined) return before
        const release = await lock(keyOf('beginning', name))
        if (release !== undefined) {
          try {
            const meanwhile = await begunAs(name)
            if (meanwhile !== undefined) return meanwhile
            const handle = await begin()
            const sealed = await sealer.seal({ handle })
            await link.ask((client) => client.set(keyOf('begun', name), sealed, 'PX', doneLife))
            return handle
          } finally {
            await release()
          }
        }
        if (performance.now() > until) throw new GatewayError('ERR_STORE_UNAVAILABLE')
        await pause(lookLeast)
      }
    },
  }
}
