/** What testssl finds of our own TLS and of the headers of our pages and of Trac’s: nothing of medium severity or worse. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { t } from '../fixtures/tap.js'
import { createCertificate } from '../fixtures/certificate.js'
import { isLarge, scaled } from '../fixtures/scale.js'
import { stage } from '../fixtures/stage.js'

const run = promisify(execFile)

// A whole run takes about a minute on an idle machine.
t.setTimeout(600_000)

/** One line of its report. */
interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

/** What testssl calls worse than low; `WARN` is what it could not find out, `FATAL` that it could not go on. */
const serious = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'WARN', 'FATAL'])

/** What a certificate that a test makes for itself can't have, and why. */
const byNature: Readonly<Record<string, string>> = {
  cert_chain_of_trust: 'it is signed by itself, so no store of roots knows its issuer',
  cert_revocation: 'nobody issued it who could say that it is revoked',
  cert_expirationStatus: 'it is made for thirty days, and testssl warns below sixty',
  cert_notAfter: 'the same date again',
}
/** What says something of this machine and not of the server. */
const ofThisMachine: Readonly<Record<string, string>> = {
  engine_problem: 'its OpenSSL has no GOST engine, which no browser has either',
  sessionresumption_ticket: 'its client does not wait for the ticket, which is late on a busy one',
}

// As README asks for: what Trac sets itself is its own affair.
const base_url = 'https://localhost/trac'
const { certificate, key } = createCertificate()
const { port } = await stage(t, {
  trac: { server: 'tracd 1.6', ini: { trac: { base_url, secure_cookies: 'true' } } },
  env: { CERTIFICATE: certificate, KEY: key },
  overlay: {
    server: {
      // testssl names no port in its Host.
      publicUrl: base_url,
      tls: { certificate: { fromEnv: 'CERTIFICATE' }, key: { fromEnv: 'KEY' } },
    },
  },
})
const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-testssl-'))
t.teardown(() => rm(folder, { recursive: true }))

async function testssl(name: string, path: string, ...checks: string[]): Promise<Finding[]> {
  const report = join(folder, `${name}.json`)
  const options = ['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none']
  const where = ['--ip', '127.0.0.1', '--jsonfile', report, `https://localhost:${port}${path}`]
  await run('testssl', [...options, ...checks, ...where], { cwd: folder }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') {
        throw new Error('testssl is missing: run test/setup, which installs what the tests need.')
      }
      // Its exit code counts what it found; the report says what.
    },
  )
  return JSON.parse(await readFile(report, 'utf8')) as Finding[]
}

/** What is serious of a report and is nobody's nature. */
const seriousOf = (findings: readonly Finding[]): string[] =>
  findings
    .filter(({ id, severity }) => serious.has(severity) && !(id in byNature || id in ofThisMachine))
    .map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)

/** What it found of one thing. */
const found = (findings: readonly Finding[], id: string): string =>
  findings
    .filter((one) => one.id === id)
    .map(({ finding }) => finding)
    .join()

/** What a program that speaks TLS can get wrong by itself; the long run also tries each known attack on OpenSSL. */
const checks = isLarge
  ? []
  : ['--protocols', '--server-preference', '--server-defaults', '--headers']

await t.test('testssl finds nothing serious on a page of our own', async (t) => {
  const findings = await testssl('own', '/trac/auth/signed-out', ...checks)
  t.ok(findings.length > (isLarge ? 100 : 50), 'it looked at everything that was asked for')
  t.match(found(findings, 'TLS1_3'), /^offered/)
  t.match(found(findings, 'HTTP_status_code'), /^200/)
  t.match(found(findings, 'HSTS_time'), /days/)
  t.strictSame(seriousOf(findings), [])
  for (const id of Object.keys(byNature)) {
    t.not(found(findings, id), '', `${id} is still something that it looks at`)
  }
})

const pages = [
  ['a page of Trac', '/trac/wiki/WikiStart', 200],
  ['the redirect at the root', '/', 302],
  ['a script of Trac', '/trac/chrome/common/js/trac.js', 200],
  ['what Trac does not have', '/trac/wiki/NoSuchPage', 404],
] as const

for (const [i, [what, path, status]] of pages.slice(0, scaled(1, pages.length)).entries()) {
  await t.test(`testssl finds nothing serious in the headers of ${what}`, async (t) => {
    const findings = await testssl(`page-${i}`, path, '--headers')
    t.match(found(findings, 'HTTP_status_code'), new RegExp(`^${status}`))
    t.match(found(findings, 'HSTS_time'), /days/)
    t.match(found(findings, 'banner_server'), /No Server banner/i)
    t.equal(found(findings, 'X-Content-Type-Options'), 'nosniff')
    t.strictSame(seriousOf(findings), [])
  })
}
