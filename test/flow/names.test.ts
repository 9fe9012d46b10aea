/** One person, one name, whichever token comes; and nobody has somebody else's. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import type { DemoProvider } from '../../src/demo/provider.js'
import { userAdminScope } from '../../src/demo/provider-pool.js'
import { signIn } from '../../src/demo/sign-in.js'
import type { ScriptedProvider, ScriptedProviderOptions } from '../fixtures/scripted-provider.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'
import type { Overlay, TestGateway } from '../fixtures/gateway.js'

const { upstream } = await stage(t, { upstream: true, gateway: false })
const visitor = new Visitor()

async function scripted(t: Test, providerOptions?: ScriptedProviderOptions) {
  const more = providerOptions === undefined ? {} : { providerOptions }
  const { provider } = await stage(t, { provider: 'scripted', gateway: false, ...more })
  return provider
}

async function cognito(t: Test) {
  const { provider } = await stage(t, { provider: 'cognito', gateway: false })
  return provider
}

async function start(t: Test, provider: DemoProvider | ScriptedProvider, overlay: Overlay = {}) {
  const { gateway } = await stage(t, { provider, upstream, overlay })
  return gateway
}

const ask = (gateway: TestGateway, token: string, path = '/wiki/Start') =>
  visitor.fetch(gateway.url + path, { headers: { authorization: `Bearer ${token}` } })

/** What Trac is told of a token's bearer. */
async function toldOf(t: Test, gateway: TestGateway, token: string) {
  const answer = await ask(gateway, token)
  t.equal(answer.status, 200, answer.text)
  const headers = upstream.lastHeaders()
  return {
    user: headers['x-trac-user'],
    perms: (headers['x-trac-perms'] ?? '').split(','),
    email: headers['x-trac-email'],
    name: headers['x-trac-name'],
  }
}

function checkRefused(t: Test, answer: Answer, status: number, code: string, what = code) {
  t.equal(answer.status, status, what)
  t.equal(answer.json()['code'], code, what)
}

await t.test('a UUID is a name like any other, the same by every token', async (t) => {
  const provider = await cognito(t)
  const gateway = await start(t, provider, { identity: { username: {} } })
  const person = provider.people[0]!
  const { idToken, accessToken } = await signIn(provider, person)
  t.match(await toldOf(t, gateway, idToken), { user: person.sub, email: 'alice@example.edu' })
  t.match(await toldOf(t, gateway, accessToken), { user: person.sub, email: undefined })
  t.equal(provider.counts.userInfo + provider.counts.getUser, 0, 'nobody had to be asked')
})

await t.test('an alias names without a question, and its name is nobody else’s', async (t) => {
  const provider = await scripted(t)
  const { sub } = provider.person
  const gateway = await start(t, provider, {
    identity: { username: { aliases: { [String(sub)]: 'pat' }, emailLocalPart: 'example.edu' } },
  })
  t.equal((await toldOf(t, gateway, provider.sign('id'))).user, 'pat')
  t.equal((await toldOf(t, gateway, provider.sign('access'))).user, 'pat')
  t.equal((await toldOf(t, gateway, provider.sign('id', { email_verified: false }))).user, 'pat')
  t.equal(provider.counts.userinfo, 0)
  for (const email of ['pat@example.edu', 'PAT@example.edu']) {
    const other = provider.sign('id', { sub: 'other', email })
    checkRefused(t, await ask(gateway, other), 401, 'ERR_NAME_RESERVED')
  }
})

