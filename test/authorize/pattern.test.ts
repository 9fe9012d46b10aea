/** Path patterns: a table, a naive reading of them to compare with, and their time on hostile input. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { compilePattern, literalSegments } from '../../src/authorize/pattern.js'

const cases: readonly (readonly [pattern: string, path: string, fits: boolean])[] = [
  ['/', '/', true],
  ['/', '/a', false],
  ['/wiki', '/wiki', true],
  ['/wiki', '/wiki/', false],
  ['/wiki', '/Wiki', false],
  ['/wiki/', '/wiki/', true],
  ['/wiki/', '/wiki', false],
  ['/api/**', '/api', true],
  ['/api/**', '/api/', true],
  ['/api/**', '/api/a/b', true],
  ['/api/**', '/apix', false],
  ['/**', '/', true],
  ['/**', '/a/b', true],
  ['/ticket/*', '/ticket/1', true],
  ['/ticket/*', '/ticket/', false],
  ['/ticket/*', '/ticket', false],
  ['/ticket/*', '/ticket/1/2', false],
  ['/ticket/*', '/ticket/1/', false],
  ['/*', '/a', true],
  ['/*', '/', false],
  ['/a*c', '/abc', true],
  ['/a*c', '/ac', false],
  ['/a*c', '/abcbc', true],
  ['/a*b*c', '/aXbYc', true],
  ['/a*b*c', '/abYc', false],
  ['/a*a', '/aa', false],
  ['/a*a', '/aaa', true],
  ['/*.css', '/x.css', true],
  ['/*.css', '/.css', false],
  ['/raw-*/x', '/raw-attachment/x', true],
  ['/**/edit', '/edit', true],
  ['/**/edit', '/a/b/edit', true],
  ['/**/edit', '/a/edit/b', false],
  ['/a/**/z', '/a/z', true],
  ['/a/**/z', '/a/b/c/z', true],
  ['/a/**/b/**/c', '/a/x/b/b/y/c', true],
  ['/a/**/b/**/c', '/a/x/c', false],
  ['/courses/*/grades', '/courses/7/grades', true],
  ['/courses/*/grades', '/courses//grades', false],
  ['/a/**', '/a/b/', true],
  ['/wiki/a?b', '/wiki/a?b', true],
  ['/wiki/(x)+', '/wiki/(x)+', true],
  ['/wiki/.', '/wiki/x', false],
  ['/café', '/café', true],
]

for (const [pattern, path, fits] of cases) {
  await t.test(`${pattern} ${fits ? 'matches' : 'does not match'} ${path}`, async (t) => {
    t.equal(compilePattern(pattern)(path), fits)
  })
}

/** Whether a segment fits: by trying every length for every `*`. */
function naiveSegment(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  if (pattern[0] !== '*')
    return text[0] === pattern[0] && naiveSegment(pattern.slice(1), text.slice(1))
  for (let taken = 1; taken <= text.length; taken++) {
    if (naiveSegment(pattern.slice(1), text.slice(taken))) return true
  }
  return false
}

/** Whether segments fit: by trying every number of them for every `**`. */
function naive(pattern: readonly string[], segments: readonly string[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return segments.length === 0
  if (first !== '**') {
    return (
      segments.length > 0 && naiveSegment(first, segments[0]!) && naive(rest, segments.slice(1))
    )
  }
  for (let taken = 0; taken <= segments.length; taken++) {
    if (naive(rest, segments.slice(taken))) return true
  }
  return false
}

const letters = fc.constantFrom('a', 'b', '*')
const patternSegment = fc.oneof(
  fc.constant('**'),
  // Two stars in a row within a segment mean one `*` for another: the configuration has only `**` alone.
  fc
    .array(letters, { minLength: 1, maxLength: 5 })
    .map((list) => list.join('').replaceAll(/\*+/g, '*')),
)
const pathSegment = fc
  .array(fc.constantFrom('a', 'b'), { maxLength: 5 })
  .map((list) => list.join(''))

await t.test('it agrees with the naive reading', async (t) => {
  let matched = 0
  fc.assert(
    fc.property(
      fc.array(patternSegment, { minLength: 1, maxLength: 5 }),
      fc.array(pathSegment, { minLength: 1, maxLength: 6 }),
      (pattern, segments) => {
        const wanted = naive(pattern, segments)
        if (wanted) matched++
        const text = `/${pattern.join('/')}`
        const path = `/${segments.join('/')}`
        // `/**` alone: the root is a path with one empty segment.
        if (compilePattern(text)(path) !== wanted)
          throw new Error(`${text} on ${path}: not ${wanted}`)
      },
    ),
    { numRuns: 50_000, seed: 5 },
  )
  t.ok(matched > 2000, `${matched} matched`)
})

await t.test('a literal segment stands at its place in every path that matches', async (t) => {
  let stood = 0
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', '*', '**', ''), { minLength: 1, maxLength: 5 }),
      fc.array(fc.constantFrom('a', 'b', ''), { minLength: 1, maxLength: 5 }),
      (pattern, segments) => {
        const text = `/${pattern.join('/')}`
        const path = `/${segments.join('/')}`
        if (!compilePattern(text)(path)) return
        for (const { at, text: literal } of literalSegments(text)) {
          stood++
          if (segments.at(at) !== literal) throw new Error(`${text} on ${path}: ${at} ${literal}`)
        }
      },
    ),
    { numRuns: 20_000, seed: 6 },
  )
  t.ok(stood > 500, `${stood} stood there`)
  t.strictSame(literalSegments('/api/**'), [{ at: 0, text: 'api' }])
  t.strictSame(literalSegments('/a*/b'), [{ at: 1, text: 'b' }])
  t.strictSame(literalSegments('/a/**/b/*/**/c/d'), [
    { at: 0, text: 'a' },
    { at: -2, text: 'c' },
    { at: -1, text: 'd' },
  ])
  t.strictSame(literalSegments('/**'), [])
  t.strictSame(literalSegments('/'), [{ at: 0, text: '' }])
})

/** Pairs that send a backtracking matcher into the woods. */
const hostile: readonly (readonly [pattern: string, path: string])[] = [
  [`/${'**/a/'.repeat(40)}b`, `/${'a/'.repeat(1900)}a`],
  [`/${'**/'.repeat(40)}b`, `/${'a/'.repeat(1900)}a`],
  [`/${'*a'.repeat(40)}b`, `/${'a'.repeat(3900)}`],
  [`/**/${'*a'.repeat(40)}b/**/c`, `/${`${'a'.repeat(90)}/`.repeat(40)}d`],
]

for (const [pattern, path] of hostile) {
  await t.test(`${pattern.slice(0, 20)}… takes no long time on a long path`, async (t) => {
    const matches = compilePattern(pattern)
    const before = process.cpuUsage()
    for (let i = 0; i < 20; i++) t.equal(matches(path), false)
    // Measured: under 3 ms each. A backtracking matcher would not come back at all. Time of others does not count.
    const { user } = process.cpuUsage(before)
    t.ok(user < 2_000_000, `${user} µs of this process`)
  })
}
