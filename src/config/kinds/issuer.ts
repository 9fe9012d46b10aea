/** Issuers: the text is the value, since tokens must spell it the same. */
import { hintAtAscii, httpOrigin } from '../../core/host.js'
import { textKind } from '../../core/text-kind.js'

/** What was meant by the address of a discovery document (OpenID Connect Discovery 1.0 §4); undefined for any other. */
function beforeDiscovery(text: string): string | undefined {
  const at = text.indexOf('/.well-known/')
  return at < 0 ? undefined : `the issuer alone, as its tokens spell it: ${text.slice(0, at)}`
}

/** An issuer (OpenID Connect Discovery 1.0 §2: no query, no fragment). */
export const issuerKind = textKind<string>({
  name: 'address',
  pattern: `^(?!.*/\\.well-known/)${httpOrigin}(?:/[^\\s?#\\\\]*)?$`,
  wanted:
    'the issuer exactly as its tokens spell it: an https:// address without query or fragment',
  hint: (text) => beforeDiscovery(text) ?? hintAtAscii(text),
  read: (_parts, text) => (URL.canParse(text) ? text : undefined),
})
