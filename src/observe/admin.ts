/** The admin listener: status, probes, metrics and revocation, on an address of its own that is never public (deploy/docs/guides/operations.md#probes-and-metrics). */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { GatewayError } from '../core/errors.js'
import { isSameText } from '../core/same-text.js'
import { withoutBrackets } from '../core/host.js'
import { isRead } from '../core/methods.js'
import { openMetricsType, takesOpenMetrics } from './exemplars.js'
import type { Readiness } from './readiness.js'

/** What was ended of a user, in the answer of `POST /revoke`. */
export interface Revoked {
  /** Whether it outlives a restart. */
  readonly durable: boolean
  /** Sessions that were open, as far as they are known where they were looked for. */
  readonly sessions: number
  readonly foundIn: 'redis' | 'memory'
  readonly refreshTokens: { readonly revoked: number; readonly failed: number }
  /** Personal tokens that are gone. */
  readonly personalTokens: number
  /** None: nobody was seen under that name. */
  readonly subjects: readonly { readonly issuer: string; readonly subject: string }[]
  /** Tokens issued until then are refused; an instant. */
  readonly before: number
}

/** Who asks for the status, and in which form. */
export interface StatusAsker {
  /** Whether `admin.token` came along. */
  readonly isOperator: boolean
  /** A page for a person; else JSON. */
  readonly wantsPage: boolean
}

/** The answer to it; `headers` is a flat list of names and values. */
export interface StatusAnswer {
  readonly headers: readonly string[]
  readonly body: string
}

/** What is scraped. */
export interface Scraped {
  metrics(): Promise<string>
  readonly contentType: string
}

/** What the listener serves. */
export interface AdminParts {
  /** Host names by which it may be asked, beside addresses and `localhost`; in lower case. */
  readonly hosts: ReadonlySet<string>
  /** Says how it stands. */
  readonly status: (asker: StatusAsker) => Promise<StatusAnswer>
  readonly metrics: { readonly registry: Scraped }
  /** Makes OpenMetrics, with exemplars, of the text of a scrape; undefined: there are none. */
  readonly openMetrics?: ((text: string) => string) | undefined
  readonly readiness: Pick<Readiness, 'report'>
  /** Undefined: all commands (`POST /revoke`, …) are off. */
  readonly token: string | undefined
  /** Does what an operator wants of the registry of names. @throws {@link GatewayError} ERR_STORE_UNAVAILABLE */
  readonly names: (command: NameCommand) => Promise<NameReport>
  /** Ends everything of a user, and says what that was. */
  readonly revoke: (user: string) => Promise<Revoked>
  /** Says what would become of a request. @throws {@link GatewayError} ERR_BODY_MALFORMED — the question makes no sense */
  readonly explain: (question: unknown) => Promise<unknown>
  /** Waits for a request that is announced by a value, or tells what arrived of it; undefined: that is no value. */
  readonly arrival: (value: unknown) => object | undefined | Promise<object | undefined>
  /** Brings gauges up to date before a scrape. */
  readonly beforeScrape: () => void
}

/** What whoever asks with another token is told; the CLI takes it from the configuration, so this is its usual cause. */
const wrongToken =
  'the token that came is not the admin.token which this gateway was started with: ask with the same configuration, or restart the gateway after a change of the token'

/** A name as it goes over the admin listener; without issuer and `sub` it is reserved. */
export interface PlainName {
  readonly name: string
  readonly issuer?: string
  readonly sub?: string
}

/** What `POST /names` takes. */
export type NameCommand =
  | { readonly do: 'list' }
  | { readonly do: 'reserve'; readonly names: readonly string[] }
  | { readonly do: 'release'; readonly name: string }
  | { readonly do: 'releaseIssuer'; readonly issuer: string }
  | { readonly do: 'import'; readonly entries: readonly PlainName[] }

/** What it answers: the names, or what became of each. */
export type NameReport =
  | { readonly names: readonly PlainName[] }
  | {
      readonly outcomes: readonly {
        readonly name: string
        readonly done: boolean
        readonly why?: string
      }[]
    }

/** Bytes that the body of `POST /revoke` may have. */
const bodyLimit = 4096
/** That of `POST /explain`: a request with all its headers. */
const questionLimit = 256 * 1024
/** And that of `POST /names`: a thousand names of an import. */
const namesBodyLimit = 1024 * 1024

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
  response.end(`${JSON.stringify(value)}\n`)
}

/** The JSON of a body; undefined if it is none, or too long. */
async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > limit) return undefined
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

async function readUser(request: IncomingMessage): Promise<string> {
  const body = await readJson(request, bodyLimit)
  const user = isObject(body) ? body['user'] : undefined
  return typeof user === 'string' ? user : ''
}

const maxNameLength = 255
const isName = (value: unknown): value is string =>
  typeof value === 'string' &&
  value !== '' &&
  Array.from(value).length <= maxNameLength &&
  !/[\p{Cc}\p{Cs}]/u.test(value)
const isOptionalText = (value: unknown): boolean =>
  value === undefined || (typeof value === 'string' && value !== '')

/** Issuer and `sub` both, or neither: then the name is reserved. */
const isPlainName = (value: unknown): boolean =>
  isObject(value) &&
  isName(value['name']) &&
  isOptionalText(value['issuer']) &&
  isOptionalText(value['sub']) &&
  (value['issuer'] === undefined) === (value['sub'] === undefined)

