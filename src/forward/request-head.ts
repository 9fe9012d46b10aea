/** The head of a GET in one text (RFC 9112 §3, §5). */
import { GatewayError } from '../core/errors.js'
import type { UpstreamRequest } from './connection.js'

/** What no target has, and no field line: written as latin1, U+010D would become a CR. */
const notInTarget = /[^\x21-\x7e]/
const lineForm = /^[\x21-\x7e]+: [\t\x20-\x7e\x80-\xff]*\r\n$/

/** A field line as it is written. */
interface Line {
  readonly name: string
  readonly value: string
  readonly text: string
}

/** The lines of the last head, by their place: most of them are in the next one, too. As many as a head can have. */
const lastLines: Line[] = []

/** @throws GatewayError ERR_INTERNAL — it would be more than one line */
function makeLine(name: string, value: string): Line {
  const text = `${name}: ${value}\r\n`
  if (!lineForm.test(text)) throw new GatewayError('ERR_INTERNAL')
  return { name, value, text }
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
    let line = lastLines[place]
    if (line === undefined || line.value !== value || line.name !== name) {
      line = makeLine(name, value)
      lastLines[place] = line
    }
    text += line.text
  }
  // HTTP/1.0 servers close without it.
  return `${text}Connection: keep-alive\r\n\r\n`
}
