/** The head of a GET in one text (RFC 9112 §3, §5). */
import { GatewayError } from '../core/errors.js'
import type { UpstreamRequest } from './connection.js'

/** What no target has, and no field line: written as latin1, U+010D would become a CR. */
const notInTarget = /[^\x21-\x7e]/
const nameForm = /^[\x21-\x7e]+$/
const valueForm = /^[\t\x20-\x7e\x80-\xff]*$/

/** A field line as it is written. */
interface Line {
  readonly name: string
  /** Undefined where the next one is another one anyhow. */
  readonly value: string | undefined
  /** In one piece, once it was needed a second time. */
  text: string | undefined
}

/** Lines of our own that are another one in each head: to look at their last value would be in vain. */
const changing: ReadonlySet<string> = new Set(['X-Request-Id', 'Traceparent', 'X-Trac-Signature'])

/** The lines of the last head, by their place: most of them are in the next one, too. As many as a head can have. */
const lastLines: Line[] = []

/** One text in one piece: V8 keeps a sum as its parts, and would go through them each time it is written. */
function inOnePiece({ name, value }: Line): string {
  return [name, ': ', value, '\r\n'].join('')
}

/**
 * Writes the head of a GET whose connection is kept. Names are tokens: they are our own, or Node's parser has read them.
 * @throws GatewayError ERR_INTERNAL — a target or a value would be more than one line
 */
export function requestHead({ path, headers }: UpstreamRequest): string {
  if (notInTarget.test(path)) throw new GatewayError('ERR_INTERNAL')
  let text = `GET ${path} HTTP/1.1\r\n`
  for (let i = 0, place = 0; i < headers.length; i += 2, place++) {
    const name = headers[i]!
    const value = headers[i + 1]!
    const line = lastLines[place]
    if (line?.value === value && line.name === name) {
      line.text ??= inOnePiece(line)
      text += line.text
    } else {
      if (!nameForm.test(name) || !valueForm.test(value)) throw new GatewayError('ERR_INTERNAL')
      lastLines[place] = { name, value: changing.has(name) ? undefined : value, text: undefined }
      text += `${name}: ${value}\r\n`
    }
  }
  // HTTP/1.0 servers close without it.
  return `${text}Connection: keep-alive\r\n\r\n`
}
