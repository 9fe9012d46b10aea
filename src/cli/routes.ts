/** `trac-gateway routes`: the whole policy in the order in which it is tried. */
import { compileRoutes } from '../authorize/compile-routes.js'
import type { Route } from '../request/route.js'
import { loadConfig } from '../config/load.js'
import { ConfigProblems, formatProblem } from '../config/problems.js'

/** How to answer, and what to take from the process. */
export interface RoutesOptions {
  readonly json: boolean
  readonly env: NodeJS.ProcessEnv
  /** Takes the text; standard output by default. */
  readonly print?: (text: string) => void
}

function queryText(route: Route): string {
  if (route.query === undefined) return ''
  const parts = [...route.query].map(([name, wanted]) => {
    if (typeof wanted === 'boolean') return wanted ? name : `!${name}`
    return `${name}=${[...wanted].join('|')}`
  })
  return `?${parts.join('&')}`
}

function requireText({ access, require }: Route): string {
  const parts: string[] = [access]
  if (require?.anyPermission !== undefined) parts.push(`any of ${require.anyPermission.join(', ')}`)
  if (require?.allPermissions !== undefined) parts.push(require.allPermissions.join(' and '))
  if (require?.anyGroup !== undefined) parts.push(`a group of ${require.anyGroup.join(', ')}`)
  if (require?.somebody === true) parts.push('signed in, or any of *_VIEW')
  if (require?.scopes !== undefined) parts.push(`scopes ${require.scopes.join(' ')}`)
  return parts.join('; ')
}

/** One row as it is printed. */
function describe(route: Route) {
  return {
    name: route.name,
    methods: route.methods === undefined ? 'all' : [...route.methods].join(' '),
    path: route.path + queryText(route),
    upstream: route.upstream,
    mode: route.mode,
    asks: requireText(route),
  }
}

/**
 * Prints the rows.
 * @returns the exit code: 1 if the file can't be used
 */
export function routes(path: string, options: RoutesOptions): number {
  const print = options.print ?? ((text) => void process.stdout.write(text))
  try {
    const { config } = loadConfig(path, { env: options.env })
    const defaults = { mode: config.mode, bodyLimit: config.server.limits.body }
    const rows = compileRoutes(config.routes, config.builtinTracRoutes, defaults).map(describe)
    if (options.json) {
      print(`${JSON.stringify(rows, undefined, 2)}\n`)
      return 0
    }
    const columns = ['name', 'methods', 'path', 'upstream', 'mode', 'asks'] as const
    const widths = columns.map((key) => Math.max(key.length, ...rows.map((row) => row[key].length)))
    const line = (cells: readonly string[]) =>
      cells
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()
    const lines = [line(columns), ...rows.map((row) => line(columns.map((key) => row[key])))]
    print(`${lines.join('\n')}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    print(`${error.problems.map(formatProblem).join('\n')}\n`)
    return 1
  }
}