await t.test('a name that nobody may have is refused by token and at sign-in', async (t) => {
  const provider = await scripted(t)
  const gateway = await start(t, provider, {
    permissions: { groups: { students: ['WIKI_VIEW'], Teachers: ['PLUGIN_USE'] } },
    identity: {
      machines: { 'machine-client': { username: 'ci-bot', groups: ['builders'], scopes: [] } },
    },
    routes: [{ name: 'r', path: '/r', require: { anyGroup: ['reviewers'] } }],
  })
  const cases: readonly (readonly [string, string])[] = [
    ['students', 'ERR_NAME_REFUSED'],
    ['TEACHERS', 'ERR_NAME_REFUSED'],
    ['builders', 'ERR_NAME_REFUSED'],
    ['Reviewers', 'ERR_NAME_REFUSED'],
    ['wiki_delete', 'ERR_NAME_REFUSED'],
    ['Trac_Admin', 'ERR_NAME_REFUSED'],
    ['plugin_use', 'ERR_NAME_REFUSED'],
    ['anonymous', 'ERR_NAME_REFUSED'],
    ['a,b', 'ERR_NAME_REFUSED'],
    ['ali\u200Bce', 'ERR_NAME_REFUSED'],
    ['ａｌｉｃｅ', 'ERR_NAME_REFUSED'],
    ['CI-Bot', 'ERR_NAME_RESERVED'],
  ]
  for (const [username, code] of cases) {
    const person = { ...provider.person }
    provider.person = { ...person, username }
    for (const use of ['id', 'access'] as const) {
      checkRefused(t, await ask(gateway, provider.sign(use)), 401, code, `${use} ${username}`)
    }
    const page = await new Visitor().follow(`${gateway.url}/auth/login`)
    t.equal(page.status, 401)
    t.match(page.text, code)
    t.match(page.text, 'href="/trac/auth/login?prompt=login"', 'another account can be tried')
    provider.person = person
  }
  const mail = { 'cognito:username': 'pat@example.edu' }
  t.equal((await toldOf(t, gateway, provider.sign('id', mail))).user, 'pat@example.edu')
  const unverified = provider.sign('id', { ...mail, email_verified: false })
  checkRefused(t, await ask(gateway, unverified), 401, 'ERR_NAME_REFUSED')
})

await t.test('local parts come from a verified address in that domain alone', async (t) => {
  const provider = await scripted(t)
  const gateway = await start(t, provider, {
    identity: { username: { emailLocalPart: 'example.edu' } },
  })
  t.equal((await toldOf(t, gateway, provider.sign('id'))).user, 'pat')
  for (const claims of [
    { email_verified: false },
    { email_verified: undefined },
    { email: undefined },
    { email: 'pat@example.com' },
    { email: 'a@evil@example.edu' },
    { email: 'pat@sub.example.edu' },
    { email: 'students@example.edu' },
  ]) {
    const answer = await ask(gateway, provider.sign('id', claims))
    checkRefused(t, answer, 401, 'ERR_NAME_REFUSED', JSON.stringify(claims))
  }
})

await t.test(
  'a name that looks like an address is the verified address, by any token',
  async (t) => {
    const provider = await scripted(t)
    const gateway = await start(t, provider)
    const username = 'alice@example.edu'
    const id = (claims: Readonly<Record<string, unknown>>) =>
      provider.sign('id', { 'cognito:username': username, ...claims })
    for (const claims of [
      { email: 'sam@evil.example' },
      { email: undefined },
      { email: 'alice@example.edu', email_verified: false },
      { email: 'alice@example.edu', email_verified: undefined },
      { email: ['alice@example.edu'] },
    ]) {
      const answer = await ask(gateway, id(claims))
      checkRefused(t, answer, 401, 'ERR_NAME_REFUSED', JSON.stringify(claims))
    }
    t.equal((await toldOf(t, gateway, id({ email: 'Alice@example.edu' }))).user, username)
    provider.person = { ...provider.person, username, email: 'sam@evil.example' }
    checkRefused(t, await ask(gateway, provider.sign('access')), 401, 'ERR_NAME_REFUSED')
    provider.person = { ...provider.person, email: username }
    t.equal((await toldOf(t, gateway, provider.sign('access'))).user, username)
    t.equal(provider.counts.userinfo, 2, 'asked for the proof')
  },
)

