/** The spool: memory first, then a file without a name; bounds for one body, one owner and all; room given back whatever happens. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { t } from '../fixtures/tap.js'
import { createSpool } from '../../src/forward/spool.js'

const directory = await mkdtemp(join(tmpdir(), 'trac-gateway-'))
t.teardown(() => rm(directory, { recursive: true, force: true }))
const mebibyte = 1024 * 1024

/** A body of so many bytes that tell where they stood. */
function bodyOf(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff))
}

async function contentOf(body: Buffer | Readable): Promise<Buffer> {
  if (Buffer.isBuffer(body)) return body
  return Buffer.concat((await body.toArray()) as Buffer[])
}

const streamOf = (bytes: Buffer, piece = 60_000) =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / piece) }, (_, i) =>
      bytes.subarray(i * piece, (i + 1) * piece),
    ),
    { objectMode: false },
  )

for (const length of [0, 1, mebibyte - 1, mebibyte, mebibyte + 1, 3 * mebibyte]) {
  await t.test(`${length} bytes come out as they went in, and leave no name`, async (t) => {
    const spool = createSpool({ directory, total: 100 * mebibyte })
    const bytes = bodyOf(length)
    const spooled = await spool(streamOf(bytes), 'sam', 10 * mebibyte)
    t.equal(spooled.length, length)
    t.equal(Buffer.isBuffer(spooled.body), length <= mebibyte, 'in memory up to 1 MiB')
    t.strictSame(await readdir(directory), [])
    t.ok((await contentOf(spooled.body)).equals(bytes))
    spooled.release()
  })
}

await t.test(
  'a body over the limit is refused with its source left open for the answer',
  async (t) => {
    const spool = createSpool({ directory, total: 100 * mebibyte })
    const source = streamOf(bodyOf(300_000))
    await t.rejects(spool(source, 'sam', 299_999), { code: 'ERR_BODY_TOO_LARGE' })
    t.equal(source.destroyed, false)
    const exact = await spool(streamOf(bodyOf(300_000)), 'sam', 300_000)
    t.equal(exact.length, 300_000)
  },
)

await t.test(
  'one owner has a quarter, all together have the whole, and release gives it back',
  async (t) => {
    const spool = createSpool({ directory, total: 400_000 })
    const body = () => streamOf(bodyOf(100_000))
    const first = await spool(body(), 'a', mebibyte)
    await t.rejects(spool(body(), 'a', mebibyte), { code: 'ERR_SPOOL_FULL' }, 'a has its share')
    const others = await Promise.all(['b', 'c', 'd'].map((owner) => spool(body(), owner, mebibyte)))
    await t.rejects(spool(body(), 'e', mebibyte), { code: 'ERR_SPOOL_FULL' }, 'all is taken')
    first.release()
    const again = await spool(body(), 'e', mebibyte)
    for (const spooled of [...others, again]) spooled.release()
    for (let i = 0; i < 50; i++) (await spool(body(), 'a', mebibyte)).release()
  },
)

await t.test('refused and broken bodies give their room back, too', async (t) => {
  const spool = createSpool({ directory, total: 400_000 })
  for (let i = 0; i < 20; i++) {
    await t.rejects(spool(streamOf(bodyOf(90_000)), 'a', 80_000), { code: 'ERR_BODY_TOO_LARGE' })
    const broken = new PassThrough()
    broken.write(bodyOf(50_000))
    const spooling = spool(broken, 'a', mebibyte)
    broken.destroy(new Error('gone'))
    await t.rejects(spooling, { code: 'ERR_CLIENT_GONE' })
  }
  t.equal((await spool(streamOf(bodyOf(100_000)), 'a', mebibyte)).length, 100_000)
})

await t.test('a directory that cannot be written to is 503, not a crash', async (t) => {
  const spool = createSpool({ directory: join(directory, 'missing'), total: 100 * mebibyte })
  await t.rejects(spool(streamOf(bodyOf(2 * mebibyte)), 'sam', 10 * mebibyte), {
    code: 'ERR_SPOOL_FULL',
  })
  const small = await spool(streamOf(bodyOf(10)), 'sam', 10 * mebibyte)
  t.equal(small.length, 10, 'small bodies need none')
})
