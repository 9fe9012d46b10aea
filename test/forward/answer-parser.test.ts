/** RFC 9112 as a client of GETs reads it, row by row: what is taken, how it ends, and what is refused; whole and byte by byte. */
import { t } from '../fixtures/tap.js'
import type { GatewayError } from '../../src/core/errors.js'
import { AnswerParser } from '../../src/forward/answer-parser.js'

/** What the parser made of bytes: all that it told, and how it stands afterwards. */
function read(pieces: readonly string[]): string {
  const told: string[] = []
  let rest = 0
  let body = ''
  const parser = new AnswerParser(
    {
      onAnswer(head) {
        told.push(`${head.status} ${head.headers.join('|')}`)
        ;({ rest } = head)
      },
      onPiece: (bytes) => (body += bytes.toString('latin1')),
    },
    10_000,
  )
  parser.begin()
  let unread = ''
  try {
    for (const piece of pieces) {
      if (!parser.isReading) unread += piece
      else unread += piece.slice(parser.read(Buffer.from(piece, 'latin1')))
    }
  } catch (error) {
    const { code, details } = error as GatewayError
    const cause = (details.cause as Error).message
    return code === 'ERR_UPSTREAM_ANSWER' ? `refused: ${cause}` : `${code} ${cause}`
  }
  if (parser.isReading) told.push(parser.finish() ? 'ended by the connection' : 'cut off')
  else told.push(rest === 0 ? 'closes' : `rests ${rest}`)
  if (body !== '') told.push(`body ${body}`)
  if (unread !== '') told.push(`unread ${unread}`)
  return told.join('; ')
}

const head = (...lines: readonly string[]): string =>
  ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n')
const chunks = (text: string): string => head('Transfer-Encoding: chunked') + text
const five = 'Content-Length: 5'

/** Section, what it is, bytes, and what is read; `refused` stands for any cause. */
type Row = readonly [section: string, what: string, bytes: string, wanted: string]

