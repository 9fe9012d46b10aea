/** What holds behind every front proxy; each test of this folder says it of one. */
import { request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { joinCourses, startFront, untilRenewal } from '../fixtures/forward-auth.js'
import type { Front, FrontAnswer, FrontProxy, Reached } from '../fixtures/forward-auth.js'
import { Visitor } from '../fixtures/visitor.js'
import { codeOf } from '../fixtures/wire.js'

/** The values that came under a name, in whatever spelling WSGI servers fold to it. */
function folded(reached: Reached | undefined, name: string): string[] {
  const fold = (text: string) => text.toLowerCase().replaceAll(/[_.]/g, '-')
  return (reached?.headers ?? []).filter(([one]) => fold(one) === name).map(([, value]) => value)
}

/** What reached Trac while something was done. */
async function reachedBy(front: Front, act: () => Promise<unknown>): Promise<readonly Reached[]> {
  const before = front.reached().length
  await act()
  return front.reached().slice(before)
}

/** Trac's own guard against forged forms, out of a page. */
function formToken(page: { readonly text: string }): string {
  return /name="__FORM_TOKEN" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
}

const isClosed = (status: number) => status === 400 || status === 403 || status === 404

/** A page leads to sign-in and back; Trac's page is that person's, and the signature was made for it. */
async function signsIn(t: Test, front: Front): Promise<void> {
  const visitor = new Visitor()
  const first = await visitor.open(`${front.url}/newticket?type=task`)
  t.equal(first.status, 302)
  const back = encodeURIComponent(`${front.base}/newticket?type=task`)
  t.equal(first.location, `${front.url}/auth/login?return_to=${back}`)
  const page = await visitor.signIn(`${front.url}/newticket?type=task`, front.ivan)
  t.equal(page.status, 200)
  t.equal(page.url.href, `${front.url}/newticket?type=task`)
  t.match(page.text, /logged in as[^]{0,60}Ivan Instructor/)
  const last = front.reached().at(-1)
  t.match(last, { method: 'GET', target: `${front.base}/newticket?type=task` })
  t.strictSame(folded(last, 'host'), [`localhost:${front.port}`])
  t.strictSame(folded(last, 'x-trac-user'), ['ivan'])
  t.strictSame(folded(last, 'x-trac-email'), ['ivan@example.edu'])
  t.strictSame(folded(last, 'x-trac-name'), ['Ivan%20Instructor'])
  t.strictSame(folded(last, 'x-trac-groups'), ['instructors'])
  t.strictSame(folded(last, 'x-trac-kind'), ['session'])
  t.match(folded(last, 'x-trac-perms'), [/TICKET_CREATE/])
  t.match(folded(last, 'x-trac-signature'), [/^v2;t=\d+;e=\d+;n=[\w-]+;kid=test-1;sig=/])
}

/** The address itself is Trac's start page, which knows the person. */
async function startsAtTrac(t: Test, front: Front): Promise<void> {
  const visitor = await front.signIn(front.ivan)
  const [came, ...more] = await reachedBy(front, async () => {
    const page = await visitor.open(`${front.url}/`)
    t.equal(page.status, 200)
    t.match(page.text, /logged in as[^]{0,60}Ivan Instructor/)
  })
  t.match(came, { method: 'GET', target: `${front.base}/` })
  t.strictSame(folded(came, 'x-trac-user'), ['ivan'])
  t.strictSame(more, [])
}

/** Only a page is sent to sign in: a fetch, a client and a sent form are told 401. */
async function tellsClients(t: Test, front: Front): Promise<void> {
  const nobody = await reachedBy(front, async () => {
    const fetched = await new Visitor().fetch(`${front.url}/newticket`)
    t.equal(fetched.status, 401)
    t.equal(fetched.headers['www-authenticate'], 'Bearer realm="Trac"')
    t.equal(fetched.json()['code'], 'ERR_LOGIN_REQUIRED')
    t.equal(fetched.json()['auth_url'], `${front.url}/auth/login`)
    t.equal((await new Visitor().submit(`${front.url}/newticket`, 'a=b')).status, 401, 'a form')
    const headers = { authorization: 'Bearer x' }
    const bad = await front.send(`${front.base}/wiki`, { headers })
    t.equal(bad.status, 401)
    t.match(bad.headers['www-authenticate'], /error="invalid_token"/)
  })
  t.strictSame(nobody, [])
  const headers = await front.bearer(front.ivan)
  const page = await front.send(`${front.base}/wiki/WikiStart`, { headers })
  t.equal(page.status, 200)
  t.match(page.text, /logged in as[^]{0,60}Ivan Instructor/)
  const head = await front.send(`${front.base}/wiki/WikiStart`, { method: 'HEAD', headers })
  t.match(head, { status: 200, text: '' })
  const anonymous = await front.send(`${front.base}/wiki/WikiStart`)
  t.equal(anonymous.status, 200, 'and what anybody may see, anybody sees')
  t.notMatch(anonymous.text, /logged in as/)
}

/** New tickets, twice, since each signature of a write is good once. */
async function writes(t: Test, front: Front): Promise<void> {
  const visitor = await front.signIn(front.sam)
  const form = await visitor.open(`${front.url}/newticket`)
  for (const summary of ['Broken clone', 'Größe & Maß']) {
    const fields = { field_summary: summary, field_type: 'defect', submit: 'Create ticket' }
    const body = new URLSearchParams({ __FORM_TOKEN: formToken(form), ...fields }).toString()
    const answer = await visitor.submit(`${front.url}/newticket`, body)
    t.equal(answer.status, 303)
    t.match(answer.location, `${front.url}/ticket/`)
    const ticket = await visitor.open(answer.location)
    t.match(ticket.text, summary.replace('&', '&amp;'))
    t.match(ticket.text, /sam/)
  }
}

/** A body of unknown length comes with one, or not at all: tracd would take its chunks for the next request. */
async function neverChunks(t: Test, front: Front, status: number): Promise<void> {
  const came = await reachedBy(front, async () => {
    const answer = await front.send(`${front.base}/newticket`, {
      method: 'POST',
      headers: {
        'transfer-encoding': 'chunked',
        'content-type': 'application/x-www-form-urlencoded',
        ...(await front.bearer(front.sam)),
      },
      body: 'field_summary=chunks',
    })
    t.equal(answer.status, status)
  })
  for (const one of came) {
    t.strictSame(folded(one, 'transfer-encoding'), [])
    t.strictSame(folded(one, 'content-length'), ['20'])
  }
  const size = 9 * 1024 * 1024
  const [upload] = await reachedBy(front, async () => {
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    const headers = { ...type, ...(await front.bearer(front.sam)) }
    const sent = { method: 'POST', headers, body: 'x='.padEnd(size, 'x') }
    const answer = await front.send(`${front.base}/newticket`, sent)
    t.equal(answer.status, 400, 'Trac read it and misses its form token')
  })
  t.strictSame(folded(upload, 'content-length'), [String(size)])
  const large = await reachedBy(front, async () => {
    const headers = await front.bearer(front.sam)
    const body = 'x'.repeat(11 * 1024 * 1024)
    const sent = front.send(`${front.base}/newticket`, { method: 'POST', headers, body })
    // A proxy may end the connection while the body is still being sent.
    const answer = await sent.catch((error: unknown) => error as NodeJS.ErrnoException)
    if ('status' in answer) t.equal(answer.status, 413)
    else t.match(answer.code, /EPIPE|ECONNRESET/)
  })
  t.strictSame(large, [], 'what is too large does not reach Trac')
  const connections = front.reached().map(({ connection }) => connection)
  t.equal(new Set(connections).size, connections.length, 'each on a connection of its own')
}

/** A page says which permission is missing, a client gets the code. */
async function forbids(t: Test, front: Front): Promise<void> {
  const visitor = await front.signIn(front.sam)
  const came = await reachedBy(front, async () => {
    const page = await visitor.open(`${front.url}/admin`)
    t.equal(page.status, 403)
    t.match(page.headers['content-type'], /^text\/html/)
    t.match(page.text, /TRAC_ADMIN/)
    t.match(page.text, /sam/)
    const fetched = await visitor.fetch(`${front.url}/admin`)
    t.equal(fetched.status, 403)
    t.equal(fetched.json()['code'], 'ERR_PERMISSION_REQUIRED')
    const write = await visitor.open(`${front.url}/ticket/1?edit_comment=1`)
    t.equal(write.status, 403, 'the GET that writes')
  })
  t.strictSame(came, [])
}

/** What a client says of itself. */
const forgery = {
  'X-Trac-User': 'alice',
  'x-trac-perms': 'TRAC_ADMIN',
  'X-Trac-Email': ['a@example.edu', 'b@example.edu'],
  'X-Trac-Signature': 'v1;t=1;e=2;n=AAAAAAAAAAAAAAAAAAAAAA;kid=test-1;sig=AA',
  'X-Trac-Else': 'alice',
  x_trac_user: 'alice',
  'X-Trac_Perms': 'TRAC_ADMIN',
  'X.Trac.User': 'alice',
  'Remote-User': 'alice',
  'X-Remote-User': 'alice',
  'X-Forwarded-For': '192.0.2.1',
  'X-Forwarded-Host': 'evil.example',
  'X-Forwarded-Proto': 'http',
  'X-Forwarded-Method': 'POST',
  'X-Forwarded-Uri': '/trac/admin',
  'X-Forwarded-Prefix': '/evil',
  'X-Forwarded-User': 'alice',
  X_Forwarded_For: '192.0.2.1',
  Forwarded: 'for=192.0.2.1',
}

/** Headers as text, but for the signature: its bytes are random, and may spell any short word. */
const textOf = (headers: readonly (readonly [string, string])[]): string =>
  JSON.stringify(headers.filter(([name]) => !/^x-trac-signature$/i.test(name)))

/** Nothing of it reaches Trac, nor does a credential: what Trac's end received is looked at. */
async function dropsForgery(t: Test, front: Front): Promise<void> {
  const visitor = await front.signIn(front.sam)
  const session = visitor.cookieHeader(front.url)
  t.match(session, /__Host-tg-[0-9a-f]{8}-s=/)
  const cookie = `trac_auth=alice; a=b; ${session}; trac_auth = alice; trac_session=kept`
  const answers: FrontAnswer[] = []
  const came = await reachedBy(front, async () => {
    for (const authorization of ['Basic YWxpY2U6YWxpY2U=', 'Digest username="alice"']) {
      const headers = { ...forgery, cookie, authorization }
      answers.push(await front.send(`${front.base}/wiki/WikiStart`, { headers }))
    }
    const headers = { ...forgery, cookie, ...(await front.bearer(front.sam)) }
    answers.push(await front.send(`${front.base}/wiki/WikiStart`, { headers }))
  })
  t.equal(came.length, 3)
  for (const answer of answers) {
    t.equal(answer.status, 200)
    t.match(answer.text, /logged in as[^]{0,60}Sam Student/)
  }
  for (const one of came) {
    const text = textOf(one.headers)
    for (const word of ['alice', 'evil', '192.0.2', 'TRAC_ADMIN', 'Bearer', 'tg-', 'trac_auth']) {
      t.notMatch(text, word)
    }
    t.strictSame(folded(one, 'x-trac-user'), ['sam'])
    t.strictSame(folded(one, 'x-trac-else'), [])
    t.strictSame(folded(one, 'authorization'), [])
    t.strictSame(folded(one, 'x-forwarded-for'), ['127.0.0.1'])
    t.strictSame(folded(one, 'x-forwarded-host'), [`localhost:${front.port}`])
    t.strictSame(folded(one, 'x-forwarded-proto'), ['https'])
    for (const name of ['method', 'uri', 'prefix', 'user']) {
      t.strictSame(folded(one, `x-forwarded-${name}`), [])
    }
    t.match(folded(one, 'cookie')[0], /^a=b;.* trac_session=kept$/, 'what is not ours stays')
  }
  const odd = await reachedBy(front, async () => {
    const named = 'X-Trac-User, X-Trac-Signature, Cookie'
    const headers = { ...forgery, cookie: session, connection: `close, ${named}` }
    const answer = await front.send(`${front.base}/newticket`, { headers })
    t.ok([200, 401, 403].includes(answer.status), `named in Connection: ${answer.status}`)
  })
  for (const one of odd) t.notMatch(JSON.stringify(one.headers), 'alice')
}

/** The same over HTTP/2, where a cookie may come in crumbs. */
export async function dropsForgeryOverHttp2(t: Test, front: Front): Promise<void> {
  const visitor = await front.signIn(front.sam)
  const client = connectHttp2(front.origin, { rejectUnauthorized: false })
  t.teardown(() => client.close())
  const headers: Record<string, string | string[]> = {
    ':path': `${front.base}/wiki/WikiStart`,
    cookie: [...visitor.cookies(front.url)].map(([name, value]) => `${name}=${value}`),
  }
  for (const [name, value] of Object.entries(forgery)) headers[name.toLowerCase()] = value
  const came = await reachedBy(front, async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const stream = client.request(headers)
      let body = ''
      stream.setEncoding('utf8')
      stream.on('data', (chunk: string) => (body += chunk))
      stream.on('end', () => resolve(body))
      stream.on('error', reject)
    })
    t.match(text, /logged in as[^]{0,60}Sam Student/)
  })
  t.equal(came.length, 1)
  t.strictSame(folded(came[0], 'x-trac-user'), ['sam'])
  t.notMatch(JSON.stringify(came[0]?.headers), /alice|evil|192\.0\.2|TRAC_ADMIN|tg-/)
}

