/** `trac-gateway routes` prints the policy in the order in which it is tried. */
import { t } from '../fixtures/tap.js'
import { routes } from '../../src/cli/routes.js'
import { tracRoutes } from '../../src/trac/routes.js'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { minimal, secrets } from '../fixtures/config.js'

const env = { ...secrets }
const file = join(t.testdir({}), 'gateway.yaml')
const own =
  'routes: [{ name: grades, path: /grades/**, require: { anyGroup: [admins] }, query: { a: [b, c] } }]\n'
await writeFile(file, minimal + own)

/** What the command prints, and its exit code. */
function printed(path: string, json: boolean): [string, number] {
  let text = ''
  const code = routes(path, {
    json,
    env,
    print: (more) => {
      text += more
    },
  })
  return [text, code]
}

await t.test('routes prints the operator’s rows first, then every built-in one', async (t) => {
  const [text, code] = printed(file, true)
  t.equal(code, 0)
  const rows = JSON.parse(text) as { name: string; asks: string; path: string }[]
  t.strictSame(
    rows.map((row) => row.name),
    ['grades', ...tracRoutes.map((row) => row.name)],
  )
  t.match(rows[0], { path: '/grades/**?a=b|c', asks: 'authenticated; a group of admins' })
})

await t.test('the table for people has a line for each row', async (t) => {
  const [text] = printed(file, false)
  t.equal(text.trimEnd().split('\n').length, tracRoutes.length + 2)
  t.match(text, /^name +methods +path/)
})

await t.test('routes of a bad file prints the problem and exits with 1', async (t) => {
  await writeFile(file, `${minimal}${own.replace('/grades', 'grades')}`)
  const [text, code] = printed(file, false)
  t.equal(code, 1)
  t.match(text, 'routes[0].path')
})
