/** A real Keycloak: sign-in, rotation without grace, groups, machines, its keys, and logout from both sides. */
import { t } from '../fixtures/tap.js'
import { people, startKeycloak } from '../fixtures/keycloak.js'
import { freePort } from '../fixtures/ports.js'
import { redeemAt } from '../fixtures/refresh.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import type { Answer } from '../fixtures/visitor.js'
import { Visitor } from '../fixtures/visitor.js'

t.setTimeout(400_000)

const port = await freePort()
const base = `http://localhost:${port}/trac`
/** Seconds that Keycloak's tokens live, by its own clock. */
const life = 3000
const keycloak = await startKeycloak(t, base, life)
const { gateway, upstream, clock } = await stage(t, {
  issuer: keycloak.issuer,
  clientId: keycloak.clientId,
  upstream: true,
  api: true,
  port,
  env: { CLIENT: keycloak.clientSecret },
  overlay: {
    identity: {
      clientSecret: { fromEnv: 'CLIENT' },
      publicRefresh: true,
      claims: { username: 'preferred_username', groups: ['groups'] },
      machines: { ci: { username: 'ci-bot', groups: ['instructors'], scopes: ['email'] } },
    },
    // The trickle comes from where everybody comes from.
    rateLimit: { badTokens: { max: 1_000_000 } },
  },
})

let ahead = 0
/** Lets the gateway's clock run ahead of Keycloak's by so many seconds, or back again. */
function runAhead(seconds: number): void {
  clock.advance((seconds - ahead) * 1000)
  ahead = seconds
}

const signIn = async (name: keyof typeof people = 'sam') => {
  const visitor = new Visitor()
  const page = await keycloak.signIn(visitor, `${base}/auth/login?return_to=/trac/wiki`, name)
  t.equal(page.status, 200)
  t.equal(page.url.href, `${base}/wiki`)
  return visitor
}
const who = async (visitor: Visitor) => {
  const answer = await visitor.fetch(`${base}/auth/session`)
  return answer.status === 200 ? answer.json() : { status: answer.status }
}
const bearer = async (token: unknown) => {
  const headers = { authorization: `Bearer ${String(token)}` }
  const answer = await new Visitor().fetch(`${base}/auth/session`, { headers })
  return answer.status === 200 ? answer.json() : { status: answer.status }
}
const client = { client_id: keycloak.clientId, client_secret: keycloak.clientSecret }
/** What a program gets that signs in with a password. */
const tokensOfSam = () =>
  keycloak.grant({
    ...client,
    grant_type: 'password',
    username: 'sam',
    password: people.sam.password,
    scope: 'openid',
  })
const userId = async (name: string) => {
  const found = (await keycloak.admin('GET', `/users?exact=true&username=${name}`)) as [
    { id: string },
  ]
  return found[0].id
}
/** Lets the gateway's time run on until a renewal is due, and again until that of the new tokens is. */
const due = [2500, 2900, 2980] as const
t.beforeEach(() => runAhead(0))

await t.test('a person signs in with name, address and groups', async (t) => {
  const visitor = await signIn('alice')
  t.match(await who(visitor), {
    user: 'alice',
    email: people.alice.email,
    name: 'alice Person',
    groups: ['admins'],
    via: 'session',
  })
  await visitor.open(`${base}/wiki`)
  const headers = upstream.lastHeaders()
  t.equal(headers['x-trac-user'], 'alice')
  t.match(headers['x-trac-perms'], 'TRAC_ADMIN')
})

await t.test('a program calls with the tokens of a person, a machine with its own', async (t) => {
  const tokens = await tokensOfSam()
  for (const token of [tokens['access_token'], tokens['id_token']]) {
    t.match(await bearer(token), { user: 'sam', groups: ['students'], via: 'bearer' })
  }
  t.match(
    await bearer(tokens['refresh_token']),
    { status: 401 },
    'a refresh token is no credential',
  )
  const machine = await keycloak.grant({
    client_id: 'ci',
    client_secret: keycloak.clientSecret,
    grant_type: 'client_credentials',
  })
  t.match(await bearer(machine['access_token']), { user: 'ci-bot', groups: ['instructors'] })
})

await t.test('the refresh token of a program is redeemed, rotated and works once', async (t) => {
  const tokens = await tokensOfSam()
  const redeem = (token: unknown) => redeemAt(base, String(token))
  const first = await redeem(tokens['refresh_token'])
  t.equal(first.status, 200)
  t.type(first.body['refresh_token'], 'string')
  t.not(first.body['refresh_token'], tokens['refresh_token'])
  t.match(await bearer(first.body['access_token']), { user: 'sam' })
  t.match(await redeem(tokens['refresh_token']), {
    status: 401,
    body: { code: 'ERR_REFRESH_REFUSED' },
  })
})

