/** Own TLS and TLS in front: a certificate is renewed while it serves, and only peers that are trusted say "https". */
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { NetConnectOpts } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { loadConfig } from '../../src/config/load.js'
import { startGateway } from '../../src/app/gateway.js'
import { createLogger } from '../../src/observe/logger.js'
import { createCertificate } from '../fixtures/certificate.js'
import type { TestCertificate } from '../fixtures/certificate.js'
import { closeGateway, configurationOf, environmentOf } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { startGatewayProcess } from '../fixtures/process.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { requestText, splitAnswers } from '../fixtures/wire.js'
import type { WireAnswer } from '../fixtures/wire.js'

const identity = { issuer: 'http://127.0.0.1:9', clientId: 'trac' }
const { upstream } = await stage(t, { upstream: true, gateway: false })

// ── A certificate of our own, while it changes ───────────────────────────────────────────────────────

const names = { certificate: 'tls.crt', key: 'tls.key' } as const

const write = async (folder: string, pair: TestCertificate): Promise<void> => {
  // As certbot does: one after the other, the certificate first.
  await writeFile(join(folder, names.certificate), pair.certificate)
  await writeFile(join(folder, names.key), pair.key)
}

type Place = (folder: string, pair: TestCertificate) => Promise<void>

async function makeFolder(
  t: Test,
  place: Place,
): Promise<[folder: string, first: TestCertificate]> {
  const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-tls-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const first = createCertificate()
  await place(folder, first)
  return [folder, first]
}

/** The part of a configuration that names the files. */
const overlayFor = (folder: string, port: number): Overlay => ({
  identity,
  server: {
    publicUrl: `https://localhost:${port}/trac`,
    tls: {
      certificate: { fromFile: join(folder, names.certificate) },
      key: { fromFile: join(folder, names.key) },
    },
  },
})

/** Opens a TLS connection; it is closed when the test ends. */
function dial(t: Test, port: number, more: object = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', servername: 'localhost', ...more }
    const socket = connectTls({ ...options, rejectUnauthorized: false }, () => resolve(socket))
    socket.once('error', reject)
    t.teardown(() => socket.destroy())
  })
}

/** The certificate that a new connection gets, as PEM. */
async function servedAt(t: Test, port: number): Promise<string> {
  const socket = await dial(t, port)
  const pem = socket.getPeerX509Certificate()?.toString() ?? ''
  socket.destroy()
  return pem.trim()
}

/** Asks on a connection that stays open; resolves with the status line. */
function askOn(socket: TLSSocket, port: number): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1').split('\r\n', 1)[0]!))
    const headers = [`Host: localhost:${port}`, 'Connection: keep-alive']
    socket.write(requestText({ port }, 'GET /trac/wiki', headers))
  })
}

/** A gateway in this process whose certificate is in a folder's files. */
async function startStage(t: Test, place: Place = write) {
  const [folder, first] = await makeFolder(t, place)
  const port = await freePort()
  const options = { overlay: overlayFor(folder, port), tracUrl: upstream.url }
  const file = join(folder, 'gateway.yaml')
  await writeFile(file, configurationOf(options, port, await freePort()))
  const { config } = loadConfig(file, { env: environmentOf(options) })
  let log = ''
  const logger = createLogger('info', { write: (line: string) => void (log += line) })
  const timers = createTimers()
  const gateway = await startGateway({ config, logger, timers })
  t.teardown(() => closeGateway(gateway, timers))
  const served = () => servedAt(t, port)
  /** Lets a second pass again and again, until it is so. */
  const passUntil = (isSo: () => boolean | Promise<boolean>, what: string) =>
    until(() => {
      timers.advance(1000)
      return isSo()
    }, what)
  return {
    folder,
    first,
    port,
    gateway,
    timers,
    served,
    passUntil,
    log: () => log,
    isServed: (pair: TestCertificate) =>
      passUntil(
        async () => (await served()) === pair.certificate.trim(),
        'the certificate is served',
      ),
    /** What `/readyz` tells of it. */
    degraded: () =>
      gateway.readiness.report().degraded.filter((text) => text.includes('certificate')),
    refusals: () => log.split('\n').filter((line) => line.includes('ERR_CERTIFICATE_REFUSED')),
  }
}

