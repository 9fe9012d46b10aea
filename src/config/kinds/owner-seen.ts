/** Within what time somebody must have been seen: a duration, or `never`. */
import type { Milliseconds } from '../../core/clock.js'
import type { TextKind } from '../../core/text-kind.js'
import { durationKind } from './duration.js'

/** A duration, in milliseconds, or `never`. */
export const ownerSeenKind: TextKind<Milliseconds | 'never'> = {
  ...durationKind,
  pattern: `^never$|${durationKind.pattern}`,
  wanted: 'never, or a duration such as 14d',
  parse: (text) => (text === 'never' ? 'never' : durationKind.parse(text)),
}
