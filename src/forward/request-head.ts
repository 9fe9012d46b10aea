/** The head of a GET in one text (RFC 9112 §3, §5). */
import { GatewayError } from '../core/errors.js'
import type { UpstreamRequest } from './connection.js'

/** What no target has, and no field value: written as latin1, U+010D would become a CR. */
const notInTarget = /[^\x21-\x7e]/
const notInValue = /[^\t\x20-\x7e\x80-\xff]/

/**
 * Writes the head of a GET whose connection is kept. Names are tokens: they are our own, or Node's parser has read them.
 * @throws GatewayError ERR_INTERNAL — a target or a value would be more than one line
 */
export function requestHead({ path, headers }: UpstreamRequest): string {
  if (notInTarget.test(path)) throw new GatewayError('ERR_INTERNAL')
  let text = `GET ${path} HTTP/1.1\r\n`
  for (let i = 0; i < headers.length; i += 2) {
    const value = headers[i + 1]!
    if (notInValue.test(value)) throw new GatewayError('ERR_INTERNAL')
    text += `${headers[i]}: ${value}\r\n`
  }
  // HTTP/1.0 servers close without it.
  return `${text}Connection: keep-alive\r\n\r\n`
}
