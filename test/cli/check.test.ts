/** `check`: exit codes, text for people, JSON for machines. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { check } from '../../src/cli/check.js'
import { minimal, secrets } from '../fixtures/config.js'

const folder = mkdtempSync(join(tmpdir(), 'check-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function run(text: string | undefined, json: boolean): { code: number; out: string; file: string } {
  const file = join(folder, text === undefined ? 'missing.yaml' : 'gateway.yaml')
  if (text !== undefined) writeFileSync(file, text)
  let out = ''
  const code = check(file, { json, env: secrets, print: (part) => (out += part) })
  return { code, out, file }
}

await t.test('check of a good file exits with 0 and prints warnings', async (t) => {
  const { code, out, file } = run(minimal, false)
  t.equal(code, 0)
  t.ok(out.includes(`warning: ${file}:3:1 session.store: found cookie`))
  t.match(out, / \[cookie-store\]\n/)
  const advice = 'acknowledge: [cookie-store, revocations-in-memory] in the file leaves them out'
  t.ok(out.endsWith(`${file}: ok, 2 to think about; ${advice}\n`))
})

await t.test(
  'with --strict what is worth a thought is a problem, until it is acknowledged',
  async (t) => {
    const strictly = (text: string) => {
      writeFileSync(join(folder, 'strict.yaml'), text)
      let out = ''
      const print = (part: string) => (out += part)
      const options = { json: false, strict: true, env: secrets, print }
      return [check(join(folder, 'strict.yaml'), options), out] as const
    }
    const [code, out] = strictly(minimal)
    t.equal(code, 1)
    t.match(out, /not ok with --strict, 2 to think about/)
    t.match(strictly(`${minimal}acknowledge: [cookie-store, revocations-in-memory]\n`), [
      0,
      /: ok\n$/,
    ])
  },
)

await t.test('what check says to write is taken, and nothing is left to think about', async (t) => {
  const known = 'acknowledge: [cookie-store, revocations-in-memory]\n'
  const { code, out, file } = run(minimal + known, false)
  t.equal(code, 0)
  t.equal(out, `${file}: ok\n`)
})

await t.test('check of a bad file exits with 1 and prints a line for each problem', async (t) => {
  const { code, out, file } = run(minimal.replace('clientId: trac', 'clientId: 5, x: y'), false)
  t.equal(code, 1)
  const lines = out.split('\n')
  t.ok(lines[0]?.startsWith(`${file}:2:68 identity.clientId: found 5 (a bare number); wanted `))
  t.ok(lines[1]?.startsWith(`${file}:2:71 identity.x: found `))
  t.match(out, /2 problems; nothing can be started with it\n$/)
})

await t.test('check without a file exits with 1', async (t) => {
  const { code, out } = run(undefined, false)
  t.equal(code, 1)
  t.match(out, /missing\.yaml:1:1: found no file that can be read \(ENOENT\)/)
})

await t.test('check --json prints problems and warnings with their places', async (t) => {
  const good = run(minimal, true)
  t.match(JSON.parse(good.out), { file: good.file, problems: [], warnings: [{ line: 3 }, {}] })
  t.equal(good.code, 0)
  const bad = run(minimal.replace('clientId: trac', 'x: y'), true)
  t.match(JSON.parse(bad.out), {
    problems: [
      { file: bad.file, path: 'identity.clientId', line: 2, column: 1, found: 'nothing' },
      { path: 'identity.x', line: 2, column: 58 },
    ],
  })
  t.equal(bad.code, 1)
})
