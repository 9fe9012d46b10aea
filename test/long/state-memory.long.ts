/** What a process holds of sessions, names and revocations that are kept in Redis: bytes of the heap for each, and no time. */
import { randomBytes, randomUUID } from 'node:crypto'
import { openNames } from '../../src/app/names.js'
import { realTimers } from '../../src/core/clock.js'
import { createLogger } from '../../src/observe/logger.js'
import { createMetrics } from '../../src/observe/metrics.js'
import { openStorage } from '../../src/session/storage.js'
import { loadText } from '../fixtures/config.js'
import { configurationOf, environmentOf } from '../fixtures/gateway.js'
import { heldHeap } from '../fixtures/heap.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { ask } from '../fixtures/wire.js'

t.setTimeout(300_000)

/** Measured: 4,650, 240 and 220. A session is counted with all else that is kept of its person. */
const most = { session: 5632, name: 300, revocation: 280 }
const warmUp = 1000

const { url } = await startRedis(t)
const redis = { url: { fromEnv: 'REDIS_URL' } }
const options = {
  issuer: 'https://idp.example.edu/realms/trac',
  clientId: 'trac',
  env: { REDIS_URL: url },
  overlay: { session: { store: 'redis', redis } },
}
const config = loadText(configurationOf(options, 1, 2), { env: environmentOf(options) }).config
const { issuer } = config.identity

/** Bytes that each of them leaves in the heap, after some that are not counted. */
async function weigh(kept: number, fill: (n: number) => Promise<unknown>): Promise<number> {
  const upTo = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, i) => fill(n + i)))
    }
  }
  await upTo(0, warmUp)
  const before = await heldHeap()
  await upTo(warmUp, warmUp + kept)
  return Math.round(((await heldHeap()) - before) / kept)
}

const nothing = () => undefined

await t.test('names and revocations', async (t) => {
  const events = { onStore: nothing, onFault: nothing, onDropped: nothing, onPlace: nothing }
  const storage = openStorage(config, Date.now, events)
  const logger = createLogger('silent', { write: nothing })
  const metrics = createMetrics({ version: '0' }, false)
  const parts = { logger, metrics, timers: realTimers, max: undefined }
  const names = openNames(config, storage.redis, parts)
  t.teardown(() => {
    names.close()
    storage.close()
  })
  const many = 40_000
  const name = await weigh(many, (n) =>
    names.take({ name: `person-${n}@example.edu`, issuer, subject: randomUUID() }),
  )
  t.comment(`a name: ${name} bytes`)
  t.ok(name <= most.name, `${name} bytes`)
  const revocation = await weigh(many, () =>
    storage.revocations.endTokens(issuer, [`jti ${randomUUID()}`]),
  )
  t.comment(`a revocation: ${revocation} bytes`)
  t.ok(revocation <= most.revocation, `${revocation} bytes`)
})

await t.test('an open session', async (t) => {
  const s = await stage(t, { ...options, upstream: true, logLevel: 'silent' })
  const { sessions } = s.gateway.gateway.services
  const now = s.clock()
  const session = await weigh(8000, async (n) => {
    const subject = randomUUID()
    const { value } = await sessions.begin({
      profile: {
        subject,
        username: `person-${n}`,
        email: `person-${n}@example.edu`,
        emailVerified: true,
        name: `Person Number ${n}`,
        groups: ['students'],
        permissions: [],
      },
      identifiers: {
        ...{ issuer, subject, issuedAt: now, namesSignIn: true },
        ids: [`origin_jti ${randomUUID()}`, `jti ${randomUUID()}`],
        authenticatedAt: undefined,
      },
      begunAt: now,
      // Cognito's are about as long.
      refreshToken: randomBytes(1300).toString('base64url'),
      accessToken: undefined,
      expiresAt: now + 3_600_000,
    })
    const cookie = `Cookie: ${s.names.session}=${value}`
    const { status } = await ask(s.gateway, 'GET /trac/wiki', [cookie])
    if (status !== 200) throw new Error(`a session is refused: ${status}`)
    s.upstream.received.length = 0
  })
  t.comment(`an open session: ${session} bytes`)
  t.ok(session <= most.session, `${session} bytes`)
})
