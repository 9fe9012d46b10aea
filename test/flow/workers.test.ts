/** `workers`: several processes behind one address, as one gateway. */
import { readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { request as requestTls } from 'node:https'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { t } from '../fixtures/tap.js'
import { createCertificate } from '../fixtures/certificate.js'
import type { TestCertificate } from '../fixtures/certificate.js'
import { listen } from '../fixtures/listen.js'
import { sumOf } from '../fixtures/metrics.js'
import { openNotifySocket } from '../fixtures/notify-socket.js'
import type { GatewayProcess } from '../fixtures/process.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'

type Line = Readonly<Record<string, unknown>>

const redis = await startRedis(t)
const notify = await openNotifySocket(t)
const lines: Line[] = []
const shared = { session: { store: 'redis', redis: { url: { fromEnv: 'REDIS' } } } }
// Whatever these tests ask for is one of them, for who has signed in.
const routes = [{ name: 'all', path: '/w/**', methods: ['GET', 'POST'], access: 'authenticated' }]
const overlay = {
  ...shared,
  workers: 2,
  admin: { token: { fromEnv: 'SESSION' } },
  server: { timeouts: { drain: '1s', headers: '2s' } },
  routes,
}
const env = { REDIS: redis.url, NOTIFY_SOCKET: notify.path, WATCHDOG_USEC: '900000' }
const s = await stage(t, {
  provider: 'cognito',
  upstream: 'held',
  gateway: 'process',
  overlay,
  env,
  onLine: (line) => lines.push(JSON.parse(line) as Line),
})
const { gateway, port, url } = s
const host = new URL(url).host
const adminPort = Number(/127\.0\.0\.1:(\d+)/.exec(textBehind('admin:'))![1])

/** What stands behind a key of its gateway.yaml. */
function textBehind(key: string): string {
  const text = readFileSync(gateway.file, 'utf8')
  return text.slice(text.indexOf(`\n${key}`))
}

/** Processes that it started, in the order in which they were. */
function children(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8')
        return (
          stat.split(') ').at(-1)!.split(' ')[1] === String(gateway.pid) &&
          command.includes('main.js')
        )
      } catch {
        return false
      }
    })
    .map(Number)
    .toSorted((a, b) => a - b)
}

interface Asked {
  /** 0: the connection broke; -1: nobody took it. */
  readonly status: number
  readonly text: string
}

/** Asks on a connection of its own, unless an agent keeps one. */
function ask(
  path: string,
  {
    credential = '',
    agent = false,
    method = 'GET',
    at = { host: '127.0.0.1', port, headers: { host } },
    send = request,
  }: {
    credential?: string
    agent?: Agent | false
    method?: string
    /** Another gateway, and its host. */
    at?: Omit<RequestOptions, 'headers'> & { readonly headers: { readonly host: string } }
    send?: typeof request
  } = {},
): Promise<Asked> {
  const [name = '', value = ''] = credential.split(': ')
  const headers = { ...at.headers, ...(credential === '' ? {} : { [name]: value }) }
  return new Promise((resolve) => {
    const message = send({ ...at, path: `/trac${path}`, method, headers, agent })
    message.on('response', (answer: IncomingMessage) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
      answer.on('error', () => resolve({ status: 0, text }))
    })
    message.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ status: error.code === 'ECONNREFUSED' ? -1 : 0, text: '' })
    })
    message.end()
  })
}

const statusOf = async (path: string, credential: string) =>
  (await ask(path, { credential })).status
/** Connections go to the workers in turn. */
const atEach = (path: string, credential: string) =>
  Promise.all([1, 2, 3, 4].map(() => statusOf(path, credential)))

