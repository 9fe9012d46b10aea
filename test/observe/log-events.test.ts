/** The reference of the log has each single event that the code writes, with its level and its fields, and no other. */
import { readFileSync, readdirSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import { root } from '../fixtures/root.js'
import { logEvents } from '../../src/cli/log-events.js'

/** Lines whose fields have a table of their own. */
const withTables = new Set(['sign-in', 'grants', 'personal token …'])

/** Fields, and then a text or what makes one. */
const call =
  /\blogger\.(error|warn|info)\(\s*(?:(\{[^{}]*\}|line),\s*)?('[^'\n]*'|`[^`\n]*`|\w+(?:\(\w+\))?),?\s*\)/g

interface Written {
  readonly level: string
  readonly msg: string
  readonly fields: readonly string[]
}

/** What stands in it: a `…` for each part that differs. */
const textOf = (code: string): string =>
  /^['`]/.test(code) ? code.slice(1, -1).replaceAll(/\$\{\w+\}/g, '…') : '…'

const fieldsOf = (code = ''): readonly string[] =>
  [...code.matchAll(/(?:^\{|,)\s*(\w+)/g)].map(([, name = '']) => name)

const sources = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(`${root}src/${name}`, 'utf8'))

const written: readonly Written[] = sources.flatMap((source) =>
  [...source.matchAll(call)].map(([, level = '', fields, text = '']) => ({
    level,
    msg: textOf(text),
    fields: fieldsOf(fields),
  })),
)
const tell = ({ level, msg, fields }: Written): string =>
  `${level} ${msg} (${fields.toSorted().join()})`

await t.test('each call of the logger is read', (t) => {
  const calls =
    sources.join('\n').match(/\blogger\??\.(?:fatal|error|warn|info|debug|trace)\(/g) ?? []
  t.ok(calls.length > 25, `${calls.length} calls`)
  t.equal(written.length, calls.length)
  t.end()
})

await t.test('the reference has these events, and no other', (t) => {
  const events = written.filter(({ msg }) => !withTables.has(msg))
  t.strictSame(logEvents.map(tell).toSorted(), events.map(tell).toSorted())
  t.end()
})
