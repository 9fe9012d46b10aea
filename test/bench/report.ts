/** The table of the bench, as Markdown. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bareName } from './contenders.js'

/** One round of one contender. */
export interface Round {
  readonly requestsPerSecond: number
  /** Microseconds of CPU time of its processes. */
  readonly cpu: number
}

/** What is known of a contender in a case, round by round; a round has the same place in each. */
export interface Result {
  readonly name: string
  readonly rounds: readonly Round[]
  /** MiB. */
  readonly memory: number
}

/** Milliseconds at a steady rate. */
export interface Paced {
  readonly name: string
  readonly p50: readonly number[]
  readonly p99: readonly number[]
}

/** The middle one, or the higher of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The least and the most. */
export function spread(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}`
}

/** Ratios to the bare proxy, taken within each round. */
export function caseTable(name: string, results: readonly Result[]): string {
  const base = results.find((one) => one.name === bareName)?.rounds
  const rows = results.map(({ name, rounds, memory }) => {
    const speeds = rounds.map((one, i) => one.requestsPerSecond / base![i]!.requestsPerSecond)
    const costs = rounds.map((one, i) => one.cpu / base![i]!.cpu)
    const isProxy = rounds[0]!.cpu > 0
    const cost = isProxy ? `${median(costs).toFixed(2)} | ${spread(costs)}` : '|'
    const absolute = isProxy ? median(rounds.map((one) => one.cpu)).toFixed(0) : ''
    const size = isProxy ? memory.toFixed(0) : ''
    return `| ${name} | ${median(speeds).toFixed(2)} | ${spread(speeds)} | ${cost} | ${absolute} | ${size} |`
  })
  return `### ${name[0]!.toUpperCase()}${name.slice(1)}

| | requests a second | from–to | CPU a request | from–to | CPU µs | peak MiB |
|---|--:|--:|--:|--:|--:|--:|
${rows.join('\n')}
`
}

/** What each adds to the time of an answer. */
export function pacedTable(rate: number, direct: Paced, proxies: readonly Paced[]): string {
  const rows = proxies.map(({ name, p50, p99 }) => {
    const added = (own: readonly number[], base: readonly number[]) =>
      median(own.map((value, i) => value - base[i]!)).toFixed(2)
    return `| ${name} | ${added(p50, direct.p50)} | ${added(p99, direct.p99)} | ${median(p99).toFixed(2)} |`
  })
  return `### One token, known, at ${rate.toLocaleString('en')} requests a second

Milliseconds more than without a proxy; a request that is due while all connections are busy waits, and that counts.

| | p50 added | p99 added | p99 |
|---|--:|--:|--:|
${rows.join('\n')}
`
}

/** One contender beside a flood: milliseconds at the 99th percentile, round by round. */
export function floodRow(
  name: string,
  quiet: readonly number[],
  flooded: readonly number[],
): string {
  const ratio = median(flooded.map((value, i) => value / quiet[i]!)).toFixed(2)
  return `| ${name} | ${median(quiet).toFixed(2)} | ${median(flooded).toFixed(2)} | ${ratio} |`
}

/** What a flood of forged tokens does to somebody else. */
export function floodTable(rate: number, flood: number, rows: readonly string[]): string {
  return `### A flood of bad tokens

Somebody sends ${rate} requests a second with a good token, while another address sends ${flood.toLocaleString('en')} a second, each with another forged token.

| | p99, quiet | p99, beside the flood | times |
|---|--:|--:|--:|
${rows.join('\n')}
`
}

/** Writes a section of the readme anew: what stands between two comments with its name, or at the end of the file. */
export async function writeSection(name: string, section: string): Promise<void> {
  const file = join(process.cwd(), 'test/bench/README.md')
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- ${name} end -->\n`]
  const [before = '', rest = ''] = (await readFile(file, 'utf8')).split(begin)
  const [, after = ''] = rest.split(end)
  await writeFile(file, `${before.trimEnd()}\n\n${begin}\n${section.trim()}\n\n${end}${after}`)
}
