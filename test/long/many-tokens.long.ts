/** A million different tokens of different people: what is kept of them is bounded, so the gateway's memory is flat. */
import { randomUUID } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { startGatewayProcess } from '../fixtures/process.js'
import { createScriptedCurveKey } from '../fixtures/scripted-keys.js'
import { stage } from '../fixtures/stage.js'
import { Wire } from '../fixtures/wire.js'

t.setTimeout(3_600_000)

const tokens = Number(process.env['MANY_TOKENS'] ?? '1000000')
/** More than all that the gateway keeps of tokens. */
const warmUp = 50_000
const looks = 10
const connections = 16
/** By how much what is held may differ from the first look. */
const maxGrowth = 1.05

const mebibyte = 1024 * 1024

await t.test('a million tokens leave nothing behind', async (t) => {
  const { settings, provider, upstream } = await stage(t, {
    provider: 'scripted',
    upstream: true,
    answer: (_request, response) => response.setHeader('Content-Length', '2').end('ok'),
    gateway: false,
  })
  // Signing takes a tenth of what it takes with RSA.
  provider.keys = [await createScriptedCurveKey('curve')]
  const gateway = await startGatewayProcess(t, {
    ...settings,
    overlay: {
      ...settings.overlay,
      identity: { algorithms: ['ES256'] },
      log: { level: 'error' },
    },
  })
  const { host } = new URL(gateway.url)
  let made = 0
  const requestOf = (person: number): string => {
    const subject = randomUUID()
    const token = provider.sign('access', {
      sub: subject,
      username: subject,
      jti: randomUUID(),
      email: `person-${person}@example.edu`,
    })
    return `GET /trac/wiki HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n\r\n`
  }
  const statuses = new Map<number, number>()
  /** Each connection asks for the next one as soon as it is answered. */
  const bring = (until: number): Promise<unknown> => {
    const bringSome = async (): Promise<void> => {
      const wire = new Wire(gateway.port)
      while (made < until) {
        wire.send(requestOf(made++))
        const answer = await wire.answer()
        if (answer === undefined) throw new Error('the connection ended')
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
        // It keeps what comes, for tests that ask.
        upstream.received.length = 0
      }
      wire.destroy()
    }
    return Promise.all(Array.from({ length: connections }, bringSome))
  }

  await bring(warmUp)
  const held: number[] = [await gateway.heldMemory()]
  for (let look = 1; look <= looks; look++) {
    await bring(warmUp + ((tokens - warmUp) * look) / looks)
    held.push(await gateway.heldMemory())
  }
  t.comment(held.map((bytes) => `${(bytes / mebibyte).toFixed(1)} MiB`).join(', '))
  t.ok(made >= tokens, `${made} tokens`)
  t.same(Object.fromEntries(statuses), { 200: made }, 'each was let in')
  t.ok(Math.max(...held) <= held[0]! * maxGrowth, 'what is held does not grow')
})
