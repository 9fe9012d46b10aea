/** The cookie store: secrets that rotate or change, chunks, odd and tampered cookies, neighbours on one host. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { twoCookiesOfGroups } from '../fixtures/groups.js'
import { rawExchange, startTestGateway } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import { secrets } from '../fixtures/config.js'

const { provider, sam, upstream } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  gateway: false,
})
const first = { fromEnv: 'SESSION' }
const second = { fromEnv: 'SIGNING' }

/** A gateway that can be started again at the same address with another configuration. */
async function start(t: Test, overlay: Overlay = {}) {
  // Unsigned, so that the other secret of the fixture is free to be a session's.
  const unsigned = { upstreams: { trac: { signingKeys: [] } } }
  const s = await stage(t, {
    provider,
    upstream,
    api: upstream,
    overlay: { ...unsigned, ...overlay },
  })
  const { url, port, names } = s
  let { gateway } = s
  return {
    url,
    port,
    name: names.session,
    attempt: names.attempt,
    gateway: () => gateway,
    async restart(more: Overlay) {
      await gateway.close()
      const { identity } = s.settings.overlay!
      const changed = { identity, ...unsigned, ...more }
      gateway = await startTestGateway({ ...s.settings, overlay: changed, port })
      t.teardown(() => gateway.close())
    },
    async signIn() {
      const visitor = await s.signIn(sam)
      t.equal(await userOf(url, visitor), 'sam')
      return visitor
    },
  }
}
async function userOf(url: string, visitor: Visitor): Promise<unknown> {
  const answer = await visitor.fetch(`${url}/auth/session`)
  return answer.status === 200 ? answer.json()['user'] : answer.status
}

await t.test('secrets rotate without logging anybody out', async (t) => {
  const { url, name, signIn, restart } = await start(t, { session: { secrets: [first] } })
  const visitor = await signIn()
  const old = visitor.cookies(url).get(name)
  await restart({ session: { secrets: [second, first] } })
  const idle = visitor.copy()
  const values = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const copy = visitor.copy()
      t.equal(await userOf(url, copy), 'sam')
      return copy.cookies(url).get(name)
    }),
  )
  // One that came while it was being sealed may keep the old one until its next request.
  const fresh = new Set(values.filter((value) => value !== old))
  t.equal(fresh.size, 1, 'sealed anew once')
  visitor.cookies(url).set(name, [...fresh][0]!)
  await restart({ session: { secrets: [second] } })
  t.equal(await userOf(url, visitor), 'sam', 'the new one opens without the old secret')
  t.equal(await userOf(url, idle), 401, 'who was away too long signs in again')
})

await t.test('a changed secret gives a clean new sign-in, never a loop', async (t) => {
  const { url, name, attempt, signIn, restart } = await start(t, { session: { secrets: [first] } })
  const visitor = await signIn()
  const begun = await visitor.open(`${url}/auth/login?prompt=login`)
  t.ok([...visitor.cookies(url).keys()].some((cookie) => cookie.startsWith(attempt)))
  await restart({ session: { secrets: [second] } })
  const script = await visitor.copy().fetch(`${url}/api/x`)
  t.equal(script.status, 401)
  t.match(script.setCookies.join(), `${name}=; Path=/; Max-Age=0`)
  const back = await visitor.signIn(begun.location, sam, (at) => at.pathname.endsWith('/callback'))
  t.equal(
    (await visitor.copy().open(back.location)).status,
    400,
    'the sign-in that was open is gone',
  )
  const page = await visitor.signIn(`${url}/newticket`, sam)
  t.equal(page.status, 200)
  t.equal(await userOf(url, visitor), 'sam')
})

