/** `identity.claims`, and the claims of additional issuers: which claims say what. */
import { entriesOf, itemsOf } from '../../draft.js'
import type { Draft } from '../../draft.js'
import { computed, list, shape } from '../../key.js'
import type { Resolved } from '../../key.js'
import { claim } from '../../kinds/names.js'
import type { Path, Report } from '../../problems.js'

const shared = {
  username: computed(
    list(claim, {
      description:
        'Where the user name comes from; the first claim that is there counts. Name only claims that people cannot change themselves.',
      minItems: 1,
      examples: [['cognito:username'], ['sub']],
    }),
    '`[cognito:username]` with Cognito, else `[sub]`',
  ),
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
export const defaultUsername = (cognito: boolean): readonly string[] =>
  cognito ? ['cognito:username'] : ['sub']

/** Whether people can often write a claim themselves. */
const isChangeable = (name: string, use: string): boolean =>
  name.startsWith('custom:') || (name === 'preferred_username' && use === 'username')

/** Warns of claims that people may write themselves. */
export function warnOfClaims(claims: Draft<Claims> | undefined, path: Path, warn: Report): void {
  for (const [use, names] of entriesOf<readonly (string | undefined)[]>(claims)) {
    for (const [index, name] of itemsOf(names)) {
      if (!isChangeable(name, use)) continue
      warn(
        [...path, use, index],
        name,
        'a claim that people cannot write themselves; check that yours can’t at this provider',
      )
    }
  }
}
