/** A configuration that changes while it serves: all of it or nothing, and nobody who is served notices (deploy/docs/guides/operations.md#changing-the-configuration). */
import { t } from '../fixtures/tap.js'
import { secretOf } from '../fixtures/config.js'
import { readFile, writeFile } from 'node:fs/promises'
import type { Test } from 'tap'
import { rawExchange } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { startGatewayProcess } from '../fixtures/process.js'
import { tokensBy } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'

const minute = 60_000
const { provider, upstream, clock, settings } = await stage(t, {
  provider: 'scripted',
  upstream: 'held',
  /** What it was told of the person. */
  answer: ({ headers }) => String(headers['x-trac-perms']),
  api: true,
  env: { SECOND: secretOf('z') },
  gateway: false,
})

/** One route to the API, of which cases change the rest. */
const api = (more: Overlay = {}): Overlay => ({
  routes: [{ name: 'api', path: '/api/**', upstream: 'api', ...more }],
})
async function start(t: Test, overlay: Overlay = api()) {
  const { env } = settings
  const s = await stage(t, { provider, upstream, api: upstream, clock, env: env!, overlay })
  const { gateway } = s
  const metric = (name: string) => gateway.metric(`trac_gateway_${name}`)
  const get = (visitor: Visitor, path: string) => visitor.fetch(`${gateway.url}${path}`)
  return { ...s, metric, get }
}

await t.test('policy, permissions and secrets change at once for who is signed in', async (t) => {
  const { gateway, names, metric, signIn, get } = await start(t)
  provider.replace('token', tokensBy(provider, clock))
  const visitor = await signIn()
  t.match((await get(visitor, '/api/x')).text, 'TICKET_VIEW')
  t.equal(await metric('config_generation'), 1)

  t.equal(await gateway.reload(api({ access: 'deny' })), true)
  t.equal((await get(visitor, '/api/x')).status, 403)
  const permissions = { groups: { students: ['WIKI_DELETE'] }, anonymous: [] }
  t.equal(await gateway.reload({ ...api(), permissions }), true)
  t.equal((await get(visitor, '/api/x')).text, 'WIKI_DELETE')

  const sealed = visitor.cookies(gateway.url).get(names.session)
  const secrets = [{ fromEnv: 'SECOND' }, { fromEnv: 'SESSION' }]
  t.equal(await gateway.reload({ ...api(), session: { secrets } }), true)
  t.equal((await get(visitor, '/api/x')).status, 200)
  t.not(visitor.cookies(gateway.url).get(names.session), sealed, 'sealed again with the new secret')
  t.equal(await metric('config_generation'), 4)

  t.equal(await gateway.reload({ ...api(), session: { secrets } }), false)
  t.equal(await metric('config_generation'), 4, 'the same one is no change')
})

await t.test('after a reload a Bearer token is judged by the new permissions', async (t) => {
  const { gateway } = await start(t)
  const token = provider.sign('id')
  const get = async () => {
    const headers = { authorization: `Bearer ${token}` }
    return (await fetch(`${gateway.url}/api/x`, { headers })).text()
  }
  t.match(await get(), 'TICKET_VIEW')
  await gateway.reload({ ...api(), permissions: { groups: {}, anonymous: ['TIMELINE_VIEW'] } })
  t.notMatch(await get(), 'TICKET_VIEW')
})

await t.test(
  'a request that runs at a reload ends as it began, and its connection goes on',
  async (t) => {
    const { gateway, signIn, get } = await start(t)
    provider.replace('token', tokensBy(provider, clock))
    const visitor = await signIn()
    const running = get(visitor, '/api/held/1')
    const letGo = await upstream.arrived('/trac/api/held/1')
    await gateway.reload(api({ access: 'deny' }))
    letGo()
    t.equal((await running).status, 200)
    const bytes = 'GET /trac/api/x HTTP/1.1\r\nHost: localhost\r\n\r\n'.replace(
      'localhost',
      `localhost:${gateway.port}`,
    )
    t.match(await rawExchange(gateway.port, bytes + bytes, '403'), /HTTP\/1\.1 403/)
  },
)

