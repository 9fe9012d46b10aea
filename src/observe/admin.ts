/** The admin listener: probes, metrics and revocation, on an address of its own that is never public (deploy/docs/guides/operations.md#probes-and-metrics). */
import { timingSafeEqual, createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { GatewayError } from '../core/errors.js'
import type { Metrics } from './metrics.js'
import type { Readiness } from './readiness.js'

/** What was ended of a user, in the answer of `POST /revoke`. */
export interface Revoked {
  /** Whether it outlives a restart. */
  readonly durable: boolean
  /** Sessions that were open, as far as they are known where they were looked for. */
  readonly sessions: number
  readonly foundIn: 'redis' | 'memory'
  readonly refreshTokens: { readonly revoked: number; readonly failed: number }
  /** None: nobody was seen under that name. */
  readonly subjects: readonly { readonly issuer: string; readonly subject: string }[]
  /** Tokens issued until then are refused; an instant. */
  readonly before: number
}

/** What the listener serves. */
export interface AdminParts {
  readonly metrics: Metrics
  readonly readiness: Readiness
  /** Undefined: `POST /revoke` is off. */
  readonly token: string | undefined
  /** Ends everything of a user, and says what that was. */
  readonly revoke: (user: string) => Promise<Revoked>
  /** Brings gauges up to date before a scrape. */
  readonly beforeScrape: () => void
}

/** What whoever asks with another token is told; the CLI takes it from the configuration, so this is its usual cause. */
const wrongToken =
  'the token that came is not the admin.token which this gateway was started with: ask with the same configuration, or restart the gateway after a change of the token'

/** Bytes that the body of `POST /revoke` may have. */
const bodyLimit = 4096

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
  response.end(`${JSON.stringify(value)}\n`)
}

async function readUser(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request as AsyncIterable<Buffer>) {
    body += chunk.toString('utf8')
    if (body.length > bodyLimit) return ''
  }
  try {
    const { user } = JSON.parse(body) as { user?: unknown }
    return typeof user === 'string' ? user : ''
  } catch {
    return ''
  }
}

/** Creates the server; the caller lets it listen. */
export function createAdmin(parts: AdminParts): Server {
  const expected = parts.token === undefined ? undefined : digest(`Bearer ${parts.token}`)

  const revoke = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const given = digest(request.headers.authorization ?? '')
    if (expected === undefined || !timingSafeEqual(given, expected)) {
      response.setHeader('www-authenticate', 'Bearer realm="admin"')
      answer(response, 401, { error: 'unauthorized', message: wrongToken })
      return
    }
    const user = await readUser(request)
    if (user === '') answer(response, 400, { error: 'bad_request', message: 'send {"user": NAME}' })
    else {
      try {
        answer(response, 200, { revoked: user, ...(await parts.revoke(user)) })
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error
        // It counts in this process all the same, but that is not what was asked for.
        answer(response, error.status, { error: error.code, message: error.message })
      }
    }
  }
  const scrape = async (response: ServerResponse): Promise<void> => {
    parts.beforeScrape()
    const text = await parts.metrics.registry.metrics()
    response.writeHead(200, { 'content-type': parts.metrics.registry.contentType })
    response.end(text)
  }
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url } = request
    const reading = method === 'GET' || method === 'HEAD'
    if (reading && url === '/metrics') await scrape(response)
    else if (reading && url === '/healthz') answer(response, 200, { status: 'ok' })
    else if (reading && url === '/readyz') {
      const report = parts.readiness.report()
      answer(response, report.ready ? 200 : 503, report)
    } else if (method === 'POST' && url === '/revoke' && expected !== undefined) {
      await revoke(request, response)
    } else answer(response, 404, { error: 'not_found' })
  }
  return createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
}
