/** `trac-gateway init`: from nothing to a signed-in person on a real Trac, by the files that it wrote and nothing else. */
import { t } from '../fixtures/tap.js'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Answers } from '../../src/cli/init/answers.js'
import { findOut } from '../../src/cli/init/find-out.js'
import type { Found } from '../../src/cli/init/find-out.js'
import { gatewayText, tracIniText } from '../../src/cli/init/texts.js'
import { start } from '../../src/cli/start.js'
import { loadConfig } from '../../src/config/load.js'
import { publicUrl } from '../../src/core/public-url.js'
import { upstreamAddress } from '../../src/core/upstream-address.js'
import { createDemoClient } from '../../src/demo/provider-pool.js'
import { createLogger } from '../../src/observe/logger.js'
import { readIni } from '../../src/trac/ini.js'
import { loadText, secretOf } from '../fixtures/config.js'
import { freePort } from '../fixtures/ports.js'
import { runProgram } from '../fixtures/program.js'
import { stage } from '../fixtures/stage.js'
import { setIni } from '../fixtures/tracs.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = t.testdir({})
const [port, adminPort] = [await freePort(), await freePort()]
const url = `http://localhost:${port}/trac`
const clientSecret = secretOf('c')
const s = await stage(t, {
  provider: 'cognito',
  providerOptions: {
    clients: [
      {
        ...createDemoClient({
          redirectUris: [`${url}/auth/callback`],
          logoutUris: [`${url}/auth/signed-out`],
        }),
        clientSecret,
      },
    ],
  },
  trac: 'tracd 1.6',
  gateway: false,
})
const { environment } = s.trac

// An own Trac, as it was before anybody thought of a gateway.
const usual =
  'DefaultWikiPolicy, DefaultTicketPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy'
await rm(join(environment, 'plugins', 'trac_gateway.py'))
await rm(join(environment, 'conf', 'trac_gateway.keys'))
await setIni(environment, 'trac', 'permission_policies', usual)
await setIni(environment, 'trac', 'request_filters', undefined)
await setIni(environment, 'trac_gateway', 'key_file', undefined)
await setIni(environment, 'components', 'trac.web.auth.loginmodule', undefined)

const options = (config: string): readonly string[] => [
  ...['init', '--config', config, '--public-url', url, '--issuer', s.provider.issuer],
  ...['--client-id', s.provider.clientId, '--client-secret', '-'],
  ...['--trac', `http://127.0.0.1:${s.trac.port}`, '--trac-env', environment],
  ...['--admin-listen', `127.0.0.1:${adminPort}`],
]

const run = (args: readonly string[], input = '') => runProgram(args, { input })

const config = join(folder, 'own', 'gateway.yaml')

await t.test('it finds out how the provider spells its issuer, and where Trac is', async (t) => {
  const issuer = s.provider.issuer.replace('127.0.0.1', 'localhost')
  const answers: Answers = {
    publicUrl: publicUrl.parse(`https://localhost:${port}/other`)!,
    provider: { kind: 'oidc', issuer },
    clientId: s.provider.clientId,
    clientSecret: undefined,
    trac: upstreamAddress.parse(`http://127.0.0.1:${s.trac.port}`)!,
    tracEnv: environment,
    listen: undefined,
    adminListen: undefined,
  }
  const found = await findOut(answers, Date.now)
  t.equal(found.issuer, s.provider.issuer)
  t.equal(found.algorithm, 'RS256')
  t.strictSame(found.scopes, ['openid', 'email', 'profile'])
  t.strictSame(found.trustedProxies, ['127.0.0.1', '::1'])
  const notes = found.notes.join('\n')
  t.match(notes, `spells its issuer ${s.provider.issuer}`)
  t.match(notes, `nothing answers at https://localhost:${port}/other yet`)
  t.match(
    notes,
    'Trac is below /trac, and browsers are to see /other: start it with --base-path=/other',
  )
  // fetch() itself refuses some ports, such as 9.
  const nowhere = `http://127.0.0.1:${await freePort()}`
  const silent = await findOut(
    {
      ...answers,
      provider: { kind: 'oidc', issuer: nowhere },
      trac: upstreamAddress.parse(nowhere)!,
      tracEnv: '/nowhere',
    },
    Date.now,
  )
  t.equal(silent.issuer, nowhere)
  t.match(silent.notes.join('\n'), /the provider can’t be asked: nothing listens there/)
  t.match(
    silent.notes.join('\n'),
    `nothing answers at ${nowhere}: start Trac there (nothing listens there)`,
  )
  t.match(silent.notes.join('\n'), /is that a Trac environment\?/)
})

