/** `pages`: what the gateway's own pages say. */
import { optional, shape, text } from '../key.js'
import type { Topic } from '../topic.js'

const pages = shape('The gateway’s own pages.', {
  contact: optional(
    text(
      'Whom people may ask who are signed in and may do nothing, or too little: a name, an address. Shown as text on the page that refuses them.',
      {
        maxLength: 200,
        pattern: '^[^\\p{C}\\p{Zl}\\p{Zp}]+$',
        wanted: 'one line of text',
        examples: ['the help desk, help@example.edu'],
      },
    ),
    'nobody is named',
  ),
})

/** What the gateway's own pages say. */
export const pagesTopic = {
  keys: { pages },
  checks: [],
  warnings: {},
} satisfies Topic<{ pages: typeof pages }, object>
