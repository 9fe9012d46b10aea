/** `trac-gateway doctor` beside real peers: a set-up that is right has no bad line, and each broken one is named by its line. */
import type { Test } from 'tap'
import { t } from '../fixtures/tap.js'
import { chmod, rename, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { examine } from '../../src/app/doctor/doctor.js'
import type { Row } from '../../src/app/doctor/row.js'
import type { Examination } from '../../src/app/doctor/site.js'
import { checkOnline } from '../../src/cli/check.js'
import { examineUnattended } from '../../src/cli/doctor.js'
import { reportLines } from '../../src/cli/doctor-text.js'
import { createOutput } from '../../src/cli/output.js'
import { createDemoClient } from '../../src/demo/provider-pool.js'
import { startTracd, writeKeys } from '../../src/demo/trac.js'
import { createCertificate } from '../fixtures/certificate.js'
import { loadText, secretOf } from '../fixtures/config.js'
import { startNginxWith } from '../fixtures/front.js'
import { configurationOf, environmentOf } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { runProgram } from '../fixtures/program.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { symptomsOf } from '../fixtures/symptoms.js'
import { askPython, setIni, testKey } from '../fixtures/tracs.js'
import { Visitor } from '../fixtures/visitor.js'

const folder = t.testdir({})
const token = secretOf('a')
const clientSecret = secretOf('c')
const redis = await startRedis(t, {
  user: { name: 'gateway', password: 'pw', rules: '~trac-gateway:* &trac-gateway:* +@all' },
})

/** Believes whoever a header names, as plugins made by hand do. */
const believer = `from trac.core import Component, implements
from trac.web.api import IAuthenticator
class Believer(Component):
    implements(IAuthenticator)
    def authenticate(self, req):
        return req.get_header('Remote-User') or None
`

const port = await freePort()
const publicUrl = `http://localhost:${port}/trac`
const s = await stage(t, {
  provider: 'cognito',
  providerOptions: {
    clients: [
      {
        ...createDemoClient({
          redirectUris: [`${publicUrl}/auth/callback`],
          logoutUris: [`${publicUrl}/auth/signed-out`],
        }),
        clientSecret,
      },
    ],
  },
  trac: {
    server: 'tracd 1.6',
    ini: {
      // With the name of a filter that is not there Trac answers 500, and not without it.
      trac: { base_url: publicUrl, request_filters: '' },
      components: { 'header_believer.believer': 'disabled' },
    },
    plugins: { 'header_believer.py': believer },
  },
  gateway: false,
})
const { trac, provider } = s
const [client] = provider.clients

/** All that is right: sessions in Redis, a client with a secret. */
const right: Overlay = {
  admin: { token: { fromEnv: 'ADMIN' } },
  identity: {
    clientSecret: { fromEnv: 'CLIENT' },
    username: { emailLocalPart: 'example.edu' },
    claims: { groups: ['cognito:groups'] },
  },
  session: { store: 'redis', redis: { url: { fromEnv: 'REDIS' } } },
}
const env = { ADMIN: token, CLIENT: clientSecret, REDIS: redis.url }

interface Case extends Partial<Examination> {
  readonly identity?: Overlay
  readonly basePath?: string
  readonly upstreams?: Overlay
  readonly env?: Readonly<Record<string, string>>
  /** A provider that is found by discovery instead of Cognito's rules. */
  readonly issuer?: string
}

function configOf(one: Case) {
  const { identity = {}, basePath = '/trac', env: more = {}, issuer, upstreams = {} } = one
  const { provider: _, cognitoDomain: __, ...bare } = s.settings
  const { clientId = provider.clientId, ...rest } = identity as { clientId?: string }
  const options = {
    ...(issuer === undefined ? s.settings : { ...bare, issuer }),
    clientId,
    overlay: { ...right, upstreams, identity: { ...(right['identity'] as Overlay), ...rest } },
    env: { ...env, ...more },
    basePath,
  }
  const text = configurationOf(options, port, port + 10_000)
  return loadText(text, { env: environmentOf(options) }).config
}

/** Each line that a test of this file has seen. */
const seen: Row[] = []

/** The lines about a set-up in which one thing is otherwise. */
async function look(one: Case = {}): Promise<readonly Row[]> {
  const { identity: _, basePath: __, env: ___, issuer: ____, ...examination } = one
  const config = configOf(one)
  const { rows } = await examine({ config, isRunning: async () => false, ...examination })
  seen.push(...rows)
  return rows
}

const rowOf = (rows: readonly Row[], check: string): Partial<Row> =>
  rows.find((row) => row.check === check) ?? {}
const badOnes = (rows: readonly Row[]): readonly string[] =>
  rows.filter(({ outcome }) => outcome === 'bad').map(({ check }) => check)

/** What the program says of a configuration. */
async function runDoctor(file: string, more: Readonly<Record<string, string>>) {
  const { code, out } = await runProgram(['doctor', '--json', '-c', file], { env: more })
  const { rows } = JSON.parse(out) as { rows: readonly Row[] }
  seen.push(...rows)
  return { code, rows }
}

await t.test('a set-up that is right has no bad line', async (t) => {
  const rows = await look({ tracEnv: trac.environment })
  t.strictSame(badOnes(rows), [], JSON.stringify(rows, undefined, 1))
  for (const [check, found] of [
    ['provider.keys', /^2 keys, for RS256$/],
    ['provider.client', /takes the client/],
    ['provider.callback', `the provider takes ${publicUrl}/auth/callback`],
    ['provider.sign-out', `the provider takes ${publicUrl}/auth/signed-out`],
    ['store.reach', /without TLS/],
    ['store.acl', /every command/],
    ['trac.plugin', /^version \d+\.\d+; it honours a signed request$/],
    ['trac.past-gateway', /is refused/],
    ['trac.stale', /is refused/],
    ['trac.underscore', /is (?:refused|not believed)/],
    ['trac.version', /^Trac 1\.6/],
    ['trac.key-file', /has the key test-1$/],
    ['trac.login-module', 'off'],
  ] as const) {
    t.match(rowOf(rows, check), { outcome: 'good', found }, check)
  }
  t.match(rowOf(rows, 'front'), { outcome: 'not tried', found: /no gateway runs/ })
  t.match(rowOf(rows, 'token'), { outcome: 'not tried' })
})

await t.test('Trac keeps no user and no session of it, and Redis no key', async (t) => {
  await look()
  const program = `import json, sys
from trac.env import Environment
env = Environment(sys.argv[1])
print(json.dumps([list(row) for row in env.db_query("SELECT sid, authenticated FROM session")]))`
  t.strictSame(await askPython(trac.python, program, trac.environment), [])
  t.strictSame(await redis.client.keys('*doctor*'), [])
})

await t.test('the provider names itself otherwise than identity.issuer', async (t) => {
  const issuer = provider.issuer.replace('127.0.0.1', 'localhost')
  const rows = await look({ issuer })
  t.match(rowOf(rows, 'provider.discovery'), {
    outcome: 'bad',
    found: `the provider names itself ${provider.issuer}, and the configuration ${issuer}`,
    todo: /Write `identity.issuer` as/,
  })
  const good = await look({ issuer: provider.issuer })
  t.match(rowOf(good, 'provider.discovery'), { outcome: 'good', found: /has no end_session/ })
  t.strictSame(badOnes(good), [])
})

await t.test('an issuer of Cognito that has no keys', async (t) => {
  const identity = { issuer: provider.issuer.replace('Example', 'Other') }
  const row = rowOf(await look({ identity }), 'provider.keys')
  t.match(row, { outcome: 'bad', found: /the key set answered 404/, todo: /userPoolId/ })
})

await t.test('a wrong client id', async (t) => {
  const rows = await look({ identity: { clientId: 'another' } })
  t.match(rowOf(rows, 'provider.client'), {
    outcome: 'bad',
    found: /does not know the client another/,
    todo: /identity\.clientId/,
  })
  t.match(rowOf(rows, 'provider.callback'), { outcome: 'not tried', found: /register http/ })
})

await t.test('a wrong client secret', async (t) => {
  const row = rowOf(await look({ env: { CLIENT: secretOf('x') } }), 'provider.client')
  t.match(row, { outcome: 'bad', found: /refuses the client .* with its secret/ })
  t.match(row.todo, /identity\.clientSecret/)
})

await t.test('addresses that are not registered', async (t) => {
  const kept = [client!.redirectUris.splice(0), client!.logoutUris.splice(0)]
  const rows = await look()
  client!.redirectUris.push(...kept[0]!)
  client!.logoutUris.push(...kept[1]!)
  t.strictSame(badOnes(rows), ['provider.callback', 'provider.sign-out'])
  t.equal(
    rowOf(rows, 'provider.callback').todo,
    `register ${publicUrl}/auth/callback for the client`,
  )
  t.match(rowOf(rows, 'provider.sign-out').todo, `register ${publicUrl}/auth/signed-out`)
})

await t.test('a clock that is wrong', async (t) => {
  const rows = await look({ now: () => Date.now() + 120_000 })
  t.match(rowOf(rows, 'provider.clock'), {
    outcome: 'bad',
    found: /this machine’s clock is (?:119|120) s ahead of the provider’s/,
    wanted: 'at most 30 s (identity.clockTolerance)',
  })
  t.match(rowOf(rows, 'trac.clock'), { outcome: 'bad', found: /comes from the future/ })
})

await t.test('a user of Redis who may not do all that sessions need', async (t) => {
  await redis.client.call('ACL', 'SETUSER', 'gateway', '-xadd')
  const rows = await look()
  await redis.client.call('ACL', 'SETUSER', 'gateway', '+xadd')
  t.match(rowOf(rows, 'store.acl'), {
    outcome: 'bad',
    found: /^revocations: NOPERM .*xadd/,
    todo: /^ACL SETUSER/,
  })
  t.strictSame(badOnes(rows), ['store.acl'])
  const wrong = await look({ env: { REDIS: redis.url.replace(':pw@', ':other@') } })
  t.match(rowOf(wrong, 'store.reach'), { outcome: 'bad', found: /WRONGPASS/, todo: /password/ })
})

await t.test('a Redis that is not there', async (t) => {
  const row = rowOf(await look({ env: { REDIS: 'redis://127.0.0.1:9' } }), 'store.reach')
  t.match(row, { outcome: 'bad', found: /nothing listens there/, todo: /start Redis/ })
})

await t.test('a Redis over TLS, whose certificate somebody vouches for or nobody', async (t) => {
  const certificate = createCertificate()
  const secure = await startRedis(t, { tls: certificate })
  const untrusted = rowOf(await look({ env: { REDIS: secure.url } }), 'store.reach')
  t.match(untrusted, { outcome: 'bad', found: /certificate/ })
  const chain = join(folder, 'redis.pem')
  const file = join(folder, 'redis.yaml')
  await writeFile(chain, certificate.certificate)
  const options = { ...s.settings, overlay: right, env: { ...env, REDIS: secure.url } }
  await writeFile(file, configurationOf(options, port, port + 10_000))
  const { rows } = await runDoctor(file, { ...environmentOf(options), NODE_EXTRA_CA_CERTS: chain })
  t.match(rowOf(rows, 'store.reach'), { outcome: 'good', found: /, over TLS$/ })
})

await t.test('a Trac that is not there', async (t) => {
  const config = configOf({})
  const url = { ...config.upstreams['trac']!.url, url: 'http://127.0.0.1:9', port: 9 }
  const upstreams = { ...config.upstreams, trac: { ...config.upstreams['trac']!, url } }
  const { rows } = await examine({
    config: { ...config, upstreams },
    isRunning: async () => false,
  })
  t.match(rowOf(rows, 'trac.reach'), { outcome: 'bad', found: /nothing listens there/ })
})

/** Changes one setting of Trac, looks, and puts it back. */
async function withIni(
  [section, name, wrong, correct]: readonly [string, string, string, string?],
  one: Case = {},
): Promise<readonly Row[]> {
  await setIni(trac.environment, section, name, wrong)
  const rows = await look(one)
  await setIni(trac.environment, section, name, correct)
  return rows
}

await t.test('a Trac without the plugin, which is open to whoever reaches it', async (t) => {
  const file = join(trac.environment, 'plugins', 'trac_gateway.py')
  await rename(file, `${file}.off`)
  // Trac looks for plugins when its settings change.
  const rows = await withIni(['trac', 'request_filters', ' ', ''], { tracEnv: trac.environment })
  const closed = await withIni(['trac', 'request_filters', 'TracGateway', ''])
  await rename(`${file}.off`, file)
  await withIni(['project', 'descr', 'as before'])
  t.match(rowOf(rows, 'trac.plugin'), {
    outcome: 'bad',
    found: /named TracGatewayPolicy/,
    todo: /^copy deploy\/trac\/trac_gateway\.py/,
  })
  t.match(rowOf(rows, 'trac.past-gateway'), {
    outcome: 'bad',
    found: /Trac answers whoever reaches http:.* without the gateway/,
  })
  t.match(rowOf(rows, 'trac.plugin-file'), { outcome: 'bad', todo: /^cp deploy/ })
  t.match(rowOf(closed, 'trac.plugin'), { outcome: 'bad', found: /named TracGateway/ })
})

await t.test(
  'a plugin that is disabled, and a Trac that believes a header of anybody',
  async (t) => {
    const { environment } = trac
    await setIni(environment, 'components', 'header_believer.believer', 'enabled')
    const rows = await withIni(['components', 'trac_gateway.tracgateway', 'disabled'])
    await setIni(environment, 'components', 'header_believer.believer', 'disabled')
    t.match(rowOf(rows, 'trac.plugin'), { outcome: 'bad', found: /without X-Trac-Gateway/ })
    t.match(rowOf(rows, 'trac.past-gateway'), {
      outcome: 'bad',
      found: /believes the name in a header of anybody/,
    })
  },
)

await t.test('a plugin with another key', async (t) => {
  const { environment } = trac
  await writeKeys(environment, [{ ...testKey, secret: secretOf('z') }])
  const rows = await look({ tracEnv: environment })
  const check = ['trac.key', 'trac.key-file']
  t.strictSame(badOnes(rows), check)
  t.match(rowOf(rows, 'trac.key').found, /fingerprint here is [0-9a-f]{8}, there [0-9a-f]{8}/)
  t.match(rowOf(rows, 'trac.key-file').found, /has another secret for test-1/)
  await writeKeys(environment, [testKey])
  const file = join(environment, 'conf', 'trac_gateway.keys')
  await chmod(file, 0o644)
  const open = await look({ tracEnv: environment })
  await chmod(file, 0o600)
  t.strictSame(badOnes(open), check)
  t.match(rowOf(open, 'trac.key-file').todo, `chmod 600 ${file}`)
})

await t.test('LoginModule left on', async (t) => {
  const setting = ['components', 'trac.web.auth.loginmodule', 'enabled', 'disabled'] as const
  const rows = await withIni(setting, { tracEnv: trac.environment })
  t.strictSame(badOnes(rows), ['trac.login-module', 'trac.login-module'])
  t.match(rowOf(rows, 'trac.login-module'), {
    found: /trac\.web\.auth\.LoginModule is enabled/,
    todo: /trac\.web\.auth\.loginmodule = disabled/,
  })
})

await t.test('a base path that Trac does not have', async (t) => {
  const rows = await look({ basePath: '/other' })
  t.match(rowOf(rows, 'trac.base-path'), {
    outcome: 'bad',
    found: 'Trac has the base path /trac',
    todo: /tracd --base-path=\/other/,
  })
})

await t.test('a Trac at the root, before a base path', async (t) => {
  const { environment, python } = trac
  const at = await freePort()
  const root = await startTracd({ environment, python, port: at, basePath: '' })
  t.teardown(() => root.stop())
  const rows = await look({ upstreams: { trac: { url: root.url } } })
  t.match(rowOf(rows, 'trac.base-path'), {
    outcome: 'bad',
    found: /^Trac knows no page at \/trac\/about \(404: No handler matched/,
    todo: 'start Trac with that base path: tracd --base-path=/trac',
  })
})

await t.test('policies in a wrong order, and options that don’t fit', async (t) => {
  const order = 'DefaultWikiPolicy, TracGatewayPolicy, DefaultTicketPolicy'
  const correct =
    'DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy'
  const rows = await withIni(['trac', 'permission_policies', order, correct])
  t.match(rowOf(rows, 'trac.policies'), {
    outcome: 'bad',
    found: /^DefaultTicketPolicy after TracGatewayPolicy/,
  })
  const more = await withIni(['trac', 'base_url', 'http://elsewhere/trac', publicUrl])
  t.match(rowOf(more, 'trac.options'), { outcome: 'bad', found: /elsewhere/ })
  const owners = await withIni(['ticket', 'restrict_owner', 'true', 'false'])
  t.match(rowOf(owners, 'trac.options'), { outcome: 'bad', found: /^\[ticket\] restrict_owner/ })
  const ours = 'TracGatewayPermissionStore'
  const store = ['trac', 'permission_store', ours, 'DefaultPermissionStore'] as const
  const untold = await withIni(store)
  t.match(rowOf(untold, 'trac.options'), { outcome: 'bad', wanted: /signature: v2/ })
  const upstreams = { trac: { signature: 'v2' } }
  t.strictSame(badOnes(await withIni(store, { tracEnv: trac.environment, upstreams })), [])
  const both = await withIni(
    ['trac', 'permission_policies', `${correct}, DefaultPermissionPolicy`, correct],
    { tracEnv: trac.environment },
  )
  t.strictSame(badOnes(both), ['trac.policies', 'trac.policies'])
})

await t.test('a Trac and a gateway that agree about a move, or do not', async (t) => {
  const { environment } = trac
  const both = 'DefaultWikiPolicy, DefaultTicketPolicy, LegacyAttachmentPolicy, TracGatewayPolicy'
  const change = async (legacy: string, login: string, policies: string) => {
    await setIni(environment, 'components', 'trac.web.auth.loginmodule', login)
    await setIni(environment, 'trac', 'permission_policies', policies)
    await setIni(environment, 'trac_gateway', 'legacy', legacy)
  }
  await change('true', 'enabled', `${both}, DefaultPermissionPolicy`)
  const upstreams = { trac: { legacyAuth: true } }
  const moving = await look({ tracEnv: environment, upstreams })
  const left = await look()
  await change(
    'false',
    'disabled',
    'DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy',
  )
  t.strictSame(badOnes(moving), [])
  t.match(rowOf(moving, 'trac.login-module').found, /^on for a move/)
  t.strictSame(badOnes(left), ['trac.options'])
  t.match(rowOf(left, 'trac.options').found, /the gateway has no legacyAuth/)
  t.match(rowOf(await look({ upstreams }), 'trac.options').found, /no \[trac_gateway\] legacy/)
})

await t.test('an environment that is not there', async (t) => {
  const none = await look({ tracEnv: '/nowhere' })
  t.match(rowOf(none, 'trac.environment'), { outcome: 'bad', todo: /--trac-env/ })
})

await t.test('a token tells name, address, groups and what they give', async (t) => {
  const [alice] = provider.people
  const good = await look({ token: await provider.mint({}, { person: alice!, use: 'id' }) })
  t.strictSame(badOnes(good), [])
  t.match(rowOf(good, 'token.name').found, 'alice (the address in example.edu)')
  t.match(rowOf(good, 'token.groups').found, 'admins')
  t.match(rowOf(good, 'token.permissions').found, /TRAC_ADMIN by group:admins/)
  const claims = { 'cognito:groups': ['chess'], email_verified: true }
  const strange = await look({ token: await provider.mint(claims, { person: alice!, use: 'id' }) })
  t.match(rowOf(strange, 'token.groups').found, /none of the groups means anything here: chess/)
  const foreign = await look({ token: await provider.mint({ iss: 'https://other.example' }) })
  t.match(rowOf(foreign, 'token.accepted'), { outcome: 'bad', found: /^ERR_TOKEN_ISSUER/ })
})

/** How other providers say what is wrong: at the authorization, log-out and token endpoints. */
const words = [
  {
    of: 'Cognito, an address that is not registered',
    authorize: ['/error?error=redirect_mismatch'],
    logout: ['', 400, 'Required String parameter &#39;redirect_uri&#39; is not present'],
    token: [400, { error: 'invalid_grant' }],
    bad: ['provider.callback', 'provider.sign-out'],
  },
  {
    of: 'Cognito, a client without the code grant',
    authorize: ['/login?client_id=1'],
    logout: ['/signed-out'],
    token: [400, { error: 'unauthorized_client' }],
    bad: ['provider.client'],
  },
  {
    of: 'Keycloak, a wrong secret',
    authorize: ['/cb?error=login_required'],
    logout: ['', 200, 'Do you want to log out?'],
    token: [401, { error: 'unauthorized_client', error_description: 'Invalid client' }],
    bad: ['provider.client'],
  },
  {
    of: 'Keycloak, an unknown client',
    authorize: ['', 400, '<p>Client not found.</p>'],
    logout: ['', 400, '<p>Client not found.</p>'],
    token: [401, { error: 'invalid_client', error_description: 'Invalid client' }],
    bad: ['provider.client'],
  },
  {
    of: 'any, a scope that the client may not ask for',
    authorize: ['/cb?error=invalid_scope'],
    logout: ['/signed-out'],
    token: [400, { error: 'invalid_grant' }],
    bad: ['provider.callback'],
  },
] as const

await t.test('the words of other providers are understood', async (t) => {
  let [said] = words as readonly (typeof words)[number][]
  const upstream = await stage(t, {
    gateway: false,
    upstream: true,
    answer(request, response) {
      const { pathname } = new URL(request.url ?? '', 'http://localhost')
      if (pathname === '/oauth2/token') {
        const [status, body] = said!.token
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
        return
      }
      const [location, status = 302, page = ''] =
        pathname === '/logout' ? said!.logout : said!.authorize
      response.writeHead(status, location === '' ? {} : { location }).end(page)
    },
  })
  const config = configOf({})
  const { cognito } = config.identity
  const identity = { ...config.identity, cognito: { ...cognito!, domain: upstream.upstream.url } }
  for (said of words) {
    const rows = await examine({
      config: { ...config, identity },
      isRunning: async () => false,
    })
    const bad = badOnes(rows.rows).filter((check) => check.startsWith('provider'))
    t.strictSame(bad, said.bad, said.of)
  }
})

await t.test('a sign-in in a browser of this machine', async (t) => {
  const [alice] = provider.people
  const signInPort = await freePort()
  const back = `http://localhost:${signInPort}/callback`
  const opened: Promise<unknown>[] = []
  const signIn = {
    port: signInPort,
    open: (url: string) => void opened.push(new Visitor().signIn(url, alice!)),
  }
  const refused = await look({ signIn })
  t.match(rowOf(refused, 'sign-in'), { outcome: 'bad', todo: new RegExp(`register ${back}`) })
  client!.redirectUris.push(back)
  const rows = await look({ signIn })
  client!.redirectUris.pop()
  t.match(rowOf(rows, 'sign-in'), { outcome: 'good', found: /an ID token, and a refresh token/ })
  t.match(rowOf(rows, 'token.groups').found, 'admins')
  await Promise.all(opened)
})

await t.test('what arrives is told to whoever has admin.token', async (t) => {
  const running = await stage(t, {
    ...s.settings,
    ...{ gateway: undefined, clock: s.clock, overlay: right, env, port },
  })
  const { config } = running.gateway.gateway.services
  let shown = ''
  const out = createOutput(
    { write: () => true },
    { isTTY: true, write: (text) => (shown += text) },
    {},
  )
  const rows = await examineUnattended(config, out)
  t.match(shown, '… trac', 'a terminal shows how far it is')
  t.strictSame(badOnes(rows), [])
  t.match(rowOf(rows, 'front.host').found, `Host: localhost:${port}`)
  t.match(rowOf(rows, 'front.proto').outcome, 'good')
  t.match(rowOf(rows, 'front.answer').found, publicUrl)
  t.notOk(rows.some(({ check }) => check === 'token'))
  const { adminUrl } = running.gateway
  const post = (authorization: string) =>
    fetch(`${adminUrl}/arrival`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ arrival: 'too-short' }),
    })
  t.equal((await post('Bearer wrong')).status, 401)
  t.equal((await post(`Bearer ${token}`)).status, 400)
  const healthz = await fetch(`${running.url}/auth/healthz?arrival=${'a'.repeat(32)}`)
  t.equal(await healthz.text(), 'ok\n')
})

