/** What undici can't be told: a socket that outlives a fault of writing, and one that skips an answer nobody asked for. */
import type { Socket } from 'node:net'

/** What a Writable hands to its own writing, last of all: to be called when that is done. */
type Written = (error?: Error | null) => void
type Write = (...parts: unknown[]) => void

/**
 * Takes a fault of writing for the end of writing alone. An upstream that answers before it has read a body, and closes,
 * makes the next write fail while its answer waits to be read (RFC 9112 §9.6); Node would destroy the socket with it.
 */
export function outliveWriteFaults(socket: Socket): void {
  let isBroken = false
  for (const name of ['_write', '_writev']) {
    const write = (Reflect.get(socket, name) as Write).bind(socket)
    const forgiving: Write = (...parts) => {
      const written = parts.pop() as Written
      // Whatever comes after a fault goes nowhere, as fast as it comes.
      if (isBroken) written()
      else {
        write(...parts, (error?: Error | null) => {
          isBroken ||= error !== undefined && error !== null
          written()
        })
      }
    }
    Reflect.set(socket, name, forgiving)
  }
}

/** Whether an answer's head is waited for: what comes then may be an interim answer. */
export interface AwaitsHead {
  awaitsHead: boolean
}

/** Which interim answers are dropped: by their status, and by the beginning of their bytes. */
export interface InterimRule {
  readonly drops: (status: number) => boolean
  readonly bytes: RegExp
}

/** No server of Trac sends any but 100: what follows another one there can't be told from the next answer. */
const ofTrac: InterimRule = {
  drops: (status) => status === 100,
  bytes: /^HTTP\/1\.[01] 100[ \r]/,
}
/** After a 101 another protocol is spoken. */
const ofOthers: InterimRule = {
  drops: (status) => status < 200 && status !== 101,
  bytes: /^HTTP\/1\.[01] 1(?!01)\d\d[ \r]/,
}

/** The rules for Trac and for other upstreams. */
export const interim = { trac: ofTrac, others: ofOthers } as const

/** As many bytes as say what an answer is. */
const shortest = 'HTTP/1.1 100 '.length
const begin = 'HTTP/1.'
const end = Buffer.from('\r\n\r\n')
/** Bytes that the head of an interim answer may have; what is longer is left to the parser. */
const maxHead = 16_384

/** Takes interim answers off the beginning of bytes; undefined while it can't be told yet. */
function skipInterim(bytes: Buffer, dropped: RegExp): Buffer | undefined {
  for (let rest = bytes; ;) {
    const start = rest.toString('latin1', 0, shortest)
    if (start.length < shortest) {
      const isOpen = begin.startsWith(start) || start.startsWith(begin)
      return isOpen ? undefined : rest
    }
    if (!dropped.test(start)) return rest
    const at = rest.indexOf(end)
    if (at < 0) return rest.length > maxHead ? rest : undefined
    rest = rest.subarray(at + end.length)
  }
}

/**
 * Drops interim answers that nobody asked for and awaits the answer (RFC 9110 §15.2): undici would end the connection at a
 * 100, and let its time start afresh with each other one.
 */
export function dropInterim(socket: Socket, state: AwaitsHead, dropped: RegExp): void {
  const read = socket.read.bind(socket)
  let held: Buffer | undefined
  socket.read = (size?: number): unknown => {
    const chunk = read(size) as Buffer | null
    if (chunk === null || !state.awaitsHead) return chunk
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk])
    const rest = skipInterim(bytes, dropped)
    state.awaitsHead = rest === undefined
    held = rest === undefined ? bytes : undefined
    return rest ?? null
  }
}
