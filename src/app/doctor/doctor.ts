/** Looks at a whole set-up: every check in one list, each by the code that serves. It starts and changes nothing. */
import type { Row } from './row.js'
import { checkClient } from './client.js'
import { checkFront } from './front.js'
import { checkClock, checkDiscovery, checkKeys } from './provider.js'
import { checkSignIn } from './sign-in.js'
import { openSite } from './site.js'
import type { Examination, Site } from './site.js'
import { checkStore } from './store.js'
import { checkToken } from './token.js'
import { checkTrac } from './trac.js'
import { notTried, wordsOf } from './row.js'

/** What was found, in the order of the checks. */
export interface Findings {
  readonly rows: readonly Row[]
}

/** One check: its rows begin with its name, and it throws nothing that it can tell. */
interface Check {
  readonly name: string
  readonly run: (site: Site) => Promise<readonly Row[]>
  /** Whether somebody must give it something: a token, or a sign-in. */
  readonly asksPerson?: true
}

/** All checks. The clock comes after what it is read from. */
const checks: readonly Check[] = [
  { name: 'provider.discovery', run: checkDiscovery },
  { name: 'provider.keys', run: checkKeys },
  { name: 'provider.client', run: checkClient },
  { name: 'provider.clock', run: checkClock },
  { name: 'token', run: checkToken, asksPerson: true },
  { name: 'sign-in', run: checkSignIn, asksPerson: true },
  { name: 'store', run: checkStore },
  { name: 'trac', run: checkTrac },
  { name: 'front', run: checkFront },
]

/** Runs all of them, one after the other; `unattended` leaves out what a person must give something to. */
export async function examine(
  examination: Examination,
  { unattended = false }: { readonly unattended?: boolean } = {},
): Promise<Findings> {
  const site = openSite(examination)
  const rows: Row[] = []
  for (const { name, run, asksPerson } of checks) {
    if (unattended && asksPerson === true) continue
    examination.onCheck?.(name)
    try {
      rows.push(...(await run(site)))
    } catch (fault) {
      rows.push(notTried(name, wordsOf(fault)))
    }
  }
  return { rows }
}
