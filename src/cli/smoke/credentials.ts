/** Tokens for `smoke`: from files, or from Cognito by name and password, which come from environment variables. */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isLoopback } from '../../core/host.js'
import { publicUrl } from '../../core/public-url.js'
import { WrongUse } from '../command.js'
import type { Call } from '../command.js'
import { jsonOf } from './http.js'

/** Who somebody is for the test. */
export type Role = 'user' | 'admin' | 'student'

/** The tokens of one person. */
export interface Tokens {
  /** What is sent as Bearer. */
  readonly token: string
  /** The ID token beside it. */
  readonly idToken?: string
  readonly refreshToken?: string
}

/** What a sign-in by password gives, or why it gave nothing. */
type SignedIn = Pick<Credentials, 'tokens' | 'failed'>

/** All that the test has at hand. */
export interface Credentials {
  readonly tokens: Readonly<Partial<Record<Role, Tokens>>>
  readonly refreshToken: string | undefined
  /** A `Cookie` header of somebody who has signed in. */
  readonly cookie: string | undefined
  /** Sign-ins by password that failed, with the reason. */
  readonly failed: Readonly<Partial<Record<Role, string>>>
}

/** Options and variables of each role. */
const roles: readonly (readonly [role: Role, option: string, variable: string])[] = [
  ['user', 'token-file', 'TRAC_GATEWAY_SMOKE'],
  ['admin', 'admin-token-file', 'TRAC_GATEWAY_SMOKE_ADMIN'],
  ['student', 'student-token-file', 'TRAC_GATEWAY_SMOKE_STUDENT'],
]

/** The text that an option's file has, without white space at its ends; `-` is standard input. */
function readGiven(call: Call, option: string): string | undefined {
  const file = call.text(option)
  if (file === undefined) return undefined
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8').trim()
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    throw new WrongUse(`--${option}: ${file} can't be read (${code})`)
  }
  if (text === '') throw new WrongUse(`--${option}: found nothing in ${file}`)
  return text
}

/** A token as it is pasted: alone, or as the value of a header. */
function readToken(call: Call, option: string): string | undefined {
  const token = readGiven(call, option)?.replace(/^(?:authorization:\s*)?bearer\s+/i, '')
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return token
  throw new WrongUse(`--${option}: found white space, or other than ASCII; wanted one token`)
}

/** A Cognito client, and where its API is. */
interface Pool {
  readonly endpoint: string
  readonly clientId: string
  readonly clientSecret: string | undefined
}

function endpointOf(call: Call): string {
  const endpoint = call.text('cognito-endpoint')
  const region = call.text('region')
  if (endpoint === undefined) {
    if (region !== undefined && /^[a-z0-9-]+$/.test(region)) {
      return `https://cognito-idp.${region}.amazonaws.com`
    }
    throw new WrongUse('--cognito-client-id wants --region, such as us-east-2')
  }
  const parsed = publicUrl.parse(endpoint)
  if (parsed !== undefined && (parsed.secure || isLoopback(parsed.hostname))) return parsed.url
  throw new WrongUse(
    `found --cognito-endpoint ${endpoint}; wanted an https:// address, since a password goes there`,
  )
}

function poolOf(call: Call): Pool | undefined {
  const clientId = call.text('cognito-client-id')
  if (clientId === undefined) return undefined
  const clientSecret = call.env['TRAC_GATEWAY_SMOKE_CLIENT_SECRET']
  return { endpoint: endpointOf(call), clientId, clientSecret }
}

