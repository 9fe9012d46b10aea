/** Asks Trac itself, by the Python that it runs on: every database, plugin and inherited file counts as it does there. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Facts, Settings, TracUser } from './facts.js'
import { inOrder, optionsRead, sectionsNamed } from './facts.js'
import type { Grant } from './csv.js'

const run = promisify(execFile)

/** Stands before the answer: plugins may print, too. */
const mark = 'trac-gateway import: '

/** Runs on Python 2.7 and 3. It reads, and changes nothing. */
const script = `
import json, sys
from trac import __version__
from trac.env import Environment
from trac.perm import DefaultPermissionStore, PermissionSystem
from trac.web.main import RequestDispatcher

# Else a log of Trac's would begin here, and belong to who runs this.
Environment.log_type = 'none'
env = Environment(sys.argv[1])
wanted, named = json.loads(sys.argv[2])

def name_of(component):
    return '%s.%s' % (component.__class__.__module__, component.__class__.__name__)

settings, others = {}, {}
for section, option in wanted:
    proxy = env.config[section]
    options = list(proxy.iterate(defaults=False)) if option == '*' else [option]
    for one in options:
        if proxy.contains(one, defaults=False):
            settings.setdefault(section, {})[one.lower()] = proxy.get(one)
for section in named:
    others[section] = [one.lower() for one in env.config[section].iterate(defaults=False)]
if not settings.get('trac', {}).get('permission_policies'):
    settings.setdefault('trac', {})['permission_policies'] = env.config.get('trac', 'permission_policies')

passwords, silent = set(), []
try:
    from acct_mgr.api import AccountManager
    stores = AccountManager(env).password_stores
except ImportError:
    stores = []
for store in stores:
    try:
        passwords.update(store.get_users())
    except Exception as error:
        silent.append('%s (%s)' % (name_of(store), error.__class__.__name__))

authors = set()
for table, column in (('ticket', 'owner'), ('ticket', 'reporter'), ('ticket_change', 'author'),
                      ('wiki', 'author'), ('attachment', 'author'), ('component', 'owner')):
    for row in env.db_query('SELECT DISTINCT %s FROM %s' % (column, table)):
        authors.add(row[0] or u'')

system = PermissionSystem(env)
own = ('trac.perm.DefaultPermissionStore', 'trac.perm.DefaultPermissionGroupProvider')
answer = {
    'grants': sorted(system.get_all_permissions()),
    'sessions': [[name, email] for name, _, email in env.get_known_users()],
    'passwords': sorted(passwords),
    'silentStores': sorted(silent),
    'authors': sorted(authors),
    'settings': settings,
    'others': others,
    'version': __version__,
    'authenticators': sorted(name_of(one) for one in RequestDispatcher(env).authenticators),
    'groupProviders': sorted(name for name in map(name_of, DefaultPermissionStore(env).group_providers)
                             if name not in own),
    'permissionStore': name_of(system.store),
}
env.shutdown()
sys.stdout.write('\\n%s%s\\n' % (sys.argv[3], json.dumps(answer)))
`

/** What the script prints. */
interface Answer {
  readonly grants: readonly Grant[]
  readonly sessions: readonly (readonly [string, string | null])[]
  readonly passwords: readonly string[]
  readonly authors: readonly string[]
  readonly settings: Settings
  readonly others: Readonly<Record<string, readonly string[]>>
  readonly version: string
  readonly authenticators: readonly string[]
  readonly groupProviders: readonly string[]
  readonly permissionStore: string
  readonly silentStores: readonly string[]
}

/** No Python here has Trac, or Trac could not be asked; the text says what to type. */
export class NoTrac extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NoTrac'
  }
}

/** The Python that runs `trac-admin`, by its first line. */
function pythonOfTracAdmin(path: string): readonly string[] {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    try {
      const [first = ''] = readFileSync(join(folder, 'trac-admin'), 'utf8').split('\n', 1)
      const program = /^#!\s*(\/\S+)$/.exec(first.trimEnd())?.[1]
      return program === undefined ? [] : [program]
    } catch {
      // Not in this folder.
    }
  }
  return []
}

