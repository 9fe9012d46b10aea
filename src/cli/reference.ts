/** What the code says of itself: the tables of `deploy/docs/reference/`, and the files that hold them. */
import { listKeys } from '../config/docs.js'
import { renewGatewayYaml } from '../config/gateway-yaml.js'
import { jsonSchema } from '../config/json-schema.js'
import { configKeys } from '../config/schema.js'
import { errorHints } from '../core/error-hints.js'
import { errors } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import {
  decisionFields,
  grantsFields,
  requestFields,
  signInFields,
  tokenFields,
  ecsNameOf,
} from '../observe/log-fields.js'
import { commandsWith } from './commands.js'
import { labelValues } from './label-values.js'
import { eventFields, logEvents } from './log-events.js'
import { readLockFile } from './locked-packages.js'
import { metricTable } from '../observe/metrics.js'
import type { MetricRow } from '../observe/metrics.js'

const toLine = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

function toTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map(toLine)
  return ['<!-- prettier-ignore-start -->', ...lines, '<!-- prettier-ignore-end -->'].join('\n')
}

const code = (text: string): string => `\`${text}\``

function optionsTable(): string {
  const rows = listKeys().map((row) => [
    code(row.path),
    row.type,
    row.required ? '**required**' : row.default,
    row.description,
  ])
  return toTable(['key', 'value', 'default', 'meaning'], rows)
}

function errorsTable(): string {
  const rows = Object.entries(errors).map(([name, { status, error, text }]) => [
    code(name),
    String(status),
    code(error),
    text,
    errorHints[name as ErrorCode],
  ])
  return toTable(['code', 'status', 'error', 'meaning', 'what to do'], rows)
}

function metricsTable(): string {
  const rows = Object.values<MetricRow>(metricTable).map(({ name, type, labels, help }) => [
    code(name),
    type,
    labels.map(code).join(', '),
    help,
  ])
  return toTable(['metric', 'type', 'labels', 'meaning'], rows)
}

function labelsTable(): string {
  const rows = labelValues().map(([label, values]) => [code(label), values])
  return toTable(['label', 'values'], rows)
}

function fieldsTable(fields: Readonly<Record<string, string>>): string {
  const rows = Object.entries(fields).map(([name, meaning]) => [
    code(name),
    code(ecsNameOf(name)),
    meaning,
  ])
  return toTable(['field', 'in `ecs`', 'meaning'], rows)
}

function eventsTable(): string {
  const rows = logEvents.map(({ level, msg, fields, when }) => [
    level,
    msg,
    fields.map(code).join(', '),
    when,
  ])
  return toTable(['level', '`msg`', 'fields', 'when'], rows)
}

function licencesTable(lock: string): string {
  const rows = [...readLockFile(lock).shipped.values()].map(({ name, version, license = '' }) => [
    code(name),
    version,
    license,
  ])
  return toTable(['package', 'version', 'licence'], rows)
}

/** Commands are listed for their words alone: none runs here. */
const notRun = () => Promise.resolve(0)
const commands = commandsWith({ start: notRun, demo: notRun })

function commandsTable(): string {
  const rows = commands.map(({ name, operands, summary, commands: more, isDefault }) => {
    const names = more?.map((one) => code(one.name)).join(', ')
    const usage = `trac-gateway ${[name, operands ?? (more && '…')].filter(Boolean).join(' ')}`
    return [
      isDefault === true ? `${code(usage)} (or no command)` : code(usage),
      names === undefined ? summary : `${summary}: ${names}`,
    ]
  })
  return toTable(['command', 'what it does'], rows)
}

function commandOptionsTable(): string {
  const every = commands.flatMap((one) => [
    one,
    ...(one.commands ?? []).map((sub) => ({ ...sub, name: `${one.name} ${sub.name}` })),
  ])
  const rows = every.flatMap(({ name, options = [], example }) => [
    ...options.map((option) => [
      code(name),
      code(option.flags),
      option.description +
        (option.values === undefined ? '' : `: ${option.values.map(code).join(', ')}`) +
        (option.default === undefined ? '' : ` (default: ${code(option.default)})`),
    ]),
    [code(name), 'example', example.split('\n').map(code).join('<br>')],
  ])
  return toTable(['command', 'option', 'meaning'], rows)
}

/** A page with a generated part; the rest of the page is written by hand. */
interface GeneratedPart {
  readonly file: string
  /** Stands in the two comments around the part. */
  readonly marker: string
  readonly content: (read: (file: string) => string) => string
}

/** Where each table goes. */
const parts: readonly GeneratedPart[] = [
  { file: 'deploy/docs/reference/options.md', marker: 'options', content: optionsTable },
  { file: 'deploy/docs/reference/commands.md', marker: 'commands', content: commandsTable },
  { file: 'deploy/docs/reference/commands.md', marker: 'options', content: commandOptionsTable },
  { file: 'deploy/docs/reference/errors.md', marker: 'errors', content: errorsTable },
  { file: 'deploy/docs/reference/metrics.md', marker: 'metrics', content: metricsTable },
  { file: 'deploy/docs/reference/metrics.md', marker: 'labels', content: labelsTable },
  {
    file: 'deploy/docs/reference/licences.md',
    marker: 'licences',
    content: (read) => licencesTable(read('package-lock.json')),
  },
  {
    file: 'deploy/docs/reference/log.md',
    marker: 'request',
    content: () => fieldsTable(requestFields),
  },
  {
    file: 'deploy/docs/reference/log.md',
    marker: 'sign-in',
    content: () => fieldsTable(signInFields),
  },
  {
    file: 'deploy/docs/reference/log.md',
    marker: 'personal-tokens',
    content: () => fieldsTable(tokenFields),
  },
  {
    file: 'deploy/docs/reference/log.md',
    marker: 'decision',
    content: () => fieldsTable(decisionFields),
  },
  {
    file: 'deploy/docs/reference/log.md',
    marker: 'grants',
    content: () => fieldsTable(grantsFields),
  },
  { file: 'deploy/docs/reference/log.md', marker: 'events', content: eventsTable },
  {
    file: 'deploy/docs/reference/log.md',
    marker: 'event-fields',
    content: () => fieldsTable(eventFields),
  },
]

/** The configuration that we ship: its comments are generated. */
const exampleFile = 'gateway.yaml'

/** The JSON Schema for editors. */
const schemaFile = 'deploy/gateway.schema.json'

/**
 * A text with what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` renewed.
 * @throws Error when the markers are not there exactly once, in this order
 */
export function replaceBetween(text: string, name: string, content: string): string {
  const [before, rest, ...more] = text.split(`<!-- ${name}:begin -->`)
  const [, after, ...ends] = (rest ?? '').split(`<!-- ${name}:end -->`)
  if (before === undefined || after === undefined || more.length > 0 || ends.length > 0) {
    throw new Error(`the markers ${name}:begin and ${name}:end are not there once each`)
  }
  return `${before}<!-- ${name}:begin -->\n\n${content}\n\n<!-- ${name}:end -->${after}`
}

/**
 * Every generated file with its text, by path from the top of the checkout.
 * @param read gives the text that a file has now
 */
export function renewReference(read: (file: string) => string): ReadonlyMap<string, string> {
  const renewed = new Map<string, string>()
  for (const { file, marker, content } of parts) {
    renewed.set(file, replaceBetween(renewed.get(file) ?? read(file), marker, content(read)))
  }
  renewed.set(exampleFile, renewGatewayYaml(read(exampleFile), configKeys))
  return renewed.set(schemaFile, `${JSON.stringify(jsonSchema(), undefined, 2)}\n`)
}
