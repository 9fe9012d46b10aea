/** A wiki page whose text is an HTTP answer, asked for by HEAD, never becomes the answer to somebody else (deploy/docs/trac.md#connections). */
import { connect } from 'node:net'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { scaled } from '../fixtures/scale.js'
import { admin, identityHeaders, postForm } from '../fixtures/signed.js'
import { stage } from '../fixtures/stage.js'
import { startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'
import { ask } from '../fixtures/wire.js'

const evilBody = '<html>EVIL-PAGE</html>'
const evil = [
  'HTTP/1.1 200 OK',
  'Content-Type: text/html',
  'Set-Cookie: trac_session=evil; Path=/',
  `Content-Length: ${evilBody.length}`,
  '',
  evilBody,
].join('\r\n')

/** A Trac with that page. */
async function write(t: Test, trac: Fixture): Promise<void> {
  const saved = await postForm(trac, admin, '/trac/wiki/Evil', {
    action: 'edit',
    text: evil,
    version: '0',
    save: 'Submit changes',
  })
  t.equal(saved.status, 303)
}
const ini = { trac: { use_chunked_encoding: 'false' } }
const tries = scaled(25, 100)

for (const server of ['tracd 1.6', 'waitress 1.6', 'tracd 1.4'] as const) {
  await t.test(
    `in ${tries} tries a page that looks like an answer reaches no visitor of ${server}`,
    async (t) => {
      const { trac, gateway } = await stage(t, { trac: { server, ini } })
      await write(t, trac)
      const text = await ask(gateway, 'GET /trac/wiki/Evil?format=txt')
      t.match(text.body, 'EVIL-PAGE', 'the page is there')
      let spoiled = 0
      for (let i = 0; i < tries; i++) {
        const [head, page] = await Promise.all([
          ask(gateway, 'HEAD /trac/wiki/Evil?format=txt'),
          ask(gateway, 'GET /trac/about'),
        ])
        const after = await ask(gateway, 'GET /trac/about')
        if (head.status !== 200 || head.body !== '') spoiled++
        for (const answer of [page, after]) {
          if (answer.status !== 200 || answer.body.includes('EVIL-PAGE')) spoiled++
          if (/evil/.test(answer.header('set-cookie'))) spoiled++
        }
      }
      t.equal(spoiled, 0)
    },
  )
}

await t.test('tracd itself sends a body after the answer to HEAD', async (t) => {
  const fixture = await startFixture(t, 'tracd 1.6', { basePath: '/trac', ini })
  await write(t, fixture)
  const target = '/trac/wiki/Evil?format=txt'
  const headers = identityHeaders(fixture, { target, method: 'HEAD', from: admin })
  const lines = [['Host', fixture.host], ['Connection', 'close'], ...headers]
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
  const bytes = await new Promise<string>((resolve) => {
    const socket = connect(fixture.port, '127.0.0.1')
    let all = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (all += chunk))
    socket.on('close', () => resolve(all))
    socket.write(`HEAD ${target} HTTP/1.1\r\n${lines}\r\n`)
  })
  t.match(bytes, 'EVIL-PAGE')
})
