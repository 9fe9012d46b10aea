/** What the soak judges by: which failure has a cause, which memory is flat, and when what is done. */
import { t } from '../fixtures/tap.js'
import { causesOf, explains, planOf } from './disturbances.js'
import { livesOf } from './memory.js'
import { drawSoak } from './picture.js'
import { Records } from './records.js'
import type { Disturbance, Failure } from './records.js'
import { describeFailure, describeSoak } from './report.js'

const redis: Disturbance = { what: 'redis', replica: undefined, from: 10, until: 16 }
const kill: Disturbance = { what: 'kill', replica: 1, from: 30, until: 37 }

/** Somebody with a cookie who is told that Redis is away, unless it says otherwise. */
const failed = (changes: Partial<Failure>): Failure => ({
  from: 11,
  to: 11.1,
  kind: 'page',
  client: 'person0',
  replica: 0,
  request: 'GET /trac/wiki/WikiStart',
  status: 503,
  isBearer: false,
  retryAfter: true,
  requestId: 'r-1',
  words: 'answered 503',
  line: '{"request_id":"r-1","msg":"request"}',
  code: 'ERR_STORE_UNAVAILABLE',
  ...changes,
})
/** A connection to the killed replica that broke. */
const cut = { status: 0, retryAfter: false, requestId: '', code: '', replica: 1, line: '' }

await t.test(
  'a failure has a cause only in the span of a disturbance, and only of its kind',
  (t) => {
    const cases: readonly (readonly [string, Disturbance, Partial<Failure>, boolean])[] = [
      ['a cookie, while Redis is away', redis, {}, true],
      ['begun before, ended in it', redis, { from: 9, to: 10.5 }, true],
      ['before it', redis, { from: 8, to: 9.9 }, false],
      ['after it', redis, { from: 16.1, to: 16.2 }, false],
      ['without Retry-After', redis, { retryAfter: false }, false],
      ['with a Bearer token', redis, { isBearer: true }, false],
      ['with another status', redis, { status: 502, code: 'ERR_UPSTREAM_RESET' }, false],
      ['with another code', redis, { code: 'ERR_PROVIDER_UNAVAILABLE' }, false],
      ['without a line in the log', redis, { line: '', code: '' }, false],
      ['a page of somebody else', redis, { status: 200, code: '' }, false],
      ['a connection that broke', redis, { ...cut, from: 9, to: 10 }, false],
      ['cut by the kill', kill, { ...cut, from: 29.9, to: 30.1 }, true],
      ['cut at the other replica', kill, { ...cut, from: 29.9, to: 30.1, replica: 0 }, false],
      ['cut later', kill, { ...cut, from: 30.5, to: 30.6 }, false],
      ['a lock of the killed one', kill, { from: 33, to: 36, code: 'ERR_SESSION_BUSY' }, true],
      ['a lock after its time', kill, { from: 38, to: 39, code: 'ERR_SESSION_BUSY' }, false],
      ['a session that is lost', kill, { from: 31, to: 32, status: 302, code: '' }, false],
      ['a reload', { ...redis, what: 'reload' }, {}, false],
    ]
    for (const [words, disturbance, changes, isCaused] of cases) {
      t.equal(explains(disturbance, failed(changes)), isCaused, words)
    }
    t.end()
  },
)

/** What was judged of a process that lived for so many minutes. */
function livedWith(
  minutes: number,
  residentAt: (minute: number) => number,
  heldAt = (_minute: number) => 60,
) {
  const records = new Records()
  for (let at = 0; at <= minutes * 60; at += 5) {
    // A little noise, as there always is.
    const resident = residentAt(at / 60) + (at % 15) / 5
    const held = at % 60 === 0 ? heldAt(at / 60) + (at % 180) / 180 : undefined
    records.memory.push({ at, replica: 0, pid: 1, resident, held })
  }
  return livesOf(records)[0]!.judged
}

await t.test('resident memory is flat if it does not rise once ten minutes have passed', (t) => {
  // Garbage is collected every seven minutes.
  const sawtooth = (minute: number) => 140 + (minute % 7) * 3
  const cases: readonly (readonly [string, (minute: number) => number, boolean])[] = [
    ['it rose before', (minute) => 120 + Math.min(minute, 9) * 5, true],
    ['by 6 MiB an hour', (minute) => 120 + minute / 10, true],
    ['by nothing, up and down', sawtooth, true],
    ['by nothing, much given back at once', (minute) => (minute % 20 < 10 ? 125 : 170), true],
    ['by 40 MiB an hour, up and down', (minute) => sawtooth(minute) + minute / 1.5, false],
    ['by 30 MiB an hour', (minute) => 120 + minute / 2, false],
    ['it rose in the end', (minute) => (minute > 55 ? 140 : 120), false],
    ['it fell', (minute) => 160 - minute, true],
  ]
  for (const [words, residentAt, isFlat] of cases) {
    t.equal(livedWith(60, residentAt)?.resident.isFlat, isFlat, words)
  }
  t.equal(
    livedWith(15, (minute) => 120 + minute),
    undefined,
    'too brief a life',
  )
  t.end()
})

await t.test('what is held is judged by itself, and more sharply', (t) => {
  const resident = () => 150
  const cases: readonly (readonly [string, (minute: number) => number, boolean])[] = [
    ['it rose before', (minute) => 50 + Math.min(minute, 9), true],
    ['by 3 MiB an hour', (minute) => 60 + minute / 20, true],
    ['by 6 MiB an hour', (minute) => 60 + minute / 10, false],
    ['it rose in the end', (minute) => (minute > 55 ? 70 : 60), false],
  ]
  for (const [words, heldAt, isFlat] of cases) {
    const judged = livedWith(60, resident, heldAt)
    t.equal(judged?.held.isFlat, isFlat, words)
    t.equal(judged?.resident.isFlat, true, 'the whole of it is flat')
  }
  t.end()
})

await t.test('each kind of disturbance comes in two minutes already, and the end is quiet', (t) => {
  for (const seconds of [120, 3600]) {
    const plan = planOf(seconds)
    t.strictSame(
      new Set(plan.map(({ what }) => what)),
      new Set(['reload', 'refused reload', 'redis', 'kill']),
    )
    t.ok(plan.every(({ at }) => at < seconds - 12))
    const lastKill = plan.findLast(({ what }) => what === 'kill')!
    t.ok(seconds < 1800 || seconds - lastKill.at > 1500, 'the last life is long enough to judge')
  }
  t.end()
})

await t.test('what had no cause is in the table, in the picture and in words', (t) => {
  const records = new Records()
  records.disturbances.push(redis)
  records.samples.push({ at: 1, kind: 'page', ms: 20 })
  records.fail(failed({}))
  records.fail(failed({ from: 20, to: 20.1 }))
  // They have their codes already.
  for (const failure of records.failures) failure.code = 'ERR_STORE_UNAVAILABLE'
  const causes = causesOf(records)
  const tables = describeSoak(records, 60, causes, [], [0.1])
  t.match(tables, /^\| page \| 3 \| 1 \| 1 \| 20 \| 20 \| 20 \|$/m)
  const words = [...causes].map(([failure, cause]) => describeFailure(failure, cause))
  t.match(words[0], /because of: redis at 10\.0 s/)
  t.match(words[1], /WITHOUT A CAUSE\n.*request id r-1\n/)
  const picture = drawSoak(records, 60, causes)
  t.equal(picture.match(/<rect [^>]*fill="#ff0000"\/>/g)?.length, 2, 'one column and its key')
  t.match(picture, /^<svg [^]*<\/svg>\n$/)
  t.end()
})
