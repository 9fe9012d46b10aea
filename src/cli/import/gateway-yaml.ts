/** A commented `gateway.yaml` from what a Trac says. What Trac can't say stands there as an example, and is named. */
import { parseUrl, isLoopback } from '../../core/host.js'
import { publicUrl } from '../../core/public-url.js'
import { scalar, toKey } from '../yaml-text.js'
import type { Cognito } from './cognito.js'
import { isYes } from '../../trac/ini.js'
import type { Facts } from './facts.js'
import type { Group, Person, Sorted } from './grants.js'
import { inOrder } from './facts.js'
import type { Names } from './names.js'

/** The file, and the keys whose values are examples. */
export interface Written {
  readonly text: string
  readonly toFill: readonly string[]
}

/** A text that can't end its comment. */
const comment = (text: string): string => text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')

/** A choice may be three characters wider. */
const maxWidth = 97

/** `key: [a, b]`, on as many lines as it needs. */
function flow(indent: string, key: string, items: readonly string[]): readonly string[] {
  const one = `${indent}${key}: [${items.map(scalar).join(', ')}]`
  if (one.length <= maxWidth) return [one]
  const inner = `${indent}  `
  const lines: string[] = []
  let line = inner
  for (const item of items.map(scalar)) {
    if (line.length + item.length + 2 > maxWidth) {
      lines.push(line)
      line = inner
    }
    line += ` ${item},`
  }
  // What a flow ends with stands further in than its key.
  return [`${indent}${key}:`, ...[...lines, line.replace(/,$/, ']')].map(opened(inner))]
}

/** The first line of a flow opens it. */
const opened =
  (inner: string) =>
  (line: string, at: number): string =>
    at === 0 ? `${inner}[${line.slice(inner.length + 1)}` : line

/** Lines as a choice: to take it, one removes each `#| `. */
const toChoice = (indent: string, lines: readonly string[]): readonly string[] =>
  lines.map((line) => `${indent}#| ${line.slice(indent.length)}`)

const listed = (names: readonly string[]): string =>
  names.length === 0 ? 'nobody' : names.join(', ')

/** A text without what it ends with, and without a slash behind that. */
function withoutEnd(text: string, end: string): string {
  const bare = text.replace(/\/$/, '')
  return bare.endsWith(end) ? bare.slice(0, -end.length) : text
}

function serverLines(
  { settings }: Facts,
  toFill: string[],
  environment: string | undefined,
): readonly string[] {
  const whole = settings['trac']?.['base_url'] ?? ''
  const base = environment === undefined ? whole : withoutEnd(whole, `/${environment}`)
  const url = parseUrl(base)
  const isPlain = url?.protocol === 'http:' && !isLoopback(url.hostname)
  const address = publicUrl.parse(isPlain ? base.replace(/^http:/i, 'https:') : base)
  if (address === undefined || isPlain) toFill.push('server.publicUrl')
  const from =
    address === undefined ? 'Trac does not say its address' : `[trac] base_url is ${whole}`
  toFill.push('server.trustedProxies')
  return [
    'server:',
    `  # What browsers see; ${comment(from)}.`,
    `  publicUrl: ${scalar(address?.url ?? 'https://trac.example.edu/trac')}`,
    '  # Who ends TLS in front: the networks of that proxy. Or server.tls, for a certificate of our own.',
    '  trustedProxies: [127.0.0.1/32]',
  ]
}