await t.test('a renewal that is under way at a reload is made once', async (t) => {
  const { gateway, signIn, get } = await start(t)
  const tokens = tokensBy(provider, clock, { rotates: true })
  provider.replace('token', tokens)
  const visitor = await signIn()
  const before = provider.received.token.length
  clock.advance(50 * minute)
  let release = (): void => undefined
  const waiting = new Promise<void>((resolve) => (release = resolve))
  provider.replace('token', async (request) => {
    await waiting
    return tokens(request)
  })
  const first = get(visitor.copy(), '/api/first')
  await until(() => provider.received.token.length > before, 'the exchange is under way')
  await gateway.reload(api({ rateLimit: { max: 100, per: '1m' } }))
  const second = get(visitor.copy(), '/api/second')
  const third = get(visitor.copy(), '/api/third')
  // By the time that some later ones were answered, these two have come in.
  for (let i = 0; i < 5; i++) await fetch(`${gateway.url}/auth/healthz`)
  release()
  const answers = await Promise.all([first, second, third])
  t.strictSame(
    answers.map(({ status }) => status),
    [200, 200, 200],
  )
  const sealed = (answer: Answer) => answer.setCookies.map((line) => line.split(';')[0]).join()
  t.match(sealed(answers[0]), /^tg-.+=ey/)
  t.equal(new Set(answers.map(sealed)).size, 1, 'one result')
  // Whoever comes later with the old cookie gets it, too, after one more reload.
  await gateway.reload(api())
  const late = await get(visitor, '/api/late')
  t.equal(sealed(late), sealed(answers[0]))
  t.equal(provider.received.token.length, before + 1)
})

await t.test('a change that needs a restart is refused as a whole', async (t) => {
  const { gateway, get } = await start(t, api({ access: 'public' }))
  const refused: readonly (readonly [string, Overlay])[] = [
    ['server.publicUrl', { server: { publicUrl: 'http://localhost:1/trac' } }],
    ['server.listen', { server: { listen: '127.0.0.1:1' } }],
    ['server.limits.header', { server: { limits: { header: '16KiB' } } }],
    ['server.timeouts.keepAlive', { server: { timeouts: { keepAlive: '10s' } } }],
    ['admin.listen', { admin: { listen: '127.0.0.1:1' } }],
    ['identity.clientId', { identity: { clientId: 'other' } }],
    ['identity.maxTokenLife', { identity: { maxTokenLife: '1h' } }],
    ['session.revocationFile', { session: { revocationFile: '/tmp/x' } }],
  ]
  for (const [key, change] of refused) {
    const attempt = gateway.reload({ ...api({ access: 'deny' }), ...change })
    await t.rejects(attempt, { message: `${key}: a change there needs a restart` }, key)
    t.equal((await get(new Visitor(), '/api/x')).status, 200, 'nothing of it is taken')
  }
})

await t.test('a configuration whose keys can’t be fetched is refused', async (t) => {
  const { gateway, get } = await start(t, api({ access: 'public' }))
  provider.replace('jwks', () => ({ status: 500, body: '' }))
  t.teardown(() => provider.restore('jwks'))
  const algorithms = ['RS256', 'ES256']
  const change = { ...api({ access: 'deny' }), identity: { algorithms } }
  await t.rejects(gateway.reload(change), { code: 'ERR_PROVIDER_UNAVAILABLE' })
  t.equal((await get(new Visitor(), '/api/x')).status, 200)
  provider.restore('jwks')
  t.equal(await gateway.reload(change), true)
  t.equal((await get(new Visitor(), '/api/x')).status, 403)
})

