/** `trac-gateway replay` judges what a real gateway logged, and says what it can't know. */
import { t } from '../fixtures/tap.js'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { Replayed } from '../../src/app/ask/replay.js'
import { secrets } from '../fixtures/config.js'
import { configurationOf } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { scaled } from '../fixtures/scale.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = t.testdir({})
const file = (name: string) => join(folder, name)

/** Runs the program to its end. */
async function run(
  args: readonly string[],
  input: string | Buffer = '',
  flags: readonly string[] = [],
) {
  const child = spawn(process.execPath, [...flags, main, 'replay', ...args], {
    env: { PATH: process.env['PATH'], ...secrets },
  })
  child.stdin.on('error', () => undefined).end(input)
  let [out, said] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, said }
}

async function replayed(args: readonly string[], input?: string | Buffer): Promise<Replayed> {
  const { out, said } = await run([...args, '--json'], input)
  if (said !== '') throw new Error(said)
  return JSON.parse(out) as Replayed
}

const overlay: Overlay = {
  permissions: { anonymous: ['WIKI_VIEW'], fromClaims: ['nonAdmin', 'LEARN'] },
  log: { auditQuery: ['action'] },
  routes: [
    {
      name: 'tried',
      path: '/tried/**',
      upstream: 'api',
      mode: 'shadow',
      require: { anyGroup: ['admins'] },
    },
    { name: 'api', path: '/api/**', upstream: 'api' },
  ],
}
const s = await stage(t, { provider: 'cognito', upstream: true, api: true, overlay })
const { gateway, port, bearerOf, cookieOf, alice, sam } = s

/** Writes the configuration under a name, with other words in it. */
function configured(name: string, change: Overlay = {}): string {
  const adminPort = Number(new URL(gateway.adminUrl).port)
  writeFileSync(
    file(name),
    configurationOf({ ...s.settings, overlay: { ...overlay, ...change } }, port, adminPort),
  )
  return file(name)
}
const same = configured('same.yaml')

const credentials = [
  '',
  await bearerOf(alice),
  await bearerOf(sam),
  await cookieOf(alice),
  await cookieOf(sam),
]
const requests = [
  ...['GET /trac/wiki/Start', 'GET /trac/wiki/Start?action=edit', 'POST /trac/wiki/Start'],
  ...[
    'GET /trac/ticket/1',
    'GET /trac/admin',
    'GET /trac/tried/x',
    'GET /trac/api/x',
    'PUT /trac/api/x',
  ],
  ...[
    'GET /trac/nothing/x',
    'PUT /trac/wiki/Start',
    'GET /trac/register',
    'GET /trac/report/1?action=edit',
  ],
]
async function askAll(): Promise<void> {
  for (const line of requests) {
    for (const credential of credentials)
      await ask({ port }, line, credential === '' ? [] : [credential])
  }
}
await askAll()
const log = gateway.log()
writeFileSync(file('audit.log'), log)
const decisions = log.split('\n').filter((line) => line.includes('"msg":"decision"')).length

await t.test('under the same policy no outcome changes, and nothing is unknown', async (t) => {
  const result = await replayed(['-c', same, file('audit.log')])
  t.match(result, { decisions, same: decisions, changed: 0, changes: [] })
  t.same(result.unknown, {})
  t.ok(decisions > 50, `${decisions} decisions`)
  const { code, out } = await run(['-c', same, file('audit.log')])
  t.equal(code, 0)
  t.match(out, new RegExp(`${decisions} stay as they were \\(100.0 %\\)`))
})

await t.test('what changes is told by route, user and outcome', async (t) => {
  const stricter = configured('stricter.yaml', {
    routes: [
      { name: 'tried', path: '/tried/**', upstream: 'api', require: { anyGroup: ['admins'] } },
      { name: 'api', path: '/api/**', upstream: 'api', access: 'deny' },
    ],
  })
  const { changes, changed } = await replayed(['-c', stricter, file('audit.log')])
  const of = (route: string) => changes.filter((change) => change.route === route)
  t.match(
    of('tried').find(({ user }) => user === 'sam'),
    {
      was: 'shadow ERR_GROUP_REQUIRED',
      now: 'ERR_GROUP_REQUIRED',
      count: 2,
      example: 'GET /trac/tried/x',
    },
  )
  t.match(
    of('tried').find(({ user }) => user === ''),
    { now: 'ERR_LOGIN_REQUIRED' },
  )
  t.notOk(
    of('tried').some(({ user }) => user === 'alice'),
    'who is in the group stays in',
  )
  t.match(
    of('api').find(({ user }) => user === 'alice'),
    { was: 'allow', now: 'ERR_ROUTE_DENIED' },
  )
  t.equal(
    changed,
    changes.reduce((sum, { count }) => sum + count, 0),
  )
  const { code, out } = await run(['-c', stricter, file('audit.log')])
  t.equal(code, 1, 'an outcome changes')
  t.match(out, /tried +sam +shadow ERR_GROUP_REQUIRED → ERR_GROUP_REQUIRED +GET \/trac\/tried\/x/)
})

