/** How a command reaches the admin listener of the gateway that runs with the same configuration. */
import { request } from 'node:http'
import type { RequestOptions } from 'node:http'
import type { Address } from '../config/kinds/listen-address.js'
import type { Milliseconds } from '../core/clock.js'

/** What the listener answered. */
export interface AdminAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Where the admin listener of this configuration is reached from the same machine. */
function placeOf(listen: Address): RequestOptions {
  if ('path' in listen) return { socketPath: listen.path }
  const own: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  return { host: own[listen.host] ?? listen.host, port: listen.port }
}

function send(options: RequestOptions, body: unknown): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const message = request(options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => resolve([response.statusCode ?? 0, text]))
    })
    message.setTimeout(options.timeout ?? 0, () => message.destroy(new Error('no answer in time')))
    message.on('error', reject)
    message.end(JSON.stringify(body))
  })
}

/** Posts JSON to the listener. @throws Error — it can't be reached, or something else answers there */
export async function askAdmin(
  listen: Address,
  token: string,
  path: string,
  body: unknown,
  timeout: Milliseconds = 10_000,
): Promise<AdminAnswer> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const options = { ...placeOf(listen), path, method: 'POST', headers, agent: false, timeout }
  const [status, text] = await send(options, body)
  try {
    return { status, body: JSON.parse(text) as AdminAnswer['body'] }
  } catch (cause) {
    throw new Error('something else than trac-gateway answers there', { cause })
  }
}
