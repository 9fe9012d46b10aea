/** Lines put together by hand: byte for byte what pino writes, whatever stands in them. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { decisionFields, requestFields } from '../../src/observe/log-fields.js'
import { createLineWriter } from '../../src/observe/line-writer.js'
import { createLogger } from '../../src/observe/logger.js'

/** The same time for both. */
const time = /"time":"[^"]*"/

function open(level = 'info') {
  const lines: string[] = []
  const logger = createLogger(level, { write: (line: string) => lines.push(line) })
  const last = (): string | undefined => lines.pop()?.replace(time, '"time":""')
  return { logger, last }
}

/** Texts with all that JSON escapes, lone surrogates among them, short and long. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 120 }),
  fc.string({
    unit: fc.constantFrom(
      'a',
      '"',
      '\\',
      '\n',
      '\u0000',
      '\u001f',
      '\u007f',
      '\u2028',
      '\ud800',
      '\udfff',
      'é',
      '🦊',
    ),
    maxLength: 130,
  }),
  fc.nat(400).map((length) => 'x"'.repeat(length)),
)
const error = text.map((message) => new Error(message, { cause: message }))
const value = fc.oneof(
  { weight: 6, arbitrary: text },
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 3, arbitrary: fc.double() },
  // Milliseconds with three places, and numbers just beside those.
  { weight: 3, arbitrary: fc.integer({ min: -2e9, max: 2e9 }).map((n) => n / 1000) },
  fc.integer({ min: 0, max: 2e10 }).map((n) => n / 10_000),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(text, { maxLength: 4 }),
  fc.array(fc.option(text, { nil: undefined }), { maxLength: 3 }),
  fc.dictionary(fc.string({ maxLength: 5 }), text, { maxKeys: 3 }),
  error,
)

for (const [message, fields] of [
  ['request', requestFields],
  ['decision', decisionFields],
] as const) {
  await t.test(`a line ${message} has the bytes of pino`, (t) => {
    const { logger, last } = open()
    const names = Object.keys(fields)
    const write = createLineWriter<Readonly<Record<string, string>>>(logger, fields, message)
    const line = fc
      .tuple(...names.map(() => value))
      .map((values) => Object.fromEntries(names.map((name, i) => [name, values[i]])))
    fc.assert(
      fc.property(line, fc.constantFrom('info', 'warn', 'error'), (one, level) => {
        write(level, one)
        const ours = last()
        logger[level](one, message)
        return Buffer.from(ours!).equals(Buffer.from(last()!))
      }),
      { numRuns: 3000 },
    )
    t.end()
  })
}

await t.test('a level that is off writes nothing, and a child of a logger is pino’s own', (t) => {
  const { logger, last } = open('error')
  const write = createLineWriter(logger, { user: '' }, 'm')
  write('info', { user: 'sam' })
  t.equal(last(), undefined)
  write('error', { user: 'sam' })
  t.equal(last(), '{"level":"error","time":"","user":"sam","msg":"m"}\n')
  createLineWriter(logger.child({ a: 1 }), { user: '' }, 'm')('error', { user: 'sam' })
  t.equal(last(), '{"level":"error","time":"","a":1,"user":"sam","msg":"m"}\n')
  t.end()
})
