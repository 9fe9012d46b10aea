/** The values that labels of metrics can have: closed lists as the code has them, or where others come from. */
import { errors } from '../core/errors.js'
import { credentialKinds } from '../core/identity.js'
import { commonMethods } from '../core/methods.js'
import { environmentStatuses, metricTable } from '../observe/metrics.js'
import type { MetricRow } from '../observe/metrics.js'
import { degradedCauses } from '../observe/readiness.js'
import { cacheUses } from '../request/context.js'
import { routeModes } from '../request/route.js'

const listed = (values: readonly string[]): string =>
  values.map((value) => `\`${value}\``).join(', ')

const anErrorCode = 'an error code'

/** Labels of which no counter has a list to begin with. */
const others: Readonly<Record<string, string>> = {
  version: 'the version of the gateway',
  node: 'the version of Node.js',
  route:
    'a route’s name, `trac:…` for built-in ones, `auth:…` for own endpoints, `none` where nothing matched',
  method: listed([...commonMethods, 'other']),
  status: `the status of the answer, \`101\` for a WebSocket, \`499\` where the client left before it; each environment begins with ${listed(environmentStatuses)}`,
  environment: 'a name or pattern of `environments`',
  credential: listed(credentialKinds),
  cache: listed(cacheUses),
  upstream: 'a name of `upstreams`',
  mode: listed(routeModes),
  cause: listed(degradedCauses),
  code: anErrorCode,
}

/** What \`result\` is where it depends on the rule or the credential. */
const results: Readonly<Record<string, string>> = {
  trac_gateway_authentication_duration_seconds: `\`ok\`, \`ended\` (a session), \`fault\`, or ${anErrorCode}`,
  trac_gateway_decisions_total: `\`allow\`, or ${anErrorCode}`,
}

/** The values that a counter begins with; error codes are told as one. */
function begun({ fromStart }: MetricRow, label: string): string {
  const values = [...new Set(fromStart.map((labels) => labels[label] ?? ''))]
  const words = values.filter((value) => !Object.hasOwn(errors, value))
  return listed(words) + (words.length < values.length ? `, or ${anErrorCode}` : '')
}

/** What a label says in one metric. */
const saidIn = (row: MetricRow, label: string): string =>
  (label === 'result' ? results[row.name] : undefined) ?? begun(row, label)

/** What a label says, told once for all metrics in which it says the same. */
function said(label: string): string {
  const other = others[label]
  if (other !== undefined) return other
  const metrics = new Map<string, string[]>()
  for (const row of Object.values<MetricRow>(metricTable)) {
    if (!row.labels.includes(label)) continue
    const text = saidIn(row, label)
    metrics.set(text, [...(metrics.get(text) ?? []), row.name.replace('trac_gateway_', '')])
  }
  const [first = '', ...more] = metrics.keys()
  if (more.length === 0) return first
  return [...metrics].map(([text, names]) => `${listed(names)}: ${text}`).join('<br>')
}

/** Each label with its values, in the order of the metrics. */
export function labelValues(): readonly (readonly [label: string, values: string])[] {
  const labels = Object.values<MetricRow>(metricTable).flatMap((row) => row.labels)
  return [...new Set(labels)].map((label) => [label, said(label)])
}
