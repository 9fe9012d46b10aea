/** Standard output and standard error as commands use them: colours on a terminal only (https://no-color.org). */
import { styleText } from 'node:util'
import type { Call, Output, Tone } from './command.js'

/** A stream that may be a terminal. */
interface Stream {
  readonly isTTY?: boolean
  write(text: string): unknown
}

const styles = {
  good: 'green',
  bad: 'red',
  warn: 'yellow',
  strong: 'bold',
  dim: 'dim',
} as const satisfies Readonly<Record<Tone, string>>

/** Builds it for a process. */
export function createOutput(stdout: Stream, stderr: Stream, env: NodeJS.ProcessEnv): Output {
  const isPlain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  const colours = stdout.isTTY === true && !isPlain
  return {
    print: (text) => void stdout.write(text),
    note: (text) => void stderr.write(text),
    paint: (tone, text) => (colours ? styleText(styles[tone], text) : text),
    progress: stderr.isTTY === true ? (text) => void stderr.write(text) : undefined,
  }
}

/** Says why a command could not do its work. @returns the exit code */
export function failed({ out, flag }: Pick<Call, 'out' | 'flag'>, text: string): 1 {
  if (flag('json')) out.print(`${JSON.stringify({ error: text })}\n`)
  else out.note(`${text}\n`)
  return 1
}

/** Rows as lines of columns; the last column is as wide as it needs. */
export function toColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** Rows as a table in Markdown; `|` in a cell is escaped. */
export function toMarkdown(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const toLine = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [head, head.map(() => '---'), ...rows].map(toLine)
}
