/** `identity.additionalIssuers`: further providers, for Bearer tokens only. */
import { foldName } from '../../../trac/user-names.js'
import { itemsOf } from '../../draft.js'
import { computed, flag, list, record, shape, text, value } from '../../key.js'
import type { Resolved } from '../../key.js'
import { issuerKind } from '../../kinds/issuer.js'
import { action, clientId, groupPattern } from '../../kinds/names.js'
import type { Rule, Warnings } from '../../topic.js'
import { checkOneName, foreignClaims, usernameClaim, warnOfClaims } from './claims.js'
import { checkIsPrivate, isCognitoIssuer, warnOfSpelling } from './provider.js'
import type { ProviderPart } from './provider.js'

const additionalIssuer = shape('A further provider.', {
  issuer: value(issuerKind, 'The issuer, exactly as its tokens spell it.'),
  clients: list(clientId, {
    description: 'Client ids whose tokens count: at least one, so that no audience goes unchecked.',
    minItems: 1,
  }),
  prefix: text(
    'Stands before every user name from there, so that it never meets a name of the main issuer.',
    {
      pattern: '^[A-Za-z0-9._~-]{1,32}[.:/@_~-]$',
      wanted: 'a short prefix that ends in one of . : / @ _ ~ -, such as partner/',
      examples: ['partner/'],
    },
  ),
  cognito: computed(
    flag('Whether it speaks the Cognito dialect (`token_use`, no `aud` in access tokens).'),
    'true for an issuer of Amazon Cognito',
  ),
  claims: foreignClaims,
  groups: record('group', list(action, { description: 'Its actions.' }), {
    description: 'What its groups may do. `permissions.groups` does not count for them.',
    default: {},
    examples: [{ partners: ['WIKI_VIEW', 'TICKET_VIEW'] }],
    propertyNames: { pattern: groupPattern },
  }),
})

/** Further providers. */
export const additionalIssuers = list(additionalIssuer, {
  description: 'Further providers, for Bearer tokens only.',
  default: [],
})

/** One of `identity.additionalIssuers`. */
export type AdditionalIssuer = Resolved<typeof additionalIssuer>

interface IssuersPart {
  readonly identity: ProviderPart['identity'] & {
    readonly additionalIssuers: readonly AdditionalIssuer[]
  }
}

const pathOf = (index: number) => ['identity', 'additionalIssuers', index] as const

const checkIssuers: Rule<IssuersPart> = ({ identity }, report) => {
  const issuers = new Set([identity?.issuer])
  for (const [index, { issuer }] of itemsOf(identity?.additionalIssuers)) {
    const path = [...pathOf(index), 'issuer']
    checkIsPrivate(issuer, path, identity, report)
    if (issuer !== undefined && issuers.has(issuer)) {
      report(path, 'an issuer that is named already', 'each issuer once')
    }
    issuers.add(issuer)
  }
}

const checkPrefixes: Rule<IssuersPart> = ({ identity }, report) => {
  const prefixes: string[] = []
  for (const [index, { prefix }] of itemsOf(identity?.additionalIssuers)) {
    if (prefix === undefined) continue
    const folded = foldName(prefix)
    const other = prefixes.find((one) => one.startsWith(folded) || folded.startsWith(one))
    if (other !== undefined) {
      const found = 'a prefix that begins like another'
      report([...pathOf(index), 'prefix'], found, 'a prefix that begins like no other')
    }
    prefixes.push(folded)
  }
}

const checkNameClaims: Rule<IssuersPart> = ({ identity }, report) => {
  for (const [index, { claims }] of itemsOf(identity?.additionalIssuers)) {
    checkOneName(claims, [...pathOf(index), 'claims'], report)
  }
}

const warnOfForeignClaims: Rule<IssuersPart> = ({ identity }, warn) => {
  for (const [index, { claims }] of itemsOf(identity?.additionalIssuers)) {
    warnOfClaims(claims, [...pathOf(index), 'claims'], warn)
  }
}

const warnOfForeignSpelling: Rule<IssuersPart> = ({ identity }, warn) => {
  for (const [index, { issuer }] of itemsOf(identity?.additionalIssuers)) {
    warnOfSpelling(issuer, [...pathOf(index), 'issuer'], warn)
  }
}

/** What further providers must not be. */
export const issuerChecks: readonly Rule<IssuersPart>[] = [
  checkIssuers,
  checkPrefixes,
  checkNameClaims,
]
/** What to think about in further providers. */
export const issuerWarnings = {
  'writable-claims-elsewhere': warnOfForeignClaims,
  'issuer-spelling-elsewhere': warnOfForeignSpelling,
} satisfies Warnings<IssuersPart>

/** Fills in the dialect and the claim for names. */
export function completeIssuer(other: AdditionalIssuer): AdditionalIssuer {
  const cognito = other.cognito ?? isCognitoIssuer(other.issuer)
  const username = usernameClaim(other.claims, cognito)
  return { ...other, cognito, claims: { ...other.claims, username } }
}
