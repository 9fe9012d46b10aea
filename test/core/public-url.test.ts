/** The public address, taken apart. */
import { t } from '../fixtures/tap.js'
import { publicUrl } from '../../src/core/public-url.js'

const parsed: readonly (readonly [
  text: string,
  origin: string,
  host: string,
  base: string,
  secure: boolean,
])[] = [
  ['https://trac.example.edu/trac', 'https://trac.example.edu', 'trac.example.edu', '/trac', true],
  ['https://trac.example.edu', 'https://trac.example.edu', 'trac.example.edu', '', true],
  ['https://trac.example.edu/', 'https://trac.example.edu', 'trac.example.edu', '', true],
  [
    'https://TRAC.example.edu:443/a/b/',
    'https://trac.example.edu',
    'trac.example.edu',
    '/a/b',
    true,
  ],
  ['http://localhost:8000/trac', 'http://localhost:8000', 'localhost:8000', '/trac', false],
  ['https://[FD00:0::1]:8443/x', 'https://[fd00::1]:8443', '[fd00::1]:8443', '/x', true],
]
await t.test('each part is found', async (t) => {
  for (const [text, origin, host, base, secure] of parsed) {
    const { hostname } = new URL(text)
    const wanted = { url: origin + base, origin, host, hostname, base, secure }
    t.strictSame(publicUrl.parse(text), wanted, text)
  }
})

await t.test('a mistake is answered with what to write', async (t) => {
  const mistakes: readonly (readonly [string, RegExp])[] = [
    ['https://trac.example.edu/?a', /without query/],
    ['https://trac.example.edu/#a', /fragment/],
    ['https://me@trac.example.edu/', /without user name/],
    ['https://trac.example.edu/a/../b', /plain segments/],
    ['https://trac.example.edu/a%20b', /plain segments/],
    ['https://trac.exämple.edu/trac', /trac\.xn--exmple-cua\.edu/],
  ]
  for (const [text, wanted] of mistakes) {
    t.equal(publicUrl.parse(text), undefined, text)
    t.match(publicUrl.hint(text), wanted, text)
  }
})

await t.test('a name that only claims to be Punycode is a host where Node says so', async (t) => {
  // Node 20 and 22 refuse it, 24 takes it.
  const text = 'https://xn--a.example.edu'
  t.equal(publicUrl.parse(text) !== undefined, URL.canParse(text))
})
