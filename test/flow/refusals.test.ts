/** How a refusal is told: a way to sign in for a navigation, JSON with a challenge for everything else, a page for people. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask, codeOf } from '../fixtures/wire.js'

const { provider, sam, upstream, gateway, url, origin, names, bearerOf, cookieOf } = await stage(
  t,
  {
    provider: 'cognito',
    upstream: true,
    api: true,
    overlay: {
      routes: [
        { name: 'clients', path: '/clients', upstream: 'api', credentials: ['bearer'] },
        { name: 'group', path: '/group', upstream: 'api', require: { anyGroup: ['admins'] } },
        { name: 'api', path: '/api/**', upstream: 'api' },
      ],
    },
  },
)
const token = await bearerOf(sam)
const cookie = await cookieOf(sam)
const html = 'Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'
const navigate = 'Sec-Fetch-Mode: navigate'

/** Whether an unauthenticated request is sent to sign in (302) or told so (401). */
const kinds: readonly (readonly [
  what: string,
  line: string,
  headers: readonly string[],
  status: number,
])[] = [
  ['a navigation', 'GET /trac/newticket', [html, navigate], 302],
  ['a navigation by HEAD', 'HEAD /trac/newticket', [html, navigate], 302],
  ['a browser without Sec-Fetch', 'GET /trac/newticket', [html], 302],
  ['a fetch', 'GET /trac/newticket', ['Accept: */*', 'Sec-Fetch-Mode: cors'], 401],
  ['a fetch that would take HTML', 'GET /trac/newticket', [html, 'Sec-Fetch-Mode: cors'], 401],
  ['a same-origin fetch', 'GET /trac/newticket', [html, 'Sec-Fetch-Mode: same-origin'], 401],
  ['an image', 'GET /trac/newticket', ['Accept: image/*', 'Sec-Fetch-Mode: no-cors'], 401],
  ['an XHR', 'GET /trac/newticket', [html, 'X-Requested-With: XMLHttpRequest'], 401],
  ['curl', 'GET /trac/newticket', ['Accept: */*'], 401],
  ['a client without Accept', 'GET /trac/newticket', [], 401],
  ['a feed reader', 'GET /trac/report/1?format=rss', ['Accept: application/rss+xml'], 401],
  ['an RPC client that would take HTML', 'GET /trac/rpc', [html, 'Content-Type: text/xml'], 401],
  ['a form', 'POST /trac/newticket', [html, navigate, 'Content-Length: 0'], 401],
  ['a preflight', 'PUT /trac/api/x', [html, navigate], 401],
  ['a navigation to what only clients may', 'GET /trac/clients', [html, navigate], 401],
]

for (const [what, line, headers, status] of kinds) {
  await t.test(`${what} without a credential is ${status}`, async (t) => {
    const answer = await ask(gateway, line, headers)
    t.equal(answer.status, status)
    t.match(answer.header('cache-control'), /no-store/)
    if (status === 302) {
      t.equal(answer.header('www-authenticate'), '')
      t.equal(answer.header('location'), '/trac/auth/login?return_to=%2Ftrac%2Fnewticket')
    } else {
      t.equal(answer.header('www-authenticate'), 'Bearer realm="Trac"')
      t.equal(answer.header('location'), '')
    }
  })
}

await t.test('what is no page never leads to sign-in, whatever Accept says', async (t) => {
  const overlay = { permissions: { groups: {}, anonymous: [] } }
  const { gateway } = await stage(t, { provider, upstream, overlay })
  for (const path of [
    ...['/timeline?format=rss', '/query?%66ormat=csv&order=id', '/ticket/1?x;format=tab'],
    ...['/report/2?format=rss', '/wiki/Start?format=txt', '/roadmap?format=ics'],
    ...['/raw-attachment/ticket/1/a.txt', '/zip-attachment/wiki/Start/', '/export/1/trunk/a'],
    ...['/rpc', '/xmlrpc', '/jsonrpc/', '/login/rpc', '/login/xmlrpc', '/login/jsonrpc'],
    '/search/opensearch',
  ]) {
    for (const [method, headers] of [
      ['GET', [html, navigate]],
      ['GET', [html]],
      ['HEAD', [html, navigate]],
    ] as const) {
      const answer = await ask(gateway, `${method} /trac${path}`, headers)
      t.equal(answer.status, 401, `${method} ${path}`)
      t.equal(answer.header('www-authenticate'), 'Bearer realm="Trac"')
      t.equal(answer.header('location'), '')
    }
  }
  for (const path of ['/timeline', '/timeline?format=', '/query?order=format', '/browser/a/raw']) {
    const answer = await ask(gateway, `GET /trac${path}`, [html, navigate])
    t.equal(answer.status, 302, `${path} is a page`)
  }
})

await t.test('the page to come back to keeps its query, as it is sent on', async (t) => {
  const answer = await ask(gateway, 'GET /trac/newtick%65t?a=%C3%A9&b=/..//', [html, navigate])
  const location = new URL(answer.header('location'), 'http://x')
  t.equal(location.searchParams.get('return_to'), '/trac/newticket?a=%C3%A9&b=/..//')
})