/** A front proxy that sends these headers. */
const nginx = (headers: string): string => `server {
    listen 80;
    listen 443 ssl;
    ssl_certificate /etc/ssl/certs/trac.pem;
    ssl_certificate_key /etc/ssl/private/trac.key;
    location / {
        proxy_pass http://127.0.0.1:8080;
        ${headers}
    }
}`

/** What the program says of a gateway behind it, and its exit code. */
async function lookThroughFront(t: Test, headers: string, trustedProxies: readonly string[]) {
  const gatewayPort = await freePort()
  const front = await startNginxWith(t, nginx(headers), gatewayPort)
  const publicUrl = `https://127.0.0.1:${front.port}/trac`
  const overlay = { ...right, server: { publicUrl, trustedProxies }, session: {} }
  const more = { gateway: undefined, clock: s.clock, overlay, env, port: gatewayPort }
  const running = await stage(t, { ...s.settings, ...more })
  const file = join(folder, `${gatewayPort}.yaml`)
  const options = { ...s.settings, overlay, env }
  const adminPort = Number(new URL(running.gateway.adminUrl).port)
  await writeFile(file, configurationOf(options, gatewayPort, adminPort))
  return runDoctor(file, { ...environmentOf(options), NODE_EXTRA_CA_CERTS: front.certificate })
}

