/** What `explain` answers, in words for people. */
import type { Decided, Report, Step, StepOutcome } from '../app/ask/report.js'
import type { Output, Tone } from './command.js'
import { toColumns } from './output.js'

type Paint = Output['paint']

const marks: Readonly<Record<StepOutcome, readonly [mark: string, tone: Tone]>> = {
  passed: ['✓', 'good'],
  shadow: ['~', 'warn'],
  refused: ['✗', 'bad'],
  answered: ['→', 'strong'],
  unknown: ['?', 'warn'],
  'not judged': ['?', 'warn'],
  'not reached': ['·', 'dim'],
}

/** Words for the checks, in the order of the list. */
const titles: Readonly<Record<string, string>> = {
  framing: 'framing and headers',
  canonicalPath: 'canonical path',
  host: 'Host',
  scheme: 'scheme',
  basePath: 'base path',
  ownMethod: 'own endpoint: method',
  ownRateLimit: 'own endpoint: rate',
  ownCredential: 'own endpoint: credential',
  ownPersonLimit: 'own endpoint: rate of a person',
  ownAnswer: 'own endpoint: its answer',
  matchRoute: 'route',
  answerMoved: 'one object, one address',
  answerSignIn: 'signed in with the gateway',
  answerPreflight: 'preflight',
  authenticate: 'credential',
  rateLimit: 'rate limit',
  csrf: 'cross-site request',
  access: 'access and require',
  upgrades: 'upgrade',
  bodyLimits: 'body limit',
}

/** What is told of a check. */
function told(outcome: StepOutcome, detail: string): string {
  if (outcome === 'not reached') return outcome
  return outcome === 'not judged' ? `not judged: ${detail}` : detail
}

function stepLines(steps: readonly Step[], paint: Paint): readonly string[] {
  const rows = steps.map(({ name, outcome, code, detail }) => [
    titles[name] ?? name,
    told(outcome, [code, detail].filter(Boolean).join(': ')),
  ])
  return toColumns(rows).map((line, i) => {
    const [mark, tone] = marks[steps[i]!.outcome]
    return `  ${paint(tone, mark)} ${line}`
  })
}

/** The decision as one line. */
export function decisionText(decision: Decided): string {
  const { outcome, status, code, message, location, route, upstream, shadow } = decision
  const where = route === 'none' ? 'no route' : `route ${route}`
  const said = message === undefined ? '' : `: ${message}`
  const to = location === undefined ? '' : ` → ${location}`
  const passed = shadow === undefined ? '' : `; ${shadow} in enforce mode`
  switch (outcome) {
    case 'forward':
      return `forwarded to ${upstream} (${where}${passed})`
    case 'own':
      return `answered by our own endpoint ${route}; how, is not judged`
    case 'unknown':
      return `not known: ${message} (${where})`
    default:
      return (
        [status, code].filter((one) => one !== undefined).join(' ') +
        `${to}${said} (${where}${passed})`
      )
  }
}

const toneOf = ({ outcome }: Decided): Tone => {
  if (outcome === 'refuse') return 'bad'
  return outcome === 'unknown' ? 'warn' : 'good'
}

/** A headed list of columns; nothing without rows. */
function section(
  title: string,
  rows: readonly (readonly string[])[],
  paint: Paint,
): readonly string[] {
  if (rows.length === 0) return []
  return ['', paint('strong', title), ...toColumns(rows).map((line) => `  ${line}`)]
}

function whoText({ identity }: Report): string {
  const { user, via, groups, scopes } = identity
  if (via === 'none') return 'anonymous'
  const more = [
    groups.length === 0 ? 'no group that counts' : `groups ${groups.join(', ')}`,
    ...(scopes.length === 0 ? [] : [`scopes ${scopes.join(' ')}`]),
  ]
  return `${user}, by ${via}; ${more.join('; ')}`
}

/** Rows that come near: those that have the path are told one by one. */
function rowLines({ rows }: Report): readonly (readonly string[])[] {
  const near = rows.filter(({ why }) => why !== 'path')
  const far = rows.length - near.length
  return [
    ...near.map(({ name, detail }) => [name, detail]),
    ...(far === 0 ? [] : [[`${far} more`, 'their paths do not fit']]),
  ]
}

/** The whole answer. */
export function explainText(report: Report, paint: Paint): string {
  const { method, target, path, assumed, steps, decision, headers, permissions, leftOut, besides } =
    report
  const to =
    decision.outcome === 'forward' ? `Headers to ${decision.upstream}` : 'Headers of the answer'
  const facts = [
    ...(path === undefined ? [] : [['path', path]]),
    ...(report.environment === undefined ? [] : [['environment', report.environment]]),
    ['from', whoText(report)],
    ...assumed.map((text) => ['assumed', text]),
  ]
  const lines = [
    paint('strong', `${method} ${target}`),
    ...toColumns(facts).map((line) => `  ${line}`),
    '',
    paint('strong', 'Checks'),
    ...stepLines(steps, paint),
    ...section('Rows before it', rowLines(report), paint),
    ...section(
      'Permissions',
      permissions.map(({ action, from }) => [action, `by ${from.join(', ')}`]),
      paint,
    ),
    ...section(
      'Claimed, and not granted',
      leftOut.map(({ action, why }) => [action, why]),
      paint,
    ),
    ...section(
      to,
      headers.map(([name, value]) => [`${name}:`, value]),
      paint,
    ),
    ...section(
      'Not judged',
      report.notJudged.map((text) => [text]),
      paint,
    ),
    ...section(
      'Besides',
      besides.map((text) => [text]),
      paint,
    ),
    '',
    `${paint('strong', 'Decision:')} ${paint(toneOf(decision), decisionText(decision))}`,
  ]
  return `${lines.join('\n')}\n`
}
