/** The archive and the package of Debian: they run where there is Node and nothing else, and are the same each time. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { loadText, minimal, secretOf, secrets } from '../fixtures/config.js'
import { startRedis } from '../fixtures/redis.js'
import { root } from '../fixtures/root.js'
import { isLarge } from '../fixtures/scale.js'
import { testServing } from '../fixtures/shipped.js'
import { readLockFile } from '../../src/cli/locked-packages.js'
import { readVersion } from '../../src/core/version.js'

const folder = t.testdir({ made: {}, again: {}, empty: {}, node: {}, unpacked: {}, system: {} })
const inside = (...names: readonly string[]): string => join(folder, ...names)
symlinkSync(process.execPath, inside('node/node'))
/** A machine with Node alone: no shell's tools, no home, no package manager. */
const bare = { PATH: inside('node'), HOME: inside('empty'), ...secrets }

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: inside('empty'),
    env,
    encoding: 'utf8',
  })
  return { status, text: `${stdout}${stderr}` }
}

const version = readVersion()
const archive = `trac-gateway-${version}.tar.gz`
const debian = `trac-gateway_${version}_all.deb`
const make = (to: string) =>
  // The program as the tests run it: to compile it once more would take long.
  run(`${root}deploy/make-archive`, ['--dist', `${root}.build/src`, '--to', inside(to)])
const made = make('made')
if (made.status !== 0) throw new Error(made.text)
const tree = inside('unpacked', `trac-gateway-${version}`)
const program = join(tree, 'bin/trac-gateway')

await t.test('each file has its SHA-256 beside it', async (t) => {
  t.strictSame(
    readdirSync(inside('made')).toSorted(),
    [archive, debian].flatMap((name) => [name, `${name}.sha256`]).toSorted(),
  )
  for (const name of [archive, debian]) {
    const sum = createHash('sha256')
      .update(readFileSync(inside('made', name)))
      .digest('hex')
    t.equal(readFileSync(inside('made', `${name}.sha256`), 'utf8'), `${sum}  ${name}\n`)
  }
})

await t.test('it unpacks to one folder, with the packages that run and no other', async (t) => {
  t.match(run('tar', ['-xzf', inside('made', archive), '-C', inside('unpacked')]), { status: 0 })
  t.strictSame(readdirSync(inside('unpacked')), [`trac-gateway-${version}`])
  const names = readdirSync(tree, { recursive: true, encoding: 'utf8' })
  for (const name of [
    ...['LICENSE', 'gateway.yaml', 'bin/trac-gateway', 'node_modules/fastify/package.json'],
    ...['deploy/systemd/trac-gateway.service', 'deploy/trac/trac_gateway.py'],
    ...['deploy/helm/trac-gateway/Chart.yaml', 'dist/browser/client.js'],
  ]) {
    t.ok(names.includes(name), name)
  }
  t.strictSame(
    names.filter((name) =>
      /^(?:src|test|dist\/demo)\b|node_modules\/(?:tap|typescript|oidc-provider)\b|\.key$|\.node$|\.map$/.test(
        name,
      ),
    ),
    [],
  )
  const open = names.filter((name) => {
    const stats = lstatSync(join(tree, name))
    return !stats.isSymbolicLink() && (stats.mode & 0o022) !== 0
  })
  t.strictSame(open, [], 'all of it is its owner’s to change')
})

await t.test('with Node alone it says its version and what is wrong with a file', async (t) => {
  t.strictSame(run(program, ['version'], bare), { status: 0, text: `${version}\n` })
  writeFileSync(inside('empty/gateway.yaml'), minimal)
  t.match(run(program, ['check'], bare), { status: 0, text: /ok/ })
  writeFileSync(inside('empty/gateway.yaml'), `${minimal}mode: maybe\n`)
  t.match(run(program, ['check'], bare), { status: 1, text: /mode/ })
})

await t.test('with Node alone it serves, and ends when it is told to', async (t) => {
  const file = inside('empty/gateway.yaml')
  await testServing(t, { command: program, args: ['start'], file, env: bare, cwd: inside('empty') })
  t.strictSame(readdirSync(inside('empty')), ['gateway.yaml'], 'it wrote nothing')
})