/** No connection came: Trac's pool says only that, and Python 3 says before it what the driver found. */
const isNoConnection = (words: string): boolean => words.startsWith('trac.db.pool.TimeoutError')

/** What a Python said at its end: its error, and the one that led to it where Trac hides that. */
function lastWords(error: unknown): string {
  const said = (error as { readonly stderr?: string }).stderr || (error as Error).message
  const lines = said.trim().split('\n')
  const last = lines.at(-1) ?? ''
  const cause = lines.filter((line) => /^[\w.]+: /.test(line)).at(-2)
  return isNoConnection(last) && cause !== undefined ? `${last} ${cause}` : last
}

const byFile = '--permissions with the file of "trac-admin ENV permission export FILE"'
const byHand = `wanted a Python that has Trac and the driver of its database (--python), or ${byFile}`
const byDatabase = `wanted Trac's database, as trac.ini names it, to take its user from here; or ${byFile}`

async function runScript(python: string, environment: string, env: NodeJS.ProcessEnv) {
  const parameters = ['-c', script, environment, JSON.stringify([optionsRead, sectionsNamed]), mark]
  const { stdout } = await run(python, parameters, {
    env: { ...env, PYTHONIOENCODING: 'utf-8', PYTHONDONTWRITEBYTECODE: '1' },
    maxBuffer: 256 * 1024 * 1024,
    timeout: 300_000,
  })
  const line = stdout.split('\n').find((text) => text.startsWith(mark))
  if (line === undefined) throw new Error(`${python} said nothing of Trac`)
  return JSON.parse(line.slice(mark.length)) as Answer
}

/** Finds a Python that has Trac, and asks it. @throws NoTrac */
export async function askTrac(
  environment: string,
  { python, env }: { readonly python: string | undefined; readonly env: NodeJS.ProcessEnv },
): Promise<Facts> {
  const candidates =
    python === undefined
      ? [...pythonOfTracAdmin(env['PATH'] ?? ''), 'python3', 'python', 'python2']
      : [python]
  const tried: string[] = []
  for (const candidate of candidates) {
    try {
      return toFacts(await runScript(candidate, environment, env))
    } catch (error) {
      const words = lastWords(error)
      const lacksTrac = /No module named '?trac\b/.test(words) || /ENOENT/.test(words)
      if (!lacksTrac)
        throw new NoTrac(
          `${candidate}: found ${words}; ${isNoConnection(words) ? byDatabase : byHand}`,
        )
      tried.push(candidate)
    }
  }
  throw new NoTrac(`found no Trac by ${tried.join(', ')}; ${byHand}`)
}

function toFacts(answer: Answer): Facts {
  const { version, authenticators, groupProviders, permissionStore, silentStores } = answer
  const users = new Map<string, TracUser>()
  for (const name of answer.passwords) users.set(name, { name, from: 'passwords' })
  for (const [name, email] of answer.sessions) {
    users.set(name, { name, from: 'session', ...(email ? { email } : {}) })
  }
  return {
    grants: answer.grants,
    users: [...users.values()].toSorted((a, b) => inOrder(a.name, b.name)),
    authors: answer.authors.filter((name) => name !== '' && !users.has(name)),
    settings: withNames(answer.settings, answer.others),
    trac: { version, authenticators, groupProviders, permissionStore, silentStores },
  }
}

/** Options that are only named stand there with a star for their value. */
export function withNames(
  settings: Settings,
  others: Readonly<Record<string, readonly string[]>>,
): Settings {
  const all: Record<string, Readonly<Record<string, string>>> = { ...settings }
  for (const [section, names] of Object.entries(others)) {
    if (names.length === 0) continue
    all[section] = { ...Object.fromEntries(names.map((name) => [name, '*'])), ...all[section] }
  }
  return all
}
