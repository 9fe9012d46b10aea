/** Trac's own static files from memory: the same bytes as from Trac, asked for once, by nobody, with the plugin's consent. */
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { t } from '../fixtures/tap.js'
import { createClock } from '../fixtures/gateway.js'
import { send } from '../fixtures/signed.js'
import { stage } from '../fixtures/stage.js'
import { both } from '../fixtures/tracs.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'

const files: readonly (readonly [target: string, type: RegExp, isText: boolean])[] = [
  ['/trac/chrome/common/css/trac.css', /^text\/css/, true],
  ['/trac/chrome/common/js/jquery.js', /^(?:text|application)\/(?:x-)?javascript/, true],
  ['/trac/chrome/common/trac_logo_mini.png', /^image\/png/, false],
]
const opened = { br: brotliDecompressSync, gzip: gunzipSync }

for (const server of both) {
  await t.test(`${server} is asked once for a static file`, async (t) => {
    const clock = createClock()
    // Short, so that a signature made at the end of it still holds.
    const overlay = { cache: { fresh: '1s' } }
    const { gateway, trac } = await stage(t, { trac: server, clock, overlay })
    clock.stop()
    const fills = async (answer: string) => {
      const [, count = '0'] =
        new RegExp(`file_fills_total\\{answer="${answer}"\\} (\\d+)`).exec(
          await gateway.metrics(),
        ) ?? []
      return Number(count)
    }
    for (const [target, type, isText] of files) {
      const direct = await send(trac, { target })
      t.equal(direct.status, 200)
      for (const coding of ['', 'br', 'gzip'] as const) {
        const see = () => ask(gateway, `GET ${target}?x=${coding}`, [`Accept-Encoding: ${coding}`])
        const made = async () => (await see()).header('content-encoding') === coding
        if (isText) await until(made, `${target} in ${coding}`)
        const answer = await see()
        const bytes = Buffer.from(answer.body, 'latin1')
        const plain = coding === '' || !isText ? bytes : opened[coding](bytes)
        t.equal(plain.toString(), direct.body, `${target} ${coding}`)
        t.match(answer.header('content-type'), type)
        t.equal(answer.header('cache-control'), 'public, max-age=3600')
        t.equal(answer.header('last-modified'), direct.headers.get('last-modified'))
        for (const name of ['set-cookie', 'x-trac-gateway', 'server'])
          t.equal(answer.header(name), '')
      }
    }
    t.equal(await fills('new'), files.length)
    clock.advance(2000)
    for (const [target] of files) await ask(gateway, `GET ${target}`)
    await until(async () => (await fills('same')) === files.length, 'Trac says 304')
    t.equal((await ask(gateway, 'GET /trac/chrome/common/none.css')).status, 404)
    const { degraded } = gateway.gateway.readiness.report()
    t.notMatch(degraded.join(), 'X-Trac-Gateway', 'the plugin has answered for itself')
  })
}
