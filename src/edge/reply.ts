/** Writes every answer that is not an upstream's: page, redirect, or JSON with its challenge (RFC 6750 §3). */
import type { PageAction, PageContent, PageFact, Pages, Paragraph } from './page.js'
import { GatewayError, errors } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'
import type { Milliseconds } from '../core/clock.js'
import { isRead } from '../core/methods.js'
import type { PublicUrl } from '../core/public-url.js'
import type { RequestContext } from '../request/context.js'
import { environmentLink } from '../request/environment.js'
import type { RequestHeaders } from '../request/headers.js'
import { acceptLanguageOf, chooseLanguage } from '../request/accept-language.js'
import { english, languageBy, languageTags } from '../texts/languages.js'
import type { Language } from '../texts/languages.js'
import type { TextKey } from '../texts/en.js'
import { isPage } from '../trac/pages.js'

/** What every answer depends on. */
export interface ReplyOptions {
  readonly address: PublicUrl
  /** `Strict-Transport-Security` of every answer; undefined for none. */
  readonly hsts: string | undefined
  /** Origins that the logout form may be redirected to. */
  readonly formTargets: readonly string[]
  readonly pages: Pages
  /** Whom people may ask (`pages.contact`). */
  readonly contact: string | undefined
}

/** A flat list of names and values, as Node writes it. */
export type HeaderList = readonly string[]

/** What every answer over HTTPS says of this host, those of upstreams too (RFC 6797 §6.1). `keep`: the setting. */
export function hstsValue({ secure }: PublicUrl, keep: Milliseconds | 'off'): string | undefined {
  return secure && keep !== 'off' ? `max-age=${Math.floor(keep / 1000)}` : undefined
}

/** A body longer than this is not read only to be thrown away: the connection is closed instead. */
const drainable = 64 * 1024

/** Codes that signing in may mend. */
const mendedBySignIn: ReadonlySet<ErrorCode> = new Set([
  'ERR_LOGIN_REQUIRED',
  'ERR_SESSION_ENDED',
  'ERR_SESSION_FINAL',
])

/** Codes after which the provider must ask again: unasked it would hand out the same person or sign-in. */
const asksAgain: ReadonlySet<ErrorCode> = new Set([
  'ERR_TOKEN_REVOKED',
  'ERR_NAME_REFUSED',
  'ERR_NAME_RESERVED',
  'ERR_NAME_UNKNOWN',
])

/** Codes that say that the account is known, and may not do this. */
const lacksRights: ReadonlySet<ErrorCode> = new Set([
  'ERR_PERMISSION_REQUIRED',
  'ERR_GROUP_REQUIRED',
  'ERR_SCOPE_REQUIRED',
])

/** Statuses with a title of their own. */
const titled = [400, 401, 403, 404, 405, 408, 413, 429, 431, 500, 502, 503, 504] as const

const titles: ReadonlyMap<number, TextKey> = new Map(
  titled.map((status) => [status, `title.${status}`]),
)

/** Of codes whose status is usually an upstream's. */
const titlesByCode: Readonly<Partial<Record<ErrorCode, TextKey>>> = {
  ERR_PROVIDER_ANSWER: 'title.provider',
  ERR_PROVIDER_ISSUER: 'ERR_PROVIDER_ISSUER',
}

/** Makes a page in the language that it is shown in. */
export type BuildPage = (language: Language) => PageContent

/** A GET or HEAD that a browser makes to show a page. */
export function isNavigation({ headers, method }: RequestContext): boolean {
  if (isCall(headers)) return false
  if (!isRead(method)) return false
  if (headers.fetchMode !== '') return headers.fetchMode === 'navigate'
  return headers.accept.includes('text/html') && !headers.requestedWith
}

const formType = /^(?:application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)\b/i

/** Whether it brings what no form can send, as an RPC client does that would take HTML by default. */
function isCall({ contentType }: RequestHeaders): boolean {
  return contentType !== '' && !formType.test(contentType)
}