await t.test('new connections get the new certificate, and an open one lives on', async (t) => {
  const stage = await startStage(t)
  const { folder, first, port } = stage
  t.equal(await stage.served(), first.certificate.trim())
  const old = await dial(t, port)
  t.equal(await askOn(old, port), 'HTTP/1.1 200 OK')

  const second = createCertificate()
  await write(folder, second)
  await stage.isServed(second)
  t.equal(await askOn(old, port), 'HTTP/1.1 200 OK')
  t.equal(old.getPeerX509Certificate()?.toString().trim(), first.certificate.trim())
  t.strictSame(stage.refusals(), [], 'nothing was refused between the two files')
  t.strictSame(stage.degraded(), [])
  t.equal(stage.log().match(/a new certificate is served/g)?.length, 1)
})

await t.test('a session of the old certificate is not resumed with it', async (t) => {
  const stage = await startStage(t)
  const socket = await dial(t, stage.port, { maxVersion: 'TLSv1.2' })
  const session = socket.getSession()
  t.ok((await dial(t, stage.port, { maxVersion: 'TLSv1.2', session })).isSessionReused())
  const second = createCertificate()
  await write(stage.folder, second)
  await stage.isServed(second)
  const again = await dial(t, stage.port, { maxVersion: 'TLSv1.2', session })
  t.notOk(again.isSessionReused())
  t.equal(again.getPeerX509Certificate()?.toString().trim(), second.certificate.trim())
})

await t.test(
  'a certificate that has no key yet is waited for, and said to be nothing',
  async (t) => {
    const { folder, first, timers, served, passUntil, isServed, refusals } = await startStage(t)
    const second = createCertificate()
    await writeFile(join(folder, names.certificate), second.certificate)
    await passUntil(() => timers.waiting > 0, 'the key is waited for')
    t.equal(await served(), first.certificate.trim())
    await writeFile(join(folder, names.key), second.key)
    await isServed(second)
    t.strictSame(refusals(), [])
  },
)

await t.test('the key may come first, and files may be renamed over the old ones', async (t) => {
  const { folder, isServed, refusals } = await startStage(t)
  const second = createCertificate()
  for (const part of ['key', 'certificate'] as const) {
    await writeFile(join(folder, `${names[part]}.new`), second[part])
    await rename(join(folder, `${names[part]}.new`), join(folder, names[part]))
  }
  await isServed(second)
  t.strictSame(refusals(), [])
})

await t.test('a link may be turned to another folder, as Kubernetes and certbot do', async (t) => {
  const version = async (folder: string, name: string, pair: TestCertificate): Promise<void> => {
    await mkdir(join(folder, name))
    await write(join(folder, name), pair)
    await symlink(name, join(folder, '..data.new'))
    await rename(join(folder, '..data.new'), join(folder, '..data'))
  }
  const { folder, first, served, isServed, refusals } = await startStage(t, async (place, pair) => {
    await version(place, 'v1', pair)
    for (const name of Object.values(names)) await symlink(`..data/${name}`, join(place, name))
  })
  t.equal(await served(), first.certificate.trim())
  for (const name of ['v2', 'v3']) {
    const next = createCertificate()
    await version(folder, name, next)
    await isServed(next)
  }
  t.strictSame(refusals(), [])
})

