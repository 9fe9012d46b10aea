/** Paths of files. */
import { resolve } from 'node:path'
import { textKind } from '../../core/text-kind.js'

/** A path; the value is absolute. */
export const filePath = textKind<string>({
  name: 'path',
  pattern: '^[^\\0]+$',
  wanted: 'a file path; a relative one counts from the folder of this file',
  read: (_parts, text, folder) => resolve(folder, text),
})
