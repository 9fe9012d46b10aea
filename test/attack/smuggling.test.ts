/** Request smuggling to real tracd of both Tracs: a hidden second request with a forged identity never gets an answer. */
import t from 'tap'
import { stage } from '../fixtures/stage.js'
import { both, startFixture } from '../fixtures/tracs.js'
import { Wire, requestText, sendBytes } from '../fixtures/wire.js'

/** What the attacker hides: it would print the forged user in Trac's navigation. */
const hidden = [
  'GET /trac/prefs HTTP/1.1',
  'Host: localhost',
  'X-Trac-User: mallory',
  'X-Trac-Perms: TRAC_ADMIN',
  'Connection: close',
  '',
  '',
].join('\r\n')
const length = hidden.length
const chunked = `${length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`

/** Method, headers and body of the outer request. */
const attempts: readonly (readonly [
  what: string,
  line: string,
  headers: readonly string[],
  body: string,
])[] = [
  ['the body of a GET', 'GET /trac/about', [`Content-Length: ${length}`], hidden],
  ['the body of a HEAD', 'HEAD /trac/about', [`Content-Length: ${length}`], hidden],
  ['chunks of a GET', 'GET /trac/about', ['Transfer-Encoding: chunked'], chunked],
  [
    'a JSON body',
    'POST /trac/prefs',
    [`Content-Length: ${length}`, 'Content-Type: application/json'],
    hidden,
  ],
  [
    'a text body',
    'POST /trac/prefs',
    [`Content-Length: ${length}`, 'Content-Type: text/plain'],
    hidden,
  ],
  ['a body without a type', 'POST /trac/prefs', [`Content-Length: ${length}`], hidden],
  [
    'a form',
    'POST /trac/prefs',
    [`Content-Length: ${length}`, 'Content-Type: application/x-www-form-urlencoded'],
    hidden,
  ],
  ['chunks of a POST', 'POST /trac/prefs', ['Transfer-Encoding: chunked'], chunked],
  [
    'the body of a static file',
    'GET /trac/chrome/common/css/trac.css',
    [`Content-Length: ${length}`],
    hidden,
  ],
  ['the body of a page not found', 'GET /trac/ticket/99999', [`Content-Length: ${length}`], hidden],
  ['a length of zero', 'POST /trac/prefs', ['Content-Length: 0'], hidden],
  ['pipelining', 'GET /trac/about', [], hidden],
  [
    'a length beside chunks',
    'POST /trac/prefs',
    [`Content-Length: ${length + 5}`, 'Transfer-Encoding: chunked'],
    `0\r\n\r\n${hidden}`,
  ],
  [
    'chunks beside a length',
    'POST /trac/prefs',
    ['Transfer-Encoding: chunked', 'Content-Length: 5'],
    `0\r\n\r\n${hidden}`,
  ],
  [
    'an odd coding',
    'POST /trac/prefs',
    ['Transfer-Encoding: xchunked', 'Content-Length: 5'],
    `0\r\n\r\n${hidden}`,
  ],
  [
    'a coding with a space before the colon',
    'POST /trac/prefs',
    ['Transfer-Encoding : chunked', 'Content-Length: 5'],
    `0\r\n\r\n${hidden}`,
  ],
  [
    'a coding after a tab',
    'POST /trac/prefs',
    ['Transfer-Encoding:\tchunked'],
    `0\r\n\r\n${hidden}`,
  ],
  [
    'a coding with an underscore',
    'POST /trac/prefs',
    ['Transfer_Encoding: chunked', 'Content-Length: 5'],
    `0\r\n\r\n${hidden}`,
  ],
  [
    'a length with an underscore',
    'POST /trac/prefs',
    ['Content_Length: 0', `Content-Length: ${length}`],
    hidden,
  ],
  [
    'a folded coding',
    'POST /trac/prefs',
    ['X: y\r\n Transfer-Encoding: chunked', 'Content-Length: 5'],
    `0\r\n\r\n${hidden}`,
  ],
  ['two lengths', 'POST /trac/prefs', ['Content-Length: 0', `Content-Length: ${length}`], hidden],
  ['a bare LF in a value', 'GET /trac/about', [`X: y\n\n${hidden}`], ''],
  ['a bare CR in a value', 'GET /trac/about', [`X: y\r\r${hidden.replaceAll('\r\n', '\r')}`], ''],
  ['CRLF in the target', `GET /trac/about?x=%0d%0a%0d%0a${encodeURIComponent(hidden)}`, [], ''],
  ['CRLF in a cookie', 'GET /trac/about', ['Cookie: a=%0d%0aX-Trac-User: mallory'], ''],
  [
    'a trailer',
    'POST /trac/prefs',
    ['Transfer-Encoding: chunked', 'Trailer: X-Trac-User'],
    '1\r\na\r\n0\r\nX-Trac-User: mallory\r\nX-Trac-Perms: TRAC_ADMIN\r\n\r\n',
  ],
  [
    'a chunk extension',
    'POST /trac/prefs',
    ['Transfer-Encoding: chunked'],
    `1;x="\r\n\r\n${hidden}"\r\na\r\n0\r\n\r\n`,
  ],
  ['a body larger than its length', 'POST /trac/prefs', ['Content-Length: 1'], `a${hidden}`],
  [
    'an Expect that is not waited for',
    'POST /trac/prefs',
    ['Expect: 100-continue', `Content-Length: ${length}`],
    hidden,
  ],
  [
    'an upgrade to h2c',
    'GET /trac/about',
    ['Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__', 'Connection: Upgrade, HTTP2-Settings'],
    hidden,
  ],
]

for (const server of both) {
  await t.test(`no hidden request gets an answer of ${server} as the forged user`, async (t) => {
    const { gateway } = await stage(t, { trac: server })

    // The answer to the next visitor is what a smuggled request would spoil.
    const next = async (what: string) => {
      const [answer] = await sendBytes(gateway.port, requestText(gateway, 'GET /trac/about'))
      t.equal(answer?.status, 200, what)
      t.match(answer?.body, /About Trac|Trac Open Source/i, what)
      t.notMatch(answer?.body, /mallory/, what)
    }
    await next('before')
    for (const [what, line, headers, body] of attempts) {
      const wire = new Wire(gateway.port)
      wire.send(
        requestText(
          gateway,
          line,
          [
            ...headers,
            ...(headers.some((it) => it.startsWith('Connection'))
              ? []
              : ['Connection: keep-alive']),
          ],
          body,
        ),
      )
      await wire.answer(line.split(' ', 1)[0])
      // Whatever the hidden bytes became is answered before this.
      wire.send(requestText(gateway, 'GET /trac/about'))
      const rest = await wire.end()
      t.notMatch(rest, /mallory/, what)
      await next(what)
    }
  })
}

await t.test('tracd itself answers a hidden request', async (t) => {
  // Shows that the test above can fail: the same bytes on one kept connection to tracd itself.
  const fixture = await startFixture(t, 'tracd 1.6', { basePath: '/trac' })
  const outer = `GET /trac/about HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`
  const answers = await sendBytes(fixture.port, outer + hidden)
  t.equal(answers.length, 2, 'tracd answers the hidden request')
})
