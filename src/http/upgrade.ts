/** A request to go on by another protocol: which of them the gateway knows, and what such a request may not have. */
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../core/errors.js'

/**
 * Whether it asks for a WebSocket; any other protocol is as if it were not asked for (RFC 9110 §7.8).
 * @throws {@link GatewayError} ERR_FRAMING_AMBIGUOUS — it has a body: where the next protocol begins can't be told
 */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
    const detail = 'A request for a WebSocket has no body.'
    throw new GatewayError('ERR_FRAMING_AMBIGUOUS', { detail })
  }
  return headers.upgrade?.toLowerCase() === 'websocket'
}
