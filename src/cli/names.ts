/** `trac-gateway names`: shows and settles whose name is whose, in the gateway that runs. */
import { readFileSync } from 'node:fs'
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import type { Config } from '../config/schema.js'
import type { NameCommand, NameReport, PlainName } from '../observe/admin.js'
import { askAdmin } from './admin-client.js'
import type { Output } from './command.js'
import { createProgress, ofTotal } from './progress.js'

/** What is asked, and what to take from the process. */
export interface NamesOptions {
  readonly json: boolean
  readonly env: NodeJS.ProcessEnv
  /** Takes the text; standard output by default. */
  readonly print?: (text: string) => void
  /** Draws how far an import is, on a terminal. */
  readonly progress?: Output['progress']
}

/** What `trac-gateway names` can do. */
export type NamesAction =
  | Exclude<NameCommand, { readonly do: 'import' }>
  | { readonly do: 'export' }
  /** From a file, or from standard input. */
  | { readonly do: 'import'; readonly file: string | undefined }

type Ask = (command: NameCommand) => Promise<NameReport>
interface Said {
  readonly ok: boolean
  readonly text: string
  readonly value: unknown
}

/** Names that go over in one request. */
const pageSize = 1000
/** A release ends sessions, and an import is kept on disk name by name. */
const timeout = 120_000

/** A fault that is told as it stands. */
class Told extends Error {}

function askOf({ admin }: Config): Ask {
  const { listen, token } = admin
  if (token === undefined) {
    throw new Told(
      'admin.token is not set, so the gateway lets nobody look at names or change them',
    )
  }
  return async (command) => {
    const { status, body } = await askAdmin(listen, token, '/names', command, timeout).catch(
      (error: Error) => {
        throw new Told(
          `the admin listener can't be reached (${error.message}): is the gateway running?`,
        )
      },
    )
    if (status === 200) return body as unknown as NameReport
    if (status === 404) throw new Told('the gateway that runs knows no names: it is of release 0.1')
    throw new Told(typeof body['message'] === 'string' ? body['message'] : `status ${status}`)
  }
}

const ownerOf = ({ issuer, sub }: PlainName): string =>
  issuer === undefined ? 'reserved' : `${sub} of ${issuer}`

async function list(ask: Ask): Promise<Said> {
  const names = await namesOf(ask)
  const lines = names.map((one) => `${one.name}: ${ownerOf(one)}`)
  return { ok: true, text: lines.join('\n') || 'no name has an owner yet', value: { names } }
}

async function namesOf(ask: Ask): Promise<readonly PlainName[]> {
  const report = await ask({ do: 'list' })
  return 'names' in report ? report.names : []
}

/** One line of JSON for each name, as `import` reads it. */
async function exportNames(ask: Ask): Promise<Said> {
  const names = await namesOf(ask)
  return { ok: true, text: names.map((one) => JSON.stringify(one)).join('\n'), value: { names } }
}

type Outcomes = Extract<NameReport, { readonly outcomes: unknown }>['outcomes']

async function outcomesOf(ask: Ask, command: NameCommand): Promise<Outcomes> {
  const report = await ask(command)
  return 'outcomes' in report ? report.outcomes : []
}

/** A line for each outcome; `done` is what is said of one that went well. */
function say(outcomes: Outcomes, done: string, none: string): Said {
  const lines = outcomes.map(({ name, done: isDone, why }) =>
    isDone ? `${name} ${done}` : `${name}: nothing is changed, ${why ?? 'no reason was given'}`,
  )
  const ok = outcomes.length > 0 && outcomes.every((outcome) => outcome.done)
  return { ok, text: lines.join('\n') || none, value: { outcomes } }
}

/** An entry of an import; throws for anything else. */
function readEntry(line: string, index: number): PlainName {
  try {
    const entry = JSON.parse(line) as PlainName
    if (typeof entry.name === 'string') return entry
  } catch {
    // Said below.
  }
  throw new Told(`line ${index + 1} is no name: wanted {"name": …, "issuer": …, "sub": …}`)
}

async function importNames(
  ask: Ask,
  file: string | undefined,
  draw: Output['progress'],
): Promise<Said> {
  let text: string
  try {
    text = readFileSync(file ?? 0, 'utf8')
  } catch (error) {
    throw new Told(`${file ?? 'standard input'} can't be read (${(error as Error).message})`)
  }
  const entries = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(readEntry)
  const outcomes: Outcomes[number][] = []
  const progress = createProgress({ progress: draw }, entries.length, ofTotal(entries.length))
  try {
    for (let i = 0; i < entries.length; i += pageSize) {
      const page = entries.slice(i, i + pageSize)
      outcomes.push(...(await outcomesOf(ask, { do: 'import', entries: page })))
      progress.add(page.length)
    }
  } finally {
    progress.end()
  }
  const failed = outcomes.filter(({ done }) => !done)
  const first = `${outcomes.length - failed.length} of ${entries.length} names are kept`
  const { text: more } = say(failed, '', '')
  const ok = failed.length === 0
  return { ok, text: ok ? first : `${first}\n${more}`, value: { outcomes } }
}

const ended = 'is free: whoever comes first gets it. Sessions and tokens of who had it have ended'

async function run(ask: Ask, action: NamesAction, draw: Output['progress']): Promise<Said> {
  switch (action.do) {
    case 'list':
      return list(ask)
    case 'export':
      return exportNames(ask)
    case 'import':
      return importNames(ask, action.file, draw)
    case 'reserve':
      return say(
        await outcomesOf(ask, action),
        'is reserved: only an alias gives it to somebody',
        '',
      )
    case 'release':
      return say(await outcomesOf(ask, action), ended, '')
    default:
      return say(await outcomesOf(ask, action), ended, `nobody of ${action.issuer} has a name here`)
  }
}

/**
 * Does one thing with the names of the gateway that runs with this configuration.
 * @returns the exit code: 0 if all of it is done, 1 if not
 */
export async function names(
  path: string,
  action: NamesAction,
  options: NamesOptions,
): Promise<number> {
  const print = options.print ?? ((text) => void process.stdout.write(text))
  const tell = ({ ok, text, value }: Said): number => {
    const isJson = options.json && action.do !== 'export'
    const said = isJson ? JSON.stringify({ ok, ...(value as object) }) : text
    print(said === '' ? '' : `${said}\n`)
    return ok ? 0 : 1
  }
  try {
    const ask = askOf(loadConfig(path, { env: options.env }).config)
    return tell(await run(ask, action, options.progress))
  } catch (error) {
    const isKnown = error instanceof Told || error instanceof ConfigProblems
    if (!isKnown) throw error
    const { message } = error
    return tell({ ok: false, text: message, value: { message } })
  }
}
