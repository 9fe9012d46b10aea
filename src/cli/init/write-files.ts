/** Writes the files of `init`: none that is there is touched. */
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Answers } from './answers.js'
import type { Found } from './find-out.js'
import { files, gatewayText, keyId, tracIniText } from './texts.js'

/** `trac_gateway.py`, as far from `src/cli/init/` as it is from `dist/cli/init/`. */
const pluginFile = fileURLToPath(new URL('../../../deploy/trac/trac_gateway.py', import.meta.url))

/** What became of one file. */
export interface Written {
  readonly path: string
  readonly outcome: 'written' | 'was there'
}

/** Where everything goes. */
export interface Places {
  readonly config: string
  readonly folder: string
  /** The plugin's key file and the plugin, where Trac's environment is here; else beside gateway.yaml, to be copied. */
  readonly keyFile: string
  readonly plugin: string
  readonly tracIni: string
}

/** Names the places. */
export function placesOf(config: string, { tracEnv }: Answers): Places {
  const folder = dirname(config)
  return {
    config,
    folder,
    keyFile: tracEnv
      ? join(tracEnv, 'conf', 'trac_gateway.keys')
      : join(folder, 'trac_gateway.keys'),
    plugin: join(tracEnv ? join(tracEnv, 'plugins') : folder, 'trac_gateway.py'),
    tracIni: join(folder, 'trac.ini.lines'),
  }
}

/** Writes a file that is not there; `x` makes that one step. */
function write(path: string, text: string, mode: number): Written {
  try {
    writeFileSync(path, text, { flag: 'wx', mode })
    return { path, outcome: 'written' }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return { path, outcome: 'was there' }
  }
}

/** What belongs to Trac belongs to whoever owns its environment; only root can give files away. */
function giveToTrac(path: string, tracEnv: string | undefined): void {
  if (tracEnv === undefined || process.getuid?.() !== 0) return
  const { uid, gid } = statSync(tracEnv)
  chownSync(path, uid, gid)
}

const createSecret = (): string => `${randomBytes(48).toString('base64url')}\n`

/** Writes them all. @throws Error — one can't be written */
export function writeFiles(answers: Answers, found: Found, places: Places): readonly Written[] {
  const { folder } = places
  const { tracEnv, clientSecret } = answers
  const at = (name: string): string => join(folder, name)
  mkdirSync(at('secrets'), { recursive: true, mode: 0o700 })
  mkdirSync(at('state'), { recursive: true, mode: 0o700 })
  const written = [
    write(at(files.session), createSecret(), 0o600),
    write(at(files.signing), createSecret(), 0o600),
    write(at(files.admin), createSecret(), 0o600),
    ...(clientSecret === undefined ? [] : [write(at(files.client), `${clientSecret}\n`, 0o600)]),
  ]
  // Of the file, since it may have been there.
  const signing = readFileSync(at(files.signing), 'utf8').trim()
  const forTrac = [
    write(places.keyFile, `${keyId} ${signing}\n`, 0o600),
    write(places.plugin, readFileSync(pluginFile, 'utf8'), 0o644),
  ]
  for (const { path, outcome } of forTrac) if (outcome === 'written') giveToTrac(path, tracEnv)
  const keyFile = tracEnv === undefined ? '/etc/trac/trac_gateway.keys' : places.keyFile
  return [
    ...written,
    ...forTrac,
    write(places.tracIni, tracIniText(answers, found, keyFile), 0o644),
    // The last one: with it, everything that it names is there.
    write(places.config, gatewayText(answers, found), 0o644),
  ]
}

/** Whether a configuration is there already, which `init` leaves alone. */
export const isThere = (path: string): boolean => existsSync(path)
