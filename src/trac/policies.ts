/** Trac's permission policies, and where ours stands among them. */

/** What Trac 1.4 and later have where the option is not set. */
export const usualPolicies = [
  'DefaultWikiPolicy',
  'DefaultTicketPolicy',
  'DefaultPermissionPolicy',
  'LegacyAttachmentPolicy',
]
/** The policy of our plugin: it says yes, or nothing. */
export const ourPolicy = 'TracGatewayPolicy'
/** The one that asks Trac's own permission table. */
export const storedPolicy = 'DefaultPermissionPolicy'
/** They may say no, so they come before whatever says yes. */
export const refusing = [
  'DefaultWikiPolicy',
  'ReadonlyWikiPolicy',
  'DefaultTicketPolicy',
  'AuthzPolicy',
]

/** How the list ends for the time of a move (`deploy/docs/guides/roll-out.md`); the plugin refuses any other. */
export const legacyEnd = ['LegacyAttachmentPolicy', ourPolicy, storedPolicy]

/** The site's list with our policy in the place of the one that asks the permission table. */
export function placePolicy(own: readonly string[]): readonly string[] {
  const list = own.length === 0 ? usualPolicies : own
  if (list.includes(ourPolicy)) return list.filter((name) => name !== storedPolicy)
  const place = list.indexOf(storedPolicy)
  if (place >= 0) {
    return list.flatMap((name, at) =>
      name !== storedPolicy ? [name] : at === place ? [ourPolicy] : [],
    )
  }
  const last = list.indexOf('LegacyAttachmentPolicy')
  return last < 0 ? [...list, ourPolicy] : [...list.slice(0, last), ourPolicy, ...list.slice(last)]
}

/** The line of `trac.ini` where nothing else is wanted. */
export const usualLine = `[trac] permission_policies = ${placePolicy(usualPolicies).join(', ')}`
