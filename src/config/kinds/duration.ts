/** Durations: `500ms`, `30s`, `15m`, `8h`, `7d`. */
import type { TUnsafe } from 'typebox'
import type { Milliseconds } from '../../core/clock.js'
import type { TextKind } from '../../core/text-kind.js'
import { value } from '../key.js'
import { unitKind } from './units.js'

/** A duration, in milliseconds. */
export const durationKind: TextKind<Milliseconds> = unitKind(
  { name: 'duration', wanted: 'a duration with its unit, such as 500ms, 30s, 15m, 8h or 7d' },
  { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 },
)

/** What a timer of Node can hold at most, rounded down to days. */
export const maxTimer = '24d'

/** A key with a duration. */
export const duration = (
  description: string,
  normally?: string,
  { min = '1ms', max = maxTimer }: { min?: string; max?: string } = {},
): TUnsafe<Milliseconds> =>
  value(durationKind, description, {
    min,
    max,
    ...(normally === undefined ? {} : { default: normally }),
  })
