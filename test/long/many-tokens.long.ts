/** A million different tokens of different people: what is kept of them is bounded, so the gateway's memory is flat. */
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { t } from '../fixtures/tap.js'
import { startGatewayProcess } from '../fixtures/process.js'
import { createScriptedCurveKey } from '../fixtures/scripted-keys.js'
import { stage } from '../fixtures/stage.js'

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
  const nextRequest = (): string => {
    const subject = randomUUID()
    const token = provider.sign('access', {
      sub: subject,
      username: subject,
      jti: randomUUID(),
      email: `person-${made++}@example.edu`,
    })
    return `GET /trac/wiki HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n\r\n`
  }
  const statuses = new Map<string, number>()
  /** Each connection asks for the next one as soon as it is answered. */
  const bring = (until: number): Promise<unknown> => {
    const bringOne = () =>
      new Promise<void>((resolve, reject) => {
        const socket = connect(gateway.port, '127.0.0.1').setNoDelay(true)
        let text = ''
        socket.on('error', reject).on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1')
          if (!text.endsWith('\r\n\r\nok')) {
            if (!text.startsWith('HTTP/1.1 200')) reject(new Error(text))
            return
          }
          const status = text.slice(9, 12)
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          text = ''
          // It keeps what comes, for tests that ask.
          upstream.received.length = 0
          if (made < until) socket.write(nextRequest())
          else {
            socket.destroy()
            resolve()
          }
        })
        socket.write(nextRequest())
      })
    return Promise.all(Array.from({ length: connections }, bringOne))
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
