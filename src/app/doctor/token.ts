/** What a token says of its person: the name, the address and its proof, the groups and what they give. */
import { GatewayError } from '../../core/errors.js'
import type { Facts } from '../../core/errors.js'
import type { Principal } from '../../core/identity.js'
import { nameClaimOf } from '../../authenticate/profile.js'
import type { VerifiedToken } from '../../oidc/verify-token.js'
import { bad, good, hintOf, notTried, wordsOf } from './row.js'
import type { Row } from './row.js'
import type { Site } from './site.js'

const factsOf = (facts: Facts | undefined): string =>
  Object.entries(facts ?? {})
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(', ') : String(value)}`)
    .join('; ')

/** A refusal with what it found and wanted. */
function refused(check: string, fault: unknown, otherwise: string): Row {
  const details = fault instanceof GatewayError ? fault.details : {}
  const code = fault instanceof GatewayError ? `${fault.code}: ` : ''
  const found = factsOf(details.found)
  const wanted = factsOf(details.wanted)
  return bad(
    check,
    `${code}${wordsOf(fault)}${found === '' ? '' : ` (${found})`}`,
    wanted === '' ? 'a token that is accepted' : wanted,
    hintOf(fault, otherwise),
  )
}

function nameRow(site: Site, token: VerifiedToken, { user }: Principal): Row {
  const { claims, username } = site.config.identity
  const by =
    username.emailLocalPart === false
      ? `claim ${claims.username}: ${nameClaimOf(token.claims, claims) ?? 'from userinfo'}`
      : `the address in ${username.emailLocalPart}`
  return good('token.name', `${user} (${by})`)
}

function emailRow(site: Site, { claims }: VerifiedToken, principal: Principal): Row {
  const check = 'token.email'
  const { email: names } = site.config.identity.claims
  const name = names.find((one) => typeof claims[one] === 'string')
  if (principal.email !== undefined) return good(check, `${principal.email} goes to Trac`)
  if (name === undefined) {
    return bad(
      check,
      `no address: the token has none of ${names.join(', ')}`,
      'an address, else Trac sends this person no notification',
      'let the client ask for the scope email (identity.scopes), or name the claim in identity.claims.email',
    )
  }
  return bad(
    check,
    `the address of claim ${name} does not go to Trac: email_verified is ${String(claims['email_verified'])}`,
    'an address that the provider has verified',
    'let the provider verify addresses, or set identity.email: any if nobody there can enter a foreign one',
  )
}

function groupsRow(site: Site, token: VerifiedToken): Row {
  const check = 'token.groups'
  const all = site.services.reading.groupsOf(token)
  const known = site.services.people.get(token.issuer.issuer)?.knownGroups ?? new Set()
  const { groups: claims } = site.config.identity.claims
  const strange = all.filter((group) => !known.has(group))
  if (all.length === 0) {
    const present = claims.filter((name) => name in token.claims)
    return bad(
      check,
      present.length === 0 ? `the token has none of ${claims.join(', ')}` : 'the list is empty',
      'at least one group of permissions.groups',
      'let the provider put groups into the token, name the claim in identity.claims.groups, or put the person into a group',
    )
  }
  if (strange.length === all.length) {
    return bad(
      check,
      `none of the groups means anything here: ${all.join(', ')}`,
      `one of ${[...known].join(', ') || 'those in permissions.groups, which is empty'}`,
      'add it to permissions.groups with what it may do',
    )
  }
  const more = strange.length === 0 ? '' : ` (of no meaning here: ${strange.join(', ')})`
  return good(check, `${all.filter((group) => known.has(group)).join(', ')}${more}`)
}

function permissionsRow({ permissions, grants, leftOut }: Principal): Row {
  const check = 'token.permissions'
  if (permissions.size === 0) {
    return bad(check, 'none', 'at least one', 'grant some in permissions.groups or authenticated')
  }
  const told = grants.map(({ action, from }) => `${action} by ${from.join(', ')}`)
  const more = leftOut.length === 0 ? '' : `; left out of the claim: ${leftOut.join(', ')}`
  return good(check, `${told.join('; ')}${more}`)
}

/** Rows about one token. */
export async function rowsOfToken(site: Site, raw: string): Promise<readonly Row[]> {
  const { verify, admit } = site.services.reading
  let token: VerifiedToken
  try {
    token = await verify(raw)
  } catch (fault) {
    return [refused('token.accepted', fault, 'give a token of this provider for this client')]
  }
  const { use, clientId, machine } = token
  const first = good('token.accepted', `${use} token for client ${clientId}`)
  try {
    const { principal } = await admit(raw)
    const rows = [first, nameRow(site, token, principal)]
    if (machine) return [...rows, permissionsRow(principal)]
    const groups = groupsRow(site, token)
    return [...rows, emailRow(site, token, principal), groups, permissionsRow(principal)]
  } catch (fault) {
    return [first, refused('token.name', fault, 'set identity.claims.username')]
  }
}

/** The token that was given. */
export async function checkToken(site: Site): Promise<readonly Row[]> {
  if (site.token === undefined) {
    return [notTried('token', 'no token was given: --token - reads one from standard input')]
  }
  return rowsOfToken(site, site.token)
}
