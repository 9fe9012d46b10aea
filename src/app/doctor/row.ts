/** One line of a report: what was looked at, what was found, and what to do about it. */
import { GatewayError } from '../../core/errors.js'
import { errorHints } from '../../core/error-hints.js'
import { tellFault } from '../tell-fault.js'

/** One line. Texts are for people, and have no secret in them. */
export interface Row {
  /** Names what was looked at: `provider.keys`. The same in every release. */
  readonly check: string
  readonly outcome: 'good' | 'bad' | 'not tried'
  /** What is so; or, for what was not tried, why not. */
  readonly found: string
  /** What should be so; with `bad` only. */
  readonly wanted?: string
  /** What to type or to change; with `bad` only. */
  readonly todo?: string
}

/** All is well. */
export const good = (check: string, found: string): Row => ({ check, outcome: 'good', found })

/** Something is wrong. */
export const bad = (check: string, found: string, wanted: string, todo: string): Row => ({
  ...{ check, outcome: 'bad', found, wanted, todo },
})

/** Nothing is known, and why. */
export const notTried = (check: string, why: string): Row => ({
  ...{ check, outcome: 'not tried', found: why },
})

/** A fault in words. */
export const wordsOf = (fault: unknown): string => tellFault(fault) ?? String(fault)

/** What to do about a fault. */
export function hintOf(fault: unknown, otherwise: string): string {
  return fault instanceof GatewayError ? errorHints[fault.code] : otherwise
}
