/** `trac-gateway smoke` against real gateways: a good roll-out with cognito-local and Trac, a session, and broken ones. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Outcome } from '../../src/cli/smoke/rows.js'
import { callCommand } from '../fixtures/call.js'
import { createCertificate } from '../fixtures/certificate.js'
import { person, startCognitoLocal } from '../fixtures/cognito-servers.js'
import type { CognitoServer } from '../fixtures/cognito-servers.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = t.testdir({})

/** A file with this text. */
function fileOf(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

interface Report {
  readonly passed: number
  readonly failed: number
  readonly notTried: number
  readonly rows: readonly {
    readonly id: string
    readonly outcome: Outcome
    readonly detail: string
  }[]
}

/** Runs it, and gives each row by its id. */
async function smoke(url: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const said = await callCommand('smoke', ['--url', url, '--json', ...args], env)
  const report = JSON.parse(said.out) as Report
  const rows = Object.fromEntries(
    report.rows.map(({ id, outcome, detail }) => [id, `${outcome}: ${detail}`]),
  )
  return { ...said, report, rows }
}

/** One more person of the pool. */
async function addPerson({ api, userPoolId }: CognitoServer, email: string, group: string) {
  await api('AdminCreateUser', {
    UserPoolId: userPoolId,
    Username: email,
    MessageAction: 'SUPPRESS',
    UserAttributes: [
      { Name: 'email', Value: email },
      { Name: 'email_verified', Value: 'true' },
    ],
  })
  await api('AdminSetUserPassword', {
    UserPoolId: userPoolId,
    Username: email,
    Password: person.password,
    Permanent: true,
  })
  await api('AdminAddUserToGroup', { UserPoolId: userPoolId, Username: email, GroupName: group })
}

await t.test('cognito-local, the gateway and Trac pass by names and passwords', async (t) => {
  const port = await freePort()
  const cognito = await startCognitoLocal(t, [`http://localhost:${port}/trac/auth/callback`])
  // Made anew, a group would lose its members.
  await cognito.api('CreateGroup', { UserPoolId: cognito.userPoolId, GroupName: 'admins' })
  await addPerson(cognito, 'alice@example.edu', 'admins')
  await addPerson(cognito, 'stella@example.edu', 'students')
  const { url } = await stage(t, {
    issuer: `http://localhost:${cognito.port}/${cognito.userPoolId}`,
    clientId: cognito.clientId,
    cognitoDomain: cognito.endpoint,
    trac: 'tracd 1.6',
    api: 'own',
    port,
  })
  const pool = ['--cognito-client-id', cognito.clientId, '--cognito-endpoint', cognito.endpoint]
  const passwords = {
    TRAC_GATEWAY_SMOKE_USER: person.email,
    TRAC_GATEWAY_SMOKE_PASSWORD: person.password,
    TRAC_GATEWAY_SMOKE_ADMIN_USER: 'alice@example.edu',
    TRAC_GATEWAY_SMOKE_ADMIN_PASSWORD: person.password,
    TRAC_GATEWAY_SMOKE_STUDENT_USER: 'stella@example.edu',
    TRAC_GATEWAY_SMOKE_STUDENT_PASSWORD: person.password,
  }
  const { code, rows, report } = await smoke(url, pool, passwords)
  t.match(rows, {
    reached: /^passed: in \d/,
    password: 'passed: everybody has tokens',
    'anonymous-page': 'passed: /wiki is shown',
    'sign-in': new RegExp(`^passed: at 127.0.0.1:${cognito.port}, back to ${url}/auth/callback`),
    'no-token': 'passed: 401, Bearer realm="Trac"',
    token: new RegExp(`^passed: ${cognito.username} \\(instructors, students; \\d+ permissions`),
    'one-person': `passed: both are ${cognito.username}`,
    api: 'passed: 200 at /api/',
    'bad-token': 'passed: 401 with error="invalid_token"',
    page: `passed: /wiki is shown to ${cognito.username}`,
    admin: /^passed: \/admin is shown to .* \(admins; /,
    student: /^passed: 403 at \/admin for .* \(students; /,
    refresh: new RegExp(`^passed: a new token of ${cognito.username} for 3600 s`),
    session: /^not tried: no session at hand \(--cookie-file/,
    'foreign-log-out': 'passed: 403 for a form of another site',
    latency: /^passed: median of 20: \d+\.\d ms; \d+\.\d ms without a token/,
  })
  t.match(report, { failed: 0, notTried: 4 })
  t.equal(code, 0)
  t.equal((await smoke(url, [...pool, '--strict', '--requests', '1'], passwords)).code, 1)

  const wrong = { ...passwords, TRAC_GATEWAY_SMOKE_STUDENT_PASSWORD: 'not-it' }
  const refused = await smoke(url, [...pool, '--requests', '1'], wrong)
  t.equal(refused.code, 1)
  t.match(refused.rows['password'], /^failed: student: 400 \w+Exception: /)
  t.equal(refused.rows['student'], 'not tried: the sign-in at Cognito failed')
  t.notMatch(refused.out, 'not-it', 'no password is shown')
})

await t.test('a browser’s session is seen, renewed and ended; text is for people', async (t) => {
  const s = await stage(t, { provider: 'cognito', upstream: true, api: true, person: 'sam' })
  const admin = fileOf('admin', (await s.bearerOf(s.alice)).replace('Authorization: ', ''))
  const cookie = fileOf('cookie', `Cookie: ${s.visitor.cookieHeader(s.url)}\n`)
  const args = ['--admin-token-file', admin, '--cookie-file', cookie, '--requests', '3']
  const { code, rows } = await smoke(s.url, args)
  t.equal(code, 0)
  t.match(rows, {
    session: 'passed: it is sam’s',
    'session-page': 'passed: /wiki is shown; it does not say to whom',
    'session-renewal': /^passed: for \d+ s$/,
    'log-out': /^passed: of sam by way of [\w.:]+; then 401 for a copy of the cookie$/,
  })
  t.match(rows['page'], 'passed: /wiki is shown; it does not say to whom')
  t.match(rows['student'], 'not tried: no token at hand (--student-token-file')
  t.match(rows['refresh'], 'not tried: no refresh token at hand (--refresh-token-file')
  const again = await smoke(s.url, args)
  t.equal(again.code, 1)
  for (const id of ['session', 'session-page', 'session-renewal', 'log-out']) {
    t.match(
      again.rows[id],
      /^failed: found 40[01] ERR_(?:LOGIN_REQUIRED|SESSION_ENDED|CREDENTIAL_MISSING)/,
      id,
    )
  }

  const child = spawn(process.execPath, [main, 'smoke', '--url', s.url, '--token-file', '-'])
  child.stdin.end(readFileSync(admin))
  const [out, [done]] = await Promise.all([text(child.stdout), once(child, 'close')])
  t.equal(done, 0, out)
  t.match(out, /^✓ the gateway answers +in \d/)
  t.match(out, /\n· refresh +not tried: no refresh token/)
  t.match(out, /\n✓ API with a token +200 at \/api\/\n/)
  t.match(out, /\n\d+ passed, 0 failed, \d not tried\n$/)
})

await t.test('a broken roll-out has a cross with the reason for each fault', async (t) => {
  const s = await stage(t, {
    provider: 'cognito',
    upstream: true,
    // Trac without the plugin: it knows nobody.
    answer: (_, response) => response.end('<a href="/trac/login">Login</a>'),
    api: { url: 'http://127.0.0.1:9' },
    overlay: {
      identity: { username: { emailLocalPart: 'example.edu' } },
      permissions: { groups: { admins: ['WIKI_VIEW'], students: ['WIKI_VIEW'] } },
      routes: [
        { name: 'api', path: '/api/**', upstream: 'api' },
        { name: 'open', path: '/open', access: 'authenticated' },
      ],
    },
  })
  const [admin, student] = [
    fileOf('token-of-admin', await s.bearerOf(s.alice)),
    fileOf('token-of-student', await s.bearerOf(s.sam)),
  ]
  const tokens = ['--admin-token-file', admin, '--student-token-file', student]
  const { code, rows, out } = await smoke(s.url, [
    ...tokens,
    '--requests',
    '2',
    '--max-latency',
    '1ms',
  ])
  t.equal(code, 1)
  t.match(rows, {
    reached: /^passed/,
    api: /^failed: found 502 ERR_UPSTREAM_UNREACHABLE: .* \(request .*; wanted 2xx at \/api\/\. --api-path/,
    page: /^failed: found Trac’s Login on \/wiki; wanted "logged in as sam"\. Is trac_gateway\.py/,
    admin:
      /^failed: found 403 ERR_PERMISSION_REQUIRED: .*; wanted \/admin shown to alice \(admins; 4 permissions\)\. Has a group/,
  })
  t.notMatch(out, /eyJ/, 'no token is shown')
  const open = await smoke(s.url, [...tokens, '--admin-path', '/open', '--api-path', 'none'])
  t.match(open.rows['student'], /^failed: found 200; wanted 403 at \/open for sam/)
  t.equal(open.rows['api'], 'not tried: there is none (--api-path none)')

  const stale = fileOf('stale', 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln')
  const bad = await smoke(s.url, ['--token-file', stale])
  t.match(
    bad.rows['token'],
    /^failed: found 401 ERR_TOKEN_\w+: .*Is it a token of identity\.clientId/,
  )
})

/** A server that answers each path as it is told, and 500 for any other. */
async function answering(
  t: Test,
  answers: Readonly<Record<string, readonly [status: number, headers: object, body: string]>>,
) {
  const bodies: string[] = []
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?')
    const [status, headers, body] = answers[path] ?? [500, {}, 'broken']
    void text(request).then((sent) => {
      bodies.push(sent)
      response.writeHead(status, { ...headers }).end(body)
    })
  })
  const port = await listen(server)
  t.teardown(() => server.close())
  return { url: `http://localhost:${port}`, bodies }
}

await t.test(
  'what only looks like a gateway has a cross in every row that was tried',
  async (t) => {
    const json = { 'content-type': 'application/json' }
    const { url } = await answering(t, {
      '/auth/healthz': [200, {}, 'ok'],
      '/auth/login': [302, { location: 'https://idp.example.edu/authorize?client_id=x' }, ''],
      '/auth/session': [200, json, '{"user":"sam"}'],
      '/auth/refresh': [200, json, '{"access_token":"a.b.c","expires_in":60}'],
      '/auth/logout': [303, { location: 'https://idp.example.edu/logout' }, ''],
    })
    const args = ['token', 'admin-token', 'student-token'].flatMap((name) => [
      `--${name}-file`,
      fileOf(name, 'a.b.c'),
    ])
    const { rows, report } = await smoke(url, [
      ...args,
      '--cookie-file',
      fileOf('cookie', 'x=1'),
      '--max-latency',
      '1ms',
      '--page-path',
      'none',
    ])
    t.match(rows, {
      'anonymous-page': 'failed: found 500, which is not the gateway’s own answer; wanted / shown',
      'sign-in': 'failed: the address at idp.example.edu lacks state, nonce, code_challenge',
      'no-token': 'failed: found 200; wanted 401 with WWW-Authenticate: Bearer',
      'bad-token': 'failed: found 200; wanted 401 with error="invalid_token" at /auth/session',
      page: /^failed: found 500/,
      admin: /^failed: found 500/,
      student: /^failed: found 500.*; wanted 403 at \/admin for sam \(no group; 0 permissions\)/,
      'session-page': /^failed: found 500/,
      'log-out': `failed: found the way out idp.example.edu/logout; wanted one back to ${url}/auth/signed-out`,
      'foreign-log-out': /^failed: found 303 → https:\/\/idp/,
    })
    t.ok(report.failed >= 10)
  },
)

await t.test(
  'what Cognito asks for besides is told, and its client’s secret is proved',
  async (t) => {
    const env = { TRAC_GATEWAY_SMOKE_USER: 'sam', TRAC_GATEWAY_SMOKE_PASSWORD: 'p' }
    const pool = ['--cognito-client-id', 'x', '--cognito-endpoint']
    const challenge = await answering(t, { '/': [200, {}, '{"ChallengeName":"SMS_MFA"}'] })
    const gateway = await answering(t, { '/auth/healthz': [200, {}, 'ok'] })
    const asked = await smoke(gateway.url, [...pool, challenge.url], {
      ...env,
      TRAC_GATEWAY_SMOKE_CLIENT_SECRET: 'secret',
    })
    t.match(
      asked.rows['password'],
      'failed: user: Cognito asks for SMS_MFA; wanted a user who needs',
    )
    // HMAC-SHA-256 of "samx" by "secret", made by openssl.
    const sent = JSON.parse(challenge.bodies[0] ?? '') as { AuthParameters: Record<string, string> }
    t.equal(sent.AuthParameters['SECRET_HASH'], 'FHLmUnoBAm/owUsYqv2vJyFFT8SxVWct+xFsOPX0hhI=')
    const broken = await smoke(gateway.url, [...pool, gateway.url], env)
    t.match(broken.rows['password'], 'failed: user: 500 without a cause')
    const nobody = `http://localhost:${await freePort()}`
    const gone = await smoke(gateway.url, [...pool, nobody], env)
    t.match(gone.rows['password'], `failed: user: ${nobody} does not answer (ECONNREFUSED)`)
    await t.rejects(
      callCommand('smoke', ['--url', gateway.url, ...pool, nobody], {
        TRAC_GATEWAY_SMOKE_USER: 'x',
      }),
      /wanted both TRAC_GATEWAY_SMOKE_USER and TRAC_GATEWAY_SMOKE_PASSWORD/,
    )
  },
)

await t.test('a certificate that nobody vouches for, and silence, are told', async (t) => {
  const { certificate, key } = createCertificate()
  const secure = createSecureServer({ cert: certificate, key })
  const port = await listen(secure)
  t.teardown(() => secure.close())
  const own = await smoke(`https://localhost:${port}`, [])
  t.match(own.rows['reached'], /^failed: self-signed certificate \(NODE_EXTRA_CA_CERTS=file names/)
  const silent = createServer(() => undefined)
  const quiet = await listen(silent)
  t.teardown(() => silent.closeAllConnections())
  const late = await smoke(`http://localhost:${quiet}`, ['--timeout', '100ms'])
  t.equal(late.rows['reached'], 'failed: no whole answer in 0.1 s')
  silent.close()
})

await t.test('no token is sent where no gateway answers, nor over plain HTTP', async (t) => {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.url} ${request.headers.authorization ?? '-'}`)
    response.end('<h1>It works!</h1>')
  })
  const port = await listen(server)
  t.teardown(() => server.close())
  const token = fileOf('token', 'a.b.c')
  const { code, rows, report } = await smoke(`http://localhost:${port}`, ['--token-file', token])
  t.equal(code, 1)
  t.match(rows['reached'], 'failed: found 200; wanted 200 ok at /auth/healthz. Is this the address')
  t.match(rows['token'], 'not tried: no gateway answers')
  t.match(report, { passed: 0, failed: 1 })
  t.strictSame(seen, ['/auth/healthz -'])
  const nobody = await smoke(`http://localhost:${await freePort()}/trac`, ['--token-file', token])
  t.match(nobody.rows['reached'], /^failed: .*ECONNREFUSED/)

  for (const [args, told] of [
    [['--url', 'http://trac.example.edu', '--token-file', token], /wanted https:\/\//],
    [['--url', 'trac.example.edu'], /wanted an address such as/],
    [['--url', 'https://x', '--token-file', '/nowhere'], /can't be read \(ENOENT\)/],
    [['--url', 'https://x', '--token-file', fileOf('empty', '\n')], /found nothing in/],
    [['--url', 'https://x', '--token-file', fileOf('two', 'a b')], /wanted one token/],
    [['--url', 'https://x', '--token-file', '-', '--cookie-file', '-'], /more than one "-"/],
    [['--url', 'https://x', '--api-path', 'api'], /wanted a path below --url/],
    [['--url', 'https://x', '--requests', '0'], /wanted a number/],
    [['--url', 'https://x', '--max-latency', '5'], /wanted a duration/],
    [['--url', 'https://x', '--cognito-client-id', 'x'], /wants --region/],
    [['--url', 'https://x', '--cognito-client-id', 'x', '--region', 'r'], /SMOKE_USER and _PASS/],
    [
      ['--url', 'https://x', '--cognito-client-id', 'x', '--cognito-endpoint', 'http://x'],
      /since a password goes there/,
    ],
  ] as const) {
    await t.rejects(callCommand('smoke', args), told)
  }
  const child = spawnSync(process.execPath, [main, 'smoke', '--url', 'http://x'], {
    encoding: 'utf8',
  })
  t.match(child, { status: 2, stderr: /found --url http:\/\/x; wanted https:/ })
})