await t.test('an address and its proof come from one source', async (t) => {
  const provider = await scripted(t)
  const gateway = await start(t, provider, {
    identity: { username: { emailLocalPart: 'example.edu' } },
  })
  type Claims = Readonly<Record<string, unknown>>
  const refused = 'ERR_NAME_REFUSED'
  const proven = { email_verified: true }
  const cases: readonly (readonly [string, Claims, Claims, string])[] = [
    [
      'another address there',
      { email: 'a1@example.edu' },
      { email: 'b1@example.edu', ...proven },
      refused,
    ],
    ['proven there', { email: 'a2@example.edu' }, { email: 'a2@example.edu', ...proven }, 'a2'],
    [
      'the same but for case',
      { email: 'a3@example.edu' },
      { email: 'A3@Example.edu', email_verified: 'true' },
      'A3',
    ],
    [
      'not proven there',
      { email: 'a4@example.edu' },
      { email: 'a4@example.edu', email_verified: false },
      refused,
    ],
    ['no word on it', { email: 'a5@example.edu' }, { email: 'a5@example.edu' }, refused],
    ['a proof alone', proven, { email: 'a6@example.edu', email_verified: false }, refused],
    ['a proof alone, no word there', proven, { email: 'a7@example.edu' }, refused],
    ['a pair there', { email_verified: false }, { email: 'a8@example.edu', ...proven }, 'a8'],
    ['a proof alone there', { email: 'a9@example.edu' }, proven, refused],
    ['no address at all', proven, proven, refused],
  ]
  for (const [what, said, answered, expected] of cases) {
    const sub = `sub of ${what}`
    provider.replace('userinfo', () => ({ body: { sub, ...answered } }))
    const answer = await ask(gateway, provider.sign('access', { sub, ...said }))
    if (answer.status === 200) t.equal(upstream.lastHeaders()['x-trac-user'], expected, what)
    else checkRefused(t, answer, 401, expected, what)
  }
  const asked = provider.counts.userinfo
  const whole = provider.sign('access', { email: 'sam@example.edu', ...proven, sub: 'whole' })
  t.equal((await toldOf(t, gateway, whole)).user, 'sam', 'a whole pair is believed')
  t.equal(provider.counts.userinfo, asked)
})

await t.test('email_verified speaks of the claim email alone', async (t) => {
  const provider = await scripted(t)
  const gateway = await start(t, provider, { identity: { claims: { email: ['mail', 'email'] } } })
  const told = (claims: Record<string, unknown>) => toldOf(t, gateway, provider.sign('id', claims))
  t.equal((await told({})).email, 'pat@example.edu')
  t.equal((await told({ mail: 'boss@example.edu' })).email, undefined)
  const named = { 'cognito:username': 'boss@example.edu', mail: 'boss@example.edu' }
  checkRefused(t, await ask(gateway, provider.sign('id', named)), 401, 'ERR_NAME_REFUSED')
})

await t.test('the provider is asked once for what an access token does not say', async (t) => {
  const provider = await cognito(t)
  const gateway = await start(t, provider, {
    identity: { username: { emailLocalPart: 'example.edu' } },
  })
  const person = provider.people[2]!
  const first = await signIn(provider, person)
  for (let i = 0; i < 3; i++) t.equal((await toldOf(t, gateway, first.accessToken)).user, 'sam')
  t.same([provider.counts.userInfo, provider.counts.getUser], [1, 0])
  const parallel = await signIn(provider, person)
  await Promise.all(Array.from({ length: 30 }, () => ask(gateway, parallel.accessToken)))
  t.same([provider.counts.userInfo, provider.counts.getUser], [2, 0], 'once for many at a time')
  t.equal((await toldOf(t, gateway, first.idToken)).user, 'sam')
  t.same([provider.counts.userInfo, provider.counts.getUser], [2, 0], 'an ID token says it')

  const bare = await signIn(provider, person, { scope: userAdminScope })
  t.equal((await toldOf(t, gateway, bare.accessToken)).user, 'sam', 'without openid by GetUser')
  t.same([provider.counts.userInfo, provider.counts.getUser], [2, 1])
  person.emailVerified = false
  const unverified = await signIn(provider, person)
  checkRefused(t, await ask(gateway, unverified.accessToken), 401, 'ERR_NAME_REFUSED')
})

