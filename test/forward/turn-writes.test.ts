/** Heads of one turn go out at its end, each to its own socket. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { writeAtEndOfTurn } from '../../src/forward/turn-writes.js'
import { listen } from '../fixtures/listen.js'
import { t } from '../fixtures/tap.js'

const server = createServer((socket) => socket.pipe(socket))
const port = await listen(server)

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  await once(socket, 'connect')
  return socket
}

const write = (socket: Socket, head: string) =>
  writeAtEndOfTurn({ writeNow: () => void socket.write(head, 'latin1') })

const [one, two, gone] = [await open(), await open(), await open()]
t.teardown(() => {
  for (const socket of [one, two, gone]) socket.destroy()
  server.close()
})

await t.test('each head goes to its socket, and none before the turn ends', async (t) => {
  write(one, 'GET /one\r\n')
  await Promise.resolve()
  write(two, 'GET /\xe9\r\n')
  t.strictSame([one.bytesWritten, two.bytesWritten], [0, 0])
  await nextTurn()
  t.strictSame([one.bytesWritten, two.bytesWritten], [10, 8])
  t.strictSame(
    [(await once(one, 'data'))[0], (await once(two, 'data'))[0]],
    ['GET /one\r\n', 'GET /\xe9\r\n'],
  )
})

await t.test('a socket that is closed by then keeps nobody from the others', async (t) => {
  gone.on('error', (error) => t.fail(String(error)))
  write(gone, 'GET /gone\r\n')
  write(one, 'GET /two\r\n')
  gone.destroy()
  t.strictSame(await once(one, 'data'), ['GET /two\r\n'])
  t.equal(gone.bytesWritten, 0)
})
