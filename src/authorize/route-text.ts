/** What a row of the policy takes and asks for, in words for people. */
import type { Route } from '../request/route.js'
import { anyView } from '../trac/permissions.js'

/** What a row says of the query, as text: `?action=edit|new&!format`; empty without conditions. */
export function queryText({ query }: Pick<Route, 'query'>): string {
  if (query === undefined) return ''
  const parts = [...query].map(([name, wanted]) => {
    if (typeof wanted === 'boolean') return wanted ? name : `!${name}`
    return `${name}=${[...wanted].join('|')}`
  })
  return `?${parts.join('&')}`
}

/** The methods of a row: `all` for every one. */
export const methodsText = ({ methods }: Pick<Route, 'methods'>): string =>
  methods === undefined ? 'all' : [...methods].join(' ')

/** What a row asks of whoever comes. */
export function demandText({ access, require }: Pick<Route, 'access' | 'require'>): string {
  const parts: string[] = [access]
  if (require?.anyPermission !== undefined) parts.push(`any of ${require.anyPermission.join(', ')}`)
  if (require?.allPermissions !== undefined) parts.push(require.allPermissions.join(' and '))
  if (require?.anyGroup !== undefined) parts.push(`a group of ${require.anyGroup.join(', ')}`)
  if (require?.somebody === true) parts.push(`signed in, or any of ${anyView}`)
  if (require?.scopes !== undefined) parts.push(`scopes ${require.scopes.join(' ')}`)
  return parts.join('; ')
}
