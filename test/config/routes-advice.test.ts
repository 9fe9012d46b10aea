/** What `check` says of routes that can be run and do not do what they seem to. */
import { t } from '../fixtures/tap.js'
import { tracRoutes } from '../../src/trac/routes.js'
import { loadText, minimal, problemsOf } from '../fixtures/config.js'

const api = minimal.replace('upstreams: {', 'upstreams: { api: { url: http://127.0.0.1:9 },')

/** The warnings of one route, in its own words. */
function adviceOf(route: string, more = ''): readonly { found: string; wanted: string }[] {
  const { warnings } = loadText(`${api}${more}routes: [{ name: a, ${route} }]\n`)
  return warnings.filter(({ path }) => path.startsWith('routes'))
}

await t.test('a rule for every path hides the built-in ones, which are named', async (t) => {
  for (const access of ['optional', 'public', 'authenticated']) {
    const [advice, ...others] = adviceOf(`path: /**, access: ${access}`)
    t.match(advice?.found, '/** before every built-in rule', access)
    for (const { name } of tracRoutes) t.match(advice?.wanted, name)
    t.equal(others.length, 0)
  }
  const [reads] = adviceOf('path: /**, access: optional, methods: [GET]')
  t.match(reads?.wanted, 'trac:chrome')
  t.notMatch(reads?.wanted, 'trac:ticket-write', 'a POST goes on to it')
  t.strictSame(adviceOf('path: /**, access: optional', 'builtinTracRoutes: false\n'), [])
  t.strictSame(adviceOf('path: /**, access: deny'), [], 'which is meant')
  t.strictSame(adviceOf('path: /**, access: optional, query: { a: b }'), [])
  t.strictSame(adviceOf('path: /wiki/**, access: optional'), [])
})

await t.test('a rule for an object that Trac finds elsewhere, too, says where', async (t) => {
  const cases: readonly (readonly [path: string, why: RegExp])[] = [
    ['/milestone/Final', /AuthzPolicy.*POST to \/milestone/],
    ['/report/1', /AuthzPolicy.*POST to \/report/],
    ['/ticket/7', /AuthzPolicy.*batchmodify/],
    ['/browser/secret/**', /AuthzSourcePolicy.*new_path and old_path/],
    ['/log/secret', /new_path and old_path/],
    ['/wiki/WikiStart', /\/ and \/wiki/],
    ['/wiki/Syllabus', /AuthzPolicy.*POST to another page/],
    ['/wiki/PageTemplates/Exam', /as template/],
    ['/wiki/Private/**', /as template/],
  ]
  for (const [path, why] of cases) {
    for (const more of ['access: deny', 'require: { anyGroup: [admins] }']) {
      const [advice, ...others] = adviceOf(`path: ${path}, ${more}`)
      t.match(advice?.wanted, why, `${path}, ${more}`)
      t.equal(others.length, 0)
    }
    t.strictSame(adviceOf(`path: ${path}, access: optional`), [], 'it closes nothing')
    t.strictSame(adviceOf(`path: ${path}, access: deny, upstream: api`), [])
  }
  for (const path of ['/milestone/**', '/report/*', '/ticket/*', '/browser/**', '/wiki/**']) {
    t.strictSame(adviceOf(`path: ${path}, access: deny`), [], path)
  }
})

await t.test('a backslash is for routes to Trac', async (t) => {
  const route = 'routes: [{ name: a, path: /a, upstream: api, backslash: true }]\n'
  t.match(problemsOf(api + route), [{ path: 'routes[0].backslash', wanted: 'it for Trac alone' }])
  t.equal(
    loadText(`${minimal}routes: [{ name: a, path: /a }]\n`).config.routes[0]?.backslash,
    false,
  )
})

/** The warnings of some name, for a configuration with these rows. */
function advicesOf(name: string, rows: string, more = '') {
  const { warnings } = loadText(`${api}${more}routes:\n${rows}`)
  return warnings.filter((warning) => warning.name === name)
}

await t.test(
  'a rule that no request reaches is told, with those that take its requests',
  async (t) => {
    const dead = "  - { name: all, path: '/a/**' }\n  - { name: one, path: /a/b, methods: [GET] }\n"
    t.match(advicesOf('route-dead', dead), [{ path: 'routes[1]', wanted: 'it before all' }])
    const alive = "  - { name: one, path: /a/b }\n  - { name: all, path: '/a/**' }\n"
    t.same(advicesOf('route-dead', alive), [])
  },
)

await t.test(
  'two rules of which neither is a case of the other are told where they differ',
  async (t) => {
    const pair = (more: string) =>
      `  - { name: edit, path: '/wiki/**', query: { action: edit } }\n  - { name: secret, path: /wiki/Secret${more} }\n`
    t.match(advicesOf('route-order', pair(', require: { anyGroup: [admins] }')), [
      { path: 'routes[1].path', found: /edit takes/ },
    ])
    t.same(advicesOf('route-order', pair('')), [], 'both ask the same')
  },
)

await t.test('what a rule or the whole file does not use is told', async (t) => {
  const unused = (row: string, more?: string) =>
    advicesOf('route-unused-key', `  - { name: a, path: /a, ${row} }\n`, more).map(
      ({ path }) => path,
    )
  t.same(unused('access: public, credentials: [bearer]'), ['routes[0].credentials'])
  t.same(unused('access: deny, websocket: true'), ['routes[0].websocket'])
  t.same(unused('access: deny, websocket: true', 'mode: shadow\n'), [])
  t.same(unused('websocket: true, credentials: [bearer]'), [])
  const lone = "  - { name: a, path: '/a' }\n"
  t.match(advicesOf('unused-upstream', lone), [{ path: 'upstreams.api' }])
  t.same(advicesOf('unused-upstream', lone.replace("'/a'", "'/a', upstream: api")), [])
  t.match(
    advicesOf(
      'unused-upstream',
      lone.replace("'/a'", "'/a', upstream: api"),
      'builtinTracRoutes: false\n',
    ),
    [{ path: 'upstreams.trac' }],
  )
})
