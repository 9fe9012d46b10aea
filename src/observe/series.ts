/**
 * Histograms and counters of what happens on every request: arrays, found by their labels without making a text of them.
 * prom-client's registry writes them out as it writes its own (a test compares the two).
 */

/** What prom-client's registry asks a metric for. */
export interface Exported {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'histogram'
  readonly values: readonly ExportedValue[]
  readonly aggregator: 'sum'
}

/** One value, as it is exported. */
export interface ExportedValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** Labels that a histogram's values have in common; they come after their own. */
  readonly sharedLabels?: Labels
  readonly metricName?: string
}

type Labels = Readonly<Record<string, string>>

/** Adds to one series. */
export type Add = (value: number) => void

/** Finds what adds to the series with these values of labels, in the order of the labels' names; there are three at most. */
export type AddTo = (first: string, second?: string, third?: string) => Add

/** A metric as the table has it. */
interface Named {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
}

/** Finds by up to three texts, and makes what is not there. */
function createIndex(make: (values: readonly string[]) => Add): AddTo {
  const index = new Map<string, Map<string, Map<string, Add>>>()
  return (first, second = '', third = '') => {
    const found = index.get(first)?.get(second)?.get(third)
    if (found !== undefined) return found
    const made = make([first, second, third])
    const bySecond = index.get(first) ?? new Map<string, Map<string, Add>>()
    const byThird = bySecond.get(second) ?? new Map<string, Add>()
    index.set(first, bySecond.set(second, byThird.set(third, made)))
    return made
  }
}

function labelsOf(names: readonly string[], values: readonly string[]): Labels {
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]))
}

/** A counter with labels; it exports its series in the order in which they were first counted. */
export function createCounterSeries({ name, help, labels }: Named) {
  const series: { value: number; readonly labels: Labels }[] = []
  const add = createIndex((values) => {
    const one = { value: 0, labels: labelsOf(labels, values) }
    series.push(one)
    return (value) => {
      one.value += value
    }
  })
  const get = (): Promise<Exported> =>
    Promise.resolve({
      name,
      help,
      type: 'counter',
      values: series.map((one) => ({ ...one })),
      aggregator: 'sum',
    })
  return { add, metric: { name, get } }
}

/** A histogram with labels over the same upper bounds, which ascend. */
export function createHistogramSeries({ name, help, labels }: Named, bounds: readonly number[]) {
  const series: ReturnType<typeof createSeries>[] = []
  const createSeries = (values: readonly string[]) => ({
    labels: labelsOf(labels, values),
    /** By bucket, not yet summed up; what is above the last bound is in `count` alone. */
    buckets: new Float64Array(bounds.length + 1),
    sum: 0,
    count: 0,
  })
  const bucketOf = (value: number): number => {
    let i = 0
    while (i < bounds.length && value > bounds[i]!) i++
    return i
  }
  const add = createIndex((values) => {
    const one = createSeries(values)
    series.push(one)
    return (value) => {
      one.buckets[bucketOf(value)]! += 1
      one.sum += value
      one.count += 1
    }
  })
  const get = (): Promise<Exported> =>
    Promise.resolve({
      name,
      help,
      type: 'histogram',
      values: series.flatMap((one) => exported(name, bounds, one)),
      aggregator: 'sum',
    })
  // The registry takes the second for its text, in which shared labels come last, and the first where it adds up workers,
  // which knows of no labels but a value's own.
  const getSplayed = async (): Promise<Exported> => {
    const all = await get()
    return { ...all, values: all.values.map(splay) }
  }
  return { add, metric: { name, get: getSplayed, getForPromString: get } }
}

const splay = ({ sharedLabels, labels, ...more }: ExportedValue): ExportedValue => ({
  ...more,
  labels: { ...labels, ...sharedLabels },
})

function exported(
  name: string,
  bounds: readonly number[],
  one: {
    readonly labels: Labels
    readonly buckets: Float64Array
    readonly sum: number
    readonly count: number
  },
): readonly ExportedValue[] {
  const { labels: sharedLabels, buckets, sum, count } = one
  let below = 0
  const ofBucket = (le: string | number, value: number): ExportedValue => ({
    labels: { le },
    sharedLabels,
    value,
    metricName: `${name}_bucket`,
  })
  return [
    ...bounds.map((bound, i) => ofBucket(bound, (below += buckets[i]!))),
    ofBucket('+Inf', count),
    { labels: {}, sharedLabels, value: sum, metricName: `${name}_sum` },
    { labels: {}, sharedLabels, value: count, metricName: `${name}_count` },
  ]
}