/** A target below `/trac`, or the same one at the root. */
const moved = ({ base }: Front, target: string) => target.replace('/trac', base)

/** What two could read differently is refused; the rest is judged and arrives as it was sent, by those very bytes. */
async function keepsTargets(t: Test, front: Front): Promise<void> {
  const headers = await front.bearer(front.sam)
  const closed = ['/trac//admin', '//trac/admin', '/trac/wiki%2f..', '/trac/wiki/../admin']
  closed.push('/trac/wiki/%2e%2e/admin', '/trac\\admin', '/trac/admin%00')
  closed.push('/trac/admin', '/trac/%61dmin', '/trac/%61dmin/general/perm', '/trac/wiki/a%ff')
  closed.push('/trac//wiki/WikiStart', '/trac/x/../wiki/WikiStart', '/trac/./wiki/WikiStart')
  closed.push('/admin', '/tracadmin', '/trac/auth/nothing/of/the/kind')
  const came = await reachedBy(front, async () => {
    for (const target of closed.map((one) => moved(front, one))) {
      const { status } = await front.send(target, { headers })
      t.ok(isClosed(status), `${target}: ${status}`)
    }
  })
  t.strictSame(came, [])
  const open = ['/trac/wiki/C%23', '/trac/wiki/100%25', '/trac/wiki/a%3Fb', '/trac/wiki/%57iki']
  open.push('/trac/wiki/Gr%C3%B6%C3%9Fe?a=%7e&b=c/../d', '/trac/wiki/a;b', "/trac/wiki/a'(b)")
  open.push('/trac/%2561dmin', '/trac/wiki/a%5Cb')
  for (const target of open.map((one) => moved(front, one))) {
    const [one] = await reachedBy(front, async () => {
      const answer = await front.send(target, { headers })
      // Trac itself says that there is no such page: the signature held for these bytes.
      t.equal(answer.status, 404, target)
      t.match(answer.text, /Sam Student/, target)
    })
    t.ok(one !== undefined && sameTarget(one.target, target), `${target}: ${one?.target}`)
  }
}

