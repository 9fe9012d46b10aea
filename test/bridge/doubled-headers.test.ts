/** A header of ours that comes twice, in whatever spelling a server folds, is never believed. */
import { isDeepStrictEqual } from 'node:util'
import { admin, identityHeaders, nobody, sendRaw, student } from '../fixtures/signed.js'
import type { Call, Header, Person } from '../fixtures/signed.js'
import { t } from '../fixtures/tap.js'
import { servers, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'
import { askWhoami, whoami } from '../fixtures/whoami.js'
import type { Believed } from '../fixtures/whoami.js'

/** Our headers a second time, in every spelling that some server folds. */
const doubles: readonly Header[] = [
  ['X-Trac-User', 'ada'],
  ['X_Trac_User', 'ada'],
  ['X-Trac_User', 'ada'],
  ['x-trac-user', 'ada'],
  ['X-Trac-Perms', 'TRAC_ADMIN'],
  ['X_Trac_Perms', 'TRAC_ADMIN'],
  ['X-Trac-Email', 'eve@example.edu'],
  ['X_TRAC_EMAIL', 'eve@example.edu'],
  ['X-Trac-Name', 'Eve'],
  ['X_Trac_Name', 'Eve'],
]

/** What Trac was brought to believe by a header that came twice: nothing, if it refused or left the second one out. */
async function beliefs(fixture: Fixture, from: Person, double: Header | 'signature') {
  const call: Call = { target: `${fixture.base}/whoami`, from }
  const headers = (): readonly Header[] => identityHeaders(fixture, call)
  const signature = headers().find(([name]) => name === 'X-Trac-Signature')?.[1] ?? ''
  const spoofed: readonly Header[][] =
    double === 'signature'
      ? [
          [...headers(), ['X-Trac-Signature', signature]],
          [...headers(), ['X_Trac_Signature', signature]],
        ]
      : [
          [...headers(), double],
          [double, ...headers()],
        ]
  const answers = await Promise.all(spoofed.map((lines) => sendRaw(fixture, call, lines)))
  const right = { user: from.user || 'anonymous', admin: false, email: null, name: null }
  return answers.filter(({ status, body }) => {
    if (status === 400 || status === 403) return false
    if (status !== 200) return true
    const { user, admin: isAdmin, email, name } = JSON.parse(body) as Believed
    return !isDeepStrictEqual({ user, admin: isAdmin, email, name }, right)
  })
}

for (const server of servers) {
  await t.test(`${server} never believes a header that came twice`, async (t) => {
    const fixture = await startFixture(t, server, { plugins: whoami })
    for (const double of [...doubles, 'signature'] as const) {
      const what = typeof double === 'string' ? double : double.join(': ')
      t.strictSame(await beliefs(fixture, student, double), [], what)
      t.strictSame(await beliefs(fixture, nobody, double), [], `${what} for nobody`)
    }
    const everything = { user: 'ada', admin: true, email: 'ada@example.edu', name: 'Ada' }
    const person = { ...admin, email: 'ada@example.edu', name: 'Ada' }
    t.match(
      await askWhoami(fixture, '', { from: person }),
      everything,
      'and believes what is signed',
    )
  })
}
