/** HTTP Basic as it is read: byte for byte. */
import { t } from '../fixtures/tap.js'
import { readBasic } from '../../src/authenticate/basic.js'

const read = (text: string) => {
  const basic = readBasic(`Basic ${Buffer.from(text).toString('base64')}`)
  return basic === undefined ? undefined : [basic.user, basic.password.token]
}

await t.test('name and password are what was sent', (t) => {
  t.same(read('sam:a:b'), ['sam', 'a:b'])
  t.same(read('Änne:ü'), ['Änne', 'ü'])
  t.same(read(':'), ['', ''])
  t.same(read('\ufeffsam:a'), ['\ufeffsam', 'a'], 'a byte order mark is a character')
  t.equal(read('sam'), undefined)
  t.equal(readBasic('Basic /w=='), undefined, 'no UTF-8')
  t.equal(readBasic('Basic'), undefined)
  t.end()
})
