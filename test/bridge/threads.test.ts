/** Threads of one Trac never lend each other a user or a right. */
import { t } from '../fixtures/tap.js'
import { scaled } from '../fixtures/scale.js'
import { send, student } from '../fixtures/signed.js'
import type { Person } from '../fixtures/signed.js'
import { startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

/** As many as gunicorn has threads, each with this many requests. */
const workers = 8
const rounds = scaled(4, 20)

/** A worker's requests, one after the other, as `change` makes them; tells what was answered wrongly. */
async function work(
  fixture: Fixture,
  worker: number,
  personOf: (worker: number, round: number) => Person,
): Promise<string[]> {
  const wrong: string[] = []
  for (let round = 0; round < rounds; round += 1) {
    const from = personOf(worker, round)
    const expected = from.perms.includes('WIKI_VIEW') ? 200 : 403
    const answer = await send(fixture, { target: '/wiki/Rules', from })
    const name = /trac-author-user">([^<]*)</.exec(answer.body)?.[1]
    if (answer.status !== expected || name !== from.user) {
      wrong.push(`${from.user} got ${answer.status}, not ${expected}, as ${name ?? 'nobody'}`)
    }
  }
  return wrong
}

const kinds: readonly (readonly [string, (worker: number, round: number) => Person])[] = [
  [
    'the same name with alternating rights',
    (worker, round) => ({
      user: 'sam',
      perms: (worker + round) % 2 === 0 ? student.perms : ['TICKET_VIEW'],
    }),
  ],
  [
    'a name for each thread, all with the same rights',
    (worker) => ({ user: `sam-${worker}`, perms: student.perms }),
  ],
]

for (const server of ['gunicorn 1.6', 'gunicorn 1.4', 'tracd 1.6', 'tracd 1.4'] as const) {
  const fixture = await startFixture(t, server)
  for (const [kind, personOf] of kinds) {
    await t.test(`${workers} threads of ${server} never mix ${kind}`, async (t) => {
      const all = Array.from({ length: workers }, async (_, worker) =>
        work(fixture, worker, personOf),
      )
      t.strictSame((await Promise.all(all)).flat(), [])
    })
  }
}
