/** What the commands that ask about a policy say where there are several environments. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { explainOffline } from '../../src/app/ask/offline.js'
import { Replay } from '../../src/app/ask/replay.js'
import { explainText } from '../../src/cli/explain-text.js'
import { routes } from '../../src/cli/routes.js'
import { callCommand } from '../fixtures/call.js'
import { loadText, minimal, secrets } from '../fixtures/config.js'
import { t } from '../fixtures/tap.js'

const permissions = `permissions:
  groups: { students: [WIKI_VIEW, TICKET_CREATE], tutors: [WIKI_VIEW] }
  fromClaims: all
`
const environments = `environments:
  math: { permissions: { groups: { tutors: [TRAC_ADMIN] }, anonymous: [WIKI_VIEW] } }
  staff: { permissions: { groups: { students: [] }, fromClaims: none } }
  course-*: {}
`
const text = minimal.replace(/^permissions: .*\n/m, permissions) + environments

await t.test('explain tells the environment, and where permissions there come from', async (t) => {
  const explain = await explainOffline(loadText(text).config, false)
  const tutor = { user: 'tim', groups: ['tutors'] }
  const report = await explain({ target: '/math/admin', ...tutor })
  t.match(report, {
    environment: 'math',
    decision: { outcome: 'forward', route: 'trac:admin', upstream: 'trac' },
  })
  t.match(report.permissions.find(({ action }) => action === 'TRAC_ADMIN')?.from, ['group:tutors'])
  const said = explainText(report, (_, one) => one)
  t.match(said, /environment +math\n/)
  t.match(said, /environment .*math, by math/)
  const other = await explain({ target: '/course-9/admin', ...tutor })
  t.match(other, { environment: 'course-9', decision: { code: 'ERR_PERMISSION_REQUIRED' } })
  const student = { user: 'sam', groups: ['students'], permissions: ['TICKET_ADMIN'] }
  const staff = await explain({ target: '/staff/wiki', ...student })
  t.match(staff.leftOut, [{ action: 'TICKET_ADMIN', why: /fromClaims: none/ }])
  t.same(staff.permissions, [])
  const nowhere = await explain({ target: '/wiki', ...tutor })
  t.match(nowhere.decision, { status: 404, code: 'ERR_ROUTE_UNKNOWN' })
  t.equal(nowhere.environment, undefined)
  const list = await explain({ target: '/', anonymous: true })
  t.match(list.decision, { status: 200, route: 'auth:environments' })
})

await t.test(
  'routes prints the rows for every environment, and what groups have in each',
  async (t) => {
    const file = join(t.testdir({}), 'gateway.yaml')
    await writeFile(file, text)
    let printed = ''
    routes(file, { json: true, env: { ...secrets }, print: (more) => (printed += more) })
    const told = JSON.parse(printed) as {
      routes: { name: string; path: string; reach: string }[]
      groups: { name: string; actions: string[] }[]
    }
    const paths = new Map(told.routes.map(({ name, path }) => [name, path]))
    t.equal(paths.get('trac:wiki'), '/*/wiki/**')
    t.equal(paths.get('trac:home'), '/*')
    t.notOk(paths.has('trac:plugins'))
    for (const { name, reach } of told.routes) t.equal(reach, 'reached', name)
    const groups = new Map(told.groups.map(({ name, actions }) => [name, actions]))
    t.same(groups.get('math: tutors'), ['TRAC_ADMIN'])
    t.same(groups.get('math: (everybody)'), ['WIKI_VIEW'])
    t.same(groups.get('staff: students'), [])
  },
)

await t.test('replay judges each line by the rights in its environment', async (t) => {
  const replay = new Replay(loadText(text).config)
  const line = (path: string, more: object) =>
    JSON.stringify({
      msg: 'decision',
      time: '2026-11-27T00:00:00Z',
      method: 'GET',
      path,
      mode: 'enforce',
      permissions: 'p',
      ...more,
    })
  replay.take(
    JSON.stringify({
      msg: 'grants',
      permissions: 'p',
      actions: [],
      claimed: [],
      query_names: ['action', 'format'],
    }),
  )
  const tutor = { user: 'tim', via: 'session', groups: ['tutors'] }
  const sam = { user: 'sam', via: 'bearer', groups: ['students'] }
  replay.take(line('/math/about', { ...tutor, route: 'trac:about', result: 'allow' }))
  replay.take(line('/math/admin', { ...tutor, route: 'trac:admin', result: 'allow' }))
  replay.take(line('/course-1/admin', { ...tutor, route: 'trac:admin', result: 'allow' }))
  replay.take(line('/staff/wiki', { ...sam, route: 'trac:wiki', result: 'allow' }))
  replay.take(line('/math/wiki', { route: 'trac:wiki', result: 'ERR_LOGIN_REQUIRED' }))
  replay.take(line('/old/wiki', { ...sam, route: 'trac:wiki', result: 'allow' }))
  const { same, changes, unknown } = replay.result()
  t.same(unknown, {})
  t.equal(same, 2)
  t.same(changes.map(({ example, was, now }) => `${example}: ${was}, ${now}`).toSorted(), [
    'GET /course-1/admin: allow, ERR_PERMISSION_REQUIRED',
    'GET /math/wiki: ERR_LOGIN_REQUIRED, allow',
    'GET /old/wiki: allow, ERR_ROUTE_UNKNOWN',
    'GET /staff/wiki: allow, ERR_PERMISSION_REQUIRED',
  ])
})

await t.test(
  'import writes the lines of one environment, and says which it has read',
  async (t) => {
    const folder = t.testdir({
      'grants.csv': 'anonymous,WIKI_VIEW\ntutors,TICKET_ADMIN\nann,tutors\n',
      'trac.ini': '[trac]\nbase_url = https://trac.example.edu/trac/math\n',
    })
    const out = join(folder, 'out')
    const said = await callCommand(
      'import',
      [
        ...['--permissions', join(folder, 'grants.csv'), '--trac-ini', join(folder, 'trac.ini')],
        ...['--environment', 'math', '--out', out],
      ],
      {
        TRAC_GATEWAY_SESSION_SECRET: secrets.SESSION,
        TRAC_GATEWAY_SIGNING_SECRET: secrets.SIGNING,
      },
    )
    t.equal(said.code, 0, said.out)
    t.match(said.out, `environment: ${join(folder, 'grants.csv')}, as math`)
    const { config } = loadText(await readFile(join(out, 'gateway.yaml'), 'utf8'), {
      env: {
        TRAC_GATEWAY_SESSION_SECRET: secrets.SESSION,
        TRAC_GATEWAY_SIGNING_SECRET: secrets.SIGNING,
      },
    })
    t.equal(config.server.publicUrl.url, 'https://trac.example.edu/trac')
    t.same({ ...config.permissions.groups }, {})
    t.same({ ...config.environments?.['math']?.permissions.groups }, { tutors: ['TICKET_ADMIN'] })
    t.same(config.environments?.['math']?.permissions.anonymous, ['WIKI_VIEW'])
  },
)
