/** A topic of gateway.yaml: its keys, and the rules between them. Each stands in one file below `topics/`. */
import type { TProperties } from 'typebox'
import type { Draft } from './draft.js'
import type { Path, Report } from './problems.js'

/** Whether a key stands in the file, rather than being a default. */
export type Given = (path: Path) => boolean

/**
 * Looks at the keys that it names in `T`, of its own topic or of others, and reports on its own. What
 * could not be read is undefined, and reported already.
 */
export type Rule<T> = (draft: Draft<T>, report: Report, given: Given) => void

/**
 * What to think about, by the name under which `acknowledge` takes it: once given, a name stays. One name may stand for
 * several places, and for one thing alone.
 */
export type Warnings<T> = Readonly<Record<string, Rule<T>>>

/** A topic. `T` names the keys that its rules look at. */
export interface Topic<K extends TProperties, T> {
  readonly keys: K
  /** What cannot be run. */
  readonly checks: readonly Rule<T>[]
  /** What can be run, and should be thought about. */
  readonly warnings: Warnings<T>
}
