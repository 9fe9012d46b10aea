/** `identity.machines`: programs that come with client credentials. */
import { entriesOf, itemsOf } from '../../draft.js'
import { list, record, shape, text } from '../../key.js'
import type { Resolved } from '../../key.js'
import { clientIdPattern, group, scope } from '../../kinds/names.js'
import type { Rule, Warnings } from '../../topic.js'
import { groupsOfEnvironments } from '../environment-keys.js'
import type { EnvironmentsPart } from '../environment-keys.js'
import type { PermissionsPart } from '../permissions.js'
import type { ProviderPart } from './provider.js'

const machine = shape('A client-credentials client.', {
  username: text('Its name in Trac. Nobody else can have it.', {
    wanted: 'a user name',
    examples: ['ci-bot'],
  }),
  groups: list(group, { description: 'Groups that it is in.', default: [] }),
  scopes: list(scope, {
    description:
      'Scopes that its token must bring. Name one that only this client may ask the provider for.',
    default: [],
  }),
})

/** Programs, by client id. */
export const machines = record('client id', machine, {
  description:
    'Programs that come with client credentials, by client id. One that is not listed is refused.',
  default: {},
  propertyNames: { pattern: clientIdPattern },
})

/** One of `identity.machines`. */
export type Machine = Resolved<typeof machine>

/** What the rules of machines look at. */
export interface MachinesPart {
  readonly identity: ProviderPart['identity'] & {
    readonly machines: Readonly<Record<string, Machine>>
  }
}

const checkClients: Rule<MachinesPart> = ({ identity }, report) => {
  const people = new Set([identity?.clientId, ...(identity?.acceptClients ?? [])])
  for (const client of Object.keys(identity?.machines ?? {})) {
    if (!people.has(client)) continue
    report(
      ['identity', 'machines', client],
      'a client that people sign in with (clientId or acceptClients)',
      'a client in one of the two: a token is a machine’s if its client is',
    )
  }
}

const warnOfGroups: Rule<MachinesPart & PermissionsPart & EnvironmentsPart> = (draft, warn) => {
  const { identity, permissions } = draft
  const known = [...Object.keys(permissions?.groups ?? {}), ...groupsOfEnvironments(draft)]
  for (const [client, { groups }] of entriesOf(identity?.machines)) {
    for (const [index, name] of itemsOf(groups)) {
      if (known.includes(name)) continue
      warn(
        ['identity', 'machines', client, 'groups', index],
        name,
        'a group of permissions.groups; this one grants nothing',
      )
    }
  }
}

/** What machines must not be. */
export const machineChecks: readonly Rule<MachinesPart>[] = [checkClients]
/** What to think about in machines. */
export const machineWarnings = {
  'machine-groups': warnOfGroups,
} satisfies Warnings<MachinesPart & PermissionsPart>
