/** `/readyz` says what is missing, by its address, and why; and is not ready before it would work. */
import { createServer as createTlsServer } from 'node:https'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { t } from '../fixtures/tap.js'
import { createCertificate } from '../fixtures/certificate.js'
import type { TestGateway } from '../fixtures/gateway.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'
import { startScriptedProvider } from '../fixtures/scripted-provider.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'

/** What `/readyz` tells once there is trouble. */
async function told({ adminUrl }: TestGateway) {
  const report = async () => {
    const response = await fetch(`${adminUrl}/readyz`)
    return { status: response.status, ...((await response.json()) as Report) }
  }
  await until(async () => (await report()).degraded.length > 0, 'trouble is told')
  return report()
}
interface Report {
  readonly waiting: readonly string[]
  readonly degraded: readonly string[]
}

await t.test('an upstream that does not answer is named with its address', async (t) => {
  const port = await freePort()
  const { gateway } = await stage(t, {
    provider: 'scripted',
    upstream: { url: `http://127.0.0.1:${port}` },
  })
  t.match(await told(gateway), {
    status: 503,
    waiting: ['upstream'],
    degraded: [`upstream trac (http://127.0.0.1:${port}) can't be reached: nothing listens there`],
  })
})

await t.test('an upstream that takes connections is ready only once it answers', async (t) => {
  const held: Socket[] = []
  const heads: string[] = []
  const server = createServer((socket) => {
    held.push(socket)
    socket.on('error', () => undefined).on('data', (bytes) => heads.push(bytes.toString()))
  })
  const port = await listen(server)
  t.teardown(() => server.close())
  const { gateway } = await stage(t, {
    provider: 'scripted',
    upstream: { url: `http://127.0.0.1:${port}` },
  })
  const ready = async () => {
    const response = await fetch(`${gateway.adminUrl}/readyz`)
    return { status: response.status, ...((await response.json()) as Report) }
  }
  await until(() => heads.length > 0, 'it is asked')
  t.match(heads[0], /^HEAD \/ HTTP\/1\.1\r\n/)
  t.match(heads[0], `\r\nHost: localhost:${gateway.port}\r\n`)
  t.match(heads[0], /\r\nX-Trac-User: \r\nX-Trac-Perms: \r\nX-Trac-Signature: v1;/)
  await until(async () => (await ready()).waiting.join() === 'upstream', 'all else is there')
  t.match(await ready(), { status: 503, waiting: ['upstream'] })
  held[0]!.end('no HTTP\r\n\r\n')
  t.match((await told(gateway)).degraded[0], `upstream trac (http://127.0.0.1:${port}) can't be`)
  await until(() => heads.length > 1, 'it is asked again')
  t.equal((await ready()).status, 503, 'what is no HTTP is no answer')
  held[1]!.end('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n')
  await until(async () => (await ready()).status === 200, 'any status is an answer')
})

await t.test('an upstream whose certificate cannot be verified is not ready', async (t) => {
  const pair = createCertificate()
  const server = createTlsServer({ cert: pair.certificate, key: pair.key }, (_request, response) =>
    response.end(),
  )
  const port = await listen(server)
  t.teardown(() => server.close())
  const { gateway } = await stage(t, {
    provider: 'scripted',
    upstream: { url: `https://localhost:${port}` },
  })
  const report = await told(gateway)
  t.match(report, { status: 503, waiting: ['upstream'] })
  t.match(
    report.degraded[0],
    /its certificate is signed by itself: name its authority in NODE_EXTRA/,
  )
})

for (const [what, path] of [
  ['at its end', '/realms/trac/'],
  ['and nothing else behind the host', '/'],
] as const) {
  await t.test(`an issuer with a slash ${what} that its document lacks is not ready`, async (t) => {
    const provider = await startScriptedProvider({
      dialect: 'standard',
      path: path.slice(0, -1),
    })
    t.teardown(() => provider.stop())
    const { issuer, clientId } = provider
    const { gateway } = await stage(t, { upstream: true, issuer: `${issuer}/`, clientId })
    const report = await told(gateway)
    t.match(report, { status: 503, waiting: ['keys'] })
    t.strictSame(
      report.degraded.filter((text) => text.startsWith('keys')),
      [
        `keys of ${issuer}/ can't be reached: the provider names itself ${issuer}, and the configuration ${issuer}/`,
      ],
    )
    const login = await ask(gateway, 'GET /trac/auth/login', ['Accept: text/html'])
    t.equal(login.status, 502)
    t.match(login.body, 'ERR_PROVIDER_ISSUER')
    const line = gateway.lines.findLast(({ msg }) => msg === 'request')
    t.match(line, { found: { issuer }, wanted: { issuer: `${issuer}/` } })
  })
}
