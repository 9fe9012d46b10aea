/** `trac-gateway routes` prints the policy in the order in which it is tried, what hides what, and what groups may do. */
import { t } from '../fixtures/tap.js'
import { routes } from '../../src/cli/routes.js'
import { tracRoutes } from '../../src/trac/routes.js'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { minimal, secrets, withPermissions } from '../fixtures/config.js'

const env = { ...secrets }
const folder = t.testdir({})
const file = join(folder, 'gateway.yaml')
const own =
  'routes: [{ name: grades, path: /grades/**, require: { anyGroup: [admins] }, query: { a: [b, c] } }]\n'
await writeFile(file, minimal + own)

interface Printed {
  readonly routes: readonly {
    readonly name: string
    readonly reach: string
    readonly hiddenBy: readonly string[]
  }[]
  readonly groups: readonly { readonly name: string; readonly carries: readonly string[] }[]
}

/** What the command prints, and its exit code. */
function printed(path: string, how: { json?: boolean; markdown?: boolean } = {}): [string, number] {
  let text = ''
  const { json = false, markdown = false } = how
  const code = routes(path, { json, markdown, env, print: (more) => (text += more) })
  return [text, code]
}

const asJson = (path: string): Printed => JSON.parse(printed(path, { json: true })[0]) as Printed

await t.test('routes prints the operator’s rows first, then every built-in one', async (t) => {
  const [text, code] = printed(file, { json: true })
  t.equal(code, 0)
  const { routes: rows } = JSON.parse(text) as Printed
  t.strictSame(
    rows.map((row) => row.name),
    ['grades', ...tracRoutes.map((row) => row.name)],
  )
  t.match(rows[0], {
    path: '/grades/**?a=b|c',
    asks: 'authenticated; a group of admins',
    builtin: false,
    reach: 'reached',
  })
  t.match(rows[1], { builtin: true })
})

await t.test('of the built-in rows alone none is hidden', async (t) => {
  for (const row of asJson(file).routes) t.equal(row.reach, 'reached', row.name)
})

await t.test(
  'a row that others take all requests of is dead, and one of some methods is shadowed',
  async (t) => {
    const hiding = join(folder, 'hiding.yaml')
    await writeFile(
      hiding,
      `${minimal}routes:
  - { name: read, path: '/doc/**', methods: [GET] }
  - { name: page, path: '/doc/*' }
  - { name: rest, path: '/doc/**', methods: [GET, HEAD] }
  - { name: all, path: '/wiki/**' }
`,
    )
    const { routes: rows } = asJson(hiding)
    const of = (name: string) => rows.find((row) => row.name === name)
    t.match(of('read'), { reach: 'reached', hiddenBy: [] })
    t.match(of('page'), { reach: 'shadowed', hiddenBy: ['read'] })
    t.match(of('rest'), { reach: 'dead', hiddenBy: ['read'] })
    t.match(of('trac:wiki-edit'), { reach: 'dead', hiddenBy: ['all'] })
    t.match(of('trac:ticket'), { reach: 'reached' })
    const [text] = printed(hiding)
    t.match(text, /^page .* not by GET, HEAD: read$/m)
    t.match(text, /^rest .* never reached: read$/m)
  },
)

await t.test('each group is told with all that it carries', async (t) => {
  const grouped = join(folder, 'grouped.yaml')
  await writeFile(
    grouped,
    withPermissions(
      'anonymous: [WIKI_VIEW], groups: { admins: [TRAC_ADMIN], staff: [TICKET_MODIFY, LEARNING_PARTICIPATE] }',
    ),
  )
  const { groups } = asJson(grouped)
  t.same(
    groups.map(({ name }) => name),
    ['(everybody)', '(signed in)', 'admins', 'staff'],
  )
  t.same(groups[3]?.carries, ['TICKET_APPEND', 'TICKET_CHGPROP'])
  const [text] = printed(grouped)
  t.match(text, /^admins +TRAC_ADMIN +everything/m)
  t.match(text, /^staff +TICKET_MODIFY, LEARNING_PARTICIPATE +TICKET_APPEND, TICKET_CHGPROP$/m)
})

await t.test('the table for people has a line for each row, and Markdown has, too', async (t) => {
  const [text] = printed(file)
  t.match(text, /^name +methods +path/)
  const [table = '', groups = ''] = text.split('\n\n')
  t.equal(table.split('\n').length, tracRoutes.length + 2)
  t.match(groups, /^group +actions/)
  const [markdown] = printed(file, { markdown: true })
  const lines = markdown.split('\n\n')[0]?.split('\n') ?? []
  t.equal(lines.length, tracRoutes.length + 3)
  t.match(lines[2], /^\| grades \| all \| `\/grades\/\*\*\?a=b\\\|c` \|/)
})

await t.test('routes of a bad file prints the problem and exits with 1', async (t) => {
  const bad = join(folder, 'bad.yaml')
  await writeFile(bad, `${minimal}${own.replace('/grades', 'grades')}`)
  const [text, code] = printed(bad)
  t.equal(code, 1)
  t.match(text, 'routes[0].path')
})
