/**
 * A Lambda of a Cognito user pool, called before it makes tokens: it adds the claim `trac_permissions`, by the groups of the
 * person. trac-gateway takes from it what `permissions.fromClaims` allows.
 *
 * `TRAC_PERMISSIONS` says what each group brings: `{"students": "LEARNING_PARTICIPATE"}`, several with commas between
 * them. In an event of version 1 the claim goes into ID tokens, from version 2 on into access tokens, too.
 *
 * index.cjs, and the text in cloudformation.yaml, are made of this file by `npm run docs`.
 */

/** The groups of a person, and what else Cognito says of them. */
interface GroupConfiguration {
  readonly groupsToOverride?: readonly string[] | null
  readonly iamRolesToOverride?: readonly string[] | null
  readonly preferredRole?: string | null
}

/** What is read of an event; Cognito sends more, which goes back as it came. */
export interface TokenEvent {
  readonly version: string
  readonly request: { readonly groupConfiguration?: GroupConfiguration | null }
  response: object | null
}

/** Claims by name. */
type Claims = Readonly<Record<string, string>>

const claim = 'trac_permissions'

/** Reads `TRAC_PERMISSIONS`. @throws Error — it says nothing that can be meant, so that no token is made */
export function readPermissions(text: string | undefined): ReadonlyMap<string, readonly string[]> {
  const wanted = 'TRAC_PERMISSIONS must be {"GROUP": "PERMISSION,PERMISSION"}, as JSON'
  let parsed: unknown
  try {
    parsed = JSON.parse(text ?? '')
  } catch {
    throw new Error(wanted)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new Error(wanted)
  const groups = new Map<string, readonly string[]>()
  for (const [group, list] of Object.entries(parsed as Readonly<Record<string, unknown>>)) {
    if (typeof list !== 'string') throw new Error(`${wanted}: ${group} has no text`)
    const names = list.split(',').filter((name) => name !== '')
    const odd = names.find((name) => !/^[A-Z][A-Z_]*$/.test(name))
    if (odd !== undefined) throw new Error(`${wanted}: ${odd} is no permission of Trac`)
    groups.set(group, names)
  }
  return groups
}

/** The claim for these groups; none where they bring nothing. */
function claimsOf(
  groups: readonly string[],
  permissions: ReadonlyMap<string, readonly string[]>,
): Claims {
  const names = new Set(groups.flatMap((group) => permissions.get(group) ?? []))
  return names.size === 0 ? {} : { [claim]: [...names].toSorted().join(',') }
}

/** The event with its response. Groups that are left out of a response would be taken out of the tokens. */
export function answer(
  event: TokenEvent,
  permissions: ReadonlyMap<string, readonly string[]>,
): TokenEvent {
  const { groupConfiguration } = event.request
  const claimsToAddOrOverride = claimsOf(groupConfiguration?.groupsToOverride ?? [], permissions)
  const groupOverrideDetails = groupConfiguration ?? {}
  event.response =
    Number(event.version) >= 2
      ? {
          claimsAndScopeOverrideDetails: {
            idTokenGeneration: { claimsToAddOrOverride },
            accessTokenGeneration: { claimsToAddOrOverride },
            groupOverrideDetails,
          },
        }
      : { claimsOverrideDetails: { claimsToAddOrOverride, groupOverrideDetails } }
  return event
}

/** What Lambda calls. */
export const handler = async (event: TokenEvent): Promise<TokenEvent> =>
  answer(event, readPermissions(process.env['TRAC_PERMISSIONS']))