await t.test(
  'a question that the provider does not answer is 401 or 503, never another name',
  async (t) => {
    const provider = await scripted(t)
    const gateway = await start(t, provider, {
      identity: { claims: { username: 'preferred_username' } },
    })
    const token = () => provider.sign('access', { sub: `sub-${provider.counts.userinfo}` })
    const answers: readonly (readonly [string, object, number, string])[] = [
      [
        'somebody else',
        { body: { sub: 'other', preferred_username: 'x' } },
        401,
        'ERR_TOKEN_SUBJECT',
      ],
      ['nobody', { body: { preferred_username: 'x' } }, 401, 'ERR_TOKEN_SUBJECT'],
      ['no', { status: 401, body: { error: 'invalid_token' } }, 401, 'ERR_NAME_UNKNOWN'],
      ['a page', { body: '<h1>' }, 502, 'ERR_PROVIDER_ANSWER'],
      ['down', { status: 503 }, 503, 'ERR_PROVIDER_UNAVAILABLE'],
      ['broken', { destroy: true }, 503, 'ERR_PROVIDER_UNAVAILABLE'],
    ]
    for (const [what, answer, status, code] of answers) {
      provider.replace('userinfo', () => answer)
      checkRefused(t, await ask(gateway, token()), status, code, what)
    }
    provider.replace('userinfo', () => ({ body: { sub: 'sub-silent' } }))
    const silent = provider.sign('access', { sub: 'sub-silent' })
    checkRefused(t, await ask(gateway, silent), 401, 'ERR_NAME_UNKNOWN', 'never another claim')
    provider.replace('userinfo', () => ({ body: { sub: 'sub-x', preferred_username: 'xenia' } }))
    const known = provider.sign('access', { sub: 'sub-x' })
    t.equal((await toldOf(t, gateway, known)).user, 'xenia')
    const without = provider.sign('id')
    checkRefused(t, await ask(gateway, without), 401, 'ERR_NAME_UNKNOWN', 'nobody is asked for it')
  },
)

await t.test('with userinfo never, an access token must say the name itself', async (t) => {
  const provider = await scripted(t)
  const gateway = await start(t, provider, {
    identity: { username: { emailLocalPart: 'example.edu', userinfo: 'never' } },
  })
  checkRefused(t, await ask(gateway, provider.sign('access')), 401, 'ERR_NAME_UNKNOWN')
  t.equal(provider.counts.userinfo + provider.counts.getUser, 0)
})

await t.test('one person’s tokens cause at most ten questions a minute', async (t) => {
  const provider = await scripted(t)
  const gateway = await start(t, provider, {
    identity: { username: { emailLocalPart: 'example.edu' } },
  })
  const token = (sub = provider.person['sub']) => {
    const iat = Math.floor(gateway.clock() / 1000)
    return provider.sign('access', { sub, iat, exp: iat + 600 })
  }
  const statuses = []
  for (let i = 0; i < 12; i++) statuses.push((await ask(gateway, token())).status)
  t.same(statuses, [...Array<number>(10).fill(200), 429, 429])
  const refusal = await ask(gateway, token())
  t.match(refusal.headers['retry-after'], /^[0-9]+$/)
  t.equal(provider.counts.userinfo, 10)
  checkRefused(t, await ask(gateway, token('another')), 401, 'ERR_TOKEN_SUBJECT', 'others go on')
  gateway.clock.advance(61_000)
  t.equal((await ask(gateway, token())).status, 200)
})

await t.test(
  'an upstream is told verified e-mail addresses and well-formed names alone',
  async (t) => {
    const provider = await scripted(t)
    const gateway = await start(t, provider)
    const cases: readonly (readonly [
      Record<string, unknown>,
      string | undefined,
      string | undefined,
    ])[] = [
      [{}, 'pat@example.edu', 'Pat%20Person'],
      [{ email_verified: false }, undefined, 'Pat%20Person'],
      [{ email_verified: 'true' }, 'pat@example.edu', 'Pat%20Person'],
      [{ email_verified: 'yes' }, undefined, 'Pat%20Person'],
      [{ email_verified: 1 }, undefined, 'Pat%20Person'],
      [{ email: 'a@b, c@d' }, undefined, 'Pat%20Person'],
      [{ name: 'a\r\nX-Trac-User: admin' }, 'pat@example.edu', undefined],
      [{ name: 'Jose\u0301' }, 'pat@example.edu', 'Jos%C3%A9'],
      [{ name: 7, email: ['x@y'] }, undefined, undefined],
    ]
    for (const [claims, email, name] of cases) {
      const told = await toldOf(t, gateway, provider.sign('id', claims))
      t.match(told, { email, name }, JSON.stringify(claims))
      t.equal(told.email, email)
      t.equal(told.name, name)
    }
  },
)

