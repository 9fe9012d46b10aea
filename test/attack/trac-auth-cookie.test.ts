/** Fact 0.15 of the conformance table: `trac_auth`, Trac’s own second session, reaches Trac in no spelling that Python would read. */
import { t } from '../fixtures/tap.js'
import { startAttacked } from '../fixtures/attacked.js'
import { ask } from '../fixtures/wire.js'

/** Python's http.cookies also takes spaces around `=`, and white space between pairs. */
const spellings = [
  'trac_auth=x',
  ' trac_auth=x',
  'trac_auth =x',
  'trac_auth= x',
  'a=b;trac_auth=x',
  'a=b trac_auth=x',
  'a=b\ttrac_auth=x',
  'a="b; trac_auth=x"',
  'a="b" trac_auth=x',
  ';trac_auth=x;',
  'trac_auth=x; trac_auth=y',
]

await t.test('trac_auth is taken out of Cookie, the others stay', async (t) => {
  const { gateway, upstream } = await startAttacked(t)
  for (const cookie of spellings) {
    await ask(gateway, 'GET /trac/wiki', [`Cookie: ${cookie}`, 'Cookie: trac_session=keep'])
    const sent = upstream.lastHeaders()['cookie'] ?? ''
    t.notMatch(sent, /trac_auth/, cookie)
    t.match(sent, /trac_session=keep/, cookie)
  }
})
