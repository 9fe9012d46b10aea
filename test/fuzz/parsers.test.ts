/** Each parser of what comes from outside has a target, and reads a hundred changed texts; parsers.long.ts goes on for long. */
import { randomInt } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { numbersFrom } from '../fixtures/mutate.js'
import { createTargets } from '../fixtures/parsers/all.js'
import { exceptions, findParsers, isDeclared } from '../fixtures/parsers/found.js'
import { tryParsers } from '../fixtures/parsers/target.js'

const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 30))
const targets = await createTargets(t)

await t.test('each parser has a target, or a reason why not', async (t) => {
  const read = new Set(targets.flatMap((target) => target.reads))
  const found = findParsers()
  const without = found.filter((one) => !read.has(one) && !(one in exceptions))
  t.strictSame(without, [], 'add a target in fixtures/parsers, or a reason in found.ts')
  t.strictSame(
    [...read].filter((one) => !isDeclared(one)),
    [],
    'targets of what is gone',
  )
  const needless = Object.keys(exceptions).filter((one) => read.has(one) || !found.includes(one))
  t.strictSame(needless, [], 'reasons for nothing')
})

await t.test(`changed texts from seed ${seed}`, async (t) => {
  await tryParsers(t, targets, numbersFrom(seed), (tried) => tried < 100)
})
