/** Writes a file as a whole, so that a crash leaves the old text or the new one, and never a part. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'

/** Puts a text in the place of a file, readable by its owner alone. @throws Error — it can't be written; then the file is as before */
export function replaceFile(path: string, text: string): void {
  // Several workers may keep the same file of keys, each a whole one.
  const name = `${path}.${process.pid}.new`
  const next = openSync(name, 'w', 0o600)
  try {
    writeFileSync(next, text)
    fsyncSync(next)
  } finally {
    closeSync(next)
  }
  renameSync(name, path)
}
