/** `signature: v2`: an upstream is also told the groups of somebody and how they came, under the signature. */
import { createHmac } from 'node:crypto'
import { secrets } from '../fixtures/config.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { ask } from '../fixtures/wire.js'

const overlay = {
  identity: {
    machines: { 'machine-client': { username: 'ci-bot', groups: ['bots'], scopes: [] } },
  },
  permissions: { groups: { 'Labor-Ä': ['WIKI_VIEW'], students: ['WIKI_VIEW'] } },
  routes: [
    { name: 'open', path: '/open', access: 'public' },
    { name: 'hooks', path: '/hooks', access: 'optional', legacyAuth: true },
  ],
  upstreams: { trac: { signature: 'v2' } },
}
const s = await stage(t, { provider: 'scripted', upstream: true, overlay })

const groups = ['students', 'Labor-Ä', 'of no meaning here']
const claims = { 'cognito:groups': groups }
const machine = { sub: 'machine-client', client_id: 'machine-client', username: undefined }

/** What the upstream was told, all names that begin with X-Trac. */
async function told(lines: readonly string[], path = '/wiki') {
  const answer = await ask(s, `GET /trac${path}`, lines)
  t.equal(answer.status, 200, answer.body)
  return Object.fromEntries(
    Object.entries(s.upstream.lastHeaders()).filter(([name]) => name.startsWith('x-trac-')),
  )
}

/** The fields as deploy/docs/reference/identity-headers.md has them, signed by hand. */
function sigOf(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  path: string,
): string {
  const text = (name: string) => [headers[name] ?? ''].flat().join()
  const signature = text('x-trac-signature')
  const part = (name: string) => new RegExp(`;${name}=([^;]*)`).exec(signature)?.[1] ?? ''
  const fields = ['trac-gateway-v2', part('kid'), part('t'), part('e'), part('n')]
  fields.push('GET', new URL(s.url).host, `/trac${path}`, '')
  for (const name of ['user', 'perms', 'email', 'name', 'groups', 'kind']) {
    fields.push(text(`x-trac-${name}`))
  }
  const signed = fields.map((field) => `${Buffer.byteLength(field)}:${field}\n`).join('')
  const sig = createHmac('sha256', secrets.SIGNING).update(signed).digest('base64url')
  return `v2;t=${part('t')};e=${part('e')};n=${part('n')};kid=k1;sig=${sig}`
}

await t.test('groups and kind are told of a session, a token and a machine', async (t) => {
  const visitor = await s.signIn({ groups })
  await visitor.open(`${s.url}/wiki`)
  const sorted = 'Labor-%C3%84,students'
  const session = s.upstream.lastHeaders()
  t.match(session, { 'x-trac-groups': sorted, 'x-trac-kind': 'session' })
  t.equal(session['x-trac-signature'], sigOf(session, '/wiki'))
  const bearer = await told([s.bearerOf(claims)])
  t.match(bearer, { 'x-trac-groups': sorted, 'x-trac-kind': 'bearer' })
  t.equal(bearer['x-trac-signature'], sigOf(bearer, '/wiki'))
  const bot = await told([s.bearerOf(machine, 'access')])
  t.match(bot, { 'x-trac-user': 'ci-bot', 'x-trac-groups': 'bots', 'x-trac-kind': 'machine' })
  t.equal(bot['x-trac-signature'], sigOf(bot, '/wiki'))
})

await t.test(
  'nobody has no groups and no kind, and neither has whoever is not named',
  async (t) => {
    for (const lines of [[], [s.bearerOf(claims)]]) {
      const headers = await told(lines, '/open')
      t.equal(headers['x-trac-user'], '')
      t.notOk('x-trac-groups' in headers)
      t.notOk('x-trac-kind' in headers)
      t.equal(headers['x-trac-signature'], sigOf(headers, '/open'))
    }
    const headers = await told(['Authorization: Basic Y2FybDp4'], '/hooks')
    t.strictSame(Object.keys(headers).toSorted(), ['x-trac-kind', 'x-trac-signature'])
    t.match(headers, { 'x-trac-kind': 'legacy', 'x-trac-signature': sigOf(headers, '/hooks') })
  },
)

await t.test('no client says a group or a kind, however it is spelt', async (t) => {
  const spellings = (name: string) => [name, name.toUpperCase(), name.replaceAll('-', '_')]
  const lines = ['X-Trac-Groups', 'X-Trac-Kind', 'X_Trac-Groups', 'X-Trac_Kind']
    .flatMap(spellings)
    .map((name) => `${name}: ${/kind/i.test(name) ? 'session' : 'admins'}`)
  const hop = 'Connection: close, X-Trac-Groups, X-Trac-Kind'
  const nobody = await told([...lines, hop], '/open')
  t.strictSame(Object.keys(nobody).toSorted(), ['x-trac-perms', 'x-trac-signature', 'x-trac-user'])
  const bearer = await told([...lines, hop, s.bearerOf(claims)])
  t.match(bearer, { 'x-trac-groups': /students$/, 'x-trac-kind': 'bearer' })
  t.notMatch(JSON.stringify(s.upstream.lastHeaders()), /admins|x_trac/i)
})

await t.test('without the key an upstream is told what it was told before', async (t) => {
  t.ok(await s.gateway.reload({ ...overlay, upstreams: {} }))
  const headers = await told([s.bearerOf(claims)])
  t.match(headers['x-trac-signature'], /^v1;/)
  t.notOk('x-trac-groups' in headers)
  t.notOk('x-trac-kind' in headers)
})