const spoiled: Readonly<Record<string, (folder: string) => Promise<void>>> = {
  'a key of another certificate': (folder) =>
    writeFile(join(folder, names.key), createCertificate().key),
  'a certificate of another key': (folder) =>
    writeFile(join(folder, names.certificate), createCertificate().certificate),
  'a certificate that is none': (folder) => writeFile(join(folder, names.certificate), 'nonsense'),
  'half a certificate': async (folder) => {
    const { certificate } = createCertificate()
    await writeFile(join(folder, names.certificate), certificate.slice(0, certificate.length / 2))
  },
  'an empty certificate': (folder) => writeFile(join(folder, names.certificate), ''),
  'an empty key': (folder) => writeFile(join(folder, names.key), ''),
  'a certificate that is gone': (folder) => rm(join(folder, names.certificate)),
  'a folder in its place': async (folder) => {
    await rm(join(folder, names.certificate))
    await mkdir(join(folder, names.certificate))
  },
}
await t.test(
  'files that no longer fit are logged, and the old certificate is served on',
  async (t) => {
    for (const [what, spoil] of Object.entries(spoiled)) {
      await t.test(`${what} is logged, and the old certificate is served on`, async (t) => {
        const stage = await startStage(t)
        const { folder, first, gateway } = stage
        await spoil(folder)
        await stage.passUntil(() => stage.degraded().length > 0, 'it is told')
        t.equal(stage.degraded().length, 1)
        t.equal(stage.refusals().length, 1)
        t.match(JSON.parse(stage.refusals()[0] ?? '{}'), { level: 'error', cause: Object })
        t.notMatch(stage.log(), /BEGIN|PRIVATE/)
        t.equal(await stage.served(), first.certificate.trim())

        await rm(join(folder, names.certificate), { recursive: true, force: true })
        const second = createCertificate()
        await write(folder, second)
        await stage.isServed(second)
        await stage.passUntil(() => stage.degraded().length === 0, 'and is over')
        t.notOk(gateway.readiness.report().degraded.some((text) => text.includes('certificate')))
      })
    }
  },
)

await t.test('the old pair ends the trouble when it is put back', async (t) => {
  const stage = await startStage(t)
  await writeFile(join(stage.folder, names.key), createCertificate().key)
  await stage.passUntil(() => stage.degraded().length > 0, 'it is told')
  await write(stage.folder, stage.first)
  await stage.passUntil(() => stage.degraded().length === 0, 'it is over')
  t.equal(await stage.served(), stage.first.certificate.trim())
  t.notMatch(stage.log(), 'a new certificate is served')
})

await t.test('a gateway that has ended no longer looks at its certificate', async (t) => {
  const stage = await startStage(t)
  await stage.gateway.close()
  await write(stage.folder, createCertificate())
  stage.gateway.reloadCertificate()
  stage.timers.advance(60_000)
  // Another one that saw the same span of time pass.
  const other = await startStage(t)
  const second = createCertificate()
  await write(other.folder, second)
  await other.isServed(second)
  t.notMatch(stage.log(), /a new certificate is served|ERR_CERTIFICATE_REFUSED/)
})

await t.test('SIGHUP reads the certificate at once and ends nothing', async (t) => {
  const [folder] = await makeFolder(t, write)
  const port = await freePort()
  const lines: string[] = []
  const gateway = await startGatewayProcess(t, {
    port,
    overlay: overlayFor(folder, port),
    onLine: (line) => lines.push(line),
  })
  await writeFile(join(folder, names.key), createCertificate().key)
  process.kill(gateway.pid, 'SIGHUP')
  await until(() => lines.some((line) => line.includes('ERR_CERTIFICATE_REFUSED')), 'it is told')
  const second = createCertificate()
  await write(folder, second)
  process.kill(gateway.pid, 'SIGHUP')
  await until(async () => (await servedAt(t, port)) === second.certificate.trim(), 'it is served')
  t.equal(gateway.end, '')
})

await t.test('without a certificate of its own, SIGHUP ends nothing either', async (t) => {
  const gateway = await startGatewayProcess(t, { overlay: { identity } })
  process.kill(gateway.pid, 'SIGHUP')
  for (let i = 0; i < 3; i++) t.equal((await fetch(`${gateway.url}/auth/healthz`)).status, 200)
  t.equal(gateway.end, '')
})

