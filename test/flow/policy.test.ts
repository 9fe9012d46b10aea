/** The route policy of gateway.yaml on the wire: who reaches which upstream as whom, and what each refusal says. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask, codeOf } from '../fixtures/wire.js'

const { alice, ivan, sam, upstream, api, gateway, bearerOf, cookieOf } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: 'own',
  overlay: {
    identity: { username: { emailLocalPart: 'example.edu', userinfo: 'auto' } },
    routes: [
      { name: 'open', path: '/open/**', access: 'public', upstream: 'api' },
      { name: 'shut', path: '/shut/**', access: 'deny', upstream: 'api' },
      { name: 'clients', path: '/clients', credentials: ['bearer'], upstream: 'api' },
      { name: 'people', path: '/people', credentials: ['session'], upstream: 'api' },
      { name: 'scoped', path: '/scoped', require: { scopes: ['trac/write'] }, upstream: 'api' },
      {
        name: 'grouped',
        path: '/grouped',
        require: { anyGroup: ['admins', 'instructors'] },
        upstream: 'api',
      },
      {
        name: 'all',
        path: '/all',
        require: { allPermissions: ['WIKI_VIEW', 'WIKI_MODIFY'] },
        upstream: 'api',
      },
      {
        name: 'any',
        path: '/any',
        require: { anyPermission: ['WIKI_ADMIN', 'WIKI_MODIFY'] },
        upstream: 'api',
      },
      {
        name: 'wiki-edit',
        path: '/wiki/**',
        query: { action: 'edit' },
        require: { anyGroup: ['admins'] },
      },
      { name: 'post', path: '/post', methods: ['POST'], access: 'optional', upstream: 'api' },
      { name: 'api', path: '/api/**', upstream: 'api' },
    ],
  },
})
/** How many requests both upstreams have got. */
const received = () => upstream.received.length + api.received.length

const tokens = {
  alice: await bearerOf(alice),
  ivan: await bearerOf(ivan),
  sam: await bearerOf(sam),
  samCookie: await cookieOf(sam),
  ivanCookie: await cookieOf(ivan),
  nobody: 'X-Nothing: 1',
  badToken: 'Authorization: Bearer x',
  basic: 'Authorization: Basic YTpi',
}

