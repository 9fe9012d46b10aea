/**
 * `trac.ini` as Python's ConfigParser reads it for Trac. Trac 1.6 (Python 3) and Trac 1.4 (Python 2.7) read some lines
 * differently; this reader knows both, and takes nothing that the one it stands for would refuse.
 */

/** Whose rules hold. */
export type Dialect = '3' | '2.7'

/** Options by section; names are in lower case, as Trac has them. */
export type Ini = ReadonlyMap<string, ReadonlyMap<string, string>>

/** A text that Python refuses, or whose meaning we do not know. */
export class IniFault extends Error {
  /** @param line 0 where it is no single line */
  constructor(line: number, message: string) {
    super(line === 0 ? message : `line ${line}: ${message}`)
    this.name = 'IniFault'
  }
}

/** White space as `str.isspace` knows it; for Python 2.7, whose texts are bytes, that of ASCII. */
const spaces: Readonly<Record<Dialect, string>> = {
  '3': '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000',
  '2.7': '\\t-\\r\\x20',
}

/** How a dialect takes a line apart. */
interface Rules {
  strip(text: string): string
  stripEnd(text: string): string
  indentOf(line: string): number
  readonly section: RegExp
  readonly option: RegExp
}

function rulesOf(dialect: Dialect): Rules {
  const space = spaces[dialect]
  const [start, end] = [new RegExp(`^[${space}]+`, 'u'), new RegExp(`[${space}]+$`, 'u')]
  return {
    strip: (text) => text.replace(start, '').replace(end, ''),
    stripEnd: (text) => text.replace(end, ''),
    indentOf: (line) => start.exec(line)?.[0].length ?? 0,
    section: dialect === '3' ? /^\[(?<name>.+)\]/su : /^\[(?<name>[^\]]+)\]/u,
    option:
      dialect === '3'
        ? new RegExp(`^(?<name>.*?)[${space}]*[=:][${space}]*(?<value>.*)$`, 'su')
        : new RegExp(`^(?<name>[^:=${space}][^:=]*)[${space}]*[:=][${space}]*(?<value>.*)$`, 'su'),
  }
}

/** A value while its lines are read. */
interface Open {
  readonly lines: string[]
}

/** A section while its options are read. */
interface OpenSection {
  readonly name: string
  readonly options: Map<string, Open>
}

type Sections = Map<string, Map<string, Open>>

/** The state of reading: where the next line belongs. */
class Reader {
  readonly sections: Sections = new Map()
  readonly #dialect: Dialect
  readonly #rules: Rules
  #section: OpenSection | undefined
  #value: Open | undefined
  #indent = 0

  constructor(dialect: Dialect) {
    this.#dialect = dialect
    this.#rules = rulesOf(dialect)
  }

  /** Takes one line; `at` is its number. */
  take(line: string, at: number): void {
    const isDone = this.#dialect === '3' ? this.#skip3(line) : this.#skip27(line)
    if (!isDone) this.#head(this.#dialect === '3' ? this.#rules.strip(line) : line, at)
  }

