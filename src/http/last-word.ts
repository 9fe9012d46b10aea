/** Ends a connection so that its client can read the last word, and then lets go of it (RFC 9112 §9.6). */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Milliseconds, Timers } from '../core/clock.js'

/** How long a client may be silent before its half of the connection is closed, too. */
const silence: Milliseconds = 2000
/** How long what it still sends is read and thrown away, in all. */
const longest: Milliseconds = 10_000

/**
 * Says a last word and closes our half. What the client still sends is thrown away: closed at once, the kernel would
 * answer it with a reset, and the client would lose the answer that it has not read yet.
 */
export function endSoon(socket: Duplex, timers: Timers, lastWord = ''): void {
  // An upgraded socket is a duplex by its type alone.
  const { bytesRead } = socket as Socket
  let bytes = bytesRead
  const startedAt = timers.monotonic()
  const look = (): void => {
    const left = startedAt + longest - timers.monotonic()
    const { bytesRead: seen } = socket as Socket
    if (seen === bytes || left <= 0) {
      socket.destroy()
      return
    }
    bytes = seen
    wait(Math.min(silence, left))
  }
  const wait = (span: Milliseconds): void => {
    timer = timers.setTimeout(look, span)
    timer.unref()
  }
  let timer: ReturnType<Timers['setTimeout']> | undefined
  socket.end(lastWord)
  wait(silence)
  socket.once('close', () => timers.clearTimeout(timer))
}