await t.test('what a line does not tell is unknown, with the reason', async (t) => {
  const asking = configured('asking.yaml', {
    routes: [{ name: 'formats', path: '/wiki/**', query: { version: '1' }, access: 'deny' }],
  })
  const { unknown } = await replayed(['-c', asking, file('audit.log')])
  t.match(Object.keys(unknown), [/log\.auditQuery/])
  const open = configured('open.yaml', {
    routes: [{ name: 'open', path: '/nothing/**' }],
    builtinTracRoutes: true,
  })
  const opened = await replayed(['-c', open, file('audit.log')])
  t.ok(opened.decisions === decisions)
  // Lines of an earlier release say nothing of claims.
  const old = log.replaceAll(/,"claimed":\[[^\]]*\]/g, '')
  const claims = configured('claims.yaml', {
    permissions: { anonymous: ['WIKI_VIEW'], groups: { admins: ['TRAC_ADMIN'], students: [] } },
  })
  const left = await replayed(['-c', claims, '-'], old)
  t.ok((left.unknown['what the permissions claim named'] ?? 0) > 0)
  const known = await replayed(['-c', claims, file('audit.log')])
  t.equal(known.unknown['what the permissions claim named'], undefined)
  t.ok(known.changes.some(({ user, now }) => user === 'sam' && now === 'ERR_PERMISSION_REQUIRED'))
})

await t.test(
  'gzip, standard input and --since are taken, and what is no log is told',
  async (t) => {
    writeFileSync(file('audit.log.gz'), gzipSync(log))
    t.match(await replayed(['-c', same, file('audit.log.gz')]), { decisions })
    t.match(await replayed(['-c', same], gzipSync(log)), { decisions })
    t.match(await replayed(['-c', same, '-', file('audit.log')], log), { decisions: 2 * decisions })
    t.match(await replayed(['-c', same, '--since', '2100-01-01', file('audit.log')]), {
      decisions: 0,
    })
    t.match(await replayed(['-c', same, '--since', '1h', file('audit.log')]), { decisions })
    t.match(await run(['-c', same, '--since', 'yesterday', '-']), { code: 2, said: /such as 24h/ })
    t.match(await run(['-c', same, file('none.log')]), {
      code: 1,
      said: /no log that can be read \(ENOENT\)/,
    })
    writeFileSync(file('cut.gz'), gzipSync(log).subarray(0, 200))
    t.match(await run(['-c', same, file('cut.gz')]), { code: 1, said: /Z_BUF_ERROR/ })
  },
)

const count = scaled(20_000, 1_000_000)

await t.test(`${count} lines are judged in flat memory, a million in under a minute`, async (t) => {
  const lines = log.split('\n').filter((line) => line.includes('"msg":"decision"'))
  const grants = log.split('\n').filter((line) => line.includes('"msg":"grants"'))
  const big = createWriteStream(file('big.log'))
  big.write(`${grants.join('\n')}\n`)
  for (let i = 0; i < count; i += lines.length) {
    const more = lines.map((line) => line.replace('"sam"', `"user${i % 50_000}"`))
    if (!big.write(`${more.join('\n')}\n`)) await once(big, 'drain')
  }
  await new Promise<void>((resolve) => big.end(resolve))
  const began = performance.now()
  const { code, out, said } = await run(['-c', same, '--json', file('big.log')], '', [
    '--max-old-space-size=96',
  ])
  const seconds = (performance.now() - began) / 1000
  t.equal(code, 0, said)
  const result = JSON.parse(out) as Replayed
  t.ok(result.decisions >= count)
  t.equal(result.changed, 0)
  t.comment(`${result.decisions} decisions in ${seconds.toFixed(1)} s`)
  t.ok(seconds < 60)
})

await t.test('a log of ecs is read as well, and one for people is named as unread', async (t) => {
  /** What is logged in one form. */
  const logIn = async (format: string): Promise<string> => {
    await gateway.reload({ ...overlay, log: { auditQuery: ['action'], format } })
    const before = gateway.log().length
    await askAll()
    return gateway.log().slice(before)
  }
  writeFileSync(file('ecs.log'), await logIn('ecs'))
  const result = await replayed(['-c', same, file('ecs.log')])
  t.match(result, { decisions, same: decisions, changed: 0, plain: 0 })
  t.same(result.unknown, {})

  writeFileSync(file('plain.log'), await logIn('plain'))
  const { code, out } = await run(['-c', same, file('plain.log')])
  t.equal(code, 1)
  t.match(out, `${decisions} more decisions were not read: found lines of log.format plain`)
})