function providerLines(cognito: Cognito | undefined, toFill: string[]): readonly string[] {
  if (cognito === undefined) {
    toFill.push('identity.issuer', 'identity.clientId')
    return [
      '  # Trac does not say it: deploy/docs/guides/providers.md has what each provider needs.',
      '  issuer: https://idp.example.edu/realms/trac',
      '  clientId: trac',
    ]
  }
  const { region, userPoolId, domain, clientId, keysMaxAge } = cognito
  const missing = [
    ...(userPoolId === undefined ? ['identity.cognito.region', 'identity.cognito.userPoolId'] : []),
    ...(domain === undefined ? ['identity.cognito.domain'] : []),
    ...(clientId === undefined ? ['identity.clientId'] : []),
  ]
  toFill.push(...missing)
  return [
    '  # From [cognito] of trac.ini.',
    '  cognito:',
    `    region: ${scalar(userPoolId === undefined ? 'us-east-1' : (region ?? 'us-east-1'))}`,
    `    userPoolId: ${scalar(userPoolId ?? 'us-east-1_Example')}`,
    `    domain: ${scalar(domain ?? 'example')}`,
    `  clientId: ${scalar(clientId ?? '1example23456789')}`,
    '  # If the client has a secret:',
    '  #| clientSecret: { fromEnv: OIDC_CLIENT_SECRET }',
    ...(keysMaxAge === undefined
      ? []
      : ['  # [cognito] jwks_cache_ttl.', `  keys: { maxAge: ${keysMaxAge} }`]),
  ]
}

/** Stubs that are shown; `export.json` has everybody. */
const maxStubs = 500

function nameLines(facts: Facts, { known, emails, domain }: Names): readonly string[] {
  const possible = new Set(known)
  const people = facts.users.filter(({ name }) => possible.has(name))
  const isLower = isYes(facts.settings['trac']?.['ignore_auth_case'])
  const local =
    domain === undefined
      ? []
      : [
          `    # ${domain.fits} of the ${domain.all} people with an address are called as it begins. This names them so:`,
          `    #| emailLocalPart: ${domain.name}`,
        ]
  const stubs = people.slice(0, maxStubs).map(({ name }) => {
    const email = emails.get(name)
    return `    #|   SUB: ${scalar(name)}${email === undefined ? '' : comment(` # ${email}`)}`
  })
  return [
    '  username:',
    ...(isLower ? ['    # [trac] ignore_auth_case.', '    case: lower'] : []),
    ...local,
    '    # Whose name is whose, over a restart; the folder must exist:',
    '    #| namesFile: /var/lib/trac-gateway/names',
    ...(stubs.length === 0
      ? []
      : [
          '    # People whom Trac knows. Whose name at the provider is another one keeps the old one by an alias:',
          '    # put the sub of their account in the place of SUB, and take the others out.',
          '    #| aliases:',
          ...stubs,
          ...(people.length > maxStubs ? [`    #   … and ${people.length - maxStubs} more`] : []),
        ]),
    '    userinfo: auto',
  ]
}

function groupLines({ name, actions, members, through }: Group): readonly string[] {
  const via = through.length === 0 ? '' : `; with what it has through ${through.join(', ')}`
  return [
    `    # In Trac: ${comment(listed(members))}${comment(via)}.`,
    ...flow('    ', toKey(name), actions),
  ]
}

/** People by what they have, so that one group serves all who have the same. */
function sameRights(people: readonly Person[]): readonly (readonly Person[])[] {
  const by = new Map<string, Person[]>()
  for (const person of people) {
    const key = person.actions.join(' ')
    const same = by.get(key)
    if (same === undefined) by.set(key, [person])
    else same.push(person)
  }
  return [...by.values()]
}

/** Two ways for people with permissions of their own: a group for them, or the claim in their tokens. */
function peopleLines({ people, groups }: Sorted, facts: Facts): readonly string[] {
  if (people.length === 0) return []
  const taken = new Set(groups.map(({ name }) => name))
  const known = new Set(facts.users.map(({ name }) => name))
  let count = 0
  const nextName = (): string => {
    do count++
    while (taken.has(`own-${count}`))
    return `own-${count}`
  }
  const names = ({ name }: Person) =>
    known.has(name) ? name : `${name} (nobody whom Trac knows: perhaps a group without members)`
  const all = [...new Set(people.flatMap(({ actions }) => actions))].toSorted(inOrder)
  return [
    '    # People with permissions of their own: no group gives these, so the gateway does not either.',
    '    # One way: a group at the provider for those who have the same, and its line here.',
    ...sameRights(people).flatMap((same) => [
      `    # ${comment(same.map(names).join(', '))}:`,
      ...toChoice('    ', flow('    ', nextName(), same[0]?.actions ?? [])),
    ]),
    '  # The other way: the claim trac_permissions in the tokens of each of them names the permissions, and',
    '  # this line lets it.',
    ...toChoice('  ', flow('  ', 'fromClaims', ['nonAdmin', ...all])),
  ]
}

