/** What the guides say that somebody sees is what is seen: each sentence with a code stands on a page that a gateway really answers. */
import { readFileSync } from 'node:fs'
import { errors } from '../../src/core/errors.js'
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import { Wire, ask, requestText } from '../fixtures/wire.js'
import { symptomsOf } from '../fixtures/symptoms.js'

const browser = ['Accept: text/html,*/*;q=0.8', 'Sec-Fetch-Mode: navigate', 'Accept-Language: en']

/** The lines of pages, by their code. */
const pages: (readonly [code: string, lines: readonly string[]])[] = []

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', '#39': "'" }

function keep(html: string): void {
  const [, main = ''] = html.split('<main>')
  const text = main
    .replaceAll(/<[^>]*>/g, '\n')
    .replaceAll(/&(lt|gt|quot|#39);/g, (_, name: string) => entities[name]!)
    .replaceAll('&amp;', '&')
  const lines = text.split('\n').filter((line) => line !== '')
  const code = lines.find((line) => /^ERR_\w+$/.test(line))
  if (code === undefined) throw new Error(`no error page: ${html}`)
  pages.push([code, lines])
}

const s = await stage(t, {
  provider: 'scripted',
  api: 'own',
  apiAnswer({ url }, response) {
    if (url?.includes('stream') !== true) return
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: x\n\n')
  },
  overlay: {
    upstreams: { api: { maxTunnels: 1, timeouts: { firstByte: '1s' } } },
    routes: [
      { name: 'sessions', path: '/sessions', upstream: 'api', credentials: ['session'] },
      { name: 'few', path: '/few', upstream: 'api', rateLimit: { max: 1, per: '1h' } },
      { name: 'api', path: '/api/**', upstream: 'api', access: 'public' },
    ],
  },
})

/** What came on a raw socket, as text. */
const bodyOf = ({ body }: { readonly body: string }) => Buffer.from(body, 'latin1').toString()

/** Whose pages they are. */
type Served = Pick<typeof s, 'gateway' | 'port'>

/** Opens an address as a browser does, and keeps the page. */
async function open(path: string, headers: readonly string[] = [], of: Served = s): Promise<void> {
  const host = headers.some((line) => line.startsWith('Host:'))
    ? []
    : [`Host: localhost:${of.port}`]
  keep(bodyOf(await ask(of.gateway, `GET ${path}`, [...host, ...browser, ...headers])))
}

const seconds = Math.floor(s.clock() / 1000)
const named = (name: unknown, sub = 's1') => s.bearerOf({ 'cognito:username': name, sub })
const kept = (await s.signIn()).cookieHeader(s.url)

await t.test('what a token, a name or a rule leads to', async () => {
  await open('/trac/wiki')
  await open('/trac/admin', [`Cookie: ${kept}`])
  await open('/trac/sessions', [s.bearerOf()])
  await open('/trac/wiki', [s.bearerOf({ iss: 'https://elsewhere.example' })])
  await open('/trac/wiki', [s.bearerOf({ aud: 'other' })])
  await open('/trac/wiki', [s.bearerOf({ iat: seconds - 7200, exp: seconds - 3600 })])
  const unknown = s.provider.sign('id', {}, { kid: 'key-9' })
  await open('/trac/wiki', [`Authorization: Bearer ${unknown}`])
  await open('/trac/wiki', [named(undefined)])
  await open('/trac/wiki', [named('authenticated')])
  const address = 'ann@example.com'
  const unproven = { 'cognito:username': address, email: address, email_verified: false }
  await open('/trac/wiki', [s.bearerOf(unproven)])
  await ask(s.gateway, 'GET /trac/wiki', [named('ann', 's2')])
  await open('/trac/wiki', [named('ann', 's3')])
  await open('/trac/wiki', [`Cookie: a=${'b'.repeat(40_000)}`])
  await open('/trac/wiki', ['Host: elsewhere.example'])
  const form = [...browser, `Cookie: ${kept}`, 'Sec-Fetch-Site: cross-site', 'Content-Length: 0']
  keep(bodyOf(await ask(s.gateway, 'POST /trac/newticket', form)))
})

await t.test('what an upstream or a limit leads to', async () => {
  const wire = new Wire(s.port)
  wire.send(requestText(s.gateway, 'GET /trac/api/stream'))
  await wire.until(() => wire.text.includes('data: x'))
  await open('/trac/api/stream')
  wire.destroy()
  await open('/trac/api/silent')
  await ask(s.gateway, 'GET /trac/few', [s.bearerOf()])
  await open('/trac/few', [s.bearerOf()])
})

await t.test('what a sign-in leads to', async () => {
  await open('/trac/auth/callback?code=x&state=y')
  const visitor = await s.signIn()
  for (const _ of [1, 2]) {
    visitor.cookies(s.url).delete(s.names.session)
    const page = await visitor.follow(`${s.url}/newticket`)
    if (page.status === 400) keep(page.text)
  }
  s.provider.replace('token', () => ({ status: 401, body: { error: 'invalid_client' } }))
  keep((await new Visitor().follow(`${s.url}/auth/login`)).text)
  s.provider.restore()
})

await t.test('what the setting leads to', async (t) => {
  const from = await stage(t, {
    provider: s.provider,
    overlay: { identity: { username: { emailLocalPart: 'example.edu' } } },
  })
  await open('/trac/wiki', [from.bearerOf({ email: 'ann@example.com' })], from)
  const away = await stage(t)
  keep((await new Visitor().follow(`${away.url}/auth/login`)).text)
  const url = { fromEnv: 'REDIS_URL' }
  const storeless = await stage(t, {
    provider: s.provider,
    env: { REDIS_URL: 'redis://127.0.0.1:9' },
    overlay: { session: { store: 'redis', redis: { url } } },
  })
  keep((await new Visitor().follow(`${storeless.url}/auth/login`)).text)
  const renamed = await stage(t, { provider: 'scripted', providerOptions: { dialect: 'standard' } })
  renamed.provider.replace('discovery', (request) => {
    const { body } = renamed.provider.usual('discovery', request)
    return { body: { ...(body as object), issuer: 'https://elsewhere.example' } }
  })
  keep((await new Visitor().follow(`${renamed.url}/auth/login`)).text)
})

await t.test('what a proxy in front leads to', async (t) => {
  const publicUrl = 'https://trac.example.edu/trac'
  const host = 'Host: trac.example.edu'
  const trusting = await stage(t, {
    overlay: { server: { publicUrl, trustedProxies: ['127.0.0.1'] } },
  })
  await open('/trac/wiki', [host], trusting)
  const other = await stage(t, {
    overlay: { server: { publicUrl, trustedProxies: ['10.0.0.0/8'] } },
  })
  await open('/trac/wiki', [host, 'X-Forwarded-Proto: https'], other)
})

const guide = readFileSync('deploy/docs/guides/troubleshooting.md', 'utf8')
const ofPages = symptomsOf(guide).filter(({ form }) => form === 'page')

await t.test('each sentence of the guide with a code is on a page of that code', (t) => {
  t.ok(ofPages.length > 20, `${ofPages.length} of them`)
  for (const { said, code, pattern } of ofPages) {
    t.ok(code in errors, code)
    const shown = pages.filter((page) => page[0] === code).flatMap(([, lines]) => lines)
    t.ok(
      shown.some((line) => pattern.test(line)),
      `${said} ${code}, of ${shown.join(' | ')}`,
    )
  }
  t.end()
})

await t.test('and so is each sentence of the page for people', (t) => {
  const forUsers = readFileSync('deploy/docs/guides/for-users.md', 'utf8')
  const said = [...forUsers.matchAll(/\*\*“([^”]+)”\*\*/g)].map(([, text = '']) => text)
  t.ok(said.length > 0)
  for (const text of said)
    t.ok(
      ofPages.some((symptom) => symptom.said === text),
      text,
    )
  t.end()
})
