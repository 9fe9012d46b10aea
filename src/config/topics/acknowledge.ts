/** `acknowledge`: what the operator knows and need not be told again. */
import { choice, list } from '../key.js'

/** The key; `names` are those of all warnings. */
export const acknowledge = (names: readonly string[]) =>
  list(choice('The name of a warning.', names), {
    description:
      'Warnings that you know of and can’t or won’t act on: `check` and `start` leave them out. Each warning ends with its name in brackets. A problem can’t be acknowledged.',
    default: [],
    examples: [['base-path', 'cookie-store']],
  })
