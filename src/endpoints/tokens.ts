/** `/auth/tokens`: people make, see and revoke their personal tokens (deploy/docs/guides/personal-tokens.md). */
import { GatewayError } from '../core/errors.js'
import { principalKey } from '../core/identity.js'
import type { Counter } from '../edge/rate-limit.js'
import type { BuildPage } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import type { OpenSession } from '../session/open-session.js'
import { newTokenPath, tokensPath } from '../sign-in/return-to.js'
import { makeToken } from '../tokens/token-form.js'
import type { Owner } from '../tokens/token-form.js'
import type { PersonalToken, TokenStore } from '../tokens/token-store.js'
import { TokenGate, alone } from './token-gate.js'
import type { TokenGateParts } from './token-gate.js'
import { againPage, formPage, listPage, madePage } from './token-pages.js'
import type { TokenPaths } from './token-pages.js'
import { day, emptyForm, judgeForm, readForm } from './token-wish.js'
import type { TokenChoices, TokenForm, Why } from './token-wish.js'

/** What the pages need. */
export interface TokenPageParts extends TokenGateParts {
  readonly store: TokenStore
  /** Ends one token of its owner; whether it was there. */
  readonly end: (owner: Owner, id: string) => Promise<boolean>
  readonly choices: TokenChoices
  readonly perUser: number
  readonly issuer: string
  /** Counts what somebody makes. */
  readonly making: Counter
  /** Hears what became of a token, for log and metrics. */
  readonly onEvent: (
    event: 'made' | 'revoked',
    context: RequestContext,
    token: PersonalToken,
  ) => void
  readonly onRefused: () => void
}

/** The pages. */
export class TokenPages {
  readonly #parts: TokenPageParts
  readonly #gate: TokenGate
  readonly #paths: TokenPaths

  constructor(parts: TokenPageParts) {
    this.#parts = parts
    this.#gate = new TokenGate(parts)
    const { base } = parts
    this.#paths = {
      start: `${base}/`,
      list: base + tokensPath,
      make: base + newTokenPath,
      revoke: `${base + tokensPath}/revoke`,
    }
  }

  /** GET: the list. */
  async list(context: RequestContext): Promise<void> {
    const session = await this.#gate.enter(context)
    if (session === undefined) return
    const { store, now } = this.#parts
    const tokens = await store.list(this.#ownerOf(session))
    const seal = await this.#gate.seal(session)
    this.#show(context, (language) => listPage(tokens, language, this.#paths, seal, now()))
  }

  /** GET: the form. POST: a token is made, and shown this once. */
  async make(context: RequestContext, body: Buffer): Promise<void> {
    const session = await this.#gate.enter(context)
    if (session === undefined) return
    const isFresh = this.#gate.isFresh(session)
    if (context.method !== 'POST') {
      if (isFresh) await this.#showForm(context, session, emptyForm(this.#parts.choices))
      else this.#gate.signInAgain(context, session)
      return
    }
    const sent = new URLSearchParams(body.toString('utf8'))
    await this.#gate.check(context, session, sent)
    if (isFresh) {
      await this.#make(context, session, readForm(sent))
      return
    }
    // No redirect: a form may not lead to the provider (CSP3 §6.4.2).
    const login = this.#gate.loginUrl(this.#paths.make, true)
    this.#show(context, (language) => againPage(language, login, this.#paths), 403)
  }

  /** POST: a token of one's own is no more. */
  async revoke(context: RequestContext, body: Buffer): Promise<void> {
    const session = await this.#gate.enter(context)
    if (session === undefined) return
    const sent = new URLSearchParams(body.toString('utf8'))
    await this.#gate.check(context, session, sent)
    const { store, end, onEvent, reply } = this.#parts
    const owner = this.#ownerOf(session)
    const id = sent.get('id') ?? ''
    const token = (await store.list(owner)).find((one) => one.id === id)
    if (token !== undefined && (await end(owner, id))) onEvent('revoked', context, token)
    reply.send(context, 303, ['Location', this.#paths.list, ...alone], '')
  }

  #ownerOf({ record }: OpenSession): Owner {
    return { issuer: this.#parts.issuer, subject: record.profile.subject }
  }

  #show(context: RequestContext, build: BuildPage, status = 200): void {
    this.#parts.reply.page(context, status, build, alone, [])
  }

  async #showForm(
    context: RequestContext,
    session: OpenSession,
    form: TokenForm,
    why?: Why,
  ): Promise<void> {
    const seal = await this.#gate.seal(session)
    const { principal } = context.identity
    const { choices } = this.#parts
    const build: BuildPage = (language) =>
      formPage({ form, choices, principal, seal, why }, language, this.#paths)
    this.#show(context, build, why === undefined ? 200 : 400)
  }

  async #make(context: RequestContext, session: OpenSession, form: TokenForm): Promise<void> {
    const { choices, making, store, perUser, onEvent } = this.#parts
    const { principal } = context.identity
    await making.hit(`token ${principalKey(principal)}`)
    const wish = judgeForm(form, choices, principal)
    if ('why' in wish) return this.#refuse(context, session, form, wish.why)
    const owner = this.#ownerOf(session)
    const { id, hash, text } = makeToken(owner)
    const { name, days, permissions, routes } = wish
    const createdAt = this.#parts.now()
    const expiresAt = createdAt + days * day
    const token = { id, hash, name, createdAt, expiresAt, permissions, routes }
    const { profile } = session.record
    const proven = { ...owner, user: principal.user, profile, provenAt: createdAt }
    const added = await store.add(token, proven, perUser)
    if (added === 'full') throw new GatewayError('ERR_TOKENS_FULL')
    if (added !== 'kept') return this.#refuse(context, session, form, whyNot(added, perUser))
    onEvent('made', context, token)
    this.#show(context, (language) => madePage(token, text, language, this.#paths))
  }

  #refuse(context: RequestContext, session: OpenSession, form: TokenForm, why: Why): Promise<void> {
    this.#parts.onRefused()
    return this.#showForm(context, session, form, why)
  }
}

const whyNot =
  (added: 'named' | 'many', max: number): Why =>
  ({ say }) =>
    added === 'named' ? say('tokens.bad.named') : say('tokens.bad.many', { max: String(max) })
