/** Makes people known to Trac before they come, by what `trac-admin ENV session add` does. */
import { runInTrac } from '../import/run-in-trac.js'
import type { PythonChoice } from '../import/run-in-trac.js'

/** Somebody by the name that Trac knows; empty text for what is not known. */
export interface NewUser {
  readonly user: string
  readonly fullName: string
  readonly email: string
}

/** Whoever is known to Trac stays as they are. */
const script = `
import json, sys
from trac.admin.api import AdminCommandManager
from trac.env import Environment

# Else a log of Trac's would begin here, and belong to who runs this.
Environment.log_type = 'none'
env = Environment(sys.argv[1])
known = set(user[0] for user in env.get_known_users())
added, there = [], []
for user, name, email in json.loads(sys.stdin.read()):
    if user in known:
        there.append(user)
        continue
    AdminCommandManager(env).execute_command('session', 'add', user + ':1', name, email)
    added.append(user)
env.shutdown()
sys.stdout.write('\\n%s%s\\n' % (sys.argv[2], json.dumps({'added': added, 'there': there})))
`

/** Who was added, and who was there. */
export interface Added {
  readonly added: readonly string[]
  readonly there: readonly string[]
}

/** Adds them. @throws NoTrac */
export async function addUsers(
  environment: string,
  users: readonly NewUser[],
  choice: PythonChoice,
): Promise<Added> {
  const input = JSON.stringify(users.map(({ user, fullName, email }) => [user, fullName, email]))
  const otherwise = 'the lines that are printed without --env'
  return runInTrac<Added>({ environment, script, input, otherwise }, choice)
}
