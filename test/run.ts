/**
 * Runs compiled test files, each in a process of its own, and writes TAP. How many run at once is set by lane.
 * Usage: `test/run [--quick | --long] [--coverage] [NAME …]`; a NAME is a part of a file's path: `flow/csrf`, `attack/`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { root } from './fixtures/root.js'
import { divide, isQuick, tracks, verifyLists } from './lanes.js'
import type { Lane } from './lanes.js'

const options = process.argv.slice(2).filter((word) => word.startsWith('--'))
const long = options.includes('--long')
const measuresCoverage = options.includes('--coverage')
const ending = long ? '.long.js' : '.test.js'

/** How long a file may take, in seconds. */
const timeout = long ? 1800 : 900

/** What a test is called: its path below `test/`, without an ending. */
const nameOf = (file: string): string =>
  file.replace(/^test\//, '').replace(/\.(?:test|long)(?:\.[jt]s)?$/, '')

const names = process.argv
  .slice(2)
  .filter((word) => !word.startsWith('--'))
  .map(nameOf)

function listTests(): string[] {
  const all = readdirSync(`${root}.build/test`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map(nameOf)
    .toSorted()
  if (!long) verifyLists(all)
  if (names.length > 0) {
    const unknown = names.find((part) => !all.some((name) => name.includes(part)))
    if (unknown !== undefined) throw new Error(`no test is called ${unknown}`)
    return all.filter((name) =>
      names.some((part) => (all.includes(part) ? name === part : name.includes(part))),
    )
  }
  return options.includes('--quick') ? all.filter(isQuick) : all
}

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(1)

const times: string[] = []

/** Where a test's process writes how much processor time it used. */
const usedFolder = `${root}.build/used/`
mkdirSync(usedFolder, { recursive: true })

/** What tap would load into each process, and into the programs that they start, is put aside: nobody reads what it writes. */
const command = [
  ...['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps'],
  ...['--import', './.build/test/meter.js'],
]

/** Where `npm run coverage` finds what the processes of all tests have run. */
const coverageFolder = `${root}.build/coverage/`
rmSync(coverageFolder, { recursive: true, force: true })
mkdirSync(coverageFolder)

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

/** Runs one file; a failure is told at once, since TAP comes in the order in which files were started. */
async function runFile(name: string): Promise<void> {
  const file = `test/${name}${ending}`
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
      ...(measuresCoverage ? { NODE_V8_COVERAGE: coverageOf(name) } : {}),
    },
    timeout: timeout * 1000,
  })
  const time = seconds(performance.now() - start)
  if (measuresCoverage) keepCoverage(name)
  times.push(`${time}\t${readFileSync(used, 'utf8')}\t${name}`)
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

const tests = listTests()
const queues = divide(tests)
t.setTimeout(0)
t.jobs = tests.length
const start = performance.now()
await Promise.all(long ? [runTrack(['heavy', 'working', 'waiting'])] : tracks.map(runTrack))
process.stderr.write(`${tests.length} files in ${seconds(performance.now() - start)} s\n`)
writeFileSync(`${root}.build/times`, `${times.join('\n')}\n`)
