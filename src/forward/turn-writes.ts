/**
 * Heads of requests that become ready in one turn of the event loop go out together at its end. An upstream that rests is
 * woken for the first of them, and is still awake for the others; to wake it is most of what a write costs.
 */
import type { Socket } from 'node:net'

let heads: { readonly socket: Socket; readonly head: string }[] = []

function writeAll(): void {
  const ready = heads
  heads = []
  for (const { socket, head } of ready) socket.write(head, 'latin1')
}

/** Writes a head at the end of this turn; to a socket that is closed by then it goes nowhere. */
export function writeAtEndOfTurn(socket: Socket, head: string): void {
  if (heads.push({ socket, head }) === 1) setImmediate(writeAll)
}
