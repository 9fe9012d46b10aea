/** A connection of our own against a server that speaks out of turn. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { realTimers } from '../../src/core/clock.js'
import { OwnConnection } from '../../src/forward/own-connection.js'
import { Ticks } from '../../src/forward/ticks.js'
import { listen } from '../fixtures/listen.js'
import { t } from '../fixtures/tap.js'

const answer = (text: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`

const heads: string[] = []
const sockets: Socket[] = []
const server = createServer((socket) => {
  sockets.push(socket)
  socket.setNoDelay(true).setEncoding('latin1')
  socket.on('error', () => undefined)
  socket.on('data', (head: string) => {
    heads.push(head)
    socket.write(answer('asked'))
  })
})
const port = await listen(server)
t.teardown(() => {
  for (const socket of sockets) socket.destroy()
  server.close()
})

function open(): OwnConnection {
  return new OwnConnection({
    address: { kind: 'tcp', url: '', tls: false, host: '127.0.0.1', port, serverName: '' },
    connectTimeout: 5000,
    dropsInterim: () => true,
    ticks: new Ticks(realTimers, () => undefined),
    onClosed: () => undefined,
  })
}

/** Asks on it; what came of it is the body, or the fault. */
function ask(connection: OwnConnection): Promise<string> {
  return new Promise((resolve) => {
    let body = ''
    const request = { method: 'GET', path: '/', headers: ['Host', 'trac'], body: null }
    connection.send(
      { ...request, firstByte: 5000, idle: 5000 },
      {
        onHead: () => undefined,
        onData: (bytes) => ((body += bytes.toString('latin1')), true),
        onLull: () => undefined,
        onEnd: () => resolve(body),
        onFault: (error) => resolve(`${error.message}: ${String(error.cause)}`),
      },
    )
  })
}

/** Holds this process up, so that what was written meanwhile waits for it. */
function holdUp(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

await t.test('bytes before its head is written are no answer to a request', async (t) => {
  const connection = open()
  t.equal(await ask(connection), 'asked')
  t.equal(heads.length, 1)
  // A timer comes before what has arrived is read, and what is asked in it is written after.
  await pause(1)
  sockets[0]!.write(answer('poison'))
  holdUp(20)
  const what = ask(connection)
  t.equal(connection.isAlive, false, 'it has a request')
  t.match(await what, /nobody asked for/)
  t.equal(connection.isUntouched, true, 'so that it is asked again on another one')
  t.equal(heads.length, 1, 'the head never went out')
  t.equal(connection.isAlive, false)
})

await t.test('bytes while nothing is asked end it', async (t) => {
  const connection = open()
  t.equal(await ask(connection), 'asked')
  sockets.at(-1)!.write('poison')
  await once(sockets.at(-1)!, 'close')
  t.equal(connection.isAlive, false)
})
