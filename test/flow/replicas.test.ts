/** Three gateways as processes, one real Redis: whose name is whose, a storm of renewals, an outage, and one of the three killed. */
import { execFile } from 'node:child_process'
import { Agent, get, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { startBalancer } from '../fixtures/balancer.js'
import { configurationOf, environmentOf } from '../fixtures/gateway.js'
import type { TestGatewayOptions } from '../fixtures/gateway.js'
import { loadText, secrets } from '../fixtures/config.js'
import { freePort } from '../fixtures/ports.js'
import { startGatewayProcess } from '../fixtures/process.js'
import type { GatewayProcess } from '../fixtures/process.js'
import { startRedis } from '../fixtures/redis.js'
import type { Answer } from '../fixtures/scripted-provider.js'
import { scaled } from '../fixtures/scale.js'
import { stage } from '../fixtures/stage.js'
import { openStoredSessions } from '../fixtures/stored-sessions.js'
import { until } from '../fixtures/until.js'

t.setTimeout(600_000)

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const { upstream } = await stage(t, { upstream: true, gateway: false })

/** Three processes behind a balancer; the provider's refresh tokens work once. The last test kills one of them. */
async function start(t: Test) {
  const redis = await startRedis(t)
  // The processes keep the machine's time, and so does the clock of this stage.
  const { provider, tokens, settings } = await stage(t, {
    provider: 'scripted',
    tokens: { rotates: true },
    upstream,
    api: upstream,
    gateway: false,
  })
  const balancer = await startBalancer(t)
  const origin = `http://localhost:${balancer.port}`
  const options: TestGatewayOptions = {
    ...settings,
    env: { REDIS_URL: redis.url },
    logLevel: 'warn',
    overlay: {
      server: { publicUrl: `${origin}/trac` },
      admin: { token: { fromEnv: 'SESSION' } },
      session: { store: 'redis', replicas: 'many', redis: { url: { fromEnv: 'REDIS_URL' } } },
    },
  }
  const processes = await Promise.all(
    [1, 2, 3].map(async () => startGatewayProcess(t, { ...options, port: await freePort() })),
  )
  balancer.targets = processes.map(({ port }) => port)
  const { config } = loadText(configurationOf(options, 1, 2), { env: environmentOf(options) })
  const stored = openStoredSessions(config, tokens, String(provider.person['sub']))
  t.teardown(() => stored.close())
  // Few enough that a busy machine answers each within the gateways' limits for Redis and for the provider.
  const agent = new Agent({ keepAlive: true, maxSockets: 96 })
  t.teardown(() => agent.destroy())
  const refusals = new Set<unknown>()
  const received = () =>
    provider.received.token.filter(({ form }) => form.get('grant_type') === 'refresh_token')
  return {
    redis,
    provider,
    tokens,
    processes,
    host: `localhost:${balancer.port}`,
    /** The codes of all answers that were a 503 since it was emptied. */
    refusals,
    /** Lets the next requests come on connections of their own, which go to the three in turn. */
    reconnect: () => agent.destroy(),
    /** The exchanges of one test: those that come from now on. */
    count() {
      const before = received().length
      return () => received().slice(before)
    },
    /** As {@link StoredSessions.signIn}. */
    signIn: stored.signIn,
    /** Status of a request with a cookie, to one of them or to whose turn it is; 0 if the connection broke. */
    ask: (cookie: string, port = balancer.port): Promise<number> =>
      new Promise((resolve) => {
        const headers = { host: `localhost:${balancer.port}`, cookie }
        const to = { host: '127.0.0.1', port, path: '/trac/api/x', headers, agent }
        request(to, (answer) => {
          const status = answer.statusCode ?? 0
          let text = ''
          answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
          answer.on('end', () => {
            if (status === 503) refusals.add((JSON.parse(text) as { code: unknown }).code)
            resolve(status)
          })
          answer.on('error', () => resolve(0))
        })
          .on('error', () => resolve(0))
          .end()
      }),
  }
}

const { redis, provider, tokens, processes, host, refusals, ...started } = await start(t)
const { signIn, ask } = started

/** What one of the processes answers to a Bearer token of somebody: 200, or the code of the refusal. */
function askAs(port: number, subject: string, name: string): Promise<unknown> {
  const token = provider.sign('id', { sub: subject, 'cognito:username': name })
  const headers = { host, authorization: `Bearer ${token}` }
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/trac/wiki/Start', headers, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.on('end', () =>
        resolve(answer.statusCode === 200 ? 200 : (JSON.parse(text) as { code: unknown }).code),
      )
    }).on('error', reject)
  })
}

/** Runs `trac-gateway names …` at one of the processes. */
async function names({ file }: GatewayProcess, ...words: readonly string[]): Promise<string> {
  const [word = '', ...more] = words
  const args = [main, 'names', word, '-c', file, ...more]
  const env = { PATH: process.env['PATH'], ...secrets, REDIS_URL: redis.url }
  return (await promisify(execFile)(process.execPath, args, { env })).stdout
}

