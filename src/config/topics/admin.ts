/** `admin`: the listener for those who run the gateway. */
import { isLoopback } from '../../core/host.js'
import { fixed, list, optional, shape, text, value } from '../key.js'
import type { Resolved } from '../key.js'
import { listenAddress } from '../kinds/listen-address.js'
import { secret } from '../kinds/secret.js'
import type { Rule, Topic } from '../topic.js'
import type { ServerPart } from './server.js'

const admin = shape('The listener for probes and Prometheus. It must never be public.', {
  listen: fixed(
    value(
      listenAddress,
      'Where the status page, `/metrics`, `/healthz`, `/readyz`, `/revoke`, `/names` and `/explain` answer. Loopback, since it asks nobody who they are.',
      { default: '127.0.0.1:9464', examples: ['127.0.0.1:9464'], needs: 'parent folder' },
    ),
  ),
  hosts: fixed(
    list(
      text('A host name.', {
        pattern: '^[A-Za-z0-9._-]+$',
        wanted: 'a host name without scheme or port',
      }),
      {
        description:
          'Host names by which it may be asked, beside IP addresses, `localhost` and the host of `listen`: what Prometheus has as its target. Any other `Host` is 421.',
        default: [],
        examples: [['trac-gateway']],
      },
    ),
  ),
  token: optional(
    fixed(
      secret(
        'The Bearer token for `trac-gateway revoke`, `names` and `explain --running`, and for user names on the status page, at least 16 bytes.',
        16,
      ),
    ),
    'they are off',
  ),
})

/** `admin` of the configuration. */
export type AdminConfig = Resolved<typeof admin>

interface AdminPart {
  readonly admin: AdminConfig
}

const checkAddress: Rule<AdminPart & ServerPart> = ({ server, admin }, report) => {
  const [one, two] = [server?.listen, admin?.listen]
  if (one === undefined || two === undefined) return
  const isSame =
    'path' in one && 'path' in two
      ? one.path === two.path
      : 'port' in one &&
        'port' in two &&
        one.port === two.port &&
        one.port !== 0 &&
        one.host === two.host
  if (isSame) {
    report(['admin', 'listen'], 'the address of server.listen', 'an address of its own, not public')
  }
}

const warnOfAddress: Rule<AdminPart> = ({ admin }, warn) => {
  const address = admin?.listen
  const host = address !== undefined && 'host' in address ? address.host : undefined
  if (host === undefined || isLoopback(host)) return
  warn(
    ['admin', 'listen'],
    `an address that is not loopback (${host})`,
    'loopback, or a network that only probes and Prometheus reach: it asks nobody who they are',
  )
}

/** The listener for those who run the gateway. */
export const adminTopic = {
  keys: { admin },
  checks: [checkAddress],
  warnings: { 'admin-address': warnOfAddress },
} satisfies Topic<{ admin: typeof admin }, AdminPart & ServerPart>