function permissionLines(facts: Facts, sorted: Sorted): readonly string[] {
  const { groups, anonymous, authenticated, people } = sorted
  const head = groups.length === 0 && people.length > 0 ? ['  #| groups:'] : []
  return [
    'permissions:',
    '  # The groups of Trac. The provider must have them under these names, with these people in them.',
    ...(groups.length === 0
      ? ['  groups: {}', ...head]
      : ['  groups:', ...groups.flatMap(groupLines)]),
    ...peopleLines(sorted, facts),
    '  # Everybody who is signed in, and everybody.',
    ...flow('  ', 'authenticated', authenticated),
    ...flow('  ', 'anonymous', anonymous),
  ]
}

/** The same for one of several environments: what is common to them is left to whoever has them all. */
function environmentLines(name: string, facts: Facts, sorted: Sorted): readonly string[] {
  return [
    '# What groups may do in every environment. Nothing, so that each says it for itself.',
    'permissions: { groups: {} }',
    '',
    '# Lines of further environments come below, each from an import of its own.',
    'environments:',
    `  ${scalar(name)}:`,
    ...permissionLines(facts, sorted).map((line) => `    ${line}`),
  ]
}

function routeLines(cognito: Cognito | undefined): readonly string[] {
  if (cognito === undefined || cognito.routes.length === 0) return []
  return [
    '',
    '# From [cognito] api_paths and require_token_for_api. The rows for Trac itself stand behind these.',
    '# If a service of its own answers there: upstreams.api, and `upstream: api` in these rows.',
    'routes:',
    ...cognito.routes.map(
      ({ name, path, access }) => `  - { name: ${name}, path: ${path}, access: ${access} }`,
    ),
  ]
}

/**
 * Writes it.
 * @param environment its name, where it is one of several
 */
export function writeGatewayYaml(
  facts: Facts,
  sorted: Sorted,
  names: Names,
  cognito: Cognito | undefined,
  environment?: string,
): Written {
  const toFill: string[] = []
  const lines = [
    '# Made by `trac-gateway import`. Lines that begin with `#|` are choices: to take one, remove its `#| `,',
    '# and the lines above that it replaces. `trac-gateway check` says what is wrong or worth a thought.',
    '',
    ...serverLines(facts, toFill, environment),
    '',
    '# `trac-gateway names` (so reserve-names.sh, too) and `revoke` need a token of at least 16 bytes:',
    '#| admin: { token: { fromEnv: TRAC_GATEWAY_ADMIN_TOKEN } }',
    '',
    'identity:',
    ...providerLines(cognito, toFill),
    ...nameLines(facts, names),
    '',
    'session:',
    '  # At least 32 bytes, as of: openssl rand -base64 48',
    '  secrets: [{ fromEnv: TRAC_GATEWAY_SESSION_SECRET }]',
    '',
    ...(environment === undefined
      ? permissionLines(facts, sorted)
      : environmentLines(environment, facts, sorted)),
    '',
    'upstreams:',
    '  trac:',
    '    # Where Trac is to listen, so that only the gateway reaches it.',
    '    url: http://127.0.0.1:8001',
    '    # The same secret stands in the key file of the plugin.',
    '    signingKeys: [{ id: k1, secret: { fromEnv: TRAC_GATEWAY_SIGNING_SECRET } }]',
    ...routeLines(cognito),
    '',
  ]
  return { text: lines.join('\n'), toFill: [...toFill, 'upstreams.trac.url'] }
}
