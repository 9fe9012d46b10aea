/** `fromClaims`: which permissions a claim may add. */
import { actionPattern } from '../../trac/permissions.js'
import { keyOf, leaf, text } from '../key.js'
import type { KeySchema, LeafOptions } from '../key.js'
import { adviseAction } from './names.js'

const claimable = text('A Trac action, one that a plugin adds, or nonAdmin.', {
  pattern: `^nonAdmin$|${actionPattern}`,
  wanted: 'nonAdmin, or a permission in capitals, such as WIKI_VIEW',
  advise: (name) => (name === 'nonAdmin' ? undefined : adviseAction(name)),
})

const fromClaimsSchema: KeySchema = {
  anyOf: [
    {
      type: 'string',
      enum: ['nonAdmin', 'all', 'none'],
      wanted: 'nonAdmin, all, none, or a list',
    },
    { type: 'array', items: keyOf(claimable) },
  ],
  wanted: 'nonAdmin, all, none, or a list of permissions',
  description:
    'Which permissions a claim may add: `nonAdmin`, `all`, `none`, or a list in which `nonAdmin` may stand beside names. `nonAdmin` is Trac’s own permissions without TRAC_ADMIN, *_ADMIN and PERMISSION_*. A plugin’s must be named, since Trac may expand it to any of those.',
  examples: [['nonAdmin', 'LEARNING_PARTICIPATE']],
}

/** Which permissions a claim may add. */
export const fromClaims = (options: LeafOptions = {}) =>
  leaf<'nonAdmin' | 'all' | 'none' | readonly string[]>({ ...fromClaimsSchema, ...options })
