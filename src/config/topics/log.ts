/** `log`: what the gateway writes about itself. */
import { choice, flag, list, shape, text } from '../key.js'
import type { Topic } from '../topic.js'

const log = shape('The log: JSON lines on standard output.', {
  level: choice(
    'The least important level that is written.',
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'info',
  ),
  audit: flag('Whether each decision is one more line: who, what, and why.', true),
  auditQuery: list(text('A name.', { wanted: 'the name of a query parameter' }), {
    description:
      'Names of the query whose values these lines have besides those that some route asks for, so that `trac-gateway replay` can judge routes by them.',
    default: [],
    examples: [['action', 'format']],
  }),
})

/** What the gateway writes about itself. */
export const logTopic = {
  keys: { log },
  checks: [],
  warnings: {},
} satisfies Topic<{ log: typeof log }, object>
