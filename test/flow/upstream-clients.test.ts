/** Both clients that read answers of upstreams, our own and undici's: nothing that comes on one connection is read as another answer. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { t } from '../fixtures/tap.js'
import type { Overlay } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { Wire, answerText, answering, ask, codeOf, requestText } from '../fixtures/wire.js'
import type { Arrived } from '../fixtures/wire.js'

type Client = 'own' | 'undici'
const clients: readonly Client[] = ['own', 'undici']

const overlayOf = (client: Client): Overlay => ({
  routes: [{ name: 'all', path: '/**', access: 'public' }],
  upstreams: { trac: { client, timeouts: { firstByte: '1s', idle: '1s' } } },
})

const front = (t: Test, client: Client, answer: (arrived: Arrived) => void) =>
  stage(t, { upstream: 'raw', answer, overlay: overlayOf(client) })

const page = answerText('page')
const poison = answerText('POISON')

/** What an upstream says to the first request, which is answered so; the next one must get a page. */
const poisons: readonly (readonly [
  what: string,
  line: string,
  bytes: string,
  status: number,
  body: string,
])[] = [
  ['a second answer behind the first', 'GET', page + poison, 200, 'page'],
  ['a byte behind its answer', 'GET', `${page}X`, 200, 'page'],
  ['a body for HEAD', 'HEAD', poison, 200, ''],
  [
    'an answer as the body for HEAD',
    'HEAD',
    `HTTP/1.1 200 OK\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`,
    200,
    '',
  ],
  [
    'a body behind 204',
    'GET',
    `HTTP/1.1 204 No Content\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`,
    204,
    '',
  ],
  [
    'a body behind 304',
    'GET',
    `HTTP/1.1 304 Not Modified\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`,
    304,
    '',
  ],
  [
    'more than its length',
    'GET',
    `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage${poison}`,
    200,
    'page',
  ],
  [
    'bytes behind its last chunk',
    'GET',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\npage\r\n0\r\nX-T: 1\r\n\r\n${poison}`,
    200,
    'page',
  ],
]

for (const client of clients) {
  for (const [what, method, bytes, status, body] of poisons) {
    await t.test(`${client}: an upstream that sends ${what} poisons nobody`, async (t) => {
      let first = true
      const { gateway } = await front(
        t,
        client,
        answering(() => {
          const said = first ? bytes : page
          first = false
          return said
        }),
      )
      const answer = await ask(gateway, `${method} /trac/wiki`)
      t.strictSame([answer.status, answer.body], [status, body])
      for (let i = 0; i < 2; i++) {
        const next = await ask(gateway, 'GET /trac/wiki')
        t.strictSame([next.status, next.body], [200, 'page'])
      }
    })
  }

  await t.test(
    `${client}: bytes on an idle connection end it, and are nobody's answer`,
    async (t) => {
      const { gateway, upstream } = await front(
        t,
        client,
        answering(() => page),
      )
      t.equal((await ask(gateway, 'GET /trac/wiki')).body, 'page')
      const { socket } = upstream.connections[0]!
      socket.write(poison)
      await until(() => socket.destroyed, 'the gateway closed it')
      t.equal((await ask(gateway, 'GET /trac/wiki')).body, 'page')
      t.equal(upstream.connections.length, 2)
    },
  )

  await t.test(`${client}: one connection carries one GET after another`, async (t) => {
    const { gateway, upstream } = await front(
      t,
      client,
      answering(() => page),
    )
    for (let i = 0; i < 5; i++) t.equal((await ask(gateway, 'GET /trac/wiki')).body, 'page')
    t.equal(upstream.connections.length, 1)
    t.equal(upstream.connections[0]?.requests, 5)
  })

  await t.test(`${client}: bytes of latin1 pass as they are, both ways`, async (t) => {
    let head = ''
    const { gateway } = await front(
      t,
      client,
      answering((text) => {
        head = text
        return answerText('caf\xe9', ['X-A: caf\xe9'])
      }),
    )
    const answer = await ask(gateway, 'GET /trac/wiki', ['X-B: caf\xe9\x80'])
    t.strictSame([answer.header('x-a'), answer.body], ['caf\xe9', 'caf\xe9'])
    t.match(head, /\r\nX-B: caf\xe9\x80(?:\r\n|$)/)
  })

  await t.test(`${client}: a GET whose kept connection had ended is sent once more`, async (t) => {
    let hangUp = false
    const { gateway, upstream } = await front(t, client, (arrived) => {
      if (hangUp && arrived.requests > 0) arrived.socket.destroy()
      else answering(() => page)(arrived)
    })
    await ask(gateway, 'GET /trac/wiki')
    hangUp = true
    t.equal((await ask(gateway, 'GET /trac/wiki')).body, 'page')
    t.equal(upstream.connections.length, 2)
  })

  await t.test(`${client}: one that breaks off is cut, one that is slow is 504`, async (t) => {
    let bytes = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin'
    const { gateway } = await front(t, client, ({ socket, text }) => {
      if (!text.endsWith('\r\n\r\n')) return
      if (bytes === 'HTTP/1.1 2') socket.write(bytes)
      else socket.end(bytes)
    })
    const cut = await ask(gateway, 'GET /trac/wiki')
    t.strictSame([cut.status, cut.body, cut.complete], [200, 'begin', false])
    bytes = 'HTTP/1.1 2'
    const slow = await ask(gateway, 'GET /trac/wiki')
    t.strictSame([slow.status, codeOf(slow)], [504, 'ERR_UPSTREAM_TIMEOUT'])
  })

  await t.test(`${client}: reaches a Unix socket, with bodies and without`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const path = join(folder, 'trac.sock')
    const server = createServer((request, response) => {
      response.setHeader('X-Method', request.method ?? '')
      request.pipe(response)
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    const { gateway } = await stage(t, {
      upstream: { url: `unix:${path}` },
      overlay: overlayOf(client),
    })
    for (let i = 0; i < 2; i++) {
      t.equal((await ask(gateway, 'GET /trac/wiki')).header('x-method'), 'GET')
    }
    const answer = await ask(gateway, 'POST /trac/wiki/Page', ['Content-Length: 5'], 'hello')
    t.strictSame([answer.status, answer.body], [200, 'hello'])
  })
}

await t.test(
  'time limits of our own client are those of the configuration, by its timers',
  async (t) => {
    const timers = createTimers()
    let bytes = ''
    const { gateway, upstream } = await stage(t, {
      upstream: 'raw',
      answer: ({ socket, text }) => {
        if (text.endsWith('\r\n\r\n')) socket.write(bytes)
      },
      timers,
      overlay: {
        routes: [{ name: 'all', path: '/**', access: 'public' }],
        upstreams: { trac: { timeouts: { firstByte: '20s', idle: '5s' } } },
      },
    })
    const arrived = (count: number) =>
      until(() => upstream.connections.length === count, 'it arrived')
    const ends = (index: number) => upstream.connections[index]!.socket.destroyed

    const waits = new Wire(gateway.port)
    waits.send(requestText(gateway, 'GET /trac/wiki'))
    await arrived(1)
    timers.advance(19_000)
    t.notOk(waits.text)
    timers.advance(2000)
    t.equal((await waits.answer())?.status, 504, 'no head')

    bytes = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin'
    const stalls = new Wire(gateway.port)
    stalls.send(requestText(gateway, 'GET /trac/wiki'))
    await stalls.until(() => stalls.text.endsWith('begin'))
    timers.advance(4000)
    upstream.connections[1]!.socket.write('more')
    await stalls.until(() => stalls.text.endsWith('more'))
    timers.advance(4000)
    t.notOk(stalls.ended, 'each piece begins it anew')
    timers.advance(2000)
    await stalls.end()
    t.notOk((await stalls.answer())?.complete)

    bytes = page
    t.equal((await ask(gateway, 'GET /trac/wiki')).body, 'page')
    t.equal(upstream.connections.length, 3)
    timers.advance(9000)
    t.notOk(ends(2), 'it rests')
    timers.advance(2000)
    await until(() => ends(2), 'and is closed after ten seconds')
  },
)

/** An upstream that answers when it is told to, and names its server. */
const heldFront = async (t: Test, server: string) => {
  const waiting: (() => void)[] = []
  const named = page.replace('\r\n', `\r\nServer: ${server}\r\n`)
  const { gateway, upstream } = await front(t, 'own', ({ socket }) => {
    waiting.push(() => socket.write(named))
  })
  /** So many at the same time, answered when all have come. */
  const together = async (count: number) => {
    const answers = Array.from({ length: count }, () => ask(gateway, 'GET /trac/wiki'))
    await until(() => waiting.length === count, `${count} have come`)
    for (const answer of waiting.splice(0)) answer()
    for (const { status } of await Promise.all(answers)) t.equal(status, 200)
  }
  return { together, opened: () => upstream.connections.length }
}

await t.test('tracd gets a fresh connection for each GET, as long as few are in use', async (t) => {
  const { together, opened } = await heldFront(t, 'tracd/1.6 Python/3.11.2')
  for (let i = 0; i < 3; i++) await together(1)
  t.equal(opened(), 3)
  await together(10)
  const busy = opened()
  await together(10)
  t.ok(opened() - busy < 6, `${opened() - busy} of 10 fresh ones where many are in use`)
})

await t.test('another server’s connection is kept', async (t) => {
  const { together, opened } = await heldFront(t, 'gunicorn')
  for (let i = 0; i < 3; i++) await together(1)
  t.equal(opened(), 1)
})
