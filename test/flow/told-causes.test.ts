/** Who reads the log alone knows why somebody could not sign in: what was found, what was wanted, and nothing secret. */
import { readFileSync, readdirSync } from 'node:fs'
import { factSources } from '../../src/app/refusal-facts.js'
import { errorHints } from '../../src/core/error-hints.js'
import type { ErrorCode } from '../../src/core/errors.js'
import { root } from '../fixtures/root.js'
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import { ask } from '../fixtures/wire.js'

const { provider, gateway, clock, url, port } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  overlay: { permissions: { groups: { students: ['WIKI_VIEW'] } } },
})

// Whole seconds, so that differences are.
clock.stop()
clock.advance(1000 - (clock() % 1000))

const isCallback = (to: URL) => to.href.startsWith(`${url}/auth/callback`)

/** Signs in with an ID token of these claims; gives the line of the callback. */
async function lineOf(claims: Record<string, unknown>) {
  provider.replace('token', (request) => {
    const { body } = provider.usual('token', request)
    const { id_token: token = '' } = body as Record<string, string>
    const own = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as object
    return { body: { ...(body as object), id_token: provider.sign('id', { ...own, ...claims }) } }
  })
  const visitor = new Visitor()
  const back = await visitor.follow(`${url}/auth/login`, isCallback)
  await visitor.open(back.location)
  provider.restore()
  return lastRequest()
}

const lastRequest = () => gateway.lines.findLast(({ msg }) => msg === 'request')
/** The facts of the last request's line. */
const foundNow = () => (lastRequest() ?? {})['found'] as Record<string, unknown>

await t.test(
  'a sign-in is a line of its own, with all groups that the provider sent',
  async (t) => {
    await lineOf({ 'cognito:groups': ['students', 'chess-club'] })
    const line = gateway.lines.findLast(({ msg }) => msg === 'sign-in')
    t.match(line, {
      level: 'info',
      user: provider.person['username'],
      sub: provider.person['sub'],
      issuer: provider.issuer,
      groups: ['students', 'chess-club'],
      client: '127.0.0.1',
      request_id: /^[0-9a-f]{32}$/,
    })
    t.equal(line?.['request_id'], lastRequest()?.['request_id'])
  },
)

const seconds = () => Math.floor(clock() / 1000)

const failures: readonly [string, () => Record<string, unknown>, string, object, object][] = [
  [
    'of another issuer',
    () => ({ iss: `${provider.issuer}/` }),
    'ERR_TOKEN_ISSUER',
    { issuer: `${provider.issuer}/` },
    { issuer: [provider.issuer] },
  ],
  [
    'made for another client',
    () => ({ aud: 'other-client' }),
    'ERR_TOKEN_CLIENT',
    { aud: 'other-client' },
    { client: [provider.clientId] },
  ],
  [
    'from a clock that is ahead',
    () => ({ iat: seconds() + 95, exp: seconds() + 3600 }),
    'ERR_TOKEN_TIME',
    { ahead: 95, iat: /^\d{4}-.*Z$/, now: /^\d{4}-.*Z$/ },
    { ahead: 30 },
  ],
  [
    'that has expired',
    () => ({ iat: seconds() - 3600, exp: seconds() - 100 }),
    'ERR_TOKEN_EXPIRED',
    { ahead: -3600, exp: /^\d{4}-.*Z$/ },
    { ahead: 30 },
  ],
  [
    'that lives too long',
    () => ({ iat: seconds(), exp: seconds() + 10 * 86_400 }),
    'ERR_TOKEN_TIME',
    { life: 864_000 },
    { life: 86_400 },
  ],
  [
    'whose name means something else in Trac',
    () => ({ 'cognito:username': 'authenticated', 'cognito:groups': ['students'] }),
    'ERR_NAME_REFUSED',
    { issuer: provider.issuer, groups: ['students'] },
    {},
  ],
]
for (const [name, claims, code, found, wanted] of failures) {
  await t.test(`the line of a sign-in with a token ${name} says what was wanted`, async (t) => {
    t.match(await lineOf(claims()), { level: 'warn', route: 'auth:callback', code, found, wanted })
  })
}

await t.test('claims are told by name and never by value', async (t) => {
  await lineOf({ 'cognito:username': 'anonymous', phone_number: '+1-555-0100' })
  t.ok((foundNow()['claims'] as string[]).includes('phone_number'))
  t.notMatch(gateway.log(), '555-0100')
})

await t.test(
  'what a token says of itself is cut, and leaves no line end and no token',
  async (t) => {
    const jwt = provider.sign('access')
    await lineOf({ iss: `https://evil.example/\n${jwt}/${'x'.repeat(5000)}` })
    const issuer = String(foundNow()['issuer'])
    t.ok(issuer.length <= 300)
    t.notMatch(issuer, /[\n\r]|eyJ/)
    t.match(issuer, '[token]')
  },
)

await t.test('a sign-in at another host name is told with both', async (t) => {
  await ask({ port }, 'GET /trac/auth/login', ['Host: trac.example.org'])
  t.match(lastRequest(), {
    level: 'warn',
    code: 'ERR_HOST_UNKNOWN',
    found: { host: 'trac.example.org' },
    wanted: { host: `localhost:${port}` },
  })
})

await t.test(
  'a Bearer token that is refused is told with the same facts, and as info',
  async (t) => {
    const authorization = `Authorization: Bearer ${provider.sign('id', { iss: 'https://other.example' })}`
    await ask({ port }, 'GET /trac/wiki', [authorization])
    t.match(lastRequest(), {
      level: 'info',
      code: 'ERR_TOKEN_ISSUER',
      found: { issuer: 'https://other.example' },
      wanted: { issuer: [provider.issuer] },
    })
  },
)

