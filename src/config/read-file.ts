/** Reads a YAML file that is no gateway.yaml by a schema of its own, with the same words for what is wrong, and where. */
import { dirname, resolve } from 'node:path'
import type { Static, TSchema } from 'typebox'
import { keyOf } from './key.js'
import { Places } from './places.js'
import { ConfigProblems, formatPath } from './problems.js'
import type { Path, Place, Problem, Report } from './problems.js'
import { readConfig } from './read.js'
import { parseYaml } from './yaml.js'

/** What a file says, and where it says it. */
export interface ReadFile<T> {
  readonly value: T
  readonly placeOf: (path: Path) => Place
}

/**
 * Reads a text by a schema that names no secrets, files or variables.
 * @param file what it is called in problems
 * @throws {@link ConfigProblems} with all problems of the file, in its order
 */
export function readFileBy<T extends TSchema>(
  schema: T,
  file: string,
  text: string,
): ReadFile<Static<T>> {
  const places = new Places()
  const problems: Problem[] = []
  const report: Report = (at, found, wanted, place) => {
    problems.push({ file, ...(place ?? places.of(at)), path: formatPath(at), found, wanted })
  }
  const root = parseYaml(text, report)
  const value =
    root === undefined
      ? undefined
      : readConfig(keyOf(schema), root, {
          env: {},
          folder: dirname(resolve(file)),
          readFile: () => '',
          readBytes: () => Buffer.alloc(0),
          stat: () => undefined,
          report,
          warn: () => () => undefined,
          found: (at, place) => places.add(at, place),
        })
  problems.sort((a, b) => a.line - b.line || a.column - b.column)
  if (problems.length > 0) throw new ConfigProblems(problems)
  // It has no problem, so it is what the schema says.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { value: value as Static<T>, placeOf: (path) => places.of(path) }
}
