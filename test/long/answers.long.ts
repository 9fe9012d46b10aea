/** 100,000 generated answers by three parsers, others each time; ANSWERS_SEED repeats the run whose seed a failure names. */
import { randomInt } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { testAnswers } from '../fixtures/answers.js'

const seed = Number(process.env['ANSWERS_SEED'] ?? randomInt(2 ** 30))
t.setTimeout(1_800_000)
await t.test(`100,000 answers from seed ${seed} are read by us as by Node, or refused`, (t) =>
  testAnswers(t, 100_000, seed),
)
