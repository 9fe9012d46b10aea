/** One small request to Trac, signed or not, by the connections and the signer that serve. Nobody is named in it. */
import type { Milliseconds } from '../../core/clock.js'
import type { Upstream } from '../../forward/upstream.js'
import { createPluginJudge } from '../../forward/plugin-proof.js'
import type { PluginState } from '../../forward/plugin-proof.js'
import { rawValues } from '../../request/headers.js'
import { nameNobody } from '../probes.js'
import { tracBase, tracName } from './site.js'
import type { Site } from './site.js'

/** What a request has besides its target. */
export interface Probe {
  /** Below the base path; by default the page about Trac, which every Trac has. */
  readonly path?: string
  /** Whether it is signed, for nobody. */
  readonly signed: boolean
  /** What nobody may do in it, for a signed one. */
  readonly perms?: string
  /** How long ago it is signed. */
  readonly age?: Milliseconds
  /** Further headers, names and values in turns. */
  readonly headers?: readonly string[]
}

/** What came back. */
export interface ProbeAnswer {
  readonly status: number
  readonly body: string
  /** What it says of the plugin; undefined where the status does not let it say anything. */
  readonly plugin: PluginState | undefined
  /** The version in `X-Trac-Gateway`. */
  readonly version: string | undefined
}

/** Bytes of an answer that are read. */
const maxBody = 1024 * 1024

function send(
  { connections, timeouts }: Upstream,
  path: string,
  headers: string[],
): Promise<{ status: number; raw: readonly string[]; body: string }> {
  return new Promise((resolve, reject) => {
    // A fresh one, as for every request that is no plain GET: nothing of it is left over.
    const connection = connections.take(false)
    const chunks: Buffer[] = []
    let [status, size] = [0, 0]
    let raw: readonly string[] = []
    const end = (): void => {
      connections.discard(connection)
      resolve({ status, raw, body: Buffer.concat(chunks).toString('utf8') })
    }
    connection.send(
      { method: 'GET', path, headers, body: null, ...timeouts },
      {
        onHead(code, names) {
          status = code
          raw = names
        },
        onData(bytes) {
          size += bytes.length
          if (size <= maxBody) chunks.push(Buffer.from(bytes))
          else connection.abort(new Error(`an answer of more than ${maxBody} bytes`))
          return true
        },
        onLull: () => undefined,
        onEnd: end,
        onFault(error) {
          connections.discard(connection)
          reject(error)
        },
      },
    )
  })
}

const headerOf = (raw: readonly string[], name: string): string | undefined =>
  rawValues(raw, name)[0]

/** Sends it. @throws Error — Trac can't be reached, or answers what is no HTTP */
export async function probeTrac(site: Site, probe: Probe): Promise<ProbeAnswer> {
  const name = tracName(site)
  const upstream = site.services.upstreams.get(name)
  if (upstream === undefined) throw new Error(`upstreams.${name} is not set`)
  const { path = '/about', signed, perms = '', age = 0, headers = [] } = probe
  const target = tracBase(site) + path
  const { host, proto, via } = upstream.headerRules
  const list = ['Host', host, 'Accept', 'text/html', 'Via', via]
  list.push('X-Forwarded-Proto', proto, 'X-Forwarded-Host', host)
  const at = Math.floor((site.now() - age) / 1000)
  const named = signed
    ? nameNobody(upstream, { method: 'GET', path: target, perms }, at)
    : { signature: '', headers: [] }
  const all = [...list, ...named.headers, ...headers]
  const { status, raw, body } = await send(upstream, target, all)
  let plugin: PluginState | undefined
  const judge = createPluginJudge(site.now, (state) => {
    plugin = state
  })
  judge(
    { route: probeRoute(site), environment: undefined, signature: named.signature },
    upstream,
    status,
    raw,
  )
  const version = /^v1;([^;]*);/.exec(headerOf(raw, 'x-trac-gateway') ?? '')?.[1]
  return { status, body, plugin, version }
}

/** A built-in row: only those lead to Trac for certain. */
function probeRoute({ services }: Site) {
  const row = services.routes.find(({ name }) => name.startsWith('trac:'))
  return row ?? { ...services.unmatched, name: 'trac:doctor' }
}

const entities: ReadonlyMap<string, string> = new Map(
  Object.entries({ lt: '<', gt: '>', quot: '"', amp: '&' }),
)

/** The character of a reference by number; what is none is shown as browsers show it (U+FFFD). */
function characterOf(digits: string, base: 10 | 16): string {
  const code = Number.parseInt(digits, base)
  return code <= 0x10_ffff ? String.fromCodePoint(code) : '\ufffd'
}

/** Text out of a piece of HTML. */
export function plainText(html: string): string {
  return html
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
      if (decimal !== undefined) return characterOf(String(decimal), 10)
      if (hex !== undefined) return characterOf(String(hex), 16)
      return entities.get(String(name)) ?? whole
    })
    .replaceAll(/\s+/g, ' ')
    .trim()
}

/** What a page of Trac's says that tells of an error. */
export function messageOf({ body }: ProbeAnswer): string {
  const said = /<p class="message">(.*?)<\/p>/s.exec(body)?.[1]
  const text = plainText(said ?? body.replaceAll(/<(script|style|head)\b.*?<\/\1>/gis, ''))
  return text.slice(0, 500)
}
