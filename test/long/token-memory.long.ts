/** What a known token costs in memory: bytes of the heap for each, with its person, and no time. */
import { randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { ask } from '../fixtures/wire.js'

t.setTimeout(300_000)

/** Measured: 1,720. Each is of another person: name, address and full name are texts of their own. */
const maxBytes = 2048
const people = 4800
const warmUp = 1600

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heapUsed(): number {
  for (let i = 0; i < 4; i++) collect()
  return process.memoryUsage().heapUsed
}

await t.test('a known token takes no more than 2 KiB', async (t) => {
  const { gateway, provider, upstream } = await stage(t, {
    provider: 'cognito',
    upstream: true,
    logLevel: 'silent',
    overlay: { identity: { username: {} } },
  })
  // Made before, so that what the provider keeps of them is not counted.
  const tokens: string[] = []
  for (let i = 0; i < warmUp + people; i++) {
    const subject = randomUUID()
    tokens.push(
      await provider.mint({
        sub: subject,
        'cognito:username': subject,
        'cognito:groups': ['students'],
        email: `person-${i}@example.edu`,
        email_verified: true,
        name: `Person Number ${i}`,
      }),
    )
  }
  const bring = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i += 16) {
      const answers = await Promise.all(
        tokens
          .slice(i, Math.min(i + 16, to))
          .map((token) => ask(gateway, 'GET /trac/wiki', [`Authorization: Bearer ${token}`])),
      )
      if (answers.some(({ status }) => status !== 200)) throw new Error('a good token is refused')
      upstream.received.length = 0
    }
  }
  await bring(0, warmUp)
  const before = heapUsed()
  await bring(warmUp, warmUp + people)
  const bytes = (heapUsed() - before) / people
  t.comment(`${bytes.toFixed(0)} bytes`)
  t.ok(bytes <= maxBytes, `${bytes.toFixed(0)} bytes`)
})