/** Some proxies decode unreserved characters, as the gateway itself does; nothing else may change. */
function sameTarget(came: string, sent: string): boolean {
  const decoded = sent.replace('%57', 'W')
  return came === sent || came === decoded
}

/** Another site's form rides on the cookie in vain. */
async function refusesOtherSites(t: Test, front: Front): Promise<void> {
  const visitor = await front.signIn(front.sam)
  const form = await visitor.open(`${front.url}/newticket`)
  const body = `__FORM_TOKEN=${formToken(form)}&field_summary=forged&submit=1`
  const cases: Record<string, string>[] = [
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    { origin: front.origin, 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example', 'sec-fetch-site': '' },
    { origin: 'null', 'sec-fetch-site': '' },
    { origin: '', 'sec-fetch-site': '', referer: 'https://evil.example/' },
    { origin: '', 'sec-fetch-site': '' },
  ]
  const came = await reachedBy(front, async () => {
    for (const headers of cases) {
      const answer = await visitor.submit(`${front.url}/newticket`, body, { headers })
      t.equal(answer.status, 403, JSON.stringify(headers))
    }
    const preflight = await front.send(`${front.base}/newticket`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    })
    t.equal(preflight.headers['access-control-allow-origin'], undefined, 'nor by a preflight')
  })
  t.strictSame(came, [])
  const older: Record<string, string>[] = [
    { origin: front.origin, 'sec-fetch-site': '' },
    { origin: '', 'sec-fetch-site': '', referer: `${front.url}/newticket` },
  ]
  for (const headers of older) {
    const own = await visitor.submit(`${front.url}/newticket`, body, { headers })
    t.equal(own.status, 303, 'while our own page may, in an older browser, too')
  }
}

