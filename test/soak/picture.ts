/** The picture of a soak: requests a second, times, failures and memory over one axis of time, with what was disturbed. */
import { groupBy } from './records.js'
import type { Disturbance, Failure, Records, What } from './records.js'

const [width, left, right] = [1100, 64, 14]
const panelHeight = 130
const panelGap = 34
const top = 58

const colours: Readonly<Record<What, string>> = {
  reload: '#15803d',
  'refused reload': '#7c3aed',
  redis: '#c2410c',
  kill: '#b91c1c',
}
const names: Readonly<Record<What, string>> = {
  reload: 'configuration reloaded',
  'refused reload': 'a broken one refused',
  redis: 'Redis away',
  kill: 'a replica killed',
}
/** Resident memory, and what is held. */
const replicaColours: readonly (readonly [string, string])[] = [
  ['#1d4ed8', '#93c5fd'],
  ['#0f766e', '#5eead4'],
]

type Point = readonly [at: number, value: number]

/** A panel: its own scale, and what is drawn in it. */
interface Panel {
  readonly title: string
  readonly max: number
  readonly min?: number
  readonly isLogarithmic?: boolean
  readonly marks: readonly number[]
  readonly lines: readonly { colour: string; name: string; points: readonly Point[] }[]
  /** Columns instead of lines, one upon the other. */
  readonly bars?: readonly { colour: string; name: string; points: readonly Point[] }[]
}

const text = (x: number, y: number, words: string, more = ''): string =>
  `<text x="${x}" y="${y}" ${more}>${words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`

const short = (value: number): string => String(Number(value.toPrecision(2)))

/** What is under a value's share of sorted values. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Spans of equal length from 0 to the end, and how many of them there are in an hour. */
function spansOf(seconds: number): { span: number; starts: number[] } {
  const span = seconds > 1200 ? 20 : 2
  return { span, starts: Array.from({ length: Math.floor(seconds / span) }, (_, n) => n * span) }
}

/** A round number not below a value. */
function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value || 1))
  return Math.ceil((value || 1) / unit) * unit
}

function panelsOf(
  records: Records,
  seconds: number,
  causes: ReadonlyMap<Failure, Disturbance | undefined>,
): Panel[] {
  const { span, starts } = spansOf(seconds)
  const slotOf = (at: number) => Math.floor(at / span)
  const times = groupBy(records.samples, ({ at }) => slotOf(at))
  const sorted = starts.map((_, n) =>
    (times.get(n) ?? []).map(({ ms }) => ms).toSorted((one, other) => one - other),
  )
  const middle = (n: number) => starts[n]! + span / 2
  const rate = sorted.map((values, n): Point => [middle(n), values.length / span])
  const share = (part: number) =>
    sorted.flatMap((values, n): Point[] =>
      values.length === 0 ? [] : [[middle(n), quantile(values, part)]],
    )
  const failed = (name: string, colour: string, isMeant: (cause?: Disturbance) => boolean) => {
    const counts = new Map<number, number>()
    for (const [failure, cause] of causes) {
      if (isMeant(cause)) counts.set(slotOf(failure.to), (counts.get(slotOf(failure.to)) ?? 0) + 1)
    }
    return { name, colour, points: starts.map((_, n): Point => [middle(n), counts.get(n) ?? 0]) }
  }
  const bars = [
    failed('while Redis is away', colours.redis, (cause) => cause?.what === 'redis'),
    failed('of the killed replica', '#6b7280', (cause) => cause?.what === 'kill'),
    failed('without a cause', '#ff0000', (cause) => cause === undefined),
  ]
  const mostFailed = Math.max(
    1,
    ...starts.map((_, n) => bars.reduce((sum, { points }) => sum + points[n]![1], 0)),
  )
  const lives = groupBy(records.memory, ({ replica, pid }) => `${replica} ${pid}`)
  const memory = [...lives.values()].flatMap((life) => {
    const { replica } = life[0]!
    const colours = replicaColours[replica] ?? ['#000', '#000']
    const held = life.flatMap((one): Point[] =>
      one.held === undefined ? [] : [[one.at, one.held]],
    )
    const resident = life.map((one): Point => [one.at, one.resident])
    return [
      { colour: colours[0], name: `replica ${replica + 1}, resident`, points: resident },
      { colour: colours[1], name: `replica ${replica + 1}, held`, points: held },
    ]
  })
  const maxRate = roundUp(Math.max(...rate.map(([, value]) => value)))
  const maxMemory =
    Math.ceil(Math.max(...records.memory.map(({ resident }) => resident), 1) / 40) * 40
  const maxBars = roundUp(mostFailed)
  return [
    {
      title: 'requests a second, answered as they should be',
      max: maxRate,
      marks: [0, maxRate / 2, maxRate],
      lines: [{ colour: '#1d4ed8', name: '', points: rate }],
    },
    {
      title: 'milliseconds until the end of the answer, Trac and uploads included',
      ...{ max: 10_000, min: 1, isLogarithmic: true, marks: [1, 10, 100, 1000, 10_000] },
      lines: [
        { colour: '#93c5fd', name: 'half of them', points: share(0.5) },
        { colour: '#1e3a8a', name: '99 of 100', points: share(0.99) },
      ],
    },
    {
      title: `requests that failed, in each ${span} seconds`,
      ...{ max: maxBars, marks: [0, maxBars], lines: [], bars },
    },
    {
      title: 'memory of each gateway: resident, and held after a collection, MiB',
      ...{ max: maxMemory, marks: [0, maxMemory / 2, maxMemory], lines: memory },
    },
  ]
}

