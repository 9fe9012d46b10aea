/** Where one message ends and the next begins: towards the upstream one reading only, towards the client a clean connection. */
import { t } from '../fixtures/tap.js'
import { startAttacked } from '../fixtures/attacked.js'
import type { Overlay } from '../fixtures/gateway.js'
import {
  Wire,
  answerText,
  answering,
  ask,
  codeOf,
  requestText,
  sendBytes,
  splitAnswers,
} from '../fixtures/wire.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'

const overlay: Overlay = {
  server: { limits: { body: '3MiB' } },
  routes: [
    { name: 'small', path: '/small', access: 'public', bodyLimit: '100B' },
    { name: 'shut', path: '/shut', access: 'deny' },
    { name: 'all', path: '/all/**', access: 'public' },
  ],
}
const heads: string[] = []
const { upstream: raw, gateway } = await stage(t, {
  upstream: 'raw',
  answer: answering((head) => {
    heads.push(head)
    return answerText(head.startsWith('HEAD') ? '' : 'page')
  }),
  overlay,
})
const { upstream, gateway: whole } = await stage(t, { upstream: true, overlay })

const field = (head: string, name: string) =>
  head
    .split('\r\n')
    .filter((line) => line.toLowerCase().startsWith(`${name}:`))
    .map((line) => line.slice(name.length + 1).trim())

// These look at the connections of one upstream: one after the other.
await t.test('GETs without a body share a connection to the upstream', async (t) => {
  const before = raw.connections.length
  for (let i = 0; i < 5; i++) t.equal((await ask(gateway, 'GET /trac/all/x')).status, 200)
  t.ok(raw.connections.length - before <= 1)
  t.strictSame(field(heads.at(-1)!, 'content-length'), [])
  t.strictSame(field(heads.at(-1)!, 'transfer-encoding'), [])
  t.not(field(heads.at(-1)!, 'connection').join(), 'close')
})

