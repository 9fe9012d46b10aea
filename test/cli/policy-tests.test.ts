/** `trac-gateway test` holds a policy against a file: what it says for people, CI servers and mistakes in the file. */
import { t } from '../fixtures/tap.js'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { secretOf } from '../fixtures/config.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = t.testdir({})
const env = {
  PATH: process.env['PATH'],
  TRAC_GATEWAY_SESSION_SECRET: secretOf('s'),
  TRAC_GATEWAY_SIGNING_SECRET: secretOf('k'),
}

/** Runs the tests of a file against the configuration that we ship. */
function run(file: string, ...more: readonly string[]) {
  const args = [main, 'test', file, '-c', 'gateway.yaml', ...more]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env })
  return { code: status, out: stdout, said: stderr }
}

const fileOf = (text: string): string => {
  const path = join(folder, 'some.tests.yaml')
  writeFileSync(path, text)
  return path
}

await t.test('the tests that we ship hold for the configuration that we ship', async (t) => {
  const { code, out, said } = run('deploy/policy.tests.yaml')
  t.equal(said, '')
  t.equal(code, 0, out)
  t.match(out, /✓ a student does not edit the wiki\n/)
  t.match(out, /\n12 as expected\n$/)
})

const failing = `tests:
  - name: students <edit> the wiki
    who: { user: sam, groups: [students] }
    what: GET /wiki/Start?action=edit
    outcome: allow
    permissions: { has: [WIKI_MODIFY], lacks: [WIKI_VIEW] }
  - name: fine
    who: anonymous
    what: GET /wiki/Start
    outcome: allow
`

await t.test('a failure says what was found and wanted, and what explain says', async (t) => {
  const junit = join(folder, 'junit.xml')
  const { code, out } = run(fileOf(failing), '--junit', junit)
  t.equal(code, 1)
  t.match(out, /✗ students <edit> the wiki \(.*some\.tests\.yaml:2\)/)
  t.match(out, /found 403 ERR_PERMISSION_REQUIRED.*; wanted outcome allow/)
  t.match(out, /found no WIKI_MODIFY; wanted WIKI_MODIFY/)
  t.match(out, /found WIKI_VIEW; wanted no WIKI_VIEW/)
  t.match(out, /✗ access and require +ERR_PERMISSION_REQUIRED/)
  t.match(out, /1 of 2 not as expected/)
  const xml = readFileSync(junit, 'utf8')
  t.match(xml, /<testsuites tests="2" failures="1">/)
  t.match(xml, /<testcase name="students &lt;edit&gt; the wiki" .* line="2">/)
  t.match(xml, /<failure message="found 403/)
  const { spawnSync: check } = await import('node:child_process')
  const parsed = check('python3', [
    '-c',
    'import sys,xml.dom.minidom as m;m.parse(sys.argv[1])',
    junit,
  ])
  t.equal(parsed.status, 0, 'it is XML')
  const json = JSON.parse(run(fileOf(failing), '--json').out) as { tests: { failures: string[] }[] }
  t.same(
    json.tests.map(({ failures }) => failures.length),
    [3, 0],
  )
})

await t.test('mistakes in the file are told all at once, with their places', async (t) => {
  const { code, said } = run(
    fileOf(`tests:
  - name: odd
    who: { user: sam, group: [students] }
    what: /wiki/Start
    outcome: maybe
  - who: nobody
    what: GET /wiki
    outcome: 200
`),
  )
  t.equal(code, 1)
  for (const told of [
    /some\.tests\.yaml:3:23 tests\[0\]\.who\.group: .*wanted groups \(did you mean that\?\)/,
    /:4:11 tests\[0\]\.what: found "\/wiki\/Start"; wanted a method and a path/,
    /:5:14 tests\[0\]\.outcome: found "maybe"; wanted allow, sign-in/,
    /tests\[1\]\.name: found nothing; wanted a sentence/,
    /tests\[1\]\.who: found "nobody"; wanted anonymous/,
  ]) {
    t.match(said, told)
  }
  t.match(run(join(folder, 'missing.yaml')), {
    code: 1,
    said: /no file that can be used \(ENOENT\)/,
  })
})
