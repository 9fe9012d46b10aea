/** Made-up targets through the gateway to real servers: none reaches a handler of Trac that the matched route did not mean. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { scaled } from '../fixtures/scale.js'
import { admin, send } from '../fixtures/signed.js'
import { stage } from '../fixtures/stage.js'
import { ask, sendBytes } from '../fixtures/wire.js'

/** Tells in each answer which handler of Trac was chosen. */
const tripwire = `
from trac.core import Component, implements
from trac.web.api import IRequestFilter

class Tripwire(Component):
    implements(IRequestFilter)

    def pre_process_request(self, req, handler):
        req.send_header('X-Handler', handler.__class__.__name__)
        return handler

    def post_process_request(self, req, template, data, metadata):
        return template, data, metadata
`

/** The handlers behind the rows that are denied: anonymous visitors hold TRAC_ADMIN here, so Trac would serve them. */
const closed = ['AdminModule', 'TicketModule', 'PreferencesModule']
const overlay = {
  permissions: { anonymous: ['TRAC_ADMIN'] },
  builtinTracRoutes: false,
  routes: [
    ...['/admin/**', '/ticket/**', '/newticket', '/prefs/**'].map((path, i) => ({
      name: `closed-${i}`,
      path,
      access: 'deny',
    })),
    // The default handler serves what its query names.
    { name: 'root', path: '/', query: { id: false, page: false }, access: 'optional' },
    { name: 'rest', path: '/*/**', access: 'optional' },
  ],
}

/** What servers and parsers are known to fold, cut, decode or skip. */
const odd = fc.constantFrom(
  ...'/ // \\ ; ? # . .. /. /.. /./ /../ %2f %2F %5c %2e %2E%2e %252f %252e %00 %0a %0d%0a %09 %20 %7f %61 %41 %6e %c3%a9 %ff %C0%AF'.split(
    ' ',
  ),
  ...'a x 1 : @ + = & * ~ ;x=1 ?id=1 ?page=a ?x=/../admin /admin /ticket/1 /newticket admin ticket trac wiki'.split(
    ' ',
  ),
)
const goal = fc.constantFrom(
  'admin',
  'admin/general/perm',
  'ticket/1',
  'newticket',
  'prefs',
  'ticket/1?format=csv',
)
const spelt = goal.chain((text) =>
  fc.array(fc.boolean(), { minLength: text.length, maxLength: text.length }).map((flags) =>
    text
      .split('')
      .map((c, i) => (flags[i] === true && i % 3 === 0 ? `%${c.charCodeAt(0).toString(16)}` : c))
      .join(''),
  ),
)
const few = fc.array(odd, { maxLength: 3 }).map((list) => list.join(''))
const head = fc.constantFrom(
  '/trac',
  '/trac',
  '/trac',
  '/trac',
  '/TRAC',
  '/aaaa',
  '/%74rac',
  '//trac',
  '/trac/.',
  '/trac/wiki',
  'http://x/trac',
  '',
)
const target = fc
  .tuple(head, few, fc.constantFrom('/', '/', '/', '', '//', '/wiki/'), spelt, few)
  .map((list) => list.join(''))

const count = scaled(500, 5000)

for (const [server, seed] of [
  ['tracd 1.6', 1],
  ['tracd 1.4', 2],
  ['gunicorn 1.6', 3],
  ['waitress 1.6', 4],
] as const) {
  await t.test(`${count} made-up targets never reach a closed handler of ${server}`, async (t) => {
    const { trac, gateway } = await stage(t, {
      trac: { server, plugins: { 'tripwire.py': tripwire } },
      overlay,
    })
    // The tripwires work: the same server, asked directly by an admin.
    for (const [path, handler] of [
      ['/admin', 'AdminModule'],
      ['/ticket/1', 'TicketModule'],
      ['/newticket', 'TicketModule'],
      ['/prefs', 'PreferencesModule'],
    ] as const) {
      const answer = await send(trac, { target: `/trac${path}`, from: admin })
      t.equal(answer.headers.get('x-handler'), handler)
    }
    t.equal((await ask(gateway, 'GET /trac/wiki')).header('x-handler'), 'WikiModule')

    const reached: string[] = []
    const seen = new Map<string, number>()
    const targets = fc.sample(target, { numRuns: count, seed })
    const one = async (asked: string): Promise<void> => {
      const bytes = `GET ${asked} HTTP/1.1\r\nHost: localhost:${gateway.port}\r\nConnection: close\r\n\r\n`
      const [answer] = await sendBytes(gateway.port, bytes)
      const handler = answer?.header('x-handler') ?? ''
      const key = handler || String(answer?.status ?? 'none')
      seen.set(key, (seen.get(key) ?? 0) + 1)
      if (closed.includes(handler) || answer === undefined) reached.push(`${asked}: ${handler}`)
      if (answer !== undefined && answer.status >= 500 && answer.body.includes('ERR_')) {
        reached.push(`${asked}: ${answer.status}`)
      }
    }
    for (let i = 0; i < targets.length; i += 6) {
      await Promise.all(targets.slice(i, i + 6).map(one))
    }
    t.strictSame(reached, [])
    t.ok((seen.get('WikiModule') ?? 0) > count / 50, `${JSON.stringify([...seen])} were seen`)
    t.ok((seen.get('403') ?? 0) > count / 50)
  })
}
