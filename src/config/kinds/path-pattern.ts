/** Patterns of paths: `*` is one segment or a part of one, `**` any number of segments. */
import { textKind } from '../../core/text-kind.js'

/** No character that a path cannot have here, and no escape: a route is compared with the decoded path. */
const character = '[^/?%*\\\\#\\p{Cc}]|%(?![0-9A-Fa-f]{2})'
const segment = `(?!\\.{1,2}(?:/|$))(?:\\*\\*|(?:${character}|\\*(?!\\*))+)`

/** `path` of a route. */
export const pathPattern = textKind<string>({
  name: 'path pattern',
  pattern: `^(?:/|(?:/${segment})+/?)$`,
  wanted: 'a path pattern such as /api/**',
  hint(text) {
    if (!text.startsWith('/')) return 'a path pattern that starts with /'
    if (text.includes('?')) return 'a path alone; conditions on the query go into `query`'
    if (/%[0-9A-Fa-f]{2}/.test(text)) return 'the path as it is after percent-decoding'
    if (text.includes('//')) return 'a path without empty segments'
    if (/\/\.{1,2}(?:\/|$)/.test(text)) return 'a path without . and .. segments'
    return text.includes('**') ? '** only as a whole segment, such as /api/**' : undefined
  },
  read: (_parts, text) => text,
})
