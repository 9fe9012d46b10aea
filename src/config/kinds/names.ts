/** Names that providers, clients and Trac give: actions, groups, claims, client ids, scopes. */
import { actionPattern, tracActions } from '../../trac/permissions.js'
import { text } from '../key.js'
import type { Advice } from '../key.js'
import { suggest } from '../problems.js'

/** A plugin's action is no mistake, but a misspelt one of Trac looks the same. */
export const adviseAction: Advice = (action) => {
  if (Object.hasOwn(tracActions, action)) return undefined
  const near = suggest(action, Object.keys(tracActions))
  return {
    name: 'unknown-action',
    found: `${action}, which Trac itself does not know`,
    wanted: near === undefined ? 'a plugin that knows it' : `a plugin that knows it, or ${near}`,
  }
}

/** Names of what is said about single values, for `acknowledge`. */
export const adviceNames = ['unknown-action', 'secret-file-mode'] as const

/** A Trac action. */
export const action = text('A Trac action, or one that a plugin adds.', {
  pattern: actionPattern,
  wanted: 'a permission in capitals, such as WIKI_VIEW',
  advise: adviseAction,
})

/** What a group may be called. */
export const groupPattern = '^[^\\s\\p{C}](?:[^\\p{C}\\p{Zl}\\p{Zp}]*[^\\s\\p{C}])?$'

/** A group. */
export const group = text('A group as the provider names it.', {
  maxLength: 255,
  pattern: groupPattern,
  wanted: 'a group name without control characters or white space at its ends',
})

/** A claim. */
export const claim = text('A claim of the token.', { wanted: 'the name of a claim' })

/** What a client id may be. */
export const clientIdPattern = '^[\\x21-\\x7e]+$'

/** A client id. */
export const clientId = text('A client id.', {
  pattern: clientIdPattern,
  wanted: 'a client id (text; in quotes if it is all digits)',
})

/** A scope (RFC 6749 §3.3). */
export const scope = text('An OAuth scope.', {
  pattern: '^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$',
  wanted: 'a scope without white space or quotes',
})
