/**
 * Runs compiled test files, some of them in each process, and writes TAP. What runs at once stands in lanes.ts.
 * Usage: `test/run [--quick | --long] [--coverage] [NAME …]`; a NAME is a part of a file's path: `flow/csrf`, `attack/`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { root } from './fixtures/root.js'
import { fuzzMinutes } from './fixtures/scale.js'
import { divide, isQuick, nameOf, scaledFiles, tracks, verifyLists } from './lanes.js'
import type { Lane } from './lanes.js'

const words = process.argv.slice(2)
const options = new Set(words.filter((word) => word.startsWith('--')))
for (const option of options) {
  if (!['--quick', '--long', '--coverage'].includes(option)) {
    throw new Error(`${option} is no option: --quick, --long, --coverage`)
  }
}
const isLong = options.has('--long')
const measuresCoverage = options.has('--coverage')

/** How long a file may take, in seconds. */
const timeout = isLong ? 1800 + fuzzMinutes * 60 : 900

/** The compiled files of this run, by name. */
function listFiles(): Map<string, string> {
  const compiled = readdirSync(`${root}.build/test`, { recursive: true, encoding: 'utf8' })
  const tests = compiled.filter((file) => file.endsWith('.test.js')).toSorted()
  verifyLists(tests.map(nameOf))
  const kinds = isLong
    ? [
        ...compiled.filter((file) => file.endsWith('.long.js')).toSorted(),
        ...tests.filter((file) => scaledFiles.includes(nameOf(file))),
      ]
    : tests.filter((file) => !options.has('--quick') || isQuick(nameOf(file)))
  return new Map(kinds.map((file) => [nameOf(file), file]))
}

/** Those that the command line names; a whole name means no other that contains it. */
function choose(all: readonly string[]): readonly string[] {
  const parts = words.filter((word) => !word.startsWith('--')).map(nameOf)
  if (parts.length === 0) return all
  const isMeant = (name: string, part: string): boolean =>
    all.includes(part) ? name === part : name.includes(part)
  const unknown = parts.find((part) => !all.some((name) => isMeant(name, part)))
  if (unknown !== undefined) throw new Error(`no test of this run is called ${unknown}`)
  return all.filter((name) => parts.some((part) => isMeant(name, part)))
}

/** A line for each file: seconds, seconds of processor time, name. */
const timesFile = `${root}.build/times`

/** Where `npm run coverage` finds what the processes of all tests have run. */
const coverageFolder = `${root}.build/coverage/`

writeFileSync(timesFile, '')
if (measuresCoverage) {
  rmSync(coverageFolder, { recursive: true, force: true })
  mkdirSync(coverageFolder)
}

/** Keeps of the coverage in a folder what tells of `src`: the rest is a hundred times as much. */
function keepCoverage(folder: string): void {
  const source = pathToFileURL(`${root}.build/src/`).href
  for (const file of readdirSync(folder)) {
    const { result } = JSON.parse(readFileSync(folder + file, 'utf8')) as {
      result: readonly { url: string }[]
    }
    const own = result.filter(({ url }) => url.startsWith(source))
    if (own.length > 0) writeFileSync(coverageFolder + file, JSON.stringify({ result: own }))
  }
  rmSync(folder, { recursive: true })
}

/** tap would load hooks into each process, and into the programs that they start; nobody reads what those write. */
const command = [
  ...['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps'],
  '.build/test/worker.js',
]

/** Runs files in one process. */
async function runBatch(names: readonly string[]): Promise<void> {
  // Node writes coverage there, for this process and all that it starts.
  const covered = `${root}.build/covered/${names[0]!.replaceAll('/', '-')}/`
  const batch = names.map((name) => files.get(name)!)
  await t.spawn('env', command, {
    name: names.join(' '),
    buffered: true,
    cwd: root,
    env: {
      ...process.env,
      TAP_TIMEOUT: '0',
      TEST_FILES: batch.join(' '),
      TEST_FILE_TIMEOUT: String(timeout * 1000),
      TEST_TIMES_FILE: timesFile,
      ...(isLong ? { TEST_SCALE: 'large' } : {}),
      ...(measuresCoverage ? { NODE_V8_COVERAGE: covered } : {}),
    },
    timeout: timeout * 1000,
  })
  if (measuresCoverage) keepCoverage(covered)
}

/** Runs one batch after another, of the first lane that has one left. */
async function runTrack(lanes: readonly Lane[]): Promise<void> {
  const next = () =>
    lanes
      .map((lane) => queues[lane])
      .find((queue) => queue.length > 0)
      ?.shift()
  for (let batch = next(); batch !== undefined; batch = next()) await runBatch(batch)
}

const files = listFiles()
const chosen = choose([...files.keys()])
const queues = divide(chosen)
t.setTimeout(0)
t.jobs = chosen.length
const start = performance.now()
await Promise.all(isLong ? [runTrack(['heavy', 'working', 'waiting'])] : tracks.map(runTrack))
const seconds = ((performance.now() - start) / 1000).toFixed(1)
process.stderr.write(`${chosen.length} files in ${seconds} s\n`)
