/** The bar of long work: on a terminal alone, with what is done and of how much, and gone at the end. */
import { t } from '../fixtures/tap.js'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Call } from '../../src/cli/command.js'
import { createProgress, ofTotal } from '../../src/cli/progress.js'
import { replay } from '../../src/cli/replay.js'
import { testPolicy } from '../../src/cli/test.js'
import { minimal, secrets } from '../fixtures/config.js'

const folder = t.testdir({})
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const config = file('gateway.yaml', minimal)
const gone = '\r\u001b[K'

/** A command in this process, at a terminal or not. */
async function run(command: (call: Call) => Promise<number>, operand: string, isTerminal = true) {
  const [drawn, said]: [string[], string[]] = [[], []]
  const code = await command({
    operands: [operand],
    env: secrets,
    out: {
      print: (text) => said.push(text),
      note: (text) => said.push(text),
      paint: (_, text) => text,
      progress: isTerminal ? (text) => drawn.push(text) : undefined,
    },
    text: (option) => (option === 'config' ? config : undefined),
    texts: () => [],
    flag: () => false,
  })
  return { code, drawn, said: said.join('') }
}

await t.test('it is drawn at most five times a second, and taken away', (t) => {
  const drawn: string[] = []
  let time = 0
  const bar = createProgress(
    { progress: (text) => drawn.push(text) },
    400,
    ofTotal(400),
    () => time,
  )
  for (let i = 0; i < 400; i++) {
    bar.add(1)
    time += 2
  }
  bar.end()
  t.equal(drawn.length, 5)
  t.equal(drawn[2], `\r[${'#'.repeat(15)}${'.'.repeat(15)}] 50.2 %, 201 of 400\u001b[K`)
  t.equal(drawn.at(-1), gone)

  const open: string[] = []
  const unknown = createProgress({ progress: (text) => open.push(text) }, undefined, String)
  unknown.end()
  t.strictSame(open, [], 'nothing was drawn, so nothing is taken away')
  unknown.add(7)
  t.strictSame(open, ['\r7\u001b[K'])
  t.end()
})

const cases = Array.from(
  { length: 3 },
  (_, i) => `  - { name: case ${i}, who: anonymous, what: GET /wiki, outcome: sign-in }\n`,
)
const tests = file('many.tests.yaml', `tests:\n${cases.join('')}`)
const log = file('audit.log', '{"msg":"request"}\n'.repeat(10))

for (const [name, command, operand, seen] of [
  ['test', testPolicy, tests, /^\r\[#{10}\.{20}\] 33\.3 %, 1 of 3/],
  ['replay', replay, log, /^\r\[#+\] 100\.0 %, 0 MB/],
] as const) {
  await t.test(`${name} shows how far it is, at a terminal`, async (t) => {
    const { drawn, said } = await run(command, operand)
    t.match(drawn[0], seen)
    t.equal(drawn.at(-1), gone)
    t.notMatch(said, '\r')
    t.strictSame((await run(command, operand, false)).drawn, [])
  })
}
