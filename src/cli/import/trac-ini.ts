/** The lines of `trac.ini` that put Trac behind the gateway: the site's own policies stay, and ours takes the place of the store's. */
import {
  ourPolicy as ours,
  placePolicy,
  refusing,
  storedPolicy as stored,
} from '../../trac/policies.js'
import { isYes, toList } from '../../trac/ini.js'
import type { Facts, Left } from './facts.js'

/** Trac's own sign-in, and that of plugins that are known to have one. */
const tracLogin = 'trac.web.auth.loginmodule'
const knownLogins: readonly (readonly [rule: RegExp, component: string])[] = [
  [/^acct_mgr(?:\.|$)/, 'acct_mgr.web_ui.loginmodule'],
  // It can name people, too: Trac lists it among those who can.
  [/^acct_mgr(?:\.|$)/, 'acct_mgr.admin.configurationadminpanel'],
]

/** Whether a rule of `[components]` speaks of somebody who signs people in. */
const looksLikeLogin = /auth|login|cognito|oidc|saml|ldap|sso/i

/** Components to switch off: those that Trac names, else those that `[components]` lets one guess. */
function loginsOf({ settings, trac }: Facts): readonly string[] {
  if (trac !== undefined) {
    const others = trac.authenticators.filter((name) => !/\btrac_gateway\.TracGateway$/.test(name))
    return [...new Set([tracLogin, ...others.map((name) => name.toLowerCase())])]
  }
  const enabled = Object.entries(settings['components'] ?? {}).filter(([, value]) => isYes(value))
  const found = knownLogins.filter(([rule]) => enabled.some(([name]) => rule.test(name)))
  return [tracLogin, ...found.map(([, component]) => component)]
}

/** The lines, and what stands in their way. */
export interface TracIniLines {
  readonly text: string
  readonly left: readonly Left[]
}

function leftOf(facts: Facts, policies: readonly string[]): readonly Left[] {
  const { settings, trac } = facts
  const left: Left[] = []
  const at = policies.indexOf(ours)
  const late = policies.slice(at).filter((name) => refusing.includes(name))
  if (late.length > 0) {
    const why = `stands after ${ours}, as it stood after ${stored}: where ours says yes it is not asked`
    left.push({ what: `permission_policies: ${late.join(', ')}`, why })
  }
  const rules = Object.entries(settings['components'] ?? {})
  if (trac === undefined) {
    for (const [name] of rules.filter(([, value]) => isYes(value))) {
      if (!looksLikeLogin.test(name) || knownLogins.some(([rule]) => rule.test(name))) continue
      const why = `may sign people in: if the plugin page refuses with its name, write the line that it says`
      left.push({ what: `[components] ${name}`, why })
    }
  }
  if (rules.some(([name, value]) => /^trac_gateway\b/.test(name) && !isYes(value))) {
    const why = 'switches our plugin off: take the line out'
    left.push({ what: '[components] trac_gateway', why })
  }
  return left
}

/** Writes the lines. They are to be put in by hand: an option that is there already is to be replaced. */
export function tracIniLines(facts: Facts): TracIniLines {
  const policies = placePolicy(toList(facts.settings['trac']?.['permission_policies'] ?? ''))
  const text = [
    '[trac]',
    `permission_policies = ${policies.join(', ')}`,
    '',
    '[components]',
    ...loginsOf(facts).map((name) => `${name} = disabled`),
    '',
    '[trac_gateway]',
    '# Relative to the folder conf of the environment.',
    'key_file = trac_gateway.keys',
    '',
  ]
  return { text: text.join('\n'), left: leftOf(facts, policies) }
}
