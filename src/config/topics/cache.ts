/** `cache` and `compression`: how answers are kept and made smaller. */
import { choice, shape } from '../key.js'
import { duration } from '../kinds/duration.js'
import type { Topic } from '../topic.js'

const cache = shape(
  'Files kept in memory: Trac’s `/chrome/**`, and what a rule says `cache: shared` of.',
  {
    fresh: duration(
      'How long a file counts as fresh whose upstream does not say. Then it is sent once more while it is asked for again.',
      '60s',
      { min: '1s', max: '10m' },
    ),
    browser: duration(
      'How long browsers use a file without asking. Where the rule asks for more than an open door, they ask every time.',
      '1h',
      { min: '1s', max: '24d' },
    ),
  },
)

const compression = choice(
  'Whether text is compressed on its way to browsers. Pages for people who are signed in are compressed only where no other site can have asked for them.',
  ['on', 'off'],
  'on',
)

/** How answers are kept and made smaller. */
export const cacheTopic = {
  keys: { cache, compression },
  checks: [],
  warnings: {},
} satisfies Topic<{ cache: typeof cache; compression: typeof compression }, object>
