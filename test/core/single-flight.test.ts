/** Work in flight is shared by key, and forgotten when it has ended. */
import { t } from '../fixtures/tap.js'
import { SingleFlight } from '../../src/core/single-flight.js'

/** Work that ends when it is told to, and counts how often it began. */
function heldWork() {
  const state = { begun: 0, finish: (_value: string) => {}, fail: (_error: Error) => {} }
  const work = (): Promise<string> => {
    state.begun++
    return new Promise((resolve, reject) => Object.assign(state, { finish: resolve, fail: reject }))
  }
  return { state, work }
}

await t.test('all who ask while work is in flight get its one result', async (t) => {
  const flights = new SingleFlight<string>()
  const { state, work } = heldWork()
  const asked = [flights.run('a', work), flights.run('a', work)]
  t.equal(flights.current('a'), asked[0])
  t.equal(state.begun, 1)
  state.finish('done')
  t.same(await Promise.all(asked), ['done', 'done'])
})

await t.test('work of another key runs beside it', async (t) => {
  const flights = new SingleFlight<string>()
  const { work } = heldWork()
  void flights.run('a', work)
  t.equal(await flights.run('b', () => Promise.resolve('b')), 'b')
})

await t.test('work that has ended is begun anew', async (t) => {
  const flights = new SingleFlight<string>()
  const { state, work } = heldWork()
  const first = flights.run('a', work)
  state.finish('one')
  await first
  t.equal(flights.current('a'), undefined)
  const second = flights.run('a', work)
  state.finish('two')
  t.equal(await second, 'two')
})

await t.test('a failure is told to all who wait, and not remembered', async (t) => {
  const flights = new SingleFlight<string>()
  const { state, work } = heldWork()
  const asked = [flights.run('a', work), flights.run('a', work)]
  state.fail(new Error('down'))
  for (const result of await Promise.allSettled(asked)) t.equal(result.status, 'rejected')
  t.equal(await flights.run('a', () => Promise.resolve('up')), 'up')
})