  /** Comments, empty lines and lines that go on, in Python 3. */
  #skip3(line: string): boolean {
    const text = this.#rules.strip(line)
    if (text.startsWith('#') || text.startsWith(';')) return true
    if (text === '') {
      this.#value?.lines.push('')
      return true
    }
    const indent = this.#rules.indentOf(line)
    if (this.#value !== undefined && indent > this.#indent) {
      this.#value.lines.push(text)
      return true
    }
    this.#indent = indent
    return false
  }

  /** The same in Python 2.7: only the first column makes a comment. */
  #skip27(line: string): boolean {
    const text = this.#rules.strip(line)
    if (text === '' || /^[#;]/.test(line) || /^rem(?:[\t-\r ]|$)/i.test(line)) return true
    if (this.#value === undefined || this.#rules.indentOf(line) === 0) return false
    this.#value.lines.push(text)
    return true
  }

  #head(text: string, at: number): void {
    const name = this.#rules.section.exec(text)?.groups?.['name']
    if (name !== undefined) {
      this.#open(name, at)
      return
    }
    if (this.#section === undefined) throw new IniFault(at, 'found no [section] before it')
    this.#option(text, at, this.#section)
  }

  #open(name: string, at: number): void {
    const before = this.sections.get(name)
    if (before !== undefined && this.#dialect === '3' && name !== 'DEFAULT') {
      throw new IniFault(at, `found [${name}] a second time`)
    }
    const options = before ?? new Map<string, Open>()
    this.sections.set(name, options)
    this.#section = { name, options }
    this.#value = undefined
  }

  #option(text: string, at: number, section: OpenSection): void {
    const { name = '', value = '' } = this.#rules.option.exec(text)?.groups ?? {}
    const key = this.#rules.stripEnd(name).toLowerCase()
    if (key === '') throw new IniFault(at, 'found neither [section] nor "name = value"')
    if (section.options.has(key) && this.#dialect === '3') {
      throw new IniFault(at, `found ${key} a second time in [${section.name}]`)
    }
    this.#value = { lines: [this.#firstLine(value)] }
    section.options.set(key, this.#value)
  }

  /** Python 2.7 knows comments behind a value, and two quotes for none. */
  #firstLine(value: string): string {
    if (this.#dialect === '3') return this.#rules.strip(value)
    const semicolon = value.indexOf(';')
    // Before the first character stands the last one, as Python counts.
    const before = value.at(semicolon - 1) ?? ''
    const isComment = semicolon >= 0 && this.#rules.strip(before) === ''
    const text = this.#rules.strip(isComment ? value.slice(0, semicolon) : value)
    return text === '""' ? '' : text
  }

  /** The whole text of a value. */
  textOf({ lines }: Open): string {
    return this.#dialect === '3' ? this.#rules.stripEnd(lines.join('\n')) : lines.join('\n')
  }
}

/** Substitutions that Python 2.7 makes at most, one after the other. */
const maxDepth = 10
/** Characters that a value may come to by them: one that names itself often would fill the memory. */
const maxReplaced = 1024 * 1024

/** `%(name)s` as Python 2.7 replaces it; Trac on Python 3 replaces nothing. @throws IniFault */
function interpolate(text: string, options: ReadonlyMap<string, string>): string {
  let value = text
  for (let depth = 0; value.includes('%('); depth++) {
    if (depth === maxDepth) throw new IniFault(0, `found more than ${maxDepth} nested %(…)s`)
    let replaced = 0
    value = value.replaceAll(/%(?:%|\((?<name>[^)]*)\)s|)/g, (whole: string, name?: string) => {
      if (whole === '%%') return '%'
      const found = name === undefined ? undefined : options.get(name.toLowerCase())
      if (found === undefined)
        throw new IniFault(0, `found ${text}, which names nothing that is set`)
      replaced += found.length
      if (replaced > maxReplaced) throw new IniFault(0, 'found a value that grows without end')
      return found
    })
  }
  return value
}

/** What `[DEFAULT]` says holds in every section. */
const defaults = 'DEFAULT'

/** Reads a file's text. @throws IniFault */
export function readIni(text: string, dialect: Dialect): Ini {
  const reader = new Reader(dialect)
  // Python 3 ends lines at a lone CR, too.
  const lines = text.split(dialect === '3' ? /\r\n|\n|\r/ : '\n')
  for (const [index, line] of lines.entries()) reader.take(line, index + 1)
  const common = reader.sections.get(defaults) ?? new Map<string, Open>()
  const ini = new Map<string, ReadonlyMap<string, string>>()
  for (const [name, options] of reader.sections) {
    if (name === defaults) continue
    const raw = new Map([...common, ...options].map(([key, open]) => [key, reader.textOf(open)]))
    const values = [...raw].map(([key, value]) => [key, toValue(name, key, value, raw)] as const)
    ini.set(name, new Map(values))
  }
  return ini

  function toValue(section: string, key: string, value: string, raw: ReadonlyMap<string, string>) {
    if (dialect === '3') return value
    try {
      return interpolate(value, raw)
    } catch (error) {
      if (!(error instanceof IniFault)) throw error
      throw new IniFault(0, `[${section}] ${key}: ${error.message}`)
    }
  }
}

/** What Trac takes for yes. */
export const isYes = (text: string | undefined): boolean =>
  ['yes', 'true', 'enabled', 'on', '1'].includes((text ?? '').trim().toLowerCase())

/** A list as Trac reads it. */
export const toList = (text: string): readonly string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
