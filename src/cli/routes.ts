/** `trac-gateway routes`: the whole policy in the order in which it is tried, and what each group may do. */
import { compileRoutes, routeDefaultsOf } from '../authorize/compile-routes.js'
import { demandText, methodsText, queryText } from '../authorize/route-text.js'
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import type { Config } from '../config/schema.js'
import type { Route } from '../request/route.js'
import { reachOf } from '../request/row-reach.js'
import type { Reach } from '../request/row-reach.js'
import { expandActions, tracActions } from '../trac/permissions.js'
import type { Tone } from './command.js'
import { toColumns, toMarkdown } from './output.js'

/** How to answer, and what to take from the process. */
export interface RoutesOptions {
  readonly json: boolean
  readonly markdown?: boolean
  readonly env: NodeJS.ProcessEnv
  /** Takes the text; standard output by default. */
  readonly print?: (text: string) => void
  /** Colours a part of the text; nothing is coloured by default. */
  readonly paint?: (tone: Tone, text: string) => string
}

/** What rows before it leave of a row, in words; empty text if that is all. */
function reachText({ state, by, methods }: Reach): string {
  const names =
    by.length > 3 ? `${by.slice(0, 3).join(', ')} and ${by.length - 3} more` : by.join(', ')
  if (state === 'dead') return `never reached: ${names}`
  if (state === 'shadowed') return `not by ${methods.join(', ')}: ${names}`
  return ''
}

/** One row as it is printed. */
function describe(route: Route, reach: Reach) {
  return {
    name: route.name,
    methods: methodsText(route),
    path: route.path + queryText(route),
    upstream: route.upstream,
    mode: route.mode,
    asks: demandText(route),
    builtin: route.name.startsWith('trac:'),
    reach: reach.state,
    hiddenBy: reach.by,
    note: reachText(reach),
  }
}

/** A group as it is printed. */
function describeGroup(name: string, actions: readonly string[]) {
  const all = [...expandActions(actions)].toSorted()
  const given = new Set(actions)
  return { name, actions, carries: all.filter((action) => !given.has(action)) }
}

/** What stands in an environment in place of the common lines. */
function overlaysOf({
  anonymous,
  authenticated,
  groups = {},
}: NonNullable<Config['environments']>[string]['permissions']) {
  const lists = [
    ['(everybody)', anonymous],
    ['(signed in)', authenticated],
    ...Object.entries(groups),
  ] as const
  return lists.flatMap(([name, actions]) =>
    actions === undefined ? [] : [[name, actions] as const],
  )
}

/** Everybody's actions, and each group's with all that it carries; groups of further issuers under their prefix, and what environments say otherwise. */
function groupsOf({ permissions, identity, environments = {} }: Config) {
  const { anonymous, authenticated, groups } = permissions
  return [
    describeGroup('(everybody)', anonymous),
    describeGroup('(signed in)', authenticated),
    ...Object.entries(groups).map(([name, actions]) => describeGroup(name, actions)),
    ...identity.additionalIssuers.flatMap((other) =>
      Object.entries(other.groups).map(([name, actions]) =>
        describeGroup(other.prefix + name, actions),
      ),
    ),
    ...Object.entries(environments).flatMap(([name, one]) =>
      overlaysOf(one.permissions).map(([group, actions]) =>
        describeGroup(`${name}: ${group}`, actions),
      ),
    ),
  ]
}

type Row = ReturnType<typeof describe>
type Group = ReturnType<typeof describeGroup>

const columns = ['name', 'methods', 'path', 'upstream', 'mode', 'asks', 'note'] as const
const groupColumns = ['group', 'actions', 'carries besides'] as const

const allCarried = Object.keys(tracActions).length - 1

/** A group as cells. */
function groupCells({ name, actions, carries }: Group): readonly string[] {
  const isAll = actions.includes('TRAC_ADMIN')
  return [
    name,
    actions.join(', ') || 'nothing',
    isAll ? `everything (${allCarried} actions of Trac)` : carries.join(', '),
  ]
}

function toText(rows: readonly Row[], groups: readonly Group[], paint: Paint): string {
  const lines = toColumns([columns, ...rows.map((row) => columns.map((key) => row[key]))])
  const tones: Readonly<Record<Reach['state'], Tone | undefined>> = {
    reached: undefined,
    shadowed: 'warn',
    dead: 'bad',
  }
  const [head = '', ...body] = lines.map((line, i) => {
    const tone = i === 0 ? 'strong' : tones[rows[i - 1]?.reach ?? 'reached']
    return tone === undefined ? line : paint(tone, line)
  })
  const [groupHead = '', ...groupBody] = toColumns([groupColumns, ...groups.map(groupCells)])
  return `${[head, ...body, '', paint('strong', groupHead), ...groupBody].join('\n')}\n`
}

function toMarkdownText(rows: readonly Row[], groups: readonly Group[]): string {
  const lines = [
    ...toMarkdown(
      columns,
      rows.map((row) => columns.map((key) => (key === 'path' ? `\`${row[key]}\`` : row[key]))),
    ),
    '',
    ...toMarkdown(groupColumns, groups.map(groupCells)),
  ]
  return `${lines.join('\n')}\n`
}

type Paint = NonNullable<RoutesOptions['paint']>

/** The rows of a configuration, in the order in which they are tried. */
export function routesOf(config: Config): readonly Route[] {
  return compileRoutes(config.routes, config.builtinTracRoutes, routeDefaultsOf(config))
}

/**
 * Prints the rows, and the groups.
 * @returns the exit code: 1 if the file can't be used
 */
export function routes(path: string, options: RoutesOptions): number {
  const print = options.print ?? ((text) => void process.stdout.write(text))
  try {
    const { config } = loadConfig(path, { env: options.env })
    const table = routesOf(config)
    const reaches = reachOf(table)
    const rows = table.map((route, i) => describe(route, reaches[i]!))
    const groups = groupsOf(config)
    if (options.json) {
      print(`${JSON.stringify({ routes: rows, groups }, undefined, 2)}\n`)
    } else if (options.markdown === true) print(toMarkdownText(rows, groups))
    else print(toText(rows, groups, options.paint ?? ((_, text) => text)))
    return 0
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    print(`${error.message}\n`)
    return 1
  }
}
