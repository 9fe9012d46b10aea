/** What release 0.1 left is read, and a process of 0.1 goes on beside one of today: test/samples/README.md. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { RevocationFile } from '../../src/session/revocation-file.js'
import { Revocations } from '../../src/session/revocations.js'
import { identifiersOf } from '../../src/session/token-identifiers.js'
import { startBalancer } from '../fixtures/balancer.js'
import { secrets } from '../fixtures/config.js'
import { createClock, startTestGateway } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { startRedis } from '../fixtures/redis.js'
import { changedTokens } from '../fixtures/scripted-tokens.js'
import { stage } from '../fixtures/stage.js'
import { both, startFixture } from '../fixtures/tracs.js'
import type { Claims } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import { ask, codeOf } from '../fixtures/wire.js'

type Name = 'alice' | 'nora' | 'bob' | 'carl' | 'dora' | 'emil'
type Cookies = Readonly<Record<Name, string>>
type Key = { readonly key: string } & (
  | { readonly type: 'hash'; readonly value: Readonly<Record<string, string>> }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'stream'; readonly value: readonly (readonly string[])[] }
)

const source = resolve('test/samples/0.1')
const samples = JSON.parse(readFileSync(join(source, 'samples.json'), 'utf8')) as {
  readonly at: number
  readonly context: {
    readonly publicUrl: string
    readonly issuer: string
    readonly clientId: string
  }
  readonly claims: Readonly<Record<Name, Claims>>
  readonly cookies: Cookies
  readonly attempt: { readonly cookie: string; readonly state: string }
  readonly redis: { readonly cookies: Cookies; readonly keys: readonly Key[] }
}
/** Who was in, and who had been ended. */
const isIn: Readonly<Record<Name, boolean>> = {
  alice: true,
  nora: true,
  bob: false,
  carl: false,
  dora: false,
  emil: false,
}
const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const redis = await startRedis(t)
/** A minute after all of it was written. */
const clock = createClock()
clock.stop()
clock.advance(samples.at + 60_000 - clock())

/** Today's gateway in the place of the one that wrote the samples; its provider can't be reached. */
async function successor(t: Test, session: Overlay) {
  const { issuer, clientId, publicUrl } = samples.context
  const { gateway } = await stage(t, {
    issuer,
    clientId,
    clock,
    env: { REDIS_URL: redis.url },
    overlay: { server: { publicUrl, trustedProxies: ['127.0.0.0/8'] }, session },
  })
  const headers = [`Host: ${new URL(publicUrl).host}`, 'X-Forwarded-Proto: https']
  return {
    gateway,
    get: (path: string, cookie: string) =>
      ask(gateway, `GET /trac${path}`, [...headers, `Cookie: ${cookie}`]),
    close: () => gateway.close(),
  }
}
type Successor = Awaited<ReturnType<typeof successor>>

async function checkPeople(t: Test, { gateway, get }: Successor, cookies: Cookies): Promise<void> {
  const { session } = gateway.gateway.services.names
  for (const [name, value] of Object.entries(cookies) as [Name, string][]) {
    const answer = await get('/auth/session', `${session}=${value}`)
    t.equal(answer.status, isIn[name] ? 200 : 401, name)
    if (isIn[name]) t.match(JSON.parse(answer.body), { user: name })
  }
}

await t.test(
  'cookies and the revocation file of 0.1 are read, and so is what is made of the file',
  async (t) => {
    const revocationFile = join(folder, 'revocations')
    copyFileSync(join(source, 'revocations'), revocationFile)
    for (const what of ['as 0.1 wrote it', 'as it was written anew']) {
      await t.test(what, async (t) => {
        const next = await successor(t, { revocationFile })
        await checkPeople(t, next, samples.cookies)
        const back = `/auth/callback?code=x&state=${samples.attempt.state}`
        const answer = await next.get(back, samples.attempt.cookie)
        t.not(codeOf(answer), 'ERR_LOGIN_UNKNOWN', 'a sign-in that 0.1 began can end here')
        await next.close()
        const kept = new Revocations(clock, 86_400_000, new RevocationFile(revocationFile, clock))
        for (const [name, claims] of Object.entries(samples.claims) as [Name, Claims][]) {
          const token = identifiersOf(samples.context.issuer, claims)
          t.equal(kept.isRevoked(token, name), !isIn[name], `the token of ${name}`)
        }
      })
    }
  },
)

