/** A message that cannot be read, sent behind one that is being answered, never becomes part of that answer. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Wire, requestText } from '../fixtures/wire.js'

await t.test('garbage behind a request never stands in the answer to that request', async (t) => {
  let finish = (): void => undefined
  const { gateway } = await stage(t, {
    upstream: 'raw',
    answer({ socket, text }) {
      if (!text.includes('\r\n\r\n')) return
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nbegin')
      finish = () => socket.write('x'.repeat(395))
    },
  })
  const wire = new Wire(gateway.port)
  wire.send(requestText(gateway, 'GET /trac/wiki', ['Connection: keep-alive']))
  await wire.until(() => wire.text.includes('begin'))
  wire.send('NOT HTTP AT ALL\r\n\r\n')
  await new Promise((resolve) => setImmediate(resolve))
  finish()
  const text = await wire.end()
  t.notMatch(text.slice(text.indexOf('begin')), /HTTP\/1\.1 400/)
})
