/** The process: exit codes, what is said on a mistake, and that it ends when it is told to. */
import { t } from '../fixtures/tap.js'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { minimal, secrets } from '../fixtures/config.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = t.testdir({})

/** Runs the built program to its end. */
async function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...secrets, ...env },
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out }
}

const good = join(folder, 'good.yaml')
const bad = join(folder, 'bad.yaml')
await writeFile(good, minimal)
await writeFile(bad, `${minimal}\nserver2: 1\nmode: maybe\n`)

await t.test('check exits with 0 or 1 and says what is wrong and where', async (t) => {
  t.equal((await run(['check', '-c', good])).code, 0)
  const { code, out } = await run(['check', '--config', bad])
  t.equal(code, 1)
  t.match(out, /bad\.yaml:\d+:\d+ server2: /)
  t.match(out, /bad\.yaml:\d+:\d+ mode: found .*maybe.*; wanted enforce, shadow/)
})

await t.test('start with a bad file starts nothing and exits with 1', async (t) => {
  const { code, out } = await run(['start', '--config', bad])
  t.equal(code, 1)
  t.match(out, /mode/)
})

await t.test('an address in use ends the process with 1, whatever else was opened', async (t) => {
  const taken = createServer()
  const port = await listen(taken)
  t.teardown(() => taken.close())
  const redis = `store: redis, redis: { url: { fromEnv: REDIS_URL } }, `
  const text = minimal.replace('session: { ', `session: { ${redis}`)
  const places = {
    admin: `${text}admin: { listen: '127.0.0.1:${port}' }\n`,
    public: `${text.replace('trustedProxies', `listen: '127.0.0.1:${port}', trustedProxies`)}admin: { listen: '127.0.0.1:${await freePort()}' }\n`,
  }
  for (const [place, configuration] of Object.entries(places)) {
    const file = join(folder, `${place}.yaml`)
    await writeFile(file, configuration)
    const { code, out } = await run(['start', '--config', file], {
      REDIS_URL: 'redis://127.0.0.1:9',
    })
    t.equal(code, 1, place)
    t.match(out, `127.0.0.1:${port} is in use`)
  }
})

await t.test('wrong usage exits with 2, help and version exit with 0', async (t) => {
  t.equal((await run(['check', '--no-such-option'])).code, 2)
  t.equal((await run(['nonsense', 'words'])).code, 2)
  t.equal((await run(['--help'])).code, 0)
  t.match(await run(['--version']), { code: 0, out: /^\d+\.\d+\.\d+\n$/ })
  t.match(await run(['version']), { code: 0, out: /^\d+\.\d+\.\d+\n$/ })
})

await t.test('a mistyped command is told with the right one, and nothing starts', async (t) => {
  for (const [typed, meant] of [
    ['chekc', 'check'],
    ['strat', 'start'],
    ['revok', 'revoke'],
  ]) {
    const { code, out } = await run([typed!, '-c', good])
    t.equal(code, 2)
    t.match(out, `found the command "${typed}"; wanted ${meant} (did you mean that?)\n`)
  }
  t.match((await run(['nonsense'])).out, /wanted one of check, .*start/)
})

await t.test('a start that fails says which file or address, and what to change', async (t) => {
  const socket = minimal.replace(
    'trustedProxies: [',
    "listen: 'unix:/nowhere/x.sock', trustedProxies: [unix, ",
  )
  const elsewhere = minimal.replace('trustedProxies', "listen: '192.0.2.1:8080', trustedProxies")
  for (const [text, told] of [
    [socket, 'server.listen: found /nowhere, which does not exist; wanted a folder'],
    [elsewhere, '192.0.2.1:8080 is no address of this machine: change listen'],
  ] as const) {
    const file = join(folder, 'failing.yaml')
    await writeFile(file, `${text}admin: { listen: '127.0.0.1:${await freePort()}' }\n`)
    const { code, out } = await run(['start', '--config', file])
    t.equal(code, 1)
    t.match(out, told)
  }
})

await t.test('the reference has every command, and no other', async (t) => {
  const { out } = await run(['--help'])
  const commands = [...(out.split('Commands:')[1] ?? '').matchAll(/^  ([a-z]+)/gm)]
  const page = await readFile('deploy/docs/reference/commands.md', 'utf8')
  const listed = [...page.matchAll(/^\| `trac-gateway ([a-z]+)/gm)]
  t.strictSame(
    listed.map(([, name = '']) => name).toSorted(),
    commands.flatMap(([, name = '']) => (name === 'help' ? [] : [name])).toSorted(),
  )
})

await t.test('the process serves without a command and exits with 0 at SIGTERM', async (t) => {
  const port = await freePort()
  const admin = await freePort()
  const file = join(folder, 'serve.yaml')
  await writeFile(
    file,
    minimal
      .replace('https://trac.example.edu', `http://localhost:${port}`)
      .replace(
        'trustedProxies',
        `listen: '127.0.0.1:${port}', timeouts: { drain: 1s }, trustedProxies`,
      ) + `admin: { listen: '127.0.0.1:${admin}' }\n`,
  )
  const child = spawn(process.execPath, [main, '-c', file], {
    env: { PATH: process.env['PATH'], ...secrets },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve) => {
    let log = ''
    child.stdout.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      if (log.includes('"msg":"listening"')) resolve()
    })
  })
  const health = await fetch(`http://localhost:${port}/auth/healthz`)
  t.match({ status: health.status, body: await health.text() }, { status: 200, body: 'ok\n' })
  t.equal((await fetch(`http://127.0.0.1:${admin}/readyz`)).status, 503)
  child.kill('SIGTERM')
  t.strictSame(await once(child, 'close'), [0, null])
})
