/** `trac-gateway revoke`: ends all sessions and Bearer use of one user at once, through the admin listener. */
import { request } from 'node:http'
import type { RequestOptions } from 'node:http'
import { loadConfig } from '../config/load.js'
import { ConfigProblems, formatProblem } from '../config/problems.js'
import type { Address } from '../config/kinds/listen-address.js'

/** Whom to end, and what to take from the process. */
export interface RevokeOptions {
  /** The name as Trac knows it. */
  readonly user: string
  readonly json: boolean
  readonly env: NodeJS.ProcessEnv
  /** Takes the text; standard output by default. */
  readonly print?: (text: string) => void
}

/** What the admin listener answers. */
interface Answer {
  readonly status: number
  readonly body: { readonly durable?: boolean; readonly message?: string }
}

/** How long the listener may take. */
const timeout = 10_000

/** Where the admin listener of this configuration is reached from the same machine. */
function placeOf(listen: Address): RequestOptions {
  if ('path' in listen) return { socketPath: listen.path }
  const own: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  return { host: own[listen.host] ?? listen.host, port: listen.port }
}

async function post(listen: Address, token: string, user: string): Promise<Answer> {
  const [status, text] = await send(listen, token, user)
  try {
    return { status, body: JSON.parse(text) as Answer['body'] }
  } catch (cause) {
    throw new Error('something else than trac-gateway answers there', { cause })
  }
}

function send(listen: Address, token: string, user: string): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const options = { ...placeOf(listen), path: '/revoke', method: 'POST', headers, agent: false }
    const message = request(options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => resolve([response.statusCode ?? 0, text]))
    })
    message.setTimeout(timeout, () => message.destroy(new Error('no answer in 10 s')))
    message.on('error', reject)
    message.end(JSON.stringify({ user }))
  })
}

/** What to say of an answer, and whether all is well. */
function judge(user: string, { status, body }: Answer): { ok: boolean; text: string } {
  if (status !== 200) {
    return { ok: false, text: `${user} is not revoked: ${body.message ?? `status ${status}`}` }
  }
  if (body.durable === true) return { ok: true, text: `${user} is signed out everywhere` }
  return {
    ok: false,
    text: `${user} is signed out here, but only in memory: after a restart a copied cookie or token works until it ends. Set session.revocationFile, or session.store: redis`,
  }
}

/**
 * Asks the running gateway of this configuration to end everything of a user.
 * @returns the exit code: 0 if it is done and outlasts a restart, 1 if it does not, or was not done
 */
export async function revoke(path: string, options: RevokeOptions): Promise<number> {
  const { user, json } = options
  const print = options.print ?? ((text) => void process.stdout.write(text))
  const say = (ok: boolean, text: string): number => {
    print(json ? `${JSON.stringify({ user, ok, message: text })}\n` : `${text}\n`)
    return ok ? 0 : 1
  }
  try {
    const { listen, token } = loadConfig(path, { env: options.env }).config.admin
    if (token === undefined) {
      return say(false, 'admin.token is not set, so the gateway takes no revocations')
    }
    const { ok, text } = judge(user, await post(listen, token, user))
    return say(ok, text)
  } catch (error) {
    if (error instanceof ConfigProblems) {
      return say(false, error.problems.map(formatProblem).join('\n'))
    }
    const { message } = error as Error
    return say(false, `${user} is not revoked: the admin listener can't be reached (${message})`)
  }
}