/** Signs in by USER_PASSWORD_AUTH. @throws Error that says why not */
async function signIn({ endpoint, clientId, clientSecret }: Pool, user: string, password: string) {
  const secretHash =
    clientSecret === undefined
      ? {}
      : // What Cognito wants of a client with a secret.
        {
          SECRET_HASH: createHmac('sha256', clientSecret)
            .update(user + clientId)
            .digest('base64'),
        }
  const answer = await fetch(endpoint, {
    method: 'POST',
    redirect: 'error',
    signal: AbortSignal.timeout(15_000),
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'AWSCognitoIdentityProviderService.InitiateAuth',
    },
    body: JSON.stringify({
      ClientId: clientId,
      AuthFlow: 'USER_PASSWORD_AUTH',
      AuthParameters: { USERNAME: user, PASSWORD: password, ...secretHash },
    }),
  }).catch((error: Error) => {
    const { cause } = error as { readonly cause?: { readonly code?: string } }
    throw new Error(`${endpoint} does not answer (${cause?.code ?? error.message})`)
  })
  const text = await answer.text()
  return readSignIn(answer.status, text)
}

function readSignIn(status: number, text: string): Tokens {
  const body = jsonOf({ text })
  const result = body['AuthenticationResult'] as Record<string, string> | undefined
  if (result?.['AccessToken'] !== undefined) {
    const { AccessToken: token, IdToken: idToken, RefreshToken: refreshToken } = result
    return {
      token,
      ...(idToken === undefined ? {} : { idToken }),
      ...(refreshToken === undefined ? {} : { refreshToken }),
    }
  }
  const challenge = body['ChallengeName']
  if (typeof challenge === 'string') {
    throw new Error(`Cognito asks for ${challenge}; wanted a user who needs a password alone`)
  }
  const said = body['message']
  const kind = typeof body['__type'] === 'string' ? `${body['__type']}: ` : ''
  throw new Error(`${status} ${kind}${typeof said === 'string' ? said : 'without a cause'}`)
}

/** Signs in everybody whose name and password the environment has. */
async function signInAll({ env }: Call, pool: Pool): Promise<SignedIn> {
  const tokens: Partial<Record<Role, Tokens>> = {}
  const failed: Partial<Record<Role, string>> = {}
  let tried = 0
  for (const [role, , variable] of roles) {
    const user = env[`${variable}_USER`]
    const password = env[`${variable}_PASSWORD`]
    if (user === undefined && password === undefined) continue
    if (user === undefined || password === undefined) {
      throw new WrongUse(`wanted both ${variable}_USER and ${variable}_PASSWORD, or neither`)
    }
    tried++
    try {
      tokens[role] = await signIn(pool, user, password)
    } catch (error) {
      failed[role] = (error as Error).message
    }
  }
  if (tried > 0) return { tokens, failed }
  const names = roles.map(([, , variable]) => `${variable}_USER and _PASSWORD`)
  throw new WrongUse(`--cognito-client-id wants in the environment: ${names.join(', or ')}`)
}

/** Reads and fetches all that the command line names. @throws WrongUse */
export async function readCredentials(call: Call): Promise<Credentials> {
  const files = [...roles.map(([, option]) => option), 'refresh-token-file', 'cookie-file']
  if (files.filter((option) => call.text(option) === '-').length > 1) {
    throw new WrongUse('found more than one "-"; wanted one, since there is one standard input')
  }
  const refreshToken = readToken(call, 'refresh-token-file')
  const given: Partial<Record<Role, Tokens>> = {}
  for (const [role, option] of roles) {
    const token = readToken(call, option)
    if (token !== undefined) given[role] = { token }
  }
  const cookie = readGiven(call, 'cookie-file')?.replace(/^cookie:\s*/i, '')
  if (cookie !== undefined && !/^[\x20-\x7e]+$/.test(cookie)) {
    throw new WrongUse('--cookie-file: wanted one line, such as "__Host-tg-…-s=…"')
  }
  const pool = poolOf(call)
  const { tokens, failed }: SignedIn =
    pool === undefined ? { tokens: {}, failed: {} } : await signInAll(call, pool)
  const all = { ...tokens, ...given }
  const user = all.user ?? all.student ?? all.admin
  return {
    tokens: { ...all, ...(user === undefined ? {} : { user }) },
    refreshToken: refreshToken ?? user?.refreshToken,
    cookie,
    failed,
  }
}