/** Status and, of a refusal, its code. */
const cases: readonly (readonly [
  line: string,
  who: keyof typeof tokens,
  status: number,
  code: string,
])[] = [
  ['GET /trac/open', 'nobody', 200, ''],
  ['GET /trac/open/x', 'sam', 200, ''],
  ['GET /trac/open', 'badToken', 401, 'ERR_TOKEN_MALFORMED'],
  ['GET /trac/open', 'basic', 200, ''],
  ['GET /trac/shut/x', 'alice', 403, 'ERR_ROUTE_DENIED'],
  ['GET /trac/shut', 'nobody', 403, 'ERR_ROUTE_DENIED'],
  ['GET /trac/api/x', 'nobody', 401, 'ERR_LOGIN_REQUIRED'],
  ['GET /trac/api/x', 'basic', 401, 'ERR_LOGIN_REQUIRED'],
  ['GET /trac/api/x', 'sam', 200, ''],
  ['GET /trac/api/x', 'samCookie', 200, ''],
  ['GET /trac/api', 'sam', 200, ''],
  // No part of the API, but perhaps a plugin's page.
  ['GET /trac/apix', 'sam', 200, ''],
  ['GET /trac/clients', 'sam', 200, ''],
  ['GET /trac/clients', 'samCookie', 401, 'ERR_CREDENTIAL_NOT_ACCEPTED'],
  ['GET /trac/people', 'samCookie', 200, ''],
  ['GET /trac/people', 'sam', 401, 'ERR_CREDENTIAL_NOT_ACCEPTED'],
  ['GET /trac/scoped', 'sam', 403, 'ERR_SCOPE_REQUIRED'],
  ['GET /trac/scoped', 'alice', 403, 'ERR_SCOPE_REQUIRED'],
  ['GET /trac/grouped', 'sam', 403, 'ERR_GROUP_REQUIRED'],
  ['GET /trac/grouped', 'ivan', 200, ''],
  ['GET /trac/all', 'sam', 403, 'ERR_PERMISSION_REQUIRED'],
  ['GET /trac/all', 'ivan', 200, ''],
  ['GET /trac/all', 'alice', 200, ''],
  ['GET /trac/any', 'sam', 403, 'ERR_PERMISSION_REQUIRED'],
  ['GET /trac/any', 'ivan', 200, ''],
  ['GET /trac/wiki/X?action=edit', 'ivan', 403, 'ERR_GROUP_REQUIRED'],
  ['GET /trac/wiki/X?action=edit', 'alice', 200, ''],
  ['GET /trac/wiki/X?%61ction=%65dit', 'ivan', 403, 'ERR_GROUP_REQUIRED'],
  ['GET /trac/wiki/X?action=view', 'ivan', 200, ''],
  ['GET /trac/wiki/X', 'nobody', 200, ''],
  ['GET /trac/wiki/X?action=%ff', 'nobody', 400, 'ERR_QUERY_ENCODING'],
  ['GET /trac/newticket', 'nobody', 401, 'ERR_LOGIN_REQUIRED'],
  ['GET /trac/newticket', 'sam', 200, ''],
  ['GET /trac/admin', 'sam', 403, 'ERR_PERMISSION_REQUIRED'],
  ['GET /trac/admin', 'alice', 200, ''],
  ['GET /trac/post', 'sam', 405, 'ERR_METHOD_NOT_ALLOWED'],
  ['POST /trac/post', 'sam', 200, ''],
  ['HEAD /trac/wiki', 'nobody', 200, ''],
  ['PUT /trac/wiki', 'alice', 405, 'ERR_METHOD_NOT_ALLOWED'],
  ['GET /trac/auth/nowhere', 'alice', 404, 'ERR_ROUTE_UNKNOWN'],
  ['GET /elsewhere', 'alice', 404, 'ERR_ROUTE_UNKNOWN'],
  ['GET /trac', 'nobody', 200, ''],
]

for (const [line, who, status, code] of cases) {
  await t.test(`${line} by ${who} is ${status} ${code}`, async (t) => {
    const before = received()
    const answer = await ask(gateway, line, [tokens[who]])
    t.equal(answer.status, status)
    if (code !== '') t.equal(codeOf(answer), code)
    const reached = received() - before
    t.equal(reached, status === 200 ? 1 : 0, 'an upstream is reached by what is let through only')
  })
}

await t.test('405 names the methods that the path takes', async (t) => {
  t.equal((await ask(gateway, 'GET /trac/post', [tokens.sam])).header('allow'), 'POST')
  t.equal((await ask(gateway, 'PUT /trac/wiki')).header('allow'), 'GET, HEAD, POST')
  t.equal((await ask(gateway, 'POST /trac/')).header('allow'), 'GET, HEAD')
  t.equal((await ask(gateway, 'GET /trac/auth/refresh')).header('allow'), 'POST')
})

await t.test('a public route carries no identity, whoever asks', async (t) => {
  await ask(gateway, 'GET /trac/open', [tokens.alice])
  t.equal(api.lastHeaders()['x-trac-user'], '')
  t.notMatch(api.lastHeaders()['x-trac-perms'], /TRAC_ADMIN/)
})

await t.test('a token goes before the cookie, and never falls back to it', async (t) => {
  await ask(gateway, 'GET /trac/api/x', [tokens.alice, tokens.samCookie])
  t.equal(api.lastHeaders()['x-trac-user'], 'alice')
  const answer = await ask(gateway, 'GET /trac/api/x', [tokens.badToken, tokens.samCookie])
  t.equal(answer.status, 401)
  await ask(gateway, 'GET /trac/api/x', [tokens.basic, tokens.samCookie])
  t.equal(api.lastHeaders()['x-trac-user'], 'sam', 'Basic is no credential here')
})

