/** The address of a Redis or Valkey: one server, a cluster, or the sentinels that know the master, in one URL. */
import { ipv6, port, withoutBrackets } from './host.js'
import { textKind } from './text-kind.js'

/** A server's host and port. */
export interface RedisHost {
  readonly host: string
  readonly port: number
}

/** What an address says. */
export interface RedisAddress {
  readonly kind: 'standalone' | 'sentinel' | 'cluster'
  readonly tls: boolean
  readonly hosts: readonly RedisHost[]
  readonly username: string | undefined
  readonly password: string | undefined
  /** Number of the database; a cluster has only 0. */
  readonly db: number
  /** The name by which the sentinels know the master; empty without sentinels. */
  readonly master: string
}

const defaultPort = { standalone: 6379, cluster: 6379, sentinel: 26379 }

const host = `(?:\\[${ipv6}\\]|[A-Za-z0-9._-]+)(?::(?!0)${port})?`
const credentials = '(?:(?<user>[^:@/\\s]*)(?::(?<password>[^@/\\s]*))?@)?'

/** What follows the scheme's name, for each kind. */
const forms = {
  standalone: `${credentials}(?<hosts>${host})(?:/(?<db>[0-9]{0,4}))?`,
  sentinel: `${credentials}(?<hosts>${host}(?:,${host})*)/(?<master>[^/?#\\s]+)`,
  cluster: `${credentials}(?<hosts>${host}(?:,${host})*)/?`,
}

const formOf = {
  standalone: new RegExp(`^${forms.standalone}$`, 'u'),
  sentinel: new RegExp(`^${forms.sentinel}$`, 'u'),
  cluster: new RegExp(`^${forms.cluster}$`, 'u'),
}

/** A pattern may have a name for a group only once. */
const nameless = (form: string): string => form.replaceAll(/\(\?<\w+>/g, '(?:')

/** Parts of a URL are percent-decoded (RFC 3986 §2.1). */
function decode(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function toHost(text: string, usual: number): RedisHost {
  const given = /:(\d+)$/.exec(text.replace(/^\[.*\]/, ''))?.[1]
  const name = given === undefined ? text : text.slice(0, -given.length - 1)
  return { host: withoutBrackets(name), port: given === undefined ? usual : Number(given) }
}

/** `session.redis.url`. */
export const redisAddress = textKind<RedisAddress>({
  name: 'address',
  pattern: `^redis(?<tls>s)?(?:://(?<standalone>${nameless(forms.standalone)})|\\+sentinel://(?<sentinel>${nameless(forms.sentinel)})|\\+cluster://(?<cluster>${nameless(forms.cluster)}))$`,
  wanted:
    'redis://[user:password@]host[:port][/database], redis+sentinel://[user:password@]host:port,host:port/master, or redis+cluster://[user:password@]host:port,host:port; with TLS rediss://, rediss+…',
  read(parts) {
    const kind = (['standalone', 'sentinel', 'cluster'] as const).find((one) => parts[one])!
    const { user, password, hosts = '', db, master } = formOf[kind].exec(parts[kind]!)?.groups ?? {}
    return {
      kind,
      tls: parts['tls'] !== undefined,
      hosts: hosts.split(',').map((text) => toHost(text, defaultPort[kind])),
      username: decode(user),
      password: decode(password),
      db: Number(db ?? 0),
      master: decode(master) ?? '',
    }
  },
})
