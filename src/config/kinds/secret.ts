/** Secrets: never in the file itself, but in an environment variable or a file of their own. */
import { resolve } from 'node:path'
import type { TUnsafe } from 'typebox'
import type { TextKind } from '../../core/text-kind.js'
import { keyOf, leaf } from '../key.js'
import type { KeySchema } from '../key.js'
import { showValue } from '../problems.js'
import { filePath } from './file-path.js'

/** A PEM text, and the file it came from, so that it can be read again when that changes. */
export interface Pem {
  readonly path: string | undefined
  readonly value: string
}

/** Where the text of a secret comes from. */
export const secretSources: Readonly<Record<string, KeySchema>> = {
  fromEnv: {
    type: 'string',
    pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
    wanted: 'the name of an environment variable',
  },
  fromFile: {
    type: 'string',
    pattern: filePath.pattern,
    wanted: 'a file path',
  },
}

const sources: readonly KeySchema[] = Object.entries(secretSources).map(([name, source]) => ({
  type: 'object',
  properties: { [name]: source },
  additionalProperties: false,
}))

/** A key with a secret of at least so many bytes. */
export const secret = (description: string, minBytes = 1): TUnsafe<string> =>
  leaf({
    secret: 'text',
    anyOf: sources,
    minBytes,
    wanted: '{ fromEnv: NAME } or { fromFile: path }',
    description,
  })

/** A key with an address that holds a secret. */
export const secretAddress = <T>(kind: TextKind<T>, description: string): TUnsafe<T> =>
  leaf({ ...keyOf(secret(description)), kind })

/** A key with a PEM text, which is secret unless it is public. */
export const pem = (description: string, isPublic = false): TUnsafe<Pem> =>
  leaf({ ...keyOf(secret(description)), secret: 'pem', public: isPublic })

/** Whether a secret of ours is no random one: of random bytes in any usual form, 16 differ more. */
export const isRepetitive = (text: string): boolean => new Set(text).size < 4

/** Others than its owner and its group. */
const others = 0o007

/** What to think about in a file that holds a secret; undefined for nothing. */
export function adviseMode(mode: number): { found: string; wanted: string } | undefined {
  if ((mode & others) === 0) return undefined
  const shown = (mode & 0o777).toString(8).padStart(4, '0')
  return {
    found: `a file that every user of this machine can read (mode ${shown})`,
    wanted: 'a file for its owner and group alone: chmod o= FILE',
  }
}

/** What the sources of secrets need of the process. */
export interface SecretContext {
  readonly env: NodeJS.ProcessEnv
  readonly folder: string
  readonly readFile: (path: string) => string
}

/** What a source holds, or what is wrong with it. */
export type SecretText = Pem | { readonly found: string; readonly wanted: string }

/** Editors end a file with a newline that nobody meant as part of the secret. */
const withoutNewline = (text: string): string => text.replace(/\r?\n$/, '')

/** Fetches the text of a secret. */
export function fetchSecret(source: string, name: string, context: SecretContext): SecretText {
  if (source === 'fromFile') return fromFile(resolve(context.folder, name), name, context)
  const value = context.env[name]
  if (value !== undefined) return { path: undefined, value: withoutNewline(value) }
  return { found: `${showValue(name)}, which is not set`, wanted: 'an environment variable' }
}

function fromFile(path: string, name: string, context: SecretContext): SecretText {
  try {
    return { path, value: withoutNewline(context.readFile(path)) }
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    return { found: `${showValue(name)} (${code})`, wanted: 'a file that can be read' }
  }
}
