/** `log`: what the gateway writes about itself. */
import { choice, flag, list, shape, text } from '../key.js'
import type { Topic } from '../topic.js'

const log = shape('The log: one line for each event, on standard output.', {
  level: choice(
    'The least important level that is written.',
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'info',
  ),
  format: choice(
    'The form of a line: `json` with names of our own, `ecs` for JSON with the names of Elastic Common Schema, or `plain` for a person who reads along. `replay` reads the first two.',
    ['json', 'ecs', 'plain'],
    'json',
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