/** What is asked, and what the line of it tells. */
const refused: readonly (readonly [
  line: string,
  headers: readonly string[],
  code: string,
  found: object,
  wanted: object,
])[] = [
  [
    'GET /trac/a//b?secret=1',
    [],
    'ERR_TARGET_SLASH',
    { target: '/trac/a//b' },
    { target: /encoded once/ },
  ],
  [
    `GET /trac/wiki/${'x'.repeat(5000)}`,
    [],
    'ERR_TARGET_TOO_LONG',
    { bytes: 5011 },
    { bytes: 4000, key: 'server.limits.target' },
  ],
  [
    'GET /trac/wiki',
    ['Authorization: Bearer a', 'Authorization: Bearer b'],
    'ERR_HEADER_REPEATED',
    { header: 'authorization', times: 2 },
    { times: 1 },
  ],
  ['GET /elsewhere', [], 'ERR_ROUTE_UNKNOWN', { path: '/elsewhere' }, { path: '/trac/…' }],
  [
    'PUT /trac/wiki',
    [],
    'ERR_METHOD_NOT_ALLOWED',
    { method: 'PUT' },
    { methods: ['GET', 'HEAD', 'POST'] },
  ],
  ['PUT /trac/auth/login', [], 'ERR_METHOD_NOT_ALLOWED', { method: 'PUT' }, { methods: Array }],
  [
    'GET /trac/auth/callback?state=x&code=secret',
    [],
    'ERR_LOGIN_UNKNOWN',
    { attempt: 'not among the 0 that this browser sent' },
    { attempt: /by its cookie/ },
  ],
  [
    'GET /trac/auth/callback?code=secret&iss=https://other.example',
    [],
    'ERR_CALLBACK_MALFORMED',
    { parameters: ['code', 'iss'], iss: 'https://other.example' },
    { parameters: ['state', 'code'] },
  ],
  [
    'GET /trac/admin',
    ['student'],
    'ERR_PERMISSION_REQUIRED',
    { groups: ['students'] },
    { permission: /TRAC_ADMIN/ },
  ],
  ['GET /trac/?page=X', ['student'], 'ERR_ROUTE_DENIED', { route: 'trac:home' }, { access: Array }],
  [
    'GET /trac/wiki',
    ['student', 'Connection: Upgrade', 'Upgrade: websocket'],
    'ERR_UPGRADE_REFUSED',
    { upgrade: 'websocket', websocket: false },
    { websocket: true },
  ],
]

for (const [line, headers, code, found, wanted] of refused) {
  await t.test(`${line.slice(0, 60)} is refused with ${code} and its facts`, async (t) => {
    const student = `Authorization: Bearer ${provider.sign('id', { 'cognito:groups': ['students'] })}`
    const sent = headers.map((one) => (one === 'student' ? student : one))
    await ask(gateway, line, sent)
    // The line of a handshake comes when its connection has ended.
    await until(() => lastRequest()?.['code'] === code, `${code} is told`)
    const told = lastRequest()
    t.match(told, { code, found })
    const flat = Object.fromEntries(
      Object.entries(told?.['wanted'] as object).map(([name, value]) => [
        name,
        name === 'permission' ? String(value) : value,
      ]),
    )
    t.match(flat, wanted)
    t.notMatch(JSON.stringify([told?.['found'], told?.['wanted']]), 'secret')
  })
}

await t.test('an upstream that is not there is told with its fault and its key', async (t) => {
  const bare = await stage(t, { provider, overlay: { permissions: { anonymous: ['WIKI_VIEW'] } } })
  await ask(bare.gateway, 'GET /trac/wiki')
  t.match(
    bare.gateway.lines.findLast(({ msg }) => msg === 'request'),
    {
      code: 'ERR_UPSTREAM_UNREACHABLE',
      found: { upstream: 'trac', fault: 'ECONNREFUSED' },
      wanted: { key: 'upstreams.trac' },
    },
  )
})

/** The text of a call, from its opening parenthesis to the closing one. */
function callAt(text: string, start: number): string {
  let depth = 0
  for (let i = start; i < text.length; i++) {
    if (text[i] === '(') depth++
    else if (text[i] === ')' && --depth === 0) return text.slice(start, i)
  }
  return text.slice(start)
}

/** Files whose refusals of tokens and names get their facts from whoever read the token. */
const toldByCaller = /^(?:oidc\/verify-token|oidc\/issuer-keys|trac\/user-names)\.ts$/

await t.test(
  'every code that an operator can cause or mend brings what was found and what was wanted',
  async (t) => {
    const loose: string[] = []
    let seen = 0
    for (const file of readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || toldByCaller.test(file)) continue
      const text = readFileSync(`${root}src/${file}`, 'utf8')
      for (const { index } of text.matchAll(/new GatewayError\(/g)) {
        const call = callAt(text, text.indexOf('(', index))
        const [, code = ''] = /^\(\s*'(ERR_[A-Z_]+)'/.exec(call) ?? []
        if (!(code in factSources) || factSources[code as ErrorCode] !== 'thrown') continue
        seen++
        if (!/\bfound\b|\bfacts\b|missingFacts/.test(call)) loose.push(`${file}: ${code}`)
      }
    }
    t.ok(seen > 25, `${seen} places`)
    t.strictSame(loose, [])
    for (const [code, source] of Object.entries(factSources)) {
      if (source !== 'none') continue
      const hint = errorHints[code as ErrorCode]
      t.match(hint, /^(?:Nothing|Usually nothing|The client must|A fault of this gateway)/, code)
    }
  },
)