/** A session that is due is renewed on the way, and the browser gets it: whole, in chunks, and with what they replace. */
async function renews(t: Test, front: Front): Promise<void> {
  const name = front.gateway.gateway.services.names.session
  const [ivan, alice] = [await front.signIn(front.ivan), await front.signIn(front.alice)]
  const cookies = (visitor: Visitor) =>
    new Map([...visitor.cookies(front.url)].filter(([one]) => one.startsWith(name)))
  const before = cookies(ivan)
  t.strictSame([...before.keys()], [name])
  joinCourses(front.alice)
  front.gateway.clock.advance(untilRenewal)

  const answer = await ivan.open(`${front.url}/wiki/WikiStart`)
  t.match(answer.text, /logged in as[^]{0,60}Ivan Instructor/)
  const line = answer.setCookies.find((one) => one.startsWith(`${name}=`)) ?? ''
  t.match(line, /; Path=\/;.* Max-Age=\d{4,};/)
  for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Lax']) t.match(line, attribute)
  t.not(cookies(ivan).get(name), before.get(name), 'it is a new one')
  const next = await ivan.open(`${front.url}/wiki/WikiStart`)
  t.notOk(
    next.setCookies.some((one) => one.startsWith(name)),
    'and it is not due',
  )
  t.match(next.text, /logged in as[^]{0,60}Ivan Instructor/)

  const grown = await alice.open(`${front.url}/wiki/WikiStart`)
  t.equal(grown.setCookies.filter((one) => one.startsWith(name)).length, 3)
  t.strictSame([...cookies(alice).keys()].toSorted(), [`${name}1`, `${name}2`])
  const after = await alice.open(`${front.url}/admin`)
  t.equal(after.status, 200)
  t.match(after.text, /logged in as[^]{0,60}Alice Admin/, 'the chunks open')
  t.notMatch(textOf(front.reached().at(-1)!.headers), 'tg-', 'and stay before Trac')
}

