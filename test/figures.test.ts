/** The figures that documents quote are those that were measured: each is compared with the table that it comes from. */
import { readFileSync } from 'node:fs'
import { t } from './fixtures/tap.js'

const read = (file: string): string => readFileSync(file, 'utf8')
const guide = (name: string): string => read(`deploy/docs/guides/${name}.md`)
const bench = read('test/bench/README.md')

const cellsOf = (line: string): readonly string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.replaceAll('**', '').trim())

/** The rows of the table below a heading or a sentence, each with its first cell as its name. */
function tableBelow(text: string, above: string): ReadonlyMap<string, readonly string[]> {
  const [, rest] = text.split(`${above}\n`)
  if (rest === undefined) throw new Error(`where is ${above}?`)
  const lines = rest.split('\n')
  const first = lines.findIndex((line) => line.startsWith('|'))
  const length = lines.slice(first).findIndex((line) => !line.startsWith('|'))
  const rows = lines.slice(first, first + length).map(cellsOf)
  return new Map(rows.map(([name = '', ...cells]) => [name, cells]))
}

/** CPU µs of a request, or the peak of memory in MiB: the last two columns. */
function measured(what: string, of: string, column: 'cpu' | 'memory'): number | undefined {
  const text = tableBelow(bench, `### ${what}`)
    .get(of)
    ?.at(column === 'cpu' ? -2 : -1)
  return text === undefined ? undefined : Number(text)
}

const ours = 'trac-gateway'
const cpuOf = (what: string): number => measured(what, ours, 'cpu')!

await t.test('the comparison has the CPU time that the bench measured', async (t) => {
  const rows = [...tableBelow(read('deploy/docs/comparison.md'), 'not run.')]
  const [head, , ...cases] = rows
  const peers = head?.[1] ?? []
  t.ok(cases.length >= 5)
  for (const [what, cells] of cases) {
    const found = peers.map((peer) => String(measured(what, peer, 'cpu') ?? '–'))
    t.strictSame(cells, found, what)
  }
  const haproxy = peers[1]!
  for (const what of ['A new token each time', 'POST of 1 KiB', 'Answer of 256 KiB']) {
    t.ok(measured(what, haproxy, 'cpu')! < cpuOf(what), `HAProxy is ahead: ${what}`)
  }
})

/** A number as the documents write it. */
const say = (value: number): string => Math.round(value).toLocaleString('en')
/** Requests a second of a core, in whole thousands. */
const perSecond = (what: string): string => say(Math.floor(1000 / cpuOf(what)) * 1000)

