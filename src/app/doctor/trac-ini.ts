/** Trac's own settings: read from `trac.ini`, or from the page about Trac; and those that don't fit the gateway. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { isYes, readIni, toList } from '../../trac/ini.js'
import type { Ini } from '../../trac/ini.js'
import { legacyEnd, ourPolicy, refusing, storedPolicy, usualLine } from '../../trac/policies.js'
import { keyFingerprint } from '../../trac/signature.js'
import { bad, good, notTried, wordsOf } from './row.js'
import type { Row } from './row.js'
import { tracName } from './site.js'
import type { Site } from './site.js'
import { plainText } from './trac-probe.js'

/** Why a file can't be read, in words. */
function fileFault(fault: unknown): string {
  const { code } = fault as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'it is not there'
  return code === 'EACCES' ? 'this user may not read it' : wordsOf(fault)
}

/** Names of sections and options compare without case. */
const put = (ini: Map<string, Map<string, string>>, section: string, name: string, value: string) =>
  void (ini.get(section) ?? ini.set(section, new Map()).get(section)!).set(
    name.trim().toLowerCase(),
    value.trim(),
  )

/** Reads the settings on Trac's page about itself, which shows them to whoever may see them. */
export function readAboutPage(html: string): Ini {
  const ini = new Map<string, Map<string, string>>()
  const table = /<div id="config">(.*?)<\/table>/s.exec(html)?.[1] ?? ''
  let section = ''
  for (const [row] of table.matchAll(/<tr\b.*?<\/tr>/gs)) {
    const cells = [...row.matchAll(/<(th|td)\b([^>]*)>(.*?)<\/\1>/gs)].map(
      ([, , attributes, text]) => [attributes ?? '', plainText(text ?? '')] as const,
    )
    const of = (name: string) => cells.find(([attributes]) => attributes.includes(name))?.[1]
    section = of('section') ?? section
    const name = of('name')
    if (name !== undefined) put(ini, section, name, of('value') ?? '')
  }
  return ini
}

/** Reads the versions there. */
export function readVersions(html: string): ReadonlyMap<string, string> {
  const table = /<div id="systeminfo">(.*?)<\/table>/s.exec(html)?.[1] ?? ''
  const rows = table.matchAll(/<th>([^<]*)<\/th>\s*<td>(.*?)<\/td>/gs)
  return new Map([...rows].map(([, name, text]) => [plainText(name ?? ''), plainText(text ?? '')]))
}

const option = (ini: Ini, section: string, name: string): string | undefined =>
  ini.get(section)?.get(name)

/** Whether Trac's own sign-in may stand beside the plugin. */
const isLegacy = (ini: Ini): boolean => isYes(option(ini, 'trac_gateway', 'legacy'))

function policiesRow(ini: Ini): Row {
  const check = 'trac.policies'
  const value = ini.get('trac')?.get('permission_policies') ?? ''
  const policies = toList(value)
  if (isLegacy(ini)) {
    if (policies.slice(-3).join() === legacyEnd.join()) return good(check, `${value}, for a move`)
    const wanted = `a list that ends with ${legacyEnd.join(', ')}, as [trac_gateway] legacy wants it`
    return bad(check, value, wanted, 'change [trac] permission_policies in trac.ini')
  }
  const at = policies.indexOf(ourPolicy)
  const wrong =
    at < 0
      ? 'TracGatewayPolicy is not in permission_policies'
      : policies.includes(storedPolicy)
        ? 'DefaultPermissionPolicy is in permission_policies, so rights stored in Trac would count'
        : undefined
  if (wrong !== undefined) return bad(check, wrong, usualLine, 'write this line into trac.ini')
  const late = refusing.filter((name) => policies.indexOf(name) > at)
  if (late.length === 0) return good(check, value)
  const found = `${late.join(', ')} after TracGatewayPolicy, which has said yes by then`
  return bad(check, found, usualLine, `put ${late.join(', ')} before TracGatewayPolicy in trac.ini`)
}

/** One setting that does not fit, or undefined. */
type Rule = (ini: Ini, site: Site) => readonly [found: string, wanted: string] | undefined

