/** What somebody wants a new personal token to be, as the form says it, and whether it can be so. */
import type { Milliseconds } from '../core/clock.js'
import type { Principal } from '../core/identity.js'
import type { Language } from '../texts/languages.js'

/** Tokens are made for whole days. */
export const day: Milliseconds = 86_400_000

/** What may be chosen. */
export interface TokenChoices {
  /** Rows of the policy that take personal tokens, with what they are for; `trac:*` among them. */
  readonly routes: readonly { readonly name: string; readonly path: string }[]
  /** Actions that somebody may have in one of several environments, whatever they may do in common. */
  readonly elsewhere: readonly string[]
  /** Days. */
  readonly normalDays: number
  readonly maxDays: number
}

/** The form as it was sent, or as it is before. */
export interface TokenForm {
  readonly name: string
  readonly days: string
  /** `all`, `view` or `some`. */
  readonly may: string
  readonly permissions: readonly string[]
  /** `all` or `some`. */
  readonly where: string
  readonly routes: readonly string[]
}

/** A wish that can be fulfilled. */
export interface TokenWish {
  readonly name: string
  readonly days: number
  /** Undefined: whatever the owner may do. */
  readonly permissions: readonly string[] | undefined
  /** Undefined: wherever the owner may go. */
  readonly routes: readonly string[] | undefined
}

/** Characters (code points) that a name may have. */
export const maxNameLength = 60

/** The form before anybody filled it in: it lets a program look, and do nothing. */
export const emptyForm = ({ normalDays }: TokenChoices): TokenForm => ({
  name: '',
  days: String(normalDays),
  may: 'view',
  permissions: [],
  where: 'all',
  routes: [],
})

/** Reads the form that was sent. */
export function readForm(body: URLSearchParams): TokenForm {
  return {
    name: (body.get('name') ?? '').normalize('NFC').trim(),
    days: body.get('days') ?? '',
    may: body.get('may') ?? '',
    permissions: body.getAll('permission'),
    where: body.get('where') ?? '',
    routes: body.getAll('route'),
  }
}

const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u

const isName = (name: string): boolean =>
  name !== '' && Array.from(name).length <= maxNameLength && !unprintable.test(name)

/**
 * A list of single ones, all of them known, where that is the choice. What is ticked beside another choice is no choice: whoever
 * ticked it meant less than they would get.
 */
function chosen(
  choice: string,
  ticked: readonly string[],
  known: ReadonlySet<string>,
): readonly string[] | undefined | 'unclear' {
  if (choice !== 'some') return ticked.length === 0 ? undefined : 'unclear'
  const isClear = ticked.length > 0 && ticked.every((one) => known.has(one))
  return isClear ? [...new Set(ticked)] : 'unclear'
}

/** Why something can't be, in words of a language. */
export type Why = (language: Language) => string

const unclear: Why = ({ say }) => say('tokens.bad.choice', { some: say('tokens.new.some') })

/** The actions that the owner of a token may tick: what they have, and what they may have somewhere. */
export const actionsFor = (
  { elsewhere }: Pick<TokenChoices, 'elsewhere'>,
  { permissions }: Pick<Principal, 'permissions'>,
): ReadonlySet<string> => new Set([...permissions, ...elsewhere].toSorted())

/** What the form wishes for, or why that can't be. */
export function judgeForm(
  form: TokenForm,
  choices: TokenChoices,
  principal: Pick<Principal, 'permissions'>,
): TokenWish | { readonly why: Why } {
  const { routes, maxDays } = choices
  const permissions = actionsFor(choices, principal)
  const days = /^[0-9]{1,5}$/.test(form.days) ? Number(form.days) : 0
  if (!isName(form.name)) return { why: ({ say }) => say('tokens.bad.name') }
  if (days < 1 || days > maxDays) {
    return { why: ({ say }) => say('tokens.bad.days', { max: String(maxDays) }) }
  }
  const where = chosen(form.where, form.routes, new Set(routes.map(({ name }) => name)))
  const ticked = chosen(form.may, form.permissions, permissions)
  const isKnown = ['all', 'view', 'some'].includes(form.may) && ['all', 'some'].includes(form.where)
  if (!isKnown || where === 'unclear' || ticked === 'unclear') return { why: unclear }
  const views = [...permissions].filter((name) => name.endsWith('_VIEW'))
  if (form.may === 'view' && views.length === 0) {
    return { why: ({ say }) => say('tokens.bad.view') }
  }
  return {
    name: form.name,
    days,
    permissions: form.may === 'view' ? views : ticked,
    routes: where,
  }
}
