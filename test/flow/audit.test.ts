/** An audit line says what the policy saw, so that a decision can be made again from the log alone. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'

const { gateway, port, bearerOf } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  overlay: {
    permissions: { groups: { students: ['WIKI_VIEW', 'TICKET_VIEW'] }, anonymous: [] },
    routes: [
      { name: 'edit', path: '/wiki/**', query: { action: 'edit' }, access: 'authenticated' },
      { name: 'wiki', path: '/wiki/**', access: 'authenticated', mode: 'shadow' },
    ],
  },
})
const last = (msg: string) => gateway.lines.findLast((line) => line['msg'] === msg)
const grantsOf = (fingerprint: unknown) =>
  gateway.lines.filter((line) => line['msg'] === 'grants' && line['permissions'] === fingerprint)
const student = bearerOf({ 'cognito:groups': ['students', 'chess-club'] }, 'access')

await t.test(
  'a decision has groups, scopes, permissions and what rows ask of the query',
  async (t) => {
    await ask({ port }, 'GET /trac/wiki/Start?action=edit&secret=1', [student])
    const line = last('decision')
    t.match(line, {
      method: 'GET',
      path: '/trac/wiki/Start',
      route: 'edit',
      result: 'allow',
      mode: 'enforce',
      via: 'bearer',
      groups: ['students'],
      scopes: ['email', 'openid', 'profile'],
      permissions: /^[0-9a-f]{16}$/,
      query: { action: 'edit' },
    })
    t.strictSame(
      Object.keys(line?.['query'] as object),
      ['action'],
      'and nothing else of the query',
    )
    t.match(grantsOf(line?.['permissions']), [{ actions: ['TICKET_VIEW', 'WIKI_VIEW'] }])
  },
)

await t.test('the same permissions are told once, and others again', async (t) => {
  await ask({ port }, 'GET /trac/wiki/Other', [student])
  const { permissions } = last('decision') ?? {}
  t.equal(grantsOf(permissions).length, 1)
  await ask({ port }, 'GET /trac/wiki/Other')
  const anonymous = last('decision')
  t.match(anonymous, { result: 'ERR_LOGIN_REQUIRED', mode: 'shadow' })
  t.not(anonymous?.['permissions'], permissions)
  t.match(grantsOf(anonymous?.['permissions']), [{ actions: [] }])
})

await t.test('a value of the query is cut', async (t) => {
  await ask({ port }, `GET /trac/wiki/Start?action=${'x'.repeat(1000)}`, [student])
  const { query } = last('decision') ?? {}
  t.match(query, { action: /^x{200}$/ })
})
