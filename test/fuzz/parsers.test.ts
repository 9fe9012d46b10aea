/** Each parser of what comes from outside, with a hundred changed texts; parsers.long.ts goes on for long. */
import { randomInt } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { numbersFrom } from '../fixtures/mutate.js'
import { createTargets, tryParsers } from '../fixtures/parser-targets.js'
import { signer } from '../fixtures/token-signer.js'

const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 30))
await t.test(`changed texts from seed ${seed}`, async (t) => {
  await tryParsers(
    t,
    await createTargets(await signer()),
    numbersFrom(seed),
    (tried) => tried < 100,
  )
})
