/** `pages`: what the gateway's own pages say, and how they look. */
import { maxLogoSize, readLogo } from '../../core/logo.js'
import { choice, contentOf, optional, shape, text, value } from '../key.js'
import { filePath } from '../kinds/file-path.js'
import { linkKind } from '../kinds/link.js'
import type { Topic } from '../topic.js'

const line = { pattern: '^[^\\p{C}\\p{Zl}\\p{Zp}]+$', wanted: 'one line of text' } as const

const pages = shape('The gateway’s own pages.', {
  name: text('What they call this Trac: in their head, and in the title of the window.', {
    maxLength: 60,
    ...line,
    default: 'Trac',
    examples: ['Physics Lab'],
  }),
  logo: optional(
    contentOf(
      filePath,
      { maxBytes: maxLogoSize, read: readLogo },
      'A picture before the name: a PNG, an SVG or a JPEG by what it holds, of at most 32 KiB. It is read at the start and at each reload, and each page brings it along.',
      { examples: ['/etc/trac-gateway/logo.svg'] },
    ),
    'none',
  ),
  home: optional(
    value(linkKind, 'Where the name leads: an address, or a path of this host.', {
      examples: ['https://physics.example.edu/', '/trac/wiki'],
    }),
    'the name is no link',
  ),
  theme: choice(
    '`light`: as Trac’s own pages are. `auto`: light or dark, as the browser asks; for a Trac whose own pages do so, too.',
    ['light', 'auto'],
    'light',
  ),
  contact: optional(
    text(
      'Whom people may ask who are signed in and may do nothing, or too little: a name, an address. Shown as text on the page that refuses them.',
      {
        maxLength: 200,
        ...line,
        examples: ['the help desk, help@example.edu'],
      },
    ),
    'nobody is named',
  ),
})

/** What the gateway's own pages say, and how they look. */
export const pagesTopic = {
  keys: { pages },
  checks: [],
  warnings: {},
} satisfies Topic<{ pages: typeof pages }, object>
