/** Compares secrets. */
import { hash, timingSafeEqual } from 'node:crypto'

/** Whether two texts are the same; how long that takes tells nothing of how much of a text is right. */
export const isSameText = (one: string, other: string): boolean =>
  timingSafeEqual(hash('sha256', one, 'buffer'), hash('sha256', other, 'buffer'))
