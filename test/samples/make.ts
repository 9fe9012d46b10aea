/**
 * Writes down what this release leaves behind in browsers, files and Redis: `node .build/test/samples/make.js FOLDER`.
 * It is run once for each release, before its formats change; test/flow/samples.test.ts reads the result for good.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { realTimers } from '../../src/core/clock.js'
import type { Profile } from '../../src/core/identity.js'
import { redisAddress } from '../../src/core/redis-address.js'
import { CookieStore } from '../../src/session/cookie-store.js'
import { nameCookies } from '../../src/session/cookies.js'
import { connectRedis } from '../../src/session/redis-link.js'
import { RedisRevocationLog } from '../../src/session/redis-revocation-log.js'
import { RedisStore } from '../../src/session/redis-store.js'
import { RevocationFile } from '../../src/session/revocation-file.js'
import type { RevocationLog } from '../../src/session/revocation-log.js'
import { Revocations } from '../../src/session/revocations.js'
import { createSealer } from '../../src/session/sealer.js'
import type { SessionRecord } from '../../src/session/session-record.js'
import { writeRecord } from '../../src/session/session-record.js'
import type { SessionStore } from '../../src/session/session-store.js'
import { identifiersOf } from '../../src/session/token-identifiers.js'
import { LoginStates } from '../../src/sign-in/login-state.js'
import { secretOf } from '../fixtures/config.js'
import { startRedis } from '../fixtures/redis.js'

/** When all of it was written. */
const at = Date.UTC(2026, 10, 26, 12, 0, 0)
const now = () => at
const hour = 3_600_000
const life = 24 * hour
const limits = { idleTimeout: 8 * hour, maxAge: 7 * 24 * hour }
/** The gateway that wrote it. */
const context = {
  secrets: [secretOf('s')],
  publicUrl: 'https://trac.example.edu/trac',
  issuer: 'https://idp.example.edu',
  clientId: 'trac',
}
const sealer = createSealer('session', context)
const names = nameCookies(context.publicUrl, context.issuer, context.clientId)

/** Who has what: each is a session and the identifiers of its sign-in. */
const people = {
  /** Goes on. */
  alice: { sid: 'sid-alice', auth_time: at / 1000 - 60, jti: 'jti-alice' },
  /** Goes on, at a provider that names no sign-in. */
  nora: { jti: 'jti-nora' },
  /** Signed out. */
  bob: { sid: 'sid-bob', auth_time: at / 1000 - 120, origin_jti: 'origin-bob', jti: 'jti-bob' },
  /** Was revoked by name. */
  carl: { sid: 'sid-carl', auth_time: at / 1000 - 180, jti: 'jti-carl' },
  /** Was ended by the provider, by `sub`. */
  dora: { sid: 'sid-dora', auth_time: at / 1000 - 240, jti: 'jti-dora' },
  /** Was ended by the provider, by `sid`. */
  emil: { sid: 'sid-emil', auth_time: at / 1000 - 300, jti: 'jti-emil' },
} as const
type Name = keyof typeof people

const claimsOf = (name: Name) => ({ sub: `sub-${name}`, iat: at / 1000 - 30, ...people[name] })

function recordOf(name: Name, id: string): SessionRecord {
  const profile: Profile = {
    subject: `sub-${name}`,
    username: name,
    email: `${name}@example.edu`,
    emailVerified: true,
    name: undefined,
    groups: [],
    permissions: [],
  }
  const identifiers = identifiersOf(context.issuer, claimsOf(name))
  const { ids, issuedAt, authenticatedAt = issuedAt } = identifiers
  return {
    id,
    version: 1,
    profile,
    tokenIds: ids,
    authenticatedAt,
    issuedAt,
    begunAt: at - 45_000,
    startedAt: at - 30_000,
    usedAt: at - 30_000,
    expiresAt: at + hour,
    renewAt: at + hour / 2,
    refreshToken: `refresh-${name}`,
    accessToken: undefined,
  }
}

/** Writes everybody's session, and the sign-outs of those who left. */
async function live(store: SessionStore, log: RevocationLog) {
  const revocations = new Revocations(now, life, log)
  const cookies: Record<string, string> = {}
  for (const name of Object.keys(people) as Name[]) {
    const record = recordOf(name, store.createId())
    cookies[name] = (await store.write(record, false)) ?? ''
    if (name !== 'bob') continue
    await revocations.endId(record.id, record.startedAt + limits.maxAge)
    await revocations.endSignIn(identifiersOf(context.issuer, claimsOf(name)))
  }
  await revocations.endUser('carl', at)
  await revocations.endByProvider(context.issuer, { subject: 'sub-dora' }, at)
  await revocations.endByProvider(context.issuer, { sid: 'sid-emil' }, at)
  return cookies
}

async function inFile(folder: string) {
  const path = join(folder, 'revocations')
  rmSync(path, { force: true })
  return live(new CookieStore(sealer), new RevocationFile(path, now))
}

/** Every key of Redis, as it would have to be written again. */
async function inRedis(t: Test) {
  const redis = await startRedis(t)
  const prefix = `trac-gateway:${names.stem}:`
  const address = redisAddress.parse(redis.url)
  if (address === undefined) throw new Error('an address of another form')
  const link = connectRedis({ address, authority: undefined, prefix, onFault: console.error })
  const store = new RedisStore({ link, sealer, ...limits, now, timers: realTimers })
  const onState = () => undefined
  const log = new RedisRevocationLog({
    link,
    now,
    timers: realTimers,
    life: limits.maxAge,
    onState,
  })
  const cookies = await live(store, log)
  const begun = await store.beginOnce('state-of-alice', () => Promise.resolve(cookies['alice']!))
  if (begun !== cookies['alice']) throw new Error('another session')
  const keys: object[] = []
  for (const key of (await redis.client.keys('*')).toSorted()) {
    const type = await redis.client.type(key)
    keys.push({ key, type, value: await valueOf(redis.client, key, type) })
  }
  log.close()
  link.close()
  return { cookies, keys }
}

type Client = Awaited<ReturnType<typeof startRedis>>['client']

async function valueOf(client: Client, key: string, type: string): Promise<unknown> {
  if (type === 'hash') return client.hgetall(key)
  if (type === 'string') return client.get(key)
  if (type !== 'stream') throw new Error(`a key of type ${type}`)
  const entries = await client.xrange(key, '-', '+')
  return entries.map(([, fields]) => fields)
}

/** A sign-in that was begun and is still at the provider. */
async function attempt() {
  const revocations = new Revocations(now, life, undefined)
  const sealing = createSealer('login', context)
  const states = new LoginStates({
    sealer: sealing,
    names,
    issuer: context.issuer,
    now,
    revocations,
  })
  const begun = await states.start('/trac/ticket/42', [])
  const [cookie = ''] = begun.cookies.at(-1)!.split(';')
  return { cookie, state: begun.attempt.state }
}

const folder = process.argv[2] ?? ''
mkdirSync(folder, { recursive: true })
const after: (() => unknown)[] = []
const t = { teardown: (work: () => unknown) => void after.unshift(work) } as unknown as Test
const cookies = await inFile(folder)
const samples = {
  release: (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version,
  at,
  context,
  /** A record as it is sealed: what older processes read must keep its meaning. */
  record: writeRecord(recordOf('alice', 'an-id')),
  claims: Object.fromEntries((Object.keys(people) as Name[]).map((name) => [name, claimsOf(name)])),
  cookies,
  attempt: await attempt(),
  redis: await inRedis(t),
}
writeFileSync(join(folder, 'samples.json'), `${JSON.stringify(samples, undefined, 2)}\n`)
for (const work of after) await work()
