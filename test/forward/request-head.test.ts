/** What goes out is one request, whatever its values hold. */
import { t } from '../fixtures/tap.js'
import { requestHead } from '../../src/forward/request-head.js'

const head = (path: string, headers: string[]) =>
  requestHead({ method: 'GET', path, headers, body: null, firstByte: 1, idle: 1 })

await t.test('writes target and fields as they are', async (t) => {
  t.equal(
    head('/a?b', ['Host', 'x', 'X-A', 'caf\xe9\t1']),
    'GET /a?b HTTP/1.1\r\nHost: x\r\nX-A: caf\xe9\t1\r\nConnection: keep-alive\r\n\r\n',
  )
})

// U+010D and U+010A would be CR and LF in latin1.
for (const odd of ['\r', '\n', '\0', '\x7f', '\x1f', '\u010d', '\u010a', '\u{1f600}']) {
  await t.test(`refuses ${JSON.stringify(odd)} in a value and in a target`, async (t) => {
    t.throws(() => head('/a', ['X-A', `a${odd}b`]), { code: 'ERR_INTERNAL' })
    t.throws(() => head(`/a${odd}`, []), { code: 'ERR_INTERNAL' })
  })
}
t.throws(() => head('/a b', []), { code: 'ERR_INTERNAL' }, 'a blank would end the target')
