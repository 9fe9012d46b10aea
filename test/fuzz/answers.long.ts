/**
 * Answers as servers send them, with bytes changed, for FUZZ_MINUTES (default: 60), read by three parsers. A failure shows
 * the answer; FUZZ_SEED repeats its run.
 */
import { randomInt } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { compare } from '../fixtures/answers.js'
import type { Tally } from '../fixtures/answers.js'
import { change, numbersFrom } from '../fixtures/mutate.js'
import { fuzzMinutes } from '../fixtures/scale.js'

const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 30))

/** The heads and bodies of tracd, gunicorn, waitress, Apache, nginx, Node and uvicorn, shortened. */
const corpus: readonly string[] = [
  'HTTP/1.1 200 Ok\r\nServer: tracd/1.6 Python/3.11\r\nCache-Control: must-revalidate\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: 12\r\nSet-Cookie: trac_session=0a1b; HttpOnly; Path=/trac\r\n\r\n<html></html',
  'HTTP/1.0 304 Not Modified\r\nServer: SimpleHTTP/0.6 Python/2.7\r\nDate: Fri, 27 Nov 2026 08:00:00 GMT\r\n\r\n',
  'HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Fri, 27 Nov 2026 08:00:00 GMT\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nServer: waitress\r\nVia: waitress\r\n\r\nhello',
  'HTTP/1.1 404 Not Found\r\nServer: Apache/2.4.57 (Debian)\r\nContent-Length: 3\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\nETag: "1-2"\r\n\r\nno\n',
  'HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.22.1\r\nConnection: close\r\n\r\n<html>\r\n<head>',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX-Empty:\r\nX-Blank: \t \r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nTrailer: X-T\r\n\r\n3;a=b;c="d e"\r\nabc\r\n00\r\nX-T: 1\r\nX-U:2\r\n\r\n',
  'HTTP/1.1 206\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 02\r\nX-Latin: caf\xe9\r\n\r\nab',
]

t.setTimeout((fuzzMinutes + 5) * 60_000)
await t.test(
  `changed answers from seed ${seed} are read by us as by Node, or refused`,
  async (t) => {
    const below = numbersFrom(seed)
    const tally: Tally = { all: 0, own: 0, stricter: 0 }
    const end = performance.now() + fuzzMinutes * 60_000
    while (performance.now() < end) {
      let text = corpus[below(corpus.length)]!
      for (let changes = below(6); changes > 0; changes--) text = change(text, corpus, below)
      const cuts = Array.from({ length: below(5) }, () => below(text.length + 1))
      try {
        await compare({ text, cuts }, tally)
      } catch (error) {
        t.fail(`${(error as Error).message}\nof ${JSON.stringify({ text, cuts })}`)
        return
      }
    }
    t.comment(`of ${tally.all}: ${tally.own} taken, ${tally.stricter} taken by the others alone`)
    t.ok(tally.own > tally.all / 20, `${tally.own} of ${tally.all} were taken`)
  },
)
