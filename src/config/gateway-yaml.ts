/**
 * The comments of the shipped gateway.yaml, written from the schema. Its keys and values stay as they
 * are; a key that the schema has and the file has not is put in with its default.
 */
import { isDeepStrictEqual } from 'node:util'
import { parse } from 'yaml'
import { describeKey, sentences } from './docs.js'
import type { KeySchema } from './key.js'

/** The file is no wider than its code. */
const maxWidth = 100

/** A line of the file. An alternative stands behind `#| ` and is read as if it did not. */
interface Line {
  readonly isAlternative: boolean
  /** Without `#| `. */
  readonly text: string
}

/** A key that stands in the file. */
interface Found {
  readonly path: string
  readonly schema: KeySchema
  readonly index: number
  /** Index of the line after its value. */
  readonly end: number
  readonly indent: number
}

const alternative = /^( *)#\| ?/
const keyLine = /^(?<indent> *)(?<dash>- )?(?<key>[\w-]+):(?= |$)/

const toLine = (written: string): Line => ({
  isAlternative: alternative.test(written),
  text: written.replace(alternative, '$1'),
})

function write({ isAlternative, text }: Line, blockIndent: number): string {
  if (!isAlternative) return text
  return `${' '.repeat(blockIndent)}#| ${text.slice(blockIndent)}`.trimEnd()
}

const indentOf = (text: string): number => /^ */.exec(text)![0].length

const isComment = ({ text }: Line): boolean => /^ *#/.test(text)
const isBlank = ({ text, isAlternative }: Line): boolean => !isAlternative && text.trim() === ''
/** Comments that are no key's: the heads of alternatives, and the head of the file. */
const isKept = ({ text }: Line): boolean => /^ *# alternative: /.test(text)

/** The lines without the comments of keys, which stand directly above a key. */
function withoutComments(lines: readonly Line[]): readonly Line[] {
  const bare: Line[] = []
  let pending: Line[] = []
  for (const line of lines) {
    if (isComment(line) && !isKept(line)) {
      pending.push(line)
      continue
    }
    if (isBlank(line)) bare.push(...pending)
    pending = []
    // `- # comment` has the key on the next line.
    const item = /^( *)- #/.exec(line.text)
    if (item === null) bare.push(joinItem(bare, line))
    else bare.push({ ...line, text: `${item[1]}-` })
  }
  return bare
}

/** Puts the first key of a list's entry behind its dash. */
function joinItem(bare: Line[], line: Line): Line {
  const dash = /^( *)-$/.exec(bare.at(-1)?.text ?? '')
  if (dash === null) return line
  bare.pop()
  return { ...line, text: `${dash[1]}- ${line.text.trimStart()}` }
}

/** Index of the line after what is indented more than `indent`. */
function endOf(lines: readonly Line[], index: number, indent: number): number {
  const { isAlternative } = lines[index]!
  let end = index + 1
  for (let next = end; next < lines.length; next++) {
    const line = lines[next]!
    if (isBlank(line) || isKept(line)) continue
    if (indentOf(line.text) <= indent) break
    if (line.isAlternative === isAlternative) end = next + 1
  }
  return end
}

interface Level {
  readonly indent: number
  readonly path: string
  readonly schema: KeySchema
}

/** The schema of a key, and how the path to it goes on; of an entry of a record, the name that the table uses. */
function below({ path, schema }: Level, key: string): Omit<Level, 'indent'> | undefined {
  const property = schema.properties?.[key]
  if (property !== undefined)
    return { path: path === '' ? key : `${path}.${key}`, schema: property }
  const { additionalProperties: item } = schema
  return typeof item === 'object'
    ? { path: `${path}.<${schema.keyName}>`, schema: item }
    : undefined
}

/** Every key that stands in the file, in its order. */
function findKeys(lines: readonly Line[], root: KeySchema): readonly Found[] {
  const found: Found[] = []
  const levels: Level[] = [{ indent: -1, path: '', schema: root }]
  for (const [index, { text }] of lines.entries()) {
    const { indent: spaces, dash, key } = keyLine.exec(text)?.groups ?? {}
    if (spaces === undefined || key === undefined) continue
    while (levels.at(-1)!.indent >= spaces.length) levels.pop()
    const { path, schema } = levels.at(-1)!
    if (dash !== undefined) {
      levels.push({ indent: spaces.length, path: `${path}[]`, schema: schema.items ?? {} })
    }
    const parent = levels.at(-1)!
    const next = below(parent, key)
    if (next === undefined) continue
    const indent = spaces.length + (dash?.length ?? 0)
    levels.push({ ...next, indent })
    if (parent.schema.properties !== undefined) {
      found.push({ ...next, index, indent, end: endOf(lines, index, indent) })
    }
  }
  return found
}

