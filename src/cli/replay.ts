/** `trac-gateway replay`: yesterday's decisions under another policy. */
import { Replay } from '../app/ask/replay.js'
import type { Replayed } from '../app/ask/replay.js'
import { durationKind } from '../config/kinds/duration.js'
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import { WrongUse } from './command.js'
import type { Call, Output } from './command.js'
import { eachLine, sizeOf } from './lines.js'
import { failed, toColumns } from './output.js'
import { createProgress } from './progress.js'

/** An instant as lines of the log have it; `--since` takes a date, or a span before now. */
function readSince(text: string | undefined, now: () => number = Date.now): string {
  if (text === undefined) return ''
  const span = durationKind.parse(text)
  const at = span === undefined ? Date.parse(text) : now() - span
  if (Number.isNaN(at)) {
    throw new WrongUse(
      `found --since ${text}; wanted a date such as 2026-11-26T08:00Z, or a span such as 24h`,
    )
  }
  return new Date(at).toISOString()
}

const percent = (part: number, whole: number): string =>
  whole === 0 ? '0' : ((100 * part) / whole).toFixed(1)

const megabytes = (bytes: number): string => `${Math.round(bytes / 1_000_000)} MB`

/** Rows of changes that people are shown; `--json` has all. */
const maxShown = 50

const plainHint = (count: number): string =>
  `${count} more decisions were not read: found lines of log.format plain, wanted json or ecs; set log.format: json and replay what is logged from then on`

function toText(replayed: Replayed, paint: Output['paint']): string {
  const { lines, decisions, plain, same, changed, unknown, changes, untold } = replayed
  const missing = Object.entries(unknown)
  const unknowns = missing.reduce((sum, [, count]) => sum + count, 0)
  const rows = changes
    .slice(0, maxShown)
    .map((change) => [
      String(change.count),
      change.route === change.newRoute ? change.route : `${change.route} → ${change.newRoute}`,
      change.user === '' ? '(anonymous)' : change.user,
      `${change.was} → ${change.now}`,
      change.example,
    ])
  const table =
    rows.length === 0 ? [] : toColumns([['count', 'route', 'user', 'outcome', 'such as'], ...rows])
  const [head = '', ...body] = table
  const rest = changes.length - rows.length
  return `${[
    ...(table.length === 0 ? [] : [paint('strong', head), ...body, '']),
    ...(rest > 0 ? [`${rest} more kinds of change: --json shows all`] : []),
    ...(untold > 0 ? [`${untold} changes of further kinds were only counted`] : []),
    `${lines} lines, ${decisions} decisions`,
    ...(plain > 0 ? [paint('warn', plainHint(plain))] : []),
    `${same} stay as they were (${percent(same, decisions)} %)`,
    paint(changed === 0 ? 'good' : 'warn', `${changed} change (${percent(changed, decisions)} %)`),
    `${unknowns} are not known (${percent(unknowns, decisions)} %)${missing.length === 0 ? '' : '; their lines lack:'}`,
    ...missing.map(([what, count]) => `  ${what}: ${count}`),
  ].join('\n')}\n`
}

/**
 * Judges audit logs by the configuration.
 * @returns the exit code: 1 if an outcome changes, or if a file or some of its lines can't be used
 */
export async function replay(call: Call): Promise<number> {
  const { out, env } = call
  const files = call.operands.length === 0 ? ['-'] : call.operands
  const since = readSince(call.text('since'))
  let reading = ''
  try {
    const { config } = loadConfig(call.text('config') ?? '', { env })
    const judge = new Replay(config)
    const progress = createProgress(out, sizeOf(files), megabytes)
    try {
      for (const file of files) {
        reading = file
        await eachLine(file, (line) => judge.take(line, since), progress.add)
      }
    } finally {
      progress.end()
    }
    const replayed = judge.result()
    out.print(
      call.flag('json')
        ? `${JSON.stringify(replayed, undefined, 2)}\n`
        : toText(replayed, out.paint),
    )
    return replayed.changed === 0 && replayed.plain === 0 ? 0 : 1
  } catch (error) {
    if (error instanceof ConfigProblems) return failed(call, error.message)
    const { code, path = reading } = error as NodeJS.ErrnoException
    if (code === undefined || !/^[EZ]/.test(code)) throw error
    return failed(
      call,
      `${path}: found no log that can be read (${code}); wanted lines of JSON, or such a file gzipped`,
    )
  }
}