const rules: readonly Rule[] = [
  (ini, { app, place }) => {
    const found = option(ini, 'trac', 'base_url') ?? ''
    const wanted = app.address.url + (place?.prefix ?? '')
    // An empty one is made up of each request, and so is right; but mails have none.
    return found.replace(/\/$/, '') === wanted
      ? undefined
      : [`[trac] base_url = ${found}`, `base_url = ${wanted}, for the links in mails and feeds`]
  },
  (ini, { app }) =>
    app.address.secure && !isYes(option(ini, 'trac', 'secure_cookies'))
      ? ['[trac] secure_cookies is off', 'secure_cookies = true']
      : undefined,
  (ini, { app }) => {
    const host = option(ini, 'trac_gateway', 'host') ?? ''
    return host === '' || host.toLowerCase() === app.address.host
      ? undefined
      : [`[trac_gateway] host = ${host}`, `host = ${app.address.host}, or no such line`]
  },
  (ini) => {
    const first = toList(option(ini, 'trac', 'request_filters') ?? '')[0]
    return first === undefined || first === 'TracGateway'
      ? undefined
      : [
          `[trac] request_filters begins with ${first}, which sees requests that were not judged`,
          'request_filters = TracGateway, …',
        ]
  },
  (ini, { services }) => {
    const leaves = services.routes.some(({ legacyAuth }) => legacyAuth)
    if (leaves === isLegacy(ini)) return undefined
    return leaves
      ? ['no [trac_gateway] legacy, while the gateway has legacyAuth', 'legacy = true, or neither']
      : ['[trac_gateway] legacy = true, while the gateway has no legacyAuth', 'both, or neither']
  },
  (ini, { config }) => {
    const isOurs = option(ini, 'trac', 'permission_store') === 'TracGatewayPermissionStore'
    const tells = config.upstreams['trac']?.signature === 'v2'
    const wanted =
      'upstreams.trac.signature: v2 in gateway.yaml and [trac] permission_store = TracGatewayPermissionStore (deploy/docs/guides/people.md)'
    if (isOurs && !tells)
      return ['TracGatewayPermissionStore, whom the gateway tells nothing', wanted]
    return !isYes(option(ini, 'ticket', 'restrict_owner')) || isOurs
      ? undefined
      : ['[ticket] restrict_owner, whose list is empty by Trac’s own permission store', wanted]
  },
]

/** The settings that don't fit, and the order of the policies. */
export function rowsOfIni(ini: Ini, site: Site): readonly Row[] {
  const wrong = rules.map((rule) => rule(ini, site)).filter((one) => one !== undefined)
  const todo = 'change it in trac.ini, and restart Trac'
  const rows = [
    policiesRow(ini),
    ...wrong.map(([found, wanted]) => bad('trac.options', found, wanted, todo)),
  ]
  if (wrong.length === 0) rows.push(good('trac.options', 'the options that matter here fit'))
  return rows
}

/** Files that inherit from each other: more than this is a circle, which Trac itself refuses. */
const maxInherited = 20

/** A `trac.ini` over those that it inherits from. Trac passes over one that is not there. */
function readWithParents(path: string, depth = 0): Ini {
  const own = readIni(readFileSync(path, 'utf8'), '3')
  if (depth >= maxInherited) return own
  const ini = new Map([...own].map(([section, options]) => [section, new Map(options)]))
  for (const name of toList(option(own, 'inherit', 'file') ?? '')) {
    const file = isAbsolute(name) ? name : join(dirname(path), name)
    if (!existsSync(file)) continue
    for (const [section, options] of readWithParents(file, depth + 1)) {
      for (const [key, value] of options) {
        if (ini.get(section)?.has(key) !== true) put(ini, section, key, value)
      }
    }
  }
  return ini
}