await t.test('sessions and revocations of 0.1 in Redis are read', async (t) => {
  for (const key of samples.redis.keys) {
    if (key.type === 'hash') await redis.client.hset(key.key, key.value)
    else if (key.type === 'string') await redis.client.set(key.key, key.value)
    else {
      for (const [i, fields] of key.value.entries()) {
        await redis.client.xadd(key.key, `${samples.at + i}-0`, ...fields)
      }
    }
  }
  const session = { store: 'redis', redis: { url: { fromEnv: 'REDIS_URL' } } }
  await checkPeople(t, await successor(t, session), samples.redis.cookies)
})

/** Starts the program of 0.1 with a configuration of 0.1, by itself in this file: the fixtures' own goes on. */
async function startOld(
  t: Test,
  provider: { readonly issuer: string; readonly clientId: string },
  upstream: { readonly url: string },
  publicUrl: string,
  session: object,
) {
  const home = mkdtempSync(join(folder, 'old-'))
  execFileSync('tar', ['-xzf', join(source, 'program.tar.gz'), '-C', home])
  symlinkSync(resolve('node_modules'), join(home, 'node_modules'))
  const [port, adminPort] = [await freePort(), await freePort()]
  const config = {
    server: { publicUrl, listen: `127.0.0.1:${port}` },
    admin: { listen: `127.0.0.1:${adminPort}` },
    identity: { issuer: provider.issuer, clientId: provider.clientId },
    session: { secrets: [{ fromEnv: 'SESSION' }], ...session },
    permissions: { anonymous: ['WIKI_VIEW'] },
    upstreams: {
      trac: { url: upstream.url, signingKeys: [{ id: 'k1', secret: { fromEnv: 'SIGNING' } }] },
    },
  }
  const file = join(home, 'gateway.yaml')
  writeFileSync(file, stringify(config))
  const env = { PATH: process.env['PATH'], REDIS_URL: redis.url, ...secrets }
  const child = spawn(process.execPath, [join(home, 'dist/main.js'), 'start', '-c', file], {
    env,
    stdio: 'ignore',
  })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    return (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok
  }, '0.1 is ready')
  return { port }
}

/** What the gateway signs with, and Trac knows. */
const signingKey = { id: 'k1', secret: secrets.SIGNING }

for (const server of both) {
  await t.test(
    `${server}: the plugin of 0.1 and today’s gateway serve, and so the other way`,
    async (t) => {
      const s = await stage(t, {
        provider: 'scripted',
        providerOptions: { dialect: 'standard', path: '' },
        gateway: false,
      })
      const { provider } = s
      const base = 'http://localhost:9/trac'
      const host = `Host: ${new URL(base).host}`
      /** Both pages of Trac, as somebody who is signed in and as nobody. */
      const isServed = async (t: Test, gateway: { readonly port: number }, by: string) => {
        const visitor = await ask(gateway, 'GET /trac/wiki/WikiStart', [host])
        t.match(visitor, { status: 200, body: />Login</ }, by)
        const page = await ask(gateway, 'GET /trac/wiki/WikiStart', [host, s.bearerOf()])
        t.match(page, { status: 200, body: /logged in as/ }, by)
        const css = await ask(gateway, 'GET /trac/chrome/common/css/trac.css', [host])
        t.equal(css.status, 200, by)
        const shut = await ask(gateway, 'GET /trac/admin', [host, s.bearerOf()])
        t.equal(shut.status, 403, by)
      }
      const startTrac = async (plugins: Readonly<Record<string, string>>) => {
        const trac = await startFixture(t, server, {
          basePath: '/trac',
          keys: [signingKey],
          plugins,
        })
        return `http://127.0.0.1:${trac.port}`
      }
      const oldPlugin = readFileSync(join(source, 'trac_gateway.py'), 'utf8')
      const withOld = await startTrac({ 'trac_gateway.py': oldPlugin })
      const withNew = await startTrac({})
      const today = await startTestGateway({
        ...s.settings,
        signingKey,
        tracUrl: withOld,
        overlay: { server: { publicUrl: base }, permissions: { anonymous: ['WIKI_VIEW'] } },
      })
      t.teardown(() => today.close())
      await isServed(t, today, 'the plugin of 0.1 with today’s gateway')
      const degraded = today.gateway.readiness.report().degraded.filter((one) => /older/.test(one))
      t.match(degraded, [/trac_gateway\.py is .*older than 0\.2/], 'which says that it is old')
      const old = await startOld(t, provider, { url: withNew }, base, {})
      await isServed(t, old, 'today’s plugin with the gateway of 0.1')
    },
  )
}

