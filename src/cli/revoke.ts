/** `trac-gateway revoke`: ends all sessions and Bearer use of one user at once, through the admin listener. */
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import type { Revoked } from '../observe/admin.js'
import { askAdmin } from './admin-client.js'

/** Whom to end, and what to take from the process. */
export interface RevokeOptions {
  /** The name as Trac knows it. */
  readonly user: string
  readonly json: boolean
  readonly env: NodeJS.ProcessEnv
  /** Takes the text; standard output by default. */
  readonly print?: (text: string) => void
}

/** What the admin listener answers; a gateway of release 0.1 says no more than `durable`. */
interface Answer {
  readonly status: number
  readonly body: Partial<Revoked> & { readonly message?: string }
}

/** How long the listener may take: it looks at every session, and asks the provider for each that it ends. */
const timeout = 120_000

/** What to say of an answer, and whether all is well. */
function judge(user: string, { status, body }: Answer): { ok: boolean; text: string } {
  if (status !== 200) {
    return { ok: false, text: `${user} is not revoked: ${body.message ?? `status ${status}`}` }
  }
  const ok = body.durable === true
  const first = ok
    ? `${user} is signed out everywhere.`
    : `${user} is signed out here, but only in memory: after a restart a copied cookie or token works until it ends. Set session.revocationFile, or session.store: redis.`
  return { ok, text: [first, ...detailsOf(user, body)].join('\n') }
}

/** One sentence for each thing that was done, and for each that was not. */
function detailsOf(user: string, body: Partial<Revoked>): readonly string[] {
  const { sessions, foundIn, refreshTokens, personalTokens = 0, subjects, before } = body
  const lines: string[] = []
  if (sessions !== undefined) {
    const place =
      foundIn === 'redis' ? 'in Redis' : 'in memory here; others end when their cookie comes'
    lines.push(`Sessions ended: ${sessions} ${place}.`)
  }
  if (refreshTokens !== undefined) {
    const { revoked, failed } = refreshTokens
    const not = failed === 0 ? '' : `; not revoked: ${failed}, the log of the gateway says why`
    lines.push(`Refresh tokens revoked at the provider: ${revoked}${not}.`)
  }
  if (personalTokens > 0) lines.push(`Personal tokens revoked: ${personalTokens}.`)
  if (subjects?.length === 0 && personalTokens === 0) {
    lines.push(
      `${user}: not seen by this process, the names file or Redis. Is the name spelled as Trac shows it?`,
    )
  }
  for (const { issuer, subject } of subjects ?? []) {
    lines.push(`Subject: ${subject} of ${issuer}.`)
  }
  if (before !== undefined) {
    const instant = new Date(before).toISOString()
    lines.push(
      `Tokens issued until ${instant} are refused (now and identity.clockTolerance), unless ${user} signs in anew.`,
    )
  }
  lines.push('The account at the provider is still open: close it there to keep it out.')
  return lines
}

/**
 * Asks the running gateway of this configuration to end everything of a user.
 * @returns the exit code: 0 if it is done and outlasts a restart, 1 if it does not, or was not done
 */
export async function revoke(path: string, options: RevokeOptions): Promise<number> {
  const { user, json } = options
  const print = options.print ?? ((text) => void process.stdout.write(text))
  const say = (ok: boolean, text: string, details: object = {}): number => {
    print(json ? `${JSON.stringify({ ...details, user, ok, message: text })}\n` : `${text}\n`)
    return ok ? 0 : 1
  }
  try {
    const { listen, token } = loadConfig(path, { env: options.env }).config.admin
    if (token === undefined) {
      return say(false, 'admin.token is not set, so the gateway takes no revocations')
    }
    const answer: Answer = await askAdmin(listen, token, '/revoke', { user }, timeout)
    const { ok, text } = judge(user, answer)
    return say(ok, text, answer.status === 200 ? answer.body : {})
  } catch (error) {
    if (error instanceof ConfigProblems) {
      return say(false, error.message)
    }
    const { message } = error as Error
    return say(false, `${user} is not revoked: the admin listener can't be reached (${message})`)
  }
}