/** The plugin in the environment, or in the folder that it shares with others, where it must be enabled by name. */
function pluginFileRow(folder: string, ini: Ini): Row {
  const check = 'trac.plugin-file'
  const own = join(folder, 'plugins', 'trac_gateway.py')
  const shared = option(ini, 'inherit', 'plugins_dir') ?? ''
  const isShared = shared !== '' && !existsSync(own)
  const file = isShared ? join(shared, 'trac_gateway.py') : own
  const enabled = option(ini, 'components', 'trac_gateway.*') ?? ''
  if (isShared && !/^(?:enabled|on|yes|true|1)$/i.test(enabled)) {
    const found = `${file} is in a folder that is shared, and is not enabled`
    const line = '[components] trac_gateway.* = enabled'
    return bad(check, found, line, `write that line into trac.ini, and restart Trac`)
  }
  try {
    const version = /^__version__ = '([^']*)'/m.exec(readFileSync(file, 'utf8'))?.[1]
    return good(check, `${file}, version ${version ?? 'before 0.2'}`)
  } catch (fault) {
    const found = `${file} can’t be read (${fileFault(fault)})`
    const todo = `cp deploy/trac/trac_gateway.py ${join(folder, 'plugins')}/, and restart Trac`
    return bad(check, found, 'the plugin in the environment', todo)
  }
}

function keyFileRow(folder: string, ini: Ini, site: Site): Row {
  const check = 'trac.key-file'
  const named = option(ini, 'trac_gateway', 'key_file') ?? 'trac_gateway.keys'
  const file = named.startsWith('/') ? named : join(folder, 'conf', named)
  const name = tracName(site)
  const [key] = site.config.upstreams[name]?.signingKeys ?? []
  if (key === undefined) return notTried(check, `upstreams.${name}.signingKeys is empty`)
  const wanted = `the line "${key.id} SECRET" with the secret of fingerprint ${keyFingerprint(key)}`
  const todo = `(umask 077 && printf '${key.id} %s\\n' "$(cat SIGNING-SECRET)" > ${file}); it must belong to the user that Trac runs as`
  try {
    // The group may read it, and nobody else may do anything.
    if ((statSync(file).mode & 0o027) !== 0) {
      return bad(check, `others may use ${file}`, 'mode 0600', `chmod 600 ${file}`)
    }
    const lines = readFileSync(file, 'utf8').split('\n')
    const fields = lines.map((line) => line.trim().split(/\s+/)).find(([id]) => id === key.id)
    if (fields === undefined) return bad(check, `${file} has no key ${key.id}`, wanted, todo)
    const there = keyFingerprint({ id: key.id, secret: fields[1] ?? '' })
    return there === keyFingerprint(key)
      ? good(check, `${file} has the key ${key.id}`)
      : bad(check, `${file} has another secret for ${key.id}: fingerprint ${there}`, wanted, todo)
  } catch (fault) {
    return bad(check, `${file} can’t be read (${fileFault(fault)})`, wanted, todo)
  }
}

/** Whether Trac signs people in by itself. */
export function loginRow(ini: Ini): Row {
  const check = 'trac.login-module'
  if (isLegacy(ini)) return good(check, 'on for a move: [trac_gateway] legacy = true')
  const login = option(ini, 'components', 'trac.web.auth.loginmodule') ?? ''
  if (/^(?:disabled|off|no|false|0)$/i.test(login)) return good(check, 'off')
  return bad(
    check,
    'Trac’s own sign-in is on',
    '[components] trac.web.auth.loginmodule = disabled',
    'write this line into trac.ini, and restart Trac',
  )
}

/** Looks into the folder of the environment. */
export function rowsOfEnvironment(folder: string, site: Site): readonly Row[] {
  let ini: Ini
  try {
    ini = readWithParents(join(folder, 'conf', 'trac.ini'))
  } catch (fault) {
    const found = `${join(folder, 'conf', 'trac.ini')} can’t be read (${fileFault(fault)})`
    const todo =
      'name the folder of the Trac environment with --trac-env, and run this as a user who may read it'
    return [bad('trac.environment', found, 'a Trac environment', todo)]
  }
  const files = [pluginFileRow(folder, ini), keyFileRow(folder, ini, site)]
  return [...files, loginRow(ini), ...rowsOfIni(ini, site)]
}
