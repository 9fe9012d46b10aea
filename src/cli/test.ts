/** `trac-gateway test`: holds a policy against what somebody expects of it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { explainOffline } from '../app/ask/offline.js'
import type { Report } from '../app/ask/report.js'
import { WishFault } from '../app/ask/wish.js'
import type { Wish } from '../app/ask/wish.js'
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import type { PublicUrl } from '../core/public-url.js'
import type { Call } from './command.js'
import { decisionText, explainText } from './explain-text.js'
import { browserHeaders, toTarget } from './explain.js'
import { readPolicyTests } from './policy-tests.js'
import type { PlacedTest, PolicyTest } from './policy-tests.js'
import { failed } from './output.js'
import { createProgress, ofTotal } from './progress.js'

/** What became of one test. */
interface Outcome {
  readonly name: string
  readonly line: number
  /** What differs; none if it is as expected. */
  readonly failures: readonly string[]
  readonly report: Report | undefined
}

function wishOf({ who, what, headers, browser }: PolicyTest, address: PublicUrl): Wish {
  const [method = '', target = ''] = what.split(' ')
  return {
    method,
    target: toTarget(target, address),
    headers: [...(browser ? browserHeaders : []), ...Object.entries(headers)],
    ...(who === 'anonymous' ? { anonymous: true } : who),
  }
}

/** What was decided, in the words that a test may use. */
function wordsOf({ decision }: Report): readonly string[] {
  const { outcome, status, code } = decision
  return [
    ...(outcome === 'forward' ? ['allow'] : []),
    ...(code === 'ERR_LOGIN_REQUIRED' ? ['sign-in'] : []),
    ...(status === undefined ? [] : [String(status)]),
    ...(code === undefined ? [] : [code]),
  ]
}

/** Each expectation that does not hold, as found and wanted. */
function compare(test: PolicyTest, report: Report): readonly string[] {
  const failures: string[] = []
  const fail = (found: string, wanted: string) => failures.push(`found ${found}; wanted ${wanted}`)
  if (!wordsOf(report).includes(String(test.outcome))) {
    fail(decisionText(report.decision), `outcome ${test.outcome}`)
  }
  const { route } = report.decision
  if (test.route !== undefined && route !== test.route)
    fail(`route ${route}`, `route ${test.route}`)
  const has = new Set(report.permissions.map(({ action }) => action))
  for (const name of test.permissions.has) if (!has.has(name)) fail(`no ${name}`, name)
  for (const name of test.permissions.lacks) if (has.has(name)) fail(name, `no ${name}`)
  for (const [name, wanted] of Object.entries(test.sends)) {
    const values = report.headers.flatMap(([key, value]) =>
      key.toLowerCase() === name.toLowerCase() ? [value] : [],
    )
    const isRight = wanted === false ? values.length === 0 : values.includes(wanted)
    if (isRight) continue
    const found = values.length === 0 ? `no header ${name}` : `${name}: ${values.join(', ')}`
    fail(found, wanted === false ? `no header ${name}` : `${name}: ${wanted}`)
  }
  return failures
}

async function runOne(
  { test, line }: PlacedTest,
  address: PublicUrl,
  explain: (wish: Wish) => Promise<Report>,
): Promise<Outcome> {
  const { name } = test
  try {
    const report = await explain(wishOf(test, address))
    return { name, line, failures: compare(test, report), report }
  } catch (error) {
    if (!(error instanceof WishFault)) throw error
    return { name, line, failures: [error.message], report: undefined }
  }
}

const xml = (text: string): string =>
  text
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, '?')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')

const plain = (_: unknown, text: string): string => text

/** The whole of a failure: what differs, and what `explain` says. */
function failureText({ failures, report }: Outcome): string {
  return [...failures, ...(report === undefined ? [] : ['', explainText(report, plain)])].join('\n')
}

/** The form that CI servers read (https://github.com/testmoapp/junitxml). */
function toJunit(file: string, outcomes: readonly Outcome[]): string {
  const failed = outcomes.filter(({ failures }) => failures.length > 0).length
  const counts = `tests="${outcomes.length}" failures="${failed}"`
  const cases = outcomes.map((outcome) => {
    const { name, line, failures } = outcome
    const head = `    <testcase name="${xml(name)}" classname="${xml(file)}" file="${xml(file)}" line="${line}"`
    if (failures.length === 0) return `${head}/>`
    const message = xml(failures.join('; '))
    return `${head}>\n      <failure message="${message}">${xml(failureText(outcome))}</failure>\n    </testcase>`
  })
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${xml(file)}" ${counts}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

function toText(file: string, outcomes: readonly Outcome[], paint: Call['out']['paint']): string {
  const lines = outcomes.flatMap((outcome) => {
    const { name, line, failures } = outcome
    if (failures.length === 0) return [`${paint('good', '✓')} ${name}`]
    const details = failureText(outcome).trimEnd().split('\n')
    return [
      `${paint('bad', '✗')} ${name} (${file}:${line})`,
      ...details.map((text) => `    ${text}`.trimEnd()),
    ]
  })
  const failed = outcomes.filter(({ failures }) => failures.length > 0).length
  const sum =
    failed === 0
      ? paint('good', `${outcomes.length} as expected`)
      : paint('bad', `${failed} of ${outcomes.length} not as expected`)
  return `${[...lines, sum].join('\n')}\n`
}

/**
 * Runs the tests of a file.
 * @returns the exit code: 1 if one fails, or if a file can't be used
 */
export async function testPolicy(call: Call): Promise<number> {
  const { out, env } = call
  const [file = ''] = call.operands
  try {
    const { config } = loadConfig(call.text('config') ?? '', { env })
    const tests = readPolicyTests(file, readFileSync(file, 'utf8'))
    const explain = await explainOffline(config, false)
    const outcomes: Outcome[] = []
    const progress = createProgress(out, tests.length, ofTotal(tests.length))
    try {
      for (const one of tests) {
        outcomes.push(await runOne(one, config.server.publicUrl, explain))
        progress.add(1)
      }
    } finally {
      progress.end()
    }
    const junit = call.text('junit')
    if (junit !== undefined) writeFileSync(junit, toJunit(file, outcomes))
    out.print(
      call.flag('json')
        ? `${JSON.stringify({ file, tests: outcomes }, undefined, 2)}\n`
        : toText(file, outcomes, out.paint),
    )
    return outcomes.every(({ failures }) => failures.length === 0) ? 0 : 1
  } catch (error) {
    if (error instanceof ConfigProblems) return failed(call, error.message)
    const { code, path = file } = error as NodeJS.ErrnoException
    if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error
    return failed(call, `${path}: found no file that can be used (${code})`)
  }
}