await t.test('it writes all files, the secret ones for their owner alone', async (t) => {
  const { code, out, said } = await run(options(config), `${clientSecret}\n`)
  t.equal(code, 0, said)
  const secrets = ['session', 'signing', 'admin', 'client'].map((name) =>
    join(folder, 'own', 'secrets', name),
  )
  for (const path of [...secrets, join(environment, 'conf', 'trac_gateway.keys')]) {
    t.equal(statSync(path).mode & 0o777, 0o600, path)
    t.match(out, `written     ${path}`)
  }
  t.ok(existsSync(join(environment, 'plugins', 'trac_gateway.py')))
  t.match(out, `${url}/auth/callback`)
  t.match(out, /^✓ provider\.client /m, 'doctor has looked at it')
  t.match(out, /^✗ trac\./m, 'and Trac has its lines not yet')
  t.notMatch(out + readFileSync(config, 'utf8'), clientSecret)
  t.strictSame(
    loadConfig(config, { env: {} })
      .warnings.map(({ name }) => name)
      .toSorted(),
    ['base-path', 'cookie-store', 'no-admin'],
  )
})

await t.test('somebody signs in to that Trac', async (t) => {
  const lines = readIni(readFileSync(join(folder, 'own', 'trac.ini.lines'), 'utf8'), '3')
  for (const [section, values] of lines) {
    for (const [name, value] of values) await setIni(environment, section, name, value)
  }
  const started = await start(config, {
    env: {},
    logger: createLogger('silent', { write: () => undefined }),
  })
  t.teardown(() => started?.close(0))
  const visitor = new Visitor()
  await visitor.signIn(`${url}/auth/login?return_to=/trac/wiki/WikiStart`, s.alice)
  const { status, text } = await visitor.open(`${url}/wiki/WikiStart`)
  t.equal(status, 200)
  t.match(text, /logged in as/)
  const { code, out } = await run(['doctor', '-c', config, '--trac-env', environment])
  t.equal(code, 0, out)
  t.match(out, /^✓ front\.host /m)
})

await t.test('it overwrites nothing', async (t) => {
  const again = await run(options(config), clientSecret)
  t.equal(again.code, 1)
  t.match(again.said, /is there, and nothing was written/)
  const keys = readFileSync(join(environment, 'conf', 'trac_gateway.keys'), 'utf8')
  const other = join(folder, 'other', 'gateway.yaml')
  const { code, out } = await run(options(other), clientSecret)
  t.equal(code, 0)
  t.match(out, `left alone  ${join(environment, 'conf', 'trac_gateway.keys')} (it was there)`)
  t.equal(readFileSync(join(environment, 'conf', 'trac_gateway.keys'), 'utf8'), keys)
  t.match(out, /^✗ trac\.key-file .* another secret/m, 'what does not fit is told')
  const third = await run(
    [...options(join(folder, 'third', 'gateway.yaml')), '--json'],
    clientSecret,
  )
  const told = JSON.parse(third.out) as Record<'files' | 'rows', Record<string, string>[]>
  const kept = told.files.filter(({ outcome }) => outcome === 'was there')
  t.ok(kept.some(({ path }) => path === join(environment, 'conf', 'trac_gateway.keys')))
  t.ok(told.rows.some(({ check }) => check === 'provider.client'))
})

