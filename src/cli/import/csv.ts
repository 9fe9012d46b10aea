/** CSV as `trac-admin ENV permission export` writes it (Python's csv module, `excel` with line feeds). */

/** A text that trac-admin did not write. */
export class CsvFault extends Error {
  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`)
    this.name = 'CsvFault'
  }
}

/** One field from `at` on: its text, and where it ends. */
function readField(text: string, at: number, line: number): readonly [string, number] {
  if (text[at] !== '"') {
    const end = /[,\r\n]|$/g
    end.lastIndex = at
    const to = end.exec(text)?.index ?? text.length
    const field = text.slice(at, to)
    if (field.includes('"')) throw new CsvFault(line, 'found a quote inside of a word')
    return [field, to]
  }
  let field = ''
  for (let from = at + 1; ;) {
    const quote = text.indexOf('"', from)
    if (quote < 0) throw new CsvFault(line, 'found a quote that is never closed')
    field += text.slice(from, quote)
    if (text[quote + 1] !== '"') return [field, quote + 1]
    field += '"'
    from = quote + 2
  }
}

/** Rows of fields. @throws CsvFault */
export function readCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = []
  let row: string[] = []
  let line = 1
  for (let at = 0; at < text.length;) {
    const [field, end] = readField(text, at, line)
    line += field.split('\n').length - 1
    row.push(field)
    const rest = /^(?:,|\r?\n|$)/.exec(text.slice(end, end + 2))
    if (rest === null) throw new CsvFault(line, 'found text after a closing quote')
    at = end + rest[0].length
    if (rest[0] === ',') {
      // A comma at the very end has an empty field after it.
      if (at === text.length) row.push('')
      else continue
    }
    rows.push(row)
    row = []
    line++
  }
  return rows
}

/** Who has what in Trac's permission table: a subject, and an action or a group. */
export type Grant = readonly [subject: string, action: string]

/** The grants of an export; each row is a subject and all that it has. @throws CsvFault */
export function readGrants(text: string): readonly Grant[] {
  return readCsv(text).flatMap(([subject = '', ...actions], index) => {
    if (subject === '' || actions.length === 0 || actions.includes('')) {
      throw new CsvFault(
        index + 1,
        'wanted "name,PERMISSION,…" as trac-admin ENV permission export FILE writes it',
      )
    }
    return actions.map((action): Grant => [subject, action])
  })
}