await t.test('groups are the union of the named claims, and nothing else grants', async (t) => {
  const provider = await scripted(t)
  const gateway = await start(t, provider)
  const permsOf = async (claims: Record<string, unknown>) =>
    (await toldOf(t, gateway, provider.sign('id', { 'cognito:groups': undefined, ...claims })))
      .perms
  const admin = 'TRAC_ADMIN'
  const cases: readonly (readonly [Record<string, unknown>, boolean])[] = [
    [{}, false],
    [{ 'cognito:groups': ['admins'] }, true],
    [{ groups: ['admins'] }, true],
    [{ 'cognito:groups': ['students'], groups: 'x, admins' }, true],
    [{ groups: 'admins' }, true],
    [{ groups: ['admins,students'] }, false],
    [{ groups: ['CN=admins,OU=x'] }, false],
    [{ groups: ['Admins'] }, false],
    [{ groups: [' admins'] }, false],
    [{ groups: [['admins']] }, false],
    [{ groups: { admins: true } }, false],
    [{ 'custom:groups': 'admins' }, false],
    [{ 'custom:trac_permissions': 'TRAC_ADMIN' }, false],
    [{ 'cognito:roles': ['admins'], roles: ['admins'] }, false],
    [{ trac_permissions: ['TRAC_ADMIN', 'WIKI_DELETE'] }, false],
    [{ trac_permissions: 'TRAC_ADMIN' }, false],
    [{ trac_permissions: ['TICKET_ADMIN', 'PERMISSION_GRANT', 'PLUGIN_ADMIN'] }, false],
    [{ trac_permissions: ['trac_admin', 'TRAC_ADMIN ', 'TRAC_ADMIN,X', ''] }, false],
  ]
  for (const [claims, isAdmin] of cases) {
    const perms = await permsOf(claims)
    t.equal(perms.includes(admin), isAdmin, JSON.stringify(claims))
    if (!isAdmin)
      t.notOk(
        perms.some((name) => /_ADMIN$|^PERMISSION_/.test(name)),
        perms.join(),
      )
  }
  const some = await permsOf({ trac_permissions: ['TRAC_ADMIN', 'WIKI_DELETE', 'PROJECT_LEAD'] })
  t.ok(some.includes('WIKI_DELETE'), 'but plain actions of Trac are')
  t.notOk(some.includes('PROJECT_LEAD'), 'a plugin could make anything of its own')
})

await t.test('fromClaims widens or closes what a claim may add', async (t) => {
  const provider = await scripted(t)
  const claimed = ['TICKET_ADMIN', 'WIKI_DELETE', 'LEARNING_X']
  const claims = { 'cognito:groups': undefined, trac_permissions: claimed }
  const cases: readonly (readonly [unknown, readonly string[]])[] = [
    ['nonAdmin', ['WIKI_DELETE']],
    ['all', claimed],
    ['none', []],
    [['TICKET_ADMIN'], ['TICKET_ADMIN']],
    [['WIKI_DELETE'], ['WIKI_DELETE']],
    [['nonAdmin'], ['WIKI_DELETE']],
    [
      ['nonAdmin', 'LEARNING_X'],
      ['WIKI_DELETE', 'LEARNING_X'],
    ],
    [['nonAdmin', 'TICKET_ADMIN', 'LEARNING_X'], claimed],
  ]
  for (const [fromClaims, granted] of cases) {
    const gateway = await start(t, provider, { permissions: { fromClaims } })
    const { perms } = await toldOf(t, gateway, provider.sign('id', claims))
    for (const name of claimed) {
      t.equal(perms.includes(name), granted.includes(name), `${JSON.stringify(fromClaims)} ${name}`)
    }
  }
})

