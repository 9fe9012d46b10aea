/**
 * What Node keeps on its messages without saying so in its documentation: Node 20 to 24 have it alike. A Node that has it no
 * more is served by its public ways, at their cost.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** The head as `writeHead` has made it, null before; and whether it has gone out. */
interface OutgoingHead {
  readonly _header?: string | null
  _headerSent?: boolean
}

/** Whether nobody reads the body. */
interface IncomingBody {
  _dumped?: boolean
}

/** A connection and its parser. */
interface Parsed {
  readonly parser?: { incoming: IncomingMessage | null } | null
}

/**
 * Takes the head of an answer, which the caller writes to the socket before anything else; Node holds it for sent from now on.
 * @returns undefined if there is none to be sent, or if it is longer than `most` characters
 */
export function takeHead(response: ServerResponse, most: number): string | undefined {
  const own = response as OutgoingHead
  const { _header: head } = own
  if (typeof head !== 'string' || own._headerSent !== false || head.length > most) return undefined
  own._headerSent = true
  return head
}

/**
 * Node need not read to the end of a body that is none: that takes four turns of its streams. It is to be let go of with
 * {@link letGo} then.
 */
export function skipNoBody(request: IncomingMessage): void {
  ;(request as IncomingBody)._dumped = true
}

/**
 * Has the connection forget a request that is answered. Node does so at the end of its body; one that was skipped, and all
 * that hangs on it, would be kept until the next request comes.
 */
export function letGo(request: IncomingMessage): void {
  const { parser } = request.socket as Parsed
  if (request.complete && parser?.incoming === request) parser.incoming = null
}
