/**
 * Writes the lines that every request leaves, put together by hand: a third of the time that pino takes for them. The bytes
 * are those that pino's lines have (a test compares them), and what is no plain value goes to pino.
 */
import type { Logger } from 'pino'
import type { LogLine } from './log-fields.js'
import { neutral, renderers, unsafeCharacters } from './log-format.js'
import type { LogFormat } from './log-format.js'
import { isSerialized, partsOf, serialize } from './logger.js'
import type { LoggerParts } from './logger.js'
import { isText, isTexts } from '../core/json-values.js'

/** Levels that such a line can have. */
export type LineLevel = 'info' | 'warn' | 'error'

/** Writes one line, its fields in the order of the table. */
export type WriteLine<Fields> = (level: LineLevel, line: LogLine<Fields>) => void

/** pino's own limit: longer texts are written by `JSON.stringify`, which escapes lone surrogates, too. */
const maxShort = 100
const special = /["\\]/g
/** What is not written as it is: what JSON escapes, and what {@link neutral} does. */
const unsafe = new RegExp(`["\\\\\\u0000-\\u001f${unsafeCharacters}]`)
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const control = /[\u0000-\u001f]/

/** A text in JSON, byte for byte as a line of pino has it (RFC 8259 §7). */
function quote(text: string): string {
  if (text.length > maxShort) return neutral(JSON.stringify(text))
  if (!unsafe.test(text)) return `"${text}"`
  return neutral(control.test(text) ? JSON.stringify(text) : `"${text.replace(special, '\\$&')}"`)
}

/** Whether it is a list of texts, or a plain object with nothing else, which JSON writes as pino does. */
function isOfTexts(value: unknown): boolean {
  if (Array.isArray(value)) return isTexts(value)
  if (typeof value !== 'object' || value === null) return false
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isText)
}

/** What thousandths are behind a number: nothing, `.001` to `.999`, without zeros at the end. */
const fractions = Array.from({ length: 1000 }, (_, i) => String(i / 1000).slice(1))
/** Below it a number of thousandths is told exactly by its digits, since so many never stand for two numbers. */
const maxWhole = 1e6

/** A number in JSON. Milliseconds with three places are put together of known texts: V8 takes a tenth of a line for each. */
function numeral(value: number): string {
  const thousandths = Math.round(value * 1000)
  if (value >= 0 && value < maxWhole && thousandths / 1000 === value) {
    return Math.floor(thousandths / 1000) + fractions[thousandths % 1000]!
  }
  return Number.isFinite(value) ? String(value) : 'null'
}

/** A value in JSON; undefined for what is left to pino. */
function plain(value: unknown): string | undefined {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'number') return numeral(value)
  return isOfTexts(value) ? neutral(JSON.stringify(value)) : undefined
}

/** Writes lines of another form than our own. */
function createRenderedWriter<Fields extends Readonly<Record<string, string>>>(
  logger: Logger,
  { out, clock }: LoggerParts,
  fields: Fields,
  message: string,
  format: Exclude<LogFormat, 'json'>,
): WriteLine<Fields> {
  const render = renderers[format]
  const names = Object.keys(fields)
  return (level, line) => {
    if (!logger.isLevelEnabled(level)) return
    const values = names.map((name) => [name, serialize(name, line[name])])
    const all = Object.fromEntries([['worker', clock.worker], ...values]) as LogLine<Fields>
    out.write(render({ level, time: clock.iso(), message, fields: all }))
  }
}

/** Builds the writer of one kind of line; `fields` has their names and order, `message` is what the line is called. */
export function createLineWriter<Fields extends Readonly<Record<string, string>>>(
  logger: Logger,
  fields: Fields,
  message: string,
  format: LogFormat = 'json',
): WriteLine<Fields> {
  const byPino: WriteLine<Fields> = (level, line) => logger[level](line as object, message)
  const parts = partsOf(logger)
  if (parts === undefined) return byPino
  if (format !== 'json') return createRenderedWriter(logger, parts, fields, message, format)
  const { out, clock } = parts
  // What a field had in the last line is often what it has in this one: user, route, groups. No list is changed once it is logged.
  const keys = Object.keys(fields).map((name) => {
    const last: { value: unknown; text: string } = { value: undefined, text: '' }
    return { name, text: `,"${name}":`, isPlain: !isSerialized(name), last }
  })
  const end = `,"msg":${quote(message)}}\n`
  return (level, line) => {
    if (!logger.isLevelEnabled(level)) return
    let text = `{"level":"${level}"${clock.member()}`
    for (const key of keys) {
      const value = line[key.name]
      if (value === undefined) continue
      const { last } = key
      if (value !== last.value) {
        const written = key.isPlain ? plain(value) : undefined
        if (written === undefined) {
          byPino(level, line)
          return
        }
        last.value = value
        last.text = key.text + written
      }
      text += last.text
    }
    out.write(text + end)
  }
}
