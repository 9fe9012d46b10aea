/** How tests are written: each is awaited, so that none is left behind, and belongs to its own file. */
import { t } from './fixtures/tap.js'
import { readdirSync, readFileSync } from 'node:fs'
import { root } from './fixtures/root.js'

const files = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' }).filter((name) =>
  /\.(?:test|long)\.ts$|^fixtures\/.*\.ts$/.test(name),
)

await t.test('every test is awaited', async (t) => {
  t.ok(files.length > 150)
  for (const name of files) {
    const text = readFileSync(`${root}test/${name}`, 'utf8')
    const loose = text.split('\n').filter((line) => /(?<!\bawait |\breturn )\bt\.test\(/.test(line))
    t.strictSame(loose, [], name)
  }
})

await t.test(
  'every file has the `t` of fixtures/tap.ts: tap’s own is that of all files of a process',
  async (t) => {
    const own = files.filter((name) =>
      /^import (?!type )\w+ from 'tap'$/m.test(readFileSync(`${root}test/${name}`, 'utf8')),
    )
    t.strictSame(own, ['fixtures/tap.ts'])
  },
)
