/** What `doctor` reads on Trac's page about itself. */
import { t } from '../fixtures/tap.js'
import { readAboutPage } from '../../src/app/doctor/trac-ini.js'

const read = (value: string): string | undefined =>
  readAboutPage(
    `<div id="config"><table><tr><th class="section">a</th><td class="name">B</td>` +
      `<td class="value">${value}</td></tr></table>`,
  )
    .get('a')
    ?.get('b')

await t.test('references are the characters that they stand for, and nothing else', (t) => {
  t.equal(read('<code>&lt;x&gt;</code> &amp; &quot;y&quot;'), '<x> & "y"')
  t.equal(read('&#228; &#xE4;'), 'ä ä')
  t.equal(read('&constructor; &toString;'), '&constructor; &toString;')
  t.equal(read(`&#${'9'.repeat(400)}; &#x110000;`), '\ufffd \ufffd', 'beyond all characters')
  t.end()
})
