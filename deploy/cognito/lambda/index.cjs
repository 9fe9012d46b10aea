// Made of pre-token-generation.ts by `npm run docs`.
'use strict'
Object.defineProperty(exports, '__esModule', { value: true })
exports.handler = void 0
exports.readPermissions = readPermissions
exports.answer = answer
const claim = 'trac_permissions'
function readPermissions(text) {
  const wanted = 'TRAC_PERMISSIONS must be {"GROUP": "PERMISSION,PERMISSION"}, as JSON'
  let parsed
  try {
    parsed = JSON.parse(text ?? '')
  } catch {
    throw new Error(wanted)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new Error(wanted)
  const groups = new Map()
  for (const [group, list] of Object.entries(parsed)) {
    if (typeof list !== 'string') throw new Error(`${wanted}: ${group} has no text`)
    const names = list.split(',').filter((name) => name !== '')
    const odd = names.find((name) => !/^[A-Z][A-Z_]*$/.test(name))
    if (odd !== undefined) throw new Error(`${wanted}: ${odd} is no permission of Trac`)
    groups.set(group, names)
  }
  return groups
}
function claimsOf(groups, permissions) {
  const names = new Set(groups.flatMap((group) => permissions.get(group) ?? []))
  return names.size === 0 ? {} : { [claim]: [...names].toSorted().join(',') }
}
function answer(event, permissions) {
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
const handler = async (event) => answer(event, readPermissions(process.env['TRAC_PERMISSIONS']))
exports.handler = handler
