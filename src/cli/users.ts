/** `trac-gateway users`: people of a pool who never signed in, by the names that they will have in Trac. */
import { readFileSync } from 'node:fs'
import { readProfile } from '../authenticate/profile.js'
import { createPeople } from '../app/people.js'
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import { GatewayError } from '../core/errors.js'
import { foldName } from '../trac/user-names.js'
import { WrongUse } from './command.js'
import type { Call } from './command.js'
import { CsvFault } from './import/csv.js'
import { NoTrac } from './import/run-in-trac.js'
import { failed } from './output.js'
import { quote } from './shell-word.js'
import { addUsers } from './users/add-users.js'
import type { NewUser } from './users/add-users.js'
import { PeopleFault, readPeople } from './users/read-people.js'
import type { PoolPerson } from './users/read-people.js'

interface Left {
  readonly account: string
  readonly why: string
}

/** Names all of them as a sign-in would. Two accounts at one name are both left out: nobody knows who comes first. */
function nameAll(people: readonly PoolPerson[], configFile: string, call: Call) {
  const config = loadConfig(configFile, { env: call.env }).config
  const issuer = call.text('issuer') ?? config.identity.issuer
  const rules = createPeople(config, [], () => {}).get(issuer)
  if (rules === undefined) {
    const issuers = [
      config.identity.issuer,
      ...config.identity.additionalIssuers.map((one) => one.issuer),
    ]
    throw new WrongUse(`found --issuer ${issuer}; wanted ${issuers.join(' or ')}`)
  }
  const left: Left[] = []
  const byName = new Map<string, { readonly account: string; readonly user: NewUser }[]>()
  for (const { label, claims, enabled } of people) {
    if (!enabled) continue
    const profile = readProfile(claims, rules.claims, rules.knownGroups)
    const { naming } = rules.parts
    try {
      if (claims['sub'] === undefined) throw new PeopleFault('it has no sub')
      const user = naming.nameOf(profile, rules.source)
      const fullName = naming.fullNameOf(profile) ?? ''
      const named = { user, fullName, email: naming.emailOf(profile) ?? '' }
      const others = byName.get(foldName(user)) ?? []
      byName.set(foldName(user), [...others, { account: label, user: named }])
    } catch (error) {
      if (error instanceof PeopleFault) left.push({ account: label, why: error.message })
      else if (error instanceof GatewayError) {
        left.push({ account: label, why: `${error.code}: ${error.message}` })
      } else throw error
    }
  }
  const users: NewUser[] = []
  for (const named of byName.values()) {
    const [one, ...others] = named
    if (one !== undefined && others.length === 0) users.push(one.user)
    else {
      const why = `${named.map(({ account }) => account).join(' and ')} come out at one name, ${one?.user.user}; an alias settles it`
      left.push(...named.map(({ account }) => ({ account, why })))
    }
  }
  return { users, left }
}

/** A line for a shell. trac-admin reads `:0` or `:1` at the end of a name as no part of it. */
function lineOf({ user, fullName, email }: NewUser): string {
  const name = /:[01]$/.test(user) ? `${user}:1` : user
  const words = email === '' ? (fullName === '' ? [] : [fullName]) : [fullName, email]
  return `trac-admin "$TRAC_ENV" session add ${[name, ...words].map(quote).join(' ')}`
}

/**
 * Prints the lines, or adds the people to an environment.
 * @returns the exit code: 1 if something can't be read, or somebody has no name
 */
export async function users(call: Call): Promise<number> {
  const { out, operands, env } = call
  const [file = '-'] = operands
  const environment = call.text('env')
  try {
    const people = readPeople(readFileSync(file === '-' ? 0 : file, 'utf8'))
    const named = nameAll(people, call.text('config') ?? 'gateway.yaml', call)
    const python = call.text('python')
    const done =
      environment === undefined
        ? undefined
        : await addUsers(environment, named.users, { python, env })
    if (call.flag('json')) {
      out.print(`${JSON.stringify({ ...named, ...done }, undefined, 2)}\n`)
    } else {
      if (done === undefined) for (const user of named.users) out.print(`${lineOf(user)}\n`)
      else out.print(`added ${done.added.length}, known before ${done.there.length}\n`)
      for (const { account, why } of named.left) out.note(`left out ${account}: ${why}\n`)
    }
    return named.left.length === 0 ? 0 : 1
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    if (path === file && code !== undefined) return failed(call, `${file} can't be read (${code})`)
    const isTold =
      error instanceof NoTrac ||
      error instanceof PeopleFault ||
      error instanceof CsvFault ||
      error instanceof ConfigProblems
    if (isTold) return failed(call, error.message)
    throw error
  }
}
