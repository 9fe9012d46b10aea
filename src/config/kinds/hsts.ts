/** How long browsers keep to HTTPS: a duration, or `off`. */
import type { Milliseconds } from '../../core/clock.js'
import type { TextKind } from '../../core/text-kind.js'
import { durationKind } from './duration.js'

/** A duration, in milliseconds, or `off`. */
export const hstsKind: TextKind<Milliseconds | 'off'> = {
  ...durationKind,
  pattern: `^off$|${durationKind.pattern}`,
  wanted: 'off, or a duration such as 365d',
  parse: (text) => (text === 'off' ? 'off' : durationKind.parse(text)),
}
