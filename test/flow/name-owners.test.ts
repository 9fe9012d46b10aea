/** A name belongs to who had it first, whichever credential comes and however long the gateway has run. */
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { secretOf } from '../fixtures/config.js'
import type { Test } from 'tap'
import { startTestGateway } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'

const folder = t.testdir({})
const { upstream } = await stage(t, { upstream: true, gateway: false })
const { provider } = await stage(t, { provider: 'scripted', gateway: false })
const token = secretOf('s')

interface Options {
  readonly username?: object
  readonly session?: object
  readonly env?: Readonly<Record<string, string>>
  readonly names?: number
}

/** A gateway that names people by their address, and can be stopped and started at its address. */
async function start(t: Test, { username = {}, session = {}, env = {}, names }: Options = {}) {
  const overlay: Overlay = {
    identity: { username: { emailLocalPart: 'example.edu', ...username } },
    admin: { token: { fromEnv: 'SESSION' } },
    session,
  }
  const s = await stage(t, { provider, upstream, overlay, env, bounds: { names } })
  let { gateway } = s
  const bearer = (subject: string, local: string, more: Readonly<Record<string, unknown>> = {}) => {
    const claims = { sub: subject, email: `${local}@example.edu`, ...more }
    return { authorization: `Bearer ${provider.sign('id', claims)}` }
  }
  return {
    url: s.url,
    clock: s.clock,
    log: () => gateway.log(),
    metrics: () => gateway.metrics(),
    lines: () => gateway.lines,
    headersOf: bearer,
    /** Asks with a token, and tells as whom Trac was asked, or the code of the refusal. */
    async ask(subject: string, local: string, more: Readonly<Record<string, unknown>> = {}) {
      const headers = bearer(subject, local, more)
      return seen(await new Visitor().fetch(`${s.url}/wiki/Start`, { headers }))
    },
    async signIn(subject: string, local: string): Promise<{ visitor: Visitor; page: Answer }> {
      provider.person = { ...provider.person, sub: subject, email: `${local}@example.edu` }
      const visitor = new Visitor()
      return { visitor, page: await visitor.follow(`${s.url}/auth/login`) }
    },
    userOf: async (visitor: Visitor) => {
      const answer = await visitor.fetch(`${s.url}/auth/session`)
      return answer.status === 200 ? answer.json()['user'] : answer.status
    },
    /** Asks the admin listener as an operator. */
    async admin(path: string, body: object) {
      const answer = await fetch(gateway.adminUrl + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    },
    async restart() {
      await gateway.close()
      gateway = await startTestGateway({ ...s.settings, port: s.port })
      t.teardown(() => gateway.close())
    },
    reload: (more: object) =>
      gateway.reload({
        ...s.settings.overlay,
        identity: { username: { emailLocalPart: 'example.edu', ...username, ...more } },
      }),
  }
}

/** As whom Trac was asked, or the code of the refusal. */
function seen(answer: Answer): unknown {
  return answer.status === 200 ? upstream.lastHeaders()['x-trac-user'] : answer.json()['code']
}

const stores: readonly (readonly [string, (t: Test) => Promise<Options>])[] = [
  ['in memory', async () => ({})],
  ['in a file', async () => ({ username: { namesFile: join(folder, 'owners') } })],
  [
    'in Redis',
    async (t) => {
      const redis = await startRedis(t)
      const session = { store: 'redis', redis: { url: { fromEnv: 'REDIS_URL' } } }
      return { session, env: { REDIS_URL: redis.url } }
    },
  ],
]

for (const [where, optionsOf] of stores) {
  await t.test(`${where}, the second account that comes out at a name is refused`, async (t) => {
    const s = await start(t, await optionsOf(t))
    t.equal(await s.ask('s1', 'carl'), 'carl')
    t.equal(await s.ask('s2', 'carl'), 'ERR_NAME_TAKEN')
    t.equal(await s.ask('s2', 'CARL'), 'ERR_NAME_TAKEN', 'whatever the case')
    t.equal(await s.ask('s1', 'Carl'), 'carl', 'the first spelling is kept')
    const { visitor, page } = await s.signIn('s2', 'carl')
    t.equal(page.status, 401)
    t.match(page.text, 'ERR_NAME_TAKEN')
    t.match(page.text, /another account/i)
    t.equal(await s.userOf(visitor), 401)
    t.match(s.log(), /carl belongs to s1 of [^;"]*; s2 of [^"]* came out at it/, 'both, in the log')
    t.match(await s.metrics(), /name_refusals_total\{reason="taken"\} 3/)
    const { visitor: owner } = await s.signIn('s1', 'carl')
    t.equal(await s.userOf(owner), 'carl')
    t.equal(await s.ask('s2', 'carla'), 'carla', 'under another name they are welcome')
  })
}

await t.test('when no more names fit, new people are refused and known ones go on', async (t) => {
  const s = await start(t, { names: 2 })
  t.equal(await s.ask('s1', 'ann'), 'ann')
  const { visitor } = await s.signIn('s2', 'bob')
  t.equal(await s.ask('s3', 'cat'), 'ERR_NAMES_FULL')
  const headers = s.headersOf('s3', 'cat')
  const answer = await new Visitor().fetch(`${s.url}/wiki/Start`, { headers })
  t.equal(answer.status, 503)
  t.equal(answer.headers['retry-after'], '60')
  t.match(answer.json(), { message: 'No more user names can be taken in here.' })
  const { page, visitor: refused } = await s.signIn('s3', 'cat')
  t.equal(page.status, 503)
  t.match(page.text, 'No more user names can be taken in here.')
  t.equal(await s.userOf(refused), 401, 'and has no session')
  t.match(s.log(), /there are 2 names already; s3 of [^"]* came as cat, which is new/)
  t.match(await s.metrics(), /name_refusals_total\{reason="full"\} [34]/)
  t.equal(await s.ask('s1', 'ann'), 'ann', 'known ones go on')
  t.equal(await s.userOf(visitor), 'bob')
  t.equal(await s.ask('s4', 'ann'), 'ERR_NAME_TAKEN')
  await s.admin('/names', { do: 'release', name: 'ann' })
  t.equal(await s.ask('s3', 'cat'), 'cat', 'a name that is released makes place')
})

await t.test('one rule says which spellings are one name: for owners and for revoke', async (t) => {
  const overlay = { admin: { token: { fromEnv: 'SESSION' } } }
  const { gateway, url, bearerOf, signIn } = await stage(t, { provider, upstream, overlay })
  const name = (sub: string, text: string) => ({ sub, 'cognito:username': text })
  const ask = async (sub: string, text: string) => {
    const headers = { authorization: bearerOf(name(sub, text)).replace('Authorization: ', '') }
    return seen(await new Visitor().fetch(`${url}/wiki/Start`, { headers }))
  }
  t.equal(await ask('s1', 'Straße'), encodeURIComponent('Straße'))
  for (const text of ['STRASSE', 'straße', 'STRAẞE']) {
    t.equal(await ask('s2', text), 'ERR_NAME_TAKEN', text)
    t.equal(await ask('s1', text), encodeURIComponent('Straße'), 'the first spelling is kept')
  }
  const visitor = await signIn(name('s1', 'Straße'))
  t.equal((await visitor.fetch(`${url}/auth/session`)).status, 200)
  const answer = await fetch(`${gateway.adminUrl}/revoke`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ user: 'STRASSE' }),
  })
  t.match(await answer.json(), { sessions: 1, subjects: [{ subject: 's1' }] })
  t.equal((await visitor.fetch(`${url}/auth/session`)).status, 401)
  for (const text of ['Straße', 'strasse']) t.equal(await ask('s1', text), 'ERR_TOKEN_REVOKED')
})

