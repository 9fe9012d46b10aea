/** Every row of this folder's table names a test that exists, and every attack stands in the table. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import { root } from '../fixtures/root.js'
import { advisories, cognito, complaints, facts, unnumbered } from './threats.js'

const table = readFileSync(`${root}test/conformance/README.md`, 'utf8')

/** Cells of the rows, the first two lines of each table left out, with the heading above them. */
const rows = table.split('\n## ').flatMap((section) => {
  const [heading = '', ...lines] = section.split('\n')
  return lines
    .filter((line) => line.startsWith('|') && line.includes('.test.ts'))
    .map((line) => {
      const [, requirement = '', file = '', words = ''] = line.split('|').map((cell) => cell.trim())
      const plainFile = file.replaceAll('`', '')
      return { heading, requirement, file: plainFile, words: words.replace(/^`|`$/g, '') }
    })
})

/** A test with what it imports of the tests: what it shares with a longer form, or with its neighbours, stands there. */
function textOf(file: string): string {
  const text = readFileSync(root + file, 'utf8')
  const shared = [...text.matchAll(/from '((?:\.|\.\.\/fixtures)\/[\w-]+)\.js'/g)]
  const place = new URL(file, `file://${root}`)
  return [
    text,
    ...shared.map(([, name]) => readFileSync(new URL(`${name}.ts`, place), 'utf8')),
  ].join()
}

/** As it is read: line breaks, indentation and the formatter's choice of quotes make no difference. */
const plain = (text: string) => text.replaceAll(/\s+/g, ' ').replaceAll(/["'`’]/g, '"')

await t.test('the table has rows, and each requirement stands in it once', async (t) => {
  t.ok(rows.length > 80)
  t.equal(new Set(rows.map((row) => row.requirement)).size, rows.length, 'each stands there once')
})

for (const { requirement, file, words } of rows) {
  await t.test(`${file} proves ${requirement}`, async (t) => {
    t.ok(existsSync(root + file), 'the file exists')
    t.ok(words.length > 3, 'words are given')
    t.ok(plain(textOf(file)).includes(plain(words)), words)
  })
}

await t.test('every attack stands in the table', async (t) => {
  const named = new Set(rows.map((row) => row.file))
  const missing = readdirSync(`${root}test/attack`)
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => !named.has(`test/attack/${name}`))
  t.strictSame(missing, [])
})

/** Requirements of the rows below a heading. */
const below = (wanted: string) =>
  rows.filter(({ heading }) => heading === wanted).map(({ requirement }) => requirement)
const factRows = below('Threats: facts about Trac and our stack')
const advisoryRows = below('Threats: advisories')
const complaintRows = below('Threats: what users of such gateways suffered')

/** `0.4–0.6, 0.8: …` is about four numbers. */
function numbersOf(requirement: string): string[] {
  const [list = ''] = /^[\d.–, ]+(?=:)/.exec(requirement) ?? []
  return list.split(', ').flatMap((part) => {
    const [first = '', last = first] = part.split('–').map((number) => number.replace(/^0\./, ''))
    const prefix = part.startsWith('0.') ? '0.' : ''
    const count = Number(last) - Number(first) + 1
    return Array.from({ length: count }, (_, i) => `${prefix}${Number(first) + i}`)
  })
}

/** `oauth2-proxy CVE-2021-1, -2, #3` names three; a number of an issue is the project’s, which is the first word. */
function advisoriesOf(requirement: string): string[] {
  const [project] = requirement.split(' ', 1)
  let year = ''
  return [
    ...requirement.matchAll(
      /CVE-(\d{4})-\d+|(?<=[ ,])-(\d{4,7})\b|GHSA(?:-[0-9a-z]{4}){1,3}|(?<= )#\d+/g,
    ),
  ].map(([whole, named, short]) => {
    year = named ?? year
    if (short !== undefined) return `CVE-${year}-${short}`
    return whole.startsWith('#') ? `${project}${whole}` : whole
  })
}

const wanted: readonly (readonly [
  what: string,
  all: readonly string[],
  given: Iterable<string>,
])[] = [
  ['fact', facts, factRows.flatMap(numbersOf)],
  ['advisory', advisories, advisoryRows.flatMap(advisoriesOf)],
  ['complaint', complaints, complaintRows.flatMap(numbersOf)],
]
for (const [what, all, given] of wanted) {
  await t.test(`each ${what} of our list of threats has a row`, async (t) => {
    const known = new Set(given)
    t.strictSame(
      all.filter((id) => !known.has(id)),
      [],
    )
    t.equal(new Set(all).size, all.length, 'each stands in the list once')
  })
}

await t.test('each threat without a number has a row', async (t) => {
  for (const [given, names] of [
    [advisoryRows, unnumbered],
    [complaintRows, cognito],
  ] as const) {
    t.strictSame(
      names.filter((name) => !given.some((requirement) => requirement.startsWith(name))),
      [],
    )
  }
})

await t.test('the table has no advisory that the list does not know', async (t) => {
  const known = new Set(advisories)
  const strange = advisoryRows.flatMap(advisoriesOf).filter((id) => !known.has(id))
  t.strictSame(strange, [], 'a misprint, or one to be listed')
})
