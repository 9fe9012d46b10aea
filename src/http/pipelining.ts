/** Requests that a client sends ahead of their answers: each begins when the one before it is answered (RFC 9112 §9.3.2). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Handles one request; `upgradeSocket` is that of a WebSocket handshake. */
export type RequestHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  upgradeSocket?: Duplex,
) => void

/** Requests that one connection may send ahead; browsers send none, the boldest package managers ten. */
const maxWaiting = 100

/** The answer that is under way on a connection, if there is one. */
export function answerOf(socket: Duplex): ServerResponse | undefined {
  // Node keeps it there, and null between two of them.
  const answer = Reflect.get(socket, '_httpMessage') as ServerResponse | null | undefined
  return answer ?? undefined
}

/**
 * Wraps a handler so that a connection has one request under way. Node hands over at once what was sent ahead, and
 * never tells those behind that their connection ended: one client would hold as many upstream connections as it likes.
 */
export function inOrder(hand: RequestHandler): RequestHandler {
  const waiting = new WeakMap<Duplex, number>()
  return (request, response) => {
    // Node gives the connection to the answer whose turn it is.
    if (response.socket !== null) {
      hand(request, response)
      return
    }
    const { socket } = request
    const behind = (waiting.get(socket) ?? 0) + 1
    waiting.set(socket, behind)
    if (behind > maxWaiting) {
      socket.destroy()
      return
    }
    response.once('socket', () => {
      waiting.set(socket, (waiting.get(socket) ?? 1) - 1)
      // Not before Node has finished joining the two.
      process.nextTick(() => {
        if (!response.destroyed) hand(request, response)
      })
    })
  }
}