await t.test('lower case makes one name of two spellings, and one owner', async (t) => {
  const s = await start(t, { username: { case: 'lower' } })
  t.equal(await s.ask('s1', 'Carl'), 'carl')
  t.equal(await s.ask('s2', 'carl'), 'ERR_NAME_TAKEN')
})

await t.test('who signed in first keeps the name, and a Bearer token is refused', async (t) => {
  const s = await start(t)
  const { visitor } = await s.signIn('s1', 'carl')
  t.equal(await s.userOf(visitor), 'carl')
  t.equal(await s.ask('s2', 'carl'), 'ERR_NAME_TAKEN')
})

for (const [where, optionsOf] of stores.slice(1)) {
  await t.test(`${where}, names outlive a restart`, async (t) => {
    const s = await start(t, await optionsOf(t))
    t.equal(await s.ask('s1', 'dora'), 'dora')
    await s.restart()
    t.equal(await s.ask('s2', 'dora'), 'ERR_NAME_TAKEN')
    t.equal(await s.ask('s1', 'dora'), 'dora')
  })
}

await t.test('a session from before is held to it: its name may be gone by then', async (t) => {
  const s = await start(t)
  const { visitor } = await s.signIn('s1', 'emil')
  const { visitor: quick } = await s.signIn('s3', 'fred')
  await s.restart()
  t.equal(await s.ask('s2', 'emil'), 'emil', 'in memory only, so it was free')
  const answer = await visitor.fetch(`${s.url}/wiki/Start`)
  t.equal(answer.status, 200)
  t.equal(upstream.lastHeaders()['x-trac-user'], '', 'never as the other one')
  t.match(answer.setCookies.join(), 'Max-Age=0')
  t.equal(await s.userOf(quick), 'fred', 'it counts as coming first')
  t.equal(await s.ask('s4', 'fred'), 'ERR_NAME_TAKEN')
})

