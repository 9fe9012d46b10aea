/** What the demo prints: the address, the people, and curl lines that work when pasted. */
import type { DemoProvider } from './provider.js'
import { signIn } from './sign-in.js'

/** Signs the instructor in and describes a running demo, line by line. */
export async function describeDemo(publicUrl: string, provider: DemoProvider): Promise<string[]> {
  const { people } = provider
  const caller = people[1]
  if (caller === undefined) throw new Error('the demo has no second person')
  const { idToken, refreshToken } = await signIn(provider, caller)
  const width = Math.max(...people.map(({ email }) => email.length)) + 2
  const bearer = `curl -H 'Authorization: Bearer ${idToken}'`
  const body = JSON.stringify({ refresh_token: refreshToken })
  return [
    '',
    `  ${publicUrl}`,
    '',
    'Sign in there with the Login link, as one of:',
    ...people.map(
      ({ email, password, groups }) =>
        `  ${email.padEnd(width)}password ${password.padEnd(12)}${groups.join(', ')}`,
    ),
    '',
    `Or as ${caller.email} with a token, good for an hour:`,
    '',
    `${bearer} ${publicUrl}/wiki/WikiStart`,
    '',
    `${bearer} ${publicUrl}/api/whoami`,
    '',
    'And fresh tokens for a refresh token:',
    '',
    `curl -H 'Content-Type: application/json' -d '${body}' ${publicUrl}/auth/refresh`,
    '',
    'Ctrl-C stops all of it.',
  ]
}
