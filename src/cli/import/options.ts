/** What `import` takes from the command line. */
import { jsonOption } from '../command.js'
import type { OptionSpec } from '../command.js'

/** Options of `import`. */
export const importOptions: readonly OptionSpec[] = [
  { flags: '--env <folder>', description: 'the environment; Trac itself is asked, by its Python' },
  {
    flags: '--environment <name>',
    description: 'it is one of several below one address, and has this name there',
  },
  {
    flags: '--python <program>',
    description: 'the Python that has Trac (default: it is looked for)',
  },
  {
    flags: '--permissions <file>',
    description: 'what "trac-admin ENV permission export FILE" wrote, instead of asking Trac',
  },
  { flags: '--trac-ini <file>', description: 'trac.ini (default: that of --env)' },
  { flags: '--users <file>', description: 'further users of Trac, one name a line' },
  { flags: '--htpasswd <file>', description: 'a file of htpasswd or htdigest with users' },
  {
    flags: '--out <folder>',
    description: 'where the files go; those that are there stay',
    default: 'moving-in',
  },
  {
    flags: '--diff',
    description: 'say what changed in Trac since --out was written; write nothing',
  },
  jsonOption,
]
