/** The address of a Redis or Valkey: one server, a cluster, or the sentinels that know the master, in one URL. */

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

/** What `session.redis.url` may be, for messages. */
export const redisUrlForms =
  'redis://[user:password@]host[:port][/database], redis+sentinel://[user:password@]host:port,host:port/master, or redis+cluster://[user:password@]host:port,host:port; with TLS rediss://, rediss+…'

const form =
  /^redis(?<tls>s?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<user>[^:@/\s]*)(?::(?<password>[^@/\s]*))?@)?(?<hosts>[^@/?#\s]+)(?:\/(?<path>[^/?#\s]*))?$/
const hostForm = /^(?<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?<port>\d{1,5}))?$/

const usualPort = { standalone: 6379, cluster: 6379, sentinel: 26379 }

function decode(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function parseHost(text: string, port: number): RedisHost | undefined {
  const parts = hostForm.exec(text)?.groups
  if (parts === undefined) return undefined
  const given = parts['port'] === undefined ? port : Number(parts['port'])
  if (given < 1 || given > 65535) return undefined
  return { host: parts['host']!.replace(/^\[|\]$/g, ''), port: given }
}

/** Reads an address; undefined if it is none of {@link redisUrlForms}. Parts of it are percent-decoded (RFC 3986 §2.1). */
export function parseRedisUrl(url: string): RedisAddress | undefined {
  const parts = form.exec(url)?.groups
  if (parts === undefined) return undefined
  const kind = (parts['kind'] ?? 'standalone') as RedisAddress['kind']
  const hosts: RedisHost[] = []
  for (const text of parts['hosts']!.split(',')) {
    const host = parseHost(text, usualPort[kind])
    if (host === undefined) return undefined
    hosts.push(host)
  }
  const path = parts['path'] ?? ''
  const fits = {
    standalone: hosts.length === 1 && /^\d{0,4}$/.test(path),
    sentinel: path !== '',
    cluster: path === '',
  }
  if (!fits[kind]) return undefined
  return {
    kind,
    tls: parts['tls'] === 's',
    hosts,
    username: decode(parts['user']),
    password: decode(parts['password']),
    db: kind === 'standalone' ? Number(path) : 0,
    master: kind === 'sentinel' ? decode(path)! : '',
  }
}
