/** Watches files, and tells of a change once nothing more changes. */
import { unwatchFile, watchFile } from 'node:fs'
import type { Milliseconds } from '../core/clock.js'

/** A watch whose files can be changed. */
export interface FileWatch {
  /** From now on looks at these, and at no others. */
  follow(paths: readonly string[]): void
  close(): void
}

/**
 * How often the files' status is looked at. It follows links, so it sees every way of changing them: written in
 * place, renamed by an editor, a link turned to another folder (Kubernetes), on any file system.
 */
const lookEvery: Milliseconds = 1000

/** A file written in place may be half there, and be a valid one: a change counts when nothing more changed for longer than a look. */
const restFor: Milliseconds = 2 * lookEvery

/** Watches nothing until it is told what to follow. */
export function watchFiles(onChange: () => void): FileWatch {
  let followed: readonly string[] = []
  let rest: NodeJS.Timeout | undefined
  const onStatus = (): void => {
    clearTimeout(rest)
    rest = setTimeout(onChange, restFor)
    rest.unref()
  }
  const leave = (): void => {
    for (const path of followed) unwatchFile(path, onStatus)
  }
  return {
    follow(paths) {
      if (paths.length === followed.length && paths.every((path) => followed.includes(path))) return
      leave()
      followed = [...paths]
      for (const path of followed) {
        watchFile(path, { interval: lookEvery, persistent: false }, onStatus)
      }
      // One may have changed since it was read.
      onStatus()
    },
    close() {
      leave()
      clearTimeout(rest)
    },
  }
}