/** Signing out ends it, for a copy of the cookie too. */
async function signsOut(t: Test, front: Front): Promise<void> {
  const visitor = await front.signIn(front.ivan)
  const copy = visitor.copy()
  t.equal((await copy.open(`${front.url}/newticket`)).status, 200)
  const asked = await visitor.open(`${front.url}/logout`)
  t.match(asked.text, /<form[^>]+method="post"/, 'GET shows the button')
  const answer = await visitor.submit(`${front.url}/logout`)
  const page = await visitor.follow(answer.location)
  t.equal(page.url.href, `${front.url}/auth/signed-out`)
  for (const one of [visitor, copy]) {
    const refused = await one.open(`${front.url}/newticket`)
    t.match(refused.location, `${front.url}/auth/login`)
  }
}

/** Who asks `/auth/verify` from outside learns no identity. */
async function hidesVerify(t: Test, front: Front): Promise<void> {
  const headers = {
    ...(await front.bearer(front.sam)),
    'X-Forwarded-Method': 'GET',
    'X-Forwarded-Uri': `${front.base}/wiki`,
    'X-Forwarded-Host': `localhost:${front.port}`,
    'X-Forwarded-Proto': 'https',
  }
  const came = await reachedBy(front, async () => {
    const tails = ['verify', '%76erify', 'verify?login=redirect', '../auth/verify']
    tails.push('verify/trac/wiki', '%76erify/trac/wiki', 'verify%2ftrac/wiki', 'verify/wiki')
    for (const tail of tails) {
      const answer = await front.send(`${front.base}/auth/${tail}`, { headers })
      t.ok(isClosed(answer.status), `${tail}: ${answer.status}`)
      t.notMatch(JSON.stringify(answer.headers), /x-trac|kid=/i, tail)
    }
  })
  t.strictSame(came, [])
}

