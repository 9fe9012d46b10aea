/** A header of ours that comes twice, in whatever spelling a server folds, is never believed. */
import t from 'tap'
import { admin, identityHeaders, nobody, send, sendRaw, student } from '../fixtures/signed.js'
import type { Call, Header } from '../fixtures/signed.js'
import { servers, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

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

/** Whether the request was refused, or served with the doubled header left out, but never believed. */
async function believes(fixture: Fixture, from: Call['from'], double: Header): Promise<boolean> {
  const call: Call = { target: `${fixture.base}/prefs`, from: from ?? nobody }
  const signature = identityHeaders(fixture, call).filter(([name]) => name === 'X-Trac-Signature')
  const spoofed: Header[] = [...identityHeaders(fixture, call), double]
  const answers = await Promise.all([
    sendRaw(fixture, call, spoofed),
    sendRaw(fixture, call, [double, ...identityHeaders(fixture, call)]),
    sendRaw(fixture, call, [...identityHeaders(fixture, call), ...signature]),
    sendRaw(fixture, call, [
      ...identityHeaders(fixture, call),
      ['X_Trac_Signature', signature[0]?.[1] ?? ''],
    ]),
  ])
  return answers.some(
    (answer) =>
      ![200, 400, 403].includes(answer.status) ||
      /trac-author-user">ada|eve@|"Eve"|href="[^"]*\/admin"/.test(answer.body),
  )
}

for (const server of servers) {
  await t.test(`${server} never believes a header that came twice`, async (t) => {
    const fixture = await startFixture(t, server)
    for (const double of doubles) {
      t.equal(await believes(fixture, student, double), false, double.join(': '))
      t.equal(await believes(fixture, nobody, double), false, `${double.join(': ')} for nobody`)
    }
  })
}

await t.test('a person with every right is shown the link to the admin pages', async (t) => {
  const fixture = await startFixture(t, 'tracd 1.6')
  const answer = await send(fixture, { target: '/prefs', from: admin })
  t.match(answer.body, /href="[^"]*\/admin"/)
})