await t.test(
  'a reload that changes nothing about the provider fetches no keys again',
  async (t) => {
    const other = await stage(t, { provider: 'scripted', gateway: false })
    const additional = {
      issuer: other.provider.issuer,
      clients: [other.provider.clientId],
      cognito: true,
      prefix: 'other-',
    }
    const identity = { additionalIssuers: [additional] }
    const { gateway, metric } = await start(t, { ...api(), identity })
    const fetched = () => provider.counts.jwks
    const ready = () => gateway.gateway.readiness.report().ready && other.provider.counts.jwks === 1
    await until(ready, 'all keys are known')
    const before = fetched()
    for (const [i, change] of [{ access: 'public' }, { access: 'deny' }, {}].entries()) {
      await gateway.reload({ ...api(change), identity })
      t.equal(await metric('config_generation'), i + 2)
    }
    t.equal(fetched(), before)
    t.equal(other.provider.counts.jwks, 1)
    await gateway.reload(api({ access: 'public' }))
    await gateway.reload({ ...api({ access: 'public' }), identity })
    t.equal(fetched(), before, 'nor when another issuer goes and comes')
    t.equal(other.provider.counts.jwks, 2, 'which is a new one then')
    clock.advance(61 * minute)
    await gateway.reload({ ...api({ access: 'deny' }), identity })
    await until(() => fetched() === before + 1, 'old ones are fetched again')
  },
)

await t.test('nobody notices twenty reloads under load', async (t) => {
  const { gateway, metric, signIn, get } = await start(t)
  provider.replace('token', tokensBy(provider, clock))
  const visitor = await signIn()
  const stop = new AbortController()
  const statuses = new Map<number, number>()
  const client = async () => {
    while (!stop.signal.aborted) {
      const { status } = await get(visitor, '/api/x')
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  const clients = Array.from({ length: 8 }, client)
  for (let i = 0; i < 20; i++) {
    await gateway.reload(api({ rateLimit: { max: 1_000_000 + i, per: '1m' } }))
  }
  stop.abort()
  await Promise.all(clients)
  t.strictSame([...statuses.keys()], [200])
  t.equal(await metric('config_generation'), 21)
  await until(async () => {
    const text = await gateway.metrics()
    const open = /^trac_gateway_upstream_connections\{upstream="api"\} (\d+)$/m.exec(text)
    return Number(open?.[1]) <= 8
  }, 'connections of the configurations before are closed')
})

await t.test(
  'a process follows its file and SIGHUP, and stays with the last good one',
  async (t) => {
    const lines: Record<string, unknown>[] = []
    const overlay = api({ access: 'public' })
    const process = await startGatewayProcess(t, {
      ...settings,
      overlay,
      onLine: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
    })
    const visitor = new Visitor()
    const status = async () => (await visitor.fetch(`${process.url}/api/x`)).status
    const logged = (msg: string) => lines.filter((line) => line['msg'] === msg)
    const degraded = async () => (await process.ready())['degraded']
    const good = await readFile(process.file, 'utf8')
    t.equal(await status(), 200)

    await writeFile(process.file, good.replace('access: public', 'access: deny'))
    await until(async () => (await status()) === 403, 'the file is followed')

    const bad = good.replace('access: public', 'access: everybody')
    await writeFile(process.file, bad)
    process.signal('SIGHUP')
    const refusal = 'the new configuration is refused; the one before is served'
    await until(() => logged(refusal).length > 0, 'a bad file is told of')
    const line = bad.split('\n').findIndex((text) => text.includes('everybody')) + 1
    t.match(logged(refusal)[0]!['cause'], `gateway.yaml:${line}:`)
    t.match(await degraded(), ['the new configuration is refused'])
    t.ok((await process.metric('trac_gateway_config_last_failure_timestamp_seconds')) > 1e9)
    t.equal(await status(), 403)

    await writeFile(process.file, good)
    process.signal('SIGHUP')
    await until(async () => (await status()) === 200, 'SIGHUP reads it again')
    t.strictSame(await degraded(), [])
    t.equal(process.end, '')
  },
)
