/** Every row of this folder's table names a test that exists, and every attack stands in the table. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))
const table = readFileSync(`${root}test/conformance/README.md`, 'utf8')

/** Cells of the rows, the first two lines of each table left out. */
const rows = table
  .split('\n')
  .filter((line) => line.startsWith('|') && line.includes('.test.ts'))
  .map((line) => {
    const [, requirement = '', file = '', words = ''] = line.split('|').map((cell) => cell.trim())
    return { requirement, file: file.replaceAll('`', ''), words: words.replace(/^`|`$/g, '') }
  })

/** A test with the fixtures that it imports: what it shares with a longer form stands there. */
function textOf(file: string): string {
  const text = readFileSync(root + file, 'utf8')
  const shared = [...text.matchAll(/from '\.\.\/(fixtures\/[\w-]+)\.js'/g)]
  return [text, ...shared.map(([, name]) => readFileSync(`${root}test/${name}.ts`, 'utf8'))].join()
}

/** As it is read: line breaks, indentation and the formatter's choice of quotes make no difference. */
const plain = (text: string) => text.replaceAll(/\s+/g, ' ').replaceAll(/["'`’]/g, '"')

void t.test('the table has rows', async (t) => {
  t.ok(rows.length > 80)
  t.equal(new Set(rows.map((row) => row.requirement)).size, rows.length, 'each stands there once')
})

for (const { requirement, file, words } of rows) {
  void t.test(`${requirement}: ${file} has it`, async (t) => {
    t.ok(existsSync(root + file), 'the file exists')
    t.ok(words.length > 3, 'words are given')
    t.ok(plain(textOf(file)).includes(plain(words)), words)
  })
}

void t.test('every attack stands in the table', async (t) => {
  const named = new Set(rows.map((row) => row.file))
  const missing = readdirSync(`${root}test/attack`)
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => !named.has(`test/attack/${name}`))
  t.strictSame(missing, [])
})
