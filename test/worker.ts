/**
 * Runs compiled test files in this process, one after the other, and writes TAP. What they share is then loaded and
 * compiled once: for most files that is half of their time.
 * `TEST_FILES` has their names, relative to `.build/test`, with blanks between: of arguments tap would make the names of
 * folders, which must not be long. `TEST_FILE_TIMEOUT` is in milliseconds, and `TEST_TIMES_FILE` gets a line for each file:
 * seconds, seconds of processor time, name.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import t from 'tap'
import { useTest } from './fixtures/tap.js'
import { nameOf } from './lanes.js'

const timeout = Number(process.env['TEST_FILE_TIMEOUT'] ?? 0)
const timesFile = process.env['TEST_TIMES_FILE']

/** Seconds of processor time of this process and of those that it started and that have ended. */
function processorTime(): number {
  // proc(5): user and system time, then the same of children that have ended, in ticks of 10 ms.
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ')
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / 100
}

/** What was used before the first file belongs to it: loading tap. */
let counted = 0

t.setTimeout(0)
for (const file of (process.env['TEST_FILES'] ?? '').split(' ')) {
  const start = performance.now()
  const result = await t.test(`test/${file.replace(/js$/, 'ts')}`, { timeout }, async (t) => {
    useTest(t)
    await import(`./${file}`)
  })
  const used = processorTime()
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  if (timesFile !== undefined) {
    appendFileSync(timesFile, `${seconds}\t${(used - counted).toFixed(1)}\t${nameOf(file)}\n`)
  }
  counted = used
  if (result?.count === 0) t.fail(`${file} has a test`)
  // A failure is told at once, since TAP comes in the order in which processes were started.
  if (result?.ok !== true) process.stderr.write(`FAILED after ${seconds} s: ${nameOf(file)}\n`)
}

// What a file left open would hold up all the others; a busy machine may need a while to close its connections.
setTimeout(() => {
  process.stderr.write(
    `FAILED: something is still open: ${process.getActiveResourcesInfo().join(', ')}\n`,
  )
  process.exit(1)
}, 60_000).unref()