await t.test(
  'a name is its first owner’s at every process, and released at one it is free at all',
  async (t) => {
    const ports = processes.map(({ port }) => port)
    const [one, two, three] = ports as [number, number, number]
    const rush = Array.from({ length: 12 }, async (_, i) => ({
      subject: `s${i}`,
      said: await askAs(ports[i % 3]!, `s${i}`, 'Carl'),
    }))
    const owners = (await Promise.all(rush)).filter(({ said }) => said === 200)
    t.equal(owners.length, 1, 'of twelve that come at once, at all three')
    const owner = owners[0]!.subject
    for (const port of ports) {
      t.equal(await askAs(port, owner, 'carl'), 200)
      t.equal(await askAs(port, 'other', 'Carl'), 'ERR_NAME_TAKEN')
      t.equal(await askAs(port, 'other', 'CARL'), 'ERR_NAME_TAKEN')
    }
    t.match(await names(processes[1]!, 'list'), `Carl: ${owner} of ${provider.issuer}`)
    t.match(await names(processes[0]!, 'release', 'carl'), 'carl is free')
    const isTheirs = async () => (await askAs(two, 'other', 'Carl')) === 200
    await until(isTheirs, 'the next one gets it, at another process')
    for (const port of [one, three]) {
      // A process may remember for a moment that the name was the first owner's.
      await until(
        async () => (await askAs(port, 'other', 'carl')) === 200,
        'the new owner, here too',
      )
      t.equal(await askAs(port, 'third', 'Carl'), 'ERR_NAME_TAKEN')
      // A token that this process has seen is known to be revoked before its name is looked at.
      t.match(await askAs(port, owner, 'Carl'), /^ERR_(?:NAME_TAKEN|TOKEN_REVOKED)$/)
    }
  },
)

await t.test(
  'sessions that all end in one second make one exchange each, and nobody is lost',
  async (t) => {
    const exchanges = started.count()
    const count = scaled(100, 1000)
    const end = Date.now() + scaled(2000, 5000)
    const cookies = await signIn(count, end)
    await until(() => Date.now() > end, 'all tokens have ended')
    t.equal(exchanges().length, 0)
    const statuses = await Promise.all(
      cookies.flatMap((cookie) => Array.from({ length: 8 }, () => ask(cookie))),
    )
    const counts = new Map<number, number>()
    for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1)
    t.same([...counts], [[200, 8 * count]])
    t.equal(exchanges().length, count)
    const used = new Set(exchanges().map(({ form }) => form.get('refresh_token')))
    t.equal(used.size, count, 'no refresh token was redeemed twice')
    t.equal((await redis.client.keys('*:session:*')).length, count)
    t.same(await redis.client.keys('*:lock:*'), [])
    for (const { faults, end: ended } of processes) t.same([faults, ended], [[], ''])
  },
)

await t.test(
  'while the token endpoint is down one of all processes asks for all, until the first success',
  async (t) => {
    const exchanges = started.count()
    refusals.clear()
    const count = scaled(100, 1000)
    const end = Date.now() + scaled(2000, 5000)
    const cookies = await signIn(count, end)
    await until(() => Date.now() > end, 'all tokens have ended')
    provider.replace('token', () => ({ status: 503 }))
    for (const cookie of cookies.slice(0, 3)) t.equal(await ask(cookie), 503)
    const [from, before] = [performance.now(), exchanges().length]
    t.equal(before, 3)
    const askAll = () => Promise.all(cookies.map((cookie) => ask(cookie)))
    for (let i = 0; i < 3; i++) t.same(new Set(await askAll()), new Set([503]))
    const seconds = (performance.now() - from) / 1000
    const probes = exchanges().length - before
    t.ok(probes <= 2 * seconds + 1, `${probes} probes in ${seconds.toFixed(1)} s`)
    t.same(refusals, new Set(['ERR_PROVIDER_UNAVAILABLE']))
    let firstAt = 0
    const answer: Answer = (request) => {
      firstAt ||= performance.now()
      return tokens(request)
    }
    provider.replace('token', answer)
    await until(async () => (await ask(cookies[0]!)) === 200 || firstAt > 0, 'a first success')
    await until(() => performance.now() - firstAt > 1100, 'a second')
    t.same(new Set(await askAll()), new Set([200]), 'lets everybody through')
  },
)

await t.test(
  'when one of three processes is killed in the middle of its exchanges, the others finish them',
  async (t) => {
    const exchanges = started.count()
    refusals.clear()
    started.reconnect()
    const people = 12
    const end = Date.now() + 1000
    const cookies = await signIn(people, end)
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    let redeemed = 0
    const answer: Answer = async (request) => {
      await held
      // Whoever died before the provider answered has redeemed nothing.
      if (request.isGone()) return { destroy: true }
      redeemed++
      return tokens(request)
    }
    provider.replace('token', answer)
    await until(() => Date.now() > end, 'all tokens have ended')
    // Each renews as many: who is asked first does it.
    const first = cookies.map((cookie, i) => ask(cookie, processes[i % 3]!.port))
    await until(() => exchanges().length === people, 'every session is being renewed')
    const more = cookies.flatMap((cookie) => [1, 2, 3].map(() => ask(cookie)))
    process.kill(processes[0]!.pid, 'SIGKILL')
    await until(() => processes[0]!.end !== '', 'one process is gone')
    // Its connections have ended with it; two looks at the same number say that all ends have been read.
    let lost = 0
    await until(() => {
      const before = lost
      lost = exchanges().filter((request) => request.isGone()).length
      return lost > 0 && lost === before
    }, 'and was missed')
    t.equal(lost, people / 3, 'so many exchanges died with it')
    release()
    const statuses = await Promise.all([...first, ...more])
    const killedAt = performance.now()
    // Who asked long before may be told to come again: the locks of the killed one are free six seconds after it.
    const answered = new Set(statuses.filter((status) => status !== 0 && status !== 503))
    t.same(answered, new Set([200]), 'nobody is refused')
    const again = async () => {
      const all = await Promise.all(cookies.map((cookie) => ask(cookie)))
      return all.every((status) => status === 200)
    }
    await until(again, 'every session goes on')
    const seconds = (performance.now() - killedAt) / 1000
    t.ok(seconds < 10, `${seconds.toFixed(1)} s later`)
    for (const code of refusals) t.equal(code, 'ERR_SESSION_BUSY', 'and Redis is not blamed')
    t.equal(redeemed, people, 'each was redeemed once')
    t.equal(exchanges().length, people + lost)
  },
)
