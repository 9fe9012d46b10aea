/** A provider that is down, or answers nonsense, when the gateway starts: it starts, says so, and recovers by itself. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { badAnswers, hugeAnswer } from '../fixtures/scripted-provider.js'
import type { ScriptedProvider, ScriptedProviderOptions } from '../fixtures/scripted-provider.js'
import { holdAnswers } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Overlay, TestGateway } from '../fixtures/gateway.js'

const { upstream } = await stage(t, { upstream: true, gateway: false })
const visitor = new Visitor()

async function startProvider(t: Test, providerOptions: ScriptedProviderOptions = {}) {
  const { provider } = await stage(t, { provider: 'scripted', providerOptions, gateway: false })
  return provider
}

async function startGateway(t: Test, provider: ScriptedProvider, overlay: Overlay = {}) {
  const timers = createTimers()
  const { gateway } = await stage(t, { provider, upstream, api: upstream, timers, overlay })
  /** Lets the gateway try again, again and again until it is so. */
  const passUntil = (isSo: () => boolean | Promise<boolean>, what: string) =>
    until(() => {
      // In small steps: a request to the provider that is under way has 10 s of this time, too.
      timers.advance(500)
      return isSo()
    }, what)
  return Object.assign(gateway, { passUntil })
}

async function readyz({ adminUrl }: TestGateway) {
  const answer = await fetch(`${adminUrl}/readyz`)
  return { status: answer.status, ...((await answer.json()) as Record<string, unknown>) }
}

async function untilReady(gateway: Awaited<ReturnType<typeof startGateway>>) {
  await gateway.passUntil(async () => (await readyz(gateway)).status === 200, 'it is ready')
  return readyz(gateway)
}

const ask = (gateway: TestGateway, token: string) =>
  visitor.fetch(`${gateway.url}/api/x`, { headers: { authorization: `Bearer ${token}` } })

await t.test(
  'a gateway starts with the provider down and becomes ready when it comes up',
  async (t) => {
    const provider = await startProvider(t)
    await provider.stop()
    const gateway = await startGateway(t, provider)
    t.match(await readyz(gateway), { status: 503, ready: false, waiting: ['keys'] })
    t.match(await (await fetch(`${gateway.adminUrl}/healthz`)).json(), { status: 'ok' })
    t.equal((await visitor.open(`${gateway.url}/auth/healthz`)).status, 200)
    t.equal((await visitor.open(`${gateway.url}/wiki/Start`)).status, 200, 'who may read reads')

    const early = await ask(gateway, provider.sign('id'))
    t.equal(early.status, 503)
    t.match(early.json(), { error: 'unavailable', code: 'ERR_PROVIDER_UNAVAILABLE' })
    t.match(early.headers['retry-after'], /^[0-9]+$/)
    t.equal(early.headers['www-authenticate'], undefined, 'nothing is said against the token')

    await provider.restart()
    t.match(await untilReady(gateway), { status: 200, ready: true, waiting: [], degraded: [] })
    t.equal((await ask(gateway, provider.sign('id'))).status, 200)
    t.match(gateway.log(), '"keys could not be fetched"')
    t.match(gateway.log(), '"keys are known"')
  },
)

await t.test(
  'a provider with discovery that is down gives a page, and a sign-in once it is up',
  async (t) => {
    const provider = await startProvider(t, { dialect: 'standard', path: '' })
    await provider.stop()
    const gateway = await startGateway(t, provider)
    const page = await visitor.open(`${gateway.url}/auth/login`)
    t.equal(page.status, 503)
    t.match(page.text, 'ERR_PROVIDER_UNAVAILABLE')
    t.match(page.text, `href="/trac/auth/login"`)
    t.match(page.headers['retry-after'], /^[0-9]+$/)
    t.equal(page.location, '', 'no loop')
    await provider.restart()
    const answer = await visitor.open(`${gateway.url}/auth/login`)
    t.match(answer.location, `${provider.origin}/oauth2/authorize?`)
    await untilReady(gateway)
  },
)

