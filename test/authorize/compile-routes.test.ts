/** From gateway.yaml to rows: order, defaults, and what each key becomes. */
import { t } from '../fixtures/tap.js'
import { compileRoutes } from '../../src/authorize/compile-routes.js'
import { tracRoutes } from '../../src/trac/routes.js'
import { loadText, minimal } from '../fixtures/config.js'

function compiled(routes: string, more = '') {
  const { config } = loadText(`${minimal}${more}routes:\n${routes}`)
  const defaults = { mode: config.mode, bodyLimit: config.server.limits.body }
  return compileRoutes(config.routes, config.builtinTracRoutes, defaults)
}

await t.test(
  'the operator’s rows come before the built-in ones, in the order of the file',
  async (t) => {
    const rows = compiled('  - { name: b, path: /b }\n  - { name: a, path: /a }\n')
    t.strictSame(
      rows.map((row) => row.name),
      ['b', 'a', ...tracRoutes.map((row) => row.name)],
    )
  },
)

await t.test('without the built-in table only the operator’s rows are left', async (t) => {
  const rows = compiled('  - { name: a, path: /a }\n', 'builtinTracRoutes: false\n')
  t.strictSame(
    rows.map((row) => row.name),
    ['a'],
  )
})

await t.test('a row that says nothing asks for a sign-in by any credential, at Trac', async (t) => {
  const [row] = compiled('  - { name: a, path: /a }\n')
  t.strictSame(row, {
    name: 'a',
    path: '/a',
    except: [],
    unknownOnly: false,
    trailingSlash: false,
    backslash: false,
    methods: undefined,
    query: undefined,
    upstream: 'trac',
    credentials: new Set(['bearer', 'session', 'token']),
    basic: false,
    access: 'authenticated',
    legacyAuth: false,
    webhook: undefined,
    require: undefined,
    mode: 'enforce',
    rateLimit: undefined,
    bodyLimit: 10 * 1024 * 1024,
    timeouts: { firstByte: 60_000, idle: 60_000 },
    websocket: false,
    cache: 'off',
  })
})

await t.test('a row that says everything is taken at its word', async (t) => {
  const [row] = compiled(`
  - name: a
    path: /a/**
    methods: [GET, PUT]
    query: { one: x, some: [x, y], there: true, away: false }
    credentials: [bearer]
    access: optional
    require: { anyPermission: [A_B], allPermissions: [C_D], anyGroup: [g], scopes: [s/t] }
    mode: shadow
    rateLimit: { max: 5, per: 1m, by: address }
    bodyLimit: 50MiB
    timeouts: { firstByte: 5m, idle: 2m }
    websocket: true
    cache: shared
`)
  t.match(row, {
    methods: new Set(['GET', 'PUT']),
    query: new Map<string, unknown>([
      ['one', new Set(['x'])],
      ['some', new Set(['x', 'y'])],
      ['there', true],
      ['away', false],
    ]),
    credentials: new Set(['bearer']),
    access: 'optional',
    require: { anyPermission: ['A_B'], allPermissions: ['C_D'], anyGroup: ['g'], scopes: ['s/t'] },
    mode: 'shadow',
    rateLimit: { max: 5, per: 60_000, by: 'address' },
    bodyLimit: 50 * 1024 * 1024,
    timeouts: { firstByte: 300_000, idle: 120_000 },
    websocket: true,
    cache: 'target',
  })
})

await t.test('the mode of the gateway is that of rows that name none', async (t) => {
  const rows = compiled(
    '  - { name: a, path: /a }\n  - { name: b, path: /b, mode: enforce }\n',
    'mode: shadow\n',
  )
  t.equal(rows[0]?.mode, 'shadow')
  t.equal(rows[1]?.mode, 'enforce')
  t.equal(rows.at(-1)?.mode, 'shadow')
})

await t.test('the built-in rows are optional and take GET, HEAD and POST only', async (t) => {
  const rows = compiled('  - { name: a, path: /a }\n').slice(1)
  const closed = rows.filter((row) => row.access !== 'optional')
  t.ok(closed.every((row) => row.access === 'deny' && row.name.startsWith('trac:accounts')))
  t.ok(rows.every((row) => row.upstream === 'trac'))
  const methods = new Set(rows.flatMap((row) => [...(row.methods ?? ['every'])]))
  t.strictSame([...methods].toSorted(), ['GET', 'POST'])
  t.ok(rows.every((row) => !row.websocket))
  t.strictSame(
    rows.filter((row) => row.cache !== 'off').map((row) => [row.name, row.cache]),
    [['trac:chrome', 'path']],
  )
})