await t.test('without a terminal it names the option that lacks', async (t) => {
  const { code, said } = await run(['init', '-c', join(folder, 'none.yaml'), '--public-url', url])
  t.equal(code, 2)
  t.match(said, 'wanted --issuer')
  const shown = options(join(folder, 'none.yaml')).map((one) => (one === '-' ? 'plain' : one))
  const secret = await run(shown)
  t.equal(secret.code, 2)
  t.match(secret.said, 'found a secret on the command line')
  const wrong = await run(['init', '-c', join(folder, 'none.yaml'), '--public-url', 'trac'])
  t.match(wrong.said, /found "trac"; wanted an address/)
  t.notOk(readdirSync(folder).includes('none.yaml'))
})

await t.test('on a terminal it asks six questions, and shows no secret', async (t) => {
  const file = join(folder, 'asked', 'gateway.yaml')
  const program = 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'
  const child = spawn('python3', ['-c', program, process.execPath, main, 'init', '-c', file])
  const trac = `http://127.0.0.1:${s.trac.port}`
  const answers = ['nonsense', url, s.provider.issuer, s.provider.clientId, clientSecret, trac, '']
  let shown = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const text = chunk.toString()
    shown += text
    // The end of a question, however the terminal draws it.
    for (const _ of text.matchAll(/> (?!\w)/g)) {
      const next = answers.shift()
      if (next !== undefined) child.stdin.write(`${next}\r`)
    }
  })
  await Promise.race([once(child, 'close'), until(() => existsSync(file), 'it is written')])
  await until(() => /not tried/.test(shown), 'doctor has looked at it')
  child.stdin.end()
  t.match(shown, /found "nonsense"; wanted an address/)
  t.notMatch(shown, clientSecret)
  t.match(readFileSync(join(folder, 'asked', 'secrets', 'client'), 'utf8'), clientSecret)
  t.ok(existsSync(join(folder, 'asked', 'trac_gateway.py')), 'to be copied to another machine')
})

await t.test('check accepts what is written, whatever was found', async (t) => {
  const answers: Answers = {
    publicUrl: publicUrl.parse('https://trac.example.edu/trac')!,
    provider: {
      kind: 'cognito',
      region: 'us-east-2',
      userPoolId: 'us-east-2_Example',
      issuer: 'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_Example',
    },
    clientId: '0123',
    clientSecret: undefined,
    trac: upstreamAddress.parse('http://trac.internal:8001')!,
    tracEnv: undefined,
    listen: undefined,
    adminListen: undefined,
  }
  const found: Found = {
    issuer: answers.provider.issuer,
    domain: 'auth.example.edu',
    scopes: ['openid', 'email'],
    algorithm: 'RS256',
    trustedProxies: ['127.0.0.1', '::1'],
    ini: undefined,
    notes: [],
  }
  const files = Object.fromEntries(
    ['session', 'signing', 'admin', 'client'].map((name, i) => [
      `secrets/${name}`,
      secretOf('abcd'[i]!),
    ]),
  )
  const load = (one: Partial<Answers>, other: Partial<Found> = {}) =>
    loadText(gatewayText({ ...answers, ...one }, { ...found, ...other }), { files }).config
  const cognito = load({})
  t.equal(cognito.identity.cognito?.domain, 'https://auth.example.edu')
  t.equal(cognito.upstreams['trac']?.insecureHttp, true)
  t.strictSame(cognito.server.listen, { host: '127.0.0.1', port: 8080 })
  const issuer = "https://idp.example.edu/it's"
  const oidc = load(
    { provider: { kind: 'oidc', issuer }, clientSecret: 'any' },
    { issuer, algorithm: 'ES256', trustedProxies: ['192.0.2.7'] },
  )
  t.equal(oidc.identity.issuer, issuer)
  t.strictSame(oidc.identity.algorithms, ['ES256'])
  t.match(oidc.server.listen, { host: '0.0.0.0' })
  const ini = readIni(
    '[trac]\npermission_policies = AuthzPolicy, DefaultPermissionPolicy, Other\n',
    '3',
  )
  t.match(
    tracIniText(answers, { ...found, ini }, 'keys'),
    'permission_policies = AuthzPolicy, TracGatewayPolicy, Other\n',
  )
  await writeFile(join(folder, 'done'), '')
})
