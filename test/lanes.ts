/** Which tests run beside which, and which belong to the quick run. */

/** How many files of a lane run at once, on two cores. */
export const lanes = { working: 2 } as const

/** A lane's name. */
export type Lane = keyof typeof lanes

/** The lane of a test. */
export function laneOf(_name: string): Lane {
  return 'working'
}

/** What `npm run test:quick` runs: what needs no Trac and no browser. */
const quick =
  /^(?:authorize|config|edge|forward|oidc|request|session|sign-in|trac)\/|^[^/]+$|^flow\/bearer$/

/** Whether a test belongs to the quick run. */
export function isQuick(name: string): boolean {
  return quick.test(name)
}
