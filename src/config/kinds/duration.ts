/** Spans of time: `500ms`, `30s`, `15m`, `8h`, `7d`. */
import type { Milliseconds } from '../../core/clock.js'
import type { TextKind } from '../../core/text-kind.js'
import { unitKind } from './units.js'

/** A span of time, in milliseconds. */
export const durationKind: TextKind<Milliseconds> = unitKind(
  { name: 'duration', wanted: 'a duration with its unit, such as 500ms, 30s, 15m, 8h or 7d' },
  { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 },
)
