/** A browser that signs in again and again without keeping its session is stopped. */
import { t } from '../fixtures/tap.js'
import { nameCookies } from '../../src/session/cookies.js'
import { LoopGuard } from '../../src/sign-in/loop-guard.js'

const names = nameCookies('https://trac.example.edu', 'https://idp.example.edu', 'trac')
const guard = new LoopGuard(names)

/** What a browser sends back of a cookie that it got. */
const returned = (line: string): [string, string] =>
  line.split(';')[0]!.split('=') as [string, string]

await t.test('two sign-ins may follow each other within half a minute, a third is a loop', (t) => {
  t.equal(guard.isLoop([]), false)
  const first = guard.count([])
  t.match(first, /Max-Age=30;/)
  t.equal(guard.isLoop([returned(first)]), false)
  const second = guard.count([returned(first)])
  t.equal(guard.isLoop([returned(second)]), true)
  t.end()
})

await t.test('the counter is told from the attempts beside it', (t) => {
  const counter = returned(guard.count([]))
  const attempt: [string, string] = [`${names.attempt}abcdefgh`, 'sealed']
  t.same(guard.others([counter, attempt]), [attempt])
  t.same(guard.forget([attempt]), [])
  t.match(guard.forget([counter, attempt]), [/Max-Age=0;/])
  t.end()
})

await t.test('a counter that somebody made up counts nothing', (t) => {
  for (const value of ['', '10', '-1', 'x', '99999']) {
    t.equal(guard.isLoop([[`${names.attempt}again`, value]]), false, value)
  }
  t.end()
})
