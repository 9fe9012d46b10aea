/** Who reads the log alone knows why somebody could not sign in: what was found, what was wanted, and nothing secret. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
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