function admin(path: string, body?: unknown): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${sessionSecret}`, accept: 'application/json' }
  const method = body === undefined ? 'GET' : 'POST'
  return new Promise((resolve, reject) => {
    const message = request({
      host: '127.0.0.1',
      port: adminPort,
      path,
      method,
      headers,
      agent: false,
    })
    message.on('response', (answer: IncomingMessage) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
    })
    message.on('error', reject)
    message.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const { secrets } = await import('../fixtures/config.js')
const sessionSecret = secrets.SESSION

const missing = /trac_gateway_degraded\{cause="workers"\} 1/
const degraded = (told: Line) =>
  (told['degraded'] as string[]).filter((text) => !/X-Trac-Gateway|keys of/.test(text))
const metrics = async () => (await admin('/metrics')).text
const has = (form: RegExp) => notify.told.filter((line) => form.test(line)).length
/** Numbers of the workers that served a path. */
const servedBy = (path: string) =>
  new Set(
    lines
      .filter((line) => line['msg'] === 'request' && line['path'] === `/trac${path}`)
      .map(({ worker }) => worker),
  )

/** Ready, and with all of its workers: one is enough to be ready. */
const isWhole = async ({ ready }: GatewayProcess) => {
  const told = await ready()
  return told['ready'] === true && degraded(told).length === 0
}
await until(() => isWhole(gateway), 'both serve')

await t.test('one gateway: one READY, and a watchdog that the primary feeds', async (t) => {
  await until(() => has(/^WATCHDOG=1$/) > 1, 'the watchdog hears of it')
  t.equal(has(/^READY=1$/), 1)
  t.equal(children().length, 2)
})

await t.test(
  'a session is one at each worker, and lines of the log say which it was',
  async (t) => {
    const visitor = await s.signIn(s.alice)
    const cookie = `cookie: ${visitor.cookieHeader(url)}`
    t.strictSame(await atEach('/w/session', cookie), [200, 200, 200, 200])
    await until(() => servedBy('/w/session').size === 2, 'both have served it')
    t.strictSame(servedBy('/w/session'), new Set([1, 2]))

    await t.test('and a sign-out at one of them counts at the other', async (t) => {
      await visitor.submit(`${url}/auth/logout`)
      await until(
        async () => (await atEach('/w/session', cookie)).every((one) => one === 401),
        'both',
      )
      t.pass()
    })
  },
)

await t.test('what an operator ends at the one admin listener has ended at each', async (t) => {
  const bearer = await s.bearerOf(s.sam)
  t.strictSame(await atEach('/w/bearer', bearer), [200, 200, 200, 200])
  const { status, text } = await admin('/revoke', { user: 'sam' })
  t.equal(status, 200)
  t.match(JSON.parse(text), { revoked: 'sam', durable: true, foundIn: 'redis' })
  await until(async () => (await atEach('/w/bearer', bearer)).every((one) => one === 401), 'both')
  const names = JSON.parse((await admin('/names', { do: 'list' })).text) as {
    names: { name: string }[]
  }
  t.ok(names.names.some(({ name }) => name === 'sam'))
  t.match(JSON.parse((await admin('/')).text), { worker: { of: 2 }, readiness: { ready: true } })
  const arrival = 'an-announced-value-of-this-test'
  t.match(JSON.parse((await admin('/arrival', { arrival })).text), { arrived: null })
  await ask(`/auth/healthz?arrival=${arrival}`)
  t.match(JSON.parse((await admin('/arrival', { arrival })).text), { arrived: { host } })
})

await t.test('any worker explains at the one admin listener', async (t) => {
  const asked = { target: '/trac/w/explained', user: 'alice', groups: ['admin'] }
  for (const _ of [1, 2]) {
    const { status, text } = await admin('/explain', asked)
    t.equal(status, 200)
    t.match(JSON.parse(text), { decision: { outcome: 'forward', route: 'all' } })
    const senseless = await admin('/explain', { target: '' })
    t.equal(senseless.status, 400)
    t.match(JSON.parse(senseless.text), { error: 'ERR_BODY_MALFORMED', message: /a target, such/ })
  }
  t.equal(children().length, 2, 'and goes on')
})

await t.test('a head that comes too slowly ends its connection at each', async (t) => {
  const half = `GET /trac/w/slow HTTP/1.1\r\nHost: ${host}\r\nX: `
  const texts = [half, half, '', ''].map(
    (bytes) =>
      new Promise<string>((resolve, reject) => {
        let received = ''
        const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
        socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk))
        socket.on('error', reject).on('close', () => resolve(received))
      }),
  )
  for (const text of await Promise.all(texts)) t.match(text, /^HTTP\/1\.1 408 /)
  const slow = () => lines.filter(({ code }) => code === 'ERR_CLIENT_TIMEOUT')
  await until(() => slow().length === 2, 'those that began are logged')
  t.strictSame(new Set(slow().map(({ worker }) => worker)), new Set([1, 2]))
})

await t.test('a scrape is the sum of all workers', async (t) => {
  const bearer = await s.bearerOf(s.alice)
  const counted = async () => {
    const text = await metrics()
    return {
      requests: sumOf(text, 'trac_gateway_request_duration_seconds_count'),
      buckets: Number(
        /duration_seconds_bucket\{le="\+Inf",route="all",method="GET",status="200"\} (\d+)/.exec(
          text,
        )?.[1],
      ),
      of200: Number(
        /duration_seconds_count\{route="all",method="GET",status="200"\} (\d+)/.exec(text)?.[1],
      ),
      workers: sumOf(text, 'trac_gateway_workers'),
      generation: sumOf(text, 'trac_gateway_config_generation'),
      ready: sumOf(text, 'trac_gateway_ready'),
      builds: sumOf(text, 'trac_gateway_build_info'),
    }
  }
  const before = await counted()
  for (let i = 0; i < 10; i++) t.equal(await statusOf('/w/count', bearer), 200)
  await until(() => servedBy('/w/count').size === 2, 'both have served some')
  const after = await counted()
  t.equal(after.requests - before.requests, 10)
  t.equal(after.of200 - before.of200, 10)
  t.equal(after.buckets, after.of200)
  t.match(after, { workers: 2, generation: 1, ready: 1, builds: 1 })
})

await t.test('a worker that is killed loses its own requests alone, and comes back', async (t) => {
  const bearer = await s.bearerOf(s.alice)
  const paths = [1, 2, 3, 4, 5, 6].map((n) => `/w/held/${n}`)
  const asked = paths.map((path) => ask(path, { credential: bearer }))
  const release = await Promise.all(paths.map((path) => s.upstream.arrived(`/trac${path}`)))
  const before = sumOf(await metrics(), 'trac_gateway_request_duration_seconds_count')
  const [victim] = children()
  process.kill(victim!, 'SIGKILL')
  await until(() => lines.some(({ how }) => how === 'SIGKILL'), 'it was missed')
  t.match(await metrics(), missing)
  t.match(await gateway.ready(), { ready: true })
  t.ok(degraded(await gateway.ready()).includes('1 of 2 workers do not serve'))
  t.equal(await statusOf('/w/meanwhile', bearer), 200, 'the other one serves')
  for (const letGo of release) letGo()
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  const lost = statuses.filter((status) => status === 0).length
  t.ok(lost > 0 && lost < paths.length, `${lost} lost`)
  t.strictSame(new Set(statuses), new Set([0, 200]))
  const killed = lines.find(({ how }) => how === 'SIGKILL')?.['worker']
  for (const path of paths.filter((_, n) => statuses[n] === 200)) {
    await until(() => servedBy(path).size === 1, `${path} is logged`)
    t.notOk(servedBy(path).has(killed))
  }

  await until(() => lines.some(({ msg }) => msg === 'a worker serves again'), 'it is back')
  const text = await metrics()
  t.equal(sumOf(text, 'trac_gateway_workers'), 2)
  t.equal(sumOf(text, 'trac_gateway_worker_restarts_total'), 1)
  t.notMatch(text, missing)
  // The held ones were not over when it was killed; those of the other are counted, and the one meanwhile.
  t.equal(
    sumOf(text, 'trac_gateway_request_duration_seconds_count'),
    before + paths.length - lost + 1,
    'no count is lost',
  )
  t.strictSame(await atEach('/w/again', bearer), [200, 200, 200, 200])
  await until(() => servedBy('/w/again').size === 2, 'both serve')
})

await t.test('a reload reaches each, or none', async (t) => {
  const bearer = await s.bearerOf(s.alice)
  const good = await readFile(gateway.file, 'utf8')
  const reload = async (text: string, until_: () => boolean | Promise<boolean>) => {
    await writeFile(gateway.file, text)
    gateway.signal('SIGHUP')
    await until(until_, 'it was read')
  }
  const count = (msg: string) => lines.filter((line) => line['msg'] === msg).length

  await reload(
    good.replace('access: authenticated', 'access: deny'),
    () => count('a new configuration is served') === 2,
  )
  t.strictSame(await atEach('/w/x', bearer), [403, 403, 403, 403])
  t.equal(sumOf(await metrics(), 'trac_gateway_config_generation'), 2)

  await reload('server: nonsense', async () => degraded(await gateway.ready()).length > 0)
  t.strictSame(degraded(await gateway.ready()), ['the new configuration is refused'])
  t.match(JSON.parse((await admin('/')).text), {
    configuration: { lastRefusal: { isOpen: true } },
  })
  t.strictSame(await atEach('/w/x', bearer), [403, 403, 403, 403], 'the one before is served')

  await t.test('a worker that starts anew meanwhile has what the others serve', async (t) => {
    const again = count('a worker serves again')
    process.kill(children()[0]!, 'SIGKILL')
    await until(() => count('a worker serves again') > again, 'it is back')
    t.strictSame(await atEach('/w/x', bearer), [403, 403, 403, 403])
  })
  await t.test('keys that no worker can have refuse it at all of them', async (t) => {
    await s.provider.stop()
    await reload(
      good.replace('identity:\n', 'identity:\n  algorithms: [RS256, ES256]\n'),
      () => count('workers refuse the configuration') === 1,
    )
    t.strictSame(await atEach('/w/x', bearer), [403, 403, 403, 403])
  })
  await reload(good, async () => (await atEach('/w/x', bearer)).every((one) => one === 200))
  t.strictSame(degraded(await gateway.ready()), [])
})

await t.test('at SIGTERM both drain: no request is lost under load', async (t) => {
  const bearer = await s.bearerOf(s.alice)
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => agent.destroy())
  const statuses: number[] = []
  const state = { refused: false }
  const client = async (n: number): Promise<void> => {
    while (!state.refused) {
      const { status } = await ask(`/w/load/${n}`, {
        credential: bearer,
        method: n % 2 ? 'POST' : 'GET',
      })
      if (status === -1) state.refused = true
      else statuses.push(status)
    }
  }
  const held = ask('/w/held/last', { credential: bearer })
  const letGo = await s.upstream.arrived('/trac/w/held/last')
  const clients = Array.from({ length: 8 }, (_, n) => client(n))
  await until(() => statuses.length > 50, 'the load runs')
  const before = statuses.length
  gateway.signal('SIGTERM')
  await until(async () => (await gateway.ready())['ready'] === false, 'it is not ready')
  await until(() => state.refused, 'nobody new is taken')
  await Promise.all(clients)
  t.ok(statuses.length > before + 20, `${statuses.length - before} requests after the signal`)
  t.strictSame(new Set(statuses), new Set([200]))
  t.equal(gateway.end, '', 'it waits for what runs')
  letGo()
  t.equal((await held).status, 200)
  await until(() => gateway.end !== '', 'it ends')
  t.match(gateway.end, /^ended with 0: $/)
  t.strictSame(children(), [])
  t.equal(has(/^STOPPING=1$/), 1)
})

await t.test('an address that is taken ends it with 1, and says so once', async (t) => {
  const squatter = createServer()
  const taken = await listen(squatter)
  t.teardown(() => squatter.close())
  const starting = stage(t, {
    provider: s.provider,
    gateway: 'process',
    port: taken,
    overlay: { ...shared, workers: 2 },
    env: { REDIS: redis.url },
  })
  await t.rejects(starting, {
    message: new RegExp(`^the gateway ended with 1: 127.0.0.1:${taken} is in use: [^\\n]*\\n$`),
  })
})

const { provider } = await stage(t, { provider: 'scripted', gateway: false })
const somebody = `authorization: Bearer ${provider.sign('id')}`
const four = [1, 2, 3, 4]

await t.test('TLS that ends in the gateway, at a Unix socket', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-workers-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  const write = async (pair: TestCertificate) => {
    await writeFile(certificate, pair.certificate)
    await writeFile(key, pair.key)
  }
  const first = createCertificate()
  await write(first)
  const socketPath = join(folder, 'gateway.sock')
  const said: string[] = []
  const { gateway: secure } = await stage(t, {
    provider,
    upstream: s.upstream,
    gateway: 'process',
    overlay: {
      ...shared,
      workers: 2,
      log: { format: 'ecs' },
      server: {
        publicUrl: 'https://trac.example.edu/trac',
        listen: `unix:${socketPath}`,
        tls: { certificate: { fromFile: certificate }, key: { fromFile: key } },
      },
      routes,
    },
    env: { REDIS: redis.url },
    onLine: (line) => said.push(line),
  })
  const at = { socketPath, rejectUnauthorized: false, headers: { host: 'trac.example.edu' } }
  const statuses = (path: string) =>
    Promise.all(
      four.map(
        async () => (await ask(path, { credential: somebody, at, send: requestTls })).status,
      ),
    )
  const served = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connectTls({ path: socketPath, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerX509Certificate()?.toString().trim() ?? '')
        socket.destroy()
      })
      socket.once('error', reject)
    })
  /** What each of a form's lines has in its place for the worker. */
  const found = (form: RegExp) => new Set(said.flatMap((line) => form.exec(line)?.[1] ?? []))
  const both = new Set(['1', '2'])
  await until(() => isWhole(secure), 'both serve')

  await t.test('is done by both, and `ecs` says by which', async (t) => {
    t.strictSame(await statuses('/w/ecs'), [200, 200, 200, 200])
    const form = /^\{.*"message":"request".*"trac_gateway\.worker":(\d)[,}]/
    await until(() => found(form).size === 2, 'both have said so')
    t.strictSame(found(form), both)
    t.notMatch(
      said.find((line) => line.includes('workers listen')),
      /trac_gateway\.worker"/,
    )
  })

  await t.test('a configuration that one worker refuses is taken by none', async (t) => {
    const good = await readFile(secure.file, 'utf8')
    const keys = await (await fetch(provider.jwksUri)).text()
    let asked = 0
    provider.replace('jwks', () =>
      asked++ === 0 ? { status: 200, body: keys } : { status: 500, body: '' },
    )
    const other = good
      .replace('identity:\n', 'identity:\n  algorithms: [RS256, ES256]\n')
      .replace('access: authenticated', 'access: deny')
    await writeFile(secure.file, other)
    secure.signal('SIGHUP')
    const refusal = /"message":"workers refuse the configuration".*"trac_gateway\.workers":\[(\d)\]/
    await until(() => found(refusal).size === 1, 'one has refused')
    t.ok(asked > 1, 'both have asked for keys')
    await until(async () => degraded(await secure.ready()).length > 0, 'it is told')
    t.strictSame(await statuses('/w/refused'), [200, 200, 200, 200])
    await writeFile(secure.file, good)
    provider.restore('jwks')
  })

  await t.test('new files are taken by both, without a signal', async (t) => {
    t.strictSame(new Set(await Promise.all(four.map(served))), new Set([first.certificate.trim()]))
    const second = createCertificate()
    await write(second)
    const good = await readFile(secure.file, 'utf8')
    const changed = good.replace('format: ecs', 'format: plain')
    await writeFile(secure.file, changed.replace('access: authenticated', 'access: deny'))
    const taken = /"message":"a new certificate is served".*"trac_gateway\.worker":(\d)/
    await until(() => found(taken).size === 2, 'both have the new certificate')
    t.strictSame(new Set(await Promise.all(four.map(served))), new Set([second.certificate.trim()]))

    await until(() => found(/a new configuration is served worker=(\d)/).size === 2, 'both have it')
    t.strictSame(await statuses('/w/plain'), [403, 403, 403, 403])
    await until(() => isWhole(secure), 'nothing is refused any more')
    const form = /^\S+Z INFO {2}request GET \/trac\/w\/plain 403 .*\bworker=(\d)/
    await until(() => found(form).size === 2, 'both have said so')
    t.strictSame(found(form), both)
  })

  await t.test('when the primary is killed, no worker is left', async (t) => {
    secure.signal('SIGKILL')
    await until(() => secure.end !== '', 'it is gone')
    await until(() => {
      const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
      return !all.some((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(secure.file)
        } catch {
          return false
        }
      })
    }, 'and so are its workers')
    t.pass()
  })
})