const frontOnes = (rows: readonly Row[]) =>
  badOnes(rows).filter((check) => check.startsWith('front'))

await t.test('a proxy that drops X-Forwarded-Proto, told by the program', async (t) => {
  const host = 'proxy_set_header Host $http_host;'
  const { code, rows } = await lookThroughFront(t, host, ['127.0.0.1'])
  t.equal(code, 1)
  t.match(rowOf(rows, 'front.answer'), { outcome: 'bad', found: /421 ERR_SCHEME_UNKNOWN/ })
  t.match(rowOf(rows, 'front.proto'), {
    outcome: 'bad',
    found: 'X-Forwarded-Proto: nothing from 127.0.0.1, which is in server.trustedProxies',
    todo: /X-Forwarded-Proto: https/,
  })
  t.match(rowOf(rows, 'front.address'), { outcome: 'bad', todo: /X-Forwarded-For/ })
})

await t.test('a proxy that is not trusted and changes Host', async (t) => {
  const { rows } = await lookThroughFront(t, 'proxy_set_header Host inner;', ['192.0.2.1'])
  t.strictSame(frontOnes(rows), ['front.answer', 'front.host', 'front.proto', 'front.address'])
  t.match(rowOf(rows, 'front.host').found, 'Host: inner')
  t.match(rowOf(rows, 'front.proto').todo, /^add 127\.0\.0\.1 to server\.trustedProxies/)
})

