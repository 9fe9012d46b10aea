/** Spans go to a collector in the form of the protocol, again where it says so, and never without bound. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { startCollector } from '../fixtures/collector.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { toOtlp } from '../../src/observe/otlp.js'
import type { Span } from '../../src/observe/otlp.js'
import { SpanExporter } from '../../src/observe/span-exporter.js'

const span: Span = {
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  parentSpanId: undefined,
  name: 'GET trac',
  kind: 'client',
  startedAt: 1_764_270_000_000.123,
  endedAt: 1_764_270_000_001,
  attributes: {},
  failed: false,
}

await t.test('whatever a text holds, a collector can read it', (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', '"', '\n', '\ud800', '\udfff', '🦊', '\0') })
  fc.assert(
    fc.property(text, text, (name, value) => {
      const body = toOtlp([{ ...span, name, attributes: { value } }], {}, '0')
      // An escape of half a character is an error to readers of protobuf's JSON.
      return !/\\ud[89a-f]/i.test(body) && JSON.stringify(JSON.parse(body)) === body
    }),
  )
  t.match(toOtlp([span], {}, '0'), '"startTimeUnixNano":"1764270000000123000"')
  t.end()
})

await t.test(
  'spans that a collector can’t take now are sent five times, and then not',
  async (t) => {
    const collector = await startCollector(t)
    const timers = createTimers()
    /** What was waited for, the time of an answer included. */
    const delays: number[] = []
    const counted: string[] = []
    const exporter = new SpanExporter({
      endpoint: collector.endpoint,
      headers: {},
      timeout: 10_000,
      interval: 5000,
      queue: 3,
      toBody: (spans) => toOtlp(spans, {}, '0'),
      timers: {
        ...timers,
        setTimeout(callback, delay) {
          delays.push(delay)
          return timers.setTimeout(callback, delay)
        },
      },
      random: () => 0,
      count: (result, spans) => void counted.push(`${result} ${spans}`),
      onFault: () => void counted.push('told'),
    })
    const { requests, state } = collector
    state.status = 503
    for (let i = 0; i < 4; i++) exporter.add(span)
    t.strictSame(counted.splice(0), ['dropped 1'])
    t.equal(requests.length, 0)
    for (const [i, wait] of [5000, 1000, 2000, 4000, 8000].entries()) {
      await until(() => delays.at(-1) === wait, `a try after ${wait} ms`)
      timers.advance(wait - 1)
      t.equal(requests.length, i, `not before ${wait} ms`)
      timers.advance(1)
      await until(() => requests.length === i + 1)
    }
    await until(() => counted.includes('failed 3'))
    t.strictSame(counted.splice(0), ['told', 'failed 3'])
    state.status = 200
    exporter.add(span)
    await exporter.close(1000)
    t.strictSame(counted, ['sent 1'])
    exporter.add(span)
    t.strictSame(counted, ['sent 1', 'dropped 1'], 'it is closed')
    t.equal(state.fault, '')
  },
)
