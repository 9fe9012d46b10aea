/** Numbers with a unit: `30s`, `64KiB`. */
import { textKind } from '../../core/text-kind.js'
import type { TextKind } from '../../core/text-kind.js'

/** Digits that a number may have so that it stays exact, whatever the digits are. */
const digitsOf = (factor: number): number =>
  Math.floor(Math.log10(Number.MAX_SAFE_INTEGER / factor))

/** A kind of numbers; `factors` says what each unit counts. */
export function unitKind(
  options: Pick<TextKind<number>, 'name' | 'wanted'> & Partial<Pick<TextKind<number>, 'hint'>>,
  factors: Readonly<Record<string, number>>,
): TextKind<number> {
  const forms = Object.entries(factors).map(
    ([unit, factor]) => `(?:0|[1-9][0-9]{0,${digitsOf(factor) - 1}})${unit}`,
  )
  return textKind({
    ...options,
    pattern: `^(?:${forms.join('|')})$`,
    read: (_parts, text) => Number.parseInt(text, 10) * factors[text.replace(/^\d+/, '')]!,
  })
}
