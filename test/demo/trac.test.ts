/** The demo's Trac: made once, kept in the cache, with content and without rights of its own. */
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { cacheFolder, installTrac, startTrac } from '../../src/demo/trac.js'
import { admin, send } from '../fixtures/signed.js'
import { freePort } from '../fixtures/ports.js'
import { askPython, pythonOf, testKey } from '../fixtures/tracs.js'

async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-'))
  t.teardown(async () => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Lets {@link cacheFolder} be a folder of this test. */
async function ownCache(t: Test): Promise<string> {
  const before = process.env['TRAC_GATEWAY_CACHE']
  const folder = await temporaryFolder(t)
  process.env['TRAC_GATEWAY_CACHE'] = folder
  t.teardown(() => {
    if (before === undefined) delete process.env['TRAC_GATEWAY_CACHE']
    else process.env['TRAC_GATEWAY_CACHE'] = before
  })
  return folder
}

await t.test('the demo takes the virtual environment that test/setup made', async (t) => {
  const lines: string[] = []
  const python = await installTrac((line) => lines.push(line))
  t.equal(python, await pythonOf('1.6'))
  t.strictSame(lines, [])
})

await t.test('half a virtual environment is made anew, and then once', async (t) => {
  const cache = await ownCache(t)
  t.equal(cacheFolder(), cache)
  await mkdir(join(cache, 'trac-1.6', 'bin'), { recursive: true })
  await writeFile(join(cache, 'trac-1.6', 'bin', 'python'), 'not a Python')
  const lines: string[] = []
  const python = await installTrac((line) => lines.push(line))
  t.equal(lines.length, 1)
  t.equal(await askPython(python, 'import json, trac; print(json.dumps(trac.__version__))'), '1.6')
  t.equal(await installTrac((line) => lines.push(line)), python)
  t.equal(lines.length, 1, 'a second start says nothing')
})

await t.test('a missing Python is told in one line, with what to install', async (t) => {
  const cache = await ownCache(t)
  const missing = installTrac(() => {}, [join(cache, 'no-python'), '/bin/false'])
  await t.rejects(missing, { message: /^Python 3\.8 or later [^\n]*apt-get install[^\n]*$/ })
})

await t.test('the Trac of the demo has content and answers to the gateway alone', async (t) => {
  const environment = join(await temporaryFolder(t), 'demo')
  const port = await freePort()
  const publicUrl = 'https://trac.example.edu/trac'
  const trac = await startTrac({ environment, port, basePath: '/trac', keys: [testKey], publicUrl })
  t.teardown(trac.stop)
  t.equal(trac.url, `http://127.0.0.1:${port}`)
  t.equal(trac.environment, environment)
  const host = 'trac.example.edu'
  const fixture = {
    server: 'tracd 1.6',
    base: '/trac',
    python: '',
    port,
    host,
    environment,
  } as const
  const body = async (target: string): Promise<string> =>
    (await send(fixture, { target, from: admin })).body
  t.match(await body('/trac/wiki/WikiStart'), 'Welcome to the course')
  t.match(await body('/trac/ticket/3'), 'Read the chapter on reviews')
  t.match(await body('/trac/roadmap'), 'Autumn term')
  const login = await send(fixture, { target: '/trac/wiki/', from: admin })
  t.equal(login.headers.get('location'), `${publicUrl}/wiki`, 'redirects go to the public address')
  const keys = await stat(join(environment, 'conf', 'trac_gateway.keys'))
  t.equal(keys.mode & 0o777, 0o600)
  const rights = `import json, sys
from trac.env import Environment
print(json.dumps(Environment(sys.argv[1]).db_query("SELECT * FROM permission")))`
  t.strictSame(await askPython(await pythonOf('1.6'), rights, environment), [])
  await trac.stop()
  await t.rejects(send(fixture, { target: '/trac/about' }), { code: 'ECONNREFUSED' })
})

await t.test('a port in use is told by its number', async (t) => {
  const environment = join(await temporaryFolder(t), 'demo')
  const port = await freePort()
  const server = createServer().listen(port, '127.0.0.1')
  t.teardown(() => {
    server.close()
  })
  const start = startTrac({
    environment,
    port,
    basePath: '',
    keys: [testKey],
    publicUrl: `http://127.0.0.1:${port}`,
  })
  await t.rejects(start, { message: `Port ${port} on 127.0.0.1 is in use.` })
})
