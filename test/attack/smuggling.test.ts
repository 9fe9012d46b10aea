/** Request smuggling to real tracd of both Tracs: a hidden second request with a forged identity never gets an answer. */
import { t } from '../fixtures/tap.js'
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
/** No chunks, and then what is hidden. */
const behind = `0\r\n\r\n${hidden}`

const page = 'GET /trac/about'
const form = 'POST /trac/prefs'
const sized = `Content-Length: ${length}`
const five = 'Content-Length: 5'
const inChunks = 'Transfer-Encoding: chunked'

/** The outer request. */
type Attempt = readonly [what: string, line: string, headers: readonly string[], body: string]

const attempts: readonly Attempt[] = [
  ['the body of a GET', page, [sized], hidden],
  ['the body of a HEAD', 'HEAD /trac/about', [sized], hidden],
  ['chunks of a GET', page, [inChunks], chunked],
  ['a JSON body', form, [sized, 'Content-Type: application/json'], hidden],
  ['a text body', form, [sized, 'Content-Type: text/plain'], hidden],
  ['a body without a type', form, [sized], hidden],
  ['a form', form, [sized, 'Content-Type: application/x-www-form-urlencoded'], hidden],
  ['chunks of a POST', form, [inChunks], chunked],
  ['the body of a static file', 'GET /trac/chrome/common/css/trac.css', [sized], hidden],
  ['the body of a page not found', 'GET /trac/ticket/99999', [sized], hidden],
  ['a length of zero', form, ['Content-Length: 0'], hidden],
  ['pipelining', page, [], hidden],
  ['a length beside chunks', form, [`Content-Length: ${length + 5}`, inChunks], behind],
  ['chunks beside a length', form, [inChunks, five], behind],
  ['an odd coding', form, ['Transfer-Encoding: xchunked', five], behind],
  ['a coding with a space before the colon', form, ['Transfer-Encoding : chunked', five], behind],
  ['a coding after a tab', form, ['Transfer-Encoding:\tchunked'], behind],
  ['a coding with an underscore', form, ['Transfer_Encoding: chunked', five], behind],
  ['a length with an underscore', form, ['Content_Length: 0', sized], hidden],
  ['a folded coding', form, ['X: y\r\n Transfer-Encoding: chunked', five], behind],
  ['two lengths', form, ['Content-Length: 0', sized], hidden],
  ['a bare LF in a value', page, [`X: y\n\n${hidden}`], ''],
  ['a bare CR in a value', page, [`X: y\r\r${hidden.replaceAll('\r\n', '\r')}`], ''],
  ['CRLF in the target', `GET /trac/about?x=%0d%0a%0d%0a${encodeURIComponent(hidden)}`, [], ''],
  ['CRLF in a cookie', page, ['Cookie: a=%0d%0aX-Trac-User: mallory'], ''],
  [
    'a trailer',
    form,
    [inChunks, 'Trailer: X-Trac-User'],
    '1\r\na\r\n0\r\nX-Trac-User: mallory\r\nX-Trac-Perms: TRAC_ADMIN\r\n\r\n',
  ],
  ['a chunk extension', form, [inChunks], `1;x="\r\n\r\n${hidden}"\r\na\r\n0\r\n\r\n`],
  ['a body larger than its length', form, ['Content-Length: 1'], `a${hidden}`],
  ['an Expect that is not waited for', form, ['Expect: 100-continue', sized], hidden],
  [
    'an upgrade to h2c',
    page,
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
