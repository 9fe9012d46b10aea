/** Ends connections on which nothing is asked for too long, whatever bytes are dripped to keep them open. */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Milliseconds, Timers } from '../core/clock.js'
import { isAnswering } from './pipelining.js'

/** A connection between two answers. */
interface Pause {
  /** Bytes that it had been sent when it was looked at. */
  written: number
  since: Milliseconds
}

/** How often connections are looked at. */
export const lookEvery: Milliseconds = 1000

/**
 * Watches the connections of a server. Node's keep-alive time starts afresh with every byte, also one that belongs to no
 * request: a line end between two of them, or the rest of a refused body.
 * @param longest how long nothing may be asked on a connection
 * @returns lets a connection out of the watch: it has become a tunnel
 */
export function watchIdleConnections(
  server: Server,
  longest: Milliseconds,
  timers: Timers,
): (socket: Socket) => void {
  const pauses = new Map<Socket, Pause>()
  const begin = (socket: Socket): void => {
    pauses.set(socket, { written: 0, since: timers.monotonic() })
    socket.once('close', () => pauses.delete(socket))
  }
  // Until TLS is agreed on there is no HTTP; that time has a limit of its own.
  server.on('key' in server ? 'secureConnection' : 'connection', begin)
  const timer = timers.setInterval(() => {
    const now = timers.monotonic()
    for (const [socket, pause] of pauses) {
      // An answer may have come and gone since the last look.
      if (isAnswering(socket) || socket.bytesWritten !== pause.written) {
        pause.written = socket.bytesWritten
        pause.since = now
      } else if (now - pause.since > longest) socket.destroy()
    }
  }, lookEvery)
  timer.unref()
  server.once('close', () => timers.clearInterval(timer))
  return (socket) => void pauses.delete(socket)
}
