/** The browser's script costs a page a question and no byte of it twice. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'

const { port } = await stage(t, { upstream: true })
const script = 'GET /trac/auth/client.js'
const first = await ask({ port }, script)
const etag = first.header('etag')

await t.test('it may be kept, and is asked for again each time', async (t) => {
  t.equal(first.status, 200)
  t.ok(first.body.length > 1000)
  t.equal(first.header('cache-control'), 'no-cache')
  t.match(etag, /^"[\w-]{22}"$/)
})

for (const [what, tag] of [
  ['it', etag],
  ['it as a weak tag, as a proxy that compresses makes of it', `W/${etag}`],
  ['it among others', `"other", ${etag}`],
] as const) {
  await t.test(`who names ${what} is told that nothing changed, without a body`, async (t) => {
    const answer = await ask({ port }, script, [`If-None-Match: ${tag}`])
    t.equal(answer.status, 304)
    t.equal(answer.body, '')
    t.equal(answer.header('etag'), etag)
    t.equal(
      answer.header('content-length'),
      '',
      'a cache would take it for the length of the script',
    )
  })
}

await t.test('who has another one gets the script', async (t) => {
  for (const tag of ['"other"', '']) {
    const answer = await ask({ port }, script, [`If-None-Match: ${tag}`])
    t.equal(answer.body, first.body)
  }
})
