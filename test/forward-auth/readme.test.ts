/** The operator's page about forward-auth says what is so. */
import { t } from '../fixtures/tap.js'
import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { loadText, minimal } from '../fixtures/config.js'
import { shippedFolder } from '../fixtures/forward-auth.js'
import { nameCookies } from '../../src/session/cookies.js'

const run = promisify(execFile)
const page = await readFile(`${shippedFolder}README.md`, 'utf8')

/** The block of a kind on the page. */
function block(kind: string): string {
  return page.split('```' + kind + '\n')[1]?.split('```')[0] ?? ''
}

await t.test('the lines of gateway.yaml make a configuration for each front proxy', async (t) => {
  const rest = minimal.split('\n').slice(1).join('\n')
  for (const dialect of ['nginx', 'caddy', 'traefik', 'envoy']) {
    const text = block('yaml').replace('forwardAuth: nginx', `forwardAuth: ${dialect}`)
    const { config } = loadText(`${text}\n${rest}`)
    t.equal(config.server.forwardAuth, dialect)
    t.same(config.server.trustedProxies, [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' }])
  }
})

await t.test('the command prints the digits of the names of our cookies', async (t) => {
  const url = 'https://trac.example.edu/trac'
  const issuer = 'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_Example'
  const command = block('sh').replace('ISSUER', issuer).replace('CLIENT_ID', 'client')
  const { stdout } = await run('/bin/sh', ['-c', command])
  t.equal(nameCookies(url, issuer, 'client').session, `__Host-tg-${stdout.trim()}-s`)
})

await t.test('the page names every file beside it', async (t) => {
  for (const file of await readdir(shippedFolder)) {
    if (file !== 'README.md') t.ok(page.includes(`\`${file}\``), file)
  }
})
