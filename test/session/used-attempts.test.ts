/** Each sign-in attempt serves once, and what is remembered of it is bounded. */
import { t } from '../fixtures/tap.js'
import { MemoryUsedAttempts, maxUsed } from '../../src/session/used-attempts.js'

await t.test('an attempt serves once, until it would have ended or was taken back', async (t) => {
  const clock = { now: 1_700_000_000_000 }
  const used = new MemoryUsedAttempts(() => clock.now)
  t.equal(await used.use('a'), true)
  t.equal(await used.use('a'), false)
  await used.release('a')
  t.equal(await used.use('a'), true, 'the provider never answered')
  clock.now += 10 * 60_000
  t.equal(await used.use('a'), false)
  clock.now += 1
  t.equal(await used.use('a'), true)
})

await t.test('a hundred thousand are remembered, and then the oldest is dropped', async (t) => {
  const used = new MemoryUsedAttempts(() => 0)
  for (let i = 0; i < maxUsed; i++) await used.use(`state-${i}`)
  t.equal(maxUsed, 100_000)
  t.equal(await used.use('state-1'), false)
  t.equal(await used.use('one more'), true)
  t.equal(await used.use('state-1'), false, 'a second look has dropped none')
  t.equal(await used.use('state-0'), true, 'the oldest made way')
  t.equal(await used.use(`state-${maxUsed - 1}`), false)
})
