/** Where a collector of OpenTelemetry takes spans. */
import { httpOrigin } from '../../core/host.js'
import { textKind } from '../../core/text-kind.js'

/** An address with a path: `/v1/traces` is a custom, not a rule (OTLP §OTLP/HTTP Request). */
export const collectorKind = textKind<string>({
  name: 'address',
  pattern: `^${httpOrigin}/[^\\s?#\\\\]*$`,
  wanted: 'the http:// or https:// address of a collector with its path, such as /v1/traces',
  read: (_parts, text) => (URL.canParse(text) ? text : undefined),
})
