/** The session store: whether Redis is there, over TLS, fast, and lets this user do all that sessions need. */
import type { Milliseconds } from '../../core/clock.js'
import { randomText } from '../../core/random.js'
import { connectStore } from '../../session/storage.js'
import type { RedisClient, RedisLink } from '../../session/redis-link.js'
import { bad, good, notTried, wordsOf } from './row.js'
import type { Row } from './row.js'
import type { Site } from './site.js'

/** Scratch keys end by themselves, should a command to delete them be refused. */
const scratchLife: Milliseconds = 10_000

/** What this user must be allowed; as in `deploy/docs/guides/redis.md`. */
export const wantedRules = '~trac-gateway:* &trac-gateway:* +@all -@dangerous -@admin +info'

/** Oldest release with everything that is used: streams, scripts, and users with rules of their own. */
const minMajor = 6

/** One thing that is done there, on a scratch key. */
type Trial = readonly [
  what: string,
  work: (client: RedisClient, key: string, channel: string) => Promise<unknown>,
]

/** The commands that serve, as `session/` and `names/` use them. */
const trials: readonly Trial[] = [
  ['sessions', (client, key) => client.createSession(key, 1, 'scratch', scratchLife)],
  ['sessions', (client, key) => client.replaceSession(key, 2, 'scratch', scratchLife)],
  ['sessions', (client, key) => client.hget(key, 'd')],
  ['sessions', (client, key) => client.removeSession(key, 3)],
  ['locks', (client, key) => client.set(key, 'scratch', 'PX', scratchLife, 'NX')],
  ['locks', (client, key) => client.extendLock(key, 'scratch', scratchLife)],
  ['locks', (client, key) => client.releaseLock(key, 'scratch')],
  ['revocations', (client, key) => client.xadd(key, 'MINID', '~', '0', '*', 'e', 'scratch')],
  ['revocations', (client, key) => client.xrange(key, '-', '+', 'COUNT', 1)],
  ['revocations', (client, key) => client.pexpire(key, scratchLife)],
  ['revocations', (client, _, channel) => client.publish(channel, '1')],
  ['revocations', (client, key) => client.serverTime(key)],
  ['revocations', (client, key) => client.del(key)],
  ['rate limits', (client, key) => client.countRequest(key, scratchLife)],
  ['rate limits', (client, key) => client.del(key)],
  ['names', (client, key) => client.hscan(key, '0', 'MATCH', 'n *', 'COUNT', 1)],
  ['names', (client, key) => client.hmget(key, 'changes', 'count')],
]

/** Why a command failed, by what Redis said. */
const refusalOf = (fault: unknown): string => {
  const words = wordsOf(fault)
  return /^(?:NOPERM|NOAUTH|WRONGPASS)/.test(words) ? words : `failed: ${words}`
}

async function aclRow(link: RedisLink): Promise<Row> {
  const check = 'store.acl'
  const refused: string[] = []
  const key = `${link.prefix}doctor:${randomText(12)}`
  for (const [what, work] of trials) {
    try {
      await link.ask((client) => work(client, key, `${link.prefix}doctor`))
    } catch (fault) {
      refused.push(`${what}: ${refusalOf(fault)}`)
    }
  }
  if (refused.length === 0) return good(check, 'every command that sessions need is allowed')
  const found = [...new Set(refused)].join('; ')
  return bad(check, found, wantedRules, `ACL SETUSER <this user> ${wantedRules}`)
}

async function versionRow(link: RedisLink): Promise<Row> {
  const check = 'store.version'
  try {
    const info = await link.ask((client) => client.info('server'))
    const version = /(?:valkey|redis)_version:(\S+)/.exec(info)?.[1] ?? 'unknown'
    if (Number.parseInt(version, 10) >= minMajor) return good(check, `version ${version}`)
    return bad(check, `version ${version}`, `version ${minMajor} or later`, 'upgrade Redis')
  } catch (fault) {
    return notTried(check, `INFO is refused (${wordsOf(fault)}): allow +info`)
  }
}

async function roundTripRow(link: RedisLink, { app }: Site): Promise<Row> {
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    const begun = app.timers.monotonic()
    await link.ask((client) => client.serverTime(`${link.prefix}doctor`))
    times.push(app.timers.monotonic() - begun)
  }
  const middle = times.toSorted((a, b) => a - b)[2] ?? 0
  const text = `a round trip takes ${middle.toFixed(1)} ms`
  const limit = 50
  return middle < limit
    ? good('store.round-trip', text)
    : bad(
        'store.round-trip',
        text,
        `less than ${limit} ms: each request with a cookie may wait for one`,
        'put Redis nearer to the gateway',
      )
}

/** Whether it answers, and why not. */
function reached(link: RedisLink, fault: () => unknown): Promise<Row | undefined> {
  return link
    .ask((client) => client.serverTime(`${link.prefix}doctor`))
    .then(
      () => undefined,
      (error: unknown) => {
        const words = wordsOf(fault() ?? error)
        const isRefused = /^(?:NOPERM|NOAUTH|WRONGPASS)/.test(wordsOf(error))
        // It is there: the commands are looked at one by one.
        if (wordsOf(error).startsWith('NOPERM')) return undefined
        return bad(
          'store.reach',
          isRefused ? wordsOf(error) : `Redis can’t be reached: ${words}`,
          'a Redis that answers',
          isRefused
            ? 'correct user and password in session.redis.url'
            : 'start Redis, or correct session.redis.url (rediss:// where it speaks TLS)',
        )
      },
    )
}

/** Where sessions are kept. */
export async function checkStore(site: Site): Promise<readonly Row[]> {
  const { session } = site.examined
  const { redis } = session
  if (session.store !== 'redis' || redis === undefined) {
    return [good('store', 'sessions are in the cookie: nothing else is needed')]
  }
  let heard: unknown
  const link = connectStore(site.config, redis, (cause) => {
    heard ??= cause
  })
  try {
    const fault = await reached(link, () => heard)
    if (fault !== undefined) return [fault]
    const where = redis.url.hosts.map(({ host, port }) => `${host}:${port}`).join(', ')
    const tls = redis.url.tls ? 'over TLS' : 'without TLS: let nobody else be on that network'
    const rows = [good('store.reach', `Redis answers at ${where}, ${tls}`), await versionRow(link)]
    const acl = await aclRow(link)
    return acl.outcome === 'good' ? [...rows, acl, await roundTripRow(link, site)] : [...rows, acl]
  } finally {
    link.close()
  }
}