await t.test('a session grows into chunks and shrinks again, leaving none behind', async (t) => {
  const groups = [...twoCookiesOfGroups]
  const { url, name, attempt } = await start(t, {
    permissions: { groups: Object.fromEntries(groups.map((group) => [group, ['WIKI_VIEW']])) },
  })
  const visitor = new Visitor()
  const names = () => [...visitor.cookies(url).keys()].filter((key) => key.startsWith(name))
  const signIn = () => {
    visitor.cookies(url).delete(`${attempt}again`) // it is no loop
    return visitor.signIn(`${url}/auth/login?prompt=login`, sam)
  }
  const usual = sam.groups
  sam.groups = groups
  t.teardown(() => (sam.groups = usual))
  await signIn()
  t.same(names(), [`${name}1`, `${name}2`])
  t.equal(await userOf(url, visitor), 'sam')
  const session = await visitor.fetch(`${url}/auth/session`)
  t.equal((session.json()['groups'] as string[]).length, groups.length)
  for (const [key, value] of visitor.cookies(url)) t.ok(key.length + value.length < 4000, key)
  await visitor.fetch(`${url}/api/x`)
  t.equal(upstream.lastHeaders()['cookie'], undefined, 'no chunk goes on')
  sam.groups = groups.slice(0, 1)
  await signIn()
  t.same(names(), [name])
  t.equal(await userOf(url, visitor), 'sam')
  sam.groups = groups
  await signIn()
  t.same(names(), [`${name}1`, `${name}2`])
  t.equal(await userOf(url, visitor), 'sam')
  const half = visitor.copy()
  half.cookies(url).delete(`${name}2`)
  const answer = await half.fetch(`${url}/api/x`)
  t.equal(answer.status, 401)
  t.match(answer.setCookies.join(), `${name}1=; Path=/; Max-Age=0`)
})

await t.test('an odd Cookie header does no harm', async (t) => {
  const { port, name, attempt } = await start(t)
  const chunk = 'A'.repeat(300)
  const odd = [
    '',
    ';',
    '=',
    'a',
    ';;;=;',
    '=;=;=',
    'a=b=c;;  ; d',
    name,
    `${name}=`,
    `${name}=;${name}1=`,
    `=${name}`,
    `${name}=x; ${name}=y; ${name}=x`,
    `${name}1=x`,
    `${name}2=x; ${name}3=y`,
    `${name}_chunks=99999999`,
    `${name}99999999=x`,
    `${name}0=x; ${name}-1=x; ${name}01=x`,
    Array.from({ length: 60 }, (_, i) => `${name}${i}=${chunk}`).join('; '),
    Array.from({ length: 60 }, (_, i) => `${attempt}${i}=${chunk}`).join('; '),
    `${name}=%s%n%00`,
    `${name}="quoted"`,
    `${name}=\xe9\xff`,
    `${name}=....`,
    `${name}=a.b.c.d.e`,
    `${name}=${'A'.repeat(20_000)}`,
    `${name}=${Buffer.from('{"alg":"dir","enc":"A256GCM","zip":"DEF"}').toString('base64url')}....`,
  ]
  for (const cookie of odd) {
    for (const path of ['/trac/wiki/Start', '/trac/auth/session', '/trac/auth/login']) {
      const text = await rawExchange(
        port,
        `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAccept: text/html\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`,
      )
      const expected = path.endsWith('session') ? 401 : path.endsWith('login') ? 302 : 200
      t.match(text, new RegExp(`^HTTP/1\\.1 ${expected} `), `${cookie.slice(0, 40)} ${path}`)
      const set = text.split('\r\n').filter((line) => /^set-cookie/i.test(line))
      t.ok(set.length <= 75, 'a client does not choose how many cookies are set')
      for (const line of set) t.match(line, /: tg-[0-9a-f]{8}-(s[1-9]?|l-[A-Za-z0-9_-]*)=/)
    }
  }
})

await t.test('two Cookie headers are read as one', async (t) => {
  const { url, port, signIn } = await start(t)
  const visitor = await signIn()
  const [, ...rest] = visitor.cookieHeader(url).split('; ')
  const [head] = visitor.cookieHeader(url).split('; ')
  const text = await rawExchange(
    port,
    `GET /trac/auth/session HTTP/1.1\r\nHost: localhost:${port}\r\nCookie: a=b\r\nCookie: ${head}\r\nCookie: ${rest.join('; ')}\r\nConnection: close\r\n\r\n`,
  )
  t.match(text, '"user":"sam"')
})

