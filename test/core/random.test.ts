/** Random text is of the length that was asked for, and never the same again. */
import { t } from '../fixtures/tap.js'
import { randomHex, randomText } from '../../src/core/random.js'

await t.test('no two texts are the same, over many fills of the pool', async (t) => {
  const texts = new Set<string>()
  for (let i = 0; i < 2000; i++) {
    texts.add(randomHex(16))
    texts.add(randomHex(8))
    texts.add(randomText(16))
  }
  t.equal(texts.size, 6000)
})

await t.test('the text is as long as its bytes', async (t) => {
  t.match(randomHex(16), /^[0-9a-f]{32}$/)
  t.match(randomText(16), /^[A-Za-z0-9_-]{22}$/)
})