await t.test('a session is renewed repeatedly though each refresh token works once', async (t) => {
  const visitor = await signIn()
  for (const seconds of due) {
    runAhead(seconds)
    const answers = await Promise.all([1, 2, 3, 4].map(() => visitor.fetch(`${base}/api/x`)))
    t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  }
  const metrics = await gateway.metrics()
  t.match(metrics, 'trac_gateway_refreshes_total{for="session",result="ok"} 3')
  t.match(metrics, 'for="session",result="refused"} 0')
})

await t.test('groups changed at Keycloak count from the next renewal on', async (t) => {
  const visitor = await signIn()
  t.match(await who(visitor), { groups: ['students'] })
  const id = await userId('sam')
  const groups = (await keycloak.admin('GET', '/groups')) as { id: string; name: string }[]
  const instructors = groups.find(({ name }) => name === 'instructors')!.id
  await keycloak.admin('PUT', `/users/${id}/groups/${instructors}`)
  t.match(await who(visitor), { groups: ['students'] })
  runAhead(due[0])
  const after = await who(visitor)
  t.same((after as { groups: string[] }).groups.toSorted(), ['instructors', 'students'])
  await keycloak.admin('DELETE', `/users/${id}/groups/${instructors}`)
  runAhead(due[1])
  t.same(((await who(visitor)) as { groups: string[] }).groups, ['students'])
})

/** Sends forged tokens, each with a `kid` of its own, until the result is called. */
function trickle(token: string): () => Promise<number> {
  const [, payload, signature] = token.split('.')
  let sent = 0
  const stop = new AbortController()
  const run = async () => {
    while (!stop.signal.aborted) {
      const header = { alg: 'RS256', typ: 'JWT', kid: `made-up-${sent++}` }
      const forged = Buffer.from(JSON.stringify(header)).toString('base64url')
      t.match(await bearer(`${forged}.${payload}.${signature}`), { status: 401 })
    }
  }
  const running = run()
  return async () => {
    stop.abort()
    await running
    return sent
  }
}

await t.test(
  'a new signing key of Keycloak is found at once, under a trickle of forged tokens',
  async (t) => {
    const visitor = await signIn()
    const stop = trickle(String((await tokensOfSam())['access_token']))
    const { keys } = gateway.gateway.services.issuers.main
    const realm = (await keycloak.admin('GET', '')) as { id: string }
    const rotate = (priority: number) =>
      keycloak.admin('POST', '/components', {
        name: `newer-${priority}`,
        providerId: 'rsa-generated',
        providerType: 'org.keycloak.keys.KeyProvider',
        parentId: realm.id,
        config: {
          priority: [String(priority)],
          enabled: ['true'],
          active: ['true'],
          algorithm: ['RS256'],
        },
      })
    const before = keys.generation
    await rotate(200)
    t.match(await who(await signIn()), { user: 'sam' }, 'a sign-in')
    t.equal(keys.generation, before + 1)
    await rotate(300)
    runAhead(due[0])
    t.match(await who(visitor), { user: 'sam' }, 'a renewal')
    t.equal(keys.generation, before + 2)
    await rotate(400)
    const tokens = await tokensOfSam()
    const redeemed = await redeemAt(base, String(tokens['refresh_token']))
    t.equal(redeemed.status, 200, 'a program’s refresh token')
    t.match(await bearer(redeemed.body['access_token']), { user: 'sam' })
    t.ok((await stop()) > 10)
    runAhead(due[1])
    t.match(await who(visitor), { user: 'sam' }, 'and the session goes on')
    t.match(await gateway.metrics(), /refreshes_total\{for="session",result="ok"\} [1-9]/)
  },
)

await t.test('sign-out here is sign-out at Keycloak: the next sign-in asks again', async (t) => {
  const visitor = await signIn()
  const again = await visitor.follow(`${base}/auth/login?prompt=`)
  t.equal(again.url.origin, new URL(base).origin, 'while signed in nobody is asked')
  const old = visitor.copy()
  const left = await visitor.submit(`${base}/auth/logout`)
  t.equal(left.status, 303)
  t.match(left.location, /\/protocol\/openid-connect\/logout\?.*id_token_hint=ey/)
  const page = await visitor.follow(left.location)
  t.equal(page.url.href, `${base}/auth/signed-out`)
  t.match(await who(old), { status: 401 }, 'the cookie of before opens nothing')
  const form = await visitor.follow(`${base}/auth/login`)
  t.match(form.text, /name="password"/, 'Keycloak asks for the password')
  t.ok(form.url.href.startsWith(keycloak.issuer))
})

/** How the session of a browser names its sign-in, as `sid` and `auth_time`. */
const namesOf = async (visitor: Visitor) => {
  const { services } = gateway.gateway
  const value = visitor.cookies(base).get(services.names.session) ?? ''
  const { record } = (await services.sessions.peek(value))!
  const find = (kind: string) => record.tokenIds.find((id) => id.startsWith(`${kind} `))
  return { sid: find('sid'), authTime: find('auth_time') }
}
const again = `${base}/auth/login?return_to=/trac/wiki`

