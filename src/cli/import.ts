/** `trac-gateway import`: what a Trac has, as `gateway.yaml`, lines of `trac.ini`, names to reserve, and what is left. Trac stays as it is. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { loadConfig } from '../config/load.js'
import { ConfigProblems, formatProblem } from '../config/problems.js'
import { WrongUse } from './command.js'
import type { Call, Output } from './command.js'
import { askTrac } from './import/ask-trac.js'
import { readCognito } from './import/cognito.js'
import { changeText, changesSince, readExport } from './import/diff.js'
import type { Export } from './import/diff.js'
import type { Facts, Left } from './import/facts.js'
import { writeGatewayYaml } from './import/gateway-yaml.js'
import { sortGrants } from './import/grants.js'
import type { Sorted } from './import/grants.js'
import { leftIn } from './import/left.js'
import { reserveCommands, sortNames } from './import/names.js'
import { FileFault, readFiles } from './import/read-files.js'
import { NoTrac } from './import/run-in-trac.js'
import { tracIniLines } from './import/trac-ini.js'
import { failed } from './output.js'

/** The files that are written, with what each is for. */
const files = {
  yaml: 'gateway.yaml',
  ini: 'trac.ini.lines',
  names: 'reserve-names.sh',
  export: 'export.json',
} as const

/** Password files that `[account-manager]` names, below the environment if they are not absolute. */
function passwordFile(facts: Facts, environment: string | undefined): string | undefined {
  const section = facts.settings['account-manager'] ?? {}
  const name = ['htpasswd_file', 'htdigest_file', 'password_file']
    .map((option) => section[option] ?? '')
    .find((value) => value !== '')
  if (name === undefined) return undefined
  if (isAbsolute(name)) return name
  return environment === undefined ? undefined : join(environment, name)
}

interface Read {
  readonly facts: Facts
  readonly left: readonly Left[]
}

/** All that the command line names. @throws NoTrac, FileFault, WrongUse */
async function readAll(call: Call): Promise<Read> {
  const environment = call.text('env')
  const permissions = call.text('permissions')
  if (environment === undefined && permissions === undefined) {
    throw new WrongUse(
      'wanted --env FOLDER, or --permissions with the file of "trac-admin ENV permission export FILE"',
    )
  }
  const python = call.text('python')
  const isAsked = environment !== undefined && permissions === undefined
  const known = isAsked ? await askTrac(environment, { python, env: call.env }) : undefined
  const ownIni = environment === undefined ? undefined : join(environment, 'conf', 'trac.ini')
  const given = {
    permissions,
    tracIni: call.text('trac-ini') ?? (isAsked ? undefined : ownIni),
    users: call.text('users'),
    htpasswd: call.text('htpasswd'),
  }
  const { facts, left } = readFiles(given, known)
  const more = given.htpasswd === undefined ? passwordFile(facts, environment) : undefined
  if (more === undefined) return { facts, left }
  if (!existsSync(more)) {
    return {
      facts,
      left: [...left, { what: more, why: '[account-manager] names it, and it is not there' }],
    }
  }
  const none = { permissions: undefined, tracIni: undefined, users: undefined }
  return { ...readFiles({ ...none, htpasswd: more }, facts), left }
}

/** What `check` would not take, with secrets in the environment. */
function problemsIn(text: string): readonly Left[] {
  const secret = 'an-example-of-a-secret-with-32-bytes-0123456789'
  const env = { TRAC_GATEWAY_SESSION_SECRET: secret, TRAC_GATEWAY_SIGNING_SECRET: secret.slice(1) }
  try {
    loadConfig(files.yaml, { env, readFile: () => text })
    return []
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    return error.problems.map((problem) => ({ what: 'check', why: formatProblem(problem) }))
  }
}

/** The whole result, before it is written. */
function convert({ facts, left }: Read, environment: string | undefined) {
  const sorted = sortGrants(facts.grants)
  const names = sortNames(facts, sorted)
  const cognito = readCognito(facts)
  const ini = tracIniLines(facts)
  const yaml = writeGatewayYaml(facts, sorted, names, cognito, environment)
  const problems = problemsIn(yaml.text)
  const all = [
    ...problems,
    ...left,
    ...sorted.left,
    ...(cognito?.left ?? []),
    ...ini.left,
    ...leftIn(facts),
  ]
  const kept: Export = { version: 1, facts }
  return {
    sorted,
    isUsable: problems.length === 0,
    toFill: yaml.toFill,
    left: [...all, ...names.left],
    names: names.known,
    texts: {
      [files.yaml]: yaml.text,
      [files.ini]: ini.text,
      [files.names]: reserveCommands(names),
      [files.export]: `${JSON.stringify(kept, undefined, 2)}\n`,
    },
  }
}

