/**
 * Runs compiled test files, each in a process of its own, and writes TAP. What runs at once stands in lanes.ts.
 * Usage: `test/run [--quick | --long] [--coverage] [NAME …]`; a NAME is a part of a file's path: `flow/csrf`, `attack/`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { root } from './fixtures/root.js'
import { divide, isQuick, scaledFiles, tracks, verifyLists } from './lanes.js'
import type { Lane } from './lanes.js'

const words = process.argv.slice(2)
const options = new Set(words.filter((word) => word.startsWith('--')))
const isLong = options.has('--long')
const measuresCoverage = options.has('--coverage')

/** How long a file may take, in seconds. */
const timeout = isLong ? 1800 : 900

/** What a test is called: its path below `test/`, without an ending. */
const nameOf = (file: string): string =>
  file.replace(/^test\//, '').replace(/\.(?:test|long)(?:\.[jt]s)?$/, '')

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

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(1)

/** One line for each file: seconds, seconds of processor time, name. */
const times: string[] = []

/** Where a test's process writes how much processor time it used. */
const usedFolder = `${root}.build/used/`

/** Where `npm run coverage` finds what the processes of all tests have run. */
const coverageFolder = `${root}.build/coverage/`

for (const folder of measuresCoverage ? [usedFolder, coverageFolder] : [usedFolder]) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
}

/** The folder that Node writes coverage to, for one file and all the processes that it starts. */
const coverageOf = (name: string): string => `${root}.build/covered/${name.replaceAll('/', '-')}/`

/** Keeps of the coverage of one file what tells of `src`: the rest is a hundred times as much. */
function keepCoverage(name: string): void {
  const folder = coverageOf(name)
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
  ...['--import', './.build/test/meter.js'],
]

/** Runs one file; a failure is told at once, since TAP comes in the order in which files were started. */
async function runFile(name: string): Promise<void> {
  const file = `test/${files.get(name)}`
  const used = usedFolder + name.replaceAll('/', '-')
  writeFileSync(used, '?')
  const start = performance.now()
  const result = await t.spawn('env', [...command, `.build/${file}`], {
    name: file.replace(/js$/, 'ts'),
    buffered: true,
    cwd: root,
    env: {
      ...process.env,
      TAP_TIMEOUT: String(timeout),
      TEST_USED_FILE: used,
      ...(isLong ? { TEST_SCALE: 'large' } : {}),
      ...(measuresCoverage ? { NODE_V8_COVERAGE: coverageOf(name) } : {}),
    },
    timeout: timeout * 1000,
  })
  const time = seconds(performance.now() - start)
  if (measuresCoverage) keepCoverage(name)
  times.push(`${time}\t${readFileSync(used, 'utf8')}\t${name}`)
  if (result?.count === 0) t.fail(`${name} has a test`)
  if (result?.ok !== true) process.stderr.write(`FAILED after ${time} s: ${name}\n`)
}

/** Runs one file after another, of the first lane that has one left. */
async function runTrack(lanes: readonly Lane[]): Promise<void> {
  const next = () =>
    lanes
      .map((lane) => queues[lane])
      .find((queue) => queue.length > 0)
      ?.shift()
  for (let name = next(); name !== undefined; name = next()) await runFile(name)
}

const files = listFiles()
const chosen = choose([...files.keys()])
const queues = divide(chosen)
t.setTimeout(0)
t.jobs = chosen.length
const start = performance.now()
await Promise.all(isLong ? [runTrack(['heavy', 'working', 'waiting'])] : tracks.map(runTrack))
process.stderr.write(`${chosen.length} files in ${seconds(performance.now() - start)} s\n`)
writeFileSync(`${root}.build/times`, `${times.join('\n')}\n`)