await t.test('so do its workers, with Redis, which is loaded where it is used', async (t) => {
  const { client, url } = await startRedis(t)
  await testServing(t, {
    ...{ command: program, args: ['start'], file: inside('empty/gateway.yaml') },
    ...{ env: { ...bare, REDIS: url }, cwd: inside('empty') },
    edit: (text) =>
      `${text.replace('session: {', `session: { store: redis, redis: { url: { fromEnv: REDIS } },`)}workers: 2\n`,
    async look() {
      const clients = String(await client.client('LIST'))
        .trim()
        .split('\n')
      t.ok(clients.length >= 3, `each worker has a connection: ${clients.length} with ours`)
    },
  })
})

await t.test('a package in the bundle leaves its name and its licence', async (t) => {
  const packages = join(tree, 'node_modules')
  for (const name of ['fastify', 'undici', '@fastify/http-proxy', 'jose']) {
    t.strictSame(
      readdirSync(join(packages, name)).filter(
        (file) => !/^(?:licen[cs]e|readme)|^node_modules$/i.test(file),
      ),
      ['package.json'],
      name,
    )
    t.ok(readdirSync(join(packages, name)).length > 1, `${name} has its licence`)
  }
  const places = readdirSync(packages, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('package.json'))
    .map((name) => `node_modules/${dirname(name)}`)
  const { shipped } = readLockFile(readFileSync(`${root}package-lock.json`, 'utf8'))
  t.strictSame(
    [...shipped.keys()].filter((place) => !places.includes(place)),
    [],
    'scanners find all of them',
  )
})

await t.test('a command that is loaded when it is called finds the files beside it', async (t) => {
  const folder = inside('unpacked')
  const environment = join(folder, 'environment')
  mkdirSync(join(environment, 'conf'), { recursive: true })
  mkdirSync(join(environment, 'plugins'))
  const said = run(
    program,
    [
      ...['init', '--config', join(folder, 'gateway.yaml'), '--trac-env', environment],
      ...['--public-url', 'http://localhost:18081/trac', '--issuer', 'http://127.0.0.1:9/realm'],
      ...['--client-id', 'trac', '--client-secret', 'none', '--trac', 'http://127.0.0.1:9'],
    ],
    bare,
  )
  t.match(said.text, /^written .*gateway\.yaml$/m)
  t.equal(
    readFileSync(join(environment, 'plugins/trac_gateway.py'), 'utf8'),
    readFileSync(`${root}deploy/trac/trac_gateway.py`, 'utf8'),
  )
})

await t.test(
  'dpkg installs it, keeps what an operator wrote, and takes all of it away',
  async (t) => {
    const system = inside('system')
    mkdirSync(join(system, 'var/lib/dpkg'), { recursive: true })
    for (const name of ['status', 'available'])
      writeFileSync(join(system, 'var/lib/dpkg', name), '')
    const dpkg = (...args: readonly string[]) =>
      run('dpkg', [
        ...[
          `--root=${system}`,
          '--force-depends',
          '--force-script-chrootless',
          '--force-not-root',
          '--force-unsafe-io',
        ],
        ...args,
      ])
    const there = (name: string) => run('test', ['-e', join(system, name)]).status === 0
    const installed = dpkg('--install', inside('made', debian))
    t.equal(installed.status, 0, installed.text)
    t.strictSame(run(join(system, 'opt/trac-gateway/bin/trac-gateway'), ['version'], bare), {
      status: 0,
      text: `${version}\n`,
    })
    t.ok(there('usr/lib/systemd/system/trac-gateway.service'))
    t.equal(lstatSync(join(system, 'etc/trac-gateway/secrets')).mode & 0o777, 0o700)
    t.match(
      run('dpkg-deb', ['--field', inside('made', debian), 'Depends']).text,
      'nodejs (>= 20.19)',
    )

    const config = join(system, 'etc/trac-gateway/gateway.yaml')
    writeFileSync(config, 'an operator wrote this')
    t.equal(dpkg('--install', inside('made', debian)).status, 0)
    t.equal(dpkg('--remove', 'trac-gateway').status, 0)
    t.equal(readFileSync(config, 'utf8'), 'an operator wrote this')
    t.notOk(there('opt/trac-gateway/dist'))
    t.equal(dpkg('--purge', 'trac-gateway').status, 0)
    for (const name of [
      'etc/trac-gateway/gateway.yaml',
      'etc/trac-gateway/secrets',
      'opt/trac-gateway',
    ])
      t.notOk(there(name), name)
  },
)

await t.test('the configuration that comes with the unit can be started as it is', async (t) => {
  const credentials = '/run/credentials/trac-gateway.service'
  const text = readFileSync(`${root}deploy/systemd/gateway.yaml`, 'utf8')
  const { warnings } = loadText(text, {
    files: {
      [`${credentials}/session`]: secretOf('s'),
      [`${credentials}/signing`]: secretOf('k'),
    },
  })
  // The groups are left to fill in.
  const known = ['base-path', 'cookie-store', 'no-admin']
  t.strictSame(
    warnings.map(({ name }) => name).filter((name) => !known.includes(name)),
    [],
  )
})

// It costs as much as all the rest.
if (isLarge) {
  await t.test('made again, they are the same byte for byte', async (t) => {
    t.equal(make('again').status, 0)
    for (const name of [archive, debian]) {
      const [one, other] = ['made', 'again'].map((to) => readFileSync(inside(to, name)))
      t.ok(one!.equals(other!), name)
    }
  })
}
