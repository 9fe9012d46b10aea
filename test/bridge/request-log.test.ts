/** Trac's own log says which request a line belongs to, by the id that the gateway's log has. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { send, sendUnsigned, student } from '../fixtures/signed.js'
import { stage } from '../fixtures/stage.js'
import { both, setIni, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'
import { ask } from '../fixtures/wire.js'

/** Logs while it answers, and once with something that is no text. */
const talkative = `from trac.core import Component, implements
from trac.web.api import IRequestHandler


class Talkative(Component):
    implements(IRequestHandler)

    def match_request(self, req):
        return req.path_info == '/talk'

    def process_request(self, req):
        assert req.authname
        self.log.info('talks of %s and 100%%', req.args.get('about'))
        self.log.info(42)
        req.send(b'said', 'text/plain')
`

/** Its environment, which logs to a file. */
const logging = {
  ini: { logging: { log_type: 'file', log_level: 'DEBUG' } },
  plugins: { 'talkative.py': talkative },
}

async function linesAbout({ environment }: Fixture, word: string): Promise<readonly string[]> {
  const text = await readFile(join(environment, 'log', 'trac.log'), 'utf8')
  return text.split('\n').filter((line) => line.includes(word))
}

for (const server of ['gunicorn 1.6', 'gunicorn 1.4'] as const) {
  const fixture = await startFixture(t, server, logging)
  const about = (word: string) => linesAbout(fixture, word)
  const talk = (word: string, id: string) =>
    send(fixture, {
      target: `/talk?about=${word}`,
      from: student,
      headers: [['X-Request-Id', id]],
    })

  await t.test(`${server} names the request before each message of it`, async (t) => {
    t.equal((await talk('one', 'req-1.a_b')).body, 'said')
    t.match(await about('talks of one'), [/INFO: \[req-1\.a_b\] talks of one and 100%$/])
    t.match(await about('INFO: 42'), [/INFO: 42$/])
    for (const id of ['a b', 'x'.repeat(129), '%s', '-', 'a\u00e9']) await talk('odd', id)
    for (const line of await about('talks of odd')) t.match(line, /INFO: talks of odd/)
  })

  await t.test(`${server} leaves no id to the next request of a thread`, async (t) => {
    const words = Array.from({ length: 20 }, (_, i) => `word${i}.`)
    for (const word of words) await talk(word, `id-${word}`)
    for (const word of words) t.match(await about(`talks of ${word}`), [`[id-${word}] talks`])
    const begun = await about('Dispatching')
    t.ok(begun.length > 20)
    for (const line of begun) t.notMatch(line, /\[id-/, 'nobody is accepted yet')
  })

  await t.test(`${server} takes an id from the gateway alone`, async (t) => {
    const headers = [['X-Request-Id', 'forged']] as const
    const answer = await sendUnsigned(fixture, { target: '/talk?about=lies', headers })
    t.equal(answer.status, 403)
    t.ok((await about('trac_gateway refuses')).length > 0)
    t.strictSame(await about('forged'), [])
    t.strictSame(await about('talks of lies'), [])
  })

  await t.test(`${server} puts it where log_format names it, and nowhere else`, async (t) => {
    const format = 'Trac[$(module)s] <$(request_id)s> $(levelname)s: $(message)s'
    await setIni(fixture.environment, 'logging', 'log_format', format)
    // The first request after a change lets Trac read trac.ini anew.
    await talk('before', 'id-before')
    await talk('named', 'id-named')
    t.match(await about('talks of named'), [/<id-named> INFO: talks of named and 100%$/])
    const begun = await about('<-> DEBUG: Dispatching')
    t.ok(begun.length > 0, 'outside of a request it is a dash')
  })
}

for (const server of both) {
  await t.test(`the lines of the gateway and of ${server} have one id`, async (t) => {
    const s = await stage(t, { provider: 'scripted', trac: { server, ...logging } })
    const bearer = s.bearerOf()
    for (const [word, headers] of [
      ['nothing', []],
      ['id-of-its-own', ['X-Request-Id: id-of-a-client']],
    ] as const) {
      const answer = await ask(s, `GET /trac/talk?about=${word}`, [bearer, ...headers])
      t.equal(answer.body, 'said')
      const line = s.gateway.lines.findLast(({ path }) => path === '/trac/talk')
      const id = String(line?.['request_id'])
      t.equal(answer.header('x-request-id'), id, 'the client is told it')
      t.match(id, headers.length === 0 ? /^[\w-]{16,}$/ : /^id-of-a-client$/)
      const [told = '', ...more] = await linesAbout(s.trac, `talks of ${word}`)
      t.strictSame(more, [])
      t.ok(told.endsWith(`INFO: [${id}] talks of ${word} and 100%`), told)
    }
    const ids = s.gateway.lines.flatMap(({ path, request_id: id }) =>
      path === '/trac/talk' ? [id] : [],
    )
    t.equal(new Set(ids).size, 2, 'each request has its own')
  })
}
