/**
 * What the files of a configuration held when the primary took it. Workers load from that and not from the disk: all have
 * the same, and one that is started anew has what the others serve, whatever stands in the files by now.
 */
import { readFileSync } from 'node:fs'
import { loadConfig, readFirstBytes } from '../../config/load.js'
import type { Loaded } from '../../config/load.js'

/** By path: what was read as text, and what as bytes. */
export interface RememberedFiles {
  readonly texts: ReadonlyMap<string, string>
  readonly bytes: ReadonlyMap<string, Uint8Array>
}

/** Loads a configuration from the disk, and remembers what it read. @throws ConfigProblems */
export function loadRemembering(
  path: string,
  env: NodeJS.ProcessEnv,
): { readonly loaded: Loaded; readonly files: RememberedFiles } {
  const texts = new Map<string, string>()
  const bytes = new Map<string, Uint8Array>()
  const loaded = loadConfig(path, {
    env,
    readFile(name) {
      const text = readFileSync(name, 'utf8')
      texts.set(name, text)
      return text
    },
    readBytes(name, max) {
      const first = readFirstBytes(name, max)
      bytes.set(name, first)
      return first
    },
  })
  return { loaded, files: { texts, bytes } }
}

function find<T>(files: ReadonlyMap<string, T>, name: string): T {
  const found = files.get(name)
  if (found === undefined) throw new Error(`${name} was not read`)
  return found
}

/** Loads the configuration that was remembered. */
export function loadRemembered(
  path: string,
  env: NodeJS.ProcessEnv,
  { texts, bytes }: RememberedFiles,
): Loaded {
  return loadConfig(path, {
    env,
    readFile: (name) => find(texts, name),
    readBytes: (name) => Buffer.from(find(bytes, name)),
  })
}
