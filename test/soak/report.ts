/** What a soak found, as tables in Markdown, and as text about each failure. */
import { maxRatio, maxSlope } from './memory.js'
import type { MemoryLife } from './memory.js'
import { quantile } from './picture.js'
import { groupBy, kinds } from './records.js'
import type { Disturbance, Failure, Records, What } from './records.js'

type Causes = ReadonlyMap<Failure, Disturbance | undefined>

const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
const ms = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value)
    ? '–'
    : value < 10
      ? value.toFixed(1)
      : value.toFixed(0)

/** Requests of each kind: how many, how many failed, how long they took. */
function requestTable({ samples, failures }: Records, causes: Causes): string {
  const byKind = groupBy(samples, ({ kind }) => kind)
  const line = (name: string, times: readonly number[], failed: readonly Failure[]) => {
    const sorted = times.toSorted((one, other) => one - other)
    const without = failed.filter((failure) => causes.get(failure) === undefined)
    return row([
      name,
      times.length + failed.length,
      failed.length - without.length,
      without.length,
      ms(quantile(sorted, 0.5)),
      ms(quantile(sorted, 0.99)),
      ms(sorted.at(-1)),
    ])
  }
  const rows = kinds.flatMap((kind) => {
    const times = (byKind.get(kind) ?? []).map((sample) => sample.ms)
    const failed = failures.filter((failure) => failure.kind === kind)
    return times.length + failed.length === 0 ? [] : [line(kind, times, failed)]
  })
  const all = line(
    'all',
    samples.map((sample) => sample.ms),
    failures,
  )
  return [
    row(['request', 'sent', 'failed, caused', 'failed, not caused', 'p50 ms', 'p99 ms', 'max ms']),
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
    all,
  ].join('\n')
}

const words: Readonly<Record<What, string>> = {
  reload: 'the configuration was changed and taken, by SIGHUP',
  'refused reload': 'a broken configuration was refused, and mended',
  redis: 'Redis was stopped for three seconds and started',
  kill: 'a replica was killed (SIGKILL) and started ten seconds later',
}

/** What was done, how often, and how many requests failed because of it. */
function disturbanceTable({ disturbances }: Records, causes: Causes): string {
  const done = (Object.keys(words) as What[]).map((what) => {
    const these = disturbances.filter((one) => one.what === what)
    const failed = [...causes.values()].filter((cause) => cause?.what === what)
    return row([words[what], these.length, failed.length])
  })
  return [
    row(['what was done', 'times', 'failed because of it']),
    '| --- | ---: | ---: |',
    ...done,
  ].join('\n')
}

const minutes = (seconds: number): string => (seconds / 60).toFixed(1)

const judgedKinds = ['held', 'resident'] as const

function memoryTable(lives: readonly MemoryLife[]): string {
  const rows = lives.flatMap(({ replica, from, to, max, judged }) => {
    const span = [replica + 1, `${minutes(from)}–${minutes(to)}`, max.toFixed(0)]
    if (judged === undefined) return [row([...span, '–', '–', '–', '–', 'lived too briefly'])]
    return judgedKinds.map((kind) => {
      const { first, last, slope, error, isFlat } = judged[kind]
      return row([
        ...span,
        kind,
        first.toFixed(1),
        last.toFixed(1),
        kind === 'held' ? `${slope.toFixed(1)} ± ${error.toFixed(1)}` : '–',
        isFlat ? 'flat' : 'not flat',
      ])
    })
  })
  return [
    row([
      ...['replica', 'minutes', 'most resident, MiB', 'of it'],
      ...['MiB, first third', 'MiB, last third', 'MiB an hour', ''],
    ]),
    '| ---: | --- | ---: | --- | ---: | ---: | ---: | --- |',
    ...rows,
    '',
    'Held: what is still referenced after a collection, buffers included; each gateway collects once a minute. Resident: all of the process, ' +
      'every five seconds. The thirds are those of a life after its first ten minutes, and the figure is what the memory stays below in nine of ' +
      `ten samples. Flat: the last third has at most ${maxRatio} times what the first has; and what is held rises by less than ${maxSlope} MiB an hour ` +
      'by least squares, less two standard errors (±).',
  ].join('\n')
}

/** All tables. */
export function describeSoak(
  records: Records,
  seconds: number,
  causes: Causes,
  lives: readonly MemoryLife[],
  cores: readonly number[],
): string {
  const rate = (records.samples.length + records.failures.length) / seconds
  const shares = cores.map((share) => `${(share * 100).toFixed(1)} %`).join(' and ')
  return [
    `${minutes(seconds)} minutes, ${rate.toFixed(1)} requests a second on average. The gateways took ${shares} of a core.`,
    requestTable(records, causes),
    disturbanceTable(records, causes),
    memoryTable(lives),
  ].join('\n\n')
}

/** One failure, with the gateway's line. */
export function describeFailure(failure: Failure, cause: Disturbance | undefined): string {
  const { from, to, client, replica, request, requestId, words: what, line } = failure
  const because =
    cause === undefined
      ? 'WITHOUT A CAUSE'
      : `because of: ${cause.what} at ${cause.from.toFixed(1)} s`
  return [
    `${from.toFixed(1)}–${to.toFixed(1)} s, ${client}: ${request}: ${what}; ${because}`,
    `  replica ${replica + 1}, request id ${requestId || 'none'}`,
    `  ${line || 'no line in the log'}`,
  ].join('\n')
}