await t.test('the gateway goes on, whatever the key set is answered with', async (t) => {
  const answers = {
    ...badAnswers,
    huge: hugeAnswer(),
    'a little too large': hugeAnswer(256 * 1024),
    'no keys': { body: { keys: [] } },
    'a redirect': { status: 302, headers: { Location: 'http://127.0.0.1:1/keys' } },
    'not found': { status: 404, body: { keys: [] } },
    'a server error': { status: 500, body: 'oops' },
    nonsense: { body: { keys: [null, 1, 'x', {}, { kid: 'key-1', kty: 'RSA' }] } },
  }
  for (const [what, answer] of Object.entries(answers)) {
    const provider = await startProvider(t)
    provider.replace('jwks', () => answer)
    const gateway = await startGateway(t, provider)
    t.match(await ask(gateway, provider.sign('id')), { status: 503 }, what)
    t.match(await readyz(gateway), { status: 503, waiting: ['keys'] }, what)
    provider.restore()
    gateway.clock.advance(31_000)
    // Somebody may still have to wait for a bad answer that is under way.
    const recovers = async () => (await ask(gateway, provider.sign('id'))).status === 200
    await until(recovers, `${what}: recovers`)
    // Until then the gateway asks by itself, and a good answer could be under way when the bad ones begin.
    await gateway.passUntil(
      () => gateway.log().includes('"keys are known"'),
      `${what}: the gateway knows`,
    )

    provider.replace('jwks', () => answer)
    gateway.clock.advance(31_000)
    const iat = Math.floor(gateway.clock() / 1000)
    const stranger = provider.sign('id', { iat, exp: iat + 60 }, { kid: 'unknown' })
    t.equal((await ask(gateway, stranger)).status, 503, `${what}: whose key it is can’t be told`)
    const known = provider.sign('id', { iat, exp: iat + 60 })
    t.equal((await ask(gateway, known)).status, 200, `${what}: known keys serve`)
    const told = [new RegExp(`^keys of ${provider.issuer} can't be reached: .`)]
    t.match(await readyz(gateway), { status: 200, degraded: told }, what)
    await gateway.close()
    await provider.stop()
  }
})

await t.test('a slow key set keeps waiting those who need it, and nobody else', async (t) => {
  const provider = await startProvider(t)
  const release = holdAnswers(provider, 'jwks')
  const asked = provider.next('jwks')
  const gateway = await startGateway(t, provider)
  await asked
  const waiting = Array.from({ length: 20 }, () => ask(gateway, provider.sign('id')))
  t.equal((await visitor.open(`${gateway.url}/wiki/Start`)).status, 200)
  release()
  for (const { status } of await Promise.all(waiting)) t.equal(status, 200)
  t.equal(provider.counts.jwks, 1)
})

await t.test('keys kept in cacheFile are used from the first request on', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const cacheFile = join(folder, 'keys.json')
  const overlay = { identity: { keys: { cacheFile } } }
  const provider = await startProvider(t)
  const first = await startGateway(t, provider, overlay)
  await untilReady(first)
  await first.close()
  t.match(JSON.parse(readFileSync(cacheFile, 'utf8')), { keys: [{ kid: 'key-1' }] })
  t.equal(statSync(cacheFile).mode & 0o777, 0o600)

  await provider.stop()
  const second = await startGateway(t, provider, overlay)
  t.equal((await ask(second, provider.sign('id'))).status, 200)
  t.match(await untilReady(second), {
    ready: true,
    degraded: [/keys .* can't be reached: nothing/],
  })
  await provider.restart()
  const isWhole = async () => {
    const { degraded } = (await readyz(second)) as { degraded?: string[] }
    return degraded?.length === 0
  }
  await second.passUntil(isWhole, 'the provider is reached')
  t.match(await readyz(second), { ready: true, degraded: [] }, 'and the provider is waited for')
})

await t.test('a cacheFile that cannot be written is logged and does no other harm', async (t) => {
  const provider = await startProvider(t)
  const cacheFile = '/nonexistent/keys.json'
  const gateway = await startGateway(t, provider, { identity: { keys: { cacheFile } } })
  await untilReady(gateway)
  t.equal((await ask(gateway, provider.sign('id'))).status, 200)
  t.match(gateway.log(), 'keys could not be kept in cacheFile')
})
