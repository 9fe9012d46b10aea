/** Places at an upstream: so many in all, a quarter for one, and a queue in which nobody is forgotten. */
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { t } from '../fixtures/tap.js'
import type { GatewayError } from '../../src/core/errors.js'
import { Gate } from '../../src/forward/gate.js'
import type { RequestContext } from '../../src/request/context.js'
import { createContext, nobody } from '../fixtures/request-context.js'
import { createTimers } from '../fixtures/timers.js'

function open(max: number) {
  const timers = createTimers()
  let waiting = 0
  const gate = new Gate({ max, queue: 10_000 }, timers, (change) => (waiting += change))
  const events: string[] = []
  let number = 0
  const ask = (address = `10.0.0.${number}`, subject?: string): RequestContext => {
    const name = `${number++}`
    const principal = { ...nobody.principal, issuer: 'i', subject: subject ?? '' }
    const context = createContext({
      id: name,
      address,
      identity: subject === undefined ? nobody : { ...nobody, principal, via: 'bearer' },
      response: new EventEmitter() as ServerResponse,
    })
    if (gate.take(context)) events.push(`${name} in`)
    else {
      gate.wait(
        context,
        () => events.push(`${name} in later`),
        (error) => events.push(`${name} ${(error as GatewayError).code}`),
      )
    }
    return context
  }
  const told = () => events.splice(0)
  return { timers, gate, ask, told, waiting: () => waiting }
}

await t.test('as many are in as there are places, the others come in order', async (t) => {
  const { gate, ask, told, waiting } = open(4)
  const all = Array.from({ length: 7 }, () => ask())
  t.strictSame(told(), ['0 in', '1 in', '2 in', '3 in'])
  t.equal(waiting(), 3)
  gate.release(all[2]!)
  gate.release(all[2]!)
  t.strictSame(told(), ['4 in later'], 'a place that was given back twice is one place')
  gate.release(all[0]!)
  gate.release(all[1]!)
  t.strictSame(told(), ['5 in later', '6 in later'])
  t.equal(waiting(), 0)
  for (const one of all) gate.release(one)
  ask()
  t.strictSame(told(), ['7 in'])
})

await t.test('one address has a quarter, IPv6 by its network, and so has one person', async (t) => {
  const { gate, ask, told } = open(8)
  const first = ask('2001:db8:1:2::1')
  ask('2001:db8:1:2::2')
  ask('2001:db8:1:2:3::3')
  ask('2001:db8:1:3::1')
  t.strictSame(told(), ['0 in', '1 in', '3 in'], 'who waits keeps nobody else waiting')
  gate.release(first)
  t.strictSame(told(), ['2 in later'])
  ask('10.0.0.1', 'sam')
  const second = ask('10.0.0.2', 'sam')
  ask('10.0.0.3', 'sam')
  ask('10.0.0.4', 'ivan')
  t.strictSame(told(), ['4 in', '5 in', '7 in'])
  gate.release(second)
  t.strictSame(told(), ['6 in later'])
})

await t.test('who leaves lets in one for its address and one for its person', async (t) => {
  const { gate, ask, told } = open(8)
  const leaving = ask('10.0.0.1', 'sam')
  ask('10.0.0.1')
  ask('10.0.0.2', 'sam')
  ask('10.0.0.1')
  ask('10.0.0.3', 'sam')
  t.strictSame(told(), ['0 in', '1 in', '2 in'])
  gate.release(leaving)
  t.strictSame(told(), ['3 in later', '4 in later'])
})

await t.test('who has waited too long is refused, who leaves is dropped', async (t) => {
  const { timers, gate, ask, told, waiting } = open(1)
  const inside = ask()
  timers.advance(5000)
  const leaving = ask()
  ask()
  leaving.response.emit('close')
  t.equal(waiting(), 1)
  timers.advance(9999)
  t.strictSame(told(), ['0 in'])
  timers.advance(1)
  t.strictSame(told(), ['2 ERR_UPSTREAM_BUSY'])
  t.equal(waiting(), 0)
  t.equal(timers.waiting, 0, 'no timer is left')
  gate.release(inside)
  t.strictSame(told(), [], 'neither is let in any more')
})

await t.test('a thousand wait, the next one is refused at once', async (t) => {
  const { timers, ask, told, waiting } = open(1)
  for (let i = 0; i < 1001; i++) ask('10.0.0.1')
  t.strictSame(told(), ['0 in'])
  t.equal(waiting(), 1000)
  ask('10.0.0.2')
  t.strictSame(told(), ['1001 ERR_UPSTREAM_BUSY'])
  timers.advance(10_000)
  t.equal(waiting(), 0)
})

await t.test('who holds places is counted on, however many came and went meanwhile', async (t) => {
  const { gate, ask, told } = open(8)
  const held = [ask('10.0.0.1', 'alice'), ask('10.0.0.1', 'alice')]
  for (let i = 0; i < 3000; i++) gate.release(ask(`10.1.${i >> 8}.${i & 255}`, `person ${i}`))
  t.equal(told().filter((event) => event.endsWith(' in')).length, 3002)
  ask('10.0.0.1', 'bob')
  ask('10.0.0.2', 'alice')
  t.strictSame(told(), [], 'address and person have their quarter')
  gate.release(held[0]!)
  t.strictSame(told(), ['3002 in later', '3003 in later'], 'one place was of both')
})
