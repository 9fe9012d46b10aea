/** Where a link of our own pages may lead. */
import { httpOrigin } from '../../core/host.js'
import { textKind } from '../../core/text-kind.js'

/** A web address, or a path of this host. Nothing else: `javascript:` would run as a script of ours. */
export const linkKind = textKind<string>({
  name: 'address',
  pattern: `^(?:${httpOrigin}(?=[/?#]|$)|/(?![/\\\\]))[^\\s\\p{C}"<>\\\\]*$`,
  wanted: 'an https:// or http:// address, or a path of this host that begins with one slash',
  read: (_parts, text) => (URL.canParse(text, 'http://localhost') ? text : undefined),
})