const rows: readonly Row[] = [
  ['2.1', 'an answer without fields', `${head()}x`, '200 ; ended by the connection; body x'],
  ['2.2', 'lines that end in LF alone', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', 'refused'],
  [
    '2.2',
    'one line that ends in LF alone',
    `HTTP/1.1 200 OK\nX: 1\r\n${five}\r\n\r\nhello`,
    'refused',
  ],
  ['2.2', 'a CR alone within a value', `${head('X: a\rb', five)}hello`, 'refused'],
  ['2.2', 'an empty line before it', `\r\n${head(five)}hello`, 'refused'],
  ['2.2', 'a blank before the first field', `${head(' X: 1', five)}hello`, 'refused'],
  [
    '2.3',
    'HTTP/1.0',
    `HTTP/1.0 200 OK\r\n${five}\r\n\r\nhello`,
    `200 Content-Length|5; closes; body hello`,
  ],
  ...['HTTP/2.0', 'HTTP/0.9', 'HTTP/1.2', 'http/1.1', 'HTTP/1.11', 'ICY'].map((version): Row => [
    '2.3',
    version,
    `${version} 200 OK\r\n${five}\r\n\r\nhello`,
    'refused',
  ]),
  ['4', 'no reason', 'HTTP/1.1 204 \r\n\r\n', '204 ; rests 10000'],
  ['4', 'no blank behind the status', 'HTTP/1.1 204\r\n\r\n', '204 ; rests 10000'],
  ['4', 'a reason in latin1', 'HTTP/1.1 204 caf\xe9\r\n\r\n', '204 ; rests 10000'],
  ['4', 'a reason with a NUL', 'HTTP/1.1 204 a\0b\r\n\r\n', 'refused'],
  ['4', 'two blanks before the status', 'HTTP/1.1  200 OK\r\n\r\n', 'refused'],
  ...['20', '2000', '0200', '099', '2x0', '+20', '-20', ''].map((status): Row => [
    '4',
    `status ${status}`,
    `HTTP/1.1 ${status} OK\r\n\r\n`,
    'refused',
  ]),
  ['5.1', 'a blank before the colon', `${head('X : 1', five)}hello`, 'refused'],
  ['5.1', 'a blank within a name', `${head('X Y: 1', five)}hello`, 'refused'],
  ['5.1', 'a line without colon', `${head('X', five)}hello`, 'refused'],
  ['5.1', 'a line without name', `${head(': x', five)}hello`, 'refused'],
  ...Array.from('()<>@,;\\"/[]?={}\x00\x1f\x7f\x80\xff').map((letter): Row => [
    '5.1',
    `${JSON.stringify(letter)} in a name`,
    head(`X${letter}Y: 1`),
    'refused',
  ]),
  [
    '5.1',
    'every character of a token in a name',
    head("!#$%&'*+-.^_`|~09AZaz: 1", 'Content-Length: 0'),
    "200 !#$%&'*+-.^_`|~09AZaz|1|Content-Length|0; rests 10000",
  ],
  [
    '5.1',
    'blanks at the ends of a value',
    head('X:\t a b \t', 'Content-Length: 0'),
    '200 X|a b|Content-Length|0; rests 10000',
  ],
  [
    '5.1',
    'an empty value',
    head('X:', 'Y: \t ', 'Content-Length: 0'),
    '200 X||Y||Content-Length|0; rests 10000',
  ],
  [
    '5.5',
    'a tab and latin1 in a value',
    head('X: a\tb\xe9\x80', 'Content-Length: 0'),
    '200 X|a\tb\xe9\x80|Content-Length|0; rests 10000',
  ],
  ...Array.from('\x00\x01\x08\x0b\x0c\x1f\x7f').map((letter): Row => [
    '5.5',
    `${JSON.stringify(letter)} in a value`,
    head(`X: a${letter}b`),
    'refused',
  ]),
  ['5.2', 'a folded line', head('X: a', ' b', five), 'refused'],
  ['6.1', 'a tab behind a coding', `${head('Transfer-Encoding: chunked\t')}0\r\n\r\n`, 'refused'],
  ['6.2', 'a tab before a length', `${head('Content-Length:\t5')}hello`, 'refused'],
  ['5.2', 'a folded line with a tab', head('X: a', '\tb', five), 'refused'],
  [
    '6.1',
    'chunks',
    chunks('5\r\nhello\r\n0\r\n\r\n'),
    '200 Transfer-Encoding|chunked; rests 10000; body hello',
  ],
  [
    '6.1',
    'chunks by another case',
    `${head('transfer-encoding: Chunked')}0\r\n\r\n`,
    '200 transfer-encoding|Chunked; rests 10000',
  ],
  ...[
    'gzip',
    'gzip, chunked',
    'chunked, gzip',
    'chunked, chunked',
    'identity',
    'chunked;a=b',
    ',chunked',
    'xchunked',
    '',
  ].map((coding): Row => [
    '6.1',
    `coding ${coding}`,
    `${head(`Transfer-Encoding: ${coding}`)}0\r\n\r\n`,
    'refused',
  ]),
  [
    '6.1',
    'chunks in HTTP/1.0',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'refused',
  ],
  [
    '6.1',
    'the coding twice',
    `${head('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    'refused',
  ],
  [
    '6.3',
    'a length, then chunks',
    `${head('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    'refused',
  ],
  [
    '6.3',
    'chunks, then a length',
    `${head('Transfer-Encoding: chunked', 'Content-Length: 5')}0\r\n\r\n`,
    'refused',
  ],
  ['6.2', 'a length', `${head(five)}hello`, '200 Content-Length|5; rests 10000; body hello'],
  [
    '6.2',
    'a length with zeros before it',
    `${head('Content-Length: 0005')}hello`,
    '200 Content-Length|0005; rests 10000; body hello',
  ],
  ['6.2', 'a length of none', head('Content-Length: 0'), '200 Content-Length|0; rests 10000'],
  ...[
    '5, 5',
    '+5',
    '-5',
    '5.0',
    '0x5',
    '5 5',
    '',
    '5,',
    'five',
    '18446744073709551621',
    '9007199254740993',
  ].map((length): Row => [
    '6.3',
    `length ${length}`,
    `${head(`Content-Length: ${length}`)}hello`,
    'refused',
  ]),
  ['6.3', 'the same length twice', `${head(five, five)}hello`, 'refused'],
  ['6.3', 'two lengths', `${head(five, 'content-length: 6')}hello`, 'refused'],
  [
    '6.3',
    '204 with a length',
    'HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello',
    '204 Content-Length|5; rests 10000; unread hello',
  ],
  [
    '6.3',
    '304 with a length',
    'HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n',
    '304 Content-Length|5; rests 10000',
  ],
  [
    '6.3',
    '304 with chunks',
    'HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n',
    '304 Transfer-Encoding|chunked; rests 10000',
  ],
  [
    '6.3',
    '205 with a length',
    'HTTP/1.1 205 X\r\nContent-Length: 2\r\n\r\nab',
    '205 Content-Length|2; rests 10000; body ab',
  ],
  [
    '6.3',
    'no length',
    `${head('X: 1')}to the end`,
    '200 X|1; ended by the connection; body to the end',
  ],
  [
    '6.3',
    'bytes behind a length',
    `${head(five)}helloHTTP/1.1 200 OK`,
    '200 Content-Length|5; rests 10000; body hello; unread HTTP/1.1 200 OK',
  ],
  [
    '7.1',
    'several chunks',
    chunks('1\r\na\r\n2\r\nbc\r\n0\r\n\r\n'),
    '200 Transfer-Encoding|chunked; rests 10000; body abc',
  ],
  [
    '7.1',
    'sizes with zeros and large letters',
    chunks('00A\r\n0123456789\r\n000\r\n\r\n'),
    '200 Transfer-Encoding|chunked; rests 10000; body 0123456789',
  ],
  ...['g', '0x1', ' 1', '1 ', '-1', '+1', '', '1\t', '000000001', '100000000', '1_0'].map(
    (size): Row => ['7.1', `size ${size}`, chunks(`${size}\r\na\r\n0\r\n\r\n`), 'refused'],
  ),
  ['7.1', 'a size line that ends in LF alone', chunks('1\na\r\n0\r\n\r\n'), 'refused'],
  ['7.1', 'a chunk longer than its size', chunks('1\r\nab\r\n0\r\n\r\n'), 'refused'],
  ['7.1', 'a chunk that ends in LF alone', chunks('1\r\na\n0\r\n\r\n'), 'refused'],
  ['7.1', 'a chunk that ends in CR alone', chunks('1\r\na\r0\r\n\r\n'), 'refused'],
  [
    '7.1',
    'bytes behind the last chunk',
    chunks('0\r\n\r\nX'),
    '200 Transfer-Encoding|chunked; rests 10000; unread X',
  ],
  ...[';a', ';a=b', ';a="b;c d"', ';a=b;c'].map((extension): Row => [
    '7.1.1',
    `extension ${extension}`,
    chunks(`1${extension}\r\na\r\n0${extension}\r\n\r\n`),
    '200 Transfer-Encoding|chunked; rests 10000; body a',
  ]),
  ...[
    ' ;a',
    '; a',
    ';a =b',
    ';a= b',
    ';',
    ';=b',
    ';a=',
    ';a="b',
    ';a=b"',
    ';a="\\""',
    ';a="\0"',
    ';a\n',
  ].map((extension): Row => [
    '7.1.1',
    `extension ${extension}`,
    chunks(`1${extension}\r\na\r\n0\r\n\r\n`),
    'refused',
  ]),
  [
    '7.1.1',
    'an extension longer than 1 KiB',
    chunks(`1;${'a'.repeat(1024)}\r\na\r\n0\r\n\r\n`),
    'refused',
  ],
  [
    '7.1.2',
    'a trailer, which is dropped',
    chunks('0\r\nX: 1\r\nY: 2\r\n\r\n'),
    '200 Transfer-Encoding|chunked; rests 10000',
  ],
  ...['X', 'X : 1', ' X: 1', 'X: \0', ': 1', 'Content-Length: 1', 'transfer-encoding: chunked'].map(
    (line): Row => [
      '7.1.2',
      `trailer ${JSON.stringify(line)}`,
      chunks(`0\r\n${line}\r\n\r\n`),
      'refused',
    ],
  ),
  ['7.1.2', 'a trailer line that ends in LF alone', chunks('0\r\nX: 1\n\r\n'), 'refused'],
  [
    '7.1.2',
    'more than 64 KiB of trailers',
    chunks(`0\r\n${`X: ${'a'.repeat(1000)}\r\n`.repeat(66)}\r\n`),
    'refused',
  ],
  ['8', 'less than its length', `${head(five)}hell`, '200 Content-Length|5; cut off; body hell'],
  [
    '8',
    'chunks without the last one',
    chunks('5\r\nhello\r\n'),
    '200 Transfer-Encoding|chunked; cut off; body hello',
  ],
  ['8', 'half a chunk', chunks('5\r\nhe'), '200 Transfer-Encoding|chunked; cut off; body he'],
  [
    '8',
    'the last chunk without its end',
    chunks('0\r\n'),
    '200 Transfer-Encoding|chunked; cut off',
  ],
  ['8', 'half a head', 'HTTP/1.1 200 OK\r\nX', 'cut off'],
  [
    '9.3',
    'it closes',
    `${head(five, 'Connection: close')}hello`,
    '200 Content-Length|5|Connection|close; closes; body hello',
  ],
  [
    '9.3',
    'it closes, among other options',
    head('Content-Length: 0', 'connection: x, Close'),
    '200 Content-Length|0|connection|x, Close; closes',
  ],
  [
    '9.3',
    'it closes, by the second of two fields',
    head('Content-Length: 0', 'Connection: x', 'Connection: close'),
    '200 Content-Length|0|Connection|x|Connection|close; closes',
  ],
  [
    '9.3',
    'HTTP/1.0 that would keep it',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n',
    '200 Connection|keep-alive|Content-Length|0; closes',
  ],
  [
    '9.3',
    'it keeps it for a while',
    head('Content-Length: 0', 'Keep-Alive: timeout=5'),
    '200 Content-Length|0|Keep-Alive|timeout=5; rests 3000',
  ],
  [
    '9.3',
    'it hardly keeps it',
    head('Content-Length: 0', 'Keep-Alive: timeout=2, max=9'),
    '200 Content-Length|0|Keep-Alive|timeout=2, max=9; closes',
  ],
  [
    '9.3',
    'it keeps it for long',
    head('Content-Length: 0', 'Keep-Alive: timeout=75'),
    '200 Content-Length|0|Keep-Alive|timeout=75; rests 10000',
  ],
  [
    '9110 15.2',
    'interim answers',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nLink: x\r\n\r\n${head(five)}hello`,
    '100 ; 103 Link|x; 200 Content-Length|5; rests 10000; body hello',
  ],
  [
    '9110 15.2',
    'an interim answer with a length',
    `HTTP/1.1 100 X\r\nContent-Length: 0\r\n\r\n${head(five)}hello`,
    'refused',
  ],
  [
    '9110 15.2',
    'an interim answer in HTTP/1.0',
    `HTTP/1.0 100 X\r\n\r\n${head(five)}hello`,
    'refused',
  ],
  [
    '9110 15.2',
    'an interim answer that closes',
    `HTTP/1.1 100 X\r\nConnection: close\r\n\r\n${head(five)}hello`,
    'refused',
  ],
  [
    '9110 15.2',
    'an interim answer with chunks',
    `HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n${head(five)}hello`,
    'refused',
  ],
  ['', 'no HTTP, and no end of a head', 'SSH-2.0-OpenSSH_9.2\r\n', 'refused'],
  ['', 'a head of 64 KiB and more', head(`X: ${'a'.repeat(65_536)}`, five), 'refused'],
  [
    '',
    'a head of 64 KiB and more that does not end',
    `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}`,
    'refused',
  ],
]

for (const [section, what, bytes, wanted] of rows) {
  await t.test(`${section} ${what}`.trim(), async (t) => {
    const short = (text: string) => (wanted === 'refused' ? text.slice(0, 'refused'.length) : text)
    t.equal(short(read([bytes])), wanted)
    // The same whatever the pieces are. A large one is cut into halves, which come to more than it is worth otherwise.
    const step = bytes.length > 2000 ? Math.ceil(bytes.length / 2) : 1
    const pieces = Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) =>
      bytes.slice(i * step, (i + 1) * step),
    )
    t.equal(short(read(pieces)), wanted, 'in pieces')
  })
}

await t.test('a head in pieces of one byte costs as much as its bytes', async (t) => {
  const bytes = head(`X: ${'a'.repeat(60_000)}`, 'Content-Length: 0')
  t.match(read(Array.from(bytes)), /^200 X\|a+\|Content-Length\|0; rests 10000$/)
})

await t.test('one answer after the other is read by the same parser', async (t) => {
  let statuses = ''
  const sink = {
    onAnswer: ({ status }: { status: number }) => (statuses += status),
    onPiece: () => undefined,
  }
  const parser = new AnswerParser(sink, 10_000)
  for (const bytes of [
    chunks('1\r\na\r\n0\r\nX: 1\r\n\r\n'),
    head('Content-Length: 0'),
    'HTTP/1.1 204 X\r\n\r\n',
  ]) {
    t.notOk(parser.isReading)
    t.equal(parser.read(Buffer.from(bytes)), 0, 'nothing is read that was not asked for')
    parser.begin()
    t.equal(parser.read(Buffer.from(bytes)), bytes.length)
  }
  t.equal(statuses, '200200204')
})
