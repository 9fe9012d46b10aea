/**
 * The forms that a line of the log can have. Whatever came from outside, a line is one record: nothing in it ends the line,
 * steers a terminal or turns text round.
 */
import { isIP } from 'node:net'
import { traceparentForm } from '../request/request-id.js'
import { ecsNameOf, fieldOfEcs, shownBare } from './log-fields.js'

/** `json`: our own names; `ecs`: those of Elastic Common Schema; `plain`: for a person. */
export type LogFormat = 'json' | 'ecs' | 'plain'

/** One line before it has a form; the values are those that are logged, an error's description in the place of the error. */
export interface LogRecord {
  readonly level: string
  /** ISO 8601. */
  readonly time: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Makes a line of a record, with its line feed. */
export type RenderLine = (record: LogRecord) => string

/**
 * What JSON leaves as it is, and some reader takes for more than text: DEL and C1 (a terminal obeys U+009B as it obeys ESC),
 * line and paragraph separators, and characters that hide or turn text round. Ranges of a regular expression.
 */
export const unsafeCharacters =
  '\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb'
const unsafeInJson = new RegExp(`[${unsafeCharacters}]`, 'g')

const escaped = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** JSON with these characters written as JSON can write any character (RFC 8259 §7). */
export function neutral(json: string): string {
  return json.search(unsafeInJson) < 0 ? json : json.replace(unsafeInJson, escaped)
}

/** The release of the schema whose names these are (https://www.elastic.co/docs/reference/ecs). */
const ecsVersion = '8.11.0'

/** An error in the schema's fields: its own causes have no place there. */
function ecsError(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return { 'error.message': value }
  const { type, message, stack, ...more } = value as Readonly<Record<string, unknown>>
  return {
    'error.type': type,
    'error.message': message,
    'error.stack_trace': stack,
    ...(Object.keys(more).length === 0 ? {} : { 'trac_gateway.cause': more }),
  }
}

/** Fields whose value has another form in the schema, too. */
const ecsValues: Readonly<Record<string, (value: unknown) => Readonly<Record<string, unknown>>>> = {
  ms: (value) => ({
    [ecsNameOf('ms')]: typeof value === 'number' ? Math.round(value * 1e6) : value,
  }),
  traceparent(value) {
    const [, trace, span] = (typeof value === 'string' && traceparentForm.exec(value)) || []
    return { [ecsNameOf('traceparent')]: trace, 'span.id': span }
  },
  // An index takes nothing but addresses there.
  client: (value) => ({
    [typeof value === 'string' && isIP(value) > 0 ? ecsNameOf('client') : 'client.address']: value,
  }),
  cause: ecsError,
  err: ecsError,
}

const renderEcs: RenderLine = ({ level, time, message, fields }) => {
  const line: Record<string, unknown> = {
    '@timestamp': time,
    'log.level': level,
    message,
    'ecs.version': ecsVersion,
    'service.name': 'trac-gateway',
  }
  for (const [name, value] of Object.entries(fields)) {
    const convert = Object.hasOwn(ecsValues, name) ? ecsValues[name] : undefined
    Object.assign(line, convert?.(value) ?? { [ecsNameOf(name)]: value })
  }
  return `${neutral(JSON.stringify(line))}\n`
}

/** A line of {@link renderEcs} under our own names, as far as names alone differ; undefined for any other. */
export function readEcs(
  line: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> | undefined {
  if (!Object.hasOwn(line, 'ecs.version')) return undefined
  return Object.fromEntries(Object.entries(line).map(([name, value]) => [fieldOfEcs(name), value]))
}

/** What stands in a plain line as it is: visible, and nothing that has a meaning there. */
const bare = /^[^\s"=\\\p{C}]+$/u

function plainValue(value: unknown): string {
  if (typeof value === 'string') return bare.test(value) ? value : neutral(JSON.stringify(value))
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && bare.test(one))) {
    return `[${value.join(' ')}]`
  }
  return neutral(JSON.stringify(value) ?? '')
}

/** An error and its causes without their stacks. */
function plainError(value: unknown): string {
  const told: string[] = []
  let one = value
  while (typeof one === 'object' && one !== null) {
    const { type, message, code, cause } = one as Readonly<Record<string, unknown>>
    told.push(`${[type, code].filter(Boolean).join(' ')}: ${String(message)}`)
    one = cause
  }
  if (typeof one === 'string') told.push(one)
  return neutral(JSON.stringify(told.join('; by ')))
}

/** What of a message could be taken for a field. */
const plainMessage = /^[^"=\\\p{C}\p{Zl}\p{Zp}]+$/u

const renderPlain: RenderLine = ({ level, time, message, fields }) => {
  const said = plainMessage.test(message) ? message : plainValue(message)
  const head: string[] = [time, level.toUpperCase().padEnd(5), said]
  const rest: string[] = []
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const unit = shownBare[name]
    if (unit !== undefined) head.push(plainValue(value) + unit)
    else {
      const text = name === 'cause' || name === 'err' ? plainError(value) : plainValue(value)
      rest.push(`${name}=${text}`)
    }
  }
  return `${[...head, ...rest].join(' ')}\n`
}

/** Whether a line is a plain one with this message. */
export function isPlainLine(text: string, message: string): boolean {
  return /\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+ +(\S+)/.exec(text)?.[1] === message
}

/** The forms besides our own, which has writers of its own. */
export const renderers: Readonly<Record<Exclude<LogFormat, 'json'>, RenderLine>> = {
  ecs: renderEcs,
  plain: renderPlain,
}