/** Whether the answer is for a person: any navigation, a sent form included. */
export function wantsPage({ headers }: RequestContext): boolean {
  if (headers.requestedWith || isCall(headers)) return false
  if (headers.fetchMode !== '' && headers.fetchMode !== 'navigate') return false
  return headers.accept.includes('text/html')
}

function titleOf(context: RequestContext, { code, status }: GatewayError): TextKey {
  if (context.routeName === 'auth:callback') return 'title.sign_in'
  return titlesByCode[code] ?? titles.get(status) ?? code
}

/** What went wrong. Other languages have no words for what only operators need: they say the rest, and then the English. */
function tellError(error: GatewayError, { tag, say, sayDetail }: Language): readonly Paragraph[] {
  const { detail } = error.details
  if (detail === undefined) return [say(error.code)]
  if (typeof detail !== 'string') return [sayDetail(detail)]
  if (tag === english.tag) return [detail]
  return [say(error.code), { text: detail, language: english.tag }]
}

/** The language of a page for whoever asked. Read here, since nothing else needs the header. */
const languageFor = ({ request }: RequestContext): Language =>
  languageBy(chooseLanguage(acceptLanguageOf(request), languageTags))

function challengeOf(error: GatewayError): string {
  const { bearer, scopes } = error.details
  const parts = ['Bearer realm="Trac"']
  if (error.status === 401 && bearer === true) parts.push('error="invalid_token"')
  if (error.code === 'ERR_SCOPE_REQUIRED') {
    parts.push('error="insufficient_scope"', `scope="${(scopes ?? []).join(' ')}"`)
  }
  return parts.join(', ')
}

/** Any failure of our own becomes one 500; the cause is for the log alone. */
export function toGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return new GatewayError('ERR_INTERNAL', { cause: error })
}

/** Whom a refusal is for: whoever asked, or a program that makes its own page of it. */
export type Audience = 'asker' | 'program'

/** Writes the answers of one gateway. */
export class Reply {
  readonly #address: PublicUrl
  readonly #hsts: string | undefined
  readonly #pages: Pages
  readonly #formTargets: readonly string[]
  readonly #contact: string | undefined

  constructor(options: ReplyOptions) {
    this.#contact = options.contact
    this.#address = options.address
    this.#hsts = options.hsts
    this.#pages = options.pages
    this.#formTargets = options.formTargets
  }

