/** The readers of `trac.ini` and of an export of permissions agree with the Pythons that Trac runs on, for any text. */
import { t } from '../fixtures/tap.js'
import * as fc from 'fast-check'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { CsvFault, readCsv, readGrants } from '../../src/cli/import/csv.js'
import { IniFault, readIni } from '../../src/trac/ini.js'
import type { Dialect } from '../../src/trac/ini.js'
import { askPython, pythonOf } from '../fixtures/tracs.js'

const seed = 20_261_127
const folder = t.testdir({})

/** A file of JSON for a Python program. */
function jsonFile(name: string, value: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, JSON.stringify(value))
  return path
}

const one = (...words: readonly string[]) => fc.constantFrom(...words)
const space = one('', ' ', '\t', '  ')
const word = one('a', 'b', 'B', 'x y', 'api_paths', 'DEFAULT', 'é', 'a:b', '"', '""', 'rem', '%')
const value = one(
  ...['', 'v', 'v ; w', 'v;w', ';w', '; w', '# w', 'v # w', '""', 'a = b', '[s]', 'x,\ty', 'ünï'],
  ...['%(a)s', '%(B)s/%(b)s', '%(nothing)s', '100%', '%%', '%(a)s %%', '%(a', '%(a)d'],
)
const line = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(space, word, space, one('=', ':', ' = ', ''), value)
      .map((parts) => parts.join('')),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(one('', '', ' '), one('[s]', '[t]', '[DEFAULT]', '[s', '[a]b]', '[s] x', '[]'))
      .map((parts) => parts.join('')),
  },
  { weight: 2, arbitrary: fc.tuple(one(' ', '\t', '   '), value).map((parts) => parts.join('')) },
  {
    weight: 1,
    arbitrary: one('', ' ', '# c', '; c', '  # c', '  ; c', 'rem c', 'REM', 'remark = 1', '\u00a0'),
  },
)
const text = fc
  .tuple(
    one('[s]\n', '[s]\n', '[s]\n', '', '\ufeff[s]\n'),
    fc.array(line, { maxLength: 7 }),
    one('\n', '\n', '\r\n'),
  )
  .map(([head, lines, end]) => head + lines.join(end) + end)

/** Prints what Trac's parser makes of each text, or null for what it refuses. */
const parse = `
# -*- coding: utf-8 -*-
import io, json, os, sys
from trac.config import UnicodeConfigParser
answers = []
path = sys.argv[1] + '.ini'
for text in json.load(io.open(sys.argv[1], encoding='utf-8')):
    with io.open(path, 'w', encoding='utf-8', newline='') as file:
        file.write(text)
    parser = UnicodeConfigParser()
    try:
        parser.read(path)
        answers.append(dict((section, dict((option, parser.get(section, option)) for option in parser.options(section)))
                            for section in parser.sections()))
    except Exception:
        answers.append(None)
print(json.dumps(answers))
`

type Read = Readonly<Record<string, Readonly<Record<string, string>>>> | null

function readOurs(source: string, dialect: Dialect): Read {
  try {
    const ini = readIni(source, dialect)
    return Object.fromEntries(
      [...ini].map(([name, options]) => [name, Object.fromEntries(options)]),
    )
  } catch (error) {
    if (error instanceof IniFault) return null
    throw error
  }
}

for (const [dialect, version] of [
  ['3', '1.6'],
  ['2.7', '1.4'],
] as const) {
  await t.test(`trac.ini is read as Trac ${version} reads it, in 2,000 texts`, async (t) => {
    const texts = fc.sample(text, { numRuns: 2000, seed })
    const file = jsonFile(`texts-${version}`, texts)
    const theirs = (await askPython(await pythonOf(version), parse, file)) as readonly Read[]
    let taken = 0
    for (const [index, source] of texts.entries()) {
      const wanted = theirs[index] ?? null
      const found = readOurs(source, dialect)
      if (found !== null) taken++
      // To refuse more than Python does is strict; to read something else would be wrong.
      const isStrict =
        found === null && wanted !== null && dialect === '2.7' && source.includes('%(')
      if (isStrict || isDeepStrictEqual(found, wanted)) continue
      t.strictSame(found, wanted, JSON.stringify(source))
      return
    }
    t.ok(taken > 300, `${taken} are taken`)
  })
}

/** Writes rows as trac-admin does. */
const write = `
import csv, io, json, sys
out = io.StringIO(newline='')
texts = []
for rows in json.load(io.open(sys.argv[1], encoding='utf-8')):
    out = io.StringIO(newline='')
    writer = csv.writer(out, lineterminator='\\n')
    for row in rows:
        writer.writerow(row)
    texts.append(out.getvalue())
print(json.dumps(texts))
`

await t.test('an export is read as Python wrote it, whatever the names', async (t) => {
  const field = fc.oneof(
    one(
      'alice',
      'TRAC_ADMIN',
      'a,b',
      'a"b',
      '"',
      'a\nb',
      ' x ',
      '#x',
      "o'x",
      'é',
      '',
      'a\r\nb',
      '\n',
    ),
    fc.string({ maxLength: 5 }),
  )
  const rows = fc.array(fc.array(field, { minLength: 1, maxLength: 4 }), { maxLength: 4 })
  const tables = fc.sample(rows, { numRuns: 2000, seed })
  const file = jsonFile('tables', tables)
  const texts = (await askPython(await pythonOf('1.6'), write, file)) as readonly string[]
  for (const [index, source] of texts.entries()) {
    if (isDeepStrictEqual(readCsv(source), tables[index])) continue
    t.strictSame(readCsv(source), tables[index], JSON.stringify(source))
    return
  }
})

await t.test(
  'what trac-admin did not write is refused with its line, and nothing else is thrown',
  async (t) => {
    for (const [source, told] of [
      ['alice,TRAC_ADMIN\nbob,"x', /line 2: found a quote that is never closed/],
      ['al"ice,X\n', /line 1: found a quote inside/],
      ['"alice"x,X\n', /line 1: found text after a closing quote/],
      ['alice\n', /line 1: wanted "name,PERMISSION/],
      ['User  Action\n----------\nalice TRAC_ADMIN\n', /line 1: wanted/],
      ['alice,\n', /line 1: wanted/],
    ] as const) {
      t.throws(() => readGrants(source), told)
    }
    t.strictSame(readGrants('alice,TRAC_ADMIN,dev\r\n'), [
      ['alice', 'TRAC_ADMIN'],
      ['alice', 'dev'],
    ])
    fc.assert(
      fc.property(fc.string({ unit: one('a', ',', '"', '\n', '\r', ' ') }), (source) => {
        try {
          readCsv(source)
          return true
        } catch (error) {
          return error instanceof CsvFault
        }
      }),
      { seed, numRuns: 2000 },
    )
  },
)