await t.test('a machine is who the configuration says, or nobody', async (t) => {
  const provider = await scripted(t)
  const gateway = await start(t, provider, {
    permissions: { groups: { builders: ['TICKET_MODIFY'], admins: ['TRAC_ADMIN'] } },
    identity: {
      acceptClients: ['second'],
      machines: {
        'machine-client': { username: 'ci-bot', groups: ['builders'], scopes: ['trac/write'] },
      },
    },
  })
  const machine = (claims: object = {}) =>
    provider.sign('access', {
      sub: 'machine-client',
      client_id: 'machine-client',
      username: undefined,
      'cognito:groups': undefined,
      scope: 'trac/read trac/write',
      ...claims,
    })
  const told = await toldOf(t, gateway, machine())
  t.match(told, { user: 'ci-bot', email: undefined, name: undefined })
  t.ok(told.perms.includes('TICKET_MODIFY'))
  const claimed = await toldOf(
    t,
    gateway,
    machine({ 'cognito:groups': ['admins'], trac_permissions: ['WIKI_DELETE'], username: 'pat' }),
  )
  t.same(claimed, told, 'its own claims say nothing')
  checkRefused(t, await ask(gateway, machine({ scope: 'trac/read' })), 401, 'ERR_MACHINE_SCOPE')
  checkRefused(t, await ask(gateway, machine({ scope: undefined })), 401, 'ERR_MACHINE_SCOPE')
  const unlisted = machine({ sub: 'other', client_id: 'other' })
  checkRefused(t, await ask(gateway, unlisted), 401, 'ERR_TOKEN_CLIENT')
  const nameless = provider.sign('access', {
    sub: 'second',
    client_id: 'second',
    username: undefined,
  })
  t.equal((await ask(gateway, nameless)).status, 401, 'a person without name is no machine')
  const id = provider.sign('id', { aud: 'machine-client' })
  checkRefused(t, await ask(gateway, id), 401, 'ERR_TOKEN_USE')
})

await t.test('another issuer’s people are told apart, and have only its own groups', async (t) => {
  const provider = await scripted(t)
  const partner = await scripted(t, { dialect: 'standard', path: '', clientId: 'partner-app' })
  const gateway = await start(t, provider, {
    permissions: { groups: { students: ['TICKET_CREATE'], admins: ['TRAC_ADMIN'] } },
    identity: {
      username: { aliases: { [`${partner.issuer}#guest`]: 'guest' } },
      additionalIssuers: [
        {
          issuer: partner.issuer,
          clients: ['partner-app'],
          prefix: 'partner-',
          claims: { username: 'preferred_username' },
          groups: { staff: ['TICKET_MODIFY'] },
        },
      ],
    },
    routes: [{ name: 'r', path: '/r', require: { anyGroup: ['admins', 'staff'] } }],
  })
  const sign = (claims: object = {}) =>
    partner.sign('id', { preferred_username: 'alice', groups: ['staff', 'admins'], ...claims })
  const told = await toldOf(t, gateway, sign({ trac_permissions: ['WIKI_DELETE'] }))
  t.equal(told.user, 'partner-alice')
  t.ok(told.perms.includes('TICKET_MODIFY'))
  t.notOk(told.perms.includes('TRAC_ADMIN'), 'its admins are not ours')
  t.notOk(told.perms.includes('WIKI_DELETE'), 'it claims no permissions')
  checkRefused(t, await ask(gateway, sign(), '/r'), 403, 'ERR_GROUP_REQUIRED')
  t.equal((await toldOf(t, gateway, sign({ sub: 'guest' }))).user, 'guest')
  const prefixed = provider.sign('id', { 'cognito:username': 'Partner-alice' })
  checkRefused(t, await ask(gateway, prefixed), 401, 'ERR_NAME_RESERVED')
  checkRefused(t, await ask(gateway, sign({ aud: provider.clientId })), 401, 'ERR_TOKEN_CLIENT')
  // What one signs as if it were the other's, to the last claim.
  const asMain = { iss: provider.issuer, aud: provider.clientId, token_use: 'id' }
  const asPartner = { iss: partner.issuer, aud: 'partner-app' }
  for (const forged of [sign(asMain), provider.sign('id', asPartner)]) {
    checkRefused(t, await ask(gateway, forged), 401, 'ERR_TOKEN_SIGNATURE')
  }
  const session = await ask(gateway, sign(), '/auth/session')
  t.match(session.json(), { user: 'partner-alice', groups: ['partner-staff', 'partner-admins'] })
})