await t.test('a proxy that says all that it should', async (t) => {
  const headers = `proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;`
  const { rows } = await lookThroughFront(t, headers, ['127.0.0.1'])
  t.strictSame(frontOnes(rows), [])
  t.match(rowOf(rows, 'front.address').found, 'the visitor is 127.0.0.1')
})

await t.test('check --online adds what needs no person', async (t) => {
  const file = join(folder, 'gateway.yaml')
  const options = { ...s.settings, clientId: 'another', overlay: right, env }
  await writeFile(file, configurationOf(options, port, port + 10_000))
  let text = ''
  const silent = { write: () => true }
  const code = await checkOnline(
    file,
    { json: false, env: environmentOf(options), print: (line) => (text += line) },
    createOutput(silent, silent, {}),
  )
  t.equal(code, 1)
  t.match(text, /^✗ provider\.client +the provider does not know the client another/m)
  t.match(text, /^ +wanted: /m)
  t.match(text, /^ +do: copy the client/m)
  t.match(text, /\d+ good, 1 bad, \d+ not tried\n$/)
})

await t.test('what the guide to troubleshooting quotes was said in one of these set-ups', (t) => {
  const guide = readFileSync('deploy/docs/guides/troubleshooting.md', 'utf8')
  const quoted = symptomsOf(guide).filter(({ form }) => form === 'doctor')
  for (const { said, code, pattern } of quoted) {
    const found = seen.filter((row) => row.check === code && row.outcome === 'bad')
    t.ok(
      found.some((row) => pattern.test(row.found)),
      `${said}, of ${found.map((row) => row.found).join(' | ')}`,
    )
  }
  t.end()
})

