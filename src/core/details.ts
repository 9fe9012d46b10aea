/** What a refusal says to the person beside its code: a text with names and values, so that it can be said in each language. */

/** The texts in English. `{name}` stands for a value. */
export const detailTexts = {
  'detail.host': 'This gateway serves {url}.',
  'detail.below': 'Everything here is below {url}.',
  'detail.permission': 'This needs the permission {names}.',
  'detail.any_view': 'to view something (any that ends in _VIEW)',
  'detail.group': 'This needs the group {names}.',
  'detail.scope': 'This needs the scope {names}.',
  'detail.or': ' or ',
  'detail.in_path':
    'What is meant must stand in the path of the address, not in its query or in the body.',
  'detail.blank': 'The address has a blank in it: it must be written %20.',
  'detail.headers_too_large':
    'The headers of the request are larger than {bytes} bytes. In a browser these are mostly the cookies of this host: deleting them helps.',
  'detail.address_unverified': 'The user name is an e-mail address that has not been verified.',
  'detail.address_other': 'The user name is an e-mail address, and not the one that was verified.',
  'detail.domain': 'Only people with an address at {domain} can sign in here.',
  'detail.email_unverified': 'The e-mail address has not been verified.',
  'detail.emails_differ': 'The token and the provider name different e-mail addresses.',
  'detail.too_many_names': 'This account came under too many names already.',
  'detail.only_here':
    'You are signed out in this browser, and your session can’t be renewed any more. But the list of ended sign-ins is full here: a copy of your cookie or of a token may work until it ends.',
} as const

/** Names a text. */
export type DetailKey = keyof typeof detailTexts

/** A value in a text; a list is joined by “or”, and an entry of it may be a text itself. */
export type DetailValue = string | readonly (string | { readonly text: DetailKey })[]

/** A text and its values. */
export interface Detail {
  readonly text: DetailKey
  readonly values?: Readonly<Record<string, DetailValue>>
}

/** Puts values in the place of `{name}`; a name without a value stays as it is. */
export function fillIn(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? values[name]! : whole,
  )
}

/** Says a detail with the texts of a language. */
export function sayDetail(
  { text, values = {} }: Detail,
  texts: Readonly<Record<DetailKey, string>>,
): string {
  const show = (value: DetailValue): string =>
    typeof value === 'string'
      ? value
      : value
          .map((one) => (typeof one === 'string' ? one : texts[one.text]))
          .join(texts['detail.or'])
  const shown = Object.entries(values).map(([name, value]) => [name, show(value)] as const)
  return fillIn(texts[text], Object.fromEntries(shown))
}