const peak = Math.max(
  ...[...bench.matchAll(/^### (.*)\n\n\| \| requests a second/gm)].map(
    ([, what = '']) => measured(what, ours, 'memory') ?? 0,
  ),
)
/** The most that a gateway of the soak took, by the table of its replicas. */
function peakOfSoak(): number {
  const lines = read('test/soak/README.md').split('\n').map(cellsOf)
  const head = lines.findIndex(([first]) => first === 'replica')
  const column = lines[head]!.indexOf('most resident, MiB')
  const rows = lines.slice(head + 2)
  const end = rows.findIndex((cells) => cells.length === 0)
  return Math.max(...rows.slice(0, end).map((cells) => Number(cells[column])))
}
const soakPeak = peakOfSoak()
/** MiB of gateways that nobody asks: the least and the most in the last column of the tables of starts. */
const restings = [...bench.matchAll(/^\| \*\*trac-gateway\*\*, .*\((\d+)–(\d+)\) \|$/gm)].map(
  ([, least, most]) => [Number(least), Number(most)] as const,
)
const resting = [
  Math.min(...restings.map(([least]) => least)),
  Math.max(...restings.map(([, most]) => most)),
]
/** CPU µs of a request where one replica has less to do than it could. */
const idleCost = /^\| one Redis \| 1 \| \d+ \| [\d.]+ \| (\d+) \|/m.exec(bench)?.[1] ?? ''

const inRedis = tableBelow(bench, 'What Redis needs, over 10000 of each:')
const bytesOf = (what: string): number => {
  const [, cells] = [...inRedis].find(([name]) => name.startsWith(what)) ?? []
  return Number(cells?.[0])
}
const [session, name, revocation] = ['a session', 'a name', 'a revocation'].map(bytesOf) as [
  number,
  number,
  number,
]
/** What a process holds of each, as its own test says. */
const [openSession, knownName, knownRevocation] = (
  /Measured: ([\d,]+), (\d+) and (\d+)\./.exec(read('test/long/state-memory.long.ts')) ?? []
)
  .slice(1)
  .map((text) => Number(text.replace(',', ''))) as [number, number, number]
const storm = tableBelow(
  bench,
  'replicas and 96 connections. The time is from the asking to the answer, the wait for one of these connections included.',
)
const commands = Number(storm.get('one Redis')?.[2])
const seconds = Number(storm.get('one Redis')?.[6])
const stormSessions = Number(/A storm: the tokens of (\d+) sessions/.exec(bench)?.[1])

const [people, weekly, kept] = [200_000, 7, 7]
const renewEvery = 3600 * 0.75
const gigabytes = (...parts: number[]) => (parts.reduce((a, b) => a * b) / 1e9).toFixed(2)
const megabytes = (...parts: number[]) => say(parts.reduce((a, b) => a * b) / 1e6)
const redisMemory = 1e6 * session + people * name + people * kept * revocation
const processMemory =
  10_000 * openSession + people * knownName + (people / weekly) * kept * knownRevocation

/** What a page says, as a pattern, and the figures in it. */
const quotes: readonly (readonly [page: string, said: RegExp, figures: readonly string[]])[] = [
  ['deployment', /(\d+) to (\d+) MiB at rest/, resting.map(String)],
  [
    'deployment',
    /([\d,]+) a second with one known token \((\d+) µs/,
    [perSecond('One token, known'), say(cpuOf('One token, known'))],
  ],
  [
    'deployment',
    /([\d,]+) with a thousand people's tokens in turn \((\d+) µs/,
    [perSecond('1,000 tokens in turn'), say(cpuOf('1,000 tokens in turn'))],
  ],
  [
    'deployment',
    /([\d,]+)\s+where each is a POST \((\d+) µs/,
    [perSecond('POST of 1 KiB'), say(cpuOf('POST of 1 KiB'))],
  ],
  ['deployment', /first time takes (\d+) µs/, [say(cpuOf('A new token each time'))]],
  ['deployment', /took up to (\d+) MiB \(\[the soak\]/, [say(soakPeak)]],
  ['deployment', /for minutes, up to (\d+) MiB/, [say(peak)]],
  [
    'scaling',
    /A worker took up to (\d+) MiB in the hour of \[the soak\].*, and up to (\d+) MiB in/,
    [say(soakPeak), say(peak)],
  ],
  ['scaling', /\| a session, .*\| +([\d,]+) \| +([\d,]+) \|/, [say(session), say(openSession)]],
  ['scaling', /\| a name and its owner +\| +(\d+) \| +(\d+) \|/, [say(name), say(knownName)]],
  ['scaling', /\| a revocation +\| +(\d+) \| +(\d+) \|/, [say(revocation), say(knownRevocation)]],
  [
    'scaling',
    /1,000,000 × ([\d,]+) B \+ 200,000 × (\d+) B \+ 200,000 × 7 × (\d+) B = ([\d.]+) GB \+ ([\d.]+) GB \+ ([\d.]+) GB ≈ ([\d.]+) GB/,
    [
      ...[session, name, revocation].map(say),
      ...[gigabytes(1e6, session), gigabytes(people, name), gigabytes(people, kept, revocation)],
      (redisMemory / 1e9).toFixed(1),
    ],
  ],
  [
    'scaling',
    /10,000 × ([\d,]+) B \+ 200,000 × (\d+) B \+ 200,000 ÷ 7 d × 7 × (\d+) B = (\d+) MB \+ (\d+) MB \+ (\d+) MB ≈ (\d+) MB/,
    [
      ...[openSession, knownName, knownRevocation].map(say),
      ...[
        megabytes(10_000, openSession),
        megabytes(people, knownName),
        megabytes(people, knownRevocation),
      ],
      megabytes(processMemory),
    ],
  ],
  ['scaling', /once in ([\d,]+) s\. That took (\d+) commands/, [say(renewEvery), say(commands)]],
  [
    'scaling',
    /\| renewals +\| +(\d+) a second \| +(\d+) a second \|/,
    [say(1e5 / renewEvery), say(1e6 / renewEvery)],
  ],
  [
    'scaling',
    /\| commands of renewals +\| +([\d,]+) a second \| +([\d,]+) a second \|/,
    [say((1e5 / renewEvery) * commands), say((1e6 / renewEvery) * commands)],
  ],
  [
    'scaling',
    /one Redis ran ([\d,]+)\s+commands in ([\d.]+) s/,
    [say(stormSessions * commands), String(seconds)],
  ],
  [
    'scaling',
    /a second: (\d+) µs each\s+with a session on a busy core, (\d+)\s+µs/,
    [say(cpuOf('Session cookie')), idleCost],
  ],
  ['scaling', /That is ([\d,]+) sign-outs\s/, [say(Math.floor(1e6 / kept / 1000) * 1000)]],
  ['scaling', /They fill (\d+) MB of each process/, [megabytes(1e6, knownRevocation)]],
  [
    'scaling',
    /at ([\d,]+) sessions: Cognito's default quota for refreshing is 120/,
    [say(120 * renewEvery)],
  ],
]

await t.test(
  'each figure of the pages about size is measured, or follows from what is',
  async (t) => {
    for (const [page, said, figures] of quotes) {
      const [, ...found] = said.exec(guide(page)) ?? []
      t.strictSame(found, figures, `${page}: ${String(said)}`)
    }
  },
)

await t.test('the unit of systemd has room for what one process is said to take', async (t) => {
  const unit = read('deploy/systemd/trac-gateway.service')
  const limit = Number(/^MemoryMax=(\d+)M$/m.exec(unit)?.[1])
  const each = Number(/count (\d+) MiB for each worker/.exec(guide('scaling'))?.[1])
  const primary = Number(/and\s+(\d+) MiB for the primary/.exec(guide('scaling'))?.[1])
  // 64 MiB of files in memory.
  t.ok(each >= peak + 64, `${each} for ${peak}`)
  t.ok(limit >= each, `${limit} for ${each}`)
  for (const [, most, workers] of guide('scaling').matchAll(
    /`(?:MemoryMax=)?(\d+)M` for (two|three)/g,
  )) {
    t.equal(Number(most), primary + each * (workers === 'two' ? 2 : 3))
  }
  t.match(guide('scaling'), `allows \`${limit}M\``)
  t.match(guide('deployment'), `\`MemoryMax=${limit}M\``)
})
