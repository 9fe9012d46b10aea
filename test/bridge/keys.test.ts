/** The key changes without a restart and without a refused request. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { writeKeys } from '../../src/demo/trac.js'
import { send, student } from '../fixtures/signed.js'
import { both, startFixture } from '../fixtures/tracs.js'

const first = { id: 'k1', secret: 'The-first-secret-with-32-bytes-or-more' }
const second = { id: 'k2', secret: 'The-other-secret-with-32-bytes-or-more' }

for (const server of both) {
  await t.test(`${server} reads its key file again when it has changed`, async (t) => {
    const fixture = await startFixture(t, server, { keys: [first] })
    const status = async (key: typeof first): Promise<number> =>
      (await send(fixture, { target: '/about', from: student, key })).status
    t.strictSame([await status(first), await status(second)], [200, 403], 'the first')
    await writeKeys(fixture.environment, [first, second])
    t.strictSame([await status(first), await status(second)], [200, 200], 'both')
    await writeKeys(fixture.environment, [second])
    t.strictSame([await status(first), await status(second)], [403, 200], 'the second')
    const file = join(fixture.environment, 'conf', 'trac_gateway.keys')
    await writeFile(file, `# written in place\r\n\r\n  k2\t${first.secret}\r\n`)
    t.equal(await status(second), 403, 'another secret under the same kid')
    t.equal(await status({ id: 'k2', secret: first.secret }), 200)
  })
}
