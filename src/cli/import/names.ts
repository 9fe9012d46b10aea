/** Names that Trac knows: which ones the gateway can give, whom an alias could be for, what `names reserve` is to be told. */
import { forbidNames, judgeName, looksLikeAddress } from '../../trac/user-names.js'
import { quote } from '../shell-word.js'
import { inOrder } from './facts.js'
import type { Facts, Left } from './facts.js'
import type { Sorted } from './grants.js'

/** What becomes of the names. */
export interface Names {
  /** All that can be names behind the gateway, in order. */
  readonly known: readonly string[]
  /** Addresses by name, where Trac has one. */
  readonly emails: ReadonlyMap<string, string>
  /** The domain whose local parts are most names, and of how many. */
  readonly domain:
    { readonly name: string; readonly fits: number; readonly all: number } | undefined
  readonly left: readonly Left[]
}

/** Words of Trac's own: the author of its first pages, and who owns what nobody owns. */
const notPeople = new Set(['anonymous', 'authenticated', 'trac', 'somebody', '< default >'])

/** The domain in which people are called as their addresses begin; half of those with an address, at least. */
function domainOf(emails: ReadonlyMap<string, string>): Names['domain'] {
  const fits = new Map<string, number>()
  for (const [name, email] of emails) {
    const at = email.lastIndexOf('@')
    if (email.slice(0, at).toLowerCase() !== name.toLowerCase()) continue
    const domain = email.slice(at + 1).toLowerCase()
    if (/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(domain)) fits.set(domain, (fits.get(domain) ?? 0) + 1)
  }
  const [best] = [...fits].toSorted(([a, one], [b, other]) => other - one || inOrder(a, b))
  if (best === undefined || best[1] * 2 < emails.size) return undefined
  return { name: best[0], fits: best[1], all: emails.size }
}

/** Sorts out all names that Trac knows: those who signed in, have a password, hold rights, or wrote something. */
export function sortNames(facts: Facts, { groups, people }: Sorted): Names {
  const forbidden = forbidNames(
    groups.map(({ name }) => name),
    facts.grants.map(([, action]) => action),
  )
  const isGroup = new Set(groups.map(({ name }) => name))
  const members = groups.flatMap((group) => group.members)
  const all = [
    ...facts.users.map(({ name }) => name),
    ...people.map(({ name }) => name),
    ...members.filter((name) => !isGroup.has(name)),
    ...facts.authors,
  ]
  const left: Left[] = []
  const known: string[] = []
  const inUse = new Set(facts.users.map(({ name }) => name))
  for (const name of [...new Set(all)].toSorted(inOrder)) {
    if (notPeople.has(name)) continue
    const judged = judgeName(name, 'keep', forbidden)
    if ('name' in judged) {
      // An address in a ticket is somebody who was never signed in.
      if (inUse.has(name) || !looksLikeAddress(name)) known.push(name)
    } else if (inUse.has(name)) {
      left.push({ what: `the user ${JSON.stringify(name)}`, why: `such a name ${judged.fault}` })
    }
  }
  const emails = new Map(
    facts.users.flatMap(({ name, email }) => (email === undefined ? [] : [[name, email] as const])),
  )
  return { known, emails, domain: domainOf(emails), left }
}

/** Names in one command: far below what a command line may have. */
const perCommand = 100

/** The commands that keep all names for those who get an alias. */
export function reserveCommands({ known }: Names): string {
  const lines: string[] = []
  for (let at = 0; at < known.length; at += perCommand) {
    lines.push(
      `trac-gateway names reserve -- ${known
        .slice(at, at + perCommand)
        .map(quote)
        .join(' ')}`,
    )
  }
  return [
    '# Every name that Trac knows. A reserved name is nobody’s, until an alias gives it to somebody:',
    '# so nobody new takes over what an old name did. Leave out names that people are to get by',
    '# themselves, as by identity.username.emailLocalPart.',
    ...lines,
    '',
  ].join('\n')
}
