/** Each parser of what comes from outside, with changed texts for FUZZ_MINUTES together; FUZZ_SEED repeats a run. */
import { randomInt } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { numbersFrom } from '../fixtures/mutate.js'
import { createTargets, tryParsers } from '../fixtures/parser-targets.js'
import { fuzzMinutes } from '../fixtures/scale.js'
import { signer } from '../fixtures/token-signer.js'

const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 30))
t.setTimeout((fuzzMinutes + 5) * 60_000)
await t.test(`changed texts from seed ${seed}`, async (t) => {
  const targets = await createTargets(await signer())
  const span = (fuzzMinutes * 60_000) / targets.length
  let end = 0
  await tryParsers(t, targets, numbersFrom(seed), (tried) => {
    if (tried === 0) end = performance.now() + span
    return performance.now() < end
  })
})
