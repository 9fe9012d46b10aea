/** Loaded before a test: at the end it writes down the processor time of its process and of those that it started. */
import { readFileSync, writeFileSync } from 'node:fs'

const file = process.env['TEST_USED_FILE']
if (file !== undefined) {
  process.once('exit', () => {
    // proc(5): user and system time, then the same of children that have ended, in ticks of 10 ms.
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    writeFileSync(file, (ticks / 100).toFixed(1))
  })
}
