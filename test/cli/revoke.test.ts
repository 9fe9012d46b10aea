/** `trac-gateway revoke`: the built program asks the gateway that runs, and its exit code tells whether that lasts. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import type { Revoked } from '../../src/observe/admin.js'
import { minimal, secrets } from '../fixtures/config.js'
import type { Overlay } from '../fixtures/gateway.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = t.testdir({})
const { provider, upstream } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  gateway: false,
})

/** Runs the command with a configuration whose admin part is this text. */
function revoke(admin: string, ...args: string[]): Promise<{ code: number; out: string }> {
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, minimal + admin)
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], ...secrets }
    execFile(
      process.execPath,
      [main, 'revoke', '-c', file, ...args],
      { env },
      (error, stdout, stderr) => {
        resolve({ code: Number(error?.code ?? 0), out: stdout + stderr })
      },
    )
  })
}

/** A gateway with somebody signed in, and the text by which the command finds it. */
async function signedIn(t: Test, session: Overlay, revocations?: number) {
  const { gateway, visitor, url } = await stage(t, {
    provider,
    upstream,
    ...(revocations === undefined ? {} : { bounds: { revocations } }),
    overlay: { session, admin: { token: { fromEnv: 'SESSION' } } },
    person: 'sam',
  })
  const { port } = new URL(gateway.adminUrl)
  return {
    admin: `admin: { listen: '127.0.0.1:${port}', token: { fromEnv: SESSION } }\n`,
    statusOf: async () => (await visitor.fetch(`${url}/auth/session`)).status,
  }
}

await t.test('revoke ends everything of a user, now and over a restart', async (t) => {
  const { admin, statusOf } = await signedIn(t, { revocationFile: join(folder, 'kept') })
  t.equal(await statusOf(), 200)
  const somebody = await revoke(admin, '--user', 'somebody-else')
  t.equal(somebody.code, 0)
  t.match(somebody.out, 'somebody-else: not seen by this process, the names file or Redis.')
  t.match(somebody.out, 'Sessions ended: 0 in memory here; others end when their cookie comes.')
  t.equal(await statusOf(), 200)
  const { code, out } = await revoke(admin, '--user', 'sam')
  t.equal(code, 0)
  t.match(out, `sam is signed out everywhere`)
  t.match(out, 'Sessions ended: 1 in memory here; others end when their cookie comes.')
  t.match(out, 'Refresh tokens revoked at the provider: 1.')
  t.match(out, /Subject: [0-9a-f-]{36} of http/)
  t.match(out, /Tokens issued until 20\d\d-\S+Z are refused \(now and identity\.clockTolerance\)/)
  t.match(out, 'The account at the provider is still open')
  t.equal(await statusOf(), 401)
})

await t.test('the guide shows what it says', async (t) => {
  const guide = readFileSync('deploy/docs/guides/operations.md', 'utf8')
  const [, shown = ''] = /```\n(alice is signed out [^]*?)```/.exec(guide) ?? []
  const ended = {
    durable: true,
    sessions: 2,
    foundIn: 'redis',
    refreshTokens: { revoked: 2, failed: 0 },
    personalTokens: 1,
    subjects: [{ issuer: 'https://idp.example.edu', subject: '6f0c1d2e-…' }],
    before: Date.parse('2026-11-26T12:00:30Z'),
  } satisfies Revoked
  const admin = createServer((_request, response) => response.end(JSON.stringify(ended)))
  const port = await listen(admin)
  t.teardown(() => admin.close())
  const there = `admin: { listen: '127.0.0.1:${port}', token: { fromEnv: SESSION } }\n`
  t.strictSame(await revoke(there, '--user', 'alice'), { code: 0, out: shown })
})

await t.test('revoke that is kept in memory only says so and exits with 1', async (t) => {
  const { admin, statusOf } = await signedIn(t, {})
  const { code, out } = await revoke(admin, '--user', 'sam', '--json')
  t.equal(code, 1)
  t.match(JSON.parse(out), {
    user: 'sam',
    ok: false,
    message: /revocationFile.*redis/,
    durable: false,
    sessions: 1,
    foundIn: 'memory',
    refreshTokens: { revoked: 1, failed: 0 },
  })
  t.equal(await statusOf(), 401)
})

await t.test('revoke that can’t be written still counts in the process, and says so', async (t) => {
  const file = join(folder, 'unwritable')
  const { admin, statusOf } = await signedIn(t, { revocationFile: file })
  // A folder of that name can't be appended to, for root either.
  const { rm } = await import('node:fs/promises')
  await rm(file)
  mkdirSync(file)
  t.teardown(() => rmdirSync(file))
  const { code, out } = await revoke(admin, '--user', 'sam')
  t.equal(code, 1)
  t.match(out, /is not revoked: The session store cannot be reached/)
  t.equal(await statusOf(), 401)
})

await t.test('revoke that finds no place in a full list says so, and exits with 1', async (t) => {
  const { admin } = await signedIn(t, { revocationFile: join(folder, 'full') }, 2)
  const codes: number[] = []
  let last = ''
  for (let i = 0; i < 4; i++) {
    const { code, out } = await revoke(admin, '--user', `nobody-${i}`)
    codes.push(code)
    last = out
  }
  t.strictSame(codes, [0, 0, 0, 1], 'one place is left for an operator')
  t.match(last, 'nobody-3 is not revoked: The list of what was ended is full')
})

await t.test('revoke says what it lacks', async (t) => {
  t.match(await revoke('', '--user', 'x'), { code: 1, out: /admin\.token is not set/ })
  const nobody = `admin: { listen: '127.0.0.1:${await freePort()}', token: { fromEnv: SESSION } }\n`
  t.match(await revoke(nobody, '--user', 'x'), {
    code: 1,
    out: /can't be reached \(.*ECONNREFUSED/,
  })
  t.match(await revoke('nonsense: 1\n', '--user', 'x'), { code: 1, out: /nonsense/ })
  t.match(await revoke(''), { code: 2, out: /--user/ })
  const other = createServer((_request, response) => response.end('<h1>hello</h1>'))
  const port = await listen(other)
  t.teardown(() => other.close())
  const elsewhere = `admin: { listen: '127.0.0.1:${port}', token: { fromEnv: SESSION } }\n`
  t.match(await revoke(elsewhere, '--user', 'x'), { code: 1, out: /something else/ })
  const wrong = await signedIn(t, {})
  const admin = wrong.admin.replace('SESSION', 'SIGNING')
  t.match(await revoke(admin, '--user', 'x'), {
    code: 1,
    out: /x is not revoked: the token that came is not the admin\.token .*restart the gateway/,
  })
})
