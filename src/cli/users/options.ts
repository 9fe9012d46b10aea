/** What `users` takes from the command line. */
import type { OptionSpec } from '../command.js'

/** Options of `users` beside the usual ones. */
export const usersOptions: readonly OptionSpec[] = [
  {
    flags: '--env <folder>',
    description: 'add them to this environment, instead of printing lines',
  },
  {
    flags: '--python <program>',
    description: 'the Python that has Trac (default: it is looked for)',
  },
  {
    flags: '--issuer <url>',
    description: 'the issuer whose people they are (default: the main one)',
  },
]
