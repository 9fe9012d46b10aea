/** Whether memory stays flat: a rule that is the same for each replica. */
import { median } from '../bench/report.js'
import { groupBy } from './records.js'
import type { Records } from './records.js'

/** Until then a process warms up: code is compiled, caches and pools fill. In seconds. */
export const warmUp = 600
/** A life that is shorter than this after the warm-up says nothing. */
const minSpan = 600
/** How far apart two levels that are compared are measured: medians over so many seconds. */
const levelSpan = 120
/**
 * The rule: by least squares it rises by less than this in an hour, in MiB, beyond what its own ups and downs explain. What is held is
 * measured after a collection, so its ups and downs are small …
 */
export const maxSlope = { held: 5, resident: 10 }
/** Ups and downs of resident memory last minutes: so long a span, in seconds, counts as one measurement, its median. */
const blockSpan = 300
/** … and its level at the end is at most so many times the one after the warm-up. */
export const maxRatio = 1.1

/** What one kind of memory did after the warm-up. MiB, and MiB an hour with its standard error. */
export interface Judgement {
  readonly warm: number
  readonly end: number
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
  readonly judged: undefined | Readonly<Record<keyof typeof maxSlope, Judgement>>
}

type Point = readonly [at: number, mib: number]

/** The median of each {@link blockSpan}. */
function blocksOf(points: readonly Point[]): readonly Point[] {
  const start = points[0]?.[0] ?? 0
  const blocks = new Map<number, number[]>()
  for (const [at, mib] of points) {
    const block = Math.floor((at - start) / blockSpan)
    blocks.set(block, [...(blocks.get(block) ?? []), mib])
  }
  return [...blocks].map(([block, values]) => [block * blockSpan, median(values)])
}

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

/** Judges what came after the warm-up. */
function judge(points: readonly Point[], measured: readonly Point[], limit: number): Judgement {
  const [from, to] = [points[0]![0], points.at(-1)![0]]
  const level = (start: number) =>
    median(points.filter(([at]) => at >= start && at <= start + levelSpan).map(([, mib]) => mib))
  const [warm, end] = [level(from), level(to - levelSpan)]
  const { slope, error } = slopeOf(measured)
  return {
    ...{ warm, end, slope, error },
    isFlat: slope - 2 * error < limit && end <= warm * maxRatio,
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
        held: judge(held, held, maxSlope.held),
        resident: judge(resident, blocksOf(resident), maxSlope.resident),
      },
    }
  })
}
