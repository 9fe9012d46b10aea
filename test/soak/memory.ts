/** Whether memory stays flat: a rule that is the same for each replica. */
import { quantile } from './picture.js'
import { groupBy } from './records.js'
import type { Records } from './records.js'

/** Until then a process warms up: code is compiled, caches and pools fill. In seconds. */
export const warmUp = 600
/** A life that is shorter than this after the warm-up says nothing. */
const minSpan = 600
/**
 * The rule for what is held after a collection: by least squares it rises by less than so many MiB in an hour, beyond what its own ups
 * and downs explain …
 */
export const maxSlope = 5
/**
 * … and for both: its level in the last third after the warm-up is at most so many times that in the first. The level is what it stays
 * below in nine of ten samples: resident memory goes up and down by a third within minutes, as V8 puts off what it can and then
 * gives much back at once, so that a median says more of the moment than of the process.
 */
export const maxRatio = 1.1
const levelShare = 0.9

/** What one kind of memory did after the warm-up: levels in MiB. */
export interface Judgement {
  readonly first: number
  readonly last: number
  /** MiB an hour, and the standard error of that. */
  readonly slope: number
  readonly error: number
  readonly isFlat: boolean
}

/** What became of the memory of one process. MiB. */
export interface MemoryLife {
  readonly replica: number
  readonly pid: number
  /** Seconds since the start of the run. */
  readonly from: number
  readonly to: number
  /** The most that was resident. */
  readonly max: number
  /** Undefined where it did not live long enough to be judged. */
  readonly judged: undefined | { readonly held: Judgement; readonly resident: Judgement }
}

type Point = readonly [at: number, mib: number]

/** MiB an hour by least squares, and the standard error of that. */
function slopeOf(points: readonly Point[]): { readonly slope: number; readonly error: number } {
  const mean = (of: (point: Point) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [at, mib] = [mean(([x]) => x), mean(([, y]) => y)]
  const over = points.reduce((sum, [x, y]) => sum + (x - at) * (y - mib), 0)
  const under = points.reduce((sum, [x]) => sum + (x - at) ** 2, 0)
  const slope = over / under
  const rest = points.reduce((sum, [x, y]) => sum + (y - mib - slope * (x - at)) ** 2, 0)
  const error = Math.sqrt(rest / Math.max(1, points.length - 2) / under)
  return { slope: slope * 3600, error: error * 3600 }
}

/** What it stays below in nine of ten samples. */
function levelOf(points: readonly Point[]): number {
  const sorted = points.map(([, mib]) => mib).toSorted((one, other) => one - other)
  return quantile(sorted, levelShare)
}

/** Judges what came after the warm-up. */
function judge(points: readonly Point[], limit: number): Judgement {
  const [from, to] = [points[0]![0], points.at(-1)![0]]
  const third = (to - from) / 3
  const first = levelOf(points.filter(([at]) => at <= from + third))
  const last = levelOf(points.filter(([at]) => at >= to - third))
  const { slope, error } = slopeOf(points)
  return {
    ...{ first, last, slope, error },
    isFlat: slope - 2 * error < limit && last <= first * maxRatio,
  }
}

/** Judges every process that lived in this run. */
export function livesOf({ memory }: Records): MemoryLife[] {
  const byProcess = groupBy(memory, ({ replica, pid }) => `${replica} ${pid}`)
  return [...byProcess.values()].map((samples) => {
    const { replica, pid, at: from } = samples[0]!
    const to = samples.at(-1)!.at
    const life = { replica, pid, from, to, max: Math.max(...samples.map((one) => one.resident)) }
    if (to - from < warmUp + minSpan) return { ...life, judged: undefined }
    const warm = samples.filter(({ at }) => at >= from + warmUp)
    const resident = warm.map((one): Point => [one.at, one.resident])
    const held = warm.flatMap((one): Point[] =>
      one.held === undefined ? [] : [[one.at, one.held]],
    )
    return {
      ...life,
      judged: {
        held: judge(held, maxSlope),
        // Its ups and downs are no noise about a line: a slope would tell of their order.
        resident: judge(resident, Number.POSITIVE_INFINITY),
      },
    }
  })
}