/** Each command with what must stand beside it. */
const commandForms: Readonly<Record<string, (body: Readonly<Record<string, unknown>>) => boolean>> =
  {
    list: () => true,
    reserve: ({ names }) => Array.isArray(names) && names.length > 0 && names.every(isName),
    release: ({ name }) => isName(name),
    releaseIssuer: ({ issuer }) => typeof issuer === 'string' && issuer !== '',
    import: ({ entries }) => Array.isArray(entries) && entries.every(isPlainName),
  }

async function readCommand(request: IncomingMessage): Promise<NameCommand | undefined> {
  const body = await readJson(request, namesBodyLimit)
  if (!isObject(body) || typeof body['do'] !== 'string') return undefined
  const { do: name } = body
  if (!Object.hasOwn(commandForms, name) || commandForms[name]?.(body) !== true) return undefined
  // Its form has just been looked at.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return body as unknown as NameCommand
}

/**
 * Whether it may be asked by this `Host`. A page elsewhere whose name was made to lead here would read the answers as its
 * own (DNS rebinding); it cannot be named by an address, and no browser leaves `Host` out.
 */
function isOurHost(host: string | undefined, hosts: ReadonlySet<string>): boolean {
  if (host === undefined) return true
  const name = withoutBrackets(host.replace(/:\d*$/, '')).toLowerCase()
  return isIP(name) !== 0 || name === 'localhost' || hosts.has(name)
}

const misdirected = {
  error: 'misdirected_request',
  message:
    'the Host that came is no address, not localhost, and not in admin.hosts: ask by address, or write the name there',
}

function refuseToken(response: ServerResponse): void {
  response.setHeader('www-authenticate', 'Bearer realm="admin"')
  answer(response, 401, { error: 'unauthorized', message: wrongToken })
}

/** Creates the server; the caller lets it listen. */
export function createAdmin(parts: AdminParts): Server {
  const expected = parts.token === undefined ? undefined : `Bearer ${parts.token}`

  const mayCommand = (request: IncomingMessage): boolean =>
    expected !== undefined && isSameText(request.headers.authorization ?? '', expected)

  /** Answers what `work` gives, or why it could not be done. */
  const answerWork = async (response: ServerResponse, work: () => Promise<unknown>) => {
    try {
      answer(response, 200, await work())
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      // It may count in this process all the same, but that is not what was asked for.
      answer(response, error.status, { error: error.code, message: error.message })
    }
  }
  const revoke = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const user = await readUser(request)
    if (user === '') answer(response, 400, { error: 'bad_request', message: 'send {"user": NAME}' })
    else await answerWork(response, async () => ({ revoked: user, ...(await parts.revoke(user)) }))
  }
  const names = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const command = await readCommand(request)
    if (command === undefined) {
      const message = `send {"do": ${Object.keys(commandForms).join(' | ')}, …}`
      answer(response, 400, { error: 'bad_request', message })
    } else await answerWork(response, () => parts.names(command))
  }
  const explain = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // It tells of people, and may have come with a token.
    response.setHeader('cache-control', 'no-store')
    const question = await readJson(request, questionLimit)
    await answerWork(response, () => parts.explain(question))
  }
  const arrival = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readJson(request, bodyLimit)
    const told = isObject(body) ? await parts.arrival(body['arrival']) : undefined
    if (told !== undefined) answer(response, 200, told)
    else answer(response, 400, { error: 'bad_request', message: 'send {"arrival": RANDOM TEXT}' })
  }
  const commands: Readonly<Record<string, typeof revoke>> = {
    '/arrival': arrival,
    '/revoke': revoke,
    '/names': names,
    '/explain': explain,
  }
  const scrape = async (accept: string, response: ServerResponse): Promise<void> => {
    parts.beforeScrape()
    const text = await parts.metrics.registry.metrics()
    const { openMetrics } = parts
    const isOpen = openMetrics !== undefined && takesOpenMetrics(accept)
    const type = isOpen ? openMetricsType : parts.metrics.registry.contentType
    response.writeHead(200, { 'content-type': type, vary: 'Accept' })
    response.end(isOpen ? openMetrics(text) : text)
  }
  const status = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { authorization, accept = '' } = request.headers
    const isOperator = mayCommand(request)
    // Who means to see names should not have to find out why there are none.
    if (expected !== undefined && authorization !== undefined && !isOperator) {
      refuseToken(response)
      return
    }
    const wantsPage = accept.includes('text/html') || !accept.includes('application/json')
    const { headers, body } = await parts.status({ isOperator, wantsPage })
    response.writeHead(200, [...headers, 'Cache-Control', 'no-store', 'Vary', 'Accept'])
    response.end(body)
  }
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url } = request
    const reading = isRead(method ?? '')
    if (!isOurHost(request.headers.host, parts.hosts)) answer(response, 421, misdirected)
    else if (reading && url === '/') await status(request, response)
    else if (reading && url === '/metrics') await scrape(request.headers.accept ?? '', response)
    else if (reading && url === '/healthz') answer(response, 200, { status: 'ok' })
    else if (reading && url === '/readyz') {
      const report = parts.readiness.report()
      answer(response, report.ready ? 200 : 503, report)
    } else if (method === 'POST' && expected !== undefined && Object.hasOwn(commands, url ?? '')) {
      if (mayCommand(request)) {
        await commands[url ?? '']?.(request, response)
        return
      }
      refuseToken(response)
    } else answer(response, 404, { error: 'not_found' })
  }
  return createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
}