await t.test('a change of any character gives the same answer as no session', async (t) => {
  const { url, name, signIn } = await start(t)
  const visitor = await signIn()
  const value = visitor.cookies(url).get(name)!
  const reference = await visitor.fetch(`${url}/api/x`, { cookie: `${name}=junk`, keep: false })
  const alike = (text: string) => text.replace(/"request_id":"[^"]*"/, '')
  const positions = new Set<number>()
  for (let i = 0; i < value.length; i += value.length > 1500 ? 7 : 1) positions.add(i)
  for (let i = 0; i < value.length; i++) {
    const near = value[i] === '.' || value[i + 1] === '.' || value[i - 1] === '.'
    if (near || i > value.length - 30 || i < 30) positions.add(i)
  }
  for (const i of positions) {
    for (const other of ['A', '_', '']) {
      if (value[i] === other) continue
      const cookie = `${name}=${value.slice(0, i)}${other}${value.slice(i + 1)}`
      const answer = await visitor.fetch(`${url}/api/x`, { cookie, keep: false })
      if (answer.status !== 401 || alike(answer.text) !== alike(reference.text)) t.fail(`at ${i}`)
      if (answer.setCookies.join() !== reference.setCookies.join()) t.fail(`cookies at ${i}`)
    }
  }
  t.ok(positions.size > 200)
  t.equal(await userOf(url, visitor), 'sam')
})

await t.test('a sealed value opens for its own purpose and place only', async (t) => {
  const here = await start(t)
  const there = await start(t)
  const visitor = await here.signIn()
  const stranger = await there.signIn()
  await visitor.open(`${here.url}/auth/login?prompt=login`)
  const [attempt] = [...visitor.cookies(here.url)].filter(
    ([key, value]) => key.startsWith(here.attempt) && value.length > 99,
  )
  for (const [what, value] of [
    ['a sign-in as a session', attempt![1]],
    ['a neighbour’s session', stranger.cookies(there.url).get(there.name)!],
  ] as const) {
    const answer = await visitor.fetch(`${here.url}/api/x`, {
      cookie: `${here.name}=${value}`,
      keep: false,
    })
    t.equal(answer.status, 401, what)
  }
  const session = visitor.cookies(here.url).get(here.name)!
  const cookie = `${attempt![0]}=${session}`
  const back = `${here.url}/auth/callback?code=x&state=${attempt![0].slice(here.attempt.length)}`
  const page = await new Visitor().open(back, { cookie })
  t.match(page.text, 'ERR_LOGIN_UNKNOWN', 'a session as a sign-in')
})

await t.test('two gateways on one host don’t read each other’s cookies', async (t) => {
  const one = await start(t)
  const two = await start(t)
  t.not(one.name, two.name)
  const visitor = await one.signIn()
  // A browser's cookies ignore ports: both get all of them.
  for (const [name, value] of visitor.cookies(one.url)) visitor.cookies(two.url).set(name, value)
  t.equal(await userOf(two.url, visitor), 401)
  const other = new Visitor()
  await other.signIn(`${two.url}/auth/login`, provider.people[0]!)
  const both = [visitor.cookieHeader(one.url), other.cookieHeader(two.url)].join('; ')
  const ask = async (url: string) =>
    (await visitor.fetch(`${url}/auth/session`, { cookie: both })).json()['user']
  t.equal(await ask(one.url), 'sam')
  t.equal(await ask(two.url), 'alice')
  const out = await visitor.submit(`${two.url}/auth/logout`, '', { cookie: both })
  for (const line of out.setCookies) t.notMatch(line, one.name)
  t.equal(await ask(one.url), 'sam')
})

await t.test('the same secret at another address opens nothing', async (t) => {
  t.not(secrets.SESSION, secrets.SIGNING)
  const { url, name, signIn, restart } = await start(t)
  const visitor = await signIn()
  const value = visitor.cookies(url).get(name)!
  await restart({ identity: { clientId: 'another-client' } })
  for (const key of [name, 'x']) visitor.cookies(url).set(key, value)
  t.equal(await userOf(url, visitor), 401)
})