const fresh: readonly (readonly [
  line: string,
  headers: readonly string[],
  body: string,
  length: string[],
])[] = [
  ['HEAD /trac/all/x', [], '', []],
  ['POST /trac/all/x', [], '', ['0']],
  ['POST /trac/all/x', ['Content-Length: 0'], '', ['0']],
  ['POST /trac/all/x', ['Content-Length: 5'], 'hello', ['5']],
  ['PUT /trac/all/x', ['Content-Length: 5'], 'hello', ['5']],
  ['DELETE /trac/all/x', ['Content-Length: 5'], 'hello', ['5']],
  ['PATCH /trac/all/x', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n', ['5']],
  ['POST /trac/all/x', ['Transfer-Encoding: chunked'], '0\r\n\r\n', ['0']],
  [
    'PROPFIND /trac/all/x',
    ['Transfer-Encoding: Chunked'],
    '2\r\nab\r\n0\r\nX-Trac-User: evil\r\n\r\n',
    ['2'],
  ],
]
for (const [line, headers, body, length] of fresh) {
  await t.test(
    `${line} ${headers.join()} goes alone, with one length, no coding and Connection: close`,
    async (t) => {
      const before = raw.connections.length
      for (let i = 0; i < 2; i++) {
        t.equal((await ask(gateway, line, headers, body)).status, 200)
        const head = heads.at(-1)!
        t.strictSame(field(head, 'connection'), ['close'])
        t.strictSame(field(head, 'content-length'), length)
        t.strictSame(field(head, 'transfer-encoding'), [])
        t.notMatch(head, /evil/)
      }
      t.equal(raw.connections.length, before + 2)
    },
  )
}

await t.test('a body of GET and HEAD never reaches the upstream', async (t) => {
  for (const line of ['GET /trac/all/x', 'HEAD /trac/all/x']) {
    for (const [headers, body] of [
      [['Content-Length: 5'], 'hello'],
      [['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
    ] as const) {
      const answer = await ask(gateway, line, headers, body)
      t.equal(answer.status, 200)
      t.strictSame(field(heads.at(-1)!, 'content-length'), [])
      t.ok(raw.connections.every(({ text }) => !text.includes('hello')))
    }
  }
})

await t.test('bytes after the end of an answer end the connection and reach nobody', async (t) => {
  const { upstream: chatty, gateway: front } = await stage(t, {
    upstream: 'raw',
    answer: answering(() => answerText('page') + answerText('SMUGGLED')),
    overlay,
  })
  for (let i = 0; i < 10; i++) {
    const answer = await ask(front, 'GET /trac/all/x')
    t.notMatch(answer.body, /SMUGGLED/)
    if (answer.status === 200) t.equal(answer.body, 'page')
  }
  t.ok(chatty.connections.length >= 10, 'no connection served two requests')
})

await t.test('bytes on an idle connection end it', async (t) => {
  const { gateway: front } = await stage(t, {
    upstream: 'raw',
    answer: (arrived) => {
      answering(() => answerText('page'))(arrived)
      setImmediate(() => arrived.socket.write(answerText('SMUGGLED')))
    },
    overlay,
  })
  for (let i = 0; i < 20; i++) {
    const answer = await ask(front, 'GET /trac/all/x')
    t.notMatch(answer.body, /SMUGGLED/)
  }
})

/** Requests of which two readings exist; none is forwarded. */
const ambiguous: readonly (readonly [
  what: string,
  headers: readonly string[],
  body: string,
  code?: string,
])[] = [
  ['a length beside chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ['chunks beside a length', ['Transfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n'],
  ['two lengths', ['Content-Length: 5', 'Content-Length: 6'], 'hello'],
  ['the same length twice', ['Content-Length: 5', 'Content-Length: 5'], 'hello'],
  ['a list of lengths', ['Content-Length: 5, 5'], 'hello'],
  ['a length with a sign', ['Content-Length: +5'], 'hello'],
  ['a negative length', ['Content-Length: -5'], 'hello'],
  ['a hexadecimal length', ['Content-Length: 0x5'], 'hello'],
  ['a length with a space within', ['Content-Length: 1 5'], 'hello'],
  ['no digits', ['Content-Length: five'], 'hello'],
  ['an endless length', ['Content-Length: 99999999999999999999'], 'hello'],
  ['an unknown coding', ['Transfer-Encoding: xchunked'], '0\r\n\r\n'],
  ['a coding before chunked', ['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'],
  ['a coding after chunked', ['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'],
  ['chunked twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ['chunked with a parameter', ['Transfer-Encoding: chunked;x=y'], '0\r\n\r\n'],
  ['chunked with a tab', ['Transfer-Encoding:\tchunked\v'], '0\r\n\r\n', 'ERR_HEADER_INVALID'],
  ['a space before the colon', ['Transfer-Encoding : chunked'], '0\r\n\r\n', 'ERR_HEADER_INVALID'],
  ['a folded coding', ['Transfer-Encoding:\r\n chunked'], '0\r\n\r\n', 'ERR_HEADER_INVALID'],
  ['a quoted coding', ['Transfer-Encoding: "chunked"'], '0\r\n\r\n'],
  ['identity', ['Transfer-Encoding: identity', 'Content-Length: 5'], 'hello'],
]
for (const [what, headers, body, code = 'ERR_FRAMING_AMBIGUOUS'] of ambiguous) {
  await t.test(
    `a request with ${what} is 400, is not forwarded and ends the connection`,
    async (t) => {
      const before = heads.length
      const hidden = 'GET /trac/all/hidden HTTP/1.1\r\nHost: x\r\n\r\n'
      const answers = await sendBytes(
        gateway.port,
        requestText(
          gateway,
          'POST /trac/all/x',
          [...headers, 'Connection: keep-alive'],
          body + hidden,
        ),
        ['POST'],
      )
      t.equal(answers[0]?.status, 400)
      t.equal(codeOf(answers[0]!), code)
      t.ok(
        answers.every((answer) => answer.status === 400),
        'what stood behind it was not answered',
      )
      t.equal(heads.length, before)
    },
  )
}

/** Headers that are refused before anything else of the request is known. */
const refusedHeaders: readonly (readonly [header: string, code: string])[] = [
  ['Expect: everything', 'ERR_HEADER_INVALID'],
  ['Expect: 100-continue, everything', 'ERR_HEADER_INVALID'],
  ['Expect:', 'ERR_HEADER_INVALID'],
  ['Origin: x\r\nOrigin: x', 'ERR_HEADER_REPEATED'],
]
for (const [header, code] of refusedHeaders) {
  await t.test(`${JSON.stringify(header)} is 400 in our words, with a request id`, async (t) => {
    const before = heads.length
    const answer = await ask(gateway, 'POST /trac/all/x', [header, 'Content-Length: 0'])
    t.equal(answer.status, 400)
    const { code: told, request_id: id } = JSON.parse(answer.body) as Record<string, string>
    t.equal(told, code)
    t.match(id, /^[0-9a-f]{32}$/)
    t.equal(answer.header('x-request-id'), id)
    const line = gateway.lines.find(({ request_id }) => request_id === id)
    t.match(line, { status: 400, code, traceparent: /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/ })
    t.equal(heads.length, before)
  })
}

/** Chunks that are none. */
const badChunks = [
  'zz\r\nhello\r\n0\r\n\r\n',
  '-1\r\nhello\r\n',
  '5\nhello\n0\n\n',
  '5\r\nhelloX\r\n0\r\n\r\n',
  '5;a=\0\r\nhello\r\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  'fffffffffffffffff\r\nhello',
  '5 \r\nhello\r\n0\r\n\r\n',
  '0\r\nbad trailer\r\n\r\n',
]
for (const body of badChunks) {
  await t.test(`the chunks ${JSON.stringify(body)} are not forwarded`, async (t) => {
    const before = heads.length
    const answers = await sendBytes(
      gateway.port,
      requestText(
        gateway,
        'POST /trac/all/x',
        ['Transfer-Encoding: chunked', 'Connection: keep-alive'],
        `${body}GET /trac/all/h HTTP/1.1\r\nHost: x\r\n\r\n`,
      ),
      ['POST'],
    )
    t.ok(
      answers.every(({ status }) => status === 400),
      answers.map(({ status }) => status).join(),
    )
    t.equal(heads.length, before)
  })
}

await t.test('pipelined requests are answered in their order, each as itself', async (t) => {
  const paths = ['a', 'b', 'c', 'd']
  const last = (path: string) => (path === 'd' ? 'close' : 'keep-alive')
  const bytes = paths
    .map((path) => requestText(whole, `GET /trac/all/${path}`, [`Connection: ${last(path)}`]))
    .join('')
  const answers = await sendBytes(whole.port, bytes)
  t.strictSame(
    answers.map(({ body }) => (JSON.parse(body) as { url: string }).url),
    paths.map((path) => `/trac/all/${path}`),
  )
})

/** Refused requests with a body: what the client sends next on that connection is answered right, or the connection ends. */
const refusedWithBody: readonly (readonly [
  what: string,
  line: string,
  headers: readonly string[],
  body: string,
  status: number,
])[] = [
  ['403, small body', 'POST /trac/shut', ['Content-Length: 5'], 'hello', 403],
  ['404, small body', 'POST /trac/auth/nowhere', ['Content-Length: 5'], 'hello', 404],
  [
    '405, a body that looks like a request',
    'PUT /trac/wiki',
    ['Content-Length: 46'],
    'GET /trac/all/hidden HTTP/1.1\r\nHost: hidden\r\n\r\n',
    405,
  ],
  ['413, announced', 'POST /trac/small', ['Content-Length: 101'], 'x'.repeat(101), 413],
  [
    '413, in chunks',
    'POST /trac/small',
    ['Transfer-Encoding: chunked'],
    `80\r\n${'x'.repeat(128)}\r\n0\r\n\r\n`,
    413,
  ],
  [
    '404, chunks',
    'POST /trac/auth/nowhere',
    ['Transfer-Encoding: chunked'],
    '5\r\nhello\r\n0\r\n\r\n',
    404,
  ],
  ['403, 1 MiB', 'POST /trac/shut', ['Content-Length: 1048576'], 'x'.repeat(1_048_576), 403],
  ['401, by an own endpoint', 'POST /trac/auth/session', ['Content-Length: 5'], 'hello', 405],
  ['400, bad target', 'POST /trac/%zz', ['Content-Length: 5'], 'hello', 400],
  [
    'GET with a body',
    'GET /trac/all/x',
    ['Content-Length: 46'],
    'GET /trac/all/hidden HTTP/1.1\r\nHost: hidden\r\n\r\n',
    200,
  ],
]
for (const [what, line, headers, body, status] of refusedWithBody) {
  await t.test(`after ${what} the connection is clean or closed`, async (t) => {
    const wire = new Wire(whole.port)
    wire.send(requestText(whole, line, [...headers, 'Connection: keep-alive'], body))
    const first = await wire.answer(line.split(' ', 1)[0])
    t.equal(first?.status, status)
    wire.send(requestText(whole, 'GET /trac/all/next'))
    const second = await wire.answer()
    if (second === undefined) t.equal(first?.header('connection'), 'close', 'the end was announced')
    else t.match(second.body, '"url":"/trac/all/next"')
    await wire.end()
    t.notOk(upstream.received.some(({ url }) => url.includes('hidden')))
  })
}

await t.test(
  'a client that waits for 100 is told to go on after the checks, not before',
  async (t) => {
    const wire = new Wire(whole.port)
    const expecting = ['Content-Length: 5', 'Expect: 100-continue', 'Connection: keep-alive']
    wire.send(requestText(whole, 'POST /trac/all/x', expecting))
    await wire.until(() => wire.text.includes('\r\n\r\n'))
    t.match(wire.text, /^HTTP\/1\.1 100 /)
    wire.send('hello')
    t.equal((await wire.answer('POST'))?.status, 200)
    t.equal(upstream.received.at(-1)?.body.toString(), 'hello')
    t.notOk(upstream.received.at(-1)?.rawHeaders.some((name) => name.toLowerCase() === 'expect'))
    wire.destroy()
  },
)

for (const [path, status] of [
  ['/shut', 403],
  ['/auth/nowhere', 404],
  ['/small', 413],
  ['/newticket', 401],
] as const) {
  await t.test(
    `a client that waits for 100 at ${path} gets ${status} and the connection ends`,
    async (t) => {
      const wire = new Wire(whole.port)
      wire.send(
        requestText(whole, `POST /trac${path}`, [
          'Content-Length: 500',
          'Expect: 100-continue',
          'Connection: keep-alive',
        ]),
      )
      const answer = await wire.answer('POST')
      t.equal(answer?.status, status)
      t.equal(answer?.header('connection'), 'close')
      await wire.end()
      t.notMatch(wire.text, /100 Continue/)
    },
  )
}

await t.test('HTTP/1.0 gets no interim answer and no chunks', async (t) => {
  const text = (line: string, more: string, body = '') =>
    `${line} HTTP/1.0\r\nHost: localhost:${whole.port}\r\n${more}\r\n${body}`
  const [answer] = await sendBytes(
    whole.port,
    text('POST /trac/all/x', 'Content-Length: 5\r\nExpect: 100-continue\r\n', 'hello'),
  )
  t.equal(answer?.status, 200)
  t.equal(answer?.header('transfer-encoding'), '')
  const [bare] = await sendBytes(whole.port, 'GET /trac/all/x HTTP/1.0\r\n\r\n')
  t.equal(bare?.status, 421)
  const [hostless] = await sendBytes(
    whole.port,
    'GET /trac/all/x HTTP/1.1\r\nConnection: close\r\n\r\n',
  )
  t.equal(hostless?.status, 400)
})

for (const line of [
  'CONNECT /trac/all/x',
  'CONNECT other:443',
  'CONNECT ',
  'OPTIONS *',
  'GET http://other/trac/all/x',
  'GET ?',
  'FOO /trac/all/x',
  'get /trac/all/x',
]) {
  await t.test(`${line} is 400 or 405 and reaches nobody`, async (t) => {
    const before = upstream.received.length
    const [answer] = await sendBytes(whole.port, requestText(whole, line))
    t.ok([400, 405].includes(answer?.status ?? 0), String(answer?.status))
    t.equal(upstream.received.length, before)
  })
}

await t.test('a chunked body over the memory bound goes through a file, whole', async (t) => {
  const size = 2 * 1024 * 1024 + 12_345
  const body = Buffer.alloc(size, 'abcdefghij')
  const wire = new Wire(whole.port)
  wire.send(requestText(whole, 'POST /trac/all/x', ['Transfer-Encoding: chunked']))
  for (let at = 0; at < size; at += 100_000) {
    const part = body.subarray(at, at + 100_000)
    wire.send(`${part.length.toString(16)}\r\n${part.toString('latin1')}\r\n`)
  }
  wire.send('0\r\n\r\n')
  t.equal((await wire.answer('POST'))?.status, 200)
  t.ok(upstream.received.at(-1)?.body.equals(body))
  wire.destroy()
})

await t.test(
  'a chunked body over the route’s limit is 413 and nothing of it is forwarded',
  async (t) => {
    const before = upstream.received.length
    const wire = new Wire(whole.port)
    wire.send(requestText(whole, 'POST /trac/all/x', ['Transfer-Encoding: chunked']))
    const part = `${(65_536).toString(16)}\r\n${'x'.repeat(65_536)}\r\n`
    for (let i = 0; i < 50; i++) wire.send(part)
    const answer = await wire.answer('POST')
    t.equal(answer?.status, 413)
    t.equal(codeOf(answer!), 'ERR_BODY_TOO_LARGE')
    await wire.end()
    t.equal(upstream.received.length, before)
  },
)

/** What may come behind a request that said `Connection: close`: nobody reads it. */
const behind: readonly (readonly [what: string, bytes: string])[] = [
  ['another request', 'GET /trac/all/hidden HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['nonsense', 'nonsense'],
  ['a megabyte', 'x'.repeat(1024 * 1024)],
]
for (const [what, bytes] of behind) {
  await t.test(
    `Connection: close with ${what} behind it gets its answer, and the end`,
    async (t) => {
      let answerNow: (() => void) | undefined
      const { upstream: slow, gateway: front } = await stage(t, {
        upstream: 'raw',
        answer: ({ socket }) => {
          answerNow = () => void socket.write(answerText('page'))
        },
        overlay,
      })
      for (const line of ['GET /trac/all/x', 'HEAD /trac/all/x', 'POST /trac/all/x']) {
        const wire = new Wire(front.port)
        const length = line.startsWith('POST') ? ['Content-Length: 4'] : []
        answerNow = undefined
        wire.send(requestText(front, line, length, line.startsWith('POST') ? 'body' : ''))
        await until(() => answerNow !== undefined)
        // Every byte has left this side before the answer is given.
        await new Promise<void>((resolve) => wire.socket.write(bytes, () => resolve()))
        answerNow!()
        const method = line.slice(0, line.indexOf(' '))
        const answer = await wire.answer(method)
        t.match(answer, { status: 200, complete: true }, line)
        t.equal(answer?.header('connection'), 'close')
        t.equal(await wire.end(), '', 'one answer')
      }
      for (const line of [
        'GET /trac/auth/healthz',
        'POST /trac/auth/refresh',
        'GET /trac/newticket',
      ]) {
        const wire = new Wire(front.port)
        wire.send(requestText(front, line) + bytes)
        const answers = splitAnswers(await wire.end())
        t.match(answers, [{ complete: true }], line)
        t.equal(answers.length, 1)
      }
      t.notMatch(slow.connections.map(({ text }) => text).join(), 'hidden')
      const gone = front.lines.filter(({ code }) => code === 'ERR_CLIENT_GONE')
      t.strictSame(gone, [])
    },
  )
}

await t.test('a body for one of our endpoints that stops coming is 408, once', async (t) => {
  const { gateway, provider } = await startAttacked(t, {
    server: { timeouts: { bodyIdle: '1s' } },
  })
  const json = '{"refresh_token":"made-up"}'
  const half = json.slice(0, 9)
  const cases: readonly (readonly [path: string, header: string, begun: string, rest: string])[] = [
    ['/trac/auth/refresh', `Content-Length: ${json.length}`, half, json.slice(9)],
    ['/trac/auth/refresh', `Content-Length: ${json.length}`, '', json],
    ['/trac/auth/refresh', 'Transfer-Encoding: chunked', `9\r\n${half}\r\n`, '0\r\n\r\n'],
    ['/trac/auth/backchannel-logout', 'Content-Length: 30', 'logout_token=', 'x'.repeat(17)],
    ['/trac/auth/logout', 'Content-Length: 3', 'a', '=b'],
  ]
  for (const [path, header, begun, rest] of cases) {
    const before = gateway.lines.length
    const asked = provider.counts.token
    const wire = new Wire(gateway.port)
    const headers = [header, 'Content-Type: application/json', 'Connection: keep-alive']
    wire.send(requestText(gateway, `POST ${path}`, headers, begun))
    const answer = await wire.answer('POST')
    const what = `${path} ${header}`
    t.equal(answer?.status, 408, what)
    t.match(JSON.parse(answer?.body ?? ''), {
      error: 'request_timeout',
      code: 'ERR_CLIENT_TIMEOUT',
    })
    t.equal(answer?.header('connection'), 'close')
    wire.send(rest)
    t.equal(await wire.end(), '', 'one answer, whatever comes after it')
    const logged = gateway.lines.slice(before).filter(({ msg }) => msg === 'request')
    t.match(logged, [{ path, status: 408, code: 'ERR_CLIENT_TIMEOUT' }], what)
    t.equal(logged.length, 1, 'logged once')
    t.equal(provider.counts.token, asked, 'what comes too late is not acted upon')
  }
  t.equal((await ask(gateway, 'GET /trac/auth/healthz')).status, 200)
})