await t.test('a scope is that of the access token', async (t) => {
  const token = await bearerOf(sam, {
    use: 'access',
    scope: 'aws.cognito.signin.user.admin trac/write',
  })
  const path = 'GET /trac/scoped'
  const answer = await ask(gateway, path, [token])
  t.equal(answer.status, 200)
  const less = await bearerOf(sam, {
    use: 'access',
    scope: 'aws.cognito.signin.user.admin trac/writer',
  })
  const refused = await ask(gateway, path, [less])
  t.equal(refused.status, 403)
  t.match(refused.header('www-authenticate'), /error="insufficient_scope", scope="trac\/write"/)
  t.match(JSON.parse(refused.body), { error: 'insufficient_scope', code: 'ERR_SCOPE_REQUIRED' })
})

await t.test('the base path is compared exactly', async (t) => {
  for (const line of ['GET /aaaa/admin', 'GET /tracx/wiki', 'GET /TRAC/wiki', 'GET /trac;/wiki']) {
    const answer = await ask(gateway, line, [tokens.alice])
    t.equal(answer.status, 404, line)
  }
  const root = await ask(gateway, 'GET /')
  t.equal(root.status, 302)
  t.equal(root.header('location'), '/trac/')
})

/** Requests with two faults: the earlier check answers (deploy/docs/requests.md#order-of-checks). */
const order: readonly (readonly [
  what: string,
  line: string,
  headers: readonly string[],
  code: string,
])[] = [
  ['framing before path', 'GET /trac//x', ['Origin: a', 'Origin: b'], 'ERR_HEADER_REPEATED'],
  ['path before Host', 'GET /trac/%zz', ['Host: other'], 'ERR_TARGET_ENCODING'],
  ['Host before base path', 'GET /other', ['Host: other'], 'ERR_HOST_UNKNOWN'],
  ['base path before credential', 'GET /other', [tokens.badToken], 'ERR_ROUTE_UNKNOWN'],
  [
    'own endpoint before policy',
    'PUT /trac/auth/session',
    [tokens.badToken],
    'ERR_METHOD_NOT_ALLOWED',
  ],
  ['route before credential', 'GET /trac/auth/nowhere', [tokens.badToken], 'ERR_ROUTE_UNKNOWN'],
  ['method before credential', 'PUT /trac/wiki', [tokens.badToken], 'ERR_METHOD_NOT_ALLOWED'],
  [
    'credential before CSRF',
    'GET /trac/ticket/1?edit_comment=1',
    [tokens.badToken],
    'ERR_TOKEN_MALFORMED',
  ],
  [
    'CSRF before access',
    'POST /trac/newticket',
    [tokens.ivanCookie, 'Origin: http://evil.example', 'Content-Length: 0'],
    'ERR_CROSS_SITE',
  ],
  [
    'CSRF before body limits',
    'POST /trac/newticket',
    [tokens.ivanCookie, 'Origin: http://evil.example', 'Content-Length: 99999999'],
    'ERR_CROSS_SITE',
  ],
  [
    'access before body limits',
    'POST /trac/newticket',
    ['Content-Length: 99999999'],
    'ERR_LOGIN_REQUIRED',
  ],
  [
    'body limits before forwarding',
    'POST /trac/newticket',
    [tokens.sam, 'Content-Length: 99999999'],
    'ERR_BODY_TOO_LARGE',
  ],
]

for (const [what, line, headers, code] of order) {
  await t.test(`the gateway checks ${what}`, async (t) => {
    const before = received()
    t.equal(codeOf(await ask(gateway, line, headers)), code)
    t.equal(received(), before)
  })
}
