/** What of a Trac can't be carried over, and what to do about it. */
import { isYes, toList } from '../../trac/ini.js'
import type { Facts, Left } from './facts.js'

const finePolicies = /Authz/

function leftOfPolicies({ settings }: Facts): readonly Left[] {
  const policies = toList(settings['trac']?.['permission_policies'] ?? '')
  const fine = policies.filter((name) => finePolicies.test(name))
  const files = [settings['authz_policy']?.['authz_file'], settings['svn']?.['authz_file']].filter(
    (file) => file !== undefined && file !== '',
  )
  if (fine.length === 0 && files.length === 0) return []
  const where = files.length === 0 ? '' : ` (${files.join(', ')})`
  return [
    {
      what: `fine-grained rules: ${fine.join(', ') || 'authz'}${where}`,
      why: 'they stay in Trac, untouched, and go by user names: people must come out at the names that they had',
    },
  ]
}

const ownStore = 'trac.perm.DefaultPermissionStore'
/** As `trac.ini` names those that make up nothing; the bridge's has Trac's own beside it. */
const plainStores: readonly string[] = ['', 'DefaultPermissionStore', 'TracGatewayPermissionStore']

function leftOfTrac({ settings, trac }: Facts): readonly Left[] {
  const store = settings['trac']?.['permission_store'] ?? ''
  const isOther = trac === undefined || trac.permissionStore !== ownStore
  const name = trac?.permissionStore ?? store
  return [
    ...(isOther && !plainStores.includes(store)
      ? [
          {
            what: `permission_store ${name}`,
            why: 'rights that it makes up itself are not in its list',
          },
        ]
      : []),
    ...(trac?.groupProviders ?? []).map((provider) => ({
      what: `groups of ${provider}`,
      why: 'only this component knows who is in them: let the provider’s tokens name them',
    })),
    ...(trac?.silentStores ?? []).map((one) => ({
      what: `users of ${one}`,
      why: 'it could not list them: give their names with --users',
    })),
  ]
}

function leftOfTickets({ settings }: Facts): readonly Left[] {
  return [
    ...(isYes(settings['ticket']?.['restrict_owner'])
      ? [
          {
            what: '[ticket] restrict_owner',
            why: 'Trac makes the list of owners from its permission table, which grants nothing any more: write signature: v2 and [trac] permission_store = TracGatewayPermissionStore (deploy/docs/guides/people.md), or set it to false',
          },
        ]
      : []),
    ...(isYes(settings['ticket']?.['commit_ticket_update_check_perms'])
      ? [
          {
            what: '[ticket] commit_ticket_update_check_perms',
            why: 'authors of commits have no rights behind the gateway, and commits change no tickets: write signature: v2 and [trac_gateway] commit_updater (deploy/docs/guides/people.md), or set it to false',
          },
        ]
      : []),
  ]
}

function leftOfOptions({ settings }: Facts): readonly Left[] {
  const { trac = {} } = settings
  // A new environment has all of them in its file, with these values.
  const idle = ['check_auth_ip', 'auth_cookie_lifetime', 'auth_cookie_path', 'auth_cookie_domain']
  const unset = ['', '0', 'disabled', 'false']
  const found = idle.filter((name) => !unset.includes(trac[name] ?? ''))
  const extra = Object.keys(settings['extra-permissions'] ?? {}).filter((name) => name !== '_perms')
  return [
    ...(found.length > 0
      ? [{ what: `[trac] ${found.join(', ')}`, why: 'without effect behind the gateway; may stay' }]
      : []),
    ...(extra.length > 0
      ? [
          {
            what: `[extra-permissions] ${extra.join(', ')}`,
            why: 'stays in Trac, which expands such names again; the gateway’s own routes do not know what they contain',
          },
        ]
      : []),
  ]
}

/** All of it but what the table, `[cognito]` and the policies' order leave. */
export function leftIn(facts: Facts): readonly Left[] {
  return [leftOfPolicies, leftOfTrac, leftOfTickets, leftOfOptions].flatMap((find) => find(facts))
}
