/** Sizes: `4000B`, `64KiB`, `10MiB`, `1GiB`. */
import type { TUnsafe } from 'typebox'
import type { TextKind } from '../../core/text-kind.js'
import { value } from '../key.js'
import { unitKind } from './units.js'

/** A number of bytes. */
export type Bytes = number

/** A size, in bytes. */
export const sizeKind: TextKind<Bytes> = unitKind(
  {
    name: 'size',
    wanted: 'a size with its unit, such as 4000B, 64KiB, 10MiB or 1GiB',
    hint: (text) =>
      /^\d+ ?[kKmMgG]i?[bB]?$/.test(text)
        ? 'a size in KiB, MiB or GiB (1 KiB is 1024 bytes), without a space'
        : undefined,
  },
  { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
)

/** A key with a size. */
export const size = (
  description: string,
  normally?: string,
  limits: { min?: string; max?: string } = {},
): TUnsafe<Bytes> =>
  value(sizeKind, description, {
    ...limits,
    ...(normally === undefined ? {} : { default: normally }),
  })
