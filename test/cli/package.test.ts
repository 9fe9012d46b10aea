/** What `npm pack` makes: it holds what runs and nothing else, installs globally, and works from there. */
import { t } from '../fixtures/tap.js'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { minimal, secrets } from '../fixtures/config.js'
import { root } from '../fixtures/root.js'
import { testServing } from '../fixtures/shipped.js'

const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-package-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const checkout = join(folder, 'checkout')
const prefix = join(folder, 'prefix')

async function run(program: string, args: readonly string[], cwd = folder) {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...secrets } })
  let out = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, errors }
}

/** The package of a copy of the checkout, with the program as the tests run it: `prepack` would compile it once more. */
async function pack(): Promise<{ readonly filename: string; readonly paths: readonly string[] }> {
  for (const name of ['package.json', 'gateway.yaml', 'LICENSE', 'README.md', 'deploy']) {
    await cp(join(root, name), join(checkout, name), { recursive: true })
  }
  await cp(join(root, '.build/src'), join(checkout, 'dist'), {
    recursive: true,
    filter: (path) => !path.endsWith('.map'),
  })
  const { code, out, errors } = await run(
    'npm',
    ['pack', '--json', '--silent', '--ignore-scripts'],
    checkout,
  )
  t.equal(code, 0, errors)
  const [made] = JSON.parse(out) as [{ filename: string; files: { path: string }[] }]
  return { filename: join(checkout, made.filename), paths: made.files.map(({ path }) => path) }
}

const { filename, paths } = await pack()
const command = join(prefix, 'bin', 'trac-gateway')

await t.test('it holds the program, its documents and what operators copy', async (t) => {
  for (const path of [
    ...['dist/main.js', 'dist/browser/client.js', 'gateway.yaml', 'README.md', 'LICENSE'],
    ...['deploy/trac/trac_gateway.py', 'deploy/docs/README.md', 'deploy/CHANGELOG.md'],
    ...['deploy/forward-auth/nginx.conf', 'deploy/gateway.schema.json'],
  ]) {
    t.ok(paths.includes(path), path)
  }
})

await t.test('it holds no source, test or demo, and nothing that needs a checkout', async (t) => {
  const strange = paths.filter((path) =>
    /^(?:src|test|\.)|^dist\/demo|^dist\/cli\/(?:docs|reference|sbom|locked|bill)|\.map$|Dockerfile|compose|test-image/.test(
      path,
    ),
  )
  t.strictSame(strange, [])
})

await t.test('it installs globally', async (t) => {
  const options = ['--global', '--prefix', prefix, '--prefer-offline', '--no-audit', '--no-fund']
  const { code, errors } = await run('npm', ['install', ...options, filename])
  t.equal(code, 0, errors)
})

await t.test('the command says its version, and what is wrong with a configuration', async (t) => {
  t.match(await run(command, ['version']), { code: 0, out: /^\d+\.\d+\.\d+\n$/ })
  const file = join(folder, 'gateway.yaml')
  await writeFile(file, minimal)
  t.match(await run(command, ['check', '--config', file]), { code: 0, out: 'ok' })
  await writeFile(file, `${minimal}mode: maybe\n`)
  t.match(await run(command, ['check', '--config', file]), { code: 1, out: 'mode' })
})

await t.test('the command `demo` says where the demo is', async (t) => {
  t.match(await run(command, ['demo']), { code: 1, errors: 'npm ci && npm run demo' })
})

await t.test('it serves, its script for pages too, and ends when it is told to', async (t) => {
  const file = join(folder, 'serve.yaml')
  const env = { PATH: process.env['PATH'], ...secrets }
  await testServing(t, { command, args: ['start', '--config', file], file, env })
})