/** A name that is not ours gets nothing. */
async function knowsItsHost(t: Test, front: Front): Promise<void> {
  const came = await reachedBy(front, async () => {
    const headers = { ...(await front.bearer(front.sam)), host: 'evil.example' }
    const answer = await front.send(`${front.base}/wiki`, { headers })
    t.notMatch(answer.text, /Sam Student/)
  })
  t.strictSame(came, [])
}

/** What one of the dialects asks with. */
interface Question {
  readonly path: string
  readonly headers: Record<string, string>
}

/** Asks the gateway itself; 127.0.0.2 is no trusted proxy. */
async function askVerify(front: Front, question: Question, from: string) {
  return new Promise<{ status: number; body: string; user: unknown }>((resolve, reject) => {
    const to = { host: '127.0.0.1', port: front.gateway.port, localAddress: from } as const
    const headers = { host: `localhost:${front.port}`, ...question.headers }
    const message = request({ ...to, path: question.path, headers, agent: false }, (answer) => {
      let body = ''
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()))
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, body, user: answer.headers['x-trac-user'] })
      })
    })
    message.on('error', reject)
    message.end()
  })
}

/** Only a trusted proxy gets an answer, and only in the dialect that is configured. */
async function answersOneDialect(t: Test, front: Front): Promise<void> {
  const https = { ...(await front.bearer(front.sam)), 'X-Forwarded-Proto': 'https' }
  const inHeaders = {
    path: `${front.base}/auth/verify`,
    headers: {
      ...https,
      'X-Forwarded-Method': 'GET',
      'X-Forwarded-Uri': `${front.base}/wiki`,
      'X-Forwarded-Host': `localhost:${front.port}`,
    },
  }
  const path = `${front.base}/auth/verify${front.base}/wiki`
  const inPath = { path, headers: https }
  const [own, other] = front.name === 'envoy' ? [inPath, inHeaders] : [inHeaders, inPath]
  t.match(await askVerify(front, own, '127.0.0.1'), { status: 200, user: 'sam' })
  t.match(await askVerify(front, other, '127.0.0.1'), { status: 403, user: undefined })
  const both = { path: inPath.path, headers: inHeaders.headers }
  if (front.name !== 'envoy') t.equal((await askVerify(front, both, '127.0.0.1')).status, 403)
  const handshake = { ...own.headers, upgrade: 'websocket', origin: 'https://evil.example' }
  t.equal((await askVerify(front, { ...own, headers: handshake }, '127.0.0.1')).status, 403)
  // Its word that it came over HTTPS is not taken either.
  const stranger = await askVerify(front, own, '127.0.0.2')
  t.match(stranger, { status: 421, user: undefined })
  t.equal(codeOf(stranger), 'ERR_PROXY_UNTRUSTED')
}