await t.test('old versions of TLS and weak ciphers are refused', async (t) => {
  const { port } = await startStage(t)
  const refused: Readonly<Record<string, object>> = {
    'TLS 1.0': { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
    'TLS 1.1': { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
    CBC: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA' },
    'no forward secrecy': { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:AES256-SHA' },
  }
  for (const [what, options] of Object.entries(refused)) {
    await t.rejects(dial(t, port, options), { code: /^(?:ERR_SSL|ECONNRESET)/ }, what)
  }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await dial(t, port, { minVersion: version, maxVersion: version })
    t.equal(socket.getProtocol(), version)
  }
})

// ── Who may say that a request came over HTTPS ───────────────────────────────────────────────────────

interface Stand {
  readonly name: string
  readonly listen: (port: number, folder: string) => string
  readonly at: (port: number, folder: string) => NetConnectOpts
  readonly trusting: readonly string[]
  readonly untrusting: readonly string[] | undefined
}

const socketIn = (folder: string) => join(folder, 'gateway.sock')

/** Each is tried with a list of trusted proxies that holds the peer and with one that does not. */
const stands: readonly Stand[] = [
  {
    name: 'an IPv4 peer',
    listen: (port) => `127.0.0.1:${port}`,
    at: (port) => ({ port, host: '127.0.0.1' }),
    trusting: ['10.0.0.0/8', '127.0.0.0/8'],
    untrusting: ['10.0.0.0/8', '127.0.0.2', '::1', 'fd00::/8', 'unix'],
  },
  {
    name: 'an IPv6 peer',
    listen: (port) => `[::1]:${port}`,
    at: (port) => ({ port, host: '::1' }),
    trusting: ['::/64'],
    untrusting: ['fd00::/8', '::2', '0.0.0.0/0', 'unix'],
  },
  {
    name: 'an IPv4 peer of a listener for both',
    listen: (port) => `[::]:${port}`,
    at: (port) => ({ port, host: '127.0.0.1' }),
    trusting: ['127.0.0.1'],
    untrusting: ['::1', 'fd00::/8'],
  },
  {
    name: 'the peer of a Unix socket',
    listen: (_port, folder) => `unix:${socketIn(folder)}`,
    at: (_port, folder) => ({ path: socketIn(folder) }),
    trusting: ['unix'],
    // A list without the word is refused when it is loaded: nobody could ever come in.
    untrusting: undefined,
  },
]

async function askAt(at: NetConnectOpts, line: string, headers: readonly string[]) {
  const text = await new Promise<string>((resolve, reject) => {
    let received = ''
    const socket = connect(at, () => socket.write(requestText({ port: 0 }, line, headers)))
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (received += chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
  })
  const [answer] = splitAnswers(text, [line.slice(0, line.indexOf(' '))])
  return answer
}

const host = 'Host: trac.example.edu'
const spoof = 'Host: evil.example'
const saysHttps: readonly (readonly string[])[] = [
  ['X-Forwarded-Proto: https'],
  ['X-Forwarded-Proto: HTTPS'],
  ['Forwarded: for=192.0.2.1;proto=https'],
  ['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https'],
  ['X-Forwarded-Proto: https, http'],
  ['X-Forwarded-Proto: wss'],
]

const credentials = ['Authorization: Bearer not-a-token', 'Cookie: tg-00000000-s=x']

function isRefusedPlainly(t: Test, answer: WireAnswer | undefined, status: number, what: string) {
  t.equal(answer?.status, status, what)
  t.match(answer?.header('strict-transport-security'), /^max-age=[1-9]\d{6,}/)
  t.equal(answer?.header('set-cookie'), '')
}

for (const { name, listen, at, trusting, untrusting } of stands) {
  for (const [trusts, proxies] of [
    [true, trusting],
    [false, untrusting],
  ] as const) {
    if (proxies === undefined) continue
    await t.test(
      `${name} that is ${trusts ? 'trusted' : 'not trusted'} ${trusts ? 'says' : 'can’t say'} that a request came by HTTPS`,
      async (t) => {
        const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-unix-'))
        t.teardown(() => rm(folder, { recursive: true }))
        const port = await freePort()
        await stage(t, {
          port,
          upstream,
          overlay: {
            server: {
              publicUrl: 'https://trac.example.edu/trac',
              listen: listen(port, folder),
              trustedProxies: proxies,
            },
          },
        })
        const where = at(port, folder)
        const before = upstream.received.length

        for (const said of saysHttps) {
          const answer = await askAt(where, 'GET /trac/wiki', [host, ...said])
          t.equal(answer?.status, trusts ? 200 : 421, said.join())
          t.match(answer?.header('strict-transport-security'), /^max-age=/)
          if (!trusts) t.match(answer?.body, /server\.trustedProxies/)
        }
        t.equal(upstream.received.length - before, trusts ? saysHttps.length : 0)

        const byHttp = [host, 'X-Forwarded-Proto: http']
        const plain = await askAt(where, 'GET /trac/wiki?a=b', [...byHttp, ...credentials])
        isRefusedPlainly(t, plain, 308, 'a plain GET')
        t.equal(plain?.header('location'), 'https://trac.example.edu/trac/wiki?a=b')
        isRefusedPlainly(t, await askAt(where, 'HEAD /trac/wiki', byHttp), 308, 'a plain HEAD')
        for (const line of ['POST /trac/wiki', 'PUT /trac/api/x', 'POST /trac/auth/refresh']) {
          const headers = [...byHttp, 'Content-Length: 0', ...credentials]
          isRefusedPlainly(t, await askAt(where, line, headers), 403, line)
        }
        const silent = await askAt(where, 'GET /trac/wiki', [host])
        isRefusedPlainly(t, silent, trusts ? 421 : 308, 'nothing is said')

        for (const headers of [[spoof], [spoof, 'X-Forwarded-Host: trac.example.edu']]) {
          const answer = await askAt(where, 'GET /trac/wiki', [...headers, ...saysHttps[0]!])
          isRefusedPlainly(t, answer, 421, 'a foreign host')
          t.match(answer?.body, 'ERR_HOST_UNKNOWN')
        }
        const health = await askAt(where, 'GET /trac/auth/healthz', [spoof, ...credentials])
        t.match(health, { status: 200, body: 'ok\n' })
        t.equal(upstream.received.length - before, trusts ? saysHttps.length : 0)
      },
    )
  }
}

await t.test('behind a certificate of our own every answer carries HSTS', async (t) => {
  const { port } = await startStage(t)
  const lines: readonly (readonly [line: string, host: string, status: number])[] = [
    ['GET /trac/wiki', `localhost:${port}`, 200],
    ['GET /', `localhost:${port}`, 302],
    ['GET /elsewhere', `localhost:${port}`, 404],
    ['GET /trac/newticket', `localhost:${port}`, 401],
    ['GET /trac/auth/signed-out', `localhost:${port}`, 200],
    ['GET /trac/auth/client.js', `localhost:${port}`, 200],
    ['GET /trac/auth/healthz', 'anything.example', 200],
    ['GET /trac/wiki', 'evil.example', 421],
    ['GET /trac/wiki', 'localhost', 421],
  ]
  for (const [line, name, status] of lines) {
    const socket = await dial(t, port)
    const text = await new Promise<string>((resolve) => {
      let received = ''
      socket.setEncoding('latin1')
      socket.on('data', (chunk: string) => (received += chunk))
      socket.on('close', () => resolve(received))
      // What a peer says that is not trusted counts neither for nor against it.
      const headers = [`Host: ${name}`, 'X-Forwarded-Proto: http']
      socket.write(requestText({ port }, line, headers))
    })
    const [answer] = splitAnswers(text)
    t.equal(answer?.status, status, `${line} ${name}`)
    t.match(answer?.header('strict-transport-security'), /^max-age=[1-9]\d{6,}/, line)
  }
})
