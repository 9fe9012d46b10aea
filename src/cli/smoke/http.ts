/** Requests to a gateway from outside: no redirect is followed, so that no token goes where it was not meant to. */
import { Agent as PlainAgent, request as plainRequest } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import type { Milliseconds } from '../../core/clock.js'
import type { PublicUrl } from '../../core/public-url.js'

/** What is sent beside the path. */
export interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** One answer. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The first {@link maxText} bytes. */
  readonly text: string
  /** From the first byte sent to the last one received. */
  readonly milliseconds: Milliseconds
}

/** Asks for a path below the base path. @throws Unreachable */
export type Ask = (path: string, asking?: Asking) => Promise<Answer>

/** No whole answer came. */
export class Unreachable extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Unreachable'
  }
}

/** Bytes of an answer that are looked at. */
const maxText = 1024 * 1024

/** Codes by which OpenSSL says that it does not know who vouches for a certificate. */
const isUnknownAuthority = (code: string): boolean => /SELF_SIGNED|UNABLE_TO/.test(code)

function toUnreachable(error: NodeJS.ErrnoException, timeout: Milliseconds): Unreachable {
  if (error.name === 'TimeoutError' || error.name === 'AbortError') {
    return new Unreachable(`no whole answer in ${timeout / 1000} s`)
  }
  // Where a name has several addresses, each has its own failure, and the whole has a code but no text.
  const text = error.message === '' ? (error.code ?? error.name) : error.message
  return new Unreachable(
    isUnknownAuthority(error.code ?? '')
      ? `${text} (NODE_EXTRA_CA_CERTS=file names an authority of your own)`
      : text,
  )
}

/** Builds it for one gateway; connections are kept, as a browser or a client would. */
export function createAsk({ url, secure }: PublicUrl, timeout: Milliseconds) {
  const agent = secure ? new SecureAgent({ keepAlive: true }) : new PlainAgent({ keepAlive: true })
  const open = secure ? secureRequest : plainRequest
  const send = (path: string, { method = 'GET', headers = {}, body = '' }: Asking) =>
    new Promise<Answer>((resolve, reject) => {
      const began = performance.now()
      const signal = AbortSignal.timeout(timeout)
      const length = body === '' && method === 'GET' ? {} : { 'content-length': body.length }
      const options = { method, headers: { ...headers, ...length }, agent, signal }
      const request = open(url + path, options, (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          if (size < maxText) chunks.push(chunk)
          size += chunk.length
        })
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
            milliseconds: performance.now() - began,
          }),
        )
      })
      request.on('error', reject).end(body)
    })
  const ask: Ask = async (path, asking = {}) => {
    try {
      return await send(path, asking)
    } catch (error) {
      throw toUnreachable(error as NodeJS.ErrnoException, timeout)
    }
  }
  return { ask, close: () => agent.destroy() }
}

/** The object that an answer has as JSON; empty if it has none. */
export function jsonOf({ text }: Pick<Answer, 'text'>): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** An answer in words: status, our code and text if it is a refusal of ours, the request id. */
export function answerText(answer: Answer): string {
  const { status, headers } = answer
  const { code, message, request_id: id } = jsonOf(answer)
  if (typeof code === 'string' && code.startsWith('ERR_')) {
    return `${status} ${code}: ${String(message)} (request ${String(id)})`
  }
  const page = /ERR_[A-Z_]+/.exec(answer.text)?.[0]
  const to = headers.location === undefined ? '' : ` → ${headers.location}`
  if (page !== undefined) return `${status} ${page}${to}`
  return status >= 400 ? `${status}, which is not the gateway’s own answer` : `${status}${to}`
}
