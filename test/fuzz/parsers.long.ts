/**
 * Each parser of what comes from outside, with changed texts for FUZZ_MINUTES together; FUZZ_SEED repeats a run, and
 * FUZZ_TARGET runs only those whose name has this in it.
 */
import { randomInt } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { numbersFrom } from '../fixtures/mutate.js'
import { createTargets } from '../fixtures/parsers/all.js'
import { tryParsers } from '../fixtures/parsers/target.js'
import { fuzzMinutes } from '../fixtures/scale.js'

const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 30))
const part = process.env['FUZZ_TARGET'] ?? ''
t.setTimeout((fuzzMinutes + 5) * 60_000)
const targets = (await createTargets(t)).filter(({ name }) => name.includes(part))
await t.test(`changed texts from seed ${seed}`, async (t) => {
  const span = (fuzzMinutes * 60_000) / targets.length
  let end = 0
  await tryParsers(t, targets, numbersFrom(seed), (tried) => {
    if (tried === 0) end = performance.now() + span
    return performance.now() < end
  })
})