  /**
   * Answers with these headers and what every answer of ours carries.
   * @param caching `Cache-Control` of what is the same for everybody; an answer with a cookie is never kept
   */
  send(
    context: RequestContext,
    status: number,
    headers: HeaderList,
    body: string,
    caching: 'no-store' | 'no-cache' = 'no-store',
  ): void {
    const { request, response } = context
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const cacheControl = context.setCookies.length > 0 ? 'no-store' : caching
    const list = ['Cache-Control', cacheControl, 'X-Request-Id', context.id, ...headers]
    // RFC 9110 §8.6: none in a 204, and in a 304 only the length that the body would have.
    if (status !== 204 && status !== 304) {
      list.push('Content-Length', String(Buffer.byteLength(body)))
    }
    if (this.#hsts !== undefined) list.push('Strict-Transport-Security', this.#hsts)
    for (const cookie of context.setCookies) list.push('Set-Cookie', cookie)
    if (isLast(context, status)) list.push('Connection', 'close')
    response.writeHead(status, list)
    // As text, which Node sends in one piece with the head.
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  redirect(context: RequestContext, status: 302 | 303 | 307 | 308, location: string): void {
    this.send(context, status, ['Location', location], '')
  }

  /**
   * Answers with a page, in a language that whoever asked reads (RFC 9110 §12.5.4).
   * @param formTargets origins that its form may be redirected to, where they are known better
   */
  page(
    context: RequestContext,
    status: number,
    build: BuildPage,
    headers: HeaderList = [],
    formTargets = this.#formTargets,
  ): void {
    const language = languageFor(context)
    const list = [
      ...this.#pages.headers(formTargets, language.tag),
      'Vary',
      'Accept-Language',
      ...headers,
    ]
    this.send(context, status, list, this.#pages.render(build(language), language.tag))
  }

  json(context: RequestContext, status: number, value: unknown, headers: HeaderList = []): void {
    this.send(
      context,
      status,
      ['Content-Type', 'application/json; charset=utf-8', ...headers],
      `${JSON.stringify(value)}\n`,
    )
  }

  /** Answers with a refusal or a fault; whatever is not a GatewayError is an ERR_INTERNAL. */
  refuse(context: RequestContext, thrown: unknown, audience: Audience = 'asker'): void {
    const error = toGatewayError(thrown)
    context.code = error.code
    context.cause ??= error.details.cause
    context.reason ??= error.message
    context.found ??= error.details.found
    context.wanted ??= error.details.wanted
    if (error.status === 499) {
      context.response.destroy()
      return
    }
    const mended = mendedBySignIn.has(error.code) && context.route.credentials.has('session')
    const { tracPath, target } = context
    const comesBack = mended && isNavigation(context) && isPage(tracPath, target.query)
    if (audience === 'asker' && comesBack) {
      context.setCookies = [...context.setCookies, ...context.signInCookies]
      this.redirect(context, 302, this.#loginUrl(target.sent))
    } else if (audience === 'asker' && wantsPage(context)) {
      this.#errorPage(context, error)
    } else {
      this.#errorJson(context, error)
    }
  }

  #loginUrl(returnTo: string): string {
    return `${this.#address.base}/auth/login?return_to=${encodeURIComponent(returnTo)}`
  }

  #tryAgainUrl({ returnTo }: RequestContext, { code }: GatewayError): string {
    const query = new URLSearchParams()
    if (asksAgain.has(code)) query.set('prompt', 'login')
    if (returnTo !== '' && returnTo !== `${this.#address.base}/`) query.set('return_to', returnTo)
    const text = query.toString()
    return `${this.#address.base}/auth/login${text === '' ? '' : `?${text}`}`
  }

  #errorJson(context: RequestContext, error: GatewayError): void {
    const value = {
      error: errors[error.code].error,
      code: error.code,
      message: error.message,
      request_id: context.id,
      ...(error.status === 401 ? { auth_url: `${this.#address.url}/auth/login` } : {}),
    }
    this.json(context, error.status, value, errorHeaders(context, error))
  }

  #errorPage(context: RequestContext, error: GatewayError): void {
    const { user, name } = context.identity.principal
    const sentForm = context.method === 'POST' && !isOwn(context)
    const shownUser: readonly string[] =
      user === '' ? [] : [name === undefined ? user : `${name} (${user})`]
    const build: BuildPage = (language) => {
      const { say } = language
      const facts: readonly PageFact[] = [
        ...shownUser.map((who) => [say('error.signed_in_as'), who] as const),
        [say('error.code'), error.code],
        [say('error.request'), context.id],
      ]
      return {
        title: say(titleOf(context, error)),
        isError: true,
        paragraphs: [
          ...tellError(error, language),
          ...(sentForm ? [say('error.typed')] : []),
          ...this.#adviceFor(context, error, language),
        ],
        facts,
        actions: this.#actionsFor(context, error, language),
      }
    }
    this.page(context, error.status, build, errorHeaders(context, error))
  }

