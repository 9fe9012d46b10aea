/** `legacyAuth`: what Trac itself knows people by goes through to it, marked, from whoever has not signed in with us. */
import { loadText, minimal, problemsOf } from '../fixtures/config.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { answerText, answering, ask } from '../fixtures/wire.js'

const basic = `Authorization: Basic ${Buffer.from('carl:secret').toString('base64')}`
const tracCookie = 'Cookie: trac_auth=0123456789abcdef'

const s = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
  overlay: {
    upstreams: { trac: { legacyAuth: true } },
    routes: [
      { name: 'closed', path: '/closed', access: 'deny' },
      { name: 'staff', path: '/staff', require: { anyGroup: ['admins'] } },
      { name: 'strict', path: '/strict', access: 'optional', legacyAuth: false },
      { name: 'hooks', path: '/hooks', upstream: 'api', legacyAuth: true },
      { name: 'api', path: '/api/**', upstream: 'api' },
    ],
  },
})
const { upstream, gateway } = s
const session = (await s.cookieOf(s.sam)).replace('Cookie: ', '')
const bearer = await s.bearerOf(s.sam)

/** Asks, and says what the upstream was told of who it is from. */
async function told(line: string, lines: readonly string[]) {
  const answer = await ask(s, line, lines)
  const { 'x-trac-user': user, 'x-trac-kind': kind, ...rest } = upstream.lastHeaders()
  const { authorization, cookie, 'x-trac-signature': signature = '' } = rest
  return {
    status: answer.status,
    user,
    kind,
    authorization,
    cookie,
    version: signature.slice(0, 3),
  }
}

const marked = { status: 200, user: undefined, kind: 'legacy', version: 'v2;' }
const asSam = { status: 200, user: 'sam', kind: undefined, version: 'v1;' }
const basicValue = basic.slice('Authorization: '.length)

await t.test('Basic and trac_auth go through, with a mark and nobody’s identity', async (t) => {
  t.match(await told('GET /trac/wiki', [basic]), { ...marked, authorization: basicValue })
  t.match(await told('GET /trac/wiki', [tracCookie]), {
    ...marked,
    authorization: undefined,
    cookie: 'trac_auth=0123456789abcdef',
  })
  const headers = upstream.lastHeaders()
  t.notOk('x-trac-perms' in headers)
  t.match(await told('POST /trac/newticket', [basic, 'Content-Length: 0']), marked, 'a form, too')
  t.match(await told('GET /trac/staff', [tracCookie]), marked, 'whatever a rule requires')
  t.match(await told('GET /trac/hooks', [basic]), { kind: 'legacy', authorization: basicValue })
})

await t.test('whoever has signed in with us is never left to Trac', async (t) => {
  const both = `Cookie: ${session}; trac_auth=0123456789abcdef`
  const bySession = await told('GET /trac/wiki', [both, basic])
  t.match(bySession, { ...asSam, authorization: undefined })
  t.notMatch(bySession.cookie ?? '', /trac_auth/)
  t.match(await told('GET /trac/wiki', [bearer, tracCookie]), { ...asSam, cookie: undefined })
  const bad = await ask(s, 'GET /trac/wiki', ['Authorization: Bearer x.y.z', tracCookie])
  t.equal(bad.status, 401, 'a bad token is nobody’s password')
})

await t.test('a session that does not open leaves it to Trac', async (t) => {
  const name = session.slice(0, session.indexOf('='))
  const broken = `Cookie: ${name}=broken; trac_auth=0123456789abcdef`
  t.match(await told('GET /trac/wiki', [broken]), {
    ...marked,
    cookie: 'trac_auth=0123456789abcdef',
  })
})

await t.test('nobody passes a closed rule, nor one that leaves it out', async (t) => {
  t.equal((await ask(s, 'GET /trac/closed', [basic])).status, 403)
  const kept = await told('GET /trac/strict', [basic, tracCookie])
  t.match(kept, { user: '', kind: undefined, authorization: undefined, cookie: undefined })
  t.equal((await ask(s, 'GET /trac/api/x', [basic])).status, 401)
})