await t.test('coming under another name is told, and the fourth one is refused', async (t) => {
  const s = await start(t)
  for (const name of ['ann', 'ann.b', 'ann.c']) t.equal(await s.ask('s1', name), name)
  t.equal(await s.ask('s1', 'ann.d'), 'ERR_NAME_REFUSED')
  t.equal(await s.ask('s1', 'ann'), 'ann', 'the earlier ones are still theirs')
  t.equal(await s.ask('s2', 'ann.b'), 'ERR_NAME_TAKEN')
  const told = s.lines().filter(({ earlier }) => earlier !== undefined)
  t.match(told, [
    { level: 'warn', user: 'ann.b', earlier: ['ann'], sub: 's1' },
    { user: 'ann.c', earlier: ['ann', 'ann.b'] },
  ])
})

await t.test('an alias settles whose name it is; so does a release', async (t) => {
  const s = await start(t)
  t.equal(await s.ask('s1', 'gus'), 'gus')
  await s.reload({ aliases: { s2: 'gus' } })
  t.equal(await s.ask('s2', 'gus'), 'gus')
  t.equal(await s.ask('s1', 'gus'), 'ERR_NAME_RESERVED')

  const { visitor } = await s.signIn('s5', 'hal')
  const headers = s.headersOf('s5', 'hal')
  const old = () => new Visitor().fetch(`${s.url}/wiki/Start`, { headers })
  t.equal(seen(await old()), 'hal')
  const { status, body } = await s.admin('/names', { do: 'release', name: 'HAL' })
  t.equal(status, 200)
  t.match(body, { outcomes: [{ name: 'HAL', done: true, was: { subject: 's5' } }] })
  t.equal(await s.userOf(visitor), 401, 'the session has ended')
  t.equal(seen(await old()), 'ERR_TOKEN_REVOKED', 'and so has the token')
  t.equal(await s.ask('s6', 'hal'), 'hal', 'whoever comes first gets it')
  s.clock.advance(60_000)
  const iat = Math.floor(s.clock() / 1000)
  const late = { iat, auth_time: iat, exp: iat + 600 }
  t.equal(await s.ask('s5', 'hal', late), 'ERR_NAME_TAKEN')
})

await t.test('revoke knows from the file whose name it is, after a restart, too', async (t) => {
  const s = await start(t, { username: { namesFile: join(folder, 'revoked') } })
  t.equal(await s.ask('s1', 'lea'), 'lea')
  t.equal(await s.ask('s2', 'lea'), 'ERR_NAME_TAKEN')
  await s.restart()
  const { body } = await s.admin('/revoke', { user: 'LEA' })
  t.match(body, { subjects: [{ subject: 's1', issuer: provider.issuer }] })
  t.equal((body['subjects'] as unknown[]).length, 1, 'and not who was refused under it')
  t.equal(await s.ask('s1', 'lea'), 'ERR_TOKEN_REVOKED')
})

