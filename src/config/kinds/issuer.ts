/** Issuers: the text is the value, since tokens must spell it the same. */
import { hintAtAscii, httpOrigin } from '../../core/host.js'
import { textKind } from '../../core/text-kind.js'

/** An issuer (OpenID Connect Discovery 1.0 §2: no query, no fragment). */
export const issuerKind = textKind<string>({
  name: 'address',
  pattern: `^${httpOrigin}(?:/[^\\s?#\\\\]*)?$`,
  wanted:
    'the issuer exactly as its tokens spell it: an https:// address without query or fragment',
  hint: hintAtAscii,
  read: (_parts, text) => (URL.canParse(text) ? text : undefined),
})
