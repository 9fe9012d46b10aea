/** Asks Trac itself, by the Python that it runs on: every database, plugin and inherited file counts as it does there. */
import type { Facts, Settings, TracUser } from './facts.js'
import { inOrder, optionsRead, sectionsNamed } from './facts.js'
import type { Grant } from './csv.js'
import { runInTrac } from './run-in-trac.js'

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
wanted, named = json.loads(sys.argv[3])

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
# The bridge's store tells of the gateway's groups, too; what Trac has stored is beside it.
store = getattr(system.store, 'stored', system.store)
own = ('trac.perm.DefaultPermissionStore', 'trac.perm.DefaultPermissionGroupProvider',
       'trac_gateway.TracGatewayUsers')
answer = {
    'grants': sorted(store.get_all_permissions()),
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
    'permissionStore': name_of(store),
}
env.shutdown()
sys.stdout.write('\\n%s%s\\n' % (sys.argv[2], json.dumps(answer)))
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

const byFile = '--permissions with the file of "trac-admin ENV permission export FILE"'

/** Asks the Trac of an environment. @throws NoTrac */
export async function askTrac(
  environment: string,
  options: { readonly python: string | undefined; readonly env: NodeJS.ProcessEnv },
): Promise<Facts> {
  const parameters = [JSON.stringify([optionsRead, sectionsNamed])]
  const answer = await runInTrac<Answer>(
    { environment, script, parameters, otherwise: byFile },
    options,
  )
  return toFacts(answer)
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