/** A handshake is no way round: Trac never sees one. */
async function passesNoHandshake(t: Test, front: Front): Promise<void> {
  const visitor = await front.signIn(front.sam)
  const came = await reachedBy(front, async () => {
    const answer = await front.send(`${front.base}/wiki/WikiStart`, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        'sec-websocket-version': '13',
        origin: 'https://evil.example',
        cookie: visitor.cookieHeader(front.url),
      },
    })
    t.ok([200, 403].includes(answer.status), `${answer.status}`)
  })
  for (const one of came) t.strictSame(folded(one, 'upgrade'), [])
}

/** With the gateway away nothing is let through. Last of all: it does not come back. */
async function failsClosed(t: Test, front: Front): Promise<void> {
  await front.gateway.close()
  const came = await reachedBy(front, async () => {
    const answer = await front.send(`${front.base}/wiki/WikiStart`, { headers: { ...forgery } })
    t.ok(answer.status >= 500, `${answer.status}`)
  })
  t.strictSame(came, [])
}

/** In what the front proxies differ. */
export interface Traits {
  /** What a chunked body is answered with. */
  readonly chunkedAnswer: number
  /** Whether our file lets it speak HTTP/2. */
  readonly http2: boolean
}

type Proof = (t: Test, front: Front) => Promise<void>

/** What a front proxy does with our file, wherever Trac is. The last one ends the gateway. */
const proofs: readonly (readonly [what: string, proof: Proof])[] = [
  ['a page leads to sign-in and back, and Trac names the person', signsIn],
  ['the start page is Trac’s', startsAtTrac],
  ['a fetch and a bad token are 401, a Bearer client is served', tellsClients],
  ['tickets are made, each write signed for once', writes],
  ['a student is told what the admin pages need', forbids],
  ['no forged identity, cookie or credential reaches Trac', dropsForgery],
  ['a target is refused, or judged and passed on as it was sent', keepsTargets],
  ['a form of another site is refused', refusesOtherSites],
  ['/auth/verify tells nobody outside who they are', hidesVerify],
  ['/auth/verify answers trusted proxies, in this dialect', answersOneDialect],
  ['a renewed session reaches the browser, in chunks too', renews],
  ['signing out ends the session and its copies', signsOut],
  ['without the gateway nothing passes', failsClosed],
]

async function proveEach(t: Test, front: Front): Promise<void> {
  for (const [what, proof] of proofs) await t.test(what, (t) => proof(t, front))
}

/** Starts one with our file, before a real Trac, and proves all of it. */
export async function prove(name: FrontProxy, { chunkedAnswer, http2 }: Traits): Promise<void> {
  t.setTimeout(240_000)
  const front = await startFront(t, name)
  await t.test('a body comes with its length, and none that is too large', (t) =>
    neverChunks(t, front, chunkedAnswer),
  )
  if (http2) {
    await t.test('no forged identity reaches Trac over HTTP/2', (t) =>
      dropsForgeryOverHttp2(t, front),
    )
  }
  await t.test('another host name is not served', (t) => knowsItsHost(t, front))
  await t.test('a WebSocket handshake does not reach Trac', (t) => passesNoHandshake(t, front))
  await proveEach(t, front)
}

/** The same with a Trac that has the whole host, after the changes that our page names: what a base path is part of. */
export async function proveAtTheRoot(t: Test, name: FrontProxy): Promise<void> {
  await proveEach(t, await startFront(t, name, { base: '' }))
}
