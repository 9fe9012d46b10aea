/** The programs of the guide for programs run as they stand there, each against a real gateway and provider. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { promisify } from 'node:util'
import { createDemoClient } from '../../src/demo/provider-pool.js'
import { signIn } from '../../src/demo/sign-in.js'
import { secretOf } from '../fixtures/config.js'
import { listen } from '../fixtures/listen.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'

const run = promisify(execFile)

const courses = JSON.stringify(['Trac for beginners'])
const tickets = `<?xml version='1.0'?><methodResponse><params><param><value><array><data>
<value><int>7</int></value></data></array></value></param></params></methodResponse>`

const machine = {
  clientId: 'ci',
  clientSecret: secretOf('m'),
  scopes: ['trac/write'],
  machine: true,
}
const { provider } = await stage(t, {
  provider: 'cognito',
  gateway: false,
  providerOptions: { clients: [createDemoClient({}), { ...createDemoClient({}), ...machine }] },
})
const s = await stage(t, {
  provider,
  upstream: true,
  answer: (_request, response) =>
    response.writeHead(200, { 'content-type': 'text/xml' }).end(tickets),
  api: 'own',
  apiAnswer: (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(courses),
  overlay: {
    identity: {
      machines: { ci: { username: 'ci-bot', groups: ['admins'], scopes: ['trac/write'] } },
    },
  },
})
const { idToken, refreshToken } = await signIn(s.provider, s.alice)
const env = {
  PATH: process.env['PATH'],
  TOKEN: idToken,
  REFRESH_TOKEN: refreshToken,
  CLIENT_ID: machine.clientId,
  CLIENT_SECRET: machine.clientSecret,
}

/** A provider with the device grant, at which somebody signs in after the first question. */
const asked: string[] = []
const device = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => {
    asked.push(`${request.url} ${new URLSearchParams(body).get('grant_type') ?? ''}`)
    const pending = { error: 'authorization_pending' }
    const begun = { device_code: 'd', interval: 0, verification_uri_complete: 'https://x/?u=1' }
    const answer = [begun, pending, { access_token: idToken }][asked.length - 1]
    response.writeHead(answer === pending ? 400 : 200).end(JSON.stringify(answer))
  })
})
const deviceUrl = `http://127.0.0.1:${await listen(device)}`
t.teardown(() => device.close())

/** How a program is run, by the language of its block. */
const commands: Readonly<Record<string, (text: string) => [string, string[]]>> = {
  sh: (text) => ['bash', ['-euo', 'pipefail', '-c', text]],
  python: (text) => ['python3', ['-c', text]],
  js: (text) => [process.execPath, ['--input-type=module', '-e', text]],
}

/** What each prints, in their order in the guide. */
const printed = [
  /^\["Trac for beginners"\]$/,
  /^\['Trac for beginners'\]\n$/,
  /^\[ 'Trac for beginners' \]\n$/,
  /"token_type":"Bearer"/,
  /^\["Trac for beginners"\]$/,
  /^Open https:\/\/x\/\?u=1\n\['Trac for beginners'\]\n$/,
  /"user":"alice"/,
  /^401 ERR_TOKEN_\w+ Bearer realm="Trac", error="invalid_token"\n$/,
  /^\[7\]\n$/,
]

const guide = readFileSync('deploy/docs/guides/programs.md', 'utf8')
const programs = [...guide.matchAll(/^```(sh|python|js)\n([^]*?)^```$/gm)]
t.equal(programs.length, printed.length, 'each program is known')

for (const [i, [, language = '', text = '']] of programs.entries()) {
  await t.test(`program ${i + 1} of the guide, in ${language}`, async (t) => {
    const program = text
      .replaceAll('https://trac.example.edu/trac', s.url)
      .replaceAll('https://trac.auth.us-east-2.amazoncognito.com', s.provider.origin)
      .replaceAll('https://idp.example.edu/realms/trac/protocol/openid-connect', deviceUrl)
    const { stdout } = await run(...commands[language]!(program), { env })
    t.match(stdout, printed[i]!)
  })
}

await t.test('the device grant was asked for by its name, until there was a token', (t) => {
  const token = '/token urn:ietf:params:oauth:grant-type:device_code'
  t.strictSame(asked, ['/auth/device ', token, token])
  t.end()
})
