/** The same facts from files, where no Trac can be asked: an export of permissions, `trac.ini`, lists of users. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { withNames } from './ask-trac.js'
import { CsvFault, readGrants } from './csv.js'
import type { Grant } from './csv.js'
import { inOrder, optionsRead, sectionsNamed } from './facts.js'
import type { Facts, Left, Settings, TracUser } from './facts.js'
import { IniFault, readIni } from '../../trac/ini.js'
import type { Dialect, Ini } from '../../trac/ini.js'

/** A file that can't be used; the text says which, and why. */
export class FileFault extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'FileFault'
  }
}

/** Which files. */
export interface Files {
  /** `trac-admin ENV permission export FILE`. */
  readonly permissions: string | undefined
  readonly tracIni: string | undefined
  /** One name a line. */
  readonly users: string | undefined
  /** Apache's file, or an htdigest one. */
  readonly htpasswd: string | undefined
}

/** The text of a file. @throws FileFault */
function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8' : (code ?? '')
    throw new FileFault(`${path} can't be read (${why})`)
  }
}

/** A file of grants. @throws FileFault */
export function readPermissions(path: string): readonly Grant[] {
  try {
    return readGrants(readText(path).replace(/^\ufeff/, ''))
  } catch (error) {
    if (!(error instanceof CsvFault)) throw error
    throw new FileFault(`${path}, ${error.message}`)
  }
}

/** A name at the start of each line: of a list, of `htpasswd` and of `htdigest`. @throws FileFault */
function readNames(path: string, isPasswords: boolean): readonly string[] {
  const lines = readText(path)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  const names = lines.map((line) => (isPasswords ? line.slice(0, line.indexOf(':')) : line))
  const bad = lines.findIndex((line) => isPasswords && line.indexOf(':') < 1)
  if (bad >= 0) throw new FileFault(`${path} has a line without "name:"; wanted a file of htpasswd`)
  return names
}

/** Files that inherit from each other: more than this is a circle. */
const maxInherited = 20

/** Files of one reading: the nearest first, and those that are not there. */
interface Chain {
  readonly inis: readonly Ini[]
  readonly missing: readonly string[]
}

/** A file and those that it inherits from. Trac passes over one that is not there. @throws FileFault, IniFault */
function readChain(path: string, dialect: Dialect, depth = 0): Chain {
  if (depth > maxInherited) throw new FileFault(`${path}: [inherit] file leads in a circle`)
  const ini = readIni(readText(path), dialect)
  const parents = (ini.get('inherit')?.get('file') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .map((name) => (isAbsolute(name) ? name : join(dirname(path), name)))
  const chains = parents.filter(existsSync).map((name) => readChain(name, dialect, depth + 1))
  return {
    inis: [ini, ...chains.flatMap(({ inis }) => inis)],
    missing: [
      ...parents.filter((name) => !existsSync(name)),
      ...chains.flatMap(({ missing }) => missing),
    ],
  }
}

/** The settings that count, and the names of the others where they are told. */
function settingsOf(chain: readonly Ini[]): Settings {
  const settings: Record<string, Record<string, string>> = {}
  const take = (section: string, option: string) => {
    const value = chain.map((ini) => ini.get(section)?.get(option)).find((one) => one !== undefined)
    if (value !== undefined) (settings[section] ??= {})[option] = value
  }
  const namesIn = (section: string) => [
    ...new Set(chain.flatMap((ini) => [...(ini.get(section)?.keys() ?? [])])),
  ]
  for (const [section, option] of optionsRead) {
    for (const name of option === '*' ? namesIn(section) : [option]) take(section, name)
  }
  return withNames(settings, Object.fromEntries(sectionsNamed.map((name) => [name, namesIn(name)])))
}

/** One reading of a file. */
interface Reading {
  readonly settings: Settings
  readonly missing: readonly string[]
}

function readBy(path: string, dialect: Dialect): Reading | IniFault {
  try {
    const { inis, missing } = readChain(path, dialect)
    return { settings: settingsOf(inis), missing }
  } catch (error) {
    if (error instanceof IniFault) return error
    throw error
  }
}

const leftOut = ({ missing }: Reading): readonly Left[] =>
  missing.map((what) => ({ what, why: '[inherit] file names it, and it is not there' }))

/** Options that the two Pythons read differently. */
function differences(one: Settings, other: Settings): readonly string[] {
  const names = (settings: Settings) =>
    Object.entries(settings).flatMap(([section, options]) =>
      Object.keys(options).map((option) => [section, option] as const),
    )
  const all = [...names(one), ...names(other)]
  const apart = all.filter(
    ([section, option]) => one[section]?.[option] !== other[section]?.[option],
  )
  return [...new Set(apart.map(([section, option]) => `[${section}] ${option}`))]
}

/** Reads `trac.ini` by both Pythons' rules; where they differ, Python 3's count, and it is told. @throws FileFault */
export function readTracIni(path: string): {
  readonly settings: Settings
  readonly left: readonly Left[]
} {
  const [three, two] = [readBy(path, '3'), readBy(path, '2.7')]
  if (three instanceof IniFault) {
    if (two instanceof IniFault) throw new FileFault(`${path}, ${three.message}`)
    const why = `only Trac 1.4 on Python 2.7 takes the file: ${three.message}`
    return { settings: two.settings, left: [{ what: path, why }, ...leftOut(two)] }
  }
  const { settings } = three
  if (two instanceof IniFault) {
    const why = `only Trac on Python 3 takes the file: ${two.message}`
    return { settings, left: [{ what: path, why }, ...leftOut(three)] }
  }
  const why =
    'Python 2.7 and 3 read this option differently, and Python 3’s reading was taken: compare it with Trac’s page /about'
  const apart = differences(settings, two.settings).map((what) => ({ what, why }))
  return { settings, left: [...apart, ...leftOut(three)] }
}

/** Puts names to those that are known. */
export function addUsers(
  users: readonly TracUser[],
  names: readonly string[],
  from: TracUser['from'],
): readonly TracUser[] {
  const known = new Set(users.map(({ name }) => name))
  const more = [...new Set(names)]
    .filter((name) => !known.has(name))
    .map((name) => ({ name, from }))
  return [...users, ...more].toSorted((a, b) => inOrder(a.name, b.name))
}

/** Reads what there is. @throws FileFault */
export function readFiles(
  files: Files,
  known?: Facts,
): { readonly facts: Facts; readonly left: readonly Left[] } {
  const ini = files.tracIni === undefined ? undefined : readTracIni(files.tracIni)
  let users = known?.users ?? []
  if (files.users !== undefined) users = addUsers(users, readNames(files.users, false), 'file')
  if (files.htpasswd !== undefined) {
    users = addUsers(users, readNames(files.htpasswd, true), 'passwords')
  }
  const names = new Set(users.map(({ name }) => name))
  return {
    facts: {
      ...(known ?? { authors: [] }),
      users,
      authors: (known?.authors ?? []).filter((name) => !names.has(name)),
      grants:
        files.permissions === undefined
          ? (known?.grants ?? [])
          : readPermissions(files.permissions),
      settings: ini?.settings ?? known?.settings ?? {},
    },
    left: ini?.left ?? [],
  }
}