await t.test('401 in JSON names code, request and the way to sign in', async (t) => {
  const answer = await ask(gateway, 'GET /trac/api/x')
  t.match(answer.header('content-type'), /^application\/json/)
  t.strictSame(JSON.parse(answer.body), {
    error: 'unauthorized',
    code: 'ERR_LOGIN_REQUIRED',
    message: 'Please sign in.',
    request_id: answer.header('x-request-id'),
    auth_url: `${url}/auth/login`,
  })
})

await t.test('a bad token is named in the challenge, and never sent to sign in', async (t) => {
  for (const headers of [[], [html, navigate]]) {
    const answer = await ask(gateway, 'GET /trac/api/x', ['Authorization: Bearer x', ...headers])
    t.equal(answer.status, 401)
    t.equal(answer.header('www-authenticate'), 'Bearer realm="Trac", error="invalid_token"')
  }
  const dropped = await ask(gateway, 'GET /trac/api/x', ['Authorization: Basic YTpi'])
  t.equal(dropped.header('www-authenticate'), 'Bearer realm="Trac"', 'another scheme is no token')
})

await t.test('a malformed Authorization is 400', async (t) => {
  for (const value of [
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a, Bearer b',
    'bearer a"b',
    '"x"',
  ]) {
    const answer = await ask(gateway, 'GET /trac/wiki', [`Authorization: ${value}`])
    t.equal(answer.status, 400, value)
    t.equal(codeOf(answer), 'ERR_CREDENTIAL_MALFORMED', value)
  }
})

await t.test(
  '403 is a page for a person, under a strict policy, with what is missing and who is signed in',
  async (t) => {
    const answer = await ask(gateway, 'GET /trac/admin', [cookie, html, navigate])
    t.equal(answer.status, 403)
    t.match(answer.header('content-type'), /^text\/html/)
    t.match(answer.body, /TRAC_ADMIN/)
    t.match(answer.body, /sam/)
    t.match(answer.body, /ERR_PERMISSION_REQUIRED/)
    t.ok(answer.body.includes(answer.header('x-request-id')))
    t.match(answer.header('content-security-policy'), /default-src 'none'/)
    t.equal(answer.header('referrer-policy'), 'same-origin')
    t.equal(answer.header('www-authenticate'), '')
  },
)

await t.test('403 is JSON for a client', async (t) => {
  const answer = await ask(gateway, 'GET /trac/group', [token])
  t.equal(answer.status, 403)
  t.match(JSON.parse(answer.body), {
    error: 'forbidden',
    code: 'ERR_GROUP_REQUIRED',
    message: 'This needs the group admins.',
  })
})

await t.test('403 is a page for a form and JSON for a script', async (t) => {
  const base = [cookie, 'Content-Length: 0', `Origin: ${origin}`]
  const form = await ask(gateway, 'POST /trac/admin', [...base, html, navigate])
  t.match(form.header('content-type'), /^text\/html/)
  const script = await ask(gateway, 'POST /trac/admin', [
    ...base,
    html,
    'X-Requested-With: XMLHttpRequest',
  ])
  t.match(script.header('content-type'), /^application\/json/)
})

await t.test(
  'a session cookie that can’t be opened is deleted, and the page is served to nobody',
  async (t) => {
    const { session } = names
    const bad = `Cookie: ${session}=junk; ${session}1=more; trac_session=keep`
    const open = await ask(gateway, 'GET /trac/wiki', [bad])
    t.equal(open.status, 200)
    t.match(open.header('set-cookie'), new RegExp(`${session}=; .*Max-Age=0`))
    t.match(open.header('set-cookie'), new RegExp(`${session}1=; .*Max-Age=0`))
    t.equal(upstream.lastHeaders()['cookie'], 'trac_session=keep')
    const shut = await ask(gateway, 'GET /trac/api/x', [bad])
    t.equal(shut.status, 401)
    t.equal(codeOf(shut), 'ERR_LOGIN_REQUIRED')
    t.match(shut.header('set-cookie'), /Max-Age=0/)
  },
)

await t.test('a refusal holds not one byte of the upstream, which was not called', async (t) => {
  const before = upstream.received.length
  for (const line of ['GET /trac/api/x', 'POST /trac/api/x', 'GET /trac/admin', 'GET /trac/../x']) {
    const answer = await ask(gateway, line)
    t.ok(answer.status >= 400)
    t.notMatch(answer.body, /"url"/)
  }
  t.equal(upstream.received.length, before)
})

await t.test('404 and 405 end for every method, by HEAD without a body', async (t) => {
  t.equal((await ask(gateway, 'HEAD /trac/auth/nowhere')).status, 404)
  t.equal((await ask(gateway, 'PROPFIND /trac/auth/nowhere')).status, 404)
  t.equal((await ask(gateway, 'TRACE /trac/wiki')).status, 405)
  t.equal((await ask(gateway, 'OPTIONS /trac/wiki')).status, 405)
})

await t.test('the type of a body that is not sent on is not sent on either', async (t) => {
  await ask(gateway, 'GET /trac/api/typed', [token, 'Content-Type: application/json'])
  t.equal(upstream.received.at(-1)?.url, '/trac/api/typed')
  t.equal(upstream.lastHeaders()['content-type'], undefined)
})