await t.test(
  'who left without Keycloak’s part of it comes back at once, with its session',
  async (t) => {
    const visitor = await signIn()
    const first = await namesOf(visitor)
    t.match(first, { sid: /^sid ./, authTime: /^auth_time ./ })
    // Keycloak ends a session of one application alone with its refresh token.
    await keycloak.signInElsewhere(visitor)
    t.equal((await visitor.submit(`${base}/auth/logout`)).status, 303)
    const silent = visitor.copy()
    const form = await visitor.follow(again)
    t.match(form.text, /name="password"/, 'the mark lets Keycloak ask for the password')
    t.equal((await keycloak.signIn(visitor, again, 'sam')).url.href, `${base}/wiki`)
    t.equal((await namesOf(visitor)).sid, first.sid, 'Keycloak’s session is the same')
    t.match(await who(visitor), { user: 'sam' })
    // Without the mark Keycloak asks nothing: single sign-on gives the same names again.
    silent.cookies(base).delete(gateway.gateway.services.names.signOut)
    t.equal((await silent.follow(again)).url.href, `${base}/wiki`)
    t.equal((await namesOf(silent)).sid, first.sid)
    t.match(await who(silent), { user: 'sam' })
  },
)

await t.test(
  'revoke ends what was: Keycloak’s session lives on, and the next sign-in works',
  async (t) => {
    const visitor = await signIn()
    const first = await namesOf(visitor)
    await keycloak.signInElsewhere(visitor)
    const old = visitor.copy()
    t.match(await gateway.gateway.services.endings.endUser('SAM'), {
      subjects: [{ issuer: keycloak.issuer, subject: await userId('sam') }],
      refreshTokens: { failed: 0 },
    })
    t.match(await who(old), { status: 401 })
    t.equal((await keycloak.signIn(visitor, again, 'sam')).url.href, `${base}/wiki`)
    t.match(await who(visitor), { user: 'sam' })
    t.match(await who(old), { status: 401 }, 'what was stays ended')
    t.equal((await namesOf(visitor)).sid, first.sid, 'Keycloak’s session is the same')
  },
)

await t.test(
  'a consent that is withdrawn at Keycloak ends the session, and not the next one',
  async (t) => {
    const [{ id }] = (await keycloak.admin('GET', `/clients?clientId=${keycloak.clientId}`)) as [
      { id: string },
    ]
    const client = (await keycloak.admin('GET', `/clients/${id}`)) as object
    const requireConsent = (consentRequired: boolean) =>
      keycloak.admin('PUT', `/clients/${id}`, { ...client, consentRequired })
    await requireConsent(true)
    t.teardown(() => requireConsent(false))
    const visitor = new Visitor()
    const consent = async (form: Answer) => {
      const action = /<form[^>]* action="([^"]+)"/.exec(form.text)?.[1]?.replaceAll('&amp;', '&')
      const code = /name="code" value="([^"]+)"/.exec(form.text)?.[1] ?? ''
      const accepted = new URLSearchParams({ code, accept: 'Yes' })
      const answer = await visitor.submit(new URL(action!, form.url), accepted.toString())
      return visitor.follow(answer.location)
    }
    t.equal((await consent(await keycloak.signIn(visitor, again, 'sam'))).url.href, `${base}/wiki`)
    const first = await namesOf(visitor)
    const path = `/users/${await userId('sam')}/consents/${keycloak.clientId}`
    await keycloak.admin('DELETE', path)
    await until(async () => 'status' in (await who(visitor.copy())), 'the session of sam ended')
    t.equal((await consent(await visitor.follow(again))).url.href, `${base}/wiki`)
    t.equal((await namesOf(visitor)).sid, first.sid, 'Keycloak’s session is the same')
    t.match(await who(visitor), { user: 'sam' })
  },
)

await t.test('a session that ends at Keycloak ends here by back-channel logout', async (t) => {
  const sam = await signIn()
  const alice = await signIn('alice')
  t.match(await who(sam), { user: 'sam' })
  await keycloak.admin('POST', `/users/${await userId('sam')}/logout`)
  await until(async () => 'status' in (await who(sam.copy())), 'the session of sam ended')
  t.match(await who(sam), { status: 401 })
  t.match(await who(alice), { user: 'alice' }, 'and nobody else’s')
  t.match(
    await gateway.metrics(),
    /trac_gateway_logouts_total\{kind="backchannel",result="ok"\} [1-9]/,
  )
})

await t.test('a person disabled at Keycloak loses the session at the next renewal', async (t) => {
  const visitor = await signIn()
  const id = await userId('sam')
  const user = (await keycloak.admin('GET', `/users/${id}`)) as object
  await keycloak.admin('PUT', `/users/${id}`, { ...user, enabled: false })
  runAhead(life + 60)
  t.match(await who(visitor), { status: 401 })
})