/** A line without what differs from one set-up to the next. */
const formOf = (line: string): string =>
  line
    .replaceAll(/https?:\/\/[^\s;]+/g, 'URL')
    .replaceAll(/client \S+ with/g, 'client … with')
    .replace(/; it has no .*$/, '')
    .replaceAll(/\(.*\)$/g, '(…)')

await t.test('the report that the guide shows is made of lines like those', (t) => {
  const guide = readFileSync('deploy/docs/guides/doctor.md', 'utf8')
  const [, shown = ''] = /```\n(✓ [^]*?)```/.exec(guide) ?? []
  const plain = (_: unknown, text: string) => text
  const width = Math.max(...[...shown.matchAll(/^. (\S+)/gm)].map(([, check = '']) => check.length))
  const pad: Row = { ...{ check: ' '.repeat(width), outcome: 'good', found: '' } }
  const said = new Set(seen.flatMap((row) => reportLines([pad, row], plain)).map(formOf))
  t.match(shown, /^✗ /m)
  for (const line of shown.trimEnd().split('\n')) t.ok(said.has(formOf(line)), line)
  t.end()
})

await t.test(
  'each line that the guide names was printed, and so were the keys of its JSON',
  (t) => {
    const guide = readFileSync('deploy/docs/guides/doctor.md', 'utf8')
    const [, table = ''] = guide.split('\n## What it looks at\n')
    const named = [...table.matchAll(/^\| (`.*?) +\|/gm)].flatMap(([, cell = '']) => {
      const names = [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
      const [part = ''] = (names[0] ?? '').split('.')
      return names.map((name) => (name.startsWith('.') ? part + name : name))
    })
    t.ok(named.length > 20, named.join())
    for (const name of named)
      t.ok(
        seen.some(({ check }) => check === name),
        name,
      )
    const [, keys = ''] = /`\{"rows": \[\{(.*)\}\]\}`/.exec(guide) ?? []
    const [bad] = seen.filter(({ outcome }) => outcome === 'bad')
    t.strictSame(
      keys.split(', ').map((key) => key.slice(1, -1)),
      Object.keys(bad ?? {}),
    )
    t.end()
  },
)
