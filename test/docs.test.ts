/** The README's generated tables equal the code, both ways, and can be renewed. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { listKeys, renewReadme, replaceBetween } from '../src/config/docs.js'
import { errors } from '../src/core/errors.js'

const readme = readFileSync('README.md', 'utf8')

/** First cells of the table between two markers. */
function firstCells(text: string, name: string): readonly string[] {
  const [, rest = ''] = text.split(`<!-- ${name}:begin -->`)
  const [table = ''] = rest.split(`<!-- ${name}:end -->`)
  return table.split('\n').flatMap((line) => /^\| `([^`]+)` \|/.exec(line)?.[1] ?? [])
}

void t.test('README has every option, and no other', async (t) => {
  t.same(
    firstCells(readme, 'options'),
    listKeys().map(({ path }) => path),
  )
})

void t.test('README has every error with its status and words, and no other', async (t) => {
  t.same(firstCells(readme, 'errors'), Object.keys(errors))
  for (const [code, { status, error, text }] of Object.entries(errors)) {
    t.ok(readme.includes(`| \`${code}\` | ${status} | \`${error}\` | ${text} |`), code)
  }
})

void t.test('README is what `npm run docs` would write', async (t) => {
  t.equal(renewReadme(readme, errors), readme, 'run `npm run docs`')
})

void t.test('only what stands between the markers is replaced', async (t) => {
  const text = 'a\n<!-- x:begin -->old<!-- x:end -->\nb\n'
  t.equal(replaceBetween(text, 'x', 'new'), 'a\n<!-- x:begin -->\n\nnew\n\n<!-- x:end -->\nb\n')
  for (const wrong of ['', text + text, text.replace('begin', 'end'), text.replace('end', 'und')]) {
    t.throws(() => replaceBetween(wrong, 'x', 'new'), /markers x/)
  }
})
