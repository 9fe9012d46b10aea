/** One value has one spelling. */
import { t } from '../fixtures/tap.js'
import { isCanonicalCompact } from '../../src/core/base64url.js'

await t.test('only parts that decode without loss are canonical', async (t) => {
  const cases: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['YQ', true],
    ['YQ..YWI', true],
    ['YR', false],
    ['YQ.YR', false],
    ['YQ==', false],
    ['Y', false],
    ['+/8', false],
    ['YQ YQ', false],
  ]
  for (const [text, expected] of cases) t.equal(isCanonicalCompact(text), expected, text)
})