function drawPanel(panel: Panel, y: number, x: (at: number) => number, span: number): string {
  const { max, min = 0, isLogarithmic = false } = panel
  const part = (value: number) =>
    isLogarithmic
      ? Math.log(Math.min(max, Math.max(min, value)) / min) / Math.log(max / min)
      : value / max
  const up = (value: number) => y + panelHeight * (1 - part(value))
  const grid = panel.marks.map(
    (mark) =>
      `<line x1="${left}" x2="${width - right}" y1="${up(mark)}" y2="${up(mark)}" stroke="#e5e7eb"/>` +
      text(left - 6, up(mark) + 4, short(mark), 'text-anchor="end" fill="#6b7280"'),
  )
  const lines = panel.lines.map(({ colour, points }) => {
    const path = points.map(([at, value]) => `${x(at).toFixed(1)},${up(value).toFixed(1)}`)
    return `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.3"/>`
  })
  const heights = new Map<number, number>()
  const columns = (panel.bars ?? []).flatMap(({ colour, points }) =>
    points.flatMap(([at, value]) => {
      if (value === 0) return []
      const below = heights.get(at) ?? 0
      heights.set(at, below + value)
      const [low, high] = [up(below), up(below + value)]
      const size = Math.max(2, x(span) - x(0) - 0.5)
      return `<rect x="${(x(at) - size / 2).toFixed(1)}" y="${high.toFixed(1)}" width="${size.toFixed(1)}" height="${(low - high).toFixed(1)}" fill="${colour}"/>`
    }),
  )
  const legend = new Map([...panel.lines, ...(panel.bars ?? [])].map((it) => [it.name, it.colour]))
  legend.delete('')
  let at = width - right
  const keys = [...legend].toReversed().map(([name, colour]) => {
    at -= name.length * 6.4 + 22
    return `<rect x="${at}" y="${y - 14}" width="10" height="4" fill="${colour}"/>${text(at + 14, y - 8, name)}`
  })
  const title = text(left, y - 8, panel.title, 'font-weight="600"')
  return [title, ...keys, ...grid, ...lines, ...columns].join('\n')
}

function drawDisturbances(
  disturbances: readonly Disturbance[],
  x: (at: number) => number,
  bottom: number,
): string {
  const marks = disturbances.map(({ what, from }) => {
    const at = x(from).toFixed(1)
    return `<line x1="${at}" x2="${at}" y1="${top - 26}" y2="${bottom}" stroke="${colours[what]}" stroke-dasharray="2 3" opacity="0.7"/>`
  })
  let at = left
  const keys = (Object.keys(colours) as What[])
    .filter((what) => disturbances.some((one) => one.what === what))
    .map((what) => {
      const key =
        `<line x1="${at}" x2="${at + 14}" y1="16" y2="16" stroke="${colours[what]}" stroke-width="2" stroke-dasharray="2 3"/>` +
        text(at + 20, 20, names[what])
      at += names[what].length * 6.6 + 44
      return key
    })
  return [...keys, ...marks].join('\n')
}

/** Draws a run as SVG. */
export function drawSoak(
  records: Records,
  seconds: number,
  causes: ReadonlyMap<Failure, Disturbance | undefined>,
): string {
  const panels = panelsOf(records, seconds, causes)
  const { span } = spansOf(seconds)
  const x = (at: number) => left + ((width - left - right) * at) / seconds
  const y = (n: number) => top + n * (panelHeight + panelGap)
  const bottom = y(panels.length - 1) + panelHeight
  const isLong = seconds > 600
  const unit = isLong ? 60 : 1
  const step = isLong ? 600 : 20
  const axis = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, n) =>
    text(
      x(n * step),
      bottom + 18,
      `${(n * step) / unit} ${isLong ? 'min' : 's'}`,
      'text-anchor="middle" fill="#6b7280"',
    ),
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 30}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    drawDisturbances(records.disturbances, x, bottom),
    ...panels.map((panel, n) => drawPanel(panel, y(n), x, span)),
    ...axis,
    '</svg>\n',
  ].join('\n')
}