/** The value that a key has in the file. */
function valueOf(lines: readonly Line[], { index, end, indent }: Found): unknown {
  const { isAlternative } = lines[index]!
  const block = lines
    .slice(index, end)
    .filter((line) => line.isAlternative === isAlternative)
    .map(({ text }, at) => (at === 0 ? text.replace(/^( *)- /, '$1  ') : text).slice(indent))
  return Object.values(parse(block.join('\n')) as Record<string, unknown>)[0]
}

const isSection = ({ properties, absent }: KeySchema): boolean =>
  properties !== undefined && absent === undefined

function commentOf(schema: KeySchema, value: unknown): string {
  const { description, choices, range, normally } = describeKey(schema)
  if (isSection(schema)) return description
  const isDefault = 'default' in schema && isDeepStrictEqual(schema.default, value)
  return sentences(description, choices, range, isDefault ? '' : normally)
}

/** A comment as lines: the first may have another start than the others. */
function wrap(comment: string, first: string, next: string, offset: number): string[] {
  const lines: string[] = []
  let line = first
  for (const word of comment.split(' ')) {
    if (line.length + 1 + word.length + offset > maxWidth) {
      lines.push(line)
      line = next
    }
    line += ` ${word}`
  }
  return [...lines, line]
}

/** The lines of a key with its comment above. */
function withComment(line: Line, comment: string, indent: number): readonly Line[] {
  const isItem = /^ *- /.test(line.text)
  const next = `${' '.repeat(indent)}#`
  const first = isItem ? `${' '.repeat(indent - 2)}- #` : next
  const texts = wrap(comment, first, next, line.isAlternative ? '#| '.length : 0)
  const key = isItem ? `${' '.repeat(indent)}${line.text.slice(indent)}` : line.text
  return [...texts, key].map((text) => ({ ...line, text }))
}

/** Keys of the schema, with the shape that each belongs to. */
function listShapes(schema: KeySchema, path = ''): readonly (readonly [string, KeySchema])[] {
  const { properties, items, additionalProperties: item } = schema
  return [
    ...(properties === undefined ? [] : [[path, schema] as const]),
    ...Object.entries(properties ?? {}).flatMap(([key, property]) =>
      listShapes(property, path === '' ? key : `${path}.${key}`),
    ),
    ...(items === undefined ? [] : listShapes(items, `${path}[]`)),
    ...(typeof item === 'object' ? listShapes(item, `${path}.<${schema.keyName}>`) : []),
  ]
}

/** Puts in one key that is missing, below its neighbour in the schema; undefined when none is missing. */
function addMissing(lines: readonly Line[], root: KeySchema): readonly Line[] | undefined {
  const found = new Map(
    findKeys(lines, root)
      .toReversed()
      .map((one) => [one.path, one]),
  )
  for (const [shape, { properties = {} }] of listShapes(root)) {
    let neighbour: Found | undefined
    for (const [key, schema] of Object.entries(properties)) {
      const path = shape === '' ? key : `${shape}.${key}`
      const here = found.get(path)
      if (here === undefined && neighbour !== undefined) {
        return insert(lines, neighbour, key, path, schema)
      }
      neighbour = here
    }
  }
  return undefined
}

/** A value on one line. */
function toYaml(value: unknown): string {
  const plain = String(value)
  return parse(plain) === value ? plain : JSON.stringify(value)
}

function insert(
  lines: readonly Line[],
  { index, end, indent }: Found,
  key: string,
  path: string,
  schema: KeySchema,
): readonly Line[] {
  const { isAlternative } = lines[index]!
  const value =
    'default' in schema ? schema.default : isAlternative ? schema.examples?.[0] : undefined
  if (value === undefined) {
    throw new Error(`gateway.yaml lacks ${path}: put it there with an example value`)
  }
  const text = `${' '.repeat(indent)}${key}: ${toYaml(value)}`
  return [...lines.slice(0, end), { isAlternative, text }, ...lines.slice(end)]
}

/**
 * gateway.yaml with its comments renewed and its missing keys put in.
 * @throws Error when a key is missing that has no default
 */
export function renewGatewayYaml(text: string, root: KeySchema): string {
  let lines = withoutComments(text.split('\n').map(toLine))
  for (let more = addMissing(lines, root); more !== undefined; more = addMissing(lines, root)) {
    lines = more
  }
  const told = new Set<string>()
  const comments = new Map<number, readonly Line[]>()
  for (const found of findKeys(lines, root)) {
    if (told.has(found.path)) continue
    told.add(found.path)
    const comment = commentOf(found.schema, valueOf(lines, found))
    comments.set(found.index, withComment(lines[found.index]!, comment, found.indent))
  }
  const written: string[] = []
  let blockIndent = 0
  for (const [index, line] of lines.entries()) {
    const isFirst = line.isAlternative && lines[index - 1]?.isAlternative !== true
    if (isFirst) blockIndent = indentOf(line.text)
    for (const one of comments.get(index) ?? [line]) written.push(write(one, blockIndent))
  }
  return written.join('\n')
}
