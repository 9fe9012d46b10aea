/** The tests of Trac that end otherwise behind the gateway, each with the reason why that is right. */

/** A test that is expected to fail. */
export interface Difference {
  /** Its class with the module, as the run prints it. */
  readonly test: string
  /** The Tracs in which it differs; both if it is left out. */
  readonly only?: '1.6' | '1.4.4'
  /** What happens, and why it is right. */
  readonly why: string
}

/** One that passes is a fault, too: then the row goes. */
export const differences: readonly Difference[] = []
