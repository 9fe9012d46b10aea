/** The HMAC of the signature: equal to Node's own for every key and every text. */
import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { createHmacSha256 } from '../../src/core/hmac.js'

const nodes = (secret: string, text: string): string =>
  createHmac('sha256', secret).update(text, 'utf8').digest('base64url')

const anyText = (maxLength: number) => fc.string({ unit: 'binary', maxLength })

await t.test('it is the one that createHmac makes, key by key and text by text', (t) => {
  const texts = fc.array(anyText(300), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(anyText(200), texts, (secret, several) => {
      const hmac = createHmacSha256(secret)
      // One after the other, the short one after the long one: nothing of a text stays for the next.
      for (const text of several) if (hmac(text) !== nodes(secret, text)) return false
      return true
    }),
    { numRuns: 2000 },
  )
  t.end()
})

await t.test('keys and texts about the lengths where it changes its way are no exception', (t) => {
  for (const length of [0, 1, 32, 63, 64, 65, 128]) {
    const secret = 'k'.repeat(length)
    const hmac = createHmacSha256(secret)
    for (const size of [0, 1, 55, 56, 63, 64, 4095, 4096, 4097, 20_000]) {
      for (const character of ['x', 'é', '€', '\ud800', '🦊']) {
        const text = character.repeat(size)
        t.equal(hmac(text), nodes(secret, text), `${length} and ${size}`)
      }
    }
  }
  t.end()
})
