/** The demo starts all its parts, prints lines that work, says what is in the way, and stops. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { runDemo, startDemo } from '../../src/demo/demo.js'
import type { DemoOptions } from '../../src/demo/demo.js'
import { createSigner } from '../../src/trac/signature.js'
import { freePort } from '../fixtures/ports.js'

const variables = [
  'TRAC_GATEWAY_PORT',
  'TRAC_GATEWAY_DEMO_TRAC_PORT',
  'TRAC_GATEWAY_DEMO_API_PORT',
  'TRAC_GATEWAY_DEMO_PROVIDER_PORT',
  'TRAC_GATEWAY_DEMO_ADMIN_PORT',
]

/** A demo on free ports and in a folder of its own, whose gateway only notes what it is given. */
class Stage {
  readonly lines: string[] = []
  readonly problems: string[] = []
  readonly signals = new EventEmitter()
  readonly given: Record<string, string>[] = []
  closed = 0
  ports: Record<string, string> = {}
  folder = ''

  static async create(test: Pick<Test, 'teardown'>): Promise<Stage> {
    const stage = new Stage()
    stage.folder = await mkdtemp(join(tmpdir(), 'trac-gateway-demo-'))
    test.teardown(() => rm(stage.folder, { recursive: true, force: true }))
    for (const name of variables) stage.ports[name] = String(await freePort())
    return stage
  }

  options(changes: Partial<DemoOptions> = {}): DemoOptions {
    return {
      startGateway: async (_path, environment) => {
        this.given.push(environment)
        return {
          close: async () => {
            this.closed += 1
          },
        }
      },
      environment: this.ports,
      configPath: 'gateway.yaml',
      folder: this.folder,
      report: (line) => this.lines.push(line),
      reportProblem: (line) => this.problems.push(line),
      signals: this.signals,
      ...changes,
    }
  }

  /** A variable of the last gateway that was started. */
  variable(name: string): string {
    return this.given.at(-1)?.[name] ?? ''
  }
}

/** Asks tracd for a page as the gateway would; unsigned without a secret. */
async function askTrac(stage: Stage, path: string, secret?: string): Promise<string> {
  const url = new URL(path, stage.variable('TRAC_GATEWAY_TRAC_URL'))
  const { host } = new URL(stage.variable('TRAC_GATEWAY_PUBLIC_URL'))
  const wire = { user: 'ivan', perms: 'TICKET_VIEW,WIKI_VIEW', email: '', name: '' }
  const signed = { method: 'GET', host, path, query: '' }
  const now = Math.floor(Date.now() / 1000)
  const headers: Record<string, string> =
    secret === undefined
      ? {}
      : {
          'X-Trac-User': wire.user,
          'X-Trac-Perms': wire.perms,
          'X-Trac-Signature': createSigner({ id: 'k1', secret })(signed, wire, now, 0),
        }
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers: { ...headers, Host: host } }, (res) => {
      let body = ''
      res.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      res.once('end', () => resolve(`${res.statusCode} ${body}`))
    })
    sent.once('error', reject)
    sent.end()
  })
}

await t.test('the demo starts provider, API and Trac for the gateway', async (t) => {
  const stage = await Stage.create(t)
  const demo = await startDemo(stage.options())
  t.teardown(() => demo.stop())
  const { ports } = stage
  t.equal(demo.publicUrl, `http://localhost:${ports['TRAC_GATEWAY_PORT']}/trac`)
  t.match(stage.given, [
    {
      TRAC_GATEWAY_PUBLIC_URL: demo.publicUrl,
      TRAC_GATEWAY_LISTEN: `127.0.0.1:${ports['TRAC_GATEWAY_PORT']}`,
      TRAC_GATEWAY_ADMIN_LISTEN: `127.0.0.1:${ports['TRAC_GATEWAY_DEMO_ADMIN_PORT']}`,
      TRAC_GATEWAY_ISSUER: demo.provider.issuer,
      TRAC_GATEWAY_CLIENT_ID: demo.provider.clientId,
      TRAC_GATEWAY_COGNITO_DOMAIN: demo.provider.origin,
      TRAC_GATEWAY_TRAC_URL: `http://127.0.0.1:${ports['TRAC_GATEWAY_DEMO_TRAC_PORT']}`,
      TRAC_GATEWAY_API_URL: `http://127.0.0.1:${ports['TRAC_GATEWAY_DEMO_API_PORT']}`,
      TRAC_GATEWAY_SESSION_SECRET: /^[\w-]{43}$/,
      TRAC_GATEWAY_SIGNING_SECRET: /^[\w-]{43}$/,
    },
  ])
  t.match(demo.provider.clients, [
    {
      redirectUris: [`${demo.publicUrl}/auth/callback`],
      logoutUris: [`${demo.publicUrl}/auth/signed-out`],
    },
  ])
  const api = await fetch(`${stage.variable('TRAC_GATEWAY_API_URL')}/api/whoami`)
  t.match(await api.json(), { path: '/api/whoami', user: '' })
  t.match(await askTrac(stage, '/trac/wiki/WikiStart'), /^403 /, 'Trac takes nothing unsigned')
  const page = await askTrac(stage, '/trac/wiki', stage.variable('TRAC_GATEWAY_SIGNING_SECRET'))
  t.match(page, /^200 /)
  t.match(page, /Demo course/)
})

