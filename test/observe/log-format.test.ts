/** Every form of the log: a line is one record whatever stands in it, and tells the same. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { ecsNameOf, requestFields } from '../../src/observe/log-fields.js'
import { createLineWriter } from '../../src/observe/line-writer.js'
import { readEcs } from '../../src/observe/log-format.js'
import type { LogFormat } from '../../src/observe/log-format.js'
import { applyLogSettings, createLogger } from '../../src/observe/logger.js'

const formats: readonly LogFormat[] = ['json', 'ecs', 'plain']

function open(format: LogFormat) {
  let text = ''
  const write = (line: string): void => void (text += line)
  const logger = createLogger('info', { write }, format)
  const take = (): string => {
    const taken = text
    text = ''
    return taken
  }
  const writeRequest = createLineWriter<Readonly<Record<string, string>>>(
    logger,
    requestFields,
    'request',
    format,
  )
  return { logger, writeRequest, take }
}

/** What some reader takes for an end of a line, a command to a terminal, or a turn of the text. */
const harmful =
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/

const pieces = [
  ...['a', '=', ' ', '"', "'", '\\', '{', '}', '[', ']', ',', ':', 'é', '🦊', '\u00a0'],
  ...['\r', '\n', '\t', '\u0000', '\u001b[2J', '\u007f', '\u0085', '\u009b2J', '\u2028', '\u2029'],
  ...['\ud800', '\udfff', '\u202e', '\u2066', '\ufeff', '\\u000a', '\\n', '" user="root', 'x=1'],
  ...[
    '\n{"level":"info","msg":"forged"}',
    '\n2026-11-27T00:00:00.000Z INFO  forged',
    'x'.repeat(200),
  ],
]
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...pieces), maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
)
const value = fc.oneof(
  { weight: 5, arbitrary: text },
  { weight: 2, arbitrary: fc.constant(undefined) },
  fc.integer(),
  fc.array(text, { maxLength: 3 }),
  fc.dictionary(text, text, { maxKeys: 3 }),
  text.map((message) => new Error(message, { cause: new TypeError(message) })),
)
const names = Object.keys(requestFields)
const lines = fc
  .tuple(...names.map(() => value))
  .map((values) => Object.fromEntries(names.map((name, i) => [name, values[i]])))

/** Names of fields of a plain line: outside of quotation marks. */
const plainNames = (line: string) =>
  [...line.replace(/"(?:[^"\\]|\\.)*"/g, '""').matchAll(/ ([a-z_]+)=/g)].map(([, name]) => name)

for (const format of formats) {
  await t.test(`${format}: whatever stands in a line, it is one record`, (t) => {
    const { logger, writeRequest, take } = open(format)
    fc.assert(
      fc.property(lines, text, (line, message) => {
        writeRequest('warn', line)
        logger.warn(line, `a text: ${message}`)
        const written = take()
        if (harmful.test(written)) return false
        const bytes = Buffer.from(written)
        if (!Buffer.from(bytes.toString('utf8')).equals(bytes)) return false
        const [first, second, ...rest] = written.split('\n')
        if (rest.join() !== '') return false
        const isError = (one: unknown) => typeof one === 'string' || one instanceof Error
        const told = names.filter(
          (name) => line[name] !== undefined && (name !== 'cause' || isError(line[name])),
        )
        return [first!, second!].every((one) => {
          if (format === 'plain') {
            const shown = told.filter((name) => !['method', 'path', 'status', 'ms'].includes(name))
            return /^\d{4}-\S+Z WARN {2}\S/.test(one) && plainNames(one).join() === shown.join()
          }
          const read = JSON.parse(one) as Record<string, unknown>
          return (read['msg'] ?? read['message'] ?? '') !== 'forged'
        })
      }),
      { numRuns: 1000 },
    )
    t.end()
  })
}

await t.test('ecs has the names of the schema, and ours in a place of their own', (t) => {
  const { logger, writeRequest, take } = open('ecs')
  writeRequest('warn', {
    request_id: 'r1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    client: '203.0.113.9',
    method: 'GET',
    path: '/trac/wiki',
    route: 'trac:wiki',
    status: 502,
    ms: 12.345,
    upstream_ms: 3,
    user: 'sam',
    code: 'ERR_UPSTREAM_RESET',
    cause: Object.assign(new Error('it broke off'), { code: 'ECONNRESET' }),
  })
  const { '@timestamp': time, ...line } = JSON.parse(take()) as Record<string, unknown>
  t.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  t.match(line['error.stack_trace'], 'Error: it broke off\n')
  delete line['error.stack_trace']
  t.strictSame(line, {
    'log.level': 'warn',
    message: 'request',
    'ecs.version': '8.11.0',
    'service.name': 'trac-gateway',
    'http.request.id': 'r1',
    'trace.id': '0af7651916cd43dd8448eb211c80319c',
    'span.id': 'b7ad6b7169203331',
    'client.ip': '203.0.113.9',
    'http.request.method': 'GET',
    'url.path': '/trac/wiki',
    'trac_gateway.route': 'trac:wiki',
    'http.response.status_code': 502,
    'event.duration': 12_345_000,
    'trac_gateway.upstream_ms': 3,
    'user.name': 'sam',
    'error.code': 'ERR_UPSTREAM_RESET',
    'error.type': 'Error',
    'error.message': 'it broke off',
    'trac_gateway.cause': { code: 'ECONNRESET' },
  })
  logger.info({ client: 'unix', user: 'sam' }, 'an event')
  const event = JSON.parse(take()) as Record<string, unknown>
  t.match(event, { 'client.address': 'unix', message: 'an event' })
  t.match(readEcs(event), { msg: 'an event', user: 'sam', level: 'info' })
  t.equal(readEcs({ msg: 'decision' }), undefined)
  const ecs = names.map(ecsNameOf)
  t.equal(new Set(ecs).size, ecs.length, 'no two fields have one name')
  t.end()
})

await t.test('plain is read without a program', (t) => {
  const { logger, writeRequest, take } = open('plain')
  writeRequest('info', {
    request_id: 'r1',
    method: 'GET',
    path: '/trac/wiki/Two words',
    route: 'trac:wiki',
    status: 200,
    ms: 3.2,
    user: 'sam',
  })
  t.match(
    take(),
    /^\S+Z INFO {2}request GET "\/trac\/wiki\/Two words" 200 3\.2ms request_id=r1 route=trac:wiki user=sam\n$/,
  )
  const cause = new Error('fetch failed', { cause: Object.assign(new Error('no'), { code: 'EX' }) })
  logger.error({ cause, groups: ['a', 'b'] }, 'keys could not be fetched')
  t.match(
    take(),
    /^\S+Z ERROR keys could not be fetched cause="Error: fetch failed; by Error EX: no" groups=\[a b\]\n$/,
  )
  t.end()
})

await t.test('another form and level count from the next line on', (t) => {
  const { logger, take } = open('json')
  applyLogSettings(logger, { level: 'warn', format: 'plain' })
  logger.info('quiet')
  logger.warn('told')
  t.match(take(), /^\S+Z WARN {2}told\n$/)
  t.end()
})