  /** A link of this host would lead to the same refusal. */
  #rightHost(
    { isBelowBase, target }: RequestContext,
    error: GatewayError,
    { say }: Language,
  ): readonly PageAction[] {
    if (error.code !== 'ERR_HOST_UNKNOWN') return []
    const { origin, base, host } = this.#address
    const href = origin + (isBelowBase ? target.sent : `${base}/`)
    return [{ label: say('action.host', { host }), href }]
  }

  /** What somebody can do about it whose account is known and may not do this. */
  #adviceFor(
    { identity }: RequestContext,
    { code }: GatewayError,
    { say }: Language,
  ): readonly string[] {
    if (!lacksRights.has(code) || identity.via === undefined) return []
    const { permissions } = identity.principal
    const contact = this.#contact
    return [
      ...(permissions.size === 0 ? [say('error.no_rights')] : []),
      ...(contact === undefined ? [] : [say('error.contact', { contact })]),
    ]
  }

  /** Ways out for somebody whose account may not do this; none that leads to this page again. */
  #otherAccount(context: RequestContext, language: Language): readonly PageAction[] {
    const { target, identity } = context
    const { base } = this.#address
    const { say } = language
    const query = new URLSearchParams({ prompt: 'login', return_to: target.sent })
    const hasNothing = identity.principal.permissions.size === 0
    return [
      ...(hasNothing ? [] : this.#startFrom(context, language)),
      // It asks first; its form knows where the provider lets its own session be ended.
      { label: say('action.sign_out'), href: `${base}/auth/logout` },
      { label: say('action.other_account'), href: `${base}/auth/login?${query.toString()}` },
    ]
  }

  /** The way to the start page, in one of several environments its own; none on a page that stands there itself. */
  #startFrom({ target, tracPrefix }: RequestContext, { say }: Language): readonly PageAction[] {
    const href = environmentLink(this.#address.base, tracPrefix)
    const start = this.#address.base + tracPrefix
    if (target.path === start || target.path === `${start}/`) return []
    return [{ label: say('action.start'), href }]
  }

  #actionsFor(
    context: RequestContext,
    error: GatewayError,
    language: Language,
  ): readonly PageAction[] {
    if (isMisdirected(error)) return this.#rightHost(context, error, language)
    // Whatever is asked for with these headers is refused again.
    if (error.code === 'ERR_HEADER_TOO_LARGE') return []
    const { say } = language
    const start = this.#startFrom(context, language)
    const { sent } = context.target
    const own = isOwn(context)
    if (error.status === 401 || own) {
      const href = own ? this.#tryAgainUrl(context, error) : this.#loginUrl(sent)
      return [{ label: say('action.sign_in'), href }, ...start]
    }
    if (lacksRights.has(error.code) && context.identity.via === 'session') {
      return this.#otherAccount(context, language)
    }
    return error.status >= 500 && context.method === 'GET'
      ? [{ label: say('action.try_again'), href: sent }, ...start]
      : start
  }
}

/** Whether it came by a name or a proxy by which nothing here is served. */
export const isMisdirected = ({ status }: Pick<GatewayError, 'status'>): boolean => status === 421

function isOwn({ routeName }: RequestContext): boolean {
  return routeName.startsWith('auth:')
}

/** Whether the connection ends with the answer: where the next request begins can't be told, or is not waited for. */
function isLast(context: RequestContext, status: number): boolean {
  const { contentLength, chunked, expectContinue } = context.headers
  // Who waits for `100 Continue` may send the body or the next request after a refusal: they can't be told apart.
  const ambiguous = chunked || expectContinue || contentLength > drainable
  const unread = !context.request.complete && ambiguous
  // RFC 9110 §15.5.9: who was too slow with one body is not waited for.
  return unread || context.headersFault !== undefined || status === 408
}

/**
 * Whether HTTP Basic may be asked for: never of a browser, which would send it by itself from then on, with every request.
 * Browsers of today say what each request is for, and older ones that they take HTML.
 */
function mayAskForBasic(context: RequestContext): boolean {
  const { fetchMode, fetchSite, requestedWith } = context.headers
  const isBrowser = fetchMode !== '' || fetchSite !== '' || requestedWith || wantsPage(context)
  return context.route.basic && !isBrowser
}

function errorHeaders(context: RequestContext, error: GatewayError): string[] {
  const list: string[] = []
  const { retryAfter, allow } = error.details
  // RFC 7617 §2.1. A line of its own, since many clients read no list (RFC 9110 §11.6.1).
  if (error.status === 401 && mayAskForBasic(context)) {
    list.push('WWW-Authenticate', 'Basic realm="Trac", charset="UTF-8"')
  }
  if (error.status === 401 || error.code === 'ERR_SCOPE_REQUIRED') {
    list.push('WWW-Authenticate', challengeOf(error))
  }
  if (retryAfter !== undefined) list.push('Retry-After', String(retryAfter))
  if (allow !== undefined) list.push('Allow', allow.join(', '))
  return list
}
