/** Where somebody may be sent after sign-in: below our own base path, or nowhere. */
import { array, assert, constantFrom, property } from 'fast-check'
import { t } from '../fixtures/tap.js'
import { readReferer, readReturnTo } from '../../src/sign-in/return-to.js'

const origin = 'https://trac.example.edu'

await t.test('keeps path, query and fragment of a page below the base path', (t) => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ['/trac', '/trac', '/trac'],
    ['/trac/', '/trac', '/trac/'],
    ['/trac/ticket/42?x=1&y=%2F', '/trac', '/trac/ticket/42?x=1&y=%2F'],
    ['/trac/wiki/%C3%84', '/trac', '/trac/wiki/%C3%84'],
    ['/trac/%77iki', '/trac', '/trac/wiki'],
    ['/trac/wiki?next=//evil.example', '/trac', '/trac/wiki?next=//evil.example'],
    ['/', '', '/'],
    ['/wiki', '', '/wiki'],
    ['/trac/authors', '/trac', '/trac/authors'],
    ['/trac/login2', '/trac', '/trac/login2'],
    [`/trac/${'x'.repeat(1018)}`, '/trac', `/trac/${'x'.repeat(1018)}`],
    [`/trac/${'x'.repeat(1019)}`, '/trac', undefined],
    ['', '/trac', undefined],
    ['/', '/trac', undefined],
    ['/tracker', '/trac', undefined],
    ['/TRAC/wiki', '/trac', undefined],
    ['/other', '/trac', undefined],
    ['trac/wiki', '/trac', undefined],
    ['?x=1', '/trac', undefined],
    ['/trac/wiki#top', '/trac', '/trac/wiki#top'],
    ['/trac/ticket/42?a=b%23c#comment:3', '/trac', '/trac/ticket/42?a=b%23c#comment:3'],
    ['/trac/wiki#', '/trac', '/trac/wiki#'],
    ['/trac/wiki#a#b?c', '/trac', '/trac/wiki#a#b?c'],
    ['/trac/%77iki#%77', '/trac', '/trac/wiki#%77'],
    ['/trac/wiki#a b', '/trac', undefined],
    ['/trac/wiki#é', '/trac', undefined],
    ['/trac/wiki#\r\nSet-Cookie: x=y', '/trac', undefined],
    [`/trac/#${'x'.repeat(1017)}`, '/trac', `/trac/#${'x'.repeat(1017)}`],
    [`/trac/#${'x'.repeat(1018)}`, '/trac', undefined],
    [`/trac/${'"'.repeat(330)}#${'x'.repeat(500)}`, '/trac', undefined],
    ['#top', '/trac', undefined],
    ['/trac/auth#x', '/trac', undefined],
    ['/trac/login#x', '/trac', undefined],
    ['/trac/intertrac/?link=http://evil.example', '/trac', undefined],
    ['/trac/intertrac#x', '/trac', undefined],
    ['/trac/auth', '/trac', undefined],
    ['/trac/auth/login?return_to=/trac', '/trac', undefined],
    ['/trac/%61uth/logout', '/trac', undefined],
    ['/trac/login', '/trac', undefined],
    ['/trac/login/', '/trac', undefined],
    ['/trac/logout?x', '/trac', undefined],
    ['/trac/intertrac/?link=http://elsewhere.example', '/trac', undefined],
    ['/trac/milestone/a%5cb', '/trac', '/trac/milestone/a%5Cb'],
    ['/trac/%5C/evil.example', '/trac', undefined],
    ['/trac/../other', '/trac', undefined],
    ['/trac/%2e%2e/other', '/trac', undefined],
    ['/trac/wiki\r\nLocation: x', '/trac', undefined],
  ]
  for (const [value, base, expected] of cases) {
    t.equal(readReturnTo(value, base), expected, value.slice(0, 40))
  }
  t.end()
})

await t.test('a Referer counts only if it is ours', (t) => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    [`${origin}/trac/wiki?x=1`, '/trac/wiki?x=1'],
    [`${origin}/trac/auth/login`, undefined],
    [`${origin}/other`, undefined],
    [origin, undefined],
    [`${origin}.evil.example/trac/wiki`, undefined],
    [`${origin}@evil.example/trac/wiki`, undefined],
    [`${origin}:8443/trac/wiki`, undefined],
    ['http://trac.example.edu/trac/wiki', undefined],
    ['', undefined],
  ]
  for (const [value, expected] of cases) t.equal(readReferer(value, origin, '/trac'), expected)
  t.end()
})

await t.test('whatever is let through stays on our origin, in any browser’s reading', (t) => {
  const piece = constantFrom(
    '/',
    '\\',
    '//',
    '.',
    '..',
    '%2f',
    '%5C',
    '%2e',
    '%09',
    '%0a',
    '%00',
    '\t',
    '\n',
    ' ',
    '@',
    ':',
    '?',
    '#',
    'evil.example',
    'http:',
    'https:',
    'javascript:',
    'trac',
    '/trac',
    '/trac/',
    'auth',
    'login',
    '%61',
    'é',
    ';',
    '&',
    '=',
  )
  const text = array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
  assert(
    property(text, constantFrom('', '/trac'), (value, base) => {
      const result = readReturnTo(value, base)
      if (result === undefined) return
      const url = new URL(result, origin)
      if (url.origin !== origin) throw new Error(`${result} leaves`)
      if (url.pathname !== base && !url.pathname.startsWith(`${base}/`)) {
        throw new Error(`${result} is not below ${base}`)
      }
      const below = url.pathname.slice(base.length)
      if (/^\/(?:auth|login|logout|intertrac)(?:\/|$)/.test(below))
        throw new Error(`${result} is our own`)
      if (readReturnTo(result, base) !== result) throw new Error(`${result} is not stable`)
    }),
    { numRuns: 50_000 },
  )
  t.pass('fifty thousand texts')
  t.end()
})