await t.test('a reserved name is nobody’s without an alias', async (t) => {
  const s = await start(t)
  await s.ask('s1', 'ivy')
  const { body } = await s.admin('/names', { do: 'reserve', names: ['root', 'ivy'] })
  t.match(body, {
    outcomes: [
      { name: 'root', done: true },
      { name: 'ivy', done: false, why: /belongs to s1 of/ },
    ],
  })
  t.equal(await s.ask('s2', 'Root'), 'ERR_NAME_RESERVED')
  await s.reload({ aliases: { s2: 'root' } })
  t.equal(await s.ask('s2', 'Root'), 'root')
  t.match((await s.admin('/names', { do: 'list' })).body, {
    names: [{ name: 'ivy', sub: 's1' }, { name: 'root' }],
  })
})

await t.test('names that are the sub itself need no registry', async (t) => {
  const { gateway, url, bearerOf } = await stage(t, { provider, upstream })
  const headers = (claims: object) => ({
    headers: { authorization: bearerOf({ ...claims }).replace('Authorization: ', '') },
  })
  for (const name of ['u1', 'u2']) {
    const sent = headers({ sub: name, 'cognito:username': name })
    t.equal(seen(await new Visitor().fetch(`${url}/wiki/Start`, sent)), name)
  }
  t.match(await gateway.metrics(), /\ntrac_gateway_names 0\n/)
  const chosen = headers({ sub: 'u3', 'cognito:username': 'u9' })
  t.equal(seen(await new Visitor().fetch(`${url}/wiki/Start`, chosen)), 'u9')
  t.match(await gateway.metrics(), /\ntrac_gateway_names 1\n/)
})

await t.test('Redis away: who is known here goes on, who is not waits', async (t) => {
  const redis = await startRedis(t)
  const session = { store: 'redis', redis: { url: { fromEnv: 'REDIS_URL' } } }
  const s = await start(t, { session, env: { REDIS_URL: redis.url } })
  t.equal(await s.ask('s1', 'joe'), 'joe')
  await redis.stop()
  t.equal(await s.ask('s1', 'joe'), 'joe', 'by a token that nobody has seen')
  const headers = s.headersOf('s2', 'kim')
  const answer = await new Visitor().fetch(`${s.url}/wiki/Start`, { headers })
  t.equal(answer.status, 503)
  t.equal(answer.json()['code'], 'ERR_STORE_UNAVAILABLE')
  t.match(answer.headers['retry-after'], /^[0-9]+$/)
  await redis.start()
  await until(async () => (await s.ask('s2', 'kim')) === 'kim', 'Redis is back')
})

await t.test('POST /names wants the token, and a command that it knows', async (t) => {
  const s = await start(t)
  const admin = /"admin":\{[^}]*"port":(\d+)/.exec(s.log())?.[1]
  const post = (body: string, headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${admin}/names`, { method: 'POST', body, headers })
  for (const headers of [{}, { authorization: 'Bearer x' }]) {
    t.equal((await post('{"do":"list"}', headers)).status, 401)
  }
  for (const body of [
    '',
    '[]',
    '{}',
    '{"do":"constructor"}',
    '{"do":"reserve"}',
    '{"do":"reserve","names":[]}',
    '{"do":"reserve","names":[""]}',
    '{"do":"reserve","names":["a\\nb"]}',
    '{"do":"release"}',
    '{"do":"import","entries":[{"name":"a","sub":"s"}]}',
    `{"do":"release","name":"${'x'.repeat(2_000_000)}"}`,
  ]) {
    const { status } = await post(body, { authorization: `Bearer ${token}` })
    t.equal(status, 400, body.slice(0, 60))
  }
  const { gateway } = await stage(t, { provider, upstream })
  t.equal(
    (await fetch(`${gateway.adminUrl}/names`, { method: 'POST' })).status,
    404,
    'no token, no names',
  )
})
