/** One of several environments of Trac below one base path: its name is the first segment (deploy/docs/guides/many-environments.md). */
import type { Identity } from '../core/identity.js'
import { encodePath } from './target.js'

/** First segments that are addresses of the gateway's own. */
export const reservedEnvironments: ReadonlySet<string> = new Set(['auth', 'login', 'logout'])

/** What is the same for all environments that one key of the configuration stands for. */
export interface EnvironmentRules {
  /** The key: a name or a pattern. Metrics have it as their label, so that no client can make one up. */
  readonly key: string
  readonly title: string | undefined
  /** Which of `upstreams` has it. */
  readonly upstream: string
  /** Who has not signed in, with what they may do there. */
  readonly anonymous: Identity
  /** Somebody with what they may do there; made once for each principal. */
  readonly identityOf: (identity: Identity) => Identity
}

/** Where a path below the base path lies. */
export interface Environment extends EnvironmentRules {
  readonly name: string
  /** The path of the environment, below the base path: `/math`. */
  readonly prefix: string
  /** The decoded path within it; the empty text for the environment itself. */
  readonly path: string
}

/** Finds the environment of a decoded path below the base path; undefined if it has none. */
export type EnvironmentAt = (path: string) => Environment | undefined

/** For a gateway before one environment. */
export const noEnvironments: EnvironmentAt = () => undefined

/** Whether a key stands for more than one name. */
export const isEnvironmentPattern = (key: string): boolean => key.includes('*')

/** What a name may be that a pattern stands for: what a folder and a segment of a path read alike. */
const plainName = /^(?!.*\.$)[\p{L}\p{N}_][\p{L}\p{N}._-]{0,63}$/u

function matcherOf(key: string, flags: string): RegExp {
  const parts = key.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.+')}$`, flags)
}

/** As a file system may write a name that takes upper and lower case, or two forms of one letter, for the same. */
const foldName = (name: string): string => name.normalize('NFKC').toLowerCase()

/**
 * Finds which of the keys stands for a name: a plain one before patterns, and those in their order. No pattern stands for
 * what could be another spelling of a plain name, and so open that environment by other rules.
 */
export function createKeyFinder(keys: readonly string[]): (name: string) => string | undefined {
  const plain = new Set(keys)
  const spelled = new Set(keys.map(foldName))
  const patterns = keys
    .filter(isEnvironmentPattern)
    .map((key) => ({ key, exact: matcherOf(key, 'su'), folded: matcherOf(key, 'sui') }))
  return (name) => {
    if (!plainName.test(name) || reservedEnvironments.has(name)) return undefined
    if (plain.has(name)) return name
    const folded = foldName(name)
    if (folded !== name.toLowerCase() || spelled.has(folded)) return undefined
    const first = patterns.find((pattern) => pattern.folded.test(name))
    return first?.exact.test(name) === true ? first.key : undefined
  }
}

/** Compiles the rules of all keys. */
export function createEnvironmentAt(all: readonly EnvironmentRules[]): EnvironmentAt {
  const byKey = new Map(all.map((rules) => [rules.key, rules]))
  const keyOf = createKeyFinder([...byKey.keys()])
  return (path) => {
    const end = path.indexOf('/', 1)
    const name = end < 0 ? path.slice(1) : path.slice(1, end)
    const rules = byKey.get(keyOf(name) ?? '')
    if (rules === undefined) return undefined
    return { ...rules, name, prefix: `/${name}`, path: end < 0 ? '' : path.slice(end) }
  }
}

/** The path of an environment as it stands in a link. */
export const environmentLink = (base: string, prefix: string): string =>
  `${base}${encodePath(prefix)}/`