type Converted = ReturnType<typeof convert>

/** Writes all of them, or none: a file that is there is never replaced. @throws FileFault */
function write(folder: string, texts: Converted['texts']): readonly string[] {
  const paths = Object.keys(texts).map((name) => join(folder, name))
  const there = paths.find((path) => existsSync(path))
  if (there !== undefined) {
    throw new FileFault(
      `found ${there}; wanted a folder without it (--out), since nothing is replaced`,
    )
  }
  try {
    // Names and addresses of people are in them.
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const [name, text] of Object.entries(texts)) {
      writeFileSync(join(folder, name), text, { flag: 'wx', mode: 0o600 })
    }
  } catch (error) {
    throw new FileFault(
      `${folder} can't be written (${(error as NodeJS.ErrnoException).code ?? ''})`,
    )
  }
  return paths
}

/** What an import before this one kept. @throws FileFault */
function readBefore(folder: string): Facts {
  const path = join(folder, files.export)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new FileFault(`${path} can't be read (${code}): import first`)
  }
  const facts = readExport(text)
  if (facts === undefined) throw new FileFault(`${path} is not what import wrote`)
  return facts
}

const bullets = (lines: readonly string[]): readonly string[] => lines.map((line) => `  - ${line}`)

function section(
  title: string,
  lines: readonly string[],
  paint: Output['paint'],
): readonly string[] {
  return lines.length === 0 ? [] : ['', paint('strong', title), ...bullets(lines)]
}

const peopleOf = ({ people }: Sorted): readonly string[] =>
  people.map(({ name, actions, groups }) => {
    const also = groups.length === 0 ? '' : ` (besides what ${groups.join(', ')} give)`
    return `${name}: ${actions.join(', ')}${also}`
  })

/** What is said to people. */
function toText(converted: Converted, paths: readonly string[], paint: Output['paint']): string {
  const { sorted, toFill, left, names, texts } = converted
  const groups = sorted.groups.map(({ name }) => name)
  const lines = [
    `groups: ${groups.join(', ') || 'none'}; names: ${names.length}; people with permissions of their own: ${sorted.people.length}`,
    ...section('Written', paths, paint),
    ...section('To fill in, since Trac does not say it', toFill, paint),
    ...section(
      'People with permissions of their own; gateway.yaml has two ways to carry them',
      peopleOf(sorted),
      paint,
    ),
    ...section(
      'Not carried over',
      left.map(({ what, why }) => `${what}: ${why}`),
      paint,
    ),
    '',
    paint('strong', 'Lines for trac.ini'),
    texts[files.ini],
    paint('strong', 'Then, once the gateway serves, and with the export kept'),
    "  trac-admin ENV permission export grants.csv && trac-admin ENV permission remove '*' '*'",
  ]
  return `${lines.join('\n')}\n`
}

function tellChanges({ out, flag }: Call, before: Facts, now: Facts): number {
  const changes = changesSince(before, now)
  if (flag('json')) out.print(`${JSON.stringify({ changes }, undefined, 2)}\n`)
  else if (changes.length === 0) out.print('nothing has changed in Trac since\n')
  else out.print(`${changes.map(changeText).join('\n')}\n`)
  return changes.length === 0 ? 0 : 1
}

/**
 * Reads a Trac and writes what the gateway needs of it.
 * @returns the exit code: 1 if it can't be read or written, with `--diff` also if something changed. @throws WrongUse
 */
export async function importTrac(call: Call): Promise<number> {
  const { out } = call
  const folder = call.text('out') ?? ''
  try {
    const before = call.flag('diff') ? readBefore(folder) : undefined
    const read = await readAll(call)
    if (before !== undefined) return tellChanges(call, before, read.facts)
    const environment = call.text('environment')
    const source = call.text('env') ?? call.text('permissions') ?? ''
    const converted = convert(read, environment)
    const paths = write(folder, converted.texts)
    const { sorted, toFill, left, names } = converted
    out.print(
      call.flag('json')
        ? `${JSON.stringify({ environment, files: paths, toFill, people: sorted.people, groups: sorted.groups, names, left }, undefined, 2)}\n`
        : `environment: ${[source, environment].filter((one) => one !== undefined).join(', as ')}\n${toText(converted, paths, out.paint)}`,
    )
    return converted.isUsable ? 0 : 1
  } catch (error) {
    if (error instanceof NoTrac || error instanceof FileFault) return failed(call, error.message)
    throw error
  }
}
