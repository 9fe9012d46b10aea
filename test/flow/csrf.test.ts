/** Cross-site requests: what rides on the cookie must come from our own pages, what does not is not asked. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask, codeOf } from '../fixtures/wire.js'

const { alice, sam, upstream, gateway, url, origin, bearerOf, cookieOf } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
  overlay: {
    routes: [
      { name: 'hook', path: '/hook', access: 'public' },
      { name: 'rpc', path: '/rpc', upstream: 'trac' },
      { name: 'api', path: '/api/**', upstream: 'api' },
    ],
  },
})
const cookie = await cookieOf(sam)
const token = await bearerOf(sam)
const adminToken = await bearerOf(alice)
const empty = 'Content-Length: 0'
const evil = 'Origin: https://evil.example'
const ours = `Origin: ${origin}`

/** What a POST with the cookie says of where it comes from, and whether it passes. */
const cases: readonly (readonly [said: readonly string[], passes: boolean])[] = [
  [[], false],
  [[ours], true],
  [[evil], false],
  [['Origin: null'], false],
  [[`Origin: ${origin.toUpperCase()}`], false],
  [['Origin: http://127.0.0.1'], false],
  [['Sec-Fetch-Site: same-origin'], true],
  [['Sec-Fetch-Site: same-origin', ours], true],
  [['Sec-Fetch-Site: same-origin', 'Origin: null'], true],
  [['Sec-Fetch-Site: same-origin', evil], false],
  [['Sec-Fetch-Site: same-site', ours], false],
  [['Sec-Fetch-Site: cross-site', ours], false],
  [['Sec-Fetch-Site: none', ours], false],
  [['Sec-Fetch-Site: same-origin, same-origin'], false],
  [[`Referer: ${url}/wiki`], true],
  [['Referer: https://evil.example/'], false],
  [[evil, `Referer: ${url}/wiki`], false],
  [['Origin: null', `Referer: ${url}/wiki`], false],
]

for (const [said, passes] of cases) {
  await t.test(
    `a POST with the cookie and ${said.join(' | ') || 'nothing'} ${passes ? 'passes' : 'is refused'}`,
    async (t) => {
      for (const path of ['/newticket', '/api/x', '/rpc']) {
        const before = upstream.received.length
        const answer = await ask(gateway, `POST /trac${path}`, [cookie, empty, ...said])
        t.equal(answer.status, passes ? 200 : 403, path)
        if (!passes) t.equal(codeOf(answer), 'ERR_CROSS_SITE')
        t.equal(upstream.received.length, before + (passes ? 1 : 0))
      }
    },
  )
}

await t.test('two copies of a header that says where a request comes from are 400', async (t) => {
  for (const twice of [
    [ours, evil],
    [ours, ours],
    ['Origin:', ours],
    ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site'],
    [`Referer: ${url}/`, 'Referer: https://evil.example/'],
  ]) {
    const answer = await ask(gateway, 'POST /trac/newticket', [cookie, empty, ...twice])
    t.equal(codeOf(answer), 'ERR_HEADER_REPEATED', twice.join())
  }
})

for (const method of ['PUT', 'DELETE', 'PATCH', 'PROPFIND', 'POST']) {
  await t.test(`${method} with the cookie from another site is refused`, async (t) => {
    const answer = await ask(gateway, `${method} /trac/api/x`, [cookie, empty, evil])
    t.equal(codeOf(answer), 'ERR_CROSS_SITE')
  })
}

await t.test('reading with the cookie is not asked where it comes from', async (t) => {
  const said = [evil, 'Sec-Fetch-Site: cross-site']
  t.equal((await ask(gateway, 'GET /trac/wiki', [cookie, ...said])).status, 200)
  t.equal((await ask(gateway, 'HEAD /trac/wiki', [cookie, ...said])).status, 200)
})

await t.test(
  'a Bearer request is not asked where it comes from, whatever cookie comes with it',
  async (t) => {
    const answer = await ask(gateway, 'POST /trac/newticket', [token, cookie, empty, evil])
    t.equal(answer.status, 200)
  },
)

await t.test(
  'a POST without a session is not asked where it comes from, and its body goes on byte for byte',
  async (t) => {
    const body = 'a\r\nb=\u{0}\u{ff}%zz'
    const headers = [`Content-Length: ${body.length}`, 'Content-Type: application/json', evil]
    const answer = await ask(gateway, 'POST /trac/hook', headers, body)
    t.equal(answer.status, 200)
    t.strictSame(upstream.received.at(-1)!.body, Buffer.from(body, 'latin1'))
  },
)

await t.test('JSON-RPC and XML-RPC with the cookie are refused from elsewhere', async (t) => {
  for (const type of ['application/json', 'text/xml', 'text/plain', 'multipart/form-data']) {
    const answer = await ask(
      gateway,
      'POST /trac/rpc',
      [cookie, evil, `Content-Type: ${type}`, 'Content-Length: 2'],
      '{}',
    )
    t.equal(codeOf(answer), 'ERR_CROSS_SITE', type)
  }
})

/** Queries by which Trac would save an edited comment on GET. */
const writing = [
  'edit_comment=1&cnum_edit=1&edited_comment=x',
  'edit_comment',
  'edit_comment=',
  'a=b&edit_comment=1',
  '%65dit_comment=1',
  'edit%5Fcomment=1',
  'edit_comment=1;x=y',
  'x=y;edit_comment=1',
  'x;%65dit_comment',
  '&&edit_comment=1',
  'edit_comment=0&edit_comment=1',
]
const who = {
  'the cookie': [cookie, ours, 'Sec-Fetch-Site: same-origin'],
  'a token': [token],
  'an admin’s token': [adminToken],
  nothing: [],
}

for (const [name, headers] of Object.entries(who)) {
  await t.test(`the GET that writes in Trac is refused with ${name}`, async (t) => {
    const before = upstream.received.length
    for (const query of writing) {
      for (const line of [`GET /trac/ticket/1?${query}`, `GET /trac/wiki?${query}`]) {
        const answer = await ask(gateway, line, headers)
        t.equal(answer.status, 403, line)
        t.equal(codeOf(answer), 'ERR_UNSAFE_GET', line)
      }
      t.equal((await ask(gateway, `HEAD /trac/ticket/1?${query}`, headers)).status, 403)
    }
    t.equal(upstream.received.length, before)
  })
}

await t.test('what only looks like the GET that writes passes', async (t) => {
  for (const query of [
    'x=edit_comment',
    'edit_comments=1',
    'Edit_comment=1',
    '%2565dit_comment=1',
    'edit-comment=1',
  ]) {
    t.equal((await ask(gateway, `GET /trac/ticket/1?${query}`)).status, 200, query)
  }
  t.equal((await ask(gateway, 'GET /trac/api/x?edit_comment=1', [token])).status, 200, 'not Trac')
})

await t.test('sign-out and renewal with the cookie want our own origin', async (t) => {
  for (const path of ['/logout', '/auth/logout', '/auth/refresh']) {
    for (const said of [[], [evil], ['Sec-Fetch-Site: cross-site', ours], ['Origin: null']]) {
      const answer = await ask(gateway, `POST /trac${path}`, [cookie, empty, ...said])
      t.ok([403, 200].includes(answer.status), `${path} ${said.join()} ${answer.status}`)
      t.notMatch(answer.header('set-cookie'), /Max-Age=0/, 'the session is still there')
    }
  }
  t.equal((await ask(gateway, 'GET /trac/wiki', [cookie])).status, 200)
  t.equal(upstream.lastHeaders()['x-trac-user'], 'sam')
})