await t.test(
  'no other credential is passed on, and nobody marks a request by itself',
  async (t) => {
    const digest = await told('GET /trac/wiki', [
      'Authorization: Digest username="carl"',
      tracCookie,
    ])
    t.match(digest, { ...marked, authorization: undefined })
    const plain = ['X-Trac-Kind: legacy', 'X_Trac_Kind: legacy', 'X-Trac-Groups: admins']
    t.match(await told('GET /trac/wiki', plain), { status: 200, user: '', kind: undefined })
    t.match(await told('GET /trac/wiki', ['Cookie: trac_auth=']), { user: '', kind: undefined })
  },
)

await t.test('Trac’s login and logout are Trac’s', async (t) => {
  t.match(await told('GET /trac/login', []), { status: 200, user: '' })
  t.match(await told('GET /trac/login', [basic]), marked)
  t.match(await told('POST /trac/logout', [tracCookie, 'Content-Length: 0']), marked)
  const out = await ask(s, 'POST /trac/logout', [
    `Cookie: ${session}`,
    `Origin: ${s.origin}`,
    'Content-Length: 0',
  ])
  t.match([out.status, out.header('location')], [307, '/trac/auth/logout'])
  const back = await ask(s, 'GET /trac/login?referer=/trac/report', [`Cookie: ${session}`])
  t.equal(back.header('location'), '/trac/auth/login?return_to=%2Ftrac%2Freport')
  const foreign = await ask(s, 'GET /trac/login?referer=http://evil.example/', [
    `Cookie: ${session}`,
  ])
  t.equal(foreign.header('location'), `/trac/auth/login?return_to=http%3A%2F%2Fevil.example%2F`)
  const led = await ask(s, `GET ${foreign.header('location')}`, [`Cookie: ${session}`])
  t.equal(led.header('location'), '/trac/', 'nowhere else')
})

await t.test('Trac sets its cookie on these answers alone, and no cache keeps them', async (t) => {
  const listening = await stage(t, {
    provider: s.provider,
    upstream: 'raw',
    answer: answering(() => answerText('x', ['Set-Cookie: trac_auth=1; path=/trac'])),
    overlay: { upstreams: { trac: { legacyAuth: true } } },
  })
  const legacy = await ask(listening, 'GET /trac/wiki', [basic])
  t.equal(legacy.header('set-cookie'), 'trac_auth=1; path=/trac')
  t.equal(legacy.header('cache-control'), 'private')
  const anonymous = await ask(listening, 'GET /trac/wiki')
  t.equal(anonymous.header('set-cookie'), '')
})

await t.test('the log says who was let in so', async (t) => {
  const before = gateway.lines.length
  await ask(s, 'GET /trac/staff', [basic])
  const lines = gateway.lines.slice(before).filter(({ via }) => via === 'legacy')
  t.match(lines, [
    { route: 'staff', result: 'allow' },
    { route: 'staff', status: 200 },
  ])
  t.notMatch(JSON.stringify(lines), /Basic|secret|Y2FybD/)
})

await t.test('check says of each rule that it is no protection, and refuses forward-auth', (t) => {
  const text = minimal.replace('{ trac: { url', '{ trac: { legacyAuth: true, url')
  const routes = `routes:
  - { name: staff, path: /staff, require: { anyGroup: [admins] } }
  - { name: closed, path: /closed, access: deny }
  - { name: own, path: /own, legacyAuth: false }
`
  const { warnings } = loadText(text + routes)
  const said = new Map(
    warnings
      .filter(({ name }) => name === 'legacy-auth')
      .map(({ path, found }) => [path, found] as const),
  )
  t.same([...said.keys()].toSorted(), ['routes[0].legacyAuth', 'upstreams.trac.legacyAuth'])
  t.match(said.get('upstreams.trac.legacyAuth'), /trac:wiki.*trac:plugins/)
  const asked = text.replace('trustedProxies:', 'forwardAuth: nginx, trustedProxies:')
  t.match(problemsOf(asked), [{ path: 'upstreams.trac.legacyAuth' }])
  t.end()
})
