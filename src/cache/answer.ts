/** Answers a request with a file that is kept: the whole, a part, or that it did not change (RFC 9110 §13, §14, §15). */
import type { Milliseconds } from '../core/clock.js'
import type { RequestContext } from '../request/context.js'
import { acceptedCodings } from '../request/accept-encoding.js'
import type { Route } from '../request/route.js'
import { hasTag, isUnchangedSince, matchesIfRange, rangeOf, readConditions } from './conditions.js'
import type { ByteRange, Conditions } from './conditions.js'
import type { Form, KeptFile } from './store.js'

/** What is sent: a form, or a part of the plain one; or no body. */
interface Choice {
  readonly status: 200 | 206 | 304 | 416
  readonly form: Form
  readonly part?: ByteRange
}

/** The forms that the client takes, best first; the plain one is always among them. */
function formsFor({ compressed, identity }: KeptFile, acceptEncoding: string): readonly Form[] {
  if (compressed.length === 0) return [identity]
  const accepted = acceptedCodings(acceptEncoding)
  const fits = ({ coding }: Form) => coding !== 'identity' && accepted[coding]
  return [...compressed.filter(fits), identity]
}

/** The form that the client has already; undefined if it has none of these. */
function formAtClient(
  forms: readonly Form[],
  { ifNoneMatch, ifModifiedSince }: Conditions,
  { terms }: KeptFile,
): Form | undefined {
  if (ifNoneMatch !== '') return forms.find(({ etag }) => hasTag(ifNoneMatch, etag))
  return isUnchangedSince(ifModifiedSince, terms.lastModified) ? forms[0] : undefined
}

function choose(context: RequestContext, file: KeptFile): Choice {
  const conditions = readConditions(context.request.rawHeaders)
  const forms = formsFor(file, context.headers.acceptEncoding)
  const known = formAtClient(forms, conditions, file)
  if (known !== undefined) return { status: 304, form: known }
  const { identity, terms, checkedAt } = file
  const { range, ifRange } = conditions
  const asksForPart =
    range !== '' &&
    context.method === 'GET' &&
    matchesIfRange(ifRange, identity.etag, terms.lastModified, checkedAt)
  const part = asksForPart ? rangeOf(range, identity.bytes.length) : 'whole'
  if (part === 'whole') return { status: 200, form: forms[0]! }
  if (part === 'unsatisfiable') return { status: 416, form: identity }
  return { status: 206, form: identity, part }
}

/** Whether everybody gets it, signed in or not: then others may keep it, too. */
const isOpen = ({ access, require }: Route): boolean =>
  require === undefined && (access === 'public' || access === 'optional')

/** What browsers are told. Where somebody may lose the right to a file, the gateway is asked every time. */
function cacheControl(context: RequestContext, browser: Milliseconds): string {
  if (context.setCookies.length > 0) return 'no-store'
  return isOpen(context.route)
    ? `public, max-age=${Math.floor(browser / 1000)}`
    : 'private, no-cache'
}

/** Headers that tell of a body; an answer without the body has none of them. */
function isOfBody(name: string): boolean {
  return name.toLowerCase().startsWith('content-')
}

function withoutBodyHeaders(list: readonly string[]): readonly string[] {
  return list.filter((_, i) => !isOfBody(list[i - (i % 2)]!))
}

/**
 * Writes the answer.
 * @param browser how long a browser may use it without asking
 * @param age how old the file is
 */
export function answerWith(
  context: RequestContext,
  file: KeptFile,
  browser: Milliseconds,
  age: Milliseconds,
): void {
  const { response } = context
  if (response.destroyed) return
  const { status, form, part } = choose(context, file)
  const { bytes } = form
  const common = context.isAmbient ? file.headersByCookie : file.headers
  const hasBody = status === 200 || status === 206
  const list = [
    'X-Request-Id',
    context.id,
    ...(hasBody ? common : withoutBodyHeaders(common)),
    ...(status === 416 ? [] : ['ETag', form.etag]),
    'Cache-Control',
    status === 416 ? 'no-store' : cacheControl(context, browser),
    'Age',
    String(Math.floor(age / 1000)),
  ]
  if (file.isCompressible) list.push('Vary', 'Accept-Encoding')
  if (status !== 304) list.push('Accept-Ranges', 'bytes')
  if (form.coding !== 'identity' && hasBody) list.push('Content-Encoding', form.coding)
  let body = bytes
  if (part !== undefined) {
    body = bytes.subarray(part.start, part.end + 1)
    list.push('Content-Range', `bytes ${part.start}-${part.end}/${bytes.length}`)
  }
  if (status === 416) list.push('Content-Range', `bytes */${bytes.length}`, 'Content-Length', '0')
  if (hasBody) list.push('Content-Length', String(body.length))
  for (const cookie of context.setCookies) list.push('Set-Cookie', cookie)
  response.writeHead(status, list)
  response.end(hasBody && context.method !== 'HEAD' ? body : undefined)
}
