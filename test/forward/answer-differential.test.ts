/** Our own parser of answers beside Node's and undici's; 100,000 answers in test/long/answers. */
import { t } from '../fixtures/tap.js'
import { testAnswers } from '../fixtures/answers.js'

await t.test('takes no answer that Node or undici refuses, and reads the same as they', (t) =>
  testAnswers(t, 2000, 13),
)
