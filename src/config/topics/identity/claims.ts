/** `identity.claims`, and the claims of additional issuers: which claims say what. */
import { entriesOf, itemsOf } from '../../draft.js'
import type { Draft } from '../../draft.js'
import { computed, keyOf, leaf, list, shape } from '../../key.js'
import type { Resolved } from '../../key.js'
import { claim } from '../../kinds/names.js'
import type { Path, Report } from '../../problems.js'

const oneClaim = 'one claim, such as sub'

/** Release 0.1 had a list here. It is read, so that its reader can be told what to write. */
const username = leaf<string>({
  anyOf: [
    { ...keyOf(claim), wanted: oneClaim },
    { type: 'array', items: keyOf(claim), minItems: 1, wanted: oneClaim },
  ],
  wanted: oneClaim,
  description:
    'The one claim that the user name comes from. Name one that every token has and that people cannot change themselves.',
  examples: ['cognito:username', 'sub'],
})

const shared = {
  username: computed(username, '`cognito:username` with Cognito, else `sub`'),
  groups: list(claim, {
    description: 'Claims with groups; all of them count.',
    default: ['cognito:groups', 'groups'],
  }),
}

const told = {
  email: list(claim, {
    description: 'Claims with the e-mail address; the first one that is there counts.',
    default: ['email'],
  }),
  name: list(claim, {
    description: 'Claims with the full name; the first one that is there counts.',
    default: ['name'],
  }),
}

/** Claims of the main issuer. */
export const claims = shape('Which claims say what.', {
  ...shared,
  permissions: list(claim, {
    description:
      'Claims that add permissions, within `permissions.fromClaims`. A Lambda of the user pool can write them.',
    default: ['trac_permissions'],
  }),
  ...told,
})

/** Claims of an additional issuer. */
export const foreignClaims = shape('As `identity.claims`. No permissions come from there.', {
  ...shared,
  ...told,
})

/** Claims of any issuer. */
export type Claims = Partial<Resolved<typeof claims>>

/** The claim that never changes and that each token has. */
export const defaultUsername = (cognito: boolean): string => (cognito ? 'cognito:username' : 'sub')

/** The claim for the name as it was read: a text, or the list of release 0.1. */
const writtenNames = ({ username }: Draft<Claims> = {}): readonly (string | undefined)[] => {
  const written: unknown = username
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return Array.isArray(written) ? (written as (string | undefined)[]) : []
}

/** Whether the claim for the name is written as release 0.1 did. */
export const hasListOfNames = (claims: Draft<Claims> | undefined): boolean =>
  writtenNames(claims).length > 0

/** The claim for the name, out of the list of one that release 0.1 wrote, too. */
export const usernameClaim = (claims: Draft<Claims> | undefined, cognito: boolean): string =>
  writtenNames(claims)[0] ?? claims?.username ?? defaultUsername(cognito)

/** Reports a choice of claims for the name: one person would have two. */
export function checkOneName(claims: Draft<Claims> | undefined, path: Path, report: Report): void {
  const names = itemsOf(writtenNames(claims)).map(([, name]) => name)
  if (names.length < 2) return
  const wanted = `one claim, such as "username: ${names[0]}": one person needs one name; choose`
  report([...path, 'username'], `${names.length} claims (${names.join(', ')})`, wanted)
}

/** Claims that people can often write themselves at their provider, as far as a name comes from them. */
const changeableNames = new Set(['preferred_username', 'email', 'name', 'nickname'])

/** Whether people can often write a claim themselves. */
const isChangeable = (name: string, use: string): boolean =>
  name.startsWith('custom:') || (use === 'username' && changeableNames.has(name))

/** Warns of claims that people may write themselves, and of the list of release 0.1. */
export function warnOfClaims(claims: Draft<Claims> | undefined, path: Path, warn: Report): void {
  const { username, ...lists } = claims ?? {}
  const written = writtenNames(claims)
  if (written.length === 1) {
    warn([...path, 'username'], 'a list of one claim', `write "username: ${written[0]}"`)
  }
  const warnOf = (name: string, use: string, at: Path): void => {
    if (!isChangeable(name, use)) return
    const wanted =
      'a claim that people cannot write themselves; check that yours can’t at this provider'
    warn(at, name, wanted)
  }
  if (username !== undefined) warnOf(written[0] ?? username, 'username', [...path, 'username'])
  for (const [use, names] of entriesOf<readonly (string | undefined)[]>(lists)) {
    for (const [index, name] of itemsOf(names)) warnOf(name, use, [...path, use, index])
  }
}
