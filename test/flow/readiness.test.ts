/** `/readyz` says what is missing, by its address, and why; and is not ready before it would work. */
import { createServer as createTlsServer } from 'node:https'
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
