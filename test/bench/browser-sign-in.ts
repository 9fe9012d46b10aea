/** Signs in by plain HTTP as a browser would, to get a session cookie for the bench. */

/** Follows the sign-in as a browser would, and answers the session cookie. */
export async function signInByBrowser(
  origin: string,
  person: { email: string; password: string },
): Promise<string> {
  const jars = new Map<string, Map<string, string>>()
  const go = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const jar = jars.get(new URL(url).host) ?? new Map<string, string>()
    jars.set(new URL(url).host, jar)
    const cookie = [...jar].map(([key, value]) => `${key}=${value}`).join('; ')
    const headers = { accept: 'text/html', cookie, ...init.headers }
    const answer = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const set of answer.headers.getSetCookie()) {
      const [pair = ''] = set.split(';')
      jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    }
    const location = answer.headers.get('location')
    return location === null ? answer : go(new URL(location, url).href)
  }
  const form = await go(`${origin}/auth/login?return_to=/wiki`)
  const action = /<form[^>]*action="([^"]+)"/.exec(await form.text())?.[1] ?? form.url
  await go(new URL(action, form.url).href, {
    method: 'POST',
    body: new URLSearchParams({ email: person.email, password: person.password }),
  })
  const session = [...(jars.get(new URL(origin).host) ?? [])].find(([key]) => key.endsWith('-s'))
  if (session === undefined) throw new Error('the sign-in left no session')
  return session.join('=')
}
