/** What is used of Node beside its documentation: by a real server and bytes on a socket. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { letGo, skipNoBody, takeHead } from '../../src/core/node-internals.js'
import { listen } from '../fixtures/listen.js'
import { until } from '../fixtures/until.js'

/** Sends two requests one after the other on one connection. @returns all bytes that came */
async function askTwice(
  t: Test,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer)
  const port = await listen(server)
  t.teardown(() => server.close())
  let received = ''
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.setEncoding('latin1').on('data', (text: string) => (received += text))
  for (const path of ['/1', '/2']) {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await until(() => received.includes(`body of ${path}`), 'the answer')
  }
  return received
}

await t.test('a head that is taken goes out once, and the connection goes on', async (t) => {
  const heads: (string | undefined)[] = []
  const closed: string[] = []
  const received = await askTwice(t, (request, response) => {
    const body = `body of ${request.url}`
    t.equal(takeHead(response, 1000), undefined, 'there is none yet')
    response.writeHead(200, ['Content-Length', String(body.length), 'X-One', 'é'])
    t.equal(takeHead(response, 10), undefined, 'it is longer')
    const head = takeHead(response, 1000)
    heads.push(head)
    t.equal(takeHead(response, 1000), undefined, 'it was taken')
    response.socket!.write(Buffer.from(head + body, 'latin1'))
    response.once('finish', () => closed.push(body))
    response.end()
  })
  t.equal(received, `${heads[0]}body of /1${heads[1]}body of /2`)
  t.match(heads[0], /^HTTP\/1\.1 200 OK\r\nContent-Length: 10\r\nX-One: é\r\n/)
  t.match(heads[0], /\r\n\r\n$/)
  await until(() => closed.length === 2, 'both are finished')
})

await t.test('after a body that is none is skipped, the connection goes on', async (t) => {
  const ended: (string | undefined)[] = []
  const closed: (string | undefined)[] = []
  await askTwice(t, (request, response) => {
    skipNoBody(request)
    request.once('end', () => ended.push(request.url))
    response.once('close', () => {
      letGo(request)
      closed.push(request.url)
    })
    response.end(`body of ${request.url}`)
  })
  await until(() => closed.length === 2, 'both are closed')
  t.strictSame(closed, ['/1', '/2'])
  t.strictSame(ended, [], 'Node takes no turns for it')
})