await t.test('the demo keeps its Trac environment, and gives it new secrets', async (t) => {
  const stage = await Stage.create(t)
  const environment = join(stage.folder, stage.ports['TRAC_GATEWAY_PORT'] ?? '', 'trac')
  const first = await startDemo(stage.options())
  await first.stop()
  t.equal(stage.closed, 1)
  const made = await stat(join(environment, 'VERSION'))
  const second = await startDemo(stage.options())
  t.teardown(() => second.stop())
  t.equal((await stat(join(environment, 'VERSION'))).ino, made.ino, 'it is the same environment')
  const [one, two] = stage.given
  t.not(one?.['TRAC_GATEWAY_SIGNING_SECRET'], two?.['TRAC_GATEWAY_SIGNING_SECRET'])
  t.not(one?.['TRAC_GATEWAY_SESSION_SECRET'], two?.['TRAC_GATEWAY_SESSION_SECRET'])
  t.match(await askTrac(stage, '/trac/wiki', two?.['TRAC_GATEWAY_SIGNING_SECRET']), /^200 /)
  t.match(await askTrac(stage, '/trac/wiki', one?.['TRAC_GATEWAY_SIGNING_SECRET']), /^403 /)
})

await t.test('the demo prints address, people and fresh tokens, and ends at SIGINT', async (t) => {
  const stage = await Stage.create(t)
  const ready = new Promise<void>((resolve) => {
    stage.signals.once('printed', resolve)
  })
  const report = (line: string): void => {
    stage.lines.push(line)
    if (line.startsWith('Ctrl-C')) stage.signals.emit('printed')
  }
  const exit = runDemo(stage.options({ report }))
  await ready
  const text = stage.lines.join('\n')
  const publicUrl = stage.variable('TRAC_GATEWAY_PUBLIC_URL')
  for (const name of ['alice', 'ivan', 'sam']) {
    t.match(text, new RegExp(`${name}@example\\.edu +password ${name}-demo`))
  }
  const bearers = [...text.matchAll(/^curl -H 'Authorization: Bearer ([^']+)' (\S+)$/gm)]
  t.same(
    bearers.map((match) => match[2]),
    [`${publicUrl}/wiki/WikiStart`, `${publicUrl}/api/whoami`],
  )
  t.match(decodeJwt(bearers[0]?.[1] ?? ''), {
    iss: stage.variable('TRAC_GATEWAY_ISSUER'),
    aud: stage.variable('TRAC_GATEWAY_CLIENT_ID'),
    email: 'ivan@example.edu',
  })
  const body = /-d '(\{[^']+\})' \S+\/trac\/auth\/refresh$/m.exec(text)?.[1] ?? '{}'
  const answer = await fetch(`${stage.variable('TRAC_GATEWAY_COGNITO_DOMAIN')}/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: stage.variable('TRAC_GATEWAY_CLIENT_ID'),
      refresh_token: String(Object(JSON.parse(body)).refresh_token),
    }),
  })
  t.equal(answer.status, 200)
  stage.signals.emit('SIGINT')
  t.equal(await exit, 0)
  t.equal(stage.closed, 1)
  t.same(stage.problems, [])
  for (const name of ['TRAC_GATEWAY_TRAC_URL', 'TRAC_GATEWAY_API_URL', 'TRAC_GATEWAY_ISSUER']) {
    await t.rejects(fetch(stage.variable(name)), `nothing listens at ${name}`)
  }
  t.equal(stage.signals.listenerCount('SIGTERM'), 0)
})

await t.test('a port in use is told in one line: which, what for, how to change it', async (t) => {
  for (const variable of variables) {
    const stage = await Stage.create(t)
    const taken = createServer().listen(Number(stage.ports[variable]), '127.0.0.1')
    await once(taken, 'listening')
    t.equal(await runDemo(stage.options()), 1)
    t.equal(stage.problems.length, 1)
    t.match(stage.problems[0], `Port ${stage.ports[variable]} for`)
    t.match(stage.problems[0], `set ${variable} to a free one`)
    t.notMatch(stage.problems[0], '\n')
    t.same(stage.given, [])
    taken.close()
  }
})

await t.test('two uses of one port, and what is no port, are told', async (t) => {
  const stage = await Stage.create(t)
  stage.ports['TRAC_GATEWAY_DEMO_API_PORT'] = stage.ports['TRAC_GATEWAY_DEMO_TRAC_PORT'] ?? ''
  t.equal(await runDemo(stage.options()), 1)
  t.match(stage.problems, [/for the JSON API is in use: set TRAC_GATEWAY_DEMO_API_PORT/])
  for (const bad of ['0', '65536', 'eighty', '-1', '80.5']) {
    const other = await Stage.create(t)
    other.ports['TRAC_GATEWAY_PORT'] = bad
    t.equal(await runDemo(other.options()), 1)
    t.match(other.problems, [`trac-gateway demo: TRAC_GATEWAY_PORT=${bad} is not a port number`])
  }
})

await t.test('the demo stops what it started when the gateway does not start', async (t) => {
  const stage = await Stage.create(t)
  const broken = new Error('the configuration is wrong')
  const startGateway = (): Promise<never> => Promise.reject(broken)
  t.equal(await runDemo(stage.options({ startGateway })), 1)
  t.same(stage.problems, ['trac-gateway demo: the configuration is wrong'])
  const trac = `http://127.0.0.1:${stage.ports['TRAC_GATEWAY_DEMO_TRAC_PORT']}/trac`
  await t.rejects(fetch(trac))
})

await t.test('a signal while the demo starts stops it', async (t) => {
  const stage = await Stage.create(t)
  const exit = runDemo(stage.options())
  stage.signals.emit('SIGTERM')
  t.equal(await exit, 0)
  t.same(stage.given, [])
  t.same(stage.problems, [])
})
