/** What the pages of personal tokens show. */
import type { FormField } from '../edge/page-form.js'
import type { PageContent, PageFact, PageSection } from '../edge/page.js'
import type { Principal } from '../core/identity.js'
import type { Milliseconds } from '../core/clock.js'
import type { Language } from '../texts/languages.js'
import type { ListedToken, PersonalToken } from '../tokens/token-store.js'
import { builtinRows } from '../trac/routes.js'
import { actionsFor, maxNameLength } from './token-wish.js'
import type { TokenChoices, TokenForm, Why } from './token-wish.js'

/** Where the pages lead. */
export interface TokenPaths {
  readonly start: string
  readonly list: string
  readonly make: string
  readonly revoke: string
}

/** A day, the same in all languages (ISO 8601). */
const dayOf = (at: Milliseconds): string => new Date(at).toISOString().slice(0, 10)

/** An hour of a day. */
const hourText = (hour: number): string =>
  `${new Date(hour * 3_600_000).toISOString().slice(0, 13).replace('T', ' ')}:00 UTC`

/** What a token is for. */
function scopeFacts({ routes, permissions }: PersonalToken, { say }: Language): PageFact[] {
  return [
    [say('tokens.may'), permissions?.join(', ') ?? say('tokens.all')],
    [say('tokens.where'), routes?.join(', ') ?? say('tokens.everywhere')],
  ]
}

function sectionOf(
  token: ListedToken,
  language: Language,
  paths: TokenPaths,
  formToken: string,
  now: Milliseconds,
): PageSection {
  const { say } = language
  const { id, name, createdAt, expiresAt, usedIn } = token
  return {
    title: name,
    facts: [
      [say('tokens.made_on'), dayOf(createdAt)],
      [say(expiresAt > now ? 'tokens.ends' : 'tokens.ended'), dayOf(expiresAt)],
      [say('tokens.used'), usedIn === undefined ? say('tokens.never') : hourText(usedIn)],
      ...scopeFacts(token, language),
    ],
    action: { label: say('tokens.revoke'), post: paths.revoke, hidden: { form: formToken, id } },
  }
}

/** The list of somebody's tokens, the newest first. */
export function listPage(
  tokens: readonly ListedToken[],
  language: Language,
  paths: TokenPaths,
  formToken: string,
  now: Milliseconds,
): PageContent {
  const { say } = language
  return {
    title: say('tokens.title'),
    paragraphs: [say('tokens.about'), ...(tokens.length === 0 ? [say('tokens.none')] : [])],
    sections: tokens
      .toSorted((a, b) => b.createdAt - a.createdAt)
      .map((token) => sectionOf(token, language, paths, formToken, now)),
    actions: [
      { label: say('tokens.make'), href: paths.make },
      { label: say('action.start'), href: paths.start },
    ],
  }
}

/** What the page with the form shows. */
export interface ShownForm {
  readonly form: TokenForm
  readonly choices: TokenChoices
  readonly principal: Pick<Principal, 'permissions'>
  readonly seal: string
  /** What was wrong the last time. */
  readonly why: Why | undefined
}

function fieldsOf(
  { form, choices, principal }: ShownForm,
  { say }: Language,
): readonly FormField[] {
  const some = { value: 'some', label: say('tokens.new.some') }
  const labelOf = (name: string, path: string) =>
    `${name}: ${name === builtinRows ? say('tokens.new.trac') : path}`
  return [
    {
      kind: 'text',
      name: 'name',
      label: say('tokens.new.name'),
      value: form.name,
      max: maxNameLength,
    },
    {
      kind: 'number',
      name: 'days',
      label: say('tokens.new.days'),
      value: form.days,
      max: choices.maxDays,
    },
    {
      kind: 'radio',
      name: 'may',
      label: say('tokens.may'),
      options: [
        { value: 'view', label: say('tokens.new.view') },
        { value: 'all', label: say('tokens.all') },
        some,
      ],
      chosen: [form.may],
    },
    {
      kind: 'checks',
      name: 'permission',
      label: some.label,
      options: [...actionsFor(choices, principal)].map((name) => ({ value: name, label: name })),
      chosen: form.permissions,
    },
    {
      kind: 'radio',
      name: 'where',
      label: say('tokens.where'),
      options: [{ value: 'all', label: say('tokens.everywhere') }, some],
      chosen: [form.where],
    },
    {
      kind: 'checks',
      name: 'route',
      label: some.label,
      options: choices.routes.map(({ name, path }) => ({
        value: name,
        label: labelOf(name, path),
      })),
      chosen: form.routes,
    },
  ]
}

/** The form of a new token. */
export function formPage(shown: ShownForm, language: Language, paths: TokenPaths): PageContent {
  const { say } = language
  const { why, seal } = shown
  return {
    title: say('tokens.new.title'),
    isError: why !== undefined,
    paragraphs: [why?.(language) ?? say('tokens.new.about')],
    form: {
      post: paths.make,
      hidden: { form: seal },
      label: say('tokens.make'),
      fields: fieldsOf(shown, language),
    },
    actions: [{ label: say('tokens.back'), href: paths.list }],
  }
}

/** A new token, shown this once. */
export function madePage(
  token: PersonalToken,
  text: string,
  language: Language,
  paths: TokenPaths,
): PageContent {
  const { say } = language
  return {
    title: say('tokens.made.title', { name: token.name }),
    paragraphs: [say('tokens.made.once')],
    copied: text,
    facts: [[say('tokens.ends'), dayOf(token.expiresAt)], ...scopeFacts(token, language)],
    actions: [{ label: say('tokens.back'), href: paths.list }],
  }
}

/** What is said to whoever sent the form too long after they signed in. */
export function againPage({ say }: Language, login: string, paths: TokenPaths): PageContent {
  return {
    title: say('tokens.new.title'),
    isError: true,
    paragraphs: [say('tokens.again')],
    actions: [
      { label: say('action.sign_in_again'), href: login },
      { label: say('tokens.back'), href: paths.list },
    ],
  }
}
