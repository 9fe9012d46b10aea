/** What an upstream hears of a request and a client of an answer: no byte of either becomes what only we may say. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { answerText, answering, ask, codeOf } from '../fixtures/wire.js'

const untrusting = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
  overlay: { upstreams: { api: { forwardAccessToken: true } } },
})
const { provider, sam, upstream } = untrusting
const shared = { provider, upstream, api: upstream }
const trusting = await stage(t, {
  ...shared,
  overlay: { server: { trustedProxies: ['127.0.0.1'] } },
})
const token = await untrusting.bearerOf(sam)
const cookie = await untrusting.cookieOf(sam)
const session = cookie.replace('Cookie: ', '')

/** The headers of the next answer of the upstream that `listening` is in front of. */
let said: string[] = []
const listening = await stage(t, {
  provider,
  upstream: 'raw',
  answer: answering(() => answerText('x', said)),
  api: true,
})

/** Client headers that must not arrive; each is sent with and without being named in `Connection`. */
const dropped: readonly string[] = [
  ...['X-Trac-User', 'x-trac-user', 'X-TRAC-USER', 'X_Trac_User', 'X-Trac_User', 'x_trac-user'],
  ...['X-Trac-Perms', 'X_TRAC_PERMS', 'X-Trac-Email', 'X-Trac-Name', 'X-Trac-Signature'],
  ...['X-Trac-Anything', 'X_Trac_Signature', '_', 'Content_Length', 'Transfer_Encoding'],
  ...['Remote-User', 'REMOTE_USER', 'X-Remote-User', 'Auth-User', 'X-Auth-User', 'X-User'],
  ...['X-Authenticated-User', 'X-Webauth-User', 'X-Forwarded-User', 'X-Forwarded-Email'],
  ...['X-Forwarded-Groups', 'X-Forwarded-Access-Token', 'X-Auth-Request-User', 'X-Proxy-User'],
  ...['X-Forwarded-Prefix', 'X-Forwarded-Port', 'X-Forwarded-Server', 'X-Forwarded-Uri'],
  ...['X-Forwarded-Method', 'X-Forwarded-Scheme', 'X-Forwarded-Ssl', 'Forwarded', 'Via'],
  ...['X-Original-URL', 'X-Rewrite-URL', 'X-Original-URI', 'X-Envoy-Original-Path'],
  ...['X-Amzn-Oidc-Data', 'X-Amzn-Oidc-Identity', 'Script-Name', 'SCRIPT_NAME', 'PATH_INFO'],
  ...['X-Script-Name', 'X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'Proxy'],
  ...['X-Real-IP', 'X-Client-IP', 'True-Client-IP', 'CF-Connecting-IP', 'X-Cluster-Client-IP'],
  ...['Keep-Alive', 'Proxy-Connection', 'Proxy-Authorization', 'TE', 'Trailer', 'Upgrade'],
]

for (const name of dropped) {
  await t.test(`${name} of a client does not arrive`, async (t) => {
    for (const extra of [
      [],
      [`Connection: close, ${name}`],
      [`connection: ${name.toLowerCase()}`],
    ]) {
      await ask(
        untrusting,
        'GET /trac/wiki',
        [`${name}: evil`, `${name.toLowerCase()}: evil`, ...extra].slice(
          name === 'Upgrade' ? 1 : 0,
        ),
      )
      const { rawHeaders } = upstream.received.at(-1)!
      t.notOk(rawHeaders.includes('evil'), rawHeaders.join(' '))
      const folded = rawHeaders.filter((_, i) => i % 2 === 0).map((it) => it.toLowerCase())
      t.notOk(folded.some((it) => it.includes('_')))
    }
  })
}

/** What we say ourselves, and how often. */
const ours = [
  'host',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
  'traceparent',
  'via',
  'x-trac-user',
  'x-trac-perms',
  'x-trac-signature',
]

await t.test(
  'our headers come exactly once, whatever a client sent or named in Connection',
  async (t) => {
    const copies = ours
      .filter((name) => name !== 'host' && name !== 'x-request-id' && name !== 'traceparent')
      .flatMap((name) => [
        `${name}: evil`,
        `${name.toUpperCase()}: evil`,
        `${name.replaceAll('-', '_')}: evil`,
      ])
    for (const named of ['close', `close, ${ours.join(', ')}`, ours.join(',').toUpperCase()]) {
      await ask(untrusting, 'GET /trac/wiki', [token, ...copies, `Connection: ${named}`])
      const { rawHeaders } = upstream.received.at(-1)!
      const names = rawHeaders.filter((_, i) => i % 2 === 0).map((it) => it.toLowerCase())
      for (const name of ours) t.equal(names.filter((it) => it === name).length, 1, name)
      const headers = upstream.lastHeaders()
      t.equal(headers['x-trac-user'], 'sam')
      t.equal(headers['x-trac-perms'], [...headers['x-trac-perms']!.split(',')].toSorted().join())
      t.equal(headers['host'], new URL(untrusting.url).host)
      t.equal(headers['x-forwarded-for'], '127.0.0.1')
      t.equal(headers['x-forwarded-proto'], 'http')
      t.equal(headers['x-forwarded-host'], new URL(untrusting.url).host)
      t.match(headers['x-trac-signature'], /^v1;t=\d+;e=\d+;n=[\w-]{22};kid=k1;sig=[\w-]{43}$/)
    }
  },
)

await t.test('an anonymous request always carries an empty user', async (t) => {
  await ask(untrusting, 'GET /trac/wiki')
  t.equal(upstream.lastHeaders()['x-trac-user'], '')
  t.equal(
    upstream.lastHeaders()['x-trac-perms'],
    'ROADMAP_VIEW,TICKET_VIEW,TIMELINE_VIEW,WIKI_VIEW',
  )
  t.equal(upstream.lastHeaders()['x-trac-email'], undefined)
})

await t.test('the client’s address is taken from trusted proxies only, and is alone', async (t) => {
  const said = 'X-Forwarded-For: 203.0.113.7, 198.51.100.2'
  await ask(untrusting, 'GET /trac/wiki', [said])
  t.equal(upstream.lastHeaders()['x-forwarded-for'], '127.0.0.1')
  await ask(trusting, 'GET /trac/wiki', [said])
  t.equal(upstream.lastHeaders()['x-forwarded-for'], '198.51.100.2')
  await ask(trusting, 'GET /trac/wiki', ['Forwarded: for=203.0.113.9;proto=http'])
  t.equal(upstream.lastHeaders()['x-forwarded-for'], '203.0.113.9')
  await ask(trusting, 'GET /trac/wiki', ['X-Forwarded-For: not-an-address'])
  t.equal(upstream.lastHeaders()['x-forwarded-for'], '127.0.0.1')
})

await t.test('other headers arrive as they were sent, in their order', async (t) => {
  const sent = [
    'Accept-Language: de, en;q=0.5',
    'X-Custom: 1',
    'x-custom: 2',
    'If-None-Match: "é"',
    'X-Requested-With: XMLHttpRequest',
  ]
  await ask(untrusting, 'GET /trac/wiki', sent)
  const { rawHeaders } = upstream.received.at(-1)!
  const pairs = rawHeaders.flatMap((name, i) =>
    i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : [],
  )
  const kept = pairs.filter((pair) => sent.includes(pair))
  t.strictSame(kept, sent)
})

await t.test('Trac’s own cookies pass; ours, trac_auth and the token stay here', async (t) => {
  const { names } = untrusting
  const cookies = `trac_session=a; ${session}; trac_auth=x; trac_form_token=b; ${names.attempt}12345678=y; other=c`
  await ask(untrusting, 'GET /trac/wiki', [`Cookie: ${cookies}`])
  t.equal(upstream.lastHeaders()['cookie'], 'trac_session=a; trac_form_token=b; other=c')
  t.equal(upstream.lastHeaders()['x-trac-user'], 'sam')
  await ask(untrusting, 'GET /trac/wiki', [cookie])
  t.equal(upstream.lastHeaders()['cookie'], undefined)
  await ask(untrusting, 'GET /trac/wiki', [token])
  t.equal(upstream.lastHeaders()['authorization'], undefined)
  await ask(untrusting, 'GET /trac/wiki', ['Cookie: trac_session=a', cookie, 'Cookie: trac_auth=x'])
  t.equal(
    upstream.lastHeaders()['cookie'],
    'trac_session=a',
    'also when they come in several fields',
  )
})

await t.test(
  'an upstream with forwardAccessToken gets the token of a Bearer request, as it came',
  async (t) => {
    await ask(untrusting, 'GET /trac/api/x', [token])
    t.equal(upstream.lastHeaders()['authorization'], token.replace('Authorization: ', ''))
    await ask(untrusting, 'GET /trac/wiki', [token])
    t.equal(upstream.lastHeaders()['authorization'], undefined)
  },
)

/** Headers that are refused before anybody looks at them. */
const bad: readonly (readonly [what: string, header: string, status: number])[] = [
  ['NUL in a value', 'X-A: a\0b', 400],
  ['a bare CR in a value', 'X-A: a\rX-Trac-User: evil', 400],
  ['a bare LF in a value', 'X-A: a\nX-Trac-User: evil', 400],
  ['another control character', 'X-A: a\u{1}b', 400],
  ['DEL', 'X-A: a\u{7f}b', 400],
  ['a space before the colon', 'X-Trac-User : evil', 400],
  ['a folded value', 'X-A: a\r\n X-Trac-User: evil', 400],
  ['a line without a colon', 'X-Trac-User', 400],
  ['an empty name', ': evil', 400],
  ['a name with a quote', 'X"A: b', 400],
  ['a name beyond ASCII', 'X\u{e9}: b', 400],
  ['64 KiB of cookies', `Cookie: a=${'b'.repeat(65_536)}`, 431],
]

for (const [what, header, status] of bad) {
  await t.test(`a request with ${what} is ${status}`, async (t) => {
    const before = upstream.received.length
    const answer = await ask(untrusting, 'GET /trac/wiki', [header])
    t.equal(answer.status, status)
    t.equal(upstream.received.length, before)
  })
}

const once = [
  'Host: localhost',
  'Authorization: Bearer x',
  'Authorization: Basic x',
  'Origin: http://x',
  'Content-Type: a/b',
  'Referer: http://x',
  'X-Request-Id: 1',
  'Sec-Fetch-Mode: cors',
]
for (const header of once) {
  await t.test(`${header} twice is 400`, async (t) => {
    const copy = header.replace(/: .*/, ': other')
    const first = header.startsWith('Host') ? `Host: localhost:${untrusting.port}` : header
    for (const pair of [
      [first, copy],
      [first, first],
      [header.replace(/: .*/, ':'), first],
    ]) {
      const answer = await ask(untrusting, 'GET /trac/wiki', pair)
      t.equal(answer.status, 400)
      if (!header.startsWith('Host')) t.equal(codeOf(answer), 'ERR_HEADER_REPEATED')
    }
  })
}

/** Odd Cookie headers: none is a fault of ours. */
const oddCookies = [
  '',
  ';',
  '=',
  'a',
  ';;;=;',
  '=x',
  '; ;',
  'a=b; a=c',
  '"',
  'a="b;c"',
  '\u{ff}=\u{fe}',
  '__proto__=1',
  'constructor=1',
  `${session.split('=', 1)[0]}=`,
  `${session.split('=', 1)[0]}1=a; ${session.split('=', 1)[0]}99999999=b`,
  '%s%n=1',
]
for (const odd of oddCookies) {
  await t.test(`the header “Cookie: ${odd.slice(0, 40)}” does no harm`, async (t) => {
    const answer = await ask(untrusting, 'GET /trac/wiki', [`Cookie: ${odd}`])
    t.equal(answer.status, 200)
    t.equal(upstream.lastHeaders()['x-trac-user'], '')
  })
}

for (const name of ['Constructor', 'toString', 'valueOf', 'hasOwnProperty']) {
  await t.test(`a header called ${name} is a header like any other`, async (t) => {
    t.equal((await ask(untrusting, 'GET /trac/wiki', [`${name}: 1`])).status, 200)
  })
}

// ── what a client hears ─────────────────────────────────────────────────────────────────────────

const heard = async (headers: string[], request: string[] = []) => {
  said = headers
  return await ask(listening, 'GET /trac/wiki', request)
}

const silenced = [
  'Keep-Alive: timeout=5',
  'Proxy-Authenticate: Basic',
  'Upgrade: h2c',
  'Trailer: X',
  'TE: x',
  'Server: tracd/1.6',
  'X-Powered-By: x',
  'Alt-Svc: h3=":443"',
  'X-Trac-User: x',
  'X-Trac-Signature: x',
  'X-Sendfile: /etc/passwd',
  'X-Accel-Redirect: /x',
  'Proxy-Connection: keep-alive',
]

// One speaker, one answer at a time: these run one after the other.
await t.test(
  'what only the hop or the upstream itself is concerned with is not passed on',
  async (t) => {
    for (const header of silenced) {
      const name = header.split(':', 1)[0]!.toLowerCase()
      for (const extra of [[], ['Connection: keep-alive']]) {
        const answer = await heard([header, ...extra])
        t.equal(answer.status, 200, header)
        t.notOk(
          answer.headers.some(([it, value]) => it === name && header.endsWith(value)),
          header,
        )
      }
    }
    const named = await heard(['X-Secret: 1', 'X-Kept: 2', 'Connection: x-secret, keep-alive'])
    t.equal(named.header('x-secret'), '')
    t.equal(named.header('x-kept'), '2')
  },
)

await t.test('an upstream cannot set our cookies, nor trac_auth', async (t) => {
  const { names } = listening
  const tries = [
    `${names.session}=x`,
    `${names.session}1=x`,
    `${names.attempt}a=x`,
    'trac_auth=x',
    ` ${names.session} =x`,
    `=${names.session}=x`,
    `= ${names.session}=x`,
    '=trac_auth=x',
    'trac_auth',
    'trac_auth;Path=/',
    names.session,
  ]
  for (const cookie of tries) {
    const answer = await heard([
      `Set-Cookie: ${cookie}; Path=/`,
      'Set-Cookie: trac_session=keep; Path=/',
    ])
    t.equal(answer.header('set-cookie'), 'trac_session=keep; Path=/', cookie)
  }
  const kept = await heard([
    'Set-Cookie: a=trac_auth=x',
    'Set-Cookie: trac_form_token=b',
    'Set-Cookie: xtrac_auth=1',
  ])
  t.equal(kept.header('set-cookie'), 'a=trac_auth=x|trac_form_token=b|xtrac_auth=1')
})

await t.test(
  'what is answered to somebody is private; to nobody it is as the upstream says',
  async (t) => {
    t.equal((await heard([], [token])).header('cache-control'), 'private')
    t.equal(
      (await heard(['Cache-Control: max-age=9'], [token])).header('cache-control'),
      'private, max-age=9',
    )
    t.equal((await heard(['Cache-Control: no-store'], [token])).header('cache-control'), 'no-store')
    t.equal((await heard(['Cache-Control: max-age=9'])).header('cache-control'), 'max-age=9')
    t.equal((await heard([])).header('cache-control'), '')
  },
)

await t.test(
  'an answer with a Set-Cookie of ours is no-store, whatever the upstream says',
  async (t) => {
    const { names } = listening
    const answer = await heard(
      ['Cache-Control: public, max-age=9'],
      [`Cookie: ${names.session}=junk`],
    )
    t.equal(answer.header('cache-control'), 'no-store')
    t.match(answer.header('set-cookie'), /Max-Age=0/)
  },
)

await t.test(
  'what Trac declares a type of is of no other type; another upstream says so itself',
  async (t) => {
    const sniffed = async (path: string, headers: readonly string[]) => {
      const answer = answering(() => answerText('x', headers))
      const front = await stage(t, { provider, upstream: 'raw', answer, api: true })
      return (await ask(front, `GET ${path}`, [token])).header('x-content-type-options')
    }
    t.equal(await sniffed('/trac/wiki', ['Content-Type: text/html']), 'nosniff')
    t.equal(await sniffed('/trac/wiki', ['X-Content-Type-Options: theirs']), 'theirs')
    t.equal(await sniffed('/trac/api/x', ['Content-Type: text/html']), '')
    t.equal(await sniffed('/trac/api/x', ['X-Content-Type-Options: theirs']), 'theirs')
  },
)

await t.test('the request id is ours; a client’s is taken over if it is well-formed', async (t) => {
  const kept = await heard(['X-Request-Id: theirs'], ['X-Request-Id: abc.DEF_1-2'])
  t.equal(kept.header('x-request-id'), 'abc.DEF_1-2')
  for (const odd of ['a b', 'a\u{e9}', 'x'.repeat(129), 'a"b', '<script>']) {
    t.match((await heard([], [`X-Request-Id: ${odd}`])).header('x-request-id'), /^[0-9a-f]{32}$/)
  }
})