/** A process of 0.1 and today's gateway at one address; `use` says which of them gets connections. */
async function sideBySide(t: Test, session: Overlay) {
  const balancer = await startBalancer(t)
  const base = `http://localhost:${balancer.port}/trac`
  const s = await stage(t, {
    provider: 'scripted',
    providerOptions: { dialect: 'standard', path: '' },
    upstream: true,
    gateway: false,
    env: { REDIS_URL: redis.url },
    overlay: { server: { publicUrl: base }, session },
  })
  const { provider } = s
  const claims = { sid: 'one-session-at-the-provider', auth_time: 1_700_000_000 }
  provider.replace('token', (request) =>
    changedTokens(provider, request, ({ nonce }) => ({
      id_token: provider.sign('id', { nonce, ...claims }),
    })),
  )
  const today = async () => {
    const gateway = await startTestGateway({ ...s.settings, port: await freePort() })
    t.teardown(() => gateway.close())
    return gateway
  }
  const old = () => startOld(t, provider, s.upstream, base, session)
  return {
    base,
    today,
    old,
    use: ({ port }: { readonly port: number }) => void (balancer.targets = [port]),
    async signIn(visitor = new Visitor()) {
      const page = await visitor.follow(`${base}/auth/login?return_to=/trac/wiki`)
      t.equal(page.url.pathname, '/trac/wiki', page.text)
      return visitor
    },
    statusOf: async (visitor: Visitor) =>
      (await visitor.copy().fetch(`${base}/auth/session`)).status,
    leave: (visitor: Visitor) => visitor.submit(`${base}/auth/logout`),
    renew: async (visitor: Visitor) => {
      const headers = { origin: new URL(base).origin }
      return (await visitor.fetch(`${base}/auth/refresh`, { method: 'POST', headers })).status
    },
  }
}

await t.test('a process of 0.1 goes on beside one of today on the same Redis', async (t) => {
  const s = await sideBySide(t, { store: 'redis', redis: { url: { fromEnv: 'REDIS_URL' } } })
  const [today, old] = [await s.today(), await s.old()]
  s.use(old)
  const fromOld = await s.signIn()
  s.use(today)
  const fromToday = await s.signIn()
  t.equal(await s.statusOf(fromOld), 200, 'a session of 0.1 works today')
  t.equal(await s.renew(fromOld), 200)
  s.use(old)
  t.equal(await s.statusOf(fromToday), 200, 'one of today works in 0.1')
  t.equal(await s.statusOf(fromOld), 200, 'and so does one that was renewed today')
  t.equal(await s.renew(fromToday), 200)
  s.use(today)
  t.equal(await s.statusOf(fromToday), 200, 'and one that 0.1 renewed works today')
  // All of them are of one session at the provider, so that 0.1 takes them for one sign-in.
  await s.leave(fromToday)
  s.use(old)
  await until(async () => (await s.statusOf(fromToday)) === 401, '0.1 knows the sign-out')
  t.equal(await s.statusOf(fromOld), 401)
  s.use(today)
  t.equal(await s.statusOf(fromOld), 401)
  const again = await s.signIn(fromToday)
  t.equal(await s.statusOf(again), 200, 'a new sign-in is later than the sign-out')
  s.use(old)
  // 0.1 knows no lift: it refuses, and the browser keeps its way to today's gateway.
  t.equal(await s.statusOf(again), 401, 'stricter at worst')
  s.use(today)
  t.equal(await s.statusOf(again), 200)
})

await t.test(
  'a file that today’s gateway wrote is read by 0.1, and then again today',
  async (t) => {
    const revocationFile = join(folder, 'rolled-back')
    const s = await sideBySide(t, { revocationFile })
    const first = await s.today()
    s.use(first)
    const stays = await s.signIn()
    const left = stays.copy()
    await s.leave(stays)
    const again = await s.signIn(stays)
    await first.close()
    s.use(await s.old())
    t.equal(await s.statusOf(left), 401, 'who signed out today is out in 0.1')
    t.equal(await s.statusOf(again), 401, 'stricter at worst')
    s.use(await s.today())
    t.equal(await s.statusOf(left), 401)
    t.equal(await s.statusOf(again), 200, 'and the lift is still there')
  },
)
